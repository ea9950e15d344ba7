"""NumPy forms of functions NumPy does not have, for `evaluate`. Written for clarity, not speed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from graphc.graph import Array


def _each(fn: Callable[[float], float]) -> Callable[[Array], Array]:
    """The scalar function on every element, rounded once to the argument's dtype."""
    vectorized = np.vectorize(fn, otypes=[np.float64])

    def apply(x: Array) -> Array:
        x = np.asarray(x)
        if x.size == 0:
            return x.copy()
        return np.asarray(vectorized(x.astype(np.float64))).astype(x.dtype)

    return apply


def _lgamma(x: float) -> float:
    if math.isnan(x) or math.isinf(x):
        return abs(x)
    if x <= 0 and x == math.floor(x):
        return math.inf
    try:
        return math.lgamma(x)
    except OverflowError:
        return math.inf


erf = _each(math.erf)
erfc = _each(math.erfc)
gammaln = _each(_lgamma)


def _erfcinv(c: float) -> float:
    """Halving an interval that holds it, then two steps of Newton's."""
    if not 0 <= c <= 2:
        return math.nan
    if c > 0.5:
        return _erfinv(1 - c)
    if c == 0:
        return math.inf
    if c < TINY:
        return _erfcinv_far(math.log(c))
    low, high = 0.0, 28.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if math.erfc(middle) > c else (low, middle)
    for _ in range(2):
        low += (math.erfc(low) - c) / (2 / math.sqrt(math.pi) * math.exp(-low * low))
    return low


TINY = 1e-100


def _erfcinv_far(log: float) -> float:
    """Where erfc(x) = exp(-x^2) / (x sqrt(pi)) (1 - 1/(2 x^2) + 3/(4 x^4) - ...)."""
    x = math.sqrt(-log)
    for _ in range(30):
        term = total = 1.0
        for k in range(1, 8):
            term *= -(2 * k - 1) / (2 * x * x)
            total += term
        x = math.sqrt(math.log(total / (x * math.sqrt(math.pi))) - log)
    return x


def _erfinv(x: float) -> float:
    if not abs(x) <= 0.5:
        return math.copysign(_erfcinv(1 - abs(x)), x)
    y = x * math.sqrt(math.pi) / 2
    for _ in range(6):
        y -= (math.erf(y) - x) / (2 / math.sqrt(math.pi) * math.exp(-y * y))
    return y


erfinv = _each(_erfinv)
erfcinv = _each(_erfcinv)
ndtri = _each(lambda p: math.sqrt(2) * (-_erfcinv(2 * p) if p < 0.5 else _erfcinv(2 - 2 * p)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    e = np.exp(-np.abs(x))
    one = np.asarray(1, x.dtype)
    return np.asarray(np.where(np.signbit(x), e, one) / (one + e))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    return np.asarray(np.maximum(x, np.asarray(0, x.dtype)) + np.log1p(np.exp(-np.abs(x))))


# B_2k / (2k)!, k = 1..8: the Euler-Maclaurin corrections of the Hurwitz zeta function.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_SHIFT = 10


def _digamma(x: float) -> float:
    """Recurrence up to x >= 10, then the asymptotic series (Abramowitz & Stegun 6.3.18)."""
    if math.isnan(x) or x == math.inf:
        return x
    if x == 0:
        return -math.copysign(math.inf, x)
    if x < 0:
        if x == np.floor(x):
            return math.nan
        return _digamma(1 - x) - math.pi / math.tan(math.pi * x)
    shift = 0.0
    while x < _SHIFT:
        shift -= 1 / x
        x += 1
    series = sum(b / (2 * k * x ** (2 * k)) for k, b in enumerate(_BERNOULLI, 1))
    return shift + math.log(x) - 0.5 / x - series


def _zeta(s: int, x: float) -> float:
    """Hurwitz zeta(s, x), s >= 2: direct terms, then Euler-Maclaurin (Johansson 2015)."""
    if math.isnan(x):
        return x
    if x <= 0 and x == np.floor(x):
        return math.inf if s % 2 == 0 else math.nan
    total = 0.0
    while x < _SHIFT:
        total += x ** -float(s)
        x += 1
    total += x ** (1.0 - s) / (s - 1) + 0.5 * x ** -float(s)
    factor = s * x ** (-s - 1.0)
    for k, b in enumerate(_BERNOULLI, 1):
        total += b / math.factorial(2 * k) * factor
        factor *= (s + 2 * k - 1) * (s + 2 * k) / (x * x)
    return total


def polygamma(order: int, x: Array) -> Array:
    """The order-th derivative of digamma; order 0 is digamma itself."""
    sign = (-1.0) ** (order + 1) * math.factorial(order)
    with np.errstate(all="ignore"):
        if order == 0:
            return _each(lambda v: _digamma(np.float64(v)))(x)
        return _each(lambda v: sign * _zeta(order + 1, np.float64(v)))(x)
