"""The functions that scipy.special wrote in Python, on tensors: no ufuncs, so `lessons` teaches
them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc.graph import apply
from graphc.ops.elementwise import POLYGAMMA, STOP_GRADIENT
from graphc.trace.coverage import PYTHON, refuse
from graphc.trace.scipy_special import binomial, gamma, gammaln
from graphc.trace.tensor import Tensor, as_tensor
from graphc.types import float64

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,type-var"
# NumPy's functions of tensors give tensors.


def _floating(x: Any) -> Tensor:
    value = as_tensor(x)
    return value if value.node.dtype.kind == "f" else value.astype(float64)


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two floating-point tensors of one dtype."""
    x, y = _floating(a), _floating(b)
    dtype = np.promote_types(x.dtype, y.dtype)
    return x.astype(dtype), y.astype(dtype)


def _logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    if b is None and not return_sign:
        return np.log(np.sum(np.exp(_floating(a)), axis=axis, keepdims=keepdims))
    x, weight = _pair(a, 1.0 if b is None else b)
    x = np.where(weight == 0, -math.inf, x)
    top = np.max(x, axis=axis, keepdims=True)
    top = Tensor(apply(STOP_GRADIENT, np.where(np.isfinite(top), top, 0).node))
    total = np.sum(weight * np.exp(x - top), axis=axis, keepdims=True)
    size = np.abs(total) if return_sign else total
    found = np.where(size == 0, -math.inf, np.log(np.where(size == 0, 1, size)) + top)
    results = (found, np.sign(total))
    if not keepdims:
        axes = tuple(range(x.ndim)) if axis is None else axis
        results = tuple(np.squeeze(y, axis=axes) for y in results)
    return results if return_sign else results[0]


def _softmax(x: Any, axis: Any = None) -> Tensor:
    e = np.exp(_floating(x))
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: Any = None) -> Tensor:
    value = _floating(x)
    return value - np.log(np.sum(np.exp(value), axis=axis, keepdims=True))


def _whole(name: str, what: str, n: Any, least: int) -> np.ndarray[Any, Any]:
    """A constant array of whole numbers."""
    if isinstance(n, Tensor):
        shown = what.split()[-1]
        refuse(f"scipy.special.{name} with a traced {shown}", "give whole numbers, not traced")
    given = np.asarray(n)
    if np.any(given != np.floor(given)) or np.any(given < least):
        refuse(f"scipy.special.{name} with {what} {n}", f"give whole numbers, {least} or more")
    return given.astype(int)


def _polygamma(n: Any, x: Any) -> Tensor:
    orders, value = _whole("polygamma", "an order", n, 0), _floating(x)
    found = [(k, Tensor(apply(POLYGAMMA, value.node, order=int(k)))) for k in np.unique(orders)]
    result = np.broadcast_to(found[0][1], np.broadcast_shapes(orders.shape, value.shape))
    for k, y in found[1:]:
        result = np.where(orders == k, y, result)
    return result


def _zeta(x: Any, q: Any = None, out: Any = None) -> Tensor:
    if out is not None:
        refuse("scipy.special.zeta with out=", "use what it returns")
    if q is None:
        refuse("scipy.special.zeta of a traced value", "scipy.special.zeta(2, q) is covered")
    power = _whole("zeta", "a power", x, 2)
    sign = (-1.0) ** power / np.vectorize(math.factorial)(power - 1)
    return sign * _polygamma(power - 1, q)


def _multigammaln(a: Any, d: Any) -> Tensor:
    count, value = int(_whole("multigammaln", "a dimension", d, 1)), _floating(a)
    total = np.asarray(count * (count - 1) * 0.25 * math.log(math.pi), value.dtype)
    for j in range(count):
        total = total + gammaln(value - j / 2)
    return total


def _factorial(n: Any, exact: bool = False, extend: str = "zero") -> Tensor:
    if exact or extend != "zero":
        refuse("scipy.special.factorial with exact=True or extend=", "leave them out")
    value = _floating(n)
    return np.where(value < 0, 0, gamma(np.where(value < 0, 1, value) + 1))


def _comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Tensor:
    if exact:
        refuse("scipy.special.comb with exact=True", "leave it out")
    n, k = _pair(N, k)
    if repetition:
        return np.where((k == 0) & (n >= 0), 1, binomial(n + k - 1, k))
    return np.where((k <= n) & (n >= 0) & (k >= 0), binomial(n, k), 0)


def _perm(N: Any, k: Any, exact: bool = False) -> Tensor:
    if exact:
        refuse("scipy.special.perm with exact=True", "leave it out")
    n, k = _pair(N, k)
    inside = (k <= n) & (n >= 0) & (k >= 0)
    n, k = np.where(inside, n, 0), np.where(inside, k, 0)
    return np.where(inside, np.exp(gammaln(n + 1) - gammaln(n - k + 1)), 0)


PYTHON["scipy.special"] = {
    "logsumexp": _logsumexp, "softmax": _softmax, "log_softmax": _log_softmax,
    "polygamma": _polygamma, "zeta": _zeta, "multigammaln": _multigammaln,
    "factorial": _factorial, "comb": _comb, "perm": _perm,
}  # fmt: skip
