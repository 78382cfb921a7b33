"""Detection settings: an option for each field of Rules, from command line, environment or a TOML file."""

import ast
import inspect
from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from functools import wraps
from typing import Any, Final, get_type_hints

import click

from geofence import rules as rules_module
from geofence.errors import InvalidSetting
from geofence.rules import Rules
from streams.cli.options import Decorator
from streams.errors import UnreadableInput

TABLE: Final = "detection"
"""The table of the TOML file that holds them."""


def detection() -> Decorator:
    """Adds `--config` and an option for each detection setting; the command gets them as `rules`.

    The command line goes before the environment, that before the file, that before the defaults.
    """
    kinds, helps = get_type_hints(Rules), _helps()

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_rules(*args: Any, config: str | None, **given: Any) -> Any:
            chosen = _from_file(config) if config is not None else {}
            chosen |= {n: v for n in kinds if (v := given.pop(n)) is not None}
            return command(*args, rules=Rules(**chosen), **given)

        decorated: Callable[..., Any] = with_rules
        for field in reversed(fields(Rules)):
            option = _option(field.name, kinds[field.name], field.default, helps.get(field.name))
            decorated = option(decorated)
        return click.option(
            "--config",
            type=click.Path(path_type=str),
            metavar="FILE",
            help=f"TOML file whose table [{TABLE}] holds the detection settings below.",
        )(decorated)

    return decorate  # type: ignore[return-value]


def options_of(rules: Rules) -> list[str]:
    """The options that give these rules to another process: `["--dwell-s", "20.0", ...]`."""
    words: list[str] = []
    for field in fields(Rules):
        value = getattr(rules, field.name)
        if isinstance(value, bool):
            words.append(_flag(field.name, value))
        elif value is not None:
            words += [f"--{_dashed(field.name)}", str(value)]
    return words


def _option(name: str, kind: Any, default: Any, text: str | None) -> Decorator:
    if kind is bool:
        flags = f"{_flag(name, True)}/{_flag(name, False)}"
        return click.option(flags, name, default=None, help=_help(text, _flag(name, default)))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        choice = click.Choice([member.value for member in kind])
        return click.option(
            f"--{_dashed(name)}",
            name,
            type=choice,
            callback=lambda _c, _p, v: None if v is None else kind(v),
            help=_help(text, default.value),
        )
    number = click.INT if kind is int else click.FLOAT
    return click.option(f"--{_dashed(name)}", name, type=number, help=_help(text, f"{default:g}"))


def _help(text: str | None, default: str) -> str:
    return f"{text or ''}  [default: {default}]".strip()


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _flag(name: str, value: bool) -> str:
    return f"--{_dashed(name)}" if value else f"--no-{_dashed(name)}"


def _helps() -> dict[str, str]:
    """What stands below each field of Rules in the source; nothing where there is no source."""
    try:
        (module,) = ast.parse(inspect.getsource(rules_module.Rules)).body
    except OSError:
        return {}
    assert isinstance(module, ast.ClassDef)
    found: dict[str, str] = {}
    for before, after in zip(module.body, module.body[1:], strict=False):
        if not isinstance(before, ast.AnnAssign) or not isinstance(before.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[before.target.id] = " ".join(str(after.value.value).replace("`", "").split())
    return found


def _from_file(path: str) -> dict[str, Any]:
    """The settings of the file's table. Raises UnreadableInput or InvalidSetting naming file and field."""
    import tomllib

    from streams.files.opening import complaints, read_whole

    with complaints(path):
        text = read_whole(path)
    try:
        table = tomllib.loads(text.decode()).get(TABLE, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableInput(path, f"is not TOML: {error}") from error
    kinds = get_type_hints(Rules)
    return {name: _checked(path, name, kinds.get(name), value) for name, value in table.items()}


def _checked(path: str, name: str, kind: Any, value: Any) -> Any:
    """The value of a setting as its field wants it."""
    where = f"{path}, {TABLE}.{name}"
    if kind is None:
        raise InvalidSetting(f"{where}: there is no such setting")
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if value not in list(kind):
            raise InvalidSetting(f"{where}: {value!r} is none of {', '.join(kind)}")
        return kind(value)
    if kind is bool or isinstance(value, bool) or not isinstance(value, int | float):
        if kind is bool and isinstance(value, bool):
            return value
        raise InvalidSetting(f"{where}: {value!r} is not {'true or false' if kind is bool else 'a number'}")
    return kind(value)
