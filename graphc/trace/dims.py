"""x.shape and x.size where sizes are known only at run time: numbers that promote weakly.

A `TracedDim` stays a size under integer arithmetic. Where it meets floating point it becomes a
`Number`: a traced value that, like a Python float, takes the dtype of the array it meets (NEP 50).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from graphc import types
from graphc.errors import ShapeError
from graphc.trace.coverage import place, refuse
from graphc.trace.tensor import Tensor, as_tensor
from graphc.types import Dim, Size, below, float64


class Number(Tensor):
    """A Python number that is known only at run time."""

    __slots__ = ()

    @property
    def weak(self) -> type | None:
        return float if self.node.dtype.kind == "f" else int


class TracedDim(Dim):
    """A run-time dimension that becomes a value when floating-point arithmetic meets it."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return as_tensor(self).__array_ufunc__(ufunc, method, *inputs, **kwargs)

    __hash__ = Dim.__hash__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | Dim) or isinstance(other, bool):
            return NotImplemented
        mine, its = _plain(self), _plain(other)
        if mine == its:
            return True
        if below(mine, its) or below(its, mine):
            return False
        raise ShapeError(
            f"whether {mine} == {its} is known only at run time, so a traced function cannot "
            f"branch on it{place()}: use np.where, or trace with a fixed size"
        )

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __float__(self) -> NoReturn:
        refuse(f"float({self}) is not known while tracing", "use the dimension as it is")


def traced(size: Size) -> Any:
    """A size as the user's program sees it."""
    return TracedDim(size.terms) if isinstance(size, Dim) else size


def _is_number(x: Any) -> bool:
    """Whether x is a Python number or stands for one."""
    return isinstance(x, int | float | Dim | Number) and not isinstance(x, np.generic)


def _is_floating(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, Number) and x.weak is float)


def _value(x: Any, floating: bool) -> Any:
    """A number in the type that Python computes in."""
    if isinstance(x, Dim | Number):
        return as_tensor(x, float64) if floating else as_tensor(x)
    return float(x) if floating else x


def _operation(
    on_sizes: Callable[[Size, Size], Size] | None, ufunc: np.ufunc, swapped: bool
) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, int | float | Dim | Tensor | np.ndarray | np.generic):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        if on_sizes is not None and isinstance(a, int | Dim) and isinstance(b, int | Dim):
            size = on_sizes(_plain(a), _plain(b))
            if size is not NotImplemented:
                return traced(size)
        if _is_number(a) and _is_number(b):
            floating = ufunc is np.divide or _is_floating(a) or _is_floating(b)
            return Number(as_tensor(ufunc(_value(a, floating), _value(b, floating))).node)
        return ufunc(a, b)

    return method


def _plain(size: Any) -> Size:
    return Dim(size.terms) if isinstance(size, Dim) else int(size)


def _size_power(a: Size, b: Size) -> Any:
    """a ** b for an exponent that is known and not negative."""
    return types.product([a] * b) if isinstance(b, int) and b >= 0 else NotImplemented


for _name, _on_sizes, _ufunc in (
    ("add", operator.add, np.add),
    ("sub", operator.sub, np.subtract),
    ("mul", operator.mul, np.multiply),
    ("truediv", None, np.divide),
    ("floordiv", types.floordiv, np.floor_divide),
    ("mod", types.mod, np.remainder),
    ("pow", _size_power, np.power),
):
    for _class in (TracedDim, Number):
        setattr(_class, f"__{_name}__", _operation(_on_sizes, _ufunc, False))
        setattr(_class, f"__r{_name}__", _operation(_on_sizes, _ufunc, True))
for _name, _ufunc in (("neg", np.negative), ("abs", np.absolute), ("pos", np.positive)):
    setattr(
        Number, f"__{_name}__", lambda self, ufunc=_ufunc: Number(ufunc(Tensor(self.node)).node)
    )

Tensor.shape = property(lambda self: tuple(map(traced, self.node.shape)))
Tensor.size = property(lambda self: traced(self.node.type.size))
