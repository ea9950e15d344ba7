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
    """Loops in order, and the steps before, between and behind them. A loop comes last, a step
    last among those that lie between the same loops."""

    nests: list[Nest] = field(default_factory=list)
    gaps: list[list[Step]] = field(default_factory=lambda: [[]])
    """One more than loops: gaps[k] come before nests[k]."""
    spots: dict[Nest | Node, int] = field(default_factory=dict)
    """In order: 2 k + 1 for nests[k], 2 k for the nodes of gaps[k]."""

    @property
    def items(self) -> Iterator[Step | Nest]:
        """All of it, in order."""
        for steps, nest in zip(self.gaps, self.nests, strict=False):
            yield from steps
            yield nest
        yield from self.gaps[-1]

    def add_nest(self, nest: Nest) -> None:
        self.spots[nest] = 2 * len(self.nests) + 1
        self.nests.append(nest)
        self.gaps.append([])

    def add_step(self, node: Node, after: int) -> None:
        """Before the first loop that follows the spot."""
        gap = (after + 1) // 2
        self.gaps[gap].append(Step(node))
        self.spots[node] = 2 * gap


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
    bound: dict[int, str] = field(init=False)
    """The loop variable of each axis that has a loop."""
    ready: int = field(init=False)
    """How many loops of the path surround the finished value: those outside the first summed
    axis."""

    def __post_init__(self) -> None:
        self.bound = {axis: nest.var for nest, axis in zip(self.path, self.axes, strict=True)}
        reduced = self.domain.reduced
        summed = (depth for depth, axis in enumerate(self.axes) if axis in reduced)
        self.ready = next(summed, len(self.path))


@dataclass(slots=True, eq=False)
class Schedule:
    root: Block
    placed: dict[Node, Placed]
    sums: dict[Nest, list[Node]] = field(default_factory=dict)
    """For each loop the nodes whose outermost summing loop it is."""


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
            block.add_nest(nest)
            axis = remaining[0]
        else:
            nest, axis = found
        remaining.remove(axis)
        path.append(nest)
        axes.append(axis)
        block = nest.body
    inside = [x for x in producers if plan.placed[x].path[: len(path)] == tuple(path)]
    block.add_step(work.node, _last_needed(plan, block, len(path), inside))
    spot = plan.placed[work.node] = Placed(work, tuple(path), tuple(axes))
    if spot.ready < len(path):
        plan.sums.setdefault(path[spot.ready], []).append(work.node)


def _last_needed(plan: Schedule, block: Block, depth: int, producers: list[Node]) -> int:
    """The spot of the last item of the block that holds one of the producers, or -1."""
    last = -1
    for x in producers:
        path = plan.placed[x].path
        last = max(last, block.spots[path[depth] if len(path) > depth else x])
    return last


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
    first = (last + 1) // 2
    holder = [first - 1] if last % 2 else []
    for k in (*(k for k in holder if k >= 0), *reversed(range(first, len(block.nests)))):
        nest = block.nests[k]
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
