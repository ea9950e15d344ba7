"""How the operands of tiled products lie in memory: as they are, or copied into panels first."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from graphc.bounds import column_panel, row_panel
from graphc.graph import Computed, Graph, Node, View, apply, rebuild, walk
from graphc.lower.panels import copied, packed
from graphc.lower.steps import lies
from graphc.lower.tiling import TILED, UNKNOWN, Tiling, block_of, count, is_tiled, sizes_of
from graphc.lower.windowed import by_taps, grouped, label_steps, with_rows_of_zeros
from graphc.ops.reduce import subscripts
from graphc.ops.shape import INPUT, TRANSPOSE
from graphc.options import Tiles
from graphc.types import Size

LONGEST_TERM_STEP = {"left": 1024, "right": 2048}
"""Bytes. Where neighbouring terms lie farther apart, tiles miss the first cache: worth a copy."""
WORTH_COPYING = {"left": 64, "right": 32}
"""So many columns that use each element of the left operand, rows for the right."""
SETS, WAYS, LINE = 64, 8, 64
"""Of the first cache: sets of so many lines of so many bytes."""
DEPTH = 256
"""Terms that a tile sums before it moves on."""
ENOUGH_ROWS, FEW_PRODUCTS, FEW_TURNED = 96, 8, 4
"""With so many rows at a time a product gathers its columns itself, unless more products want them,
or more want them turned: then one copy for all costs less."""
LARGEST_COPY = 1 << 17
"""Elements. Larger copies are made in parts, in a loop over the first label, where there is one."""
ENOUGH_TERMS = 32
"""So many terms, and the labels outside them become loops: what they copy stays in the cache."""


def wants_copy(node: Node, found: Tiling, k: int) -> bool:
    """Whether operand k is copied into panels first."""
    if found.runs:
        along = label_steps(node, k)
        return along is None or along[found.runs[-1]] != 1
    if found.clipped and k == found.right:
        return False
    steps = lies(node, found, k)
    if steps is None:
        return True
    if steps.panel is not None or steps.taps:
        return False
    side = "right" if k == found.right else "left"
    sizes = sizes_of(node)
    uses = count(sizes[i] for i in (found.rows if side == "right" else found.columns))
    far = _bytes(node, steps.term) >= LONGEST_TERM_STEP[side]
    if side == "left":
        return uses >= WORTH_COPYING[side] and far
    turned = steps.across != 1
    if k in found.steady:
        return turned or far or _collides(node, found, steps.term)
    if not turned and (not far or uses < WORTH_COPYING[side]):
        return False
    return not _gathers(node, found, uses, FEW_TURNED if turned else FEW_PRODUCTS)


def _collides(node: Node, found: Tiling, step: Size) -> bool:
    """Whether the columns of a tile, a line of each term, drive each other out of the first cache:
    their addresses meet in few of its sets."""
    apart = _bytes(node, step)
    sets = SETS // math.gcd(SETS, apart // LINE) if apart % LINE == 0 else SETS
    terms = count(sizes_of(node)[i] for i in found.terms)
    return min(terms, DEPTH) > sets * WAYS


def _gathers(node: Node, found: Tiling, rows: int, few: int) -> bool:
    """Whether the product gathers its columns on its way: it has rows enough, and a few products at
    most want the same."""
    inputs, _ = subscripts(node.params)
    sizes = sizes_of(node)
    around = (i for i in (*found.outer, *found.summed) if i not in inputs[found.right])
    block = block_of(node, found) or rows
    return block >= ENOUGH_ROWS and count(sizes[i] for i in around) * rows <= block * few


def _bytes(node: Node, step: Size) -> int:
    """How far a step leads; one known only at run time counts as far."""
    return (abs(step) if isinstance(step, int) else UNKNOWN) * node.dtype.bytes


def shrink(node: Node, found: Tiling) -> Tiling:
    """Groups so small that no copy of an operand is large: first labels become loops."""
    sizes = sizes_of(node)
    if found.clipped or by_taps(node, found):
        return found  # which add to nothing, and read no copy but of the filters
    for k in (found.right, found.left):
        while wants_copy(node, found, k):
            own = found.columns if k == found.right else found.rows
            across, along = (count(sizes[i] for i in g) for g in (own, found.terms))
            many = count(sizes[i] for i in found.terms[1:]) >= ENOUGH_TERMS
            if across * along <= LARGEST_COPY and not (many and len(found.terms) > 1):
                break
            if len(found.terms) > 1:
                found = replace(
                    found, terms=found.terms[1:], summed=(*found.summed, found.terms[0])
                )
            elif len(own) > 1:
                outer = tuple(i for i in subscripts(node.params)[1] if i in (*found.outer, own[0]))
                group = {"columns" if k == found.right else "rows": own[1:]}
                found = replace(found, outer=outer, **group)  # type: ignore[arg-type]  # a group
            else:
                break
    return found


def lay_out(graph: Graph, tiles: Tiles, steady: Collection[Node] = ()) -> Graph:
    """Contractions that tiles speed up, with their operands laid out for them.

    Args:
        steady: inputs that are the same in all steps of a scan around.
    """
    stored: dict[Node, Node] = {}
    copies: dict[tuple[object, ...], Node] = {}
    read = {x.serial for node in graph.nodes for x in node.operands}
    alone = {x.serial for x in graph.outputs} - read

    def change(node: Node) -> Node:
        apart = node.serial in alone
        node = node if is_tiled(node) else with_rows_of_zeros(node)
        found = None if is_tiled(node) else grouped(node, apart)
        if found is None:
            return node
        found = replace(found, alone=apart, blocks=tiles.blocks)
        operands = tuple(
            x
            if found.clipped and k == found.right
            else _through(x, stored, node, _is_early(node, found, k))
            for k, x in enumerate(node.operands)
        )
        node = replace(node, operands=operands)
        fixed = tuple(k for k, x in enumerate(operands) if is_made_of(x, steady))
        found = shrink(node, replace(found, steady=fixed))
        inputs, _ = subscripts(node.params)
        for k in (found.left, found.right):
            if wants_copy(node, found, k):
                key = (operands[k], inputs[k], k == found.right, found)
                if key not in copies:
                    copies[key] = _copied(node, found, k)
                operands = (*operands[:k], copies[key], *operands[k + 1 :])
        params = {**node.params, **found.params()}
        return replace(node, op=TILED, operands=operands, params=params)

    image = rebuild(graph.outputs, change, {x: x for x in graph.inputs})
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs))


def is_made_of(node: Node, inputs: Collection[Node]) -> bool:
    """Whether all that it is made of are these inputs, or some of them."""
    if not inputs:
        return False
    leaves = [x for x in walk((node,)) if x.op is INPUT]
    return bool(leaves) and all(x in inputs for x in leaves)


def _is_early(node: Node, found: Tiling, k: int) -> bool:
    """Whether operand k is the same in all the loops around the product: weights, say."""
    inputs, _ = subscripts(node.params)
    sizes = sizes_of(node)
    return all(sizes[i] == 1 or i not in inputs[k] for i in (*found.outer, *found.summed))


def _through(node: Node, stored: dict[Node, Node], reader: Node, early: bool) -> Node:
    """What is read through guards (a padded image, say) is stored first, below the views of it:
    windows of it then lie in memory."""
    if isinstance(node.op.element, Computed) and node.operands:
        return stored.setdefault(node, copied(node, reader, early))
    if not isinstance(node.op.element, View):
        return node
    inner = _through(node.operands[0], stored, reader, early)
    return node if inner is node.operands[0] else replace(node, operands=(inner,))


def _copied(node: Node, found: Tiling, k: int) -> Node:
    """The operand by way of a copy: in panels, or, where several labels make up the columns (the
    rows) or one panel would have all columns, dense."""
    inputs, _ = subscripts(node.params)
    labels, x, right = inputs[k], node.operands[k], k == found.right
    own = found.columns if right else found.rows
    outer = tuple(i for i in (*found.outer, *found.summed) if i in labels)
    width = column_panel(node.dtype) if right else row_panel(node.dtype)
    many = sizes_of(node)[own[0]]
    dense = len(own) > 1 or bool(found.runs) or (right and isinstance(many, int) and many <= width)
    turned = dense and right and not found.runs
    order = (*outer, *found.terms, *own) if turned else (*outer, *own, *found.terms)
    x = _transposed(x, tuple(labels.index(i) for i in order))
    if dense:
        x = copied(x, node, _is_early(node, found, k))
    else:
        x = packed(x, len(found.terms), width, node, _is_early(node, found, k))
    return _transposed(x, tuple(order.index(i) for i in labels))


def _transposed(x: Node, order: tuple[int, ...]) -> Node:
    return x if order == tuple(range(len(order))) else apply(TRANSPOSE, x, axes=order)
