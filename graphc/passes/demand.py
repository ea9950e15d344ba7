"""Which elements of a value anything depends on: all, none, or those where a condition holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphc.errors import GraphcError
from graphc.graph import Computed, Elementwise, Graph, Linear, Node, View, call
from graphc.ops.elementwise import WHERE
from graphc.ops.reduce import ANY, SUM
from graphc.trace import Tensor
from graphc.types import Shape

# mypy: disable-error-code="arg-type,assignment,attr-defined,return-value,call-overload,union-attr"
# Conditions are written with NumPy's functions, typed as giving arrays where tensors give tensors.

FINITENESS = frozenset(("isnan", "isinf", "isfinite"))
Demand = bool | Node
"""True: all elements; False: none; a node: those where it holds."""
Demands = Mapping[Node, Demand]


def demanded(graph: Graph) -> Demands:
    """For each node of the graph the elements that its outputs depend on, apart from those that
    a `where` passes over and those that are only asked whether they are finite."""
    wanted: dict[Node, Demand] = dict.fromkeys(graph.outputs, True)
    for node in reversed(graph.nodes):
        here = wanted.setdefault(node, False)
        for k, x in enumerate(node.operands):
            wanted[x] = _either(wanted.get(x, False), _use(node, k, here))
    return wanted


def _either(a: Demand, b: Demand) -> Demand:
    if a is True or b is True:
        return True
    if a is False or b is False or a is b:
        return a or b
    return np.logical_or(Tensor(a), Tensor(b)).node


def _use(node: Node, k: int, here: Demand) -> Demand:
    """The elements of operand k that the wanted elements of the node read."""
    if here is False or node.op.name in FINITENESS:
        return False
    x = node.operands[k]
    if node.op is WHERE and k:
        condition = Tensor(node.operands[0])
        chosen = condition if k == 1 else np.logical_not(condition)
        if here is not True:
            chosen = np.logical_and(chosen, Tensor(here))
        return fit(np.broadcast_to(chosen, node.shape), x.shape).node
    if here is True:
        return True
    if isinstance(node.op.element, Elementwise):
        return fit(np.broadcast_to(Tensor(here), node.shape), x.shape).node
    return _moved(node, k, Tensor(here))


def _moved(node: Node, k: int, here: Tensor) -> Demand:
    """The same through an op that moves elements, by its transpose."""
    rule = node.op.derivative
    moves = isinstance(node.op.element, View | Computed) or node.op is SUM
    if not moves or not isinstance(rule, Linear) or node.dtype.kind != "f":
        return True
    if node.operands[k].dtype.kind != "f":
        return True
    try:
        marks = np.where(here, 1.0, 0.0).astype(node.dtype)
        return np.greater(rule.transpose(marks, k, node), 0.0).node
    except GraphcError:
        return True


def fit(condition: Tensor, shape: Shape) -> Tensor:
    """Whether it holds anywhere along the axes on which `shape` was broadcast."""
    lead = condition.node.type.rank - len(shape)
    gone = tuple(
        axis
        for axis, size in enumerate(condition.node.shape)
        if axis < lead or (shape[axis - lead] == 1 and size != 1)
    )
    found = call(ANY, condition, axes=gone) if gone else condition
    return found if found.node.shape == shape else np.reshape(found, shape)
