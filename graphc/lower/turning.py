"""Which way round a product of matrices costs less: c = a b, or its transpose."""

from __future__ import annotations

from dataclasses import replace

from graphc.graph import Graph, Node, apply, rebuild
from graphc.lower.layout import wants_copy
from graphc.lower.steps import flat_of
from graphc.lower.tiling import LEAST_COLUMNS, Tiling, as_product, count, is_tiled, sizes_of
from graphc.lower.windowed import grouped, label_steps
from graphc.ops.elementwise import CAST
from graphc.ops.reduce import EINSUM, subscripts
from graphc.ops.shape import TRANSPOSE
from graphc.types import Dim, product, substitute

VECTOR = 32
"""Bytes, of the vectors that the estimate counts with."""
LONG_RUN = 8
COPY_RUN, COPY_SHORT, COPY_FAR = 0.5, 2.0, 1.5
"""Cycles to copy an element in long runs, in short ones, and from places far apart."""
READ_ACROSS = 1.0
"""Cycles that an element of a turned result costs more: its readers go across memory."""
GAIN = 0.8
LEAST_ALONG = 16
"""Rows side by side that repay a transpose of a few columns."""


def turn_round(graph: Graph) -> Graph:
    """The graph with products the other way round, and views that turn them back, where it pays."""

    results = {x.serial for x in graph.outputs}  # which are computed, not seen through a view

    def change(node: Node) -> Node:
        if is_tiled(node):
            return node
        found = grouped(node)
        if found is not None:
            return node if node.serial in results else _turned(node, found) or node
        view = _few_columns(node)
        if view is not None and node.serial in results:
            return _in_place(node, apply(CAST, view, dtype=node.dtype))
        return view or node

    image = rebuild(graph.outputs, change, {x: x for x in graph.inputs})
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs))


def _few_columns(node: Node) -> Node | None:
    """A product of a few columns, each of rows that lie side by side, as its transpose: then loops
    run along them. None where it is none."""
    found = as_product(node)
    if found is None or len(found.rows) != 1:
        return None
    sizes, steps = sizes_of(node), label_steps(node, found.left)
    columns = product(sizes[i] for i in found.columns)
    if not isinstance(columns, int) or not 1 < columns < LEAST_COLUMNS:
        return None
    if steps is None or steps[found.rows[0]] != 1 or count([sizes[found.rows[0]]]) < LEAST_ALONG:
        return None
    return _transposes(node, found)[1]


def _turned(node: Node, found: Tiling) -> Node | None:
    """The transpose of the product, seen as the product itself; None where it does not pay."""
    other, view = _transposes(node, found)
    turned = grouped(other)
    if turned is None:
        return None
    across = READ_ACROSS * count(sizes_of(node)[i] for i in subscripts(node.params)[1])
    if _cost(other, turned) + across > GAIN * _cost(node, found):
        return None
    return view


def _transposes(node: Node, found: Tiling) -> tuple[Node, Node]:
    """The transpose of the product, and the product as a view of it."""
    inputs, output = subscripts(node.params)
    order = (*(i for i in output if i not in found.rows), *found.rows)
    other = replace(
        apply(EINSUM, *node.operands, inputs=inputs, output=order),
        serial=node.serial,
        part=node.part,
        source=node.source,
        cites=node.cites,
    )
    view = apply(TRANSPOSE, other, axes=tuple(order.index(i) for i in output))
    return other, _in_place(node, view)


def _in_place(node: Node, other: Node) -> Node:
    """Another node with the name and the place in the order that this one has."""
    return replace(other, name=node.name, serial=node.serial, part=node.part, source=node.source)


def _cost(node: Node, found: Tiling) -> float:
    """About how many cycles the product takes, with the copies it needs."""
    sizes = sizes_of(node)
    rows, columns, terms = (
        count(sizes[i] for i in group) for group in (found.rows, found.columns, found.terms)
    )
    around = (*found.outer, *found.summed)
    total = rows * -(-columns * node.dtype.bytes // VECTOR) * terms / 2
    total *= count(sizes[i] for i in around)
    for k in (found.left, found.right):
        if wants_copy(node, found, k):
            across = columns if k == found.right else rows
            own = subscripts(node.params)[0][k]
            times = count(sizes[i] for i in around if i in own)  # one for all others
            total += across * terms * _rate(node, found, k) * times
    return total


def _rate(node: Node, found: Tiling, k: int) -> float:
    """Cycles to copy an element of operand k."""
    own = found.columns if k == found.right else found.rows
    inner = found.terms[-1] if len(own) > 1 and k == found.left else own[-1]
    flat = flat_of(node, k)
    if flat is None:
        return COPY_SHORT
    name = f"?{inner}"
    step = substitute(flat, {name: Dim.named(name) + 1}) - flat
    if step != 1:
        return COPY_FAR
    return COPY_RUN if count([sizes_of(node)[inner]]) >= LONG_RUN else COPY_SHORT
