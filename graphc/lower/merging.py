"""What is computed from tiles put side by side, tile by tile: it then shares the loops of what
makes the tiles.

The gradient of a pooling comes as g[h, w, 2, 2], one tile a window, and its readers want it as one
image: reshape(transpose(g, [h, 2, w, 2]), [2 h, 2 w]). What they compute of it element by element
is the same in either shape, but only over tiles are its loops those of g, with no division.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphc.graph import Elementwise, Graph, Node, Reduction, apply, walk
from graphc.lower.domain import SHORTEST_LONG
from graphc.ops.leaves import axes
from graphc.ops.shape import RESHAPE, TRANSPOSE
from graphc.types import Shape, Size

Groups = tuple[tuple[int, ...], ...]
"""For each axis of a merged array the axes of the tiles that it is made of, slowest first."""


def merge_last(graph: Graph) -> Graph:
    """The graph with such values computed over tiles, and views that put them side by side."""
    image: dict[Node, Node] = {x: x for x in graph.inputs}
    tiled: set[Node] = set()
    """What is computed over tiles already."""
    for node in walk((*graph.inputs, *graph.outputs)):
        if node in image:
            continue
        operands = tuple(image[x] for x in node.operands)
        cites = None if node.cites is None else image.get(node.cites, node.cites)
        same = all(a is b for a, b in zip(operands, node.operands, strict=True))
        if not same or cites is not node.cites:
            image[node] = replace(node, operands=operands, cites=cites)
        else:
            image[node] = node
        made = _over_tiles(image[node], tiled)
        if made is not None:
            tiled.add(made)
            image[node] = _placed(apply(RESHAPE, made, shape=node.shape), node)
    return replace(graph, outputs=tuple(_computed(image[x], tiled) for x in graph.outputs))


def _computed(output: Node, tiled: set[Node]) -> Node:
    """What an output's elements are computed as: in the same order, of whatever shape."""
    below = output.operands[0] if output.op is RESHAPE else output
    return below if below in tiled else output


def _over_tiles(node: Node, tiled: set[Node]) -> Node | None:
    """The same elements, computed over the tiles of an operand; None if none is made of tiles."""
    element = node.op.element
    if not isinstance(element, Elementwise | Reduction) or not node.operands:
        return None
    shape = node.operands[0].shape if isinstance(element, Reduction) else node.shape
    whole = (_tiles(x, tiled) for x in node.operands if x.shape == shape)
    found = next((x for x in whole if x is not None), None)
    if found is None:
        return None
    tiles, groups = found
    parts = tuple(tuple(tiles.shape[a] for a in group) for group in groups)
    operands = tuple(_split(x, parts, tiled) for x in node.operands)
    params = dict(node.params)
    if isinstance(element, Reduction):
        first = [sum(map(len, parts[:d])) for d in range(len(parts) + 1)]
        params["axes"] = tuple(a for d in axes(params) for a in range(first[d], first[d + 1]))
    return replace(_placed(apply(node.op, *operands, **params), node), cites=node.cites)


def _tiles(x: Node, tiled: set[Node]) -> tuple[Node, Groups] | None:
    """The tiles that a value is made of side by side, and which of their axes make up each of its
    own; None where it is not, or tiles are large."""
    turned: list[tuple[int, ...]] = []
    while x.op is TRANSPOSE:
        turned.append(axes(x.params))
        (x,) = x.operands
    if x.op is not RESHAPE:
        return None
    (source,) = x.operands
    if source.op is not TRANSPOSE and source not in tiled:
        return None  # it lies so in memory
    groups = _matched(source.shape, x.shape)
    if groups is None or not any(_is_tile(source.shape, group) for group in groups):
        return None
    for order in reversed(turned):
        groups = tuple(groups[a] for a in order)
    return source, groups


def _is_tile(shape: Shape, group: tuple[int, ...]) -> bool:
    """Whether an axis is made of several, the last of them short."""
    if len(group) < 2:
        return False
    size = shape[group[-1]]
    return isinstance(size, int) and size < SHORTEST_LONG


def _matched(source: Shape, target: Shape) -> Groups | None:
    """The neighbours of the source that each axis of the target is the product of."""
    groups: list[tuple[int, ...]] = []
    at = 0
    for size in target:
        group: list[int] = []
        total: Size = 1
        while at < len(source) and (total != size or source[at] == 1):
            total = total * source[at]
            group.append(at)
            at += 1
        if total != size:
            return None
        groups.append(tuple(group))
    return tuple(groups) if at == len(source) else None


def _split(x: Node, parts: tuple[Shape, ...], tiled: set[Node]) -> Node:
    """An operand, with its axes as those of the tiles."""
    own = parts[len(parts) - x.type.rank :]
    wanted = [
        (1,) * len(part) if size == 1 else part for part, size in zip(own, x.shape, strict=True)
    ]
    shape = tuple(size for part in wanted for size in part)
    found = _tiles(x, tiled)
    if found is not None:
        tiles, groups = found
        order = tuple(a for group in groups for a in group)
        if tuple(tiles.shape[a] for a in order) == shape:
            return _turned(tiles, order)
    return x if x.shape == shape else apply(RESHAPE, x, shape=shape)


def _turned(x: Node, order: tuple[int, ...]) -> Node:
    if x.op is TRANSPOSE:
        below = axes(x.params)
        x, order = x.operands[0], tuple(below[a] for a in order)
    return x if order == tuple(range(len(order))) else apply(TRANSPOSE, x, axes=order)


def _placed(fresh: Node, node: Node) -> Node:
    """A new node in the place of another."""
    place: Mapping[str, object] = {"serial": node.serial, "part": node.part, "source": node.source}
    return replace(fresh, name=node.name, **place)  # type: ignore[arg-type]  # by their names


__all__ = ["merge_last"]
