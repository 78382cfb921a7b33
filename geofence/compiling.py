"""Machine code that numba keeps on disk, made anew when anything it was made of has changed."""

import inspect
import sys
from collections.abc import Callable
from functools import update_wrapper
from hashlib import blake2b
from types import CellType, FunctionType, ModuleType
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.registry import cpu_target

Function = TypeVar("Function", bound=Callable[..., Any])


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


def sources(*modules: ModuleType) -> int:
    """A fingerprint of the source text of modules.

    numba looks at a function's own file alone to see whether its stored code is stale, and at what the
    function closes over: a kernel that calls those of other files closes over their fingerprint.
    """
    texts = "\x1f".join(inspect.getsource(m) for m in modules)
    return int.from_bytes(blake2b(texts.encode(), digest_size=7).digest())


def kernel(*of: ModuleType, lean: bool = False) -> Callable[[Function], Function]:
    """`njit(cache=True)` for a function that calls those of other files: stored anew when these change.

    The function that is compiled closes over the fingerprint of their sources, though it does not use it.
    `lean`: see there.
    """

    def stored(function: Function) -> Function:
        assert isinstance(function, FunctionType)
        assert function.__closure__ is None
        code = function.__code__.replace(co_freevars=("of",))
        fingerprint = (CellType(sources(*of)),)
        names, defaults = function.__globals__, function.__defaults__
        closed = FunctionType(code, names, function.__name__, defaults, fingerprint)
        return cast(Function, _compiled(update_wrapper(closed, function), lean, "python"))

    return stored


def lean(error_model: str = "python") -> Callable[[Function], Function]:
    """`njit(cache=True)` for a function that makes no arrays, and returns none.

    It leaves out counting who holds those it is given, which takes longer than short work itself.
    """
    return lambda function: _compiled(function, True, error_model)


def _compiled(function: Any, lean: bool, error_model: str) -> Any:
    return njit(cache=True, _nrt=not lean, error_model=error_model)(function)  # type: ignore[call-overload]
