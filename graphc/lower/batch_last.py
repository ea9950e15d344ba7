"""Batches of images, innermost in memory: what runs over them then runs over neighbours.

A convolution of images x[n, c, h, w] reads windows of them. With n last, a window of a row of
images is one piece of memory, of n times its width, so that products read it where it is; and
what follows (activations, pooling, their gradients) runs over n in vectors, whatever the windows'
size and step. Arguments and results keep the order that the user gave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from graphc.graph import Contraction, Elementwise, Graph, Node, Reduction, View, apply, walk
from graphc.lower.index import simplify
from graphc.lower.panels import copied
from graphc.lower.tiling import candidate
from graphc.ops.leaves import INPUT, axes, sizes
from graphc.ops.reduce import subscripts
from graphc.ops.shape import PAD, RESHAPE, TRANSPOSE
from graphc.ops.windows import WINDOWS
from graphc.types import Dim, Size

SMALLEST = 8
"""Images. With fewer, rows of pixels are the longer runs."""

Order = tuple[int, ...]


def batches_last(graph: Graph) -> Graph:
    """The graph with the arrays around convolutions turned, and views that turn them back."""
    last = batch_axes(graph)
    given = _given(graph, last)
    copies: dict[tuple[Node, int], Node] = {}
    image: dict[Node, Node] = {x: x for x in graph.inputs}
    for node in walk((*graph.inputs, *graph.outputs)):
        if node in image:
            continue
        operands = tuple(image[x] for x in node.operands)
        if node in given:
            key = operands[0], given[node]
            if key not in copies:
                copies[key] = _copied_last(*key, node)
            operands = (copies[key],)
        cites = None if node.cites is None else image.get(node.cites, node.cites)
        same = all(a is b for a, b in zip(operands, node.operands, strict=True))
        fresh = (
            node if same and cites is node.cites else replace(node, operands=operands, cites=cites)
        )
        if node in last:
            fresh = _turned(fresh, last[node])
        elif (axis := _summed(node, last)) is not None:
            fresh = _with_loops(fresh, axis)
        image[node] = fresh
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs))


def _given(graph: Graph, last: Mapping[Node, int]) -> dict[Node, int]:
    """The windows that turned convolutions read of images given in another order, and which axis
    of the images counts them: a copy in the order of the others costs less than one of windows."""
    found: dict[Node, int] = {}
    for node in last:
        axis = _images(node)
        if axis is None:
            continue
        inputs, output = subscripts(node.params)
        for x, own in zip(node.operands, inputs, strict=True):
            if output[axis] in own:
                windows, at = _windows_below(x, own.index(output[axis]))
                if windows is not None and at is not None and _is_given(windows.operands[0]):
                    if windows.operands[0].type.rank - 1 != at:
                        found[windows] = at
    return found


def _windows_below(x: Node, axis: int) -> tuple[Node | None, int | None]:
    """The windows that x is a view of, and along which axis of what they see this one runs."""
    name, extents = f"?{axis}", {f"?{d}": size for d, size in enumerate(x.shape)}
    index: tuple[Size, ...] = tuple(Dim.named(f"?{d}") for d in range(x.type.rank))
    while isinstance(view := x.op.element, View):
        index = tuple(simplify(i, extents) for i in view.index(index, x))
        if x.op is WINDOWS:
            places = [d for d, i in enumerate(index) if i == Dim.named(name)]
            return x, places[0] if len(places) == 1 else None
        x = x.operands[0]
    return None, None


def _is_given(x: Node) -> bool:
    while isinstance(x.op.element, View):
        x = x.operands[0]
    return x.op is INPUT


def _copied_last(x: Node, axis: int, reader: Node) -> Node:
    """A copy with the axis last in memory, seen as it was."""
    order = _to_end(axis, x.type.rank)
    copy = copied(_transposed(x, order, reader), reader, True)
    return _transposed(copy, _inverse(order), reader)


# --- which axes ----------------------------------------------------------------------------------


def batch_axes(graph: Graph) -> dict[Node, int]:
    """The axis that goes last, of each node that is turned: of convolutions by images, and of what
    is computed element by element from them or for them."""
    free = {x for x in graph.nodes if _is_free(x)} - set(graph.outputs)
    found: dict[Node, int] = {}
    for node in graph.nodes:
        axis = _images(node)
        if axis is not None and node not in graph.outputs:
            found[node] = axis
    links = [
        (x, y, pairs) for x in graph.nodes if x in free or x in found for y, pairs in _reads(x)
    ]
    waiting = True
    while waiting and found:
        waiting = False
        for user, source, pairs in links:
            for a, b in pairs:
                for node, axis, other, own in ((user, a, source, b), (source, b, user, a)):
                    if found.get(other) == own and node in free and node not in found:
                        found[node] = axis
                        waiting = True
    return {node: axis for node, axis in found.items() if axis != node.type.rank - 1}


def _is_free(node: Node) -> bool:
    """Whether the order of its axes in memory is nobody's business."""
    return isinstance(node.op.element, Elementwise | Reduction) or node.op is PAD


def _images(node: Node) -> int | None:
    """Which axis of the result of a convolution counts images; None if it is none, or of few."""
    if not isinstance(node.op.element, Contraction) or candidate(node, rows=1) is None:
        return None  # a product too small for tiles gains nothing
    inputs, output = subscripts(node.params)
    for x, own, other in zip(node.operands, inputs, inputs[::-1], strict=True):
        if not _has_windows(x):
            continue
        for axis, label in enumerate(output):
            size = node.shape[axis]
            if label in own and label not in other and isinstance(size, int) and size >= SMALLEST:
                if _below(x, own.index(label)) is not None:
                    return axis
    return None


def _has_windows(x: Node) -> bool:
    while isinstance(x.op.element, View):
        if x.op is WINDOWS:
            return True
        x = x.operands[0]
    return False


def _below(x: Node, axis: int) -> tuple[Node, int] | None:
    """The node that x is a view of, and the axis that this axis of x runs along, alone."""
    name, extents = f"?{axis}", {f"?{d}": size for d, size in enumerate(x.shape)}
    index: tuple[Size, ...] = tuple(Dim.named(f"?{d}") for d in range(x.type.rank))
    while isinstance(view := x.op.element, View):
        index = tuple(simplify(i, extents) for i in view.index(index, x))
        x = x.operands[0]
    places = [d for d, i in enumerate(index) if i == Dim.named(name)]
    return (x, places[0]) if len(places) == 1 else None


def _reads(node: Node) -> Iterator[tuple[Node, list[tuple[int, int]]]]:
    """What a node reads through views, with the axes of both that run along each other."""
    for k, x in enumerate(node.operands):
        pairs: list[tuple[int, int]] = []
        source = x
        for axis, own in _axes_of(node, k):
            below = _below(x, own)
            if below is not None:
                source = below[0]
                pairs.append((axis, below[1]))
        if pairs:
            yield source, pairs


def _axes_of(node: Node, k: int) -> Iterator[tuple[int, int]]:
    """(axis of the result, axis of operand k) that run along each other."""
    x = node.operands[k]
    if isinstance(node.op.element, Contraction):
        inputs, output = subscripts(node.params)
        yield from ((a, inputs[k].index(i)) for a, i in enumerate(output) if i in inputs[k])
    elif isinstance(node.op.element, Reduction):
        gone = axes(node.params)
        yield from enumerate(a for a in range(x.type.rank) if a not in gone)
    else:
        missing = node.type.rank - x.type.rank
        for d, size in enumerate(x.shape):
            if size == node.shape[d + missing] and size != 1:
                yield d + missing, d


# --- turning -------------------------------------------------------------------------------------


def _turned(node: Node, axis: int) -> Node:
    """The node with the axis last in memory, seen as it was."""
    order = _to_end(axis, node.type.rank)
    turned = _like(node, _with_order(node, axis, order))
    turned = replace(turned, name=node.name, cites=node.cites)
    return _transposed(turned, _inverse(order), node)


def _like(node: Node, fresh: Node) -> Node:
    """A new node in the place of another."""
    return replace(fresh, serial=node.serial, part=node.part, source=node.source)


def _summed(node: Node, last: Mapping[Node, int]) -> int | None:
    """The axis of its operand along which a node sums what lies last."""
    if isinstance(node.op.element, Reduction):
        for axis in axes(node.params):
            below = _below(node.operands[0], axis)
            if below is not None and last.get(below[0]) == below[1]:
                return axis
    return None


def _with_loops(node: Node, axis: int) -> Node:
    """The reduction, with its loop over that axis innermost."""
    (x,) = node.operands
    order = _to_end(axis, x.type.rank)
    gone = tuple(sorted(order.index(a) for a in axes(node.params)))
    return replace(
        node, operands=(_transposed(x, order, node),), params={**node.params, "axes": gone}
    )


def _with_order(node: Node, axis: int, order: Order) -> Node:
    params = dict(node.params)
    if isinstance(node.op.element, Contraction):
        inputs, output = subscripts(params)
        return apply(node.op, *node.operands, inputs=inputs, output=tuple(output[a] for a in order))
    if isinstance(node.op.element, Reduction):
        (x,), gone = node.operands, axes(params)
        kept = [a for a in range(x.type.rank) if a not in gone]
        inner = _to_end(kept[axis], x.type.rank)
        params["axes"] = tuple(sorted(inner.index(a) for a in gone))
        return apply(node.op, _transposed(x, inner, node), **params)
    if node.op is PAD:
        for key in ("start", "step", "shape"):
            params[key] = tuple(sizes(params, key)[a] for a in order)
    operands = (_aligned(x, order, node) for x in node.operands)
    return apply(node.op, *operands, **params)


def _aligned(x: Node, order: Order, node: Node) -> Node:
    """An operand that broadcasts, in the other order."""
    if not x.shape:
        return x
    if missing := len(order) - x.type.rank:
        x = _like(node, apply(RESHAPE, x, shape=((1,) * missing + x.shape)))
    return _transposed(x, order, node)


def _to_end(axis: int, rank: int) -> Order:
    return (*(a for a in range(rank) if a != axis), axis)


def _inverse(order: Order) -> Order:
    return tuple(order.index(a) for a in range(len(order)))


def _transposed(x: Node, order: Order, node: Node) -> Node:
    """x with its axes in this order, in the place of a node."""
    if x.op is TRANSPOSE:  # together with that one
        below = axes(x.params)
        x, order = x.operands[0], tuple(below[a] for a in order)
    return x if order == tuple(range(len(order))) else _like(node, apply(TRANSPOSE, x, axes=order))


__all__ = ["batch_axes", "batches_last"]
