"""Every output is computed into its own array, or piece by piece."""

from __future__ import annotations

from dataclasses import replace

from graphc.graph import Graph, Node, Part, Sequential, apply
from graphc.lower.domain import is_computed
from graphc.lower.tiling import is_tiled
from graphc.ops.elementwise import CAST
from graphc.ops.shape import CONCATENATE, RESHAPE, axes
from graphc.types import Size, product

Piece = tuple[int, Size]
"""Of which output it is a part, and where in that it begins, in elements."""


def computed_outputs(graph: Graph, whole: int) -> tuple[Graph, tuple[Piece, ...]]:
    """The graph whose outputs are computed, and the pieces of the outputs they are.

    Outputs that are inputs, constants, views or given twice become copies of their own; what is
    computed in another shape of the same order in memory is itself the output; several that
    follow each other in memory are pieces, but for the first `whole` outputs.
    """
    outputs: list[Node] = []
    pieces: list[Piece] = []
    for k, given in enumerate(graph.outputs):
        parts = pieces_of(given) if k >= whole else [given]
        start: Size = 0
        for node in parts if _is_worth(parts) else [given]:
            outputs.append(_computed(node, {*outputs, *graph.outputs[k + 1 :]}))
            pieces.append((k, start))
            start = start + product(node.shape)
    names = tuple(graph.output_names[k] for k, _ in pieces)
    return replace(graph, outputs=tuple(outputs), output_names=names), tuple(pieces)


def _computed(given: Node, taken: set[Node]) -> Node:
    """What is to be computed for an output; a copy where that is another output already."""
    node = flattened(given)
    if is_computed(node) and node not in taken:
        return node
    copied = apply(CAST, given, dtype=given.dtype)
    return replace(copied, part=given.part, cites=None, source=given.source)


def flattened(node: Node) -> Node:
    """What a value is a reshape of: the same elements in the same order."""
    while node.op is RESHAPE:
        (node,) = node.operands
    return node


def pieces_of(node: Node) -> list[Node]:
    """The values that lie one after the other in a value's memory."""
    node = flattened(node)
    if node.op is not CONCATENATE:
        return [node]
    (axis,) = axes(node.params)
    if any(size != 1 for size in node.shape[:axis]):
        return [node]
    return [piece for x in node.operands for piece in pieces_of(x)]


def _is_worth(pieces: list[Node]) -> bool:
    """Whether one of several is an array anyway, which would be copied."""
    return len(pieces) > 1 and any(
        isinstance(x.op.element, Part | Sequential) or is_tiled(x) for x in pieces
    )
