"""Scatters, running sums and sorts as statements: loops whose steps need the ones before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc import loops
from graphc.graph import Index, Node, Running, Scatter
from graphc.loops import (
    Assign,
    Declare,
    Expr,
    If,
    Let,
    Literal,
    Local,
    Loop,
    Position,
    Read,
    Stmt,
    Store,
    While,
)
from graphc.lower.body import Extents, Leaf, Writer
from graphc.lower.index import simplify
from graphc.ops.indexing import full_index
from graphc.ops.ordered import IDENTITY
from graphc.ops.shape import axes, broadcast_index
from graphc.types import Dim, Shape, Size, bool_, int64, minimum, strides

Inside = Callable[[Index, Extents], Sequence[Stmt]]


def write_sequential(
    writer: Writer,
    node: Node,
    scratch: str,
    leaves: Sequence[Leaf],
    loop_names: Sequence[str],
    extents: Extents,
) -> list[Stmt]:
    """The statements that fill the node's array. `scratch` names an array for one row of a sort."""
    match node.op.element:
        case Scatter():
            return _scatter(writer, node, leaves, loop_names, extents)
        case Running():
            return _running(writer, node, leaves[0], loop_names, extents)
    return _sort(writer, node, scratch, leaves[0], loop_names, extents)


def nest(shape: Shape, loop_names: Sequence[str], extents: Extents, inside: Inside) -> list[Stmt]:
    """Loops over a shape around what `inside` gives for an index."""
    names = loop_names[: len(shape)]
    within = {**extents, **dict(zip(names, shape, strict=True))}
    index = tuple(0 if s == 1 else Dim.named(v) for v, s in zip(names, shape, strict=True))
    body = tuple(inside(index, within))
    for name, size in reversed(list(zip(names, shape, strict=True))):
        if size != 1:
            body = (Loop(name, size, body),)
    return list(body)


def flat(index: Index, shape: Shape, start: Size = 0) -> Size:
    """The position of an element of an array in C order."""
    total = start
    for i, step in zip(index, strides(shape), strict=True):
        total = total + i * step
    return total


def copy(
    writer: Writer,
    name: str,
    start: Size,
    kind: Node,
    source: Leaf,
    loop_names: Sequence[str],
    extents: Extents,
) -> list[Stmt]:
    """name[start + ...] = source[...]."""

    def inside(at: Index, within: Extents) -> Sequence[Stmt]:
        value = source(at, within)
        place = simplify(flat(at, kind.shape, start), within)
        return [*writer.flush(value), Store(name, place, value)]

    return nest(kind.shape, loop_names, extents, inside)


def _scatter(
    writer: Writer, node: Node, leaves: Sequence[Leaf], loop_names: Sequence[str], extents: Extents
) -> list[Stmt]:
    array, picked = writer.stored[node], axes(node.params)
    updates, *indices = leaves[1:]
    rank = node.type.rank
    combine = str(node.params["combine"])

    shape = node.operands[1].shape
    lead = len(shape) - (rank - len(picked))

    def each(at: Index, within: Extents) -> Sequence[Stmt]:
        found = [
            writer.bind(leaf(broadcast_index(at, i.shape), within))
            for leaf, i in zip(indices, node.operands[2:], strict=True)
        ]
        bound = writer.flush(*(Position(i) for i in found))

        def inside(rest: Index, within: Extents) -> Sequence[Stmt]:
            where = full_index(picked, found, rest, rank)
            place = simplify(flat(where, node.shape, array.start), within)
            value = updates((*at, *rest), within)
            before = writer.flush(value)
            if combine != "set":
                value = loops.apply(combine, Read(array.name, place, node.dtype), value)
            return [*before, Store(array.name, place, value)]

        return [*bound, *nest(shape[lead:], loop_names[lead:], within, inside)]

    return [
        *copy(writer, array.name, array.start, node, leaves[0], loop_names, extents),
        *nest(shape[:lead], loop_names, extents, each),
    ]


def _rows(node: Node) -> tuple[int, Shape]:
    """(the axis the node goes along, the shape with that axis of size 1)"""
    (axis,) = axes(node.params)
    return axis, tuple(1 if a == axis else size for a, size in enumerate(node.shape))


def _running(
    writer: Writer, node: Node, leaf: Leaf, loop_names: Sequence[str], extents: Extents
) -> list[Stmt]:
    array = writer.stored[node]
    axis, others = _rows(node)
    combine, size = str(node.params["combine"]), node.shape[axis]
    step = loop_names[len(others)]

    def inside(at: Index, within: Extents) -> Sequence[Stmt]:
        within = {**within, step: size}
        total = Local(writer.names.fresh(), node.dtype)
        i: Size = Dim.named(step)
        here = (*at[:axis], size - 1 - i if node.params["reverse"] else i, *at[axis + 1 :])
        value = leaf(here, within)
        place = simplify(flat(here, node.shape, array.start), within)
        body = (
            *writer.flush(value),
            Assign(total.name, loops.apply(combine, total, value)),
            Store(array.name, place, total),
        )
        first = Literal(IDENTITY[combine](node.dtype), node.dtype)
        return [Declare(total.name, first), Loop(step, size, body)]

    return nest(others, loop_names, extents, inside)


# --- a merge sort from the bottom up ------------------------------------------------------------


def _sort(
    writer: Writer,
    node: Node,
    scratch: str,
    leaf: Leaf,
    loop_names: Sequence[str],
    extents: Extents,
) -> list[Stmt]:
    """Runs of 1, 2, 4, ... places are merged, a row at a time, by way of `scratch`."""
    array = writer.stored[node]
    axis, others = _rows(node)
    step, size = loop_names[len(others)], node.shape[axis]

    def inside(at: Index, within: Extents) -> Sequence[Stmt]:
        within = {**within, step: size}

        def place(k: Size) -> Size:
            return simplify(flat((*at[:axis], k, *at[axis + 1 :]), node.shape, array.start), within)

        def key(k: Size) -> Expr:
            return leaf((*at[:axis], k, *at[axis + 1 :]), within)

        i = Dim.named(step)
        fill = Loop(step, size, (Store(array.name, place(i), Position(i)),))
        if size == 0:
            return [fill]
        width, left = (writer.names.take(name) for name in ("width", "left"))
        merged = _merge(writer, (array.name, place), scratch, key, (width, left, step), size)
        return [
            fill,
            Declare(width, Literal(1, int64)),
            While(
                (),
                loops.predicate("less", Position(Dim.named(width)), Position(size)),
                (
                    Declare(left, Literal(0, int64)),
                    While(
                        (),
                        loops.predicate("less", Position(Dim.named(left)), Position(size)),
                        merged,
                    ),
                    Loop(step, size, (Store(array.name, place(i), Read(scratch, i, int64)),)),
                    Assign(width, Position(2 * Dim.named(width))),
                ),
            ),
        ]

    return nest(others, loop_names, extents, inside)


def _merge(
    writer: Writer,
    order: tuple[str, Callable[[Size], Size]],
    scratch: str,
    key: Callable[[Size], Expr],
    names: tuple[str, str, str],
    size: Size,
) -> tuple[Stmt, ...]:
    """Two neighbouring runs of the order become one of the scratch array; `left` moves on."""
    array, place = order
    width, left, step = (Dim.named(name) for name in names)
    middle, right, a, b, x, y = (
        writer.names.take(name) for name in ("middle", "right", "a", "b", "first", "second")
    )
    ends, where = Dim.named(middle), Dim.named(right)
    at_a, at_b = Dim.named(a), Dim.named(b)
    # Where a run is used up its last place is read again, and not taken.
    last_a = place(minimum(at_a, ends - 1))
    last_b = place(minimum(at_b, where - 1))
    key_x, key_y = key(Dim.named(x)), key(Dim.named(y))
    taken = writer.names.take("is_first")
    known_x, known_y = (Local(writer.names.fresh(), key_x.dtype) for _ in range(2))
    body: tuple[Stmt, ...] = (
        Let(x, Read(array, last_a, int64)),
        Let(y, Read(array, last_b, int64)),
        *writer.flush(key_x, key_y),
        Let(known_x.name, key_x),
        Let(known_y.name, key_y),
        Let(taken, _takes_first(known_x, known_y, (at_a, ends), (at_b, where))),
        Store(
            scratch,
            left + step,
            loops.select(Local(taken, bool_), Local(x, int64), Local(y, int64)),
        ),
        If(
            Local(taken, bool_),
            (Assign(a, Position(at_a + 1)),),
            (Assign(b, Position(at_b + 1)),),
        ),
    )
    return (
        Let(middle, Position(minimum(left + width, size))),
        Let(right, Position(minimum(left + 2 * width, size))),
        Declare(a, Position(left)),
        Declare(b, Position(ends)),
        Loop(names[2], where - left, body),
        Assign(names[1], Position(where)),
    )


def _takes_first(x: Expr, y: Expr, first: tuple[Size, Size], second: tuple[Size, Size]) -> Expr:
    """Whether the next of two runs comes from the first: it has one, and the second has none that
    is smaller; nan is larger than all."""
    smaller = loops.predicate("less", y, x)
    if x.dtype.kind == "f":
        x_nan, y_nan = (loops.predicate("isnan", v) for v in (x, y))
        only = loops.predicate("logical_and", x_nan, loops.negated(y_nan))
        smaller = loops.predicate("logical_or", smaller, only)
    elif x.dtype.kind == "b":
        smaller = loops.predicate("logical_and", x, loops.negated(y))
    has_first = loops.predicate("less", *map(Position, first))
    no_second = loops.predicate("greater_equal", *map(Position, second))
    stays = loops.predicate("logical_or", no_second, loops.negated(smaller))
    return loops.predicate("logical_and", has_first, stays)
