"""Graph -> NumPy: every node by its row's `evaluate`. The reference all C is tested against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.errors import ArgumentError
from graphc.frozen import dataclass
from graphc.graph import Array, Graph, Leaf, Node, Param, Params, Part, Region, View
from graphc.types import Dim, bfloat16, evaluate


@dataclass(frozen=True, slots=True)
class Body:
    """A graph among the parameters of a node, as `evaluate` sees it: callable, sizes known."""

    graph: Graph
    sizes: Mapping[str, int]

    def __call__(self, arrays: Sequence[object]) -> list[Array]:
        return run(self.graph, arrays, self.sizes)

    def empty(self, output: int) -> Array:
        """An array of the output's type with a leading axis of size 0."""
        kind = self.graph.outputs[output].type
        return np.zeros((0, *(evaluate(s, self.sizes) for s in kind.shape)), kind.dtype.numpy)


def run(
    graph: Graph, arrays: Sequence[object], known: Mapping[str, int] | None = None
) -> list[Array]:
    """The graph's outputs on these arrays, in order. `known` gives sizes found outside.

    Raises:
        ArgumentError: a count, dtype or shape that the graph does not take.
    """
    values = run_nodes(graph, arrays, known)
    return [values[x] for x in graph.outputs]


def run_nodes(
    graph: Graph, arrays: Sequence[object], known: Mapping[str, int] | None = None
) -> dict[Node, Array]:
    """The value of every node."""
    if len(arrays) != len(graph.inputs):
        raise ArgumentError(f"{graph.name} takes {len(graph.inputs)} arrays, {len(arrays)} given")
    values: dict[Node, Array] = {}
    sizes: dict[str, int] = dict(known or {})
    for node, given in zip(graph.inputs, arrays, strict=True):
        array = np.asarray(given)
        if array.ndim != node.type.rank or not np.can_cast(
            array.dtype, node.dtype.numpy, "same_kind"
        ):
            raise ArgumentError(f"{node.name} is {node.type}, not {array.dtype}{list(array.shape)}")
        for size, actual in zip(node.shape, array.shape, strict=True):
            if isinstance(size, Dim) and str(size).isidentifier():
                sizes.setdefault(str(size), actual)
        values[node] = array.astype(node.dtype.numpy, copy=False)
    for node in graph.inputs:
        wanted = tuple(evaluate(size, sizes) for size in node.shape)
        if values[node].shape != wanted:
            raise ArgumentError(
                f"{node.name} is {node.type} with {sizes}, not {list(values[node].shape)}"
            )
    for node in graph.nodes:
        if node not in values:
            operands = [values[x] for x in node.operands]
            if _is_foreign(node):  # as float32, which then is rounded
                operands = [
                    x.astype(np.float32) if kind.dtype is bfloat16 else x
                    for x, kind in zip(operands, node.operands, strict=True)
                ]
            found = node.op.evaluate(fixed(node.params, sizes), *operands)
            values[node] = found.astype(node.dtype.numpy) if _is_foreign(node) else found
    return values


def _is_foreign(node: Node) -> bool:
    """Whether NumPy itself does not know the numbers that are computed with."""
    if isinstance(node.op.element, Region | Part | View | Leaf) or node.op.name == "cast":
        return False
    return any(x.dtype is bfloat16 for x in (node, *node.operands))


def fixed(params: Params, sizes: Mapping[str, int]) -> Mapping[str, Any]:
    """The parameters with run-time dimensions replaced by their values."""
    if not params:
        return params

    def fix(value: Param) -> Any:
        if isinstance(value, Dim):
            return evaluate(value, sizes)
        if isinstance(value, Graph):
            return Body(value, sizes)
        return tuple(fix(v) for v in value) if isinstance(value, tuple) else value

    return {key: fix(value) for key, value in params.items()}
