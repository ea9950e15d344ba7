"""Who reads what, and how: as a local, through memory, or computed again where it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from graphc.graph import Index, Node
from graphc.lower.domain import Access, axis_name
from graphc.lower.late import CHEAP
from graphc.lower.schedule import Nest, Placed, Schedule
from graphc.lower.tiling import is_tiled
from graphc.types import Dim, substitute

MOST_CHEAP_OPS = 4


def shared(a: tuple[Nest, ...], b: tuple[Nest, ...]) -> int:
    """The number of outer loops two places have in common."""
    depth = 0
    for x, y in zip(a, b, strict=False):
        if x is not y:
            break
        depth += 1
    return depth


def depth_of(spot: Placed, readers: Iterable[Placed]) -> int:
    """How many loops a value shares with all who read it."""
    path = spot.path[: spot.ready]
    return min([spot.ready, *(shared(path, reader.path) for reader in readers)])


def is_local(reader: Placed, access: Access, spot: Placed) -> bool:
    """Whether the value is a local of the reader: same iteration of every loop that makes it."""
    ready = spot.ready
    if reader.path[:ready] != spot.path[:ready]:
        return False
    extents = spot.domain.extents
    long = [(d, axis) for d, axis in enumerate(spot.domain.output) if extents[axis] != 1]
    if not all(axis in spot.held for _, axis in long):
        return False
    for dimension, axis in long:
        index = access.index[dimension]
        if not isinstance(index, Dim) or reader.named.get(index) != spot.bound[axis]:
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


def reads(reader: Placed, plan: Schedule, again: Set[Node] = frozenset()) -> Iterator[Access]:
    """What is read at a place: by its node, and by the values computed again for it: the light
    ones, and those `again`."""
    waiting = list(reader.domain.accesses)
    while waiting:
        access = waiting.pop()
        yield access
        spot = plan.placed.get(access.node)
        if spot is not None and not is_local(reader, access, spot):
            if access.node in again or is_light(access.node, access.index, reader, plan):
                waiting += operands_at(access.node, access.index, plan)


def readers_of(plan: Schedule, again: Set[Node] = frozenset()) -> dict[Node, list[Placed]]:
    """For each node the places that may read it."""
    found: dict[Node, list[Placed]] = {}
    for reader in plan.placed.values():
        for access in reads(reader, plan, again):
            found.setdefault(access.node, []).append(reader)
    return found
