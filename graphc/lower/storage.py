"""Which values need an array, and how big it is.

A value that is read only inside the loops that make it is a local. Any other is stored, with the
axes that are not bound by the loops it shares with all its readers; unless they make it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from graphc.frozen import dataclass
from graphc.graph import Node, Part, Sequential
from graphc.lower.reading import depth_of, is_light, is_local, readers_of
from graphc.lower.remade import remade
from graphc.lower.schedule import Placed, Schedule
from graphc.lower.sums import is_open
from graphc.lower.tiling import is_tiled
from graphc.types import Shape, Size


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which nodes have an array, and from how deep on: as many loops of the node's path lie
    outside, each iteration of which may leave its memory to others."""

    depths: dict[Node, int]

    def arrays(
        self, plan: Schedule, outputs: Mapping[Node, Target], names: Mapping[Node, str]
    ) -> dict[Node, Array]:
        """The arrays; an output is its own storage."""
        result: dict[Node, Array] = {}
        for node, depth in self.depths.items():
            name, start = outputs[node] if node in outputs else (names[node], 0)
            result[node] = replace(_array(name, plan.placed[node], depth), start=start)
        return result


def wanted(plan: Schedule, outputs: Mapping[Node, Target]) -> Wanted:
    """Decide which nodes need an array."""
    readers = readers_of(plan)
    needing = {
        node
        for node in plan.placed
        if node in outputs or needs_array(node, readers.get(node, ()), plan)
    }
    again = remade(plan, needing, outputs.keys(), readers)
    if again:
        needing = (needing | set(again.values())) - again.keys()
        readers = readers_of(plan, again.keys())
    depths: dict[Node, int] = {}
    for node, spot in plan.placed.items():
        if node in needing:
            depths[node] = 0 if node in outputs else depth_of(spot, readers.get(node, []))
    return Wanted(depths)


def _array(name: str, spot: Placed, depth: int) -> Array:
    outside = spot.axes[:depth]
    extents, cut = spot.domain.extents, spot.blocks(depth)
    axes = tuple(a for a in spot.domain.output if a not in outside or a in cut)
    shape = tuple(cut[a].block if a in cut else extents[a] for a in axes)
    return Array(name, axes, shape, depth, tuple(cut[a].index if a in cut else 0 for a in axes))
