"""What a node computes, as loops over named axes: its domain, its reads, its accumulation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from graphc.frozen import dataclass
from graphc.graph import (
    Computed,
    Contraction,
    Elementwise,
    Index,
    Node,
    Part,
    Reader,
    Reduction,
    Region,
    Sequential,
    View,
)
from graphc.loops import Expr, Literal, Position
from graphc.lower.panels import PACK, pack_extent, pack_index, panel_axis
from graphc.lower.tiling import UNKNOWN, is_tiled, row_block, sizes_of, tiling
from graphc.ops.reduce import label_sizes, subscripts
from graphc.ops.shape import axes, broadcast_index
from graphc.types import Dim, Shape, Size, names, product, strides, substitute

SHORTEST_LONG = 8
"""Iterations. Loops that are shorter than that may be written out inside of longer ones."""
MOST_WRITTEN = 16
"""Iterations of loops within each other that are written out."""


@dataclass(frozen=True, slots=True)
class Access:
    """An operand's computed or stored node, and where the domain's element reads it."""

    node: Node
    index: Index


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """The loops of one node. Axis k runs over the name ``@k``; axes of size 1 have no loop."""

    node: Node
    extents: tuple[Size, ...]
    output: tuple[int, ...]
    """The axis behind each dimension of the result."""
    order: tuple[int, ...]
    """Axes with a loop, outermost first, as a loop nest of its own would have them."""
    accesses: tuple[Access, ...]
    streams: bool
    """Whether each element read is used about once, so that sharing loops pays; the others are
    contractions, which want their whole iteration space to themselves."""
    blocks: Mapping[int, int] = field(default_factory=dict)
    """Axes whose loop runs over blocks of so many: all of a block is computed at once."""
    ragged: Mapping[int, Size] = field(default_factory=dict)
    """Axes that end earlier, in the other axes."""
    tile: frozenset[int] = frozenset()
    """Short axes of places within the windows, or tiles, that the other axes count. They come last
    in the order: written out, they leave a loop along memory."""
    beside: tuple[Access, ...] = ()
    """What else its reader reads where it reads this: whose loops it may share."""

    @property
    def reduced(self) -> frozenset[int]:
        return frozenset(range(len(self.extents))) - frozenset(self.output)

    @property
    def inner(self) -> int | None:
        """The axis that runs along memory."""
        return next((a for a in reversed(self.order) if a not in self.tile), None)


def axis_name(axis: int) -> str:
    return f"@{axis}"


def index_of(extents: Shape, picked: tuple[int, ...]) -> Index:
    """The index made of these axes; 0 along those of size 1."""
    return tuple(0 if extents[a] == 1 else Dim.named(axis_name(a)) for a in picked)


def is_computed(node: Node) -> bool:
    """Whether the node has loops of its own (the others are read through)."""
    return isinstance(
        node.op.element, Elementwise | Reduction | Contraction | Region | Part | Sequential
    )


def resolve(
    node: Node, index: Index, meet: Callable[[Node, Index], Expr], bind: Callable[[Expr], Size]
) -> Expr:
    """The expression for element `index` of a node, read through views and guarded reads;
    `meet` gives that of a leaf or computed node, `bind` makes a value an index."""
    element = node.op.element
    if isinstance(element, View):
        return resolve(node.operands[0], element.index(index, node), meet, bind)
    if isinstance(element, Computed):
        reader = Reader(lambda k, at: resolve(node.operands[k], at, meet, bind), bind)
        return element.fn(index, reader, node)
    return meet(node, index)


def unknown(expr: Expr) -> Size:
    """An index that no loop variable is: what a value read from memory may be."""
    return expr.size if isinstance(expr, Position) else Dim.named("?")


def operand_indices(node: Node, extents: Shape) -> tuple[Index, ...]:
    """Where each operand is read, in the axes of the node's domain."""
    element = node.op.element
    if isinstance(element, Reduction):
        return (index_of(extents, tuple(range(len(extents)))),)
    if isinstance(element, Region | Sequential):
        return tuple(tuple(Dim.named(f"?{d}") for d in range(x.type.rank)) for x in node.operands)
    if is_tiled(node):
        return _tiled_indices(node)
    if node.op is PACK:
        return (pack_index(index_of(extents, tuple(range(len(extents)))), node),)
    if isinstance(element, Part):
        return ((),)
    if isinstance(element, Contraction):
        inputs, output = subscripts(node.params)
        place = _label_axes(inputs, output)
        return tuple(
            index_of(extents, tuple(place[label] for label in labels)) for labels in inputs
        )
    at = index_of(extents, tuple(range(len(extents))))
    return tuple(broadcast_index(at, x.shape) for x in node.operands)


def tiled_axes(node: Node) -> dict[int, int]:
    """The axis of each label of a tiled product that has one: the result's, then those that loops
    sum over."""
    _, output = subscripts(node.params)
    return {label: axis for axis, label in enumerate((*output, *tiling(node).summed))}


def _tiled_indices(node: Node) -> tuple[Index, ...]:
    """Operands are read at the loops' axes; all along the others."""
    inputs, _ = subscripts(node.params)
    sizes, found, axis = sizes_of(node), tiling(node), tiled_axes(node)
    looping = {*found.outer, *found.summed, *(found.rows if row_block(node) else ())}

    def at(label: int) -> Size:
        if label in looping:
            return 0 if sizes[label] == 1 else Dim.named(axis_name(axis[label]))
        return Dim.named(f"?{label}")

    return tuple(tuple(map(at, labels)) for labels in inputs)


def _label_axes(inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> dict[int, int]:
    """The axis of each label: the result's first, then the summed ones as they appear."""
    appearing = dict.fromkeys((*output, *(label for labels in inputs for label in labels)))
    return {label: axis for axis, label in enumerate(appearing)}


def domain(node: Node) -> Domain:
    """The domain of a computed node."""
    element = node.op.element
    if isinstance(element, Reduction):
        extents = node.operands[0].shape
        gone = axes(node.params)
        output = tuple(a for a in range(len(extents)) if a not in gone)
    elif isinstance(element, Contraction) and not is_tiled(node):
        inputs, labels = subscripts(node.params)
        sizes = label_sizes(tuple(x.shape for x in node.operands), inputs)
        place = _label_axes(inputs, labels)
        extents = tuple(sizes[label] for label in place)
        output = tuple(place[label] for label in labels)
    elif is_tiled(node):
        sizes = sizes_of(node)
        extents = tuple(sizes[label] for label in tiled_axes(node))
        output = tuple(range(node.type.rank))
    else:
        extents, output = node.shape, tuple(range(node.type.rank))
    accesses: list[Access] = []

    def meet(operand: Node, index: Index) -> Expr:
        accesses.append(Access(operand, index))
        return Literal(0, operand.dtype)

    for operand, index in zip(node.operands, operand_indices(node, extents), strict=True):
        resolve(operand, index, meet, unknown)
    order = tuple(a for a in range(len(extents)) if extents[a] != 1)
    if isinstance(element, Part | Sequential):
        order = ()  # written all of it at once, by its region or in loops of its own
    if is_tiled(node):
        return _tiled_domain(node, extents, output, tuple(accesses))
    if node.op is PACK:
        (panel,) = index_of(extents, (panel_axis(node),))
        ragged = {len(extents) - 1: pack_extent(node, panel)}
        return Domain(node, extents, output, order, tuple(accesses), True, ragged=ragged)
    streams = not isinstance(element, Contraction)
    if isinstance(element, Contraction) and not is_tiled(node):
        streamed = _streamed(order, output, accesses)
        streams = streamed is not None
        order = (
            streamed
            if streamed is not None
            else _contraction_order(order, output, accesses, node.shape)
        )
    tile = _tile(order, extents, accesses) if streams else frozenset[int]()
    order = (*(a for a in order if a not in tile), *(a for a in order if a in tile))
    return Domain(node, extents, output, order, tuple(accesses), streams, tile=tile)


def _tile(order: tuple[int, ...], extents: Shape, accesses: list[Access]) -> frozenset[int]:
    """The short axes that move within the steps of longer ones, as 2 i + j does along j; none
    where too few or too many iterations would be left."""
    found: set[int] = set()
    for access in accesses:
        for index in access.index:
            inside = [a for a in order if axis_name(a) in names(index)]
            if len(inside) == 2:
                found.add(min(inside, key=lambda a: (_step(index, a), _known(extents[a]), -a)))
    rest = [a for a in order if a not in found]
    if not rest or not is_long(extents[rest[-1]]):
        return frozenset()
    return frozenset(found) if may_be_written(extents[a] for a in found) else frozenset()


def _step(index: Size, axis: int) -> int:
    """How far an index moves with an axis."""
    here: dict[str, Size] = dict.fromkeys(names(index), 0)
    step = substitute(index, {**here, axis_name(axis): 1}) - substitute(index, here)
    return abs(step) if isinstance(step, int) else UNKNOWN


def _known(size: Size) -> int:
    return size if isinstance(size, int) else UNKNOWN


def is_long(size: Size) -> bool:
    return not isinstance(size, int) or size >= SHORTEST_LONG


def may_be_written(sizes: Iterable[Size]) -> bool:
    """Whether so few iterations are known that they may be written out."""
    total = product(sizes)
    return isinstance(total, int) and total <= MOST_WRITTEN


def _tiled_domain(
    node: Node, extents: Shape, output: tuple[int, ...], accesses: tuple[Access, ...]
) -> Domain:
    """Loops over labels that are in no group, and over blocks of rows; the rest at once."""
    found, axis, block = tiling(node), tiled_axes(node), row_block(node)
    blocks = {} if block is None else {axis[found.rows[0]]: block}
    outer, summed = [axis[i] for i in found.outer], [axis[i] for i in found.summed]
    order = [*summed, *outer] if found.runs else [*outer, *blocks, *summed]
    looping = tuple(a for a in order if extents[a] != 1)
    return Domain(node, extents, output, looping, accesses, False, blocks=blocks)


def _streamed(
    looping: tuple[int, ...], output: tuple[int, ...], accesses: list[Access]
) -> tuple[int, ...] | None:
    """The axes in the memory order of an operand that has them all, or of the result if nothing
    is summed: a contraction that touches each element once (matrix times vector, outer product)
    is bound by memory and gains nothing by tiles."""
    if set(looping) <= set(output):
        return tuple(a for a in output if a in looping)
    for access in accesses:
        order = tuple(a for i in access.index for a in looping if i == Dim.named(axis_name(a)))
        if sorted(order) == sorted(looping):
            return order
    return None


def _contraction_order(
    looping: tuple[int, ...], output: tuple[int, ...], accesses: list[Access], shape: Shape
) -> tuple[int, ...]:
    """Result axes, summed axes, and innermost the axis along which most arrays run by unit stride.

    Each array costs nothing along an axis it does not have, 1 at unit stride, 4 otherwise.
    """
    places = [(access.node.shape, access.index) for access in accesses]
    places.append((shape, tuple(Dim.named(axis_name(a)) for a in output)))

    def cost(axis: int) -> tuple[int, bool]:
        total = 0
        for sizes, index in places:
            step = _stride(sizes, index, axis)
            total += 0 if step == 0 else 1 if step in (1, -1) else 4
        return total, axis not in output

    if not looping:
        return ()
    inner = min(looping, key=lambda axis: (*cost(axis), -axis))
    outer = [a for a in output if a in looping and a != inner]
    summed = [a for a in looping if a not in output and a != inner]
    return (*outer, *summed, inner)


def _stride(shape: Shape, index: Index, axis: int) -> Size:
    """How far the flat position moves when the axis moves by one."""
    name = axis_name(axis)
    flat: Size = 0
    for i, step in zip(index, strides(shape), strict=True):
        flat = flat + i * step
    return substitute(flat, {name: 1}) - substitute(flat, {name: 0})
