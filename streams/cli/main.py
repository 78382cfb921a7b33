"""The `servicetime` command: imports subcommands when they are called, and turns errors into exit codes."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from geofence.errors import ServicetimeError
from streams.ending import end_if_told, end_when_told, leave

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("streams.cli.demo", "Show everything on recorded real drivers and a simulated town."),
    "replay": ("streams.cli.replay", "Detect visits in recorded files, without a broker."),
    "simulate": ("streams.cli.simulate", "Make a town with routes, pings and the truth about its visits."),
    "score": ("streams.cli.score", "Judge service-time records by the truth."),
    "worker": ("streams.cli.worker", "Run the agents: pings to visits, routes to predictions."),
    "train": ("streams.cli.train", "Tune, fit, prove and register a model; promote it when the gate allows."),
    "evaluate": ("streams.cli.evaluate", "Prove the model by backtests: page, JSON and table."),
    "predict": ("streams.cli.predict", "Predict the stops of routes to come."),
    "table": ("streams.cli.table", "Versions, quarantine and files of the training table."),
    "models": ("streams.cli.models", "List, show, promote and roll back models."),
    "pilot": ("streams.cli.pilot", "Compare geofence timestamps with manual ones; tune detection on them."),
    "fences": ("streams.cli.fences", "Correct fences by where drivers really park and walk to."),
    "publish": ("streams.cli.publish", "Send recorded files to the topics."),
    "broker": ("streams.cli.broker", "Start, stop or look at this machine's own Apache Kafka."),
    "schema": ("streams.cli.schema", "Print the JSON Schema of the records."),
    "doctor": ("streams.cli.doctor", "Tell what is missing on this machine and how to get it."),
}
"""Name → (module with a click `command`, help in one line), in the order of `--help`."""

EXAMPLES: Final = """\b
Examples:
  servicetime demo
  servicetime replay --pings pings.jsonl.gz --fences fences.geojson --routes routes.jsonl --out visits.jsonl
  servicetime worker --bootstrap localhost:9092 --concurrency 2

Every option can also be given in the environment: --data-dir as SERVICETIME_DATA_DIR, and so on.
Exit status: 0 done; 2 wrong usage or unreadable input; 1 anything else.
"""

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


class LazyGroup(click.Group):
    """A group that imports the module of a subcommand when that is called, and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """The names in the registry's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name; None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        _complete(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that `args` name; a usage error with a suggestion when there is none."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command '{args[0]}'.{_suggestion(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of subcommands, from the registry alone."""
        rows = [(name, summary) for name, (_, summary) in COMMANDS.items()]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def _complete(command: click.Command) -> None:
    """Let every option be given as SERVICETIME_<NAME> too, and accept --debug after the subcommand."""
    if all(p.name != "debug" for p in command.params):
        command.params.append(click.Option(["--debug"], is_flag=True, expose_value=False, hidden=True))
    for param in command.params:
        if isinstance(param, click.Option) and param.envvar is None:
            param.envvar = "SERVICETIME_" + _longest(param.opts).lstrip("-").replace("-", "_").upper()
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            _complete(sub)


def _longest(names: Sequence[str]) -> str:
    return max(names, key=len)


def _show_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"servicetime {version('servicetime')}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EXAMPLES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--debug", is_flag=True, envvar="SERVICETIME_DEBUG", help="Show tracebacks.", expose_value=False
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Turn raw driver GPS into trustworthy service times, and predict the next ones."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command line; errors become one line on stderr and an exit status, never a traceback."""
    debug = "--debug" in arguments or os.environ.get("SERVICETIME_DEBUG", "0") not in {"", "0", "false"}
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        return FAILED
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except Exception as error:
        end_if_told()  # compiled code makes an error of its own of being told to end
        if debug:
            raise
        return _complain(*_explain(error))
    return status


def _invoke(arguments: Sequence[str]) -> int:
    try:
        result: Any = cli.main(args=list(arguments), prog_name="servicetime", standalone_mode=False)
    except click.Abort as abort:
        raise KeyboardInterrupt from abort
    except click.UsageError as error:
        return _complain(*_explain(error))
    return result if isinstance(result, int) else DONE


def _explain(error: Exception) -> tuple[str, int]:
    """One line for people and the exit status."""
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "servicetime"
        message = error.format_message()
        stop = "" if message.endswith((".", "?")) else "."
        return f"{message}{stop} See '{path} --help'.", WRONG_USAGE
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, ServicetimeError):
        return str(error), getattr(error, "exit_status", WRONG_USAGE)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror, FAILED
    return f"unexpected {type(error).__name__}: {error} (--debug shows where)", FAILED


def _complain(message: str, status: int) -> int:
    click.echo("servicetime: " + " ".join(message.split()), err=True)
    return status


def _drop_stdout() -> None:
    """Whoever read us has gone; keep Python from complaining about it when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """The console script."""
    end_when_told()
    leave(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
