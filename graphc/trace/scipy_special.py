"""scipy.special's functions that are composites of ops, on tensors."""

from __future__ import annotations

import math

import numpy as np

from graphc import ops
from graphc.graph import apply
from graphc.ops.elementwise import POLYGAMMA, SOFTPLUS
from graphc.trace.coverage import COMPOSITES
from graphc.trace.tensor import Tensor


def _softplus(x: Tensor) -> Tensor:
    return Tensor(apply(SOFTPLUS, x.node))


def _xlogy(x: Tensor, y: Tensor) -> Tensor:
    still = (x == 0) & ~np.isnan(y)
    return np.where(still, 0, x * np.log(np.where(still, 1, y)))


def _xlog1py(x: Tensor, y: Tensor) -> Tensor:
    still = (x == 0) & ~np.isnan(y)
    return np.where(still, 0, x * np.log1p(np.where(still, 0, y)))


def _erfc(x: Tensor) -> Tensor:
    return Tensor(apply(ops.OPS["erfc"], x.node))


def _loggamma(x: Tensor) -> Tensor:
    """The real logarithm of the gamma function, nan where it would be complex."""
    return np.where(x < 0, np.nan, Tensor(apply(ops.OPS["gammaln"], x.node)))


COMPOSITES.update({
    "log_expit": lambda x: -_softplus(-x),
    "logit": lambda x: np.log(x / (1 - x)),
    "xlogy": _xlogy,
    "xlog1py": _xlog1py,
    "entr": lambda x: np.where(x < 0, -math.inf, -_xlogy(x, x)),
    "psi": lambda x: Tensor(apply(POLYGAMMA, x.node, order=0)),
    "ndtr": lambda x: 0.5 * _erfc(x * -math.sqrt(0.5)),
    "loggamma": _loggamma,
})  # fmt: skip


# --- the gamma function and its kin --------------------------------------------------------------


def gammaln(x: Tensor) -> Tensor:
    return Tensor(apply(ops.OPS["gammaln"], x.node))


def _gammasgn(x: Tensor) -> Tensor:
    """Of the gamma function: -1 between the poles at -1 and 0, -3 and -2, ...; nan at poles."""
    whole = np.floor(x)
    odd = _odd(whole)
    return np.where(x > 0, np.ones_like(x), np.where((x == whole) & (x < 0), np.nan, odd))


def gamma(x: Tensor) -> Tensor:
    pole = (x == np.floor(x)) & (x < 0)
    return np.where(pole, np.nan, _gammasgn(x) * np.exp(gammaln(x)))


def _is_pole(x: Tensor) -> Tensor:
    """Of the gamma function."""
    return (x == np.floor(x)) & (x <= 0)


def _odd(x: Tensor) -> Tensor:
    """-1 where x is odd, else 1."""
    return np.where(x - 2 * np.floor(x / 2) == 1, -np.ones_like(x), 1)


def _rgamma(x: Tensor) -> Tensor:
    return np.where(_is_pole(x), 0, _gammasgn(x) * np.exp(-gammaln(x)))


def _betaln(a: Tensor, b: Tensor) -> Tensor:
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def _beta(a: Tensor, b: Tensor) -> Tensor:
    sign = _gammasgn(a) * _gammasgn(b) * _gammasgn(a + b)
    return sign * np.exp(_betaln(a, b))


def binomial(n: Tensor, k: Tensor) -> Tensor:
    """n over k, of real numbers; 0 where a divisor has a pole."""
    sign = _gammasgn(n + 1) * _gammasgn(k + 1) * _gammasgn(n - k + 1)
    found = sign * np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
    found = np.where(_is_pole(k + 1) | _is_pole(n - k + 1), 0, found)
    return np.where(_is_pole(n + 1), np.nan, found)


def _poch(x: Tensor, m: Tensor) -> Tensor:
    """gamma(x + m) / gamma(x); where both have a pole, their limit by reflection."""
    below, above = _is_pole(x), _is_pole(x + m)
    both = below & above
    low, high = np.where(both, 1 - (x + m), x), np.where(both, 1 - x, x + m)
    sign = np.where(both, _odd(m), _gammasgn(x) * _gammasgn(x + m))
    found = sign * np.exp(gammaln(high) - gammaln(low))
    return np.where(both, found, np.where(below, 0, np.where(above, math.inf, found)))


# --- entropies and losses -------------------------------------------------------------------------


def _rel_entr(x: Tensor, y: Tensor) -> Tensor:
    inside = (x > 0) & (y > 0)
    ratio = np.where(inside, x, 1) / np.where(inside, y, 1)
    edge = np.where((x == 0) & (y >= 0), 0, math.inf).astype(x.dtype)
    found = np.where(inside, x * np.log(ratio), edge)
    return np.where(np.isnan(x) | np.isnan(y), np.nan, found)


def _kl_div(x: Tensor, y: Tensor) -> Tensor:
    return _rel_entr(x, y) - x + y


def _huber(delta: Tensor, r: Tensor) -> Tensor:
    size = np.abs(r)
    found = np.where(size <= delta, 0.5 * (r * r), delta * (size - 0.5 * delta))
    return np.where(delta < 0, math.inf, found)


def _pseudo_huber(delta: Tensor, r: Tensor) -> Tensor:
    still = (delta == 0) | (r == 0)
    v = r / np.where(still, 1, delta)
    # sqrt(1 + v v) - 1, without cancellation
    found = delta * delta * (v * v) / (np.sqrt(1 + v * v) + 1)
    return np.where(delta < 0, math.inf, np.where(still, 0 * r, found))


# --- exponentials ---------------------------------------------------------------------------------


def _exprel(x: Tensor) -> Tensor:
    return np.where(x == 0, 1 + x / 2, np.expm1(x) / np.where(x == 0, 1, x))


def _boxcox(x: Tensor, power: Tensor) -> Tensor:
    return _boxcox_of_log(np.log(x), power)


def _boxcox_of_log(log: Tensor, power: Tensor) -> Tensor:
    """(exp(power log) - 1) / power, and its limit log at 0."""
    still = power == 0
    curve = np.expm1(power * log) / np.where(still, 1, power)
    limit = np.where(np.isinf(log), log, log * (1 + power * log / 2))
    return np.where(still, limit, curve)


def _inv_boxcox(y: Tensor, power: Tensor) -> Tensor:
    still = power == 0
    rate = np.log1p(power * y) / np.where(still, 1, power)
    return np.exp(np.where(still, y * (1 - power * y / 2), rate))


def _inv_boxcox1p(y: Tensor, power: Tensor) -> Tensor:
    still = power == 0
    rate = np.log1p(power * y) / np.where(still, 1, power)
    return np.expm1(np.where(still, y * (1 - power * y / 2), rate))


FAR_LEFT = -12.0


def _log_ndtr(x: Tensor) -> Tensor:
    """log of the normal distribution; far left its asymptotic series (Abramowitz & Stegun
    26.2.12)."""
    near = np.where(x < FAR_LEFT, FAR_LEFT, x)
    middle = np.log(0.5 * _erfc(near * -math.sqrt(0.5)))
    right = np.log1p(-0.5 * _erfc(np.where(x > 0, x, 0) * math.sqrt(0.5)))
    far = np.where(x < FAR_LEFT, x, FAR_LEFT)
    u = 1 / (far * far)
    series = 1 - u * (1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u * (1 - 11 * u)))))
    left = -0.5 * (far * far) - np.log(-far) - 0.5 * math.log(2 * math.pi) + np.log(series)
    return np.where(x < FAR_LEFT, left, np.where(x > 0, right, middle))


def _cosm1(x: Tensor) -> Tensor:
    half = np.sin(x / 2)
    return -2 * half * half


COMPOSITES.update({
    "binom": binomial, "poch": _poch,
    "gamma": gamma, "rgamma": _rgamma, "gammasgn": _gammasgn, "beta": _beta, "betaln": _betaln,
    "rel_entr": _rel_entr, "kl_div": _kl_div, "huber": _huber,
    "pseudo_huber": _pseudo_huber, "exprel": _exprel, "exp10": lambda x: np.power(10.0, x),
    "boxcox": _boxcox, "boxcox1p": lambda x, power: _boxcox_of_log(np.log1p(x), power),
    "inv_boxcox": _inv_boxcox, "inv_boxcox1p": _inv_boxcox1p, "log_ndtr": _log_ndtr,
    "cosm1": _cosm1, "sindg": lambda x: np.sin(x * (math.pi / 180)),
    "cosdg": lambda x: np.cos(x * (math.pi / 180)),
})  # fmt: skip
