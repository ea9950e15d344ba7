"""Sums of exponentials with the largest taken out: e^x / Σ e^x = e^(x-m) / Σ e^(x-m) for any m.

The value does not depend on m, so no derivative of any order does: m is a constant to them.
"""

from __future__ import annotations

import math

import numpy as np

from graphc.graph import Node, Value, call
from graphc.ops import OPS
from graphc.ops.elementwise import STOP_GRADIENT, WHERE
from graphc.ops.reduce import MAX
from graphc.ops.shape import BROADCAST, RESHAPE
from graphc.trace import Tensor

# mypy: disable-error-code="arg-type,return-value"
# Rules are written with NumPy's functions, typed as giving arrays where tensors give tensors.

Axes = tuple[int, ...]
SUBTRACT, MINIMUM = OPS["subtract"], OPS["minimum"]


def stop(x: Value) -> Tensor:
    """x, constant to every derivative."""
    return Tensor(call(STOP_GRADIENT, x).node)


def peak(x: Node) -> Node | None:
    """The maximum that x - m subtracts, when x is such a difference."""
    if x.op is not SUBTRACT:
        return None
    m = x.operands[1]
    while m.op in (BROADCAST, RESHAPE, STOP_GRADIENT, WHERE):
        m = m.operands[1 if m.op is WHERE else 0]
    return m if m.op is MAX else None


def is_centred(x: Tensor, axis: Axes) -> bool:
    """Whether x has its own maximum along these axes subtracted already."""
    m = peak(x.node)
    return m is not None and m.operands[0] is x.node.operands[0] and m.params["axes"] == axis


def is_stopped(x: Node) -> bool:
    """Whether what x subtracts is constant to derivatives."""
    m = x.operands[1]
    while m.op in (BROADCAST, RESHAPE):
        m = m.operands[0]
    return m.op is STOP_GRADIENT


def is_empty(x: Tensor, axis: Axes) -> bool:
    """Whether the maximum would have nothing to choose from."""
    return any(x.node.shape[a] == 0 for a in axis)


def softmax(x: Tensor, axis: Axes) -> Tensor | None:
    """exp(x) / sum(exp(x)); of a person's own x - max(x) only the maximum is stopped."""
    if is_empty(x, axis):
        return None
    if not is_centred(x, axis):
        shifted = x - stop(np.max(x, axis=axis, keepdims=True))
    elif is_stopped(x.node):
        return None
    else:
        value, m = map(Tensor, x.node.operands)
        shifted = value - stop(m)
    e = np.exp(shifted)
    return e / np.sum(e, axis=axis, keepdims=True)


def weighted_softmax(t: Tensor, x: Tensor, axis: Axes) -> Tensor | None:
    """t exp(x) / sum(exp(x)), where x has the shape of the result."""
    share = softmax(x, axis) if (t * x).shape == x.shape else None
    return None if share is None else t * share


def mean_softmax(t: Tensor, x: Tensor, axis: Axes) -> Tensor | None:
    """sum(t exp(x)) / sum(exp(x)), along the same axes of equal shapes."""
    share = weighted_softmax(t, x, axis)
    return None if share is None else np.sum(share, axis=axis)


def log_sum_exp(x: Tensor, axis: Axes) -> Tensor | None:
    """log(sum(exp(x))) = m + log(sum(exp(x - m))), m = max(x), or 0 where that is infinite."""
    if is_centred(x, axis) or is_empty(x, axis):
        return None
    top = np.max(x, axis=axis, keepdims=True)
    m = stop(np.where(np.isfinite(top), top, 0))
    sums = np.sum(np.exp(x - m), axis=axis)
    # of nothing but -inf: -inf, and a gradient of 0, as that of logaddexp
    total = np.where(sums == 0, -np.inf, np.log(np.where(sums == 0, 1.0, sums)))
    return total + np.reshape(m, total.shape)


def is_weighted(x: Tensor) -> bool:
    """Whether x has the maximum over its weighted elements subtracted already."""
    if x.node.op is not MINIMUM:
        return False
    m = peak(x.node.operands[0])
    return m is not None and m.operands[0].op is WHERE


def weighted_log_sum_exp(t: Tensor, x: Tensor, axis: Axes) -> Tensor | None:
    """log(sum(t exp(x))) = m + log(sum(t exp(x - m))), m the largest x whose weight is not 0.

    A one-hot t picks an element whose exponential may underflow beside its neighbours; these, of
    weight 0, are kept from overflowing, for 0 * inf is no number.
    """
    if is_weighted(x) or is_empty(t * x, axis):
        return None
    top = np.max(np.where(t != 0, x, -math.inf), axis=axis, keepdims=True)
    m = stop(np.where(np.isfinite(top), top, 0))
    most = 0.5 * math.log(float(x.node.dtype.limits.max))
    e = np.exp(np.minimum(x - m, most))
    total = np.log(np.sum(t * e, axis=axis))
    return total + np.reshape(m, total.shape)


def log_mean_softmax(t: Tensor, x: Tensor, axis: Axes) -> Tensor | None:
    """log(sum(t softmax(x))) = log(sum(t exp(x))) - log(sum(exp(x)))"""
    weighted = weighted_log_sum_exp(t, x, axis)
    return None if weighted is None else weighted - np.log(np.sum(np.exp(x), axis=axis))
