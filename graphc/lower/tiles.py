"""Contractions as matrix products of register tiles: statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from graphc import loops
from graphc.bounds import Extents, row_panel
from graphc.graph import Index, Node
from graphc.loops import Contract, Expr, Literal, Loop, Matrix, Read, Stmt, Store
from graphc.lower.clipped import clipped
from graphc.lower.domain import tiled_axes
from graphc.lower.index import simplify
from graphc.lower.schedule import Placed
from graphc.lower.steps import (
    COLUMNS,
    ROWS,
    TERMS,
    Steps,
    group_extents,
    groups_at,
    right_steps,
    steps_of,
    taps_of,
)
from graphc.lower.storage import Array
from graphc.lower.tiling import sizes_of, tiling
from graphc.ops.reduce import subscripts
from graphc.types import Dim, Size, product, strides, substitute

Leaf = Callable[[Index, Extents], Expr]


def write_tiled(
    node: Node,
    spot: Placed,
    array: Array,
    leaves: Sequence[Leaf],
    loop_names: Sequence[str],
    extents: Extents,
) -> list[Stmt]:
    """The product that fills the node's array, or the part of it that the loops outside ask for."""
    found, sizes = tiling(node), sizes_of(node)
    inputs, output = subscripts(node.params)
    within = {**extents, **group_extents(node, found)}
    axis, bound = tiled_axes(node), spot.bound
    at = groups_at(node, found)
    for label in (*found.outer, *found.summed):
        at[label] = 0 if sizes[label] == 1 else bound[axis[label]]
    cut = spot.blocks(len(spot.path))
    if cut:
        (block,) = cut.values()
        within[ROWS] = block.inner
        at[found.rows[0]] = block.index + Dim.named(ROWS)
    target = array.start
    places = zip(array.axes, array.bases, strides(array.shape), strict=True)
    for a, base, step in places:
        target = target + (at[output[a]] - base) * step
    sides = [leaves[k](tuple(at[i] for i in inputs[k]), within) for k in (found.left, found.right)]
    into = Read(array.name, simplify(target, within), node.dtype)
    add = spot.ready < len(spot.path)
    rows, columns, terms = (within[name] for name in (ROWS, COLUMNS, TERMS))
    if found.runs:
        counts = [sizes[i] for i in found.terms if i not in found.runs]
        counts = [*counts, product(sizes[i] for i in found.runs)]
        left = _matrix(sides[0], lambda flat: taps_of(flat, ROWS, within, counts))
        right = _matrix(sides[1], lambda flat: taps_of(flat, COLUMNS, within, counts))
    elif found.clipped:
        return _clipped(node, sides, into, within, loop_names)
    else:
        left = _matrix(sides[0], lambda flat: _row_steps(node, flat, within))
        right = _matrix(sides[1], lambda flat: right_steps(node, found, flat, within))
    place = steps_of(
        substitute(into.index, {COLUMNS: Dim.named(TERMS)}),
        ROWS,
        row_panel(node.dtype),
        {**within, TERMS: within[COLUMNS]},
        unit=False,
    )
    if left is None or right is None or place is None or place.panel is not None:
        return _plain(sides, into, within, loop_names, add, node)
    if place.term != 1 and columns != 1 and not found.runs:  # tiles write columns side by side
        return _plain(sides, into, within, loop_names, add, node)
    matrix = Matrix(into.buffer, place.start, place.across, place.term)
    return [Contract(node.dtype, rows, columns, terms, left, right, matrix, add)]


def _clipped(
    node: Node,
    sides: Sequence[Expr],
    into: Read,
    within: Mapping[str, Size],
    loop_names: Sequence[str],
) -> list[Stmt]:
    """The product by those taps that fall inside the image."""
    found, sizes = tiling(node), sizes_of(node)
    left = _matrix(sides[0], lambda flat: _row_steps(node, flat, within))
    right = clipped(sides[1], within, [sizes[i] for i in found.terms])
    row = _linear_in(into.index, ROWS, within)
    if left is None or right is None or row is None:
        return _plain(sides, into, within, loop_names, False, node)
    start = substitute(into.index, {ROWS: 0, COLUMNS: 0})
    image = Matrix(right.buffer, right.steps.start, 1, 0, None, right.steps.taps)
    place = Matrix(into.buffer, start, row, 1)
    rows, columns, terms = (within[name] for name in (ROWS, COLUMNS, TERMS))
    return [Contract(node.dtype, rows, columns, terms, left, image, place, False, right.counted)]


def _linear_in(index: Size, rows: str, within: Mapping[str, Size]) -> Size | None:
    """The step along rows of a place whose columns lie side by side."""
    index = simplify(index, within)
    start = substitute(index, {rows: 0, COLUMNS: 0})
    step = substitute(index, {rows: 1, COLUMNS: 0}) - start
    linear = start + step * Dim.named(rows) + Dim.named(COLUMNS)
    return step if linear == index else None


def _row_steps(node: Node, flat: Size, within: Mapping[str, Size]) -> Steps | None:
    """The steps of the left operand."""
    return steps_of(flat, ROWS, row_panel(node.dtype), within, unit=False)


def _matrix(read: Expr, find: Callable[[Size], Steps | None]) -> Matrix | None:
    """Where an operand lies; None where tiles cannot read it."""
    if not isinstance(read, Read):
        return None
    steps = find(read.index)
    if steps is None:
        return None
    return Matrix(read.buffer, steps.start, steps.across, steps.term, steps.panel, steps.taps)


def _plain(
    sides: Sequence[Expr],
    into: Read,
    within: Mapping[str, Size],
    loop_names: Sequence[str],
    add: bool,
    node: Node,
) -> list[Stmt]:
    """The same as loops: for an operand of a body that its loop reads through a guard, say."""
    groups = (ROWS, TERMS, COLUMNS)
    names = dict(zip(groups, loop_names, strict=False))
    at: dict[str, Size] = {group: Dim.named(name) for group, name in names.items()}
    extents = {**within, **{name: within[group] for group, name in names.items()}}

    def placed(expr: Expr) -> Expr | None:
        if isinstance(expr, Read):
            return Read(expr.buffer, simplify(substitute(expr.index, at), extents), expr.dtype)
        if isinstance(expr, loops.Position):
            return loops.Position(simplify(substitute(expr.size, at), extents))
        return None

    here = loops.replace_parts(into, placed)
    index = here.index if isinstance(here, Read) else 0
    product = loops.apply("multiply", *(loops.replace_parts(side, placed) for side in sides))
    term: Stmt = Store(into.buffer, index, loops.apply("add", here, product))
    clear: Stmt = Store(into.buffer, index, Literal(0.0, node.dtype))
    body = _nested(term, [(names[g], within[g]) for g in groups])
    if add:
        return [body]
    return [_nested(clear, [(names[g], within[g]) for g in (ROWS, COLUMNS)]), body]


def _nested(stmt: Stmt, around: Sequence[tuple[str, Size]]) -> Stmt:
    for var, size in reversed(around):
        stmt = Loop(var, size, (stmt,))
    return stmt


def clear(
    spot: Placed, array: Array, loop_names: Sequence[str], extents: Extents, zero: Literal
) -> Stmt:
    """Zeros where products will add up."""
    cut, settled = spot.blocks(spot.ready), spot.settled(spot.ready)
    index, inside, around = array.start, dict(extents), []
    names = iter(loop_names)
    for axis, base, step in zip(array.axes, array.bases, strides(array.shape), strict=True):
        size = cut[axis].inner if axis in cut else spot.domain.extents[axis]
        at: Size = cut[axis].index if axis in cut else 0
        if axis in settled:
            at = settled[axis]
        elif size != 1:
            around.append((next(names), size))
            inside[around[-1][0]] = size
            at = at + Dim.named(around[-1][0])
        index = index + (at - base) * step
    return _nested(Store(array.name, simplify(index, inside), zero), around)
