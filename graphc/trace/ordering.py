"""NumPy's functions that sort, rank, search, and accumulate along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.ordered import ARGSORT, RUNNING
from graphc.trace.control import scan
from graphc.trace.coverage import FUNCTIONS, METHODS, refuse
from graphc.trace.gathering import along, take
from graphc.trace.shapes import moveaxis, reshape
from graphc.trace.tensor import Tensor, as_tensor, attach, dimension, promote
from graphc.types import bool_, floordiv, int64, maximum, normalize_axis, product

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.


def _one_axis(a: Any, axis: int | None) -> tuple[Tensor, int]:
    """The tensor and the axis to go along; all elements in C order where that is None."""
    x = as_tensor(a)
    if axis is None or not x.ndim:
        return reshape(x, (-1,)), 0
    return x, normalize_axis(axis, x.ndim)


# --- order --------------------------------------------------------------------------------------


def argsort(
    a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Tensor:
    """np.argsort, always stable; nan comes last."""
    if order is not None:
        refuse("np.argsort with order= sorts records", "sort by one array")
    x, axis = _one_axis(a, axis)
    return Tensor(apply(ARGSORT, x.node, axes=(axis,)))


def sort(
    a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Tensor:
    """np.sort; nan comes last. Its derivative goes where the elements went."""
    if axis is not None:
        normalize_axis(axis, as_tensor(a).ndim)
    x, axis = _one_axis(a, axis)
    return along(x, argsort(x, axis, kind, order), axis)


def partition(
    a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None
) -> Tensor:
    """np.partition: all of it sorted, which every partition may be."""
    _check_places(a, kth, axis)
    return sort(a, axis, None, order)


def argpartition(
    a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: Any = None
) -> Tensor:
    """np.argpartition: the order of all of it."""
    _check_places(a, kth, axis)
    return argsort(a, axis, None, order)


def _check_places(a: Any, kth: Any, axis: int | None) -> None:
    x, axis = _one_axis(a, axis)
    size = x.node.shape[axis] if x.ndim else 1
    for k in np.ravel(kth).tolist():
        if isinstance(size, int) and size and not -size <= k < size:
            raise ShapeError(f"kth={k} is out of bounds for an axis of size {size}")


def sorted_rows(a: Any, axis: Any) -> tuple[Tensor, tuple[int, ...], int]:
    """Sorted along a last axis that holds all of `axis`; those axes; the rank there was."""
    x = as_tensor(a)
    x = x if x.node.dtype.kind == "f" else x.astype(np.float64)
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(sorted(normalize_axis(int(i), x.ndim) for i in given))
    rest = [i for i in range(x.ndim) if i not in axes]
    moved = np.transpose(x, (*rest, *axes))
    size = product(x.node.shape[i] for i in axes)
    rows = reshape(moved, (*(x.node.shape[i] for i in rest), size))
    if size == 0:
        raise ShapeError("the quantiles of nothing have no value")
    return sort(rows), axes, x.ndim


def spread(value: Tensor, axes: tuple[int, ...], rank: int, keepdims: bool, lead: int) -> Tensor:
    """The axes that went kept as 1, behind `lead` axes that came."""
    if not keepdims:
        return value
    sizes = iter(value.node.shape[lead:])
    kept = (1 if i in axes else next(sizes) for i in range(rank))
    return reshape(value, (*value.node.shape[:lead], *kept))


def _unless_nan(value: Tensor, rows: Tensor) -> Tensor:
    """nan where the rows hold one: they are sorted, so it would be last."""
    last = rows[..., -1]
    return np.where(np.isnan(last), last, value)


def median(
    a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False,
    keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """np.median."""
    rows, axes, rank = sorted_rows(a, axis)
    size = rows.node.shape[-1]
    low, high = floordiv(size - 1, 2), floordiv(size, 2)
    middle = rows[..., low] if low == high else (rows[..., low] + rows[..., high]) / 2
    return spread(_unless_nan(middle, rows), axes, rank, keepdims, 0)


METHODS_OF_QUANTILE = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: Any = None,
) -> Tensor:  # fmt: skip
    """np.quantile, by the methods that do not estimate a distribution."""
    if method not in METHODS_OF_QUANTILE or weights is not None or out is not None:
        refuse(
            f"np.quantile with method={method!r}, weights= or out=",
            f"use method= one of {', '.join(METHODS_OF_QUANTILE)}",
        )
    rows, axes, rank = sorted_rows(a, axis)
    if not isinstance(q, Tensor) and not ((np.asarray(q) >= 0) & (np.asarray(q) <= 1)).all():
        raise ValueError(f"quantiles lie in [0, 1], not {q}")
    level = as_tensor(q, rows.node.dtype)
    last = dimension(rows.node.shape[-1] - 1, int64)
    spot = level.astype(np.float64) * last.astype(np.float64)
    low = np.floor(spot)
    below = low.astype(np.int64)
    above = np.minimum(below + 1, last)
    share = (spot - low).astype(np.result_type(rows.dtype, level.dtype))
    share = reshape(share, (*share.shape, *(1,) * (rows.ndim - 1)))

    def at(places: Tensor) -> Tensor:
        return moveaxis(
            take(rows, places, -1, mode="clip"),
            range(rows.ndim - 1, rows.ndim - 1 + places.ndim),
            range(places.ndim),
        )

    match method:
        case "lower":
            value = at(below)
        case "higher":
            value = at(np.ceil(spot).astype(np.int64))
        case "nearest":
            value = at(np.rint(spot).astype(np.int64))
        case "midpoint":
            value = (at(below) + at(np.ceil(spot).astype(np.int64))) / 2
        case _:
            a_, b_ = at(below), at(above)
            # from the nearer end, so that both are met exactly
            value = np.where(share >= 0.5, b_ - (b_ - a_) * (1 - share), a_ + (b_ - a_) * share)
    return spread(_unless_nan(value, rows), axes, rank, keepdims, level.ndim)


def percentile(a: Any, q: Any, *args: Any, **options: Any) -> Tensor:
    """np.percentile."""
    traced = q if isinstance(q, Tensor) else np.asarray(q, np.float64)
    level = traced / 100
    return quantile(
        a, level if isinstance(level, Tensor) or np.ndim(level) else float(level), *args, **options
    )


FEW = 64
"""Elements that are compared one by one faster than by halves."""


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Tensor:
    """np.searchsorted: how many elements of the sorted `a` are less than (right: at most) each of
    v. Few, or a number known at run time, are all compared; of many, one for each halving."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is 'left' or 'right', not {side!r}")
    table, x = promote(a, v)
    if table.ndim != 1:
        raise ValueError(f"searchsorted wants a 1-d array to search, not {table.node.type}")
    if sorter is not None:
        table = take(table, sorter)
    size = table.node.shape[0]
    if not isinstance(size, int) or size <= FEW:
        found = _precedes(table, reshape(x, (*x.shape, 1)), side)
        return np.sum(found, axis=-1, dtype=np.int64)
    count = np.zeros_like(x, dtype=np.int64)
    step = 1 << (size.bit_length() - 1)
    while step:
        wider = count + step
        last = take(table, wider - 1, mode="clip")
        count = np.where((wider <= size) & _precedes(last, x, side), wider, count)
        step >>= 1
    return count


def _precedes(element: Tensor, x: Tensor, side: str) -> Tensor:
    """Whether an element of the table comes before where x belongs; nan is larger than all."""
    found = element < x if side == "left" else element <= x
    if x.node.dtype.kind != "f":
        return found
    return found | np.isnan(x) & ~np.isnan(element) if side == "left" else found | np.isnan(x)


def digitize(x: Any, bins: Any, right: bool = False) -> Tensor:
    """np.digitize; bins that descend are known while tracing, those that are traced ascend."""
    if not isinstance(bins, Tensor):
        edges = np.asarray(bins)
        if edges.size > 1 and edges[0] > edges[-1]:
            found = searchsorted(edges[::-1], x, "right" if right else "left")
            return len(edges) - found
    return searchsorted(bins, x, "left" if right else "right")


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Tensor:
    """np.interp without a period."""
    if period is not None:
        refuse("np.interp with period=", "bring x into one period with np.mod first")
    x, xp, fp = (as_tensor(y).astype(np.float64) for y in (x, xp, fp))
    if xp.ndim != 1 or xp.node.shape != fp.node.shape:
        raise ValueError(f"interp: {xp.node.type} and {fp.node.type} are not 1-d of one length")
    size = xp.node.shape[0]
    lowest = fp[0] if left is None else left
    highest = fp[-1] if right is None else right
    spot = searchsorted(xp, x, "right") - 1
    below = np.clip(spot, 0, maximum(size - 2, 0))
    above = np.minimum(below + 1, dimension(size - 1, int64))
    x0, y0 = take(xp, below, mode="clip"), take(fp, below, mode="clip")
    run = take(xp, above, mode="clip") - x0
    slope = (take(fp, above, mode="clip") - y0) / np.where(run == 0, 1, run)
    inside = np.where(x == xp[-1], fp[-1], slope * (x - x0) + y0)
    return np.where(x < xp[0], lowest, np.where(x > xp[-1], highest, inside))


# --- accumulation -------------------------------------------------------------------------------


def _running(combine: str, x: Tensor, axis: int) -> Tensor:
    return Tensor(apply(RUNNING, x.node, axes=(axis,), combine=combine, reverse=0))


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Tensor:
    """np.cumsum."""
    x, axis = _one_axis(a, axis)
    return _running("add", _widened(x, dtype), axis)


def _widened(x: Tensor, dtype: Any) -> Tensor:
    """In the dtype sums and products have: small integers and bools as int64."""
    if dtype is not None:
        return x.astype(dtype)
    return x.astype(np.int64) if x.node.dtype.kind in "bi" else x


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Tensor:
    """np.cumprod: a scan, whose derivative is right at zeros too."""
    x, axis = _one_axis(a, axis)
    return _scanned(np.multiply, 1, _widened(x, dtype), axis)


def _scanned(ufunc: np.ufunc, first: float, x: Tensor, axis: int) -> Tensor:
    """ufunc.accumulate as a loop that carries what was combined so far."""
    rows = moveaxis(x, axis, 0)
    if x.node.shape[axis] == 0:
        return x
    start = np.broadcast_to(as_tensor(first, x.node.dtype), rows.node.shape[1:])

    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        carry = ufunc(carry, row)
        return carry, carry

    return moveaxis(scan(step, start, rows)[1], 0, axis)


def _cumulative(fn: Any) -> Any:
    def cumulative(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, out: None = None,
        include_initial: bool = False,
    ) -> Tensor:  # fmt: skip
        value = as_tensor(x)
        value = value if value.ndim else reshape(value, (1,))
        if axis is None and value.ndim != 1:
            raise ValueError("axis is needed for arrays of more than one dimension")
        axis = normalize_axis(axis or 0, value.ndim)
        found = fn(value, axis, dtype)
        if not include_initial:
            return found
        shape = tuple(1 if i == axis else size for i, size in enumerate(found.node.shape))
        start = as_tensor(0 if fn is cumsum else 1, found.node.dtype)
        return np.concatenate([np.broadcast_to(start, shape), found], axis)

    return cumulative


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Tensor:
    """np.nancumsum."""
    return cumsum(_without_nan(a, 0), axis, dtype)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Tensor:
    """np.nancumprod."""
    return cumprod(_without_nan(a, 1), axis, dtype)


def _without_nan(a: Any, value: float) -> Tensor:
    x = as_tensor(a)
    return np.where(np.isnan(x), value, x).astype(x.dtype) if x.node.dtype.kind == "f" else x


def _accumulate(name: str) -> Any:
    """ufunc.accumulate, whose axis is 0 unless given."""

    def accumulate(array: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Tensor:
        x = as_tensor(array)
        axis = normalize_axis(axis, x.ndim)
        if name in ("add", "multiply"):
            return (cumsum if name == "add" else cumprod)(x, axis, dtype)
        x = x if dtype is None else x.astype(dtype)
        if name == "logaddexp":
            return _scanned(np.logaddexp, -np.inf, x, axis)
        if x.node.dtype is bool_ or name.startswith("logical"):
            whole = (x if x.node.dtype is bool_ else x != 0).astype(np.int64)
            way = "maximum" if name in ("maximum", "logical_or") else "minimum"
            return _running(way, whole, axis) != 0
        return _running(name, x, axis)

    return accumulate


for _name in ("add", "multiply", "maximum", "minimum", "logical_or", "logical_and", "logaddexp"):
    METHODS[_name, "accumulate"] = _accumulate(_name)
FUNCTIONS.update({
    np.argsort: argsort, np.sort: sort, np.partition: partition, np.argpartition: argpartition,
    np.median: median, np.quantile: quantile, np.percentile: percentile,
    np.searchsorted: searchsorted, np.digitize: digitize, np.interp: interp,
    np.cumsum: cumsum, np.cumprod: cumprod, np.nancumsum: nancumsum, np.nancumprod: nancumprod,
})  # fmt: skip
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    FUNCTIONS[np.cumulative_sum] = _cumulative(cumsum)
    FUNCTIONS[np.cumulative_prod] = _cumulative(cumprod)
for _method, _fn in (("argsort", argsort), ("cumsum", cumsum), ("cumprod", cumprod),
                     ("searchsorted", searchsorted), ("argpartition", argpartition)):  # fmt: skip
    attach(_method, _fn)
