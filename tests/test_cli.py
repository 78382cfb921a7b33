"""The command line: what it imports, what it says when things go wrong, and its exit statuses."""

import subprocess
import sys

import click
import pytest

from geofence.errors import InvalidSetting
from streams.cli import main as cli_main
from streams.errors import Unavailable, UnreadableInput


def make_command(do: object) -> click.Command:
    @click.command()
    @click.option("--bootstrap")
    @click.option("--data-dir")
    def command(bootstrap: str | None, data_dir: str | None) -> None:
        if isinstance(do, BaseException):
            raise do
        click.echo(f"{bootstrap} {data_dir}")

    return command


@pytest.fixture
def probe(monkeypatch):
    """Register a command `probe` that raises the given error or prints its options."""

    def register(do: object = None) -> None:
        command = make_command(do)
        module = type(sys)("probe_module")
        module.command = command
        monkeypatch.setitem(sys.modules, "probe_module", module)
        monkeypatch.setitem(cli_main.COMMANDS, "probe", ("probe_module", "Probe."))

    return register


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from streams.cli.main import run; status = run(['--help'])\n"
        "heavy = {'numpy', 'pandas', 'faust', 'pyarrow', 'shapely', 'rich', 'msgspec', 'geofence.engine'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Examples:" in done.stdout


def test_every_registered_command_loads_and_explains_itself(capsys):
    for name in cli_main.COMMANDS:
        assert cli_main.run([name, "--help"]) == 0, name
        assert f"servicetime {name}" in capsys.readouterr().out


def test_no_command_shows_the_help(capsys):
    assert cli_main.run([]) == 0
    assert "Examples:" in capsys.readouterr().out


def test_the_version_is_the_package_s(capsys):
    from importlib.metadata import version

    assert cli_main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"servicetime {version('servicetime')}\n"


def test_a_misspelled_command_is_wrong_usage_with_a_suggestion(probe, capsys):
    probe()
    assert cli_main.run(["porbe"]) == 2
    expected = "servicetime: No such command 'porbe'. Did you mean 'probe'? See 'servicetime --help'.\n"
    assert capsys.readouterr().err == expected


def test_an_unknown_option_is_wrong_usage_in_one_line(probe, capsys):
    probe()
    assert cli_main.run(["probe", "--nonsense"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--nonsense" in err
    assert "servicetime probe --help" in err


def test_options_come_from_the_environment_without_the_command_s_name(probe, monkeypatch, capsys):
    probe()
    monkeypatch.setenv("SERVICETIME_BOOTSTRAP", "kafka:9092")
    monkeypatch.setenv("SERVICETIME_DATA_DIR", "/data")
    assert cli_main.run(["probe"]) == 0
    assert capsys.readouterr().out == "kafka:9092 /data\n"


def test_the_command_line_wins_over_the_environment(probe, monkeypatch, capsys):
    probe()
    monkeypatch.setenv("SERVICETIME_BOOTSTRAP", "kafka:9092")
    assert cli_main.run(["probe", "--bootstrap", "here:1"]) == 0
    assert capsys.readouterr().out == "here:1 None\n"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UnreadableInput("a.jsonl", "broken", line=3, field="lat"), 2, "a.jsonl, line 3, lat: broken"),
        (InvalidSetting("dwell_s: -1 is negative"), 2, "dwell_s: -1 is negative"),
        (Unavailable("no broker at h:1"), 1, "no broker at h:1"),
        (PermissionError(13, "Permission denied", "/out"), 1, "/out: Permission denied"),
        (ValueError("two\nlines"), 1, "unexpected ValueError: two lines (--debug shows where)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_becomes_an_exit_status_and_one_line(probe, capsys, error, status, line):
    probe(error)
    assert cli_main.run(["probe"]) == status
    assert capsys.readouterr().err.strip() == f"servicetime: {line}"


@pytest.mark.parametrize("arguments", [["--debug", "probe"], ["probe", "--debug"]])
def test_debug_shows_the_traceback(probe, arguments):
    probe(ValueError("boom"))
    with pytest.raises(ValueError, match="boom"):
        cli_main.run(arguments)


def test_a_reader_that_hangs_up_is_no_drama():
    code = "from streams.cli.main import run; import sys; sys.exit(run(['--help']))"
    pipe = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert pipe.stdout is not None
    assert pipe.stderr is not None
    pipe.stdout.close()
    assert pipe.stderr.read() == b""
    pipe.stderr.close()
    assert pipe.wait() in {0, 1}
