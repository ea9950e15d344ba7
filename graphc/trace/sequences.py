"""NumPy's functions of sequences: convolutions, polynomials, ramps, covariances, phases."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.trace.coverage import FUNCTIONS, refuse
from graphc.trace.shapes import reshape
from graphc.trace.tensor import Tensor, as_tensor, promote
from graphc.types import float64, normalize_axis

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.


# --- convolutions ---------------------------------------------------------------------------------


def _vectors(name: str, a: Any, v: Any) -> tuple[Tensor, Tensor]:
    x, y = promote(a, v)
    x, y = (reshape(z, (1,)) if not z.ndim else z for z in (x, y))
    for z in (x, y):
        if z.ndim != 1 or z.node.shape[0] == 0:
            raise ShapeError(f"np.{name} needs vectors with elements, not {z.node.type}")
        if not isinstance(z.node.shape[0], int):
            refuse(f"np.{name} of {z.node.type}", "give both vectors sizes known while tracing")
    return x, y


def _convolved(x: Tensor, y: Tensor, mode: str, late: bool) -> Tensor:
    """The convolution; `late`: of an even number of places to centre at, the later."""
    long, short = (x, y) if x.shape[0] >= y.shape[0] else (y, x)
    n, m = long.shape[0], short.shape[0]
    before = {"valid": 0, "full": m - 1, "same": m - 1 - (m // 2 if late else (m - 1) // 2)}
    if mode not in before:
        raise ValueError(f"mode is 'full', 'same' or 'valid', not {mode!r}")
    size = {"valid": n - m + 1, "full": n + m - 1, "same": n}[mode]
    after = size - (n - m + 1) - before[mode]
    padded = np.pad(long, (before[mode], after))
    windows = np.lib.stride_tricks.sliding_window_view(padded, m)
    return np.einsum("ij,j->i", windows, short[::-1])


def convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    """np.convolve."""
    return _convolved(*_vectors("convolve", a, v), mode, False)


def correlate(a: Any, v: Any, mode: str = "valid") -> Tensor:
    """np.correlate."""
    x, y = _vectors("correlate", a, v)
    return _convolved(x, y[::-1], mode, x.shape[0] < y.shape[0])


# --- polynomials ----------------------------------------------------------------------------------


def _coefficients(p: Any) -> Tensor:
    x = as_tensor(p)
    return reshape(x, (1,)) if not x.ndim else x


def _lengthened(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    x, y = (_coefficients(p) for p in promote(a, b))
    longest = max(x.shape[0], y.shape[0])
    return np.pad(x, (longest - x.shape[0], 0)), np.pad(y, (longest - y.shape[0], 0))


def polyadd(a1: Any, a2: Any) -> Tensor:
    """np.polyadd."""
    x, y = _lengthened(a1, a2)
    return x + y


def polysub(a1: Any, a2: Any) -> Tensor:
    """np.polysub."""
    x, y = _lengthened(a1, a2)
    return x - y


def polymul(a1: Any, a2: Any) -> Tensor:
    """np.polymul."""
    return convolve(_coefficients(a1), _coefficients(a2))


def polyder(p: Any, m: int = 1) -> Tensor:
    """np.polyder."""
    x = _coefficients(p)
    for _ in range(m):
        x = x[:-1] * np.arange(x.shape[0] - 1, 0, -1)
    return x


def polyint(p: Any, m: int = 1, k: Any = None) -> Tensor:
    """np.polyint."""
    x = _coefficients(p)
    constants = np.zeros(m) if k is None else np.broadcast_to(k, (m,))
    for i in range(m):
        last = reshape(as_tensor(constants[i], float64), (1,))
        x = np.concatenate([x / np.arange(x.shape[0], 0, -1), last])
    return x


# --- ramps ----------------------------------------------------------------------------------------


def _ramp(num: int, endpoint: bool, rank: int) -> Any:
    """Shares of the way, along a first axis."""
    steps = num - 1 if endpoint else num
    return (np.arange(num) / max(steps, 1)).reshape(-1, *(1,) * rank)


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """np.linspace between traced ends."""
    low, high = promote(start, stop, 0.0)[:2]
    rank = max(low.ndim, high.ndim)
    found = low + _ramp(num, endpoint, rank) * (high - low)
    found = np.moveaxis(found if dtype is None else found.astype(dtype), 0, axis)
    steps = num - 1 if endpoint else num
    return (found, (high - low) / steps) if retstep else found


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Tensor:  # fmt: skip
    """np.logspace between traced ends."""
    found = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return found if dtype is None else found.astype(dtype)


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:
    """np.geomspace between traced ends of one sign."""
    low, high = promote(start, stop, 0.0)[:2]
    share = _ramp(num, endpoint, max(low.ndim, high.ndim))
    found = np.moveaxis(low * (high / low) ** share, 0, axis)
    return found if dtype is None else found.astype(dtype)


# --- statistics and phases ------------------------------------------------------------------------


def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Tensor:  # fmt: skip
    """np.cov without weights."""
    if fweights is not None or aweights is not None:
        refuse("np.cov with fweights= or aweights=", "weight the products of the deviations")
    parts = [as_tensor(x).astype(dtype or np.float64) for x in ((m,) if y is None else (m, y))]
    if any(x.ndim > 2 for x in parts):
        raise ShapeError("cov takes variables of one or two dimensions")
    rows = [np.atleast_2d(x) if x.ndim < 2 or rowvar else x.T for x in parts]
    x = np.concatenate(rows) if len(rows) > 1 else rows[0]
    degrees = x.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    deviation = x - np.mean(x, axis=1, keepdims=True)
    return np.squeeze(deviation @ deviation.T / degrees)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Tensor:
    """np.corrcoef."""
    found = cov(x, y, rowvar, dtype=dtype)
    if not found.ndim:
        return found / found
    spread = np.sqrt(np.diagonal(found))
    return found / spread[:, None] / spread[None, :]


def unwrap(
    p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi
) -> Tensor:
    """np.unwrap."""
    x = as_tensor(p)
    x = x if x.node.dtype.kind == "f" else x.astype(float64)
    axis = normalize_axis(axis, x.ndim)
    half = period / 2
    step = np.diff(x, axis=axis)
    near = np.mod(step + half, period) - half
    near = np.where((near == -half) & (step > 0), half, near)
    jump = half if discont is None else discont
    turn = np.where(np.abs(step) < jump, 0, near - step)
    lead = (slice(None),) * axis
    first, rest = x[(*lead, slice(0, 1))], x[(*lead, slice(1, None))]
    return np.concatenate([first, rest + np.cumsum(turn, axis=axis)], axis)


FUNCTIONS.update({
    np.convolve: convolve, np.correlate: correlate, np.polyadd: polyadd, np.polysub: polysub,
    np.polymul: polymul, np.polyder: polyder, np.polyint: polyint, np.linspace: linspace,
    np.logspace: logspace, np.geomspace: geomspace, np.cov: cov, np.corrcoef: corrcoef,
    np.unwrap: unwrap,
})  # fmt: skip
