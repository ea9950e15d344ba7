"""Which values need an array, and how big it is.

A value that is read only inside the loops that make it is a local. Any other is stored, with the
axes that are not bound by the loops it shares with all its readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from graphc.graph import Graph, Index, Node, Part, Sequential
from graphc.lower.domain import Access, axis_name
from graphc.lower.schedule import Nest, Placed, Schedule
from graphc.lower.sums import is_open
from graphc.lower.tiling import is_tiled
from graphc.types import Dim, Shape, Size, substitute

CHEAP = frozenset(
    (
        "add",
        "subtract",
        "multiply",
        "negative",
        "where",
        "cast",
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "logical_and",
        "logical_or",
        "logical_not",
        "absolute",
        "maximum",
        "minimum",
        "sign",
    )
)
"""Ops that cost less to compute again than to store and load."""
MOST_CHEAP_OPS = 4


@dataclass(frozen=True, slots=True)
class Array:
    """Storage of one node: a C name, and the axes of its domain it has, in C order."""

    name: str
    axes: tuple[int, ...]
    shape: Shape
    depth: int
    """How many loops of the node's path lie outside: it holds one iteration of those."""
    bases: tuple[Size, ...]
    """Where on each axis it begins: at the block of rows at hand, say."""
    start: Size = 0
    """Where in the named array it begins, in elements: a row of a stack, say."""


Target = tuple[str, Size]
"""An array that is there already, and where in it a result begins."""


def shared(a: tuple[Nest, ...], b: tuple[Nest, ...]) -> int:
    """The number of outer loops two places have in common."""
    depth = 0
    for x, y in zip(a, b, strict=False):
        if x is not y:
            break
        depth += 1
    return depth


def is_local(reader: Placed, access: Access, spot: Placed) -> bool:
    """Whether the value is a local of the reader: same iteration of every loop that makes it."""
    ready = spot.ready
    if reader.path[:ready] != spot.path[:ready]:
        return False
    extents = spot.domain.extents
    long = [(d, axis) for d, axis in enumerate(spot.domain.output) if extents[axis] != 1]
    if not all(axis in spot.held for _, axis in long):
        return False
    own = {Dim.named(axis_name(axis)): at for axis, at in reader.bound.items()}
    for dimension, axis in long:
        index = access.index[dimension]
        if not isinstance(index, Dim) or own.get(index) != spot.bound[axis]:
            return False
    return True


def is_light(node: Node, index: Index, reader: Placed, plan: Schedule) -> bool:
    """Whether element `index` (in the reader's axes) costs less to compute again at the reader,
    from inputs, constants and the locals in scope there, than to store and load."""
    if is_tiled(reader.domain.node):
        return False  # it reads each element many times
    return 0 < _recompute_cost(node, index, reader, plan, MOST_CHEAP_OPS) <= MOST_CHEAP_OPS


def _recompute_cost(node: Node, index: Index, reader: Placed, plan: Schedule, budget: int) -> int:
    """How many ops it takes, or more than the budget when that cannot be or is too many."""
    if budget <= 0 or node.op.name not in CHEAP or not node.type.rank:
        return MOST_CHEAP_OPS + 1
    total = 1
    for access in operands_at(node, index, plan):
        spot = plan.placed.get(access.node)
        if spot is not None and not is_local(reader, access, spot):
            total += _recompute_cost(access.node, access.index, reader, plan, budget - total)
    return total


def operands_at(node: Node, index: Index, plan: Schedule) -> list[Access]:
    """What element `index` of a computed node reads."""
    work = plan.placed[node].domain
    place = {axis_name(axis): index[d] for d, axis in enumerate(work.output)}
    return [Access(a.node, tuple(substitute(i, place) for i in a.index)) for a in work.accesses]


def reads(reader: Placed, plan: Schedule) -> Iterator[Access]:
    """What is read at a place: by its node, and by the light values computed again for it."""
    waiting = list(reader.domain.accesses)
    while waiting:
        access = waiting.pop()
        yield access
        spot = plan.placed.get(access.node)
        if spot is not None and not is_local(reader, access, spot):
            if is_light(access.node, access.index, reader, plan):
                waiting += operands_at(access.node, access.index, plan)


def readers_of(plan: Schedule) -> dict[Node, list[Placed]]:
    """For each node the places that may read it."""
    found: dict[Node, list[Placed]] = {}
    for reader in plan.placed.values():
        for access in reads(reader, plan):
            found.setdefault(access.node, []).append(reader)
    return found


def needs_array(node: Node, readers: Iterable[Placed], plan: Schedule) -> bool:
    """Whether a place reads the value through memory."""
    spot = plan.placed[node]
    element = node.op.element
    if is_open(spot) or isinstance(element, Sequential) or is_tiled(node):
        return True
    if isinstance(element, Part) and node.shape:  # even one element is an array to its region
        return True
    return any(
        access.node is node
        and not is_local(reader, access, spot)
        and not is_light(node, access.index, reader, plan)
        for reader in readers
        for access in reader.domain.accesses
    )


def arrays(
    graph: Graph, plan: Schedule, outputs: Mapping[Node, Target], names: Mapping[Node, str]
) -> dict[Node, Array]:
    """The storage of every node that needs one; an output is its own storage."""
    readers = readers_of(plan)
    result: dict[Node, Array] = {}
    for node, spot in plan.placed.items():
        if node in outputs:
            name, start = outputs[node]
            result[node] = replace(_array(name, spot, 0), start=start)
        elif needs_array(node, readers.get(node, ()), plan):
            path = spot.path[: spot.ready]
            depths = (shared(path, reader.path) for reader in readers.get(node, ()))
            result[node] = _array(names[node], spot, min([spot.ready, *depths]))
    return result


def _array(name: str, spot: Placed, depth: int) -> Array:
    outside = spot.axes[:depth]
    extents, cut = spot.domain.extents, spot.blocks(depth)
    axes = tuple(a for a in spot.domain.output if a not in outside or a in cut)
    shape = tuple(cut[a].block if a in cut else extents[a] for a in axes)
    return Array(name, axes, shape, depth, tuple(cut[a].index if a in cut else 0 for a in axes))
