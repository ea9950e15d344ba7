"""Scans as passes see them, and graphs in which some of them are replaced."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from graphc.frozen import dataclass
from graphc.graph import Graph, Node, Part, apply, rebuild, walk
from graphc.ops.control import ITEM, SCAN, count_of, graph_of
from graphc.ops.shape import INPUT

LARGEST_STACK = 1 << 28
"""Bytes. What would take more for all steps together is not kept for all steps."""
UNKNOWN = 1024
"""What a size known only at run time counts as."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan and its parts. Its operands: what it carries at first, rows, constants."""

    node: Node
    body: Graph
    carry: int
    xs: int

    @property
    def starts(self) -> tuple[Node, ...]:
        return self.node.operands[: self.carry]

    @property
    def rows(self) -> tuple[Node, ...]:
        return self.node.operands[self.carry : self.carry + self.xs]

    @property
    def constants(self) -> tuple[Node, ...]:
        return self.node.operands[self.carry + self.xs :]

    @property
    def row_inputs(self) -> tuple[Node, ...]:
        return self.body.inputs[self.carry : self.carry + self.xs]

    @property
    def constant_inputs(self) -> tuple[Node, ...]:
        return self.body.inputs[self.carry + self.xs :]

    @property
    def stacked(self) -> tuple[Node, ...]:
        """The results of a step that are kept for every step."""
        return self.body.outputs[self.carry :]

    @property
    def is_blocked(self) -> bool:
        """Whether its steps were meant to be run again, and nothing of them kept."""
        return bool(self.node.params.get("blocked"))

    def given(self) -> dict[tuple[bool, Node], Node]:
        """The body's inputs for rows (True) and constants (False), by what they are given."""
        rows = {(True, x): v for x, v in zip(self.rows, self.row_inputs, strict=True)}
        held = {(False, x): v for x, v in zip(self.constants, self.constant_inputs, strict=True)}
        return rows | held

    def fits(self, values: Sequence[Node]) -> bool:
        """Whether these may be kept for every step."""
        steps = count((self.node.params["length"],))
        return steps * sum(count(x.shape) * x.dtype.bytes for x in values) <= LARGEST_STACK


def count(sizes: Sequence[object]) -> int:
    """About how many elements."""
    return math.prod(size if isinstance(size, int) else UNKNOWN for size in sizes)


def scan_of(node: Node) -> Scan:
    params = node.params
    return Scan(node, graph_of(params, "body"), count_of(params, "carry"), count_of(params, "xs"))


def scans_of(graph: Graph) -> list[Scan]:
    return [scan_of(node) for node in graph.nodes if node.op is SCAN]


def items(graph: Graph, whole: Node) -> Iterator[tuple[int, Node]]:
    """The parts of a bundle that are taken."""
    for node in graph.nodes:
        if isinstance(node.op.element, Part) and node.operands[0] is whole:
            yield count_of(node.params, "part"), node


def uses(graph: Graph) -> Counter[Node]:
    """How often each node is read or given back."""
    found = Counter(graph.outputs)
    for node in graph.nodes:
        found.update(node.operands)
    return found


def part(whole: Node, k: int, like: Node | None = None) -> Node:
    """Part k of a bundle, with the name and the place of another node."""
    like = whole if like is None else like
    fresh = apply(ITEM, whole, part=k)
    return placed(fresh, like, None if like is whole else like.name)


def placed(fresh: Node, like: Node, name: str | None = None) -> Node:
    """A new node that stands where another one stood."""
    place = {"serial": like.serial, "part": like.part, "source": like.source, "cites": like.cites}
    return replace(fresh, name=name, **place)  # type: ignore[arg-type]  # fields by their names


def fresh_input(like: Node) -> Node:
    """An input of a body for a value like this one."""
    return placed(apply(INPUT, dtype=like.dtype, shape=like.shape), like, like.name)


def made(old: Node, body: Graph, operands: Sequence[Node], carry: int, xs: int) -> Node:
    """The scan with another body; rows and constants that it does not read are left out."""
    reached = set(walk(body.outputs))
    kept = [k for k, x in enumerate(body.inputs) if k < carry or x in reached]
    body = replace(body, inputs=tuple(body.inputs[k] for k in kept))
    operands = tuple(operands[k] for k in kept)
    xs = sum(carry <= k < carry + xs for k in kept)
    params = {**old.params, "body": distinct(body), "carry": carry, "xs": xs}
    inferred = SCAN.infer(tuple(x.type for x in operands), params)
    return replace(old, operands=operands, params=params, type=inferred)


def body_of(old: Graph, inputs: Sequence[Node], outputs: Sequence[Node]) -> Graph:
    names = (*old.output_names, *("",) * len(outputs))[: len(outputs)]
    return replace(old, inputs=tuple(inputs), outputs=tuple(outputs), output_names=names)


def distinct(graph: Graph) -> Graph:
    """The graph without names that an earlier node has."""
    taken: dict[str, Node] = {}
    twice: set[Node] = set()
    for node in graph.nodes:
        if node.name and taken.setdefault(node.name, node) is not node:
            twice.add(node)
    if not twice:
        return graph
    image: dict[Node, Node] = {}
    for node in graph.nodes:
        operands = tuple(image[x] for x in node.operands)
        name = None if node in twice else node.name
        same = name == node.name and all(
            a is b for a, b in zip(operands, node.operands, strict=True)
        )
        image[node] = node if same else replace(node, operands=operands, name=name)
    return replace(
        graph,
        inputs=tuple(image[x] for x in graph.inputs),
        outputs=tuple(image[x] for x in graph.outputs),
    )


def substituted(graph: Graph, known: Mapping[Node, Node]) -> tuple[Graph, dict[Node, Node]]:
    """The graph with nodes replaced, and what became of each."""
    image = rebuild((*graph.inputs, *graph.outputs), lambda node: node, known)
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs)), image


def within(graph: Graph, step: Callable[[Graph], Graph]) -> Graph:
    """The graph with a pass run over the bodies of its loops and branches."""

    def change(node: Node) -> Node:
        if not any(isinstance(value, Graph) for value in node.params.values()):
            return node
        params = {k: step(v) if isinstance(v, Graph) else v for k, v in node.params.items()}
        return replace(node, params=params)

    image = rebuild((*graph.inputs, *graph.outputs), change)
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs))
