"""Where in the workspace each array lies, so that arrays that are needed together lie apart."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from graphc.frozen import dataclass
from graphc.lower.memory.sweep import Span, in_order, meetings, peak
from graphc.types import Dim, Func, Monomial, Size, at_most, evaluate, floordiv, maximum, names

ALIGNMENT = 64
SAMPLES = (8, 67, 1009)
"""The values that run-time dimensions have while an order is chosen."""
ENOUGH, CLOSE = 1.01, 1.04
"""A plan this close to the lower bound is not improved; nor, for run-time sizes, one so close."""
SMALL = 1024
"""Bytes that do not count."""
MOST_TOPS = 3
MOST_MOVES, MOST_PAIRS = 20, 40_000
MANY_PAIRS = 1_000_000
"""Of arrays that live at once, as in a long unrolled loop and its gradient: more are not compared
with one another, but placed as the program comes to them."""


@dataclass(frozen=True, slots=True)
class Life:
    """An array, or several in one place: the statements, in program order, from the first that
    may write to the last that may read, and the size in bytes."""

    name: str
    first: int
    last: int
    size: Size

    def meets(self, other: Life) -> bool:
        return self.first <= other.last and other.first <= self.last


def align(size: Size) -> Size:
    """The size in bytes, rounded up to the alignment."""
    return floordiv(size + ALIGNMENT - 1, ALIGNMENT) * ALIGNMENT


def lower_bound(found: Sequence[Life], dims: Mapping[str, int] = {}) -> int:
    """Bytes that no plan does without: the largest sum of arrays that live at once."""
    return _bound(found, [int(align(evaluate(x.size, dims))) for x in found])


def _bound(found: Sequence[Life], sizes: Sequence[int]) -> int:
    return peak(_spans(found), sizes)


def _spans(found: Sequence[Life]) -> list[Span]:
    return [(x.first, x.last) for x in found]


Plan = tuple[dict[str, Size], Size]


def plan_offsets(found: Sequence[Life]) -> Plan:
    """(offset of each array, total bytes).

    Arrays go one by one into the lowest place that is free for their whole life (greedy by size,
    Pisarchyk & Lee 2020); of several orders the one with the smallest total is taken. Run-time
    sizes are ordered by a sample; an array starts where, whatever the dimensions, those below end.
    """
    if not found:
        return {}, 0
    found = [replace(x, size=bounded(x.size)) for x in found]
    fixed = [x for x in found if isinstance(x.size, int)]
    others = [x for x in found if not isinstance(x.size, int)]
    if others and 0 < lower_bound(fixed) <= SMALL:  # they come first, at offsets that are numbers
        offsets, below = plan_offsets(fixed)
        above, total = plan_offsets(others)
        return offsets | {name: below + at for name, at in above.items()}, below + total
    if not others:
        sizes = [int(align(evaluate(x.size, {}))) for x in found]
        best = _best(found, sizes)
        total = max(at + size for at, size in zip(best, sizes, strict=True))
        return {x.name: at for x, at in zip(found, best, strict=True)}, total
    return _best_symbolic(found)


ORDERS: tuple[Callable[[int, int, int], tuple[int, int]], ...] = (
    lambda size, first, last: (-size, first),
    lambda size, first, last: (-size * (last - first + 1), first),
    lambda size, first, last: (first - last, -size),
    lambda size, first, last: (first, -size),
    lambda size, first, last: (-last, -size),
)


def _best(found: Sequence[Life], sizes: Sequence[int]) -> list[int]:
    """Offsets of arrays of known sizes. In each order what lies on top moves ahead a few times."""
    count = range(len(found))
    if meetings(_spans(found)) > MANY_PAIRS:
        return in_order(_spans(found), sizes)
    near = _near(found)
    enough = ENOUGH * _bound(found, sizes)
    left = MOST_PAIRS // max(1, sum(map(len, near)))
    best: list[int] = []
    least = math.inf
    for key in ORDERS if found else ():
        keys = [key(s, x.first, x.last) for x, s in zip(found, sizes, strict=True)]
        order = sorted(count, key=keys.__getitem__)
        for _ in range(MOST_MOVES):
            placed = _place(order, sizes, near)
            ends = [at + size for at, size in zip(placed, sizes, strict=True)]
            if max(ends) < least:
                best, least = placed, max(ends)
            left -= 1
            spot = order.index(ends.index(max(ends)))
            if least <= enough or left <= 0:
                return best
            if spot == 0:
                break
            order.insert(spot // 2, order.pop(spot))
    return best


def _place(order: Sequence[int], sizes: Sequence[int], near: Sequence[Sequence[int]]) -> list[int]:
    """Each array in the lowest gap that holds it."""
    placed = [-1] * len(order)
    for i in order:
        at = 0
        taken = sorted((placed[j], placed[j] + sizes[j]) for j in near[i] if placed[j] >= 0)
        for start, end in taken:
            if at + sizes[i] <= start:
                break
            at = max(at, end)
        placed[i] = at
    return placed


# --- run-time sizes -----------------------------------------------------------------------------


def _best_symbolic(found: Sequence[Life]) -> Plan:
    """A plan that is near the bound where the dimensions are one of the samples; one whose offsets
    are maxima, and harder to read, must be nearer by 4 %."""
    dims = {name for x in found for name in names(x.size)}
    values = [dict.fromkeys(dims, n) for n in SAMPLES]
    bounds = [max(1, lower_bound(found, v)) for v in values]
    best: Plan = {}, 0
    least = math.inf
    for plan, penalty in _symbolic_plans(found, values):
        worst = max(evaluate(plan[1], v) / b for v, b in zip(values, bounds, strict=True))
        if worst + penalty < least:
            best, least = plan, worst + penalty
        if least <= CLOSE:
            break
    return best


def _symbolic_plans(
    found: Sequence[Life], values: Sequence[Mapping[str, int]]
) -> Iterator[tuple[Plan, float]]:
    """Plans, each with what it costs a reader."""
    count = range(len(found))
    orders = []
    for v in reversed(values):
        orders.append(_order(found, count, v))
        yield _symbolic(found, orders[-1], 1), 0.0
    fixed = [i for i in count if isinstance(found[i].size, int)]
    others = [i for i in count if i not in fixed]
    apart = [*_order(found, others, values[-1]), *_order(found, fixed, {})]
    yield _symbolic(found, apart, 1), 0.0
    for order in orders:
        yield _symbolic(found, order, MOST_TOPS), 0.04


def _order(found: Sequence[Life], chosen: Sequence[int], dims: Mapping[str, int]) -> list[int]:
    """Some of the arrays as they lie, one on top of the other, for these dimensions."""
    some = [found[i] for i in chosen]
    placed = _best(some, [int(align(evaluate(x.size, dims))) for x in some])
    order = sorted(range(len(some)), key=lambda k: (placed[k], some[k].first))
    return [chosen[k] for k in order]


def _near(found: Sequence[Life]) -> list[list[int]]:
    """For each array those that live at the same time."""
    return [[j for j, y in enumerate(found) if x.meets(y)] for x in found]


def _symbolic(found: Sequence[Life], order: Sequence[int], most: int) -> Plan:
    """Offsets that hold for all dimensions: each array on top of those before it in the order.

    Where an array ends is a list of at most so many sizes with room for rounding, the largest of
    which counts.
    """
    ends: dict[int, tuple[Size, ...]] = {}
    offsets: dict[str, Size] = {}
    for i in order:
        below = [end for j in ends if found[j].meets(found[i]) for end in ends[j]]
        starts = _highest(dict.fromkeys(below), most) or (0,)
        offsets[found[i].name] = _bytes(starts)
        room = _room(found[i].size)
        ends[i] = tuple(start + room for start in starts)
    tops = dict.fromkeys(end for each in ends.values() for end in each)
    return offsets, _bytes(_highest(tops, MOST_TOPS))


def _highest(tops: Iterable[Size], most: int) -> tuple[Size, ...]:
    """The sizes of which one is the largest, for some dimensions; a few at most, and none apart
    from another by little."""
    kept: list[Size] = []
    for top in tops:
        for k, other in enumerate(kept):
            both = _larger(top, other)
            if both in (top, other) or _is_close(both, top, other):
                kept[k] = both
                break
        else:
            kept.append(top)
    kept = list(dict.fromkeys(kept))
    while len(kept) > most:
        kept[:2] = [_larger(*kept[:2])]
    return tuple(kept)


def _is_close(both: Size, a: Size, b: Size) -> bool:
    """Whether a size that covers two others takes hardly more room."""
    for n in SAMPLES:
        dims = dict.fromkeys(names(both), n)
        least = max(evaluate(a, dims), evaluate(b, dims))
        if evaluate(both, dims) > least + max(SMALL, least // 200):
            return False
    return True


def _bytes(tops: tuple[Size, ...]) -> Size:
    """The largest, at the alignment."""
    total = _rounded_down(tops[0])
    for top in tops[1:]:
        total = maximum(total, _rounded_down(top))
    return total


def _room(size: Size) -> Size:
    """Bytes from one start to the next: enough for the size, rounded so or so."""
    if _rounded_down(size) == size:
        return size
    return align(size) if isinstance(size, int) else size + ALIGNMENT - 1


def _rounded_down(size: Size) -> Size:
    return floordiv(size, ALIGNMENT) * ALIGNMENT


def bounded(size: Size) -> Size:
    """A size that is at least as large, without remainders: n - 32 (n // 32) is at most 31."""
    if isinstance(size, int):
        return size
    for monomial, k in size.terms:
        for atom in monomial:
            if not isinstance(atom, Func) or atom.kind != "floordiv" or not isinstance(atom.b, int):
                continue
            rest = list(monomial)
            rest.remove(atom)
            others = Dim.of({tuple(rest): 1})
            if k >= 0 or k % atom.b or not at_most(0, others):
                continue
            remainder = atom.a - atom.b * Dim.of({(atom,): 1})
            found = size + others * (k // atom.b) * (remainder - (atom.b - 1))
            if isinstance(found, int) or len(found.terms) < len(size.terms):
                return bounded(found)
    return size


@functools.lru_cache(4096)
def _larger(a: Size, b: Size) -> Size:
    """A size that is at least as large as both, without a maximum in it: of every product of
    dimensions the larger factor."""
    terms = [dict(x.terms) if isinstance(x, Dim) else {(): x} if x else {} for x in (a, b)]
    found: dict[Monomial, int] = {}
    for monomial in dict.fromkeys((*terms[0], *terms[1])):
        if not _is_natural(monomial):
            return a + b
        found[monomial] = max(terms[0].get(monomial, 0), terms[1].get(monomial, 0))
    return Dim.of(found)


@functools.lru_cache(1024)
def _is_natural(monomial: Monomial) -> bool:
    """Whether a product of dimensions is never negative."""
    return at_most(0, Dim.of({monomial: 1}))
