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
