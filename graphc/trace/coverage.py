"""What of NumPy is covered, and how the rest is refused."""

from __future__ import annotations

import difflib
import functools
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, GraphcError, TraceError
from graphc.graph import Source, building
from graphc.trace.names import called, locate, unwatched
from graphc.trace.remedies import FAMILIES, REMEDIES
from graphc.types import DType, dtype_of

P = ParamSpec("P")
R = TypeVar("R")
Handler = Callable[..., Any]

FUNCTIONS: dict[Callable[..., Any], Handler] = {}
"""What `__array_function__` calls for a NumPy function; filled by `functions`."""

UFUNCS: dict[str, Handler] = {}
"""Composite ufuncs that resolve dtypes themselves; single ops are found in the op table."""

COMPOSITES: dict[str, Handler] = {}
"""Composite ufuncs whose operands have the dtypes of NumPy's own loop already."""

PYTHON: dict[str, dict[str, Handler]] = {}
"""Functions of packages that are written in Python, by package; `lessons` teaches them."""

REFUSED: dict[str, tuple[str, str]] = {}
"""Of NumPy functions that no graph can hold: why, and the way out."""

METHODS: dict[tuple[str, str], Handler] = {}
"""(ufunc, method) pairs such as ("add", "reduce")."""


def user_line() -> Source | None:
    """The innermost line of the user's code that is running."""
    return locate(sys._getframe(1))


def place() -> str:
    """`` at file:line`` of the user's code, to end a sentence with."""
    source = user_line()
    return f" at {source}" if source else ""


_PLACED = re.compile(r" at \S+:\d+")


def with_place(error: GraphcError) -> GraphcError:
    """The error, with the user's line that is running in its message unless a line is in it."""
    if _PLACED.search(str(error)):
        return error
    error.args = (f"{error}{place()}",)
    return error.with_traceback(None)


def located(method: Callable[P, R]) -> Callable[P, R]:
    """The method with the user's line in its errors, and with its own calls unwatched."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except GraphcError as error:
            raise with_place(error) from None

    return unwatched(call)


def refuse(reason: str, remedy: str) -> NoReturn:
    """Raise a TraceError that says what, where, and the way out."""
    raise TraceError(f"{reason}{place()}: {remedy}")


def refuse_use(reason: str, remedy: str) -> NoReturn:
    """Refuse what a function that knows nothing of traced values does with one, by its name."""
    function = called(sys._getframe(1))
    root, _, name = function.rpartition(".")
    if not function or function in ("float", "int", "complex", "bool"):
        refuse(reason, remedy)
    if "random" in root.split(".") or root == "rng":
        remedy = "draw the numbers outside of the traced function, and pass them to it"
    elif name in REMEDIES:
        remedy = REMEDIES[name]
    elif root not in ("np", "numpy") and name in covered_names():
        remedy = f"use {'np' if hasattr(np, name) else 'scipy.special'}.{name}"
    refuse(f"{function}: {reason}", remedy)


def covered_names() -> set[str]:
    """The NumPy functions, and those of scipy.special, that are covered."""
    return {getattr(fn, "__name__", "") for fn in FUNCTIONS} | {
        *UFUNCS,
        *COMPOSITES,
        *ops.BY_FUNCTION,
        *(name for handlers in PYTHON.values() for name in handlers),
    }


def refuse_function(name: str, module: str = "numpy") -> NoReturn:
    """Refuse a NumPy or SciPy function by name, with the way out or the nearest that is covered."""
    shown = f"{re.sub(r'^numpy', 'np', module)}.{name}"
    if name in REFUSED:
        reason, remedy = REFUSED[name]
        refuse(f"{shown} {reason}", remedy)
    remedy = REMEDIES.get(name, "")
    near = difflib.get_close_matches(name, covered_names(), 1, 0.8)
    if not remedy and near:
        home = "np" if hasattr(np, near[0]) else "scipy.special"
        remedy = f"the nearest that is covered is {home}.{near[0]}"
    refuse(f"{shown} is not covered by graphc", remedy or FAMILIES.get(module, FAMILIES["numpy"]))


building.locate = user_line


def supported(dtype: np.dtype[Any], ufunc: np.ufunc) -> DType:
    """The dtype a ufunc computes in.

    Raises:
        DTypeError: graphc does not have it.
    """
    try:
        return dtype_of(dtype)
    except DTypeError as error:
        raise DTypeError(f"np.{ufunc.__name__} would compute in {error}{place()}") from None
