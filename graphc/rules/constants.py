"""Questions about constants, and folding: what depends on no input is computed once, by NumPy."""

from __future__ import annotations

import math

import numpy as np

from graphc import ops
from graphc.graph import Computed, Contraction, Elementwise, Node, Reduction, View, apply
from graphc.ops.shape import BROADCAST, CONSTANT, DIMENSION, INPUT, IOTA, RESHAPE
from graphc.reference import fixed
from graphc.rewrite import AnyRule, Local, array_of, number
from graphc.trace import Tensor, constant
from graphc.types import Dim

# mypy: disable-error-code="return-value,arg-type"
# Rules are written with NumPy's functions, typed as giving arrays where tensors give tensors.

LARGEST = 4096
"""Elements a folded constant may have, unless an operand has more already."""


def power_of_two(value: float | int | bool | None) -> bool:
    """Whether multiplying by value only moves the exponent."""
    return isinstance(value, float) and math.isfinite(value) and abs(math.frexp(value)[0]) == 0.5


def normal(value: float, node: Node) -> bool:
    """Whether value is finite, not zero and not subnormal in the node's dtype."""
    info = node.dtype.limits
    return float(info.tiny) <= abs(value) <= float(info.max)


def like(value: float, node: Node) -> Tensor:
    """A scalar constant of the node's dtype."""
    return constant(np.asarray(value, node.dtype.numpy))


def _fold(node: Node) -> Tensor | None:
    """The node's value, when all operands are constants and the result is not much larger."""
    if not node.operands or not all(x.op is CONSTANT for x in node.operands):
        return None
    size = node.type.size
    if isinstance(size, Dim) or any(isinstance(x, Dim) for x in _sizes(node)):
        return None
    if size > max(LARGEST, *(x.type.size for x in node.operands)):
        return None
    arrays = [array_of(x) for x in node.operands]
    value = node.op.evaluate(fixed(node.params, {}), *arrays)
    return constant(np.asarray(value, node.dtype.numpy))


def _sizes(node: Node) -> list[object]:
    flat: list[object] = []
    for value in node.params.values():
        flat += value if isinstance(value, tuple) else (value,)
    return flat


def _uniform(node: Node) -> Tensor | None:
    """A constant array of one value is that scalar, broadcast."""
    array = array_of(node)
    if array.ndim == 0 or array.size == 0:
        return None
    first = array.flat[0]
    if array.tobytes() != first.tobytes() * array.size:
        return None
    return np.broadcast_to(constant(np.asarray(first)), array.shape)


def _known_size(node: Node) -> Tensor | None:
    size = node.params["size"]
    return constant(np.asarray(size, np.int64)) if isinstance(size, int) else None


def _spread(node: Node) -> Tensor | None:
    """A reshaped scalar broadcast is a scalar broadcast."""
    value = number(node)
    if value is None:
        return None
    return np.broadcast_to(constant(np.asarray(value, node.dtype.numpy)), node.shape)


FOLDED = tuple(
    op
    for op in ops.TABLE
    if op not in (INPUT, CONSTANT, BROADCAST, DIMENSION, IOTA)
    and isinstance(op.element, Elementwise | View | Computed | Reduction | Contraction)
)

FOLD: tuple[AnyRule, ...] = (
    # f(constant, constant) = constant
    Local("fold constants", lambda x: x * np.sqrt(constant([2.0, 3.0, 4.0])), FOLDED, _fold),
    # [c, c, c] = broadcast(c): rules then see the scalar, and the C holds no array
    Local("uniform constant", lambda x: x * np.full((2, 3), 1.5), (CONSTANT,), _uniform),
    # reshape(broadcast(c)) = broadcast(c)
    Local(
        "reshaped constant",
        lambda x: x + np.reshape(np.broadcast_to(constant(2.0), (3, 2)), (2, 3)),
        (RESHAPE,),
        _spread,
    ),
    # a dimension that is known is a number
    Local("known size", lambda x: x * Tensor(apply(DIMENSION, size=3)), (DIMENSION,), _known_size),
)
