"""NumPy's functions that are a few others: diagonals, triangles, differences, polynomials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.graph import apply
from graphc.ops.shape import DIAGONAL
from graphc.trace.coverage import FUNCTIONS, refuse
from graphc.trace.indexing import slice_range
from graphc.trace.shapes import broadcast_to, moveaxis, reshape
from graphc.trace.tensor import Tensor, as_tensor, attach, promote
from graphc.types import Size, bool_, float64, maximum, minimum, normalize_axis


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """np.diagonal."""
    x = as_tensor(a)
    if x.ndim < 2 or normalize_axis(axis1, x.ndim) == normalize_axis(axis2, x.ndim):
        raise ShapeError(f"diagonal needs two axes, not {axis1} and {axis2} of {x.node.type}")
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.node.shape[-2:]
    down, right = max(-offset, 0), max(offset, 0)
    length = maximum(minimum(rows - down, columns - right), 0)
    if length == 0:
        down = right = 0
    x = slice_range(x, x.ndim - 2, down, down + length)
    x = slice_range(x, x.ndim - 1, right, right + length)
    return Tensor(apply(DIAGONAL, x.node))


def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Tensor:
    """np.linalg.diagonal: of the last two axes."""
    return diagonal(x, offset, -2, -1)


def diag(v: Any, k: int = 0) -> Tensor:
    """np.diag: a diagonal from a matrix, a matrix from a diagonal."""
    x = as_tensor(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag needs one or two dimensions, not {x.node.type}")
    n = x.node.shape[0]
    square = np.where(_offsets(x, n, n) == 0, broadcast_to(x, (n, n)), np.zeros((), x.dtype))
    widths = ((max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0)))
    return np.pad(square, widths) if k else square


def diagflat(v: Any, k: int = 0) -> Tensor:
    """np.diagflat."""
    return diag(reshape(v, (-1,)), k)


def _offsets(x: Tensor, rows: Size, columns: Size) -> Tensor:
    """column - row for every element of a matrix."""
    return reshape(x.arange(columns), (1, -1)) - reshape(x.arange(rows), (-1, 1))


def _triangle(m: Any, keep: Callable[[Tensor], Tensor]) -> Tensor:
    x = as_tensor(m)
    if not x.ndim:
        raise ShapeError("a triangle needs at least one dimension, not a scalar")
    rows, columns = x.node.shape[-2:] if x.ndim > 1 else x.node.shape * 2
    return np.where(keep(_offsets(x, rows, columns)), x, np.zeros((), x.dtype))


def tril(m: Any, k: int = 0) -> Tensor:
    """np.tril."""
    return _triangle(m, lambda offset: offset <= k)


def triu(m: Any, k: int = 0) -> Tensor:
    """np.triu."""
    return _triangle(m, lambda offset: offset >= k)


# --- differences --------------------------------------------------------------------------------


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """np.diff."""
    x = as_tensor(a)
    if n == 0:
        return x
    if n < 0 or not x.ndim:
        raise ShapeError(
            f"diff of order {n} of {x.node.type}: the order must not be negative, and "
            "there must be a dimension"
        )
    axis = normalize_axis(axis, x.ndim)
    parts = [_widened(part, x, axis) for part in (prepend,) if part is not None]
    tail = [_widened(part, x, axis) for part in (append,) if part is not None]
    if parts or tail:
        x = np.concatenate([*parts, x, *tail], axis)
    for _ in range(n):
        after, before = _shifted(x, axis)
        x = after != before if x.node.dtype is bool_ else after - before
    return x


def _widened(part: Any, like: Tensor, axis: int) -> Tensor:
    """A scalar as one slice along the axis; an array as it is."""
    value = as_tensor(np.asarray(part)) if not isinstance(part, Tensor) else part
    if value.ndim:
        return value
    return broadcast_to(
        value, tuple(1 if i == axis else size for i, size in enumerate(like.node.shape))
    )


def _shifted(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """(x[1:], x[:-1]) along one axis."""
    lead = (slice(None),) * axis
    return x[(*lead, slice(1, None))], x[(*lead, slice(None, -1))]


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Tensor:
    """np.ediff1d."""
    x = reshape(ary, (-1,))
    if x.node.dtype is bool_:
        raise DTypeError("ediff1d subtracts, which is not defined for bool; use astype(np.int64)")
    ends = [
        None if part is None else reshape(as_tensor(np.asarray(part)), (-1,))
        for part in (to_begin, to_end)
    ]
    for part in ends:
        if part is not None and not np.can_cast(part.dtype, x.dtype, "same_kind"):
            raise DTypeError(f"ediff1d: {part.dtype} at the ends of {x.dtype}")
    parts = [ends[0], diff(x), ends[1]]
    return np.concatenate([part.astype(x.dtype) for part in parts if part is not None])


def gradient(f: Any, *spacing: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """np.gradient with one constant spacing for each axis."""
    x = as_tensor(f)
    axes = (
        range(x.ndim)
        if axis is None
        else [normalize_axis(i, x.ndim) for i in (axis if isinstance(axis, tuple) else (axis,))]
    )
    steps = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    if len(steps) != len(axes):
        raise TypeError("gradient takes one spacing for all axes, or one for each")
    if any(np.ndim(step) for step in steps) or edge_order != 1:
        refuse(
            "np.gradient with coordinates or edge_order=2 is not covered",
            "give one number for each axis",
        )
    if x.node.dtype.kind != "f":
        if x.node.dtype is bool_ and axes:
            raise DTypeError("gradient subtracts, which is not defined for bool")
        x = x.astype(float64)
    found = [_gradient(x, i, step) for i, step in zip(axes, steps, strict=True)]
    if isinstance(axis, int) or (len(found) == 1 and not isinstance(axis, tuple)):
        return found[0]
    return found[0] if len(found) == 1 else tuple(found)


def _gradient(x: Tensor, axis: int, step: Any) -> Tensor:
    size = x.node.shape[axis]
    if isinstance(size, int) and size < 2:
        raise ShapeError(f"gradient needs at least 2 elements along axis {axis} of {x.node.type}")
    lead = (slice(None),) * axis
    inner = (x[(*lead, slice(2, None))] - x[(*lead, slice(None, -2))]) / (2.0 * step)
    first = (x[(*lead, slice(1, 2))] - x[(*lead, slice(0, 1))]) / step
    last = (x[(*lead, slice(-1, None))] - x[(*lead, slice(-2, -1))]) / step
    return np.concatenate([first, inner, last], axis)


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """np.trapezoid."""
    value = as_tensor(y)
    axis = normalize_axis(axis, value.ndim)
    width = dx
    if x is not None:
        at = as_tensor(x)
        width = (
            diff(at, axis=axis)
            if at.ndim > 1
            else reshape(diff(at), tuple(-1 if i == axis else 1 for i in range(value.ndim)))
        )
    after, before = _shifted(value, axis)
    return np.sum(width * (after + before) / 2.0, axis)


# --- polynomials --------------------------------------------------------------------------------


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """np.vander: columns are powers."""
    value = as_tensor(x)
    if value.ndim != 1:
        raise ShapeError(f"vander needs one dimension, not {value.node.type}")
    count = value.shape[0] if N is None else N
    if not isinstance(count, int):
        refuse(f"np.vander with {count} columns", "give N, known while tracing")
    value = value.astype(np.promote_types(value.dtype, np.int64))
    powers = [np.ones_like(value)]
    for _ in range(1, count):
        powers.append(powers[-1] * value)
    if not count:
        return broadcast_to(np.zeros((), value.dtype), (value.node.shape[0], 0))
    return np.stack(powers if increasing else powers[::-1], 1)


def polyval(p: Any, x: Any) -> Tensor:
    """np.polyval by Horner's rule."""
    total: Any = np.zeros_like(as_tensor(x))
    for coefficient in as_tensor(p) if isinstance(p, Tensor) else np.asarray(p):
        total = total * x + coefficient
    return total


def _same(a: Any, b: Any) -> Tensor:
    """np.array_equiv: equal after broadcasting."""
    x, y = promote(a, b)
    try:
        return np.all(x == y)
    except ShapeError:
        return False


FUNCTIONS.update({
    np.diagonal: diagonal, np.linalg.diagonal: linalg_diagonal, np.diag: diag,
    np.diagflat: diagflat, np.tril: tril, np.triu: triu, np.diff: diff, np.ediff1d: ediff1d,
    np.gradient: gradient, np.trapezoid: trapezoid, np.vander: vander, np.polyval: polyval,
    np.array_equiv: _same,
})  # fmt: skip
attach("diagonal", diagonal)
