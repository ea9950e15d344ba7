"""What follows from factors of small matrices: least squares, pseudo-inverses, ranks, conditions.

By qr, of full rank: derivatives are right to any order. Where singular values decide, svd's are.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from graphc.errors import ShapeError
from graphc.trace.coverage import FUNCTIONS, refuse
from graphc.trace.factoring import matrix, qr, svdvals, transposed
from graphc.trace.reductions import floating
from graphc.trace.tensor import Tensor, as_tensor, promote

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator,type-var"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.


class Lstsq(NamedTuple):
    """What np.linalg.lstsq returns."""

    x: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def _upper(r: Tensor, b: Tensor) -> Tensor:
    """x of r x = b, for upper triangular r."""
    rows: list[Tensor] = []
    for k in reversed(range(r.shape[-1])):
        rest = b[..., k : k + 1, :]
        for j, x in enumerate(reversed(rows), k + 1):
            rest = rest - r[..., k : k + 1, j : j + 1] * x
        rows.append(rest / r[..., k : k + 1, k : k + 1])
    return np.concatenate(rows[::-1], axis=-2)


def _lower(r: Tensor, b: Tensor) -> Tensor:
    """x of r^T x = b, for upper triangular r."""
    return _upper(transposed(r)[..., ::-1, ::-1], b[..., ::-1, :])[..., ::-1, :]


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Tensor:
    """np.linalg.pinv of matrices of full rank."""
    x = matrix("pinv", a)
    if x.shape[-2] < x.shape[-1]:
        return transposed(pinv(transposed(x)))
    q, r = qr(x)
    return _upper(r, transposed(q))


def lstsq(a: Any, b: Any, rcond: Any = None) -> Lstsq:
    """np.linalg.lstsq of a matrix of full rank."""
    x, y = (floating(v) for v in promote(a, b))
    x = matrix("lstsq", x)
    if x.ndim != 2 or y.ndim not in (1, 2):
        raise ShapeError(f"np.linalg.lstsq needs a matrix, not {x.node.type} and {y.node.type}")
    single = y.ndim == 1
    right = y[:, None] if single else y
    if x.shape[0] >= x.shape[1]:
        q, r = qr(x)
        found = _upper(r, q.T @ right)
    else:
        q, r = qr(x.T)
        found = q @ _lower(r, right)
    rest = right - x @ found
    sums = np.sum(rest * rest, axis=0)
    over = x.shape[0] > x.shape[1]
    residuals = sums if over else sums[:0]
    s = svdvals(x)
    tiny = max(x.shape) * np.finfo(s.dtype).eps if rcond is None or rcond == -1 else rcond
    rank = np.sum(s > s[0] * np.asarray(tiny, s.dtype))
    return Lstsq(found[:, 0] if single else found, residuals, rank, s)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Tensor:
    """np.linalg.matrix_rank."""
    x = as_tensor(A)
    if x.ndim < 2:
        return np.any(x != 0).astype(np.int64)
    s = svdvals(x)
    if tol is None:
        share = max(x.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else rtol
        tol = np.max(s, axis=-1, keepdims=True) * np.asarray(share, s.dtype)[..., None]
    else:
        tol = np.asarray(tol)[..., None]
    return np.sum(s > tol, axis=-1)


def cond(x: Any, p: Any = None) -> Tensor:
    """np.linalg.cond."""
    value = matrix("cond", x)
    if p is None or p in (2, -2):
        s = svdvals(value)
        first, last = s[..., 0], s[..., -1]
        return last / first if p == -2 else first / last
    norms = (np.linalg.norm(y, ord=p, axis=(-2, -1)) for y in (value, np.linalg.inv(value)))
    return next(norms) * next(norms)


def tensorinv(a: Any, ind: int = 2) -> Tensor:
    """np.linalg.tensorinv."""
    x = as_tensor(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    rows = math.prod(x.shape[ind:])
    return np.reshape(np.linalg.inv(np.reshape(x, (rows, -1))), (*x.shape[ind:], *x.shape[:ind]))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Tensor:
    """np.linalg.tensorsolve."""
    x, y = as_tensor(a), as_tensor(b)
    if axes is not None:
        axes = [k % x.ndim for k in axes]
        x = np.transpose(x, [*(k for k in range(x.ndim) if k not in axes), *axes])
    shape = x.shape[y.ndim :]
    size = math.prod(shape)
    return np.reshape(np.linalg.solve(np.reshape(x, (size, size)), np.reshape(y, -1)), shape)


def polyfit(
    x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Tensor:
    """np.polyfit, without full= and cov=."""
    if full or cov or not isinstance(deg, int):
        refuse("np.polyfit with full=, cov= or a sequence as degree", "leave them out")
    left, right = (floating(v) for v in promote(x, y))
    left = np.vander(left, deg + 1)
    if w is not None:
        weight = floating(as_tensor(w))
        left = left * weight[:, None]
        right = right * (weight[:, None] if right.ndim == 2 else weight)
    scale = np.sqrt(np.sum(left * left, axis=0))
    found = _least(left / scale, right)
    return found / (scale[:, None] if right.ndim == 2 else scale)


def _least(a: Tensor, b: Tensor) -> Tensor:
    """The x for which a x is nearest to b; a has no more columns than rows, which may be many."""
    triangle = np.linalg.cholesky(a.T @ a)
    right = a.T @ (b[:, None] if b.ndim == 1 else b)
    found = _upper(triangle.T, _lower(triangle.T, right))
    return found[:, 0] if b.ndim == 1 else found


FUNCTIONS.update({
    np.linalg.pinv: pinv, np.linalg.lstsq: lstsq, np.linalg.matrix_rank: matrix_rank,
    np.linalg.cond: cond, np.linalg.tensorinv: tensorinv, np.linalg.tensorsolve: tensorsolve,
    np.polyfit: polyfit,
})  # fmt: skip
