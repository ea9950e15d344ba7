"""Graph -> Graph with a batch axis: every node that depends on a mapped input has it first.

What does not depend on one is computed once for the whole batch. Source of the idea: `vmap` of
JAX (Bradbury et al. 2018), here on graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graphc.errors import TraceError, VerifyError
from graphc.graph import (
    Contraction,
    Elementwise,
    Graph,
    Node,
    Part,
    Reduction,
    Region,
    apply,
    building,
    walk,
)
from graphc.ops import batching
from graphc.ops.control import count_of
from graphc.ops.reduce import subscripts
from graphc.ops.shape import INPUT
from graphc.trace import Tensor
from graphc.transform import batched_control
from graphc.types import Size

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,misc"
# NumPy's functions of tensors give tensors.

Flags = tuple[bool, ...]


@dataclass(slots=True)
class Batch:
    """What nodes became: their values, and whether those have the batch axis."""

    size: Size
    values: dict[Node, Tensor] = field(default_factory=dict)
    mapped: dict[Node, bool] = field(default_factory=dict)
    parts: dict[Node, list[tuple[Tensor, bool]]] = field(default_factory=dict)

    def put(self, node: Node, value: Tensor, mapped: bool) -> None:
        self.values[node], self.mapped[node] = value, mapped

    def full(self, node: Node) -> Tensor:
        """The value of a node with the batch axis."""
        value = self.values[node]
        return value if self.mapped[node] else spread(value, self.size)


def spread(value: Tensor, size: Size) -> Tensor:
    """The same value for every example."""
    return np.broadcast_to(value, (size, *value.node.shape))


def run(outputs: Iterable[Node], batch: Batch) -> None:
    """Fills in what every node becomes; the inputs are in the batch already."""
    part, cites, locate = building.part, building.cites, building.locate
    try:
        for node in walk(outputs):
            if node not in batch.values and node not in batch.parts:
                building.part, building.cites = node.part, node.cites
                building.locate = lambda source=node.source: source
                _step(node, batch)
    finally:
        building.part, building.cites, building.locate = part, cites, locate


def _step(node: Node, batch: Batch) -> None:
    if isinstance(node.op.element, Part):
        bundle = node.operands[0]
        if bundle in batch.parts:
            batch.put(node, *batch.parts[bundle][count_of(node.params, "part")])
            return
    operands = tuple(batch.values[x] for x in node.operands)
    mapped = tuple(batch.mapped[x] for x in node.operands)
    if not any(mapped):
        batch.put(node, _again(node, operands), False)
        return
    if isinstance(node.op.element, Region):
        rule = batched_control.REGIONS[node.op]
        batch.parts[node] = rule(node, operands, mapped, batch.size, batch_graph)
        return
    value = _mapped(node, operands, mapped)
    if value.node.shape != (batch.size, *node.shape):
        raise VerifyError(f"{node!r} in a batch of {batch.size} has type {value.node.type}")
    if node.name and not value.node.name and all(value.node is not x.node for x in operands):
        value = Tensor(replace(value.node, name=node.name))
    batch.put(node, value, True)


def _again(node: Node, operands: Sequence[Tensor]) -> Tensor:
    """The node on what its operands became."""
    given = tuple(x.node for x in operands)
    same = all(a is b for a, b in zip(given, node.operands, strict=True))
    return Tensor(node if same else replace(node, operands=given))


def _mapped(node: Node, operands: tuple[Tensor, ...], mapped: Flags) -> Tensor:
    """One op on a batch."""
    if node.op.batch is not None:
        value = node.op.batch(operands, mapped, node)
        if not isinstance(value, Tensor):
            raise VerifyError(f"the batch rule of {node.op} gave {value!r}, not a tensor")
        return value
    params = node.params
    match node.op.element:
        case Elementwise():
            pairs = zip(operands, mapped, strict=True)
            rank = node.type.rank
            operands = tuple(batching.aligned(x, rank) if m else x for x, m in pairs)
        case Reduction():
            params = {**params, "axes": batching.after(node)}
        case Contraction():
            inputs, output = subscripts(params)
            label = 1 + max((i for labels in (*inputs, output) for i in labels), default=-1)
            labeled = zip(inputs, mapped, strict=True)
            inputs = tuple((label, *labels) if m else labels for labels, m in labeled)
            params = {**params, "inputs": inputs, "output": (label, *output)}
        case _:
            place = f" at {node.source}" if node.source else ""
            raise TraceError(
                f"vmap does not cover {node.op}{place}; take it out of the mapped function"
            )
    return Tensor(apply(node.op, *(x.node for x in operands), **params))


def batch_graph(
    graph: Graph, mapped: Sequence[bool], size: Size, forced: Sequence[bool] | None = None
) -> tuple[Graph, list[bool]]:
    """The graph of a batch: (inputs with a batch axis where mapped) -> outputs; and which of those
    have the batch axis. `forced` ones have it in any case."""
    batch = Batch(size)
    inputs = []
    for x, is_mapped in zip(graph.inputs, mapped, strict=True):
        shape = (size, *x.shape) if is_mapped else x.shape
        fresh = replace(apply(INPUT, dtype=x.dtype, shape=shape), name=x.name)
        inputs.append(fresh)
        batch.put(x, Tensor(fresh), is_mapped)
    run(graph.outputs, batch)
    wanted = [
        batch.mapped[y] or (forced is not None and forced[k]) for k, y in enumerate(graph.outputs)
    ]
    outputs = [
        (batch.full(y) if is_mapped else batch.values[y]).node
        for y, is_mapped in zip(graph.outputs, wanted, strict=True)
    ]
    return replace(graph, inputs=tuple(inputs), outputs=tuple(outputs)), wanted


__all__ = ["Batch", "batch_graph", "run", "spread"]
