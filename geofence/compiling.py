"""Machine code that numba keeps on disk, made anew when anything it was made of has changed."""

import linecache
import re
import sys
from collections.abc import Callable
from functools import cache, update_wrapper
from hashlib import blake2b
from types import CellType, FunctionType
from typing import Any, Final, TypeVar, cast

from numba import njit
from numba.core.registry import cpu_target

Function = TypeVar("Function", bound=Callable[..., Any])

IMPORTS: Final = re.compile(r"^from ([\w.]+) import (\([^)]*\)|.*)", re.MULTILINE)
WORD: Final = re.compile(r"\w+")
PACKAGE: Final = __name__.partition(".")[0]


def load() -> None:
    """Have numba ready, which otherwise happens when a kernel is first called, and sooner than then.

    It imports all of scipy.linalg to see whether there is a BLAS, which takes as long as all else that it
    needs; no kernel here multiplies matrices. For a process that compiles nothing else and has one thread.
    """
    if "scipy.linalg" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
    finally:
        del sys.modules["scipy.linalg"]


def kernel(error_model: str = "python") -> Callable[[Function], Function]:
    """`njit(cache=True)` for a function that may use those of other files: stored anew when these change.

    numba looks at a function's own file alone to see whether its stored code is stale, and at what the
    function closes over: so it is made to close over the fingerprint of all files it may use.
    """
    return lambda function: _compiled(function, error_model=error_model)


def lean(error_model: str = "python") -> Callable[[Function], Function]:
    """The same for a function that makes no arrays, and returns none.

    It leaves out counting who holds those it is given, which takes longer than short work itself.
    """
    return lambda function: _compiled(function, error_model=error_model, _nrt=False)


@cache
def fingerprint(module: str) -> int:
    """A fingerprint of the source text of a module and of all that it imports, of its package or this one."""
    texts = "\x1f".join(map(_text, sorted(_reached(module))))
    return int.from_bytes(blake2b(texts.encode(), digest_size=7).digest())


@cache
def _reached(module: str) -> frozenset[str]:
    """A module, and those that it imports from, directly or not."""
    packages = PACKAGE, module.partition(".")[0]
    reached, left = {module}, [module]
    while left:
        found = {m for m in _imported(left.pop()) if m.partition(".")[0] in packages} - reached
        reached |= found
        left += found
    return frozenset(reached)


@cache
def _imported(module: str) -> frozenset[str]:
    """The loaded modules that one imports, or imports from, as it begins."""
    found: set[str] = set()
    for source, names in IMPORTS.findall(_text(module)):
        found |= {source, *(f"{source}.{name}" for name in WORD.findall(names))}
    return frozenset(found & sys.modules.keys())


@cache
def _text(module: str) -> str:
    file = sys.modules[module].__file__
    return "" if file is None else "".join(linecache.getlines(file))


def _compiled(function: Function, **options: Any) -> Function:
    """The function closes over the fingerprint, though it does not use it."""
    assert isinstance(function, FunctionType)
    assert function.__closure__ is None
    code = function.__code__.replace(co_freevars=("of",))
    cells = (CellType(fingerprint(function.__module__)),)
    names, defaults = function.__globals__, function.__defaults__
    closed = FunctionType(code, names, function.__name__, defaults, cells)
    return cast(Function, njit(cache=True, **options)(update_wrapper(closed, function)))
