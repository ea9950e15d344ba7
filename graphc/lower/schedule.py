"""Which loops compute what: nodes are placed, in order, into a tree of loops.

A node joins the loop of its producers when every value it reads there is ready in the same
iteration; siblings with equal extents join too. What shares a loop body needs no array between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphc.graph import Contraction, Graph, Node
from graphc.lower.domain import Domain, axis_name, domain, is_computed
from graphc.types import Dim, Size


@dataclass(slots=True, eq=False)
class Block:
    items: list[Step | Nest] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Step:
    """The place where one element of a node is computed (or accumulated)."""

    node: Node


@dataclass(slots=True, eq=False)
class Nest:
    """One loop."""

    var: str
    extent: Size
    body: Block


@dataclass(slots=True, eq=False)
class Placed:
    """Where a node ended up: the loops around it, and the axis each of them runs over."""

    domain: Domain
    path: tuple[Nest, ...]
    axes: tuple[int, ...]

    @property
    def bound(self) -> dict[int, str]:
        """The loop variable of each axis that has a loop."""
        return {axis: nest.var for nest, axis in zip(self.path, self.axes, strict=True)}

    @property
    def ready(self) -> int:
        """How many loops of the path surround the finished value: those outside the first summed
        axis."""
        for depth, axis in enumerate(self.axes):
            if axis in self.domain.reduced:
                return depth
        return len(self.path)


@dataclass(slots=True, eq=False)
class Schedule:
    root: Block
    placed: dict[Node, Placed]


def schedule(graph: Graph, loop_names: tuple[str, ...]) -> Schedule:
    """Place every computed node of the graph. `loop_names` are free identifiers, by depth."""
    plan = Schedule(Block(), {})
    for node in graph.nodes:
        if is_computed(node):
            _place(plan, domain(node), loop_names)
    return plan


def _place(plan: Schedule, work: Domain, loop_names: tuple[str, ...]) -> None:
    producers = {a.node: a for a in work.accesses if a.node in plan.placed}
    block = plan.root
    path: list[Nest] = []
    axes: list[int] = []
    remaining = list(work.order)
    while remaining:
        inside = [x for x in producers if plan.placed[x].path[: len(path)] == tuple(path)]
        found = _join(plan, work, block, len(path), remaining, inside)
        if found is None:
            nest = Nest(loop_names[len(path)], work.extents[remaining[0]], Block())
            block.items.append(nest)
            axis = remaining[0]
        else:
            nest, axis = found
        remaining.remove(axis)
        path.append(nest)
        axes.append(axis)
        block = nest.body
    inside = [x for x in producers if plan.placed[x].path[: len(path)] == tuple(path)]
    spot = _last_needed(plan, block, len(path), inside) + 1
    while spot < len(block.items) and isinstance(block.items[spot], Step):
        spot += 1
    block.items.insert(spot, Step(work.node))
    plan.placed[work.node] = Placed(work, tuple(path), tuple(axes))


def _last_needed(plan: Schedule, block: Block, depth: int, producers: list[Node]) -> int:
    """The index of the last item of the block that holds one of the producers, or -1."""
    wanted = set(producers)
    nests = {plan.placed[x].path[depth] for x in producers if len(plan.placed[x].path) > depth}
    for i in reversed(range(len(block.items))):
        item = block.items[i]
        if item in nests if isinstance(item, Nest) else item.node in wanted:
            return i
    return -1


def _join(
    plan: Schedule,
    work: Domain,
    block: Block,
    depth: int,
    remaining: list[int],
    producers: list[Node],
) -> tuple[Nest, int] | None:
    """A loop of the block that the node may join, and the axis it then runs over."""
    if not work.streams:
        return None
    last = _last_needed(plan, block, depth, producers)
    spots = [last] if last >= 0 else []
    spots += reversed(range(last + 1, len(block.items)))
    for i in spots:
        nest = block.items[i]
        if isinstance(nest, Nest):
            axis = _fits(plan, work, nest, depth, remaining, producers)
            if axis is not None:
                return nest, axis
    return None


def _fits(
    plan: Schedule,
    work: Domain,
    nest: Nest,
    depth: int,
    remaining: list[int],
    producers: list[Node],
) -> int | None:
    """The axis along which the node can share the loop, None when it cannot."""
    chosen: int | None = None
    for producer in producers:
        spot = plan.placed[producer]
        if len(spot.path) <= depth or spot.path[depth] is not nest:
            continue
        if depth >= spot.ready:
            return None  # summed by this loop: complete only after it
        dimension = spot.domain.output.index(spot.axes[depth])
        for access in work.accesses:
            if access.node is producer:
                axis = _axis_of(access.index[dimension], remaining)
                if axis is None or (chosen is not None and axis != chosen):
                    return None
                chosen = axis
    if chosen is None:
        chosen = remaining[0]
    if isinstance(work.node.op.element, Contraction) and chosen != remaining[0]:
        return None  # it would run across its operand's memory
    return chosen if work.extents[chosen] == nest.extent else None


def _axis_of(index: Size, remaining: list[int]) -> int | None:
    for axis in remaining:
        if index == Dim.named(axis_name(axis)):
            return axis
    return None


def steps(item: Block | Nest | Step) -> Iterator[Node]:
    """The nodes computed in a part of the tree, in order."""
    if isinstance(item, Step):
        yield item.node
        return
    for part in (item.body if isinstance(item, Nest) else item).items:
        yield from steps(part)
