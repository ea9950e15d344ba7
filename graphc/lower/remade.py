"""Values that their readers make again from the array of another one, and so need none.

Of ``0.5 * x``, ``x * x`` and ``x > 0``, all read by the backward pass, only x is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from graphc.graph import Elementwise, Node, Region, Sequential
from graphc.lower.domain import Access, axis_name
from graphc.lower.late import CHEAP
from graphc.lower.reading import depth_of, is_local, operands_at, reads
from graphc.lower.schedule import Placed, Schedule
from graphc.lower.sums import is_open
from graphc.lower.tiling import is_tiled
from graphc.types import Dim, names

MOST_OPS = 3
"""Cheap ops that cost less than to store a value that was just computed."""


def remade(
    plan: Schedule,
    needing: Set[Node],
    outputs: Set[Node],
    readers: Mapping[Node, Sequence[Placed]],
) -> dict[Node, Node]:
    """For each value to be made again, the one of which it is made.

    Args:
        needing: what would have an array otherwise.
    """
    ways: dict[Node, list[Node]] = {}
    for node in plan.placed:
        if node in needing and node not in outputs:
            found = list(_roots(node, readers.get(node, ()), plan))
            if found:
                ways[node] = found
    made_of: dict[Node, list[Node]] = {}
    for node, roots in ways.items():
        for root in roots:
            made_of.setdefault(root, []).append(node)
    result: dict[Node, Node] = {}
    for root, nodes in made_of.items():
        left = [x for x in nodes if x not in result and x not in result.values()]
        if root not in result and left and _pays(root, left, plan, needing, readers):
            result.update(dict.fromkeys(left, root))
    return result


def _pays(
    root: Node,
    nodes: Sequence[Node],
    plan: Schedule,
    needing: Set[Node],
    readers: Mapping[Node, Sequence[Placed]],
) -> bool:
    """Whether the root's array, if there were none but for these nodes, is smaller than theirs."""
    spot = plan.placed[root]
    own = depth_of(spot, readers.get(root, ()))
    depth = min(depth_of(spot, readers.get(x, ())) for x in nodes)
    there = root in needing and own <= depth
    size = root.dtype.bytes
    if there:
        return all(x.dtype.bytes >= size for x in nodes)
    return sum(x.dtype.bytes for x in nodes) > size


def _roots(node: Node, readers: Sequence[Placed], plan: Schedule) -> Iterator[Node]:
    """The values of which alone, element by element, the node is made by few cheap ops."""
    if not all(_reads_each_once(reader, node, plan) for reader in readers):
        return
    spot = plan.placed[node]
    if not node.shape or is_open(spot):
        return
    own = tuple(
        0 if spot.domain.extents[a] == 1 else Dim.named(axis_name(a)) for a in spot.domain.output
    )
    at = Access(node, own)
    waiting: dict[Node, Access] = {node: at}
    for _ in range(MOST_OPS):
        latest = max(waiting, key=lambda x: x.serial)
        if latest.op.name not in CHEAP or not isinstance(latest.op.element, Elementwise):
            return
        for access in operands_at(latest, waiting.pop(latest).index, plan):
            source = plan.placed.get(access.node)
            if source is None or _is_at_hand(access, source, readers):
                continue
            if access.index != own or access.node.shape != node.shape:
                return
            waiting[access.node] = access
        if not waiting:
            return
        if len(waiting) == 1:
            (root,) = waiting
            if not is_open(plan.placed[root]) and not _is_block(root, plan):
                yield root


def _is_at_hand(access: Access, source: Placed, readers: Sequence[Placed]) -> bool:
    """Whether all readers have the value as a local."""
    return not access.node.shape and all(is_local(reader, access, source) for reader in readers)


def _reads_each_once(reader: Placed, node: Node, plan: Schedule) -> bool:
    """Whether no element is read in more than one iteration, or as one of an array."""
    work = reader.domain
    if is_tiled(work.node) or isinstance(work.node.op.element, Region | Sequential):
        return False
    axes = {axis_name(a) for a, extent in enumerate(work.extents) if extent != 1}
    return all(
        axes <= {name for size in access.index for name in names(size)}
        for access in reads(reader, plan)
        if access.node is node
    )


def _is_block(node: Node, plan: Schedule) -> bool:
    """Whether only a block of the rows is there at a time."""
    return is_tiled(node) and bool(plan.placed[node].domain.blocks)
