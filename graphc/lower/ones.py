"""Contractions without labels of one element, which are in nobody's way then; windows of one
element are none.

A convolution with filters of 1 x 1, or of one image, is so the product of matrices that it is.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.graph import Graph, Node, apply, rebuild
from graphc.ops.leaves import sizes
from graphc.ops.reduce import EINSUM, label_sizes, subscripts
from graphc.ops.shape import RESHAPE
from graphc.ops.windows import WINDOWS


def without_ones(graph: Graph) -> Graph:
    """The graph with such contractions, and reshapes around them."""
    image = rebuild(graph.outputs, _without, {x: x for x in graph.inputs})
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs))


def _without(node: Node) -> Node:
    if node.op is WINDOWS and all(size == 1 for size in sizes(node.params, "window")):
        return _like(node, apply(RESHAPE, *node.operands, shape=node.shape))
    if node.op is not EINSUM or len(node.operands) != 2:
        return node
    inputs, output = subscripts(node.params)
    known = label_sizes(tuple(x.shape for x in node.operands), inputs)
    kept = [tuple(i for i in labels if known[i] != 1) for labels in (*inputs, output)]
    if not all(kept) or all(len(a) == len(b) for a, b in zip(kept, inputs, strict=False)):
        return node
    operands = (
        apply(RESHAPE, x, shape=tuple(known[i] for i in labels))
        for x, labels in zip(node.operands, kept, strict=False)
    )
    product = apply(EINSUM, *operands, inputs=tuple(kept[:2]), output=kept[2])
    product = replace(_like(node, product), cites=node.cites)
    return _like(node, apply(RESHAPE, product, shape=node.shape))


def _like(node: Node, fresh: Node) -> Node:
    """A new node in the place, and of the name, of another."""
    return replace(
        fresh, name=node.name, serial=node.serial, part=node.part, source=node.source, cites=None
    )
