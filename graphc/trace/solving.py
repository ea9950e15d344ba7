"""Small systems of linear equations: numpy.linalg's solve, inv, det, slogdet and cholesky.

Elimination by rows with the largest pivot of each column (Gauss-Jordan), written out over the
columns, whose number is known while tracing. Leading axes are many systems at once. Derivatives
follow the elimination, so that they are right to any order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphc.errors import ShapeError
from graphc.trace.coverage import FUNCTIONS, refuse
from graphc.trace.reductions import floating
from graphc.trace.tensor import Tensor, as_tensor, promote

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.

MOST_ROWS = 32
"""Of a matrix that is eliminated: the C grows with the columns."""


class Slogdet(NamedTuple):
    """What np.linalg.slogdet returns."""

    sign: Tensor
    logabsdet: Tensor


def square(name: str, a: Any) -> Tensor:
    """Floating-point square matrices of few rows."""
    x = floating(as_tensor(a))
    if x.ndim < 2 or x.node.shape[-1] != x.node.shape[-2]:
        raise ShapeError(f"np.linalg.{name} needs square matrices, not {x.node.type}")
    size = x.node.shape[-1]
    if not isinstance(size, int) or size > MOST_ROWS:
        refuse(
            f"np.linalg.{name} of {size} rows is not covered",
            f"at most {MOST_ROWS} rows, their number known while tracing, are",
        )
    return x


def _eliminated(x: Tensor, size: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """(the columns behind the first `size` once those are the identity, the pivots, whether each
    had to change places)."""
    rows = np.arange(size).reshape(-1, 1)
    pivots: list[Tensor] = []
    swaps: list[Tensor] = []
    for k in range(size):
        column = np.where(np.arange(size) >= k, np.abs(x[..., :, 0]), -1.0)
        best = np.argmax(column, axis=-1)[..., None, None]
        chosen = np.sum(np.where(rows == best, x, 0), axis=-2, keepdims=True)
        x = np.where(rows == k, chosen, np.where(rows == best, x[..., k : k + 1, :], x))
        pivot = chosen[..., :, :1]
        pivots.append(pivot[..., 0, 0])
        swaps.append(best[..., 0, 0] != k)
        scaled = chosen[..., :, 1:] / pivot
        x = np.where(rows == k, scaled, x[..., :, 1:] - x[..., :, :1] * scaled)
    return x, pivots, swaps


def solve(a: Any, b: Any) -> Tensor:
    """np.linalg.solve."""
    x, y = (floating(v) for v in promote(a, b))
    x = square("solve", x)
    single = y.ndim == 1
    y = y[:, None] if single else y
    lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    joined = [np.broadcast_to(v, (*lead, *v.shape[-2:])) for v in (x, y)]
    found = _eliminated(np.concatenate(joined, axis=-1), x.shape[-1])[0]
    return found[..., 0] if single else found


def inv(a: Any) -> Tensor:
    """np.linalg.inv."""
    x = square("inv", a)
    return solve(x, np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape))


def det(a: Any) -> Tensor:
    """np.linalg.det."""
    x = square("det", a)
    total = as_tensor(1.0, x.node.dtype)
    for pivot, swap in zip(*_eliminated(x, x.shape[-1])[1:], strict=True):
        total = total * np.where(swap, -pivot, pivot)
    return np.broadcast_to(total, x.shape[:-2])


def slogdet(a: Any) -> Slogdet:
    """np.linalg.slogdet."""
    x = square("slogdet", a)
    sign = total = None
    for pivot, swap in zip(*_eliminated(x, x.shape[-1])[1:], strict=True):
        turned = np.sign(np.where(swap, -pivot, pivot))
        size = np.log(np.abs(pivot))
        sign = turned if sign is None else sign * turned
        total = size if total is None else total + size
    if sign is None or total is None:
        return Slogdet(as_tensor(1.0), as_tensor(0.0))
    return Slogdet(sign, total)


def cholesky(a: Any, /, *, upper: bool = False) -> Tensor:
    """np.linalg.cholesky: of the lower triangle (upper: of the upper one)."""
    x = square("cholesky", a)
    x = np.swapaxes(x, -1, -2) if upper else x
    size = x.shape[-1]
    columns = []
    for k in range(size):
        root = np.sqrt(x[..., :1, :1])
        column = x[..., :, :1] / root
        before = [(0, 0)] * (x.ndim - 2)
        columns.append(np.pad(column, (*before, (k, 0), (0, 0))))
        below = column[..., 1:, :]
        x = x[..., 1:, 1:] - below * np.swapaxes(below, -1, -2)
    found = np.concatenate(columns, axis=-1)
    return np.swapaxes(found, -1, -2) if upper else found


FUNCTIONS.update({
    np.linalg.solve: solve, np.linalg.inv: inv, np.linalg.det: det, np.linalg.slogdet: slogdet,
    np.linalg.cholesky: cholesky,
})  # fmt: skip
