"""Products by the taps of windows of an image with zeros around it, which are not stored: at each
place only the taps count that fall inside the image.

The gradient by the image of a convolution is such a product: with a filter of 5 x 5, half of all
taps at the places of an image of 12 x 12 fall on zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from graphc.bounds import widest_vector
from graphc.frozen import dataclass
from graphc.graph import Computed, Index, Node, View, apply
from graphc.loops import Apply, Expr, Literal, Position, Read
from graphc.lower.index import simplify
from graphc.lower.panels import copied
from graphc.lower.steps import COLUMNS, TERMS, Steps, flat_at, group_extents, side_index, taps_of
from graphc.lower.tiling import Tiling, count, sizes_of
from graphc.matrices import MOST_TAPS
from graphc.ops.leaves import sizes
from graphc.ops.reduce import subscripts
from graphc.ops.shape import PAD
from graphc.types import Dim, Size, maximum, minimum, names, product, substitute

WORTH = 0.55
"""The part of the taps that fall inside, for which tiles of half the width take no longer."""
Range = tuple[Size, Size]
"""The first that counts, and the one after the last."""


@dataclass(frozen=True, slots=True)
class _Zeros:
    """An axis of an image with zeros at its ends."""

    axis: int
    labels: frozenset[int]
    """Those that move along it."""
    inside: Size
    """How many places it has without the zeros."""


def with_stored_zeros(node: Node, found: Tiling) -> Node | None:
    """The product over an image that is stored with the zeros at the ends of its rows, so that only
    whole rows of zeros are left out, and columns run along the rows; None where it is none."""
    inputs, output = subscripts(node.params)
    guarded = _guarded(node.operands[found.right], inputs[found.right])
    if len(guarded) < 2:
        return None
    place = {label: k for k, label in enumerate(output)}
    last = max(guarded, key=lambda zeros: max(place.get(i, -1) for i in zeros.labels)).axis
    views: list[Node] = []
    image = node.operands[found.right]
    while isinstance(image.op.element, View):
        views.append(image)
        image = image.operands[0]
    (inner,) = image.operands
    starts, step = sizes(image.params, "start"), sizes(image.params, "step")
    shape = tuple(
        outer if k == last else size
        for k, (size, outer) in enumerate(zip(inner.shape, image.shape, strict=True))
    )
    start = tuple(s if k == last else 0 for k, s in enumerate(starts))
    stored = copied(apply(PAD, inner, start=start, step=step, shape=shape), node, False)
    start = tuple(0 if k == last else s for k, s in enumerate(starts))
    x = replace(image, operands=(stored,), params={**image.params, "start": start})
    for view in reversed(views):
        x = replace(view, operands=(x,))
    operands = tuple(x if k == found.right else y for k, y in enumerate(node.operands))
    other = replace(node, operands=operands)
    return other if by_clipped_taps(other, found) is not None else None


def by_clipped_taps(node: Node, found: Tiling) -> Tiling | None:
    """The grouping with the places along the sides that have zeros as loops around the product;
    None where it is no such product, or too few columns are left."""
    inputs, output = subscripts(node.params)
    guarded = _guarded(node.operands[found.right], inputs[found.right])
    if not guarded or found.summed or any(len(x.labels & {*found.terms}) != 1 for x in guarded):
        return None
    edges = set().union(*(x.labels for x in guarded)) - {*found.terms}
    columns = found.columns
    while columns and edges & {*columns}:
        columns = columns[1:]
    taken = {*found.columns} - {*columns}
    outer = tuple(i for i in output if i in found.outer or i in taken)
    found = replace(found, columns=columns, outer=outer, clipped=True)
    width = product(sizes_of(node)[i] for i in columns)
    least = widest_vector(node.dtype)  # or two of a vector half as wide
    if not edges <= {*outer} or not isinstance(width, int) or width < least:
        return None
    if width < 2 * least:  # tiles are half as fast: worth it where half the taps fall outside
        inside = prod(count([x.inside]) for x in guarded)
        if inside > WORTH * prod(count([sizes_of(node)[i]]) for i in edges):
            return None
    return found if _is_readable(node, found) else None


def _guarded(x: Node, labels: tuple[int, ...]) -> list[_Zeros]:
    """The axes with zeros at their ends; none where x is not a view of such an image."""
    at: Index = tuple(Dim.named(f"?{i}") for i in labels)
    while isinstance(view := x.op.element, View):
        x, at = x.operands[0], view.index(at, x)
    if x.op is not PAD or any(step != 1 for step in sizes(x.params, "step")):
        return []
    found = []
    places = zip(at, sizes(x.params, "start"), x.operands[0].shape, x.shape, strict=True)
    for axis, (i, start, size, target) in enumerate(places):
        if start != 0 or size != target:
            found.append(_Zeros(axis, frozenset(int(name[1:]) for name in names(i)), size))
    return found


def _is_readable(node: Node, found: Tiling) -> bool:
    """Whether tiles can read the image so."""
    outer = {i: Dim.named(f"?{i}") for i in found.outer}
    x, at = node.operands[found.right], side_index(node, found, found.right, outer)
    while isinstance(view := x.op.element, View):
        x, at = x.operands[0], view.index(at, x)
    places = zip(at, sizes(x.params, "start"), x.operands[0].shape, x.shape, strict=True)
    where: list[Size] = []
    tests: list[Size] = []
    for i, start, size, target in places:
        where.append(i - start)
        if start != 0 or size != target:
            tests.append(i - start)
    (x,) = x.operands
    flat = None if _is_guarded(x) else flat_at(x, tuple(where))
    if flat is None:
        return False
    known = sizes_of(node)
    extents = group_extents(node, found) | {f"?{i}": known[i] for i in outer}
    counts = [known[i] for i in found.terms]
    steps = _steps(flat, extents, counts)
    return steps is not None and all(_tap(test, extents, counts) is not None for test in tests)


def _is_guarded(x: Node) -> bool:
    """Whether the image itself has zeros between its elements."""
    while isinstance(x.op.element, View):
        x = x.operands[0]
    return isinstance(x.op.element, Computed)


@dataclass(frozen=True, slots=True)
class Clipped:
    """Where the right operand lies, and which of its taps count along each axis."""

    buffer: str
    steps: Steps
    counted: tuple[Range, ...]


def clipped(read: Expr, extents: Mapping[str, Size], counts: Sequence[Size]) -> Clipped | None:
    """What a read behind guards reads, and where the guards let it."""
    tests: list[Apply] = []
    while isinstance(read, Apply) and read.function == "select":
        test, read, other = read.args
        if not isinstance(test, Apply) or not isinstance(other, Literal) or other.value != 0:
            return None
        tests.append(test)
    if not isinstance(read, Read):
        return None
    steps = _steps(read.index, extents, counts)
    if steps is None:
        return None
    counted: list[Range] = [(0, count) for count in counts]
    for test in tests:
        a, b = test.args
        if not isinstance(a, Position) or not isinstance(b, Position):
            return None
        found = _tap(a.size - b.size, extents, counts)
        if found is None:
            return None
        k, sign, rest = found
        low, high = counted[k]
        if (test.function == "greater_equal") == (sign > 0):  # rest + tap >= 0, rest - tap < 0
            low = maximum(low, -rest if sign > 0 else rest + 1)
        else:  # rest + tap < 0, rest - tap >= 0
            high = minimum(high, -rest if sign > 0 else rest + 1)
        counted[k] = low, high
    return Clipped(read.buffer, steps, tuple(counted))


def _steps(flat: Size, extents: Mapping[str, Size], counts: Sequence[Size]) -> Steps | None:
    """The steps along columns that lie side by side, and along the taps."""
    if not 0 < len(counts) <= MOST_TAPS:
        return None
    steps = taps_of(flat, COLUMNS, extents, counts)
    return steps if steps is not None and steps.across == 1 else None


def _tap(
    test: Size, extents: Mapping[str, Size], counts: Sequence[Size]
) -> tuple[int, int, Size] | None:
    """Along which axis of taps a size moves, whether up or down, and what it is at the first."""
    inner, total = dict(extents), Dim.of({})
    taps = tuple(f"{TERMS}{k}" for k in range(len(counts)))
    for name, many in zip(taps, counts, strict=True):
        inner[name] = many
        total = total * many + Dim.named(name)
    size = simplify(substitute(test, {TERMS: total}), inner)
    own = [k for k, name in enumerate(taps) if name in names(size)]
    if len(own) != 1 or COLUMNS in names(size):
        return None
    rest = substitute(size, {taps[own[0]]: 0})
    for sign in (1, -1):
        if size - rest == sign * Dim.named(taps[own[0]]):
            return own[0], sign, rest
    return None


__all__ = ["Clipped", "by_clipped_taps", "clipped", "with_stored_zeros"]
