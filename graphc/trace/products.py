"""NumPy's functions that are a product or a norm of others: outer, kron, cross, powers, norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.trace.composites import linalg_diagonal
from graphc.trace.contractions import dot, matmul, tensordot
from graphc.trace.coverage import FUNCTIONS, UFUNCS
from graphc.trace.reductions import axes_of, floating, max_, min_, sum_
from graphc.trace.tensor import Tensor, as_tensor, attach, promote
from graphc.types import normalize_axis, product


def inner(a: Any, b: Any) -> Tensor:
    """np.inner."""
    x, y = promote(a, b)
    if not x.ndim or not y.ndim:
        return x * y
    return tensordot(x, y, axes=([-1], [-1]))


def outer(a: Any, b: Any, out: None = None) -> Tensor:
    """np.outer."""
    x, y = (np.reshape(v, (-1,)) for v in promote(a, b))
    return x[:, None] * y[None, :]


def linalg_outer(x1: Any, x2: Any, /) -> Tensor:
    """np.linalg.outer: of vectors only."""
    for x in (x1, x2):
        if as_tensor(x).ndim != 1:
            raise ShapeError(f"linalg.outer needs vectors, not {as_tensor(x).node.type}")
    return outer(x1, x2)


def vdot(a: Any, b: Any) -> Tensor:
    """np.vdot."""
    x, y = promote(a, b)
    return dot(np.reshape(x, (-1,)), np.reshape(y, (-1,)))


def vecdot(a: Any, b: Any, axis: int = -1) -> Tensor:
    """np.vecdot."""
    x, y = (np.moveaxis(v, axis, -1) for v in promote(a, b))
    if x.node.shape[-1] != y.node.shape[-1]:
        raise ShapeError(f"vecdot: {x.node.shape[-1]} elements against {y.node.shape[-1]}")
    return sum_(x * y, -1, dtype=x.dtype)


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None
) -> Tensor:
    """np.trace."""
    return sum_(np.diagonal(a, offset, axis1, axis2), -1, dtype=dtype)


def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """np.linalg.trace."""
    return sum_(linalg_diagonal(x, offset=offset), -1, dtype=dtype)


def kron(a: Any, b: Any) -> Tensor:
    """np.kron."""
    x, y = promote(a, b)
    rank = max(x.ndim, y.ndim)
    x, y = (np.reshape(v, (1,) * (rank - v.ndim) + v.node.shape) for v in (x, y))
    wide = [
        np.reshape(v, tuple(part for size in v.node.shape for part in pair(size)))
        for v, pair in ((x, lambda size: (size, 1)), (y, lambda size: (1, size)))
    ]
    joined = tuple(m * n for m, n in zip(x.node.shape, y.node.shape, strict=True))
    return np.reshape(wide[0] * wide[1], joined)


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """np.cross of vectors with three components."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = (as_tensor(v) for v in (a, b))
    if not x.ndim or not y.ndim:
        raise ShapeError("cross needs at least one dimension")
    x, y = np.moveaxis(x, axisa, -1), np.moveaxis(y, axisb, -1)
    if x.node.shape[-1] != 3 or y.node.shape[-1] != 3:
        raise ShapeError(
            f"cross needs vectors with three components, not {x.node.type} and {y.node.type}"
        )
    parts = [x[..., i] * y[..., j] - x[..., j] * y[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.moveaxis(np.stack(parts, -1), -1, axisc)


def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """np.linalg.cross."""
    return cross(x1, x2, axis=axis)


def matrix_power(a: Any, n: int) -> Tensor:
    """np.linalg.matrix_power for n >= 0, by repeated squaring."""
    x = as_tensor(a)
    if x.ndim < 2 or x.node.shape[-1] != x.node.shape[-2]:
        raise ShapeError(f"matrix_power needs square matrices, not {x.node.type}")
    if n < 0:
        return matrix_power(np.linalg.inv(x), -n)
    if n == 0:
        ones = np.where(np.broadcast_to(True, x.node.shape), np.ones((), x.dtype), x)
        row, column = (np.reshape(x.arange(x.node.shape[-1]), s) for s in ((-1, 1), (1, -1)))
        return np.where(row == column, ones, np.zeros((), x.dtype))
    result = None
    while n:
        if n % 2:
            result = x if result is None else matmul(result, x)
        n //= 2
        x = matmul(x, x) if n else x
    return result


def multi_dot(arrays: Sequence[Any], *, out: None = None) -> Tensor:
    """np.linalg.multi_dot in the order with the fewest products; unknown sizes count 64."""
    parts = [as_tensor(x) for x in arrays]
    if len(parts) < 2:
        raise ShapeError("multi_dot needs at least two arrays")
    if any(x.ndim != 2 for x in parts[1:-1]) or any(x.ndim not in (1, 2) for x in parts):
        raise ShapeError("multi_dot needs matrices, with a vector at most at either end")
    first, last = parts[0].ndim == 1, parts[-1].ndim == 1
    parts[0] = np.atleast_2d(parts[0])
    parts[-1] = np.reshape(parts[-1], (-1, 1)) if last else parts[-1]

    def cost(i: int) -> int:
        sizes = (*parts[i].node.shape, parts[i + 1].node.shape[1])
        known = [size if isinstance(size, int) else 64 for size in sizes]
        return known[0] * known[1] * known[2]

    while len(parts) > 1:
        i = min(range(len(parts) - 1), key=cost)
        parts[i : i + 2] = [dot(parts[i], parts[i + 1])]
    gone = (*((0,) if first else ()), *((1,) if last else ()))
    return np.squeeze(parts[0], gone) if gone else parts[0]


# --- norms --------------------------------------------------------------------------------------


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """numpy.linalg.norm."""
    value = floating(x)
    if axis is None and ord is None:
        root = np.sqrt(_squares(value, tuple(range(value.ndim)), False))
        return np.reshape(root, (1,) * value.ndim) if keepdims else root
    if axis is None and value.ndim not in (1, 2):
        raise ShapeError(
            f"a norm of order {ord!r} needs a vector or a matrix, not "
            f"{value.node.type}: name its axes"
        )
    axes = (
        tuple(range(value.ndim))
        if axis is None
        else ((axis,) if isinstance(axis, int) else tuple(axis))
    )
    if len(axes) == 1:
        return _vector_norm(value, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ShapeError(f"a norm has one or two axes, not {axis}")
    return _matrix_norm(value, ord, axes, keepdims)


def _squares(x: Tensor, axes: Any, keepdims: bool) -> Tensor:
    return sum_(x * x, axes, keepdims=keepdims)


def _vector_norm(x: Tensor, ord: Any, axis: int, keepdims: bool) -> Tensor:
    if ord is None or ord == 2:
        return np.sqrt(_squares(x, (axis,), keepdims))
    if isinstance(ord, str):
        raise ShapeError(f"a norm of order {ord!r} is one of matrices")
    if ord == np.inf:
        return max_(np.abs(x), (axis,), keepdims=keepdims, initial=0)
    if ord == -np.inf:
        return min_(np.abs(x), (axis,), keepdims=keepdims)
    if ord == 0:
        return sum_((x != 0).astype(x.dtype), (axis,), keepdims=keepdims)
    powers = np.abs(x) if ord == 1 else np.abs(x) ** ord
    total = sum_(powers, (axis,), keepdims=keepdims)
    return total if ord == 1 else total ** (1.0 / ord)


def _matrix_norm(x: Tensor, ord: Any, axes: Sequence[int], keepdims: bool) -> Tensor:
    rows, columns = (normalize_axis(axis, x.ndim) for axis in axes)
    if rows == columns:
        raise ShapeError(f"a matrix norm needs two axes, not {tuple(axes)}")
    if ord is None or ord == "fro":
        return np.sqrt(_squares(x, (rows, columns), keepdims))
    if ord in (2, -2, "nuc"):
        s = np.linalg.svdvals(np.moveaxis(x, (rows, columns), (-2, -1)))
        found = sum_(s, -1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]
        return np.expand_dims(found, (rows, columns)) if keepdims else found
    if ord not in (1, -1, np.inf, -np.inf):
        raise ShapeError(f"a norm of order {ord!r} is none of matrices")
    summed, best = (rows, columns) if ord in (1, -1) else (columns, rows)
    totals = sum_(np.abs(x), summed, keepdims=True)
    if ord > 0:
        found = max_(totals, best, keepdims=True, initial=0)
    else:
        found = min_(totals, best, keepdims=True)
    return found if keepdims else np.squeeze(found, (rows, columns))


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    """np.linalg.vector_norm."""
    value = floating(x)
    axes = axes_of(axis, value.ndim)
    rest = tuple(i for i in range(value.ndim) if i not in axes)
    count = product(value.node.shape[i] for i in axes)
    shape = (count, *(value.node.shape[i] for i in rest))
    joined = np.reshape(np.transpose(value, (*axes, *rest)), shape)
    found = _vector_norm(joined, ord, 0, False)
    if not keepdims:
        return found
    return np.reshape(found, tuple(1 if i in axes else s for i, s in enumerate(value.node.shape)))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """np.linalg.matrix_norm of the last two axes."""
    value = floating(x)
    if value.ndim < 2:
        raise ShapeError(f"matrix_norm needs two or more dimensions, not {value.node.type}")
    return _matrix_norm(value, ord, (-2, -1), keepdims)


def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """np.linalg.vecdot."""
    return vecdot(x1, x2, axis)


def matvec(a: Any, b: Any) -> Tensor:
    """np.matvec: of matrices and vectors, both with leading axes that broadcast."""
    x, y = promote(a, b)
    if x.ndim < 2 or not y.ndim:
        raise ShapeError(f"matvec needs matrices and vectors, not {x.node.type} and {y.node.type}")
    return matmul(x, y[..., None])[..., 0]


def vecmat(a: Any, b: Any) -> Tensor:
    """np.vecmat."""
    x, y = promote(a, b)
    if not x.ndim or y.ndim < 2:
        raise ShapeError(f"vecmat needs vectors and matrices, not {x.node.type} and {y.node.type}")
    return matmul(x[..., None, :], y)[..., 0, :]


FUNCTIONS.update({
    np.inner: inner, np.outer: outer, np.linalg.outer: linalg_outer, np.vdot: vdot,
    np.linalg.vecdot: linalg_vecdot, np.trace: trace, np.linalg.trace: linalg_trace,
    np.kron: kron, np.cross: cross, np.linalg.cross: linalg_cross,
    np.linalg.matrix_power: matrix_power, np.linalg.multi_dot: multi_dot, np.linalg.norm: norm,
    np.linalg.vector_norm: vector_norm, np.linalg.matrix_norm: matrix_norm,
})  # fmt: skip
UFUNCS.update({"vecdot": vecdot, "matvec": matvec, "vecmat": vecmat})
attach("trace", trace)
