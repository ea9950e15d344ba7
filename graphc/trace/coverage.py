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
from graphc.trace.names import locate, unwatched
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


def located(method: Callable[P, R]) -> Callable[P, R]:
    """The method with the user's line in its errors, and with its own calls unwatched."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except GraphcError as error:
            if _PLACED.search(str(error)):
                raise
            raise type(error)(f"{error}{place()}") from None

    return unwatched(call)


def refuse(reason: str, remedy: str) -> NoReturn:
    """Raise a TraceError that says what, where, and the way out."""
    raise TraceError(f"{reason}{place()}: {remedy}")


def refuse_function(name: str) -> NoReturn:
    """Refuse a NumPy function by name, with the way out or the nearest one that is covered."""
    if name in REFUSED:
        reason, remedy = REFUSED[name]
        refuse(f"np.{name} {reason}", remedy)
    covered = {getattr(fn, "__name__", "") for fn in FUNCTIONS} | {
        *UFUNCS,
        *COMPOSITES,
        *ops.BY_FUNCTION,
    }
    near = difflib.get_close_matches(name, covered, 1, 0.5)
    hint = (
        f"the nearest that is covered is np.{near[0]}"
        if near
        else ("write it with functions that are covered (see docs/numpy.md)")
    )
    refuse(f"{name} is not covered by graphc", hint)


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
