"""`jit`: a function that is compiled at the first call of each signature."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import (
    Any,
    Generic,
    Literal,
    ParamSpec,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

import numpy as np

from graphc import trees
from graphc.api import compile
from graphc.donation import Donate
from graphc.errors import ArgumentError, TraceError
from graphc.kernel import Kernel
from graphc.trace import Tensor

P = ParamSpec("P")
R = TypeVar("R")


class Asked(TypedDict, total=False):
    """What `compile` may be asked for, of every signature."""

    target: str | None
    trap_nans: bool
    donate: Donate
    optimize: int | None
    memory: int | str | None
    threads: int | Literal["auto"] | None
    tune: bool | Mapping[str, int]


class Jit(Generic[P, R]):
    """A function that is compiled at the first call of each signature; see `jit`."""

    def __init__(self, fn: Callable[P, R], **asked: Unpack[Asked]) -> None:
        self._fn = fn
        self._asked = asked
        self._kernels: dict[Hashable, Kernel] = {}
        self._lock = threading.RLock()
        # Without fn's own attributes: those of another Jit beneath it are not this one's.
        functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs:
            kernel = self._kernels.get(_flat_key(args))
            if kernel is not None:
                return kernel(*args)
        return self._call_slowly(args, kwargs)

    def _call_slowly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        """The same for pytrees, keywords and first calls."""
        values = self._positional(args, kwargs)
        leaves, tree = trees.flatten(values)
        key = (tree, *map(_kind, leaves))
        kernel = self._kernels.get(key)
        if kernel is None:
            if any(isinstance(leaf, Tensor) for leaf in leaves):
                return self._fn(*args, **kwargs)
            kernel = self._compile(key, values)
        if all(type(x) is np.ndarray or isinstance(x, _NUMBERS) for x in values):
            self._kernels[_flat_key(values)] = kernel
        return kernel(*values)

    def kernel(self, *args: P.args, **kwargs: P.kwargs) -> Kernel:
        """The kernel that a call with these arguments runs, compiled if need be."""
        values = self._positional(args, kwargs)
        leaves, tree = trees.flatten(values)
        return self._compile((tree, *map(_kind, leaves)), values)

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order of the signature, so that a name makes no other signature."""
        if not kwargs:
            return args
        bound = inspect.signature(self._fn).bind(*args, **kwargs)
        if bound.kwargs:
            name = getattr(self._fn, "__name__", "this function")
            raise TraceError(
                f"jit of {name} cannot pass {', '.join(bound.kwargs)}, which can only be given by "
                "name; compile it with graphc.compile, or take it by position"
            )
        return bound.args

    def _compile(self, key: Hashable, values: tuple[Any, ...]) -> Kernel:
        with self._lock:
            if key not in self._kernels:
                self._kernels[key] = compile(self._fn, *values, **self._asked)
            return self._kernels[key]


_NUMBERS = (bool, int, float, np.generic)


def _flat_key(args: tuple[Any, ...]) -> Hashable:
    """What decides which kernel takes arguments that are arrays and numbers; quick to make."""
    return tuple([(x.dtype, x.shape) if type(x) is np.ndarray else type(x) for x in args])


def _kind(leaf: Any) -> Hashable:
    """What of a leaf decides which kernel takes it."""
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.dtype, leaf.shape
    if isinstance(leaf, bool | int | float):
        return type(leaf).__name__
    return None


@overload
def jit(fn: Callable[P, R], **asked: Unpack[Asked]) -> Jit[P, R]: ...


@overload
def jit(**asked: Unpack[Asked]) -> Callable[[Callable[P, R]], Jit[P, R]]: ...


def jit(fn: Callable[P, R] | None = None, **asked: Unpack[Asked]) -> Any:
    """fn, compiled to C at the first call of each signature: structure, dtypes and shapes.

    A decorator, also with what `compile` may be asked for, as ``@graphc.jit(donate="params")`` or
    ``@graphc.jit(threads="auto", tune=True)``. Later calls with the same
    signature only run the C; safe to call from many threads. Python numbers are float64, int64 and
    bool scalars, as NumPy's own scalars are. Inside a trace (of `grad`, say) fn itself is called.
    ``jit(fn).kernel(*args)`` is the kernel.

    Raises:
        ArgumentError: something that `compile` cannot be asked for. When called: as `compile`, and
            as the kernel.
    """
    for option in asked:
        if option not in Asked.__annotations__:
            raise ArgumentError(
                f"jit has no option {option!r}; it takes {', '.join(Asked.__annotations__)}"
            )
    if fn is None:
        return functools.partial(Jit, **asked)
    return Jit(fn, **asked)
