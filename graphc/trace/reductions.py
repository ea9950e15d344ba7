"""NumPy's reductions on tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.graph import Op, apply
from graphc.ops.reduce import ALL, ANY, MAX, MIN, PROD, SUM
from graphc.trace.coverage import FUNCTIONS, METHODS, refuse
from graphc.trace.tensor import Tensor, as_tensor, attach, dimension, promote
from graphc.types import Size, bool_, float64, int64, normalize_axis, product

Axis = int | Sequence[int] | None


def axes_of(axis: Axis, rank: int, scalar: bool = False) -> tuple[int, ...]:
    """The axes an `axis` argument names, each once.

    Args:
        scalar: whether axis 0 or -1 of a scalar means none, as for ufuncs' reductions.

    Raises:
        ShapeError: out of range, or named twice.
    """
    if axis is None:
        return tuple(range(rank))
    if isinstance(axis, int | np.integer):
        if scalar and not rank and axis in (0, -1):
            return ()
        return (normalize_axis(int(axis), rank),)
    found = tuple(normalize_axis(int(a), rank) for a in axis)
    if len(set(found)) != len(found):
        raise ShapeError(f"axis {axis} names one axis twice")
    return tuple(sorted(found))


def finish(result: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """The reduced axes kept as 1 where that is asked for."""
    if not keepdims:
        return result
    return np.reshape(result, tuple(1 if a in axes else s for a, s in enumerate(x.node.shape)))


JOINS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
         "any": np.logical_or, "all": np.logical_and}  # fmt: skip


def _neutral(op: Op, x: Tensor, initial: Any) -> Any:
    """What leaves the result of a reduction as it is; NumPy wants an extremum's to be given."""
    if op in (MAX, MIN):
        if initial is None:
            raise ValueError(f"np.{op.name} with where= needs initial=")
        return as_tensor(initial, x.node.dtype).astype(x.dtype)
    return np.asarray(op in (PROD, ALL), x.dtype)


def _reduction(op: Op, widen: bool, needs_elements: bool) -> Any:
    """sum and prod widen small ints to int64 as NumPy does; max and min refuse empty axes."""

    def reduce(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Tensor:
        if out is not None:
            refuse(f"np.{op.name} with out= writes into an array", "use the value it returns")
        x = as_tensor(a)
        if where is not True:
            x = np.where(where, x, _neutral(op, x, initial))
        if dtype is not None:
            x = x.astype(dtype)
        elif widen and x.node.dtype.kind in "bi":
            x = x.astype(int64)
        if op in (ANY, ALL):
            x = x if x.node.dtype is bool_ else x != 0
        logical = op in (MAX, MIN) and x.node.dtype is bool_
        axes = axes_of(axis, x.ndim, scalar=True)
        if needs_elements and initial is None and any(x.node.shape[a] == 0 for a in axes):
            raise ShapeError(f"np.{op.name} of an empty axis has no value; give initial=")
        row = (ANY if op is MAX else ALL) if logical else op
        if x.node.dtype is bool_ and row not in (ANY, ALL):
            x = x != 0
            row = ANY if op is SUM else ALL
        result = Tensor(apply(row, x.node, axes=axes)) if axes else x
        if initial is not None:
            result = JOINS[op.name](result, as_tensor(initial, x.node.dtype)).astype(x.dtype)
        return finish(result, x, axes, bool(keepdims))

    return reduce


sum_ = _reduction(SUM, True, False)
prod = _reduction(PROD, True, False)
_max = _reduction(MAX, False, True)
_min = _reduction(MIN, False, True)
_any = _reduction(ANY, False, False)
_all = _reduction(ALL, False, False)


def max_(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Tensor:
    """np.max."""
    return _max(a, axis, None, out, keepdims, initial, where)


def min_(
    a: Any,
    axis: Axis = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Tensor:
    """np.min."""
    return _min(a, axis, None, out, keepdims, initial, where)


def any_(
    a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, *, where: Any = True
) -> Tensor:
    """np.any."""
    return _any(a, axis, None, out, keepdims, None, where)


def all_(
    a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, *, where: Any = True
) -> Tensor:
    """np.all."""
    return _all(a, axis, None, out, keepdims, None, where)


def _count(x: Tensor, axes: tuple[int, ...]) -> Size:
    return product(x.node.shape[a] for a in axes)


def floating(a: Any) -> Tensor:
    """Integers and bools as float64."""
    x = as_tensor(a)
    return x if x.node.dtype.kind == "f" else x.astype(float64)


def mean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    *,
    where: Any = True,
) -> Tensor:
    """np.mean."""
    x = floating(a) if dtype is None else as_tensor(a).astype(dtype)
    axes = axes_of(axis, x.ndim)
    total = sum_(x, axes, out=out, keepdims=keepdims, where=where)
    return total / dimension(_count(x, axes), x.node.dtype)


def average(
    a: Any,
    axis: Axis = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Tensor:
    """np.average."""
    if returned:
        refuse("np.average with returned=True is not covered", "sum the weights yourself")
    if weights is None:
        result = mean(a, axis, keepdims=keepdims)
        if result.node.type.size == 0:
            raise ZeroDivisionError("the average of nothing has no value")
        return result
    x, w = promote(floating(a), weights)
    axes = axes_of(axis, x.ndim)
    if w.node.shape != x.node.shape:
        if axis is None:
            raise TypeError(
                "average: name the axis when weights and array differ in shape: "
                f"{w.node.type} and {x.node.type}"
            )
        given = [axis] if isinstance(axis, int) else list(axis)
        wanted = tuple(x.node.shape[i] for i in given)
        if w.node.shape != wanted:
            raise ShapeError(
                f"average: weights {w.node.type} do not fit {x.node.type} along axis {axis}"
            )
        order = sorted(range(len(given)), key=lambda i: normalize_axis(given[i], x.ndim))
        w = np.reshape(
            np.transpose(w, order),
            tuple(size if i in axes else 1 for i, size in enumerate(x.node.shape)),
        )
    total = sum_(np.broadcast_to(w, x.node.shape), axes, keepdims=keepdims)
    if total.node.type.size != 0 and _count(x, axes) == 0:
        raise ZeroDivisionError("weights of nothing sum to zero")
    return sum_(x * w, axes, keepdims=keepdims) / total


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Tensor:
    """np.var in two passes, as NumPy computes it."""
    x = floating(a) if dtype is None else as_tensor(a).astype(dtype)
    axes = axes_of(axis, x.ndim)
    center = FUNCTIONS[np.mean](x, axes, keepdims=True) if mean is None else mean
    error = x - center
    shift = ddof if correction is None else correction
    total = sum_(error * error, axes, out=out, keepdims=keepdims, where=where)
    return total / _degrees(dimension(_count(x, axes), x.node.dtype), shift)


def _degrees(count: Tensor, shift: float) -> Tensor:
    """The count less the correction, never negative."""
    return np.maximum(count - shift, 0) if shift else count


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    **options: Any,
) -> Tensor:
    """np.std."""
    return np.sqrt(var(a, axis, dtype, out, ddof, keepdims, **options))


def _arg_extremum(extremum: Any) -> Any:
    def find(
        a: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False
    ) -> Tensor:
        """The first place of the extremum; a nan counts as extreme, as in NumPy."""
        x = as_tensor(a)
        x = x.astype(int64) if x.node.dtype is bool_ else x
        if axis is None or (not x.ndim and axis in (0, -1)):
            found = find(np.reshape(x, (-1,)), 0)
            return np.reshape(found, (1,) * x.ndim) if keepdims else found
        axis = normalize_axis(axis, x.ndim)
        hit = x == extremum(x, axis, keepdims=True)
        if x.node.dtype.kind == "f":
            hit = hit | np.isnan(x)
        place = np.reshape(
            x.arange(x.node.shape[axis]), tuple(-1 if i == axis else 1 for i in range(x.ndim))
        )
        beyond = np.iinfo(np.int64).max
        return min_(np.where(hit, place, beyond), axis, keepdims=keepdims)

    return find


argmax = _arg_extremum(max_)
argmin = _arg_extremum(min_)


def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """np.count_nonzero."""
    x = as_tensor(a)
    return sum_(x if x.node.dtype is bool_ else x != 0, axis, keepdims=keepdims)


def ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Tensor:
    """np.ptp."""
    return np.subtract(max_(a, axis, out, keepdims), min_(a, axis, out, keepdims))


FUNCTIONS.update({
    np.sum: sum_, np.prod: prod, np.max: max_, np.amax: max_, np.min: min_, np.amin: min_,
    np.any: any_, np.all: all_, np.mean: mean, np.average: average, np.var: var, np.std: std,
    np.argmax: argmax, np.argmin: argmin, np.count_nonzero: count_nonzero, np.ptp: ptp,
})  # fmt: skip


def on_first_axis(fn: Any) -> Any:
    """ufunc.reduce, whose axis is 0 unless given."""

    def reduce(a: Any, axis: Axis = 0, **options: Any) -> Tensor:
        return fn(a, axis, **options)

    return reduce


def _bitwise(name: str, on_bools: Any) -> Any:
    def reduce(a: Any, axis: Axis = 0, keepdims: bool = False) -> Tensor:
        if as_tensor(a).node.dtype is not bool_:
            raise DTypeError(f"np.{name}.reduce is covered for bool, not {as_tensor(a).node.dtype}")
        return on_bools(a, axis, keepdims=keepdims)

    return reduce


METHODS.update({
    ("add", "reduce"): on_first_axis(sum_), ("multiply", "reduce"): on_first_axis(prod),
    ("maximum", "reduce"): on_first_axis(max_), ("minimum", "reduce"): on_first_axis(min_),
    ("logical_and", "reduce"): on_first_axis(all_), ("logical_or", "reduce"): on_first_axis(any_),
    ("bitwise_and", "reduce"): _bitwise("bitwise_and", all_),
    ("bitwise_or", "reduce"): _bitwise("bitwise_or", any_),
})  # fmt: skip
for _name, _fn in (
    ("sum", sum_), ("prod", prod), ("max", max_), ("min", min_), ("any", any_), ("all", all_),
    ("mean", mean), ("var", var), ("std", std), ("argmax", argmax), ("argmin", argmin),
):  # fmt: skip
    attach(_name, _fn)
