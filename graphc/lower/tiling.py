"""Which contractions are matrix products in register tiles, and how their labels are grouped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from graphc.bounds import TALL
from graphc.frozen import dataclass
from graphc.graph import Contraction, Node
from graphc.ops.control import count_of
from graphc.ops.leaves import axes
from graphc.ops.reduce import EINSUM, label_sizes, subscripts
from graphc.types import Size, product

SMALLEST = 4096
"""Products with fewer multiplications stay plain loops."""
LEAST_ROWS, LEAST_COLUMNS, LEAST_TERMS = 4, 5, 8
UNKNOWN = 1024
"""What a size known only at run time counts as."""
ENOUGH_ROWS = 48
"""So many rows, and the labels outside them become loops: what they make stays in the cache."""

Labels = tuple[int, ...]
GROUPS = ("sides", "rows", "columns", "terms", "outer", "summed", "runs")

TILED = replace(EINSUM)
"""An einsum in tiles: `tiling` says how."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """c[rows, columns] = sum over terms of left[rows, terms] right[terms, columns].

    Each group of labels counts as one axis, the last label fastest.
    """

    left: int
    right: int
    """Which operand is which."""
    rows: Labels
    columns: Labels
    terms: Labels
    outer: Labels
    """Labels of the result with loops around the product."""
    summed: Labels
    """Labels with loops in which the products add up."""
    runs: Labels = ()
    """The last of the terms, if they are multiplied in lanes: side by side in both operands. The
    loops over `summed` then lie outside the others."""
    alone: bool = False
    """Whether it is a result that nothing else reads."""
    blocks: int = 2
    """Rows at a time, as `Tiles.blocks`."""
    steady: Labels = ()
    """Operands that are the same in all steps of a scan around; not kept with the node."""
    clipped: bool = False
    """Whether the right operand is read where an image lies, without the zeros around it."""

    def params(self) -> dict[str, Labels | int]:
        """The same as parameters of a node."""
        sides = (self.left, self.right)
        groups = (sides, self.rows, self.columns, self.terms, self.outer, self.summed, self.runs)
        named = {f"tiling_{name}": labels for name, labels in zip(GROUPS, groups, strict=True)}
        return {
            **named,
            "tiling_alone": self.alone,
            "tiling_blocks": self.blocks,
            "tiling_clipped": self.clipped,
        }


def is_tiled(node: Node) -> bool:
    return node.op is TILED


def tiling(node: Node) -> Tiling:
    """How a tiled node is grouped."""
    (left, right), rows, columns, terms, outer, summed, runs = (
        axes(node.params, f"tiling_{name}") for name in GROUPS
    )
    alone = bool(node.params["tiling_alone"])
    blocks = count_of(node.params, "tiling_blocks")
    clipped = bool(node.params["tiling_clipped"])
    return Tiling(
        left, right, rows, columns, terms, outer, summed, runs, alone, blocks, clipped=clipped
    )


def sizes_of(node: Node) -> dict[int, Size]:
    """The size of each label of an einsum."""
    inputs, _ = subscripts(node.params)
    return dict(label_sizes(tuple(x.shape for x in node.operands), inputs))


def count(sizes: Iterable[Size]) -> int:
    """About how many elements: sizes known only at run time count as large."""
    return math.prod(size if isinstance(size, int) else UNKNOWN for size in sizes)


def candidate(
    node: Node,
    *,
    rows: int = LEAST_ROWS,
    columns: int = LEAST_COLUMNS,
    terms: int = LEAST_TERMS,
) -> Tiling | None:
    """How a contraction is a matrix product, of at least so many rows, columns and terms; None
    where it is none, or too small to gain."""
    found = as_product(node)
    if found is None:
        return None
    sizes = sizes_of(node)
    least = ((found.rows, rows), (found.columns, columns), (found.terms, terms))
    totals = [(product(sizes[i] for i in labels), smallest) for labels, smallest in least]
    known = [(total, smallest) for total, smallest in totals if isinstance(total, int)]
    if any(total < smallest for total, smallest in known):
        return None
    large = len(known) < len(totals) or math.prod(total for total, _ in known) >= SMALLEST
    return found if large else None


def as_product(node: Node) -> Tiling | None:
    """How a contraction is a matrix product, of whatever size; None where it is none."""
    if not isinstance(node.op.element, Contraction) or len(node.operands) != 2:
        return None
    inputs, output = subscripts(node.params)
    if node.dtype.kind != "f" or not output or any(len(set(x)) != len(x) for x in inputs):
        return None
    if (output[-1] in inputs[0]) == (output[-1] in inputs[1]):
        return None
    sizes = sizes_of(node)
    right = 1 if output[-1] in inputs[1] else 0
    beside, above = set(inputs[right]), set(inputs[1 - right])
    columns = _suffix(output, beside - above)
    rows = _rows(output, above - beside, sizes)
    terms = tuple(i for i in inputs[right] if i in above and i not in output)
    if not rows or not terms:
        return None
    taken = {*rows, *columns, *terms}
    outer = tuple(i for i in output if i not in taken)
    summed = tuple(i for i in sizes if i not in taken and i not in output)
    return Tiling(1 - right, right, rows, columns, terms, outer, summed)


def _suffix(output: Labels, allowed: set[int]) -> Labels:
    """The last labels of the result, as far as they are allowed."""
    start = len(output)
    while start and output[start - 1] in allowed:
        start -= 1
    return output[start:]


def _rows(output: Labels, allowed: set[int], sizes: dict[int, Size]) -> Labels:
    """The neighbours in the result that count most; of many, the last that suffice."""
    runs: list[list[int]] = [[]]
    for label in output:
        if label in allowed:
            runs[-1].append(label)
        elif runs[-1]:
            runs.append([])
    run = max(reversed(runs), key=lambda labels: count(sizes[i] for i in labels))
    taken: list[int] = []
    for label in reversed(run):
        if taken and count(sizes[i] for i in taken) >= ENOUGH_ROWS:
            break
        taken.insert(0, label)
    return tuple(taken)


ROW_BLOCK, SMALL_ROW_BLOCK = 144, 72
LARGE_ROW_BLOCK = 1200
"""Where no one waits for the rows: what one block of terms reads of the left operand stays in the
third cache, from which the tiles read it in the order of memory."""
SECOND_CACHE = 320 * 1024
"""Bytes that stay in the second cache beside what else is there."""


def row_block(node: Node) -> int | None:
    """How many rows of a tiled node are made at a time; None: all."""
    return block_of(node, tiling(node))


def block_of(node: Node, found: Tiling) -> int | None:
    """How many rows are made at a time, so that what uses them finds them in the cache; None: all.

    A multiple of the rows of any tile.
    """
    sizes = sizes_of(node)
    if len(found.rows) != 1 or found.runs or not found.blocks:
        return None
    rows = sizes[found.rows[0]]
    columns = count(sizes[i] for i in found.columns)
    held = columns * count(sizes[i] for i in found.terms) * node.dtype.bytes
    block = ROW_BLOCK if held > SECOND_CACHE else SMALL_ROW_BLOCK
    fits = SECOND_CACHE // (columns * node.dtype.bytes)
    block = LARGE_ROW_BLOCK if found.alone else max(TALL, min(block, fits // TALL * TALL))
    block = max(TALL, block * found.blocks // (2 * TALL) * TALL)
    if not isinstance(rows, int):
        return block
    parts = -(-rows // block)
    return None if parts == 1 else -(-rows // (TALL * parts)) * TALL


def group_index(labels: Sequence[int], sizes: dict[int, Size], at: Size) -> dict[int, Size]:
    """The index along each label of a group, the group itself at `at`."""
    index: dict[int, Size] = {}
    step: Size = 1
    for place, label in reversed(list(enumerate(labels))):
        digit = at // step if step != 1 else at
        index[label] = digit if place == 0 else digit % sizes[label]
        step = step * sizes[label]
    return index
