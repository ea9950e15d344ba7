"""Products that need no step of a scan leave it: one product for all steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.graph import Graph, Node, apply
from graphc.ops import OPS
from graphc.ops.reduce import EINSUM, label_sizes, subscripts
from graphc.ops.shape import CONSTANT
from graphc.passes.loops import (
    Scan,
    body_of,
    count,
    items,
    made,
    part,
    placed,
    scans_of,
    substituted,
    uses,
    within,
)
from graphc.rewrite import is_number, rewrite
from graphc.trace import Tensor

ADD = OPS["add"]
WORTH_KEEPING = 4
"""So many multiplications for each element that has to be kept for all steps."""


def postpone(graph: Graph) -> Graph:
    """Products that a scan does no more than add up are taken after it, all steps at once."""
    if not scans_of(graph):
        return graph
    graph = within(graph, postpone)
    for k in range(len(scans_of(graph))):
        scan = scans_of(graph)[k]
        if not scan.is_blocked:
            graph = Leaving(scan).after(graph)
    return rewrite(graph, ())


@dataclass(slots=True)
class Leaving:
    """The products that leave one scan."""

    scan: Scan
    uses: Counter[Node] = field(init=False)
    outputs: list[Node] = field(init=False)
    sums: dict[int, list[Node]] = field(default_factory=dict)
    """For each carry the products of a step that are added to it."""
    rest: dict[int, list[Node]] = field(default_factory=dict)
    """What else is."""

    def __post_init__(self) -> None:
        self.uses = uses(self.scan.body)
        self.outputs = list(self.scan.body.outputs)

    def after(self, graph: Graph) -> Graph:
        for k in range(self.scan.carry):
            self.look(k)
        if not self.sums:
            return graph
        return self.replaced(graph)

    def look(self, k: int) -> None:
        """What is added to carry k, if that is all that happens to it."""
        state, result = self.scan.body.inputs[k], self.scan.body.outputs[k]
        if result.op is not ADD or self.uses[result] != 1 or self.uses[state] != 1:
            return
        leaves = self.leaves(result)
        if leaves.count(state) != 1 or state.shape != result.shape:
            return
        leaves.remove(state)
        chosen = [x for x in leaves if x.shape == state.shape and self.is_worth(x)]
        if chosen:
            self.sums[k] = chosen
            self.rest[k] = [x for x in leaves if x not in chosen]

    def leaves(self, node: Node) -> list[Node]:
        """The summands of a value that is read once."""
        if node.op is ADD and self.uses[node] == 1:
            return [leaf for x in node.operands for leaf in self.leaves(x)]
        return [node]

    def is_worth(self, node: Node) -> bool:
        """Whether the node is a product, of values that may be kept for all steps."""
        if node.op is not EINSUM or self.uses[node] != 1:
            return False
        rows = [x for x in node.operands if not self.is_fixed(x)]
        fresh = [x for x in rows if x not in self.scan.row_inputs and x not in self.kept]
        inputs, _ = subscripts(node.params)
        sizes = label_sizes(tuple(x.shape for x in node.operands), inputs)
        work = count(tuple(sizes.values()))
        extra = sum(count(x.shape) for x in fresh)
        return bool(rows) and extra * WORTH_KEEPING <= work and self.scan.fits(fresh)

    @property
    def kept(self) -> list[Node]:
        return self.outputs[self.scan.carry :]

    def is_fixed(self, x: Node) -> bool:
        return x in self.scan.constant_inputs or x.op is CONSTANT

    def replaced(self, graph: Graph) -> Graph:
        scan, body = self.scan, self.scan.body
        gone = [k for k in self.sums if not self.rest[k]]
        for k, rest in self.rest.items():
            if rest:
                total = Tensor(body.inputs[k])
                for x in rest:
                    total = total + Tensor(x)
                self.outputs[k] = placed(total.node, body.outputs[k], body.outputs[k].name)
        for products in self.sums.values():
            for x in (x for node in products for x in node.operands):
                if not (self.is_fixed(x) or x in scan.row_inputs or x in self.kept):
                    self.outputs.append(x)
        carries = [k for k in range(scan.carry) if k not in gone]
        order = [*carries, *range(scan.carry, len(body.inputs))]
        kept = [*(self.outputs[k] for k in carries), *self.kept]
        names = [body.output_names[k] if k < len(body.outputs) else "" for k in carries]
        names += [*body.output_names[scan.carry :], *("",) * len(kept)]
        fresh = body_of(body, [body.inputs[k] for k in order], kept)
        whole = made(
            scan.node, fresh, [scan.node.operands[k] for k in order], len(carries), scan.xs
        )
        known: dict[Node, Node] = {}
        for k, item in items(graph, scan.node):
            if k >= scan.carry:
                known[item] = part(whole, k - len(gone), item)
            elif k not in self.sums:
                known[item] = part(whole, carries.index(k), item)
            else:
                known[item] = self.total(whole, k, item, carries)
        return substituted(graph, known)[0]

    def total(self, whole: Node, k: int, item: Node, carries: Sequence[int]) -> Node:
        """Carry k after all steps."""
        start = self.scan.starts[k] if k not in carries else part(whole, carries.index(k))
        terms = [self.stacked(node, whole, item, len(carries)) for node in self.sums[k]]
        if not is_number(start, 0.0):
            terms.append(start)
        total = terms[0]
        for x in terms[1:]:
            total = placed(apply(ADD, total, x), item)
        return placed(total, item, item.name)

    def stacked(self, node: Node, whole: Node, like: Node, carries: int) -> Node:
        """The sum over all steps of a product."""
        inputs, output = subscripts(node.params)
        step = 1 + max((label for labels in (*inputs, output) for label in labels), default=0)
        operands, labels = [], []
        for x, own in zip(node.operands, inputs, strict=True):
            if x in self.scan.constant_inputs:
                operands.append(self.scan.constants[self.scan.constant_inputs.index(x)])
            elif x.op is CONSTANT:
                operands.append(x)
            elif x in self.scan.row_inputs:
                operands.append(self.scan.rows[self.scan.row_inputs.index(x)])
            else:
                operands.append(part(whole, carries + self.kept.index(x)))
            labels.append(own if self.is_fixed(x) else (step, *own))
        return placed(apply(EINSUM, *operands, inputs=tuple(labels), output=output), like)
