"""Factors of small matrices: numpy.linalg's qr, eigh, svd and what follows from them.

qr reflects column by column (Householder), written out; its derivatives follow it. eigh and svd
turn pairs of columns, all disjoint pairs at once, in a loop until they are orthogonal (Jacobi;
round robin as in Golub and Van Loan, 8.5). What the loop finds is constant to derivatives; two
steps of a quadratic refinement (Ogita and Aishima 2018, 2020) then make it a function of the
matrix, right in value and in the first three derivatives. Leading axes are many matrices at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.elementwise import STOP_GRADIENT
from graphc.trace.control import scan, while_loop
from graphc.trace.coverage import FUNCTIONS, refuse
from graphc.trace.reductions import floating
from graphc.trace.solving import MOST_ROWS, square
from graphc.trace.tensor import Tensor, as_tensor

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator,type-var"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.

MOST_SWEEPS = 30
STEPS = 2
"""Of refinement."""


class QR(NamedTuple):
    """What np.linalg.qr returns."""

    Q: Tensor
    R: Tensor


class Eigh(NamedTuple):
    """What np.linalg.eigh returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVD(NamedTuple):
    """What np.linalg.svd returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def matrix(name: str, a: Any) -> Tensor:
    """A floating-point matrix, or many, of few rows and columns."""
    x = floating(as_tensor(a))
    if x.ndim < 2:
        raise ShapeError(f"np.linalg.{name} needs a matrix, not {x.node.type}")
    if any(not isinstance(size, int) or size > MOST_ROWS for size in x.node.shape[-2:]):
        refuse(
            f"np.linalg.{name} of {x.node.type} is not covered",
            f"at most {MOST_ROWS} rows and columns, their numbers known while tracing, are",
        )
    return x


def _stop(x: Tensor) -> Tensor:
    return Tensor(apply(STOP_GRADIENT, x.node))


def transposed(x: Tensor) -> Tensor:
    """The last two axes change places."""
    return np.swapaxes(x, -1, -2)


def _diagonals(x: Tensor) -> Tensor:
    return np.linalg.diagonal(x)


def _eye(x: Tensor, size: int) -> Tensor:
    return np.broadcast_to(np.eye(size, dtype=x.dtype), (*x.shape[:-2], size, size))


# --- qr -----------------------------------------------------------------------------------------


def qr(a: Any, mode: str = "reduced") -> Any:
    """np.linalg.qr."""
    if mode not in ("reduced", "complete", "r"):
        refuse(f"np.linalg.qr with mode={mode!r}", "'reduced', 'complete' and 'r' are covered")
    r = matrix("qr", a)
    rows, columns = r.shape[-2:]
    q = _eye(r, rows)
    for k in range(min(rows - 1, columns)):
        x = np.where(np.arange(rows) < k, 0, r[..., :, k])
        first, rest = x[..., k : k + 1], np.where(np.arange(rows) == k, 0, x)
        still = np.all(rest == 0, axis=-1, keepdims=True)  # the column is as it should be
        length = np.sqrt(np.sum(np.where(still, 1, x * x), axis=-1, keepdims=True))
        end = np.where(first < 0, length, -length)
        v = np.where(np.arange(rows) == k, x - end, x)
        scale = np.where(still, 0, 2 / np.sum(np.where(still, 1, v * v), axis=-1, keepdims=True))
        turn = (scale * v)[..., :, None]
        r = r - turn * (v[..., None, :] @ r)
        q = q - (q @ turn) * v[..., None, :]
    kept = rows if mode == "complete" else min(rows, columns)
    r = np.triu(r[..., :kept, :])
    return r if mode == "r" else QR(q[..., :, :kept], r)


# --- rounds of rotations --------------------------------------------------------------------------


def _next_pairs(size: int) -> np.ndarray[Any, Any]:
    """Where each place takes its column from, so that after size - 1 rounds column i has met every
    other one at the place i + size / 2, and all are back."""
    half = size // 2
    order = [0, half, *range(1, half - 1), *range(half + 1, size), half - 1]
    return np.asarray(order if half > 1 else [0, 1])


def _angle(p: Tensor, q: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of the turn that makes [[p, r], [r, q]] diagonal."""
    still = r == 0
    theta = (q - p) / np.where(still, 1, 2 * r)
    t = np.where(theta < 0, -1, 1) / (np.abs(theta) + np.hypot(theta, 1))
    t = np.where(still, 0, t).astype(p.dtype)
    c = 1 / np.sqrt(t * t + 1)
    return c, t * c


def _turned(x: Tensor, c: Tensor, s: Tensor) -> Tensor:
    """The columns i and i + half of x, turned."""
    half = x.shape[-1] // 2
    left, right = x[..., :half], x[..., half:]
    c, s = c[..., None, :], s[..., None, :]
    return np.concatenate([c * left - s * right, s * left + c * right], axis=-1)


def _swept(
    angles: Callable[[Tensor], tuple[Tensor, Tensor]],
    off: Callable[[Tensor], Tensor],
    x: Tensor,
    both: bool,
) -> tuple[Tensor, Tensor]:
    """(x, turned until `off` says that nothing is left, and the turns), rows turned too if `both`.

    The columns are even in number.
    """
    size = x.shape[-1]
    order = _next_pairs(size)

    def turn(carry: Any, _: Any) -> Any:
        x, v = carry
        c, s = angles(x)
        x, v = _turned(x, c, s), _turned(v, c, s)[..., order]
        if both:
            x = transposed(_turned(transposed(x), c, s))[..., order, :]
        return (x[..., order], v), None

    def sweep(carry: Any) -> Any:
        x, v, count = carry
        return (*scan(turn, (x, v), None, size - 1)[0], count + 1)

    def goes_on(carry: Any) -> Any:
        x, _, count = carry
        return np.any(off(x)) & (count < MOST_SWEEPS)

    x, v, _ = while_loop(goes_on, sweep, (x, _eye(x, size), np.int64(0)))
    return x, v


def _even(x: Tensor, both: bool) -> Tensor:
    """One more column of zeros (and a row) where they are odd in number."""
    if x.shape[-1] % 2 == 0:
        return x
    lead = [(0, 0)] * (x.ndim - 2)
    return np.pad(x, (*lead, (0, int(both)), (0, 1)))


# --- symmetric matrices ---------------------------------------------------------------------------


def _by_turning(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors of symmetric matrices."""
    size, eps = a.shape[-1], np.finfo(a.dtype).eps
    x = _even(a, True)
    half = x.shape[-1] // 2
    outside = ~np.eye(x.shape[-1], dtype=bool)

    def angles(x: Tensor) -> tuple[Tensor, Tensor]:
        d = _diagonals(x)
        return _angle(d[..., :half], d[..., half:], _diagonals(x[..., :half, half:]))

    def off(x: Tensor) -> Tensor:
        largest = np.max(np.abs(x), axis=(-1, -2))
        return np.max(np.abs(np.where(outside, x, 0)), axis=(-1, -2)) > 0.01 * eps * largest

    x, v = _swept(angles, off, x, True)
    w, v = _diagonals(x)[..., :size], v[..., :size, :size]
    order = np.argsort(w, axis=-1)
    return np.take_along_axis(w, order, -1), np.take_along_axis(v, order[..., None, :], -1)


def eigh(a: Any, UPLO: str = "L") -> Eigh:
    """np.linalg.eigh."""
    x = square("eigh", a)
    lower = np.tril(x) if UPLO.upper() == "L" else np.tril(transposed(x))
    x = lower + transposed(np.tril(lower, -1))
    size, eps = x.shape[-1], np.finfo(x.dtype).eps
    if size == 1:
        return Eigh(x[..., 0], np.ones_like(x))
    v = _stop(_by_turning(_stop(x))[1])
    same = np.eye(size, dtype=bool)
    for _ in range(STEPS):
        r = np.eye(size, dtype=x.dtype) - transposed(v) @ v
        s = transposed(v) @ x @ v
        w = _diagonals(s) / (1 - _diagonals(r))
        gap = w[..., None, :] - w[..., :, None]
        close = same | (np.abs(gap) <= 64 * eps * np.max(np.abs(w), axis=-1)[..., None, None])
        e = np.where(close, 0.5 * r, (s + w[..., None, :] * r) / np.where(close, 1, gap))
        v = v + v @ e
    r = 1 - np.sum(v * v, axis=-2)
    return Eigh(np.sum(v * (x @ v), axis=-2) / (1 - r), v)


def eigvalsh(a: Any, UPLO: str = "L") -> Tensor:
    """np.linalg.eigvalsh."""
    return eigh(a, UPLO).eigenvalues


# --- singular values ------------------------------------------------------------------------------


def _one_sided(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """u, s, v of matrices with no more columns than rows (Hestenes)."""
    size, eps = a.shape[-1], np.finfo(a.dtype).eps
    x = _even(a, False)
    half = x.shape[-1] // 2
    outside = ~np.eye(x.shape[-1], dtype=bool)

    def angles(x: Tensor) -> tuple[Tensor, Tensor]:
        left, right = x[..., :half], x[..., half:]
        sums = (np.sum(p * q, axis=-2) for p, q in ((left, left), (right, right), (left, right)))
        return _angle(*sums)

    def off(x: Tensor) -> Tensor:
        g = transposed(x) @ x
        d = np.sqrt(_diagonals(g))
        return np.any(outside & (np.abs(g) > 4 * eps * d[..., None, :] * d[..., :, None]))

    x, v = _swept(angles, off, x, False)
    x, v = x[..., :size], v[..., :size, :size]
    s = np.sqrt(np.sum(x * x, axis=-2))
    order = np.argsort(-s, axis=-1)
    s, x = np.take_along_axis(s, order, -1), np.take_along_axis(x, order[..., None, :], -1)
    u = x / np.where(s == 0, 1, s)[..., None, :]
    return u, s, np.take_along_axis(v, order[..., None, :], -1)


def _tall(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """u, s, v of matrices with no more columns than rows, as functions of them."""
    size, eps = x.shape[-1], np.finfo(x.dtype).eps
    u, _, v = (_stop(y) for y in _one_sided(_stop(x)))
    same = np.eye(size, dtype=bool)
    one = np.eye(size, dtype=x.dtype)
    for _ in range(STEPS):
        xv = x @ v
        r, s, t = one - transposed(u) @ u, one - transposed(v) @ v, transposed(u) @ xv
        w = _diagonals(t) / (1 - 0.5 * (_diagonals(r) + _diagonals(s)))
        mine, other = w[..., None, :], w[..., :, None]
        alpha, beta = t + mine * r, transposed(t) + mine * s
        gap = (mine - other) * (mine + other)
        tiny = 64 * eps * np.max(np.abs(w), axis=-1)[..., None, None]
        close = same | (np.abs(mine - other) <= tiny)
        gap = np.where(close, 1, gap)
        f = np.where(close, 0.5 * r, (alpha * mine + beta * other) / gap)
        g = np.where(close, 0.5 * s, (alpha * other + beta * mine) / gap)
        beyond = (xv - u @ (t + r @ t)) / np.where(mine > tiny, mine, np.inf)
        u, v = u + u @ f + beyond, v + v @ g
    w = np.sum(u * (x @ v), axis=-2)
    r, s = 1 - np.sum(u * u, axis=-2), 1 - np.sum(v * v, axis=-2)
    return u, w / (1 - 0.5 * (r + s)), v


def _thin(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns = a.shape[-2:]
    if rows >= columns:
        return _tall(a)
    v, s, u = _tall(transposed(a))
    return u, s, v


def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """np.linalg.svd."""
    x = matrix("svd", a)
    if not compute_uv:
        return svdvals(x)
    if full_matrices and x.shape[-1] != x.shape[-2]:
        refuse("np.linalg.svd with full_matrices=True", "full_matrices=False is covered")
    u, s, v = _thin(x)
    return SVD(u, s, transposed(v))


def svdvals(x: Any, /) -> Tensor:
    """np.linalg.svdvals."""
    return _thin(matrix("svdvals", x))[1]


FUNCTIONS.update({
    np.linalg.qr: qr, np.linalg.eigh: eigh, np.linalg.eigvalsh: eigvalsh, np.linalg.svd: svd,
    np.linalg.svdvals: svdvals,
})  # fmt: skip
