"""Products that read windows where they are, without a copy of them: windows overlap, so that a
copy is several times as large as what they are windows of.

By taps: each row of windows' places is a row of columns, and the terms are the taps of the filter.
By dots: what sums over the places, as the gradient of a filter does, multiplies runs of neighbours
in both operands.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.bounds import widest_vector
from graphc.graph import Node
from graphc.lower.clipped import by_clipped_taps, with_stored_zeros
from graphc.lower.index import simplify
from graphc.lower.steps import flat_of, lies, reads_windows
from graphc.lower.tiling import (
    LEAST_COLUMNS,
    Labels,
    Tiling,
    as_product,
    candidate,
    count,
    sizes_of,
)
from graphc.ops.reduce import subscripts
from graphc.types import Dim, Size, product, substitute

SHORTEST_RUN = 64
"""Elements side by side in both operands, worth to be multiplied in lanes."""
LONGEST_SUM = 8192
"""So many terms in one product; more, and what it reads would leave the cache before it is read
again."""
LEAST_NARROW_ROWS = 16
"""So many rows that use a copy of a few columns."""

MOST_ALONE, LEAST_ALONE, FULL = 12, 128, 8
"""Columns, and terms, of a result that nothing else reads: more columns are made faster in tiles,
and so are as many as fill a vector."""


def grouped(node: Node, alone: bool = False) -> Tiling | None:
    """How a contraction is a matrix product, without copies of windows where that can be; None
    where it is none. `alone`: nothing else reads it, so that its rows need not come in blocks."""
    found = candidate(node) or _of_windows(node) or _across(node)
    if found is None:
        return _narrow(node, LEAST_COLUMNS - 1, SHORTEST_RUN)
    if alone and product(sizes_of(node)[i] for i in found.columns) != FULL:
        narrow = _narrow(node, MOST_ALONE, LEAST_ALONE)
        if narrow is not None:
            return narrow
    if reads_windows(node.operands[found.right]):
        narrow = by_clipped_taps(node, found) or _by_taps(node, found)
        if narrow is not None:
            return narrow
    for side in (found.right, found.left):
        if reads_windows(node.operands[side]):
            return _by_dots(node, found, side) or found
    return found


def with_rows_of_zeros(node: Node) -> Node:
    """A product over windows of an image with zeros around it, with those at the ends of its rows
    stored, if tiles then leave out the other zeros, and did not before."""
    found = candidate(node) or _of_windows(node)
    if found is None or not reads_windows(node.operands[found.right]):
        return node
    if by_clipped_taps(node, found) is not None:
        return node
    return with_stored_zeros(node, found) or node


def _of_windows(node: Node) -> Tiling | None:
    """A few rows: loops would take each window element by element."""
    found = candidate(node, rows=1)
    windows = found is not None and any(reads_windows(node.operands[k]) for k in range(2))
    return found if windows else None


def _across(node: Node) -> Tiling | None:
    """A few terms, where loops over the columns would go across memory."""
    found = candidate(node, columns=widest_vector(node.dtype), terms=1)
    steps = None if found is None else label_steps(node, found.right)
    return found if found and steps and steps[found.columns[-1]] != 1 else None


def _narrow(node: Node, most: int, least: int) -> Tiling | None:
    """A few columns: by dots, if terms lie side by side in the left. The right operand is small,
    and copied if need be.

    Args:
        most: columns.
        least: terms.
    """
    found = as_product(node)
    if found is None or len(found.terms) != 1 or found.outer or found.summed:
        return None
    sizes = sizes_of(node)
    columns, terms = (product(sizes[i] for i in x) for x in (found.columns, found.terms))
    rows, steps = count(sizes[i] for i in found.rows), label_steps(node, found.left)
    if not isinstance(columns, int) or not isinstance(terms, int) or steps is None:
        return None
    if not 1 < columns <= most or terms < least or rows < LEAST_NARROW_ROWS:
        return None
    return replace(found, runs=found.terms) if steps[found.terms[0]] == 1 else None


def _by_taps(node: Node, found: Tiling) -> Tiling | None:
    """With as many columns as windows have side by side."""
    output = subscripts(node.params)[1]
    while found.columns:
        if lies(node, found, found.right) is not None:
            return found
        outer = tuple(i for i in output if i in (*found.outer, found.columns[0]))
        found = replace(found, outer=outer, columns=found.columns[1:])
    return None


def by_taps(node: Node, found: Tiling) -> bool:
    """Whether the terms of the right operand lie along several axes."""
    if found.runs or not reads_windows(node.operands[found.right]):
        return False
    steps = lies(node, found, found.right)
    return steps is not None and bool(steps.taps)


def _by_dots(node: Node, found: Tiling, right: int) -> Tiling | None:
    """With the terms that lie side by side in both operands innermost, one label of each operand's
    own as rows and columns, and loops over the others."""
    inputs, output = subscripts(node.params)
    sizes = sizes_of(node)
    steps = [label_steps(node, k) for k in range(2)]
    if steps[0] is None or steps[1] is None:
        return None
    left, shared = 1 - right, [i for i in inputs[right] if i in inputs[1 - right]]
    terms = [i for i in shared if i not in output]
    runs = _run(terms, steps[0], steps[1], sizes)
    own = [
        max(
            (i for i in output if i in inputs[k] and i not in shared),
            key=lambda i: count([sizes[i]]),
            default=None,
        )
        for k in (left, right)
    ]
    if not runs or own[0] is None or own[1] is None:
        return None
    others = [i for i in terms if i not in runs and sizes[i] != 1]
    whole = len(others) < 2 and count(sizes[i] for i in terms) <= LONGEST_SUM
    taken = (own[0], own[1])
    if _waste(sizes[taken[1]]) <= _waste(sizes[taken[0]]):
        left, right, taken = right, left, (taken[1], taken[0])
    return Tiling(
        left,
        right,
        taken[:1],
        taken[1:],
        (*others, *runs) if whole else runs,
        tuple(i for i in output if i not in taken),
        () if whole else tuple(others),
        runs,
    )


def _waste(rows: Size) -> float:
    """How many rows tiles of three make for each of so many."""
    return 3 * -(-rows // 3) / rows if isinstance(rows, int) else 1.0


def _run(
    terms: list[int], left: dict[int, int], right: dict[int, int], sizes: dict[int, Size]
) -> Labels:
    """The labels whose elements are neighbours in both operands, slowest first."""
    found: Labels = ()
    length = 1
    while True:
        more = [i for i in terms if i not in found and left[i] == right[i] == length]
        size = sizes[more[0]] if more else None
        if not isinstance(size, int):
            return found if length >= SHORTEST_RUN else ()
        found, length = (more[0], *found), length * size


def label_steps(node: Node, k: int) -> dict[int, int] | None:
    """The step of operand k along each of its labels; None where it is in no array, or they are
    not known."""
    flat, labels = flat_of(node, k), subscripts(node.params)[0][k]
    if flat is None:
        return None
    names = {i: f"?{i}" for i in labels}
    flat = simplify(flat, {name: sizes_of(node)[i] for i, name in names.items()})
    start = again = substitute(flat, dict.fromkeys(names.values(), 0))
    found: dict[int, int] = {}
    for label, name in names.items():
        step = substitute(flat, {**dict.fromkeys(names.values(), 0), name: 1}) - start
        if not isinstance(step, int):
            return None
        found[label] = step
        again = again + step * Dim.named(name)
    return found if again == flat else None
