"""Loops and branches of a batch: their bodies take batches.

Each takes (node, operands, mapped, size, batch_graph) and gives its parts, each with whether it
has the batch axis first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from graphc.graph import Graph, Node, Op, apply
from graphc.ops import batching
from graphc.ops.control import COND, SCAN, WHILE, count_of, graph_of
from graphc.ops.rules import CHECKPOINT, CUSTOM, graphs_of
from graphc.ops.shape import INPUT
from graphc.trace import Tensor, inline, items
from graphc.types import Size

# mypy: disable-error-code="arg-type,return-value,call-overload,type-var,assignment,attr-defined"
# NumPy's functions of tensors give tensors.

Parts = list[tuple[Tensor, bool]]


class BatchGraph(Protocol):
    """`batching.batch_graph`, which calls these."""

    def __call__(
        self, graph: Graph, mapped: Sequence[bool], size: Size, forced: Sequence[bool] | None = None
    ) -> tuple[Graph, list[bool]]: ...


def _full(x: Tensor, is_mapped: bool, size: Size) -> Tensor:
    return x if is_mapped else np.broadcast_to(x, (size, *x.node.shape))


def _settle(
    body: Graph, mapped: Sequence[bool], carry: int, size: Size, batch: BatchGraph
) -> tuple[Graph, list[bool], list[bool]]:
    """The body whose carry has the batch axis wherever a step gives it one; the flags of its
    inputs and of its outputs."""
    flags = list(mapped)
    while True:
        forced = [*flags[:carry], *(False,) * (len(body.outputs) - carry)]
        batched, found = batch(body, flags, size, forced)
        if found[:carry] == flags[:carry]:
            return batched, flags, found
        flags[:carry] = found[:carry]


def _scan(
    node: Node, operands: Sequence[Tensor], mapped: Sequence[bool], size: Size, batch: BatchGraph
) -> Parts:
    """Rows come first, the batch second in what is stacked."""
    c, x = count_of(node.params, "carry"), count_of(node.params, "xs")
    body, flags, found = _settle(graph_of(node.params, "body"), mapped, c, size, batch)
    carry = [
        _full(v, m, size) if f else v
        for v, m, f in zip(operands[:c], mapped[:c], flags[:c], strict=True)
    ]
    stacks = [
        np.moveaxis(v, 0, 1) if m else v
        for v, m in zip(operands[c : c + x], mapped[c : c + x], strict=True)
    ]
    fresh = apply(
        SCAN,
        *(v.node for v in (*carry, *stacks, *operands[c + x :])),
        **{**node.params, "body": body},
    )
    parts = items(fresh)
    ys = [np.moveaxis(y, 1, 0) if f else y for y, f in zip(parts[c:], found[c:], strict=True)]
    return list(zip([*parts[:c], *ys], found, strict=True))


def _while(
    node: Node, operands: Sequence[Tensor], mapped: Sequence[bool], size: Size, batch: BatchGraph
) -> Parts:
    """If examples end apart, it runs until the last does; those that have ended stand still."""
    c = count_of(node.params, "carry")
    body, test = graph_of(node.params, "body"), graph_of(node.params, "test")
    batched, flags, _ = _settle(body, mapped, c, size, batch)
    tests, (apart,) = batch(test, flags, size)
    if apart:
        flags[:c] = [True] * c
        tests, _ = batch(test, flags, size)
        batched, _ = batch(body, flags, size, [True] * c)
        batched = _standing(batched, tests)
        (going,) = tests.outputs
        tests = replace(tests, outputs=(np.any(Tensor(going)).node,))
    start = [
        _full(v, m, size) if f else v
        for v, m, f in zip(operands[:c], mapped[:c], flags[:c], strict=True)
    ]
    fresh = apply(
        WHILE,
        *(v.node for v in (*start, *operands[c:])),
        **{**node.params, "body": batched, "test": tests},
    )
    return list(zip(items(fresh), flags[:c], strict=True))


def _standing(body: Graph, test: Graph) -> Graph:
    """The body where the test holds, and the carry as it was elsewhere."""
    inputs = [replace(apply(INPUT, dtype=x.dtype, shape=x.shape), name=x.name) for x in body.inputs]
    values = [Tensor(x) for x in inputs]
    (going,) = inline(test, values)
    outputs = tuple(
        np.where(batching.aligned(going, y.node.type.rank - 1), y, x).node
        for y, x in zip(inline(body, values), values, strict=False)
    )
    return replace(body, inputs=tuple(inputs), outputs=outputs)


def _cond(
    node: Node, operands: Sequence[Tensor], mapped: Sequence[bool], size: Size, batch: BatchGraph
) -> Parts:
    """One decision for all stays a branch; one for each example makes both, and chooses."""
    graphs = [graph_of(node.params, key) for key in ("then", "other")]
    apart = mapped[0]
    flags = [any(f) for f in zip(*(batch(g, mapped[1:], size)[1] for g in graphs), strict=True)]
    wanted = [True] * len(flags) if apart else flags
    then, other = (batch(g, mapped[1:], size, wanted)[0] for g in graphs)
    if not apart:
        fresh = apply(COND, *(v.node for v in operands), then=then, other=other)
        return list(zip(items(fresh), wanted, strict=True))
    pairs = zip(inline(then, operands[1:]), inline(other, operands[1:]), strict=True)
    choice = operands[0]
    return [
        (np.where(batching.aligned(choice, a.node.type.rank - 1), a, b), True) for a, b in pairs
    ]


def _with_rule(
    node: Node, operands: Sequence[Tensor], mapped: Sequence[bool], size: Size, batch: BatchGraph
) -> Parts:
    """Values and what their derivatives need, all of them batches."""
    filled = [_full(v, m, size) for v, m in zip(operands, mapped, strict=True)]
    rules = {}
    for key, rule in graphs_of(node.params).items():
        every = [True] * len(rule.inputs)
        rules[key], _ = batch(rule, every, size, [True] * len(rule.outputs))
    fresh = apply(node.op, *(v.node for v in filled), **{**node.params, **rules})
    return [(part, True) for part in items(fresh)]


REGIONS: dict[Op, Callable[..., Parts]] = {
    SCAN: _scan,
    WHILE: _while,
    COND: _cond,
    CUSTOM: _with_rule,
    CHECKPOINT: _with_rule,
}
