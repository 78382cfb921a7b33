"""The documents agree with the program: commands parse, options and settings exist, quick examples run."""

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum
from pathlib import Path

import click
import msgspec
import pytest

from geofence.rules import Rules
from streams.cli.main import COMMANDS, DONE, cli, run
from streams.records import ServiceTimeRecord, StopPrediction, decode_pings
from streams.topics import Topics

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
SETTINGS = {field.name: field.default for field in fields(Rules)}
OF_RULES = {*SETTINGS, "config", "debug"}


def examples(page: Path) -> Iterator[list[str]]:
    """The words after `servicetime` of each command line in the page's shell blocks."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("servicetime "):
                yield shlex.split(line, comments=True)[1:]


EXAMPLES = [(page.name, words) for page in PAGES for words in examples(page)]


def section(heading: str) -> str:
    """What stands below a heading of the reference, up to the next heading."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/reference.md has no heading {heading!r}"
    return found[1]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its whole name."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", c) for sub, c in command.commands.items())
        elif command is not None:
            yield name, command


def parse(words: list[str]) -> None:
    """Fails when the command line would be refused."""
    command: click.Command = cli
    context = click.Context(cli, info_name="servicetime")
    while isinstance(command, click.Group):
        inner = command.get_command(context, words[0])
        assert inner is not None, f"there is no command {words[0]}"
        command, words = inner, words[1:]
    command.make_context(command.name or "", list(words), parent=context)


@pytest.mark.parametrize(
    ("page", "words"), EXAMPLES, ids=lambda v: v if isinstance(v, str) else " ".join(v)[:40]
)
def test_every_command_line_in_the_documents_is_accepted(page: str, words: list[str]) -> None:
    try:
        parse(words)
    except click.UsageError as error:
        pytest.fail(f"{page}: servicetime {shlex.join(words)}: {error.format_message()}")


def test_there_are_examples_on_every_page_for_users() -> None:
    assert {page for page, _ in EXAMPLES} >= {"README.md", "tutorial.md", "howto.md"}


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda v: v if isinstance(v, str) else "")
def test_the_reference_lists_the_options_that_a_command_has(name: str, command: click.Command) -> None:
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    real = {max(p.opts, key=len) for p in options if p.name not in OF_RULES}
    text = section(f"servicetime {name}")
    assert set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE)) == real
    takes_settings = any(p.name == "dwell_s" for p in options)
    assert ("(#detection-settings)" in text) == takes_settings


def test_the_table_of_settings_is_that_of_the_rules() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section("Detection settings"), re.MULTILINE))
    assert rows == {n: default_of(d) for n, d in SETTINGS.items()}


def default_of(setting: object) -> str:
    if isinstance(setting, bool):
        return str(setting).lower()
    return setting.value if isinstance(setting, StrEnum) else f"{setting:g}"


def test_the_reference_names_every_topic() -> None:
    named = set(re.findall(r"^\| `([a-z-]+)` \|", section("Input") + section("Output"), re.MULTILINE))
    topics = Topics()
    assert named == {topic.name for topic in topics.all()} - {topics.state}


def test_the_reference_names_every_field_of_a_visit() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", section("Fields of `service-times`"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(ServiceTimeRecord.__struct_fields__)


def test_the_reference_names_every_field_of_a_prediction() -> None:
    row = next(line for line in section("Output").splitlines() if line.startswith("| `stop-predictions`"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) >= set(StopPrediction.__struct_fields__) - {"arm"}


def test_the_ping_in_the_readme_is_a_ping() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    decoded = decode_pings([block.strip().encode()])
    assert decoded.bad == []
    assert msgspec.json.decode(block)["driver_id"] == decoded.batch.driver_ids[0]


def test_links_lead_to_files_that_are_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_tutorial_s_first_steps_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "tests" / "data", tmp_path / "tests" / "data")
    monkeypatch.chdir(tmp_path)
    quick = [w for w in examples(ROOT / "docs" / "tutorial.md") if any("tests/data" in word for word in w)]
    assert [words[0] for words in quick] == ["replay", "score"]
    assert [run(words) for words in quick] == [DONE, DONE]
    assert len((tmp_path / "visits.jsonl").read_text().splitlines()) >= 8
