"""Which loops compute what: nodes are placed, in order, into a tree of loops.

A node joins the loop of its producers when every value it reads there is ready in the same
iteration; siblings with equal extents join too. What shares a loop body needs no array between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from graphc.frozen import dataclass
from graphc.graph import Contraction, Graph, Node
from graphc.lower.domain import Domain, axis_name, domain, is_computed, may_be_written
from graphc.lower.late import is_late, with_readers
from graphc.lower.tiling import is_tiled
from graphc.types import Dim, Size, floordiv, minimum, substitute


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

    def insert(self, at: int, other: Block) -> None:
        """All of the other block before nests[at]."""
        self.nests[at:at] = other.nests
        self.gaps[at : at + 1] = [[*self.gaps[at], *other.gaps[0]], *other.gaps[1:]]
        self.spots = {nest: 2 * k + 1 for k, nest in enumerate(self.nests)}
        self.spots |= {x.node: 2 * k for k, steps in enumerate(self.gaps) for x in steps}

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
    """One loop over an axis; or over blocks of it, or over one block."""

    var: str
    extent: Size
    body: Block
    block: int = 1
    """How many elements of the axis an iteration stands for."""
    total: Size = 1
    """The axis' elements, of a loop over blocks."""
    start: Size = 0
    """Where on the axis a loop over one block begins."""
    along: bool = False
    """Whether it runs along memory, and short loops inside are written out."""

    @property
    def index(self) -> Size:
        """The axis' element of an iteration; of a loop over blocks, the first."""
        return self.start + self.block * Dim.named(self.var)

    @property
    def inner(self) -> Size:
        """How many elements a block has."""
        return minimum(self.block, self.total - self.index)


@dataclass(slots=True, eq=False)
class Placed:
    """Where a node ended up: the loops around it, and the axis each of them runs over."""

    domain: Domain
    path: tuple[Nest, ...]
    axes: tuple[int, ...]
    bound: dict[int, Size] = field(init=False)
    """The index along each axis that has a loop: inside blocks, once it is that of an element."""
    named: dict[Size, Size] = field(init=False)
    """The same by the axis' name as an index."""
    ready: int = field(init=False)
    """How many loops of the path surround the finished value: those outside the first summed
    axis."""
    held: frozenset[int] = field(init=False)
    """The axes that those loops leave one element of."""

    def __post_init__(self) -> None:
        self.bound = self.settled(len(self.path))
        self.named = {Dim.named(axis_name(axis)): at for axis, at in self.bound.items()}
        reduced = self.domain.reduced
        summed = (depth for depth, axis in enumerate(self.axes) if axis in reduced)
        self.ready = next(summed, len(self.path))
        self.held = frozenset(self.settled(self.ready))

    def settled(self, depth: int) -> dict[int, Size]:
        """The index along each axis that the loops outside `depth` leave one element of."""
        pairs = zip(self.path[:depth], self.axes[:depth], strict=True)
        return {axis: nest.index for nest, axis in pairs if nest.block == 1}

    def blocks(self, depth: int) -> dict[int, Nest]:
        """Axes that loops outside `depth` cut into blocks and no more."""
        last = dict(zip(self.axes[:depth], self.path[:depth], strict=True))
        return {axis: nest for axis, nest in last.items() if nest.block != 1}


@dataclass(slots=True, eq=False)
class Schedule:
    root: Block
    placed: dict[Node, Placed]
    loop_names: tuple[str, ...]
    """Free identifiers for loops, by depth."""
    sums: dict[Nest, list[Node]] = field(default_factory=dict)
    """For each loop the nodes whose outermost summing loop it is."""


def schedule(graph: Graph, loop_names: tuple[str, ...]) -> Schedule:
    """Place every computed node of the graph. `loop_names` are free identifiers, by depth."""
    plan = Schedule(Block(), {}, loop_names)
    held: dict[Node, Domain] = {}
    late: dict[Node, Domain] = {}
    outputs = set(graph.outputs)
    for node in graph.nodes:
        if not is_computed(node):
            continue
        work = domain(node)
        made = [a.node for a in work.accesses if is_computed(a.node)]
        if node.params.get("early") and all(x in held for x in made):
            held[node] = work  # made of inputs alone: placed where its first reader wants it
            continue
        if node not in outputs and is_late(work, late):
            late[node] = work
            continue
        for needed in with_readers(work, late, plan.placed):
            _place(plan, needed)
        _place_early(plan, _taken(held, work), work)
        _place(plan, work)
    return plan


def _taken(held: dict[Node, Domain], reader: Domain) -> list[Domain]:
    """What the reader needs of the nodes held back, in order; held no longer."""
    found: list[Domain] = []
    for access in reader.accesses:
        if access.node in held:
            work = held.pop(access.node)
            found += [*_taken(held, work), work]
    return found


def _place_early(plan: Schedule, works: list[Domain], reader: Domain) -> None:
    """Loops of its own before those that the reader may join."""
    if not works:
        return
    whole, nests = plan.root, plan.root.nests
    used = {x for a in reader.accesses if a.node in plan.placed for x in plan.placed[a.node].path}
    at = max((k for k, nest in enumerate(nests) if nest in used), default=len(nests))
    plan.root = Block()
    late = []
    there = set(plan.placed)  # by an earlier reader
    for work in works:
        if there.isdisjoint(a.node for a in work.accesses):
            _place(plan, work)
        else:
            late.append(work)
            there.add(work.node)
    whole.insert(at, plan.root)
    plan.root = whole
    for work in late:
        _place(plan, work)


def _place(plan: Schedule, work: Domain) -> None:
    producers = {a.node: a for a in (*work.accesses, *work.beside) if a.node in plan.placed}
    block = plan.root
    path: list[Nest] = []
    axes: list[int] = []
    remaining = list(work.order)
    cut: dict[int, Nest] = {}
    while remaining:
        inside = [x for x in producers if plan.placed[x].path[: len(path)] == tuple(path)]
        asked = Asked(plan, work, len(path), remaining, cut, inside)
        found = _join(asked, block)
        if found is None:
            axis = remaining[0]
            nest = _new(work, plan.loop_names[len(path)], axis, cut, path, axes)
            block.add_nest(nest)
        else:
            nest, axis = found
        if nest.block != 1:
            cut[axis] = nest
        if nest.block == 1 or axis in work.blocks:
            remaining.remove(axis)
        path.append(nest)
        axes.append(axis)
        block = nest.body
    inside = [x for x in producers if plan.placed[x].path[: len(path)] == tuple(path)]
    block.add_step(work.node, _last_needed(plan, block, len(path), inside))
    spot = plan.placed[work.node] = Placed(work, tuple(path), tuple(axes))
    if spot.ready < len(path):
        plan.sums.setdefault(path[spot.ready], []).append(work.node)


def _new(
    work: Domain,
    var: str,
    axis: int,
    cut: dict[int, Nest],
    path: list[Nest],
    axes: list[int],
) -> Nest:
    """A loop of the node's own over an axis."""
    if axis in work.blocks:
        size, total = work.blocks[axis], work.extents[axis]
        return Nest(var, floordiv(total + size - 1, size), Block(), size, total)
    if axis in cut:
        return Nest(var, cut[axis].inner, Block(), start=cut[axis].index)
    extent = work.ragged.get(axis, work.extents[axis])
    at = {axis_name(a): nest.index for a, nest in zip(axes, path, strict=True)}
    along = bool(work.tile) and axis == work.inner
    return Nest(var, substitute(extent, at), Block(), along=along)


@dataclass(frozen=True, slots=True)
class Asked:
    """A node that looks for a loop to join, so deep."""

    plan: Schedule
    work: Domain
    depth: int
    remaining: list[int]
    cut: dict[int, Nest]
    """Axes that loops outside cut into blocks."""
    producers: list[Node]
    """Those inside the loops outside."""


def _last_needed(plan: Schedule, block: Block, depth: int, producers: list[Node]) -> int:
    """The spot of the last item of the block that holds one of the producers, or -1."""
    last = -1
    for x in producers:
        path = plan.placed[x].path
        last = max(last, block.spots[path[depth] if len(path) > depth else x])
    return last


def _join(asked: Asked, block: Block) -> tuple[Nest, int] | None:
    """A loop of the block that the node may join, and the axis it then runs over."""
    if not asked.work.streams and not is_tiled(asked.work.node):
        return None
    last = _last_needed(asked.plan, block, asked.depth, asked.producers)
    first = (last + 1) // 2
    holder = [first - 1] if last % 2 else []
    for k in (*(k for k in holder if k >= 0), *reversed(range(first, len(block.nests)))):
        nest = block.nests[k]
        axis = _fits(asked, nest)
        if axis is not None:
            return nest, axis
    return None


def _fits(asked: Asked, nest: Nest) -> int | None:
    """The axis along which the node can share the loop, None when it cannot."""
    work, depth = asked.work, asked.depth
    chosen: int | None = None
    for producer in asked.producers:
        spot = asked.plan.placed[producer]
        if len(spot.path) <= depth or spot.path[depth] is not nest:
            continue
        if depth >= spot.ready:
            return None  # summed by this loop: complete only after it
        dimension = spot.domain.output.index(spot.axes[depth])
        for access in (*work.accesses, *work.beside):
            if access.node is producer:
                axis = _axis_of(access.index[dimension], asked.remaining)
                if axis is None or (chosen is not None and axis != chosen):
                    return None
                chosen = axis
    if chosen is None:
        if nest.block != 1 or is_tiled(work.node):
            return None  # nothing of what it computes is used
        chosen = asked.remaining[0]
    if work.streams and len(asked.remaining) > 1 and chosen == work.inner:
        inside = [work.extents[axis] for axis in asked.remaining if axis != chosen]
        if not (nest.along and may_be_written(inside)):
            return None  # the loops inside would run across its memory
    if isinstance(work.node.op.element, Contraction) and not is_tiled(work.node):
        if chosen != asked.remaining[0]:
            return None  # it would run across its operand's memory
    return chosen if _same_loop(asked, nest, chosen) else None


def _same_loop(asked: Asked, nest: Nest, axis: int) -> bool:
    """Whether a loop of the node's own over the axis would run as this one does."""
    work = asked.work
    if axis in asked.cut:
        outer = asked.cut[axis]
        return nest.block == 1 and nest.start == outer.index and nest.extent == outer.inner
    if axis in work.ragged or nest.start != 0:
        return False
    if nest.block != 1:
        inside = not is_tiled(work.node) or axis in work.blocks
        return inside and nest.total == work.extents[axis]
    return axis not in work.blocks and work.extents[axis] == nest.extent


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
