"""What can be told of many lives in one sweep over the program, without comparing all pairs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush

Span = tuple[int, int]
"""The first statement of a life, and its last."""


def peak(spans: Sequence[Span], sizes: Sequence[int]) -> int:
    """The largest sum of sizes that live at once."""
    change: dict[int, int] = defaultdict(int)
    for (first, last), size in zip(spans, sizes, strict=True):
        change[first] += size
        change[last + 1] -= size
    most = live = 0
    for at in sorted(change):
        live += change[at]
        most = max(most, live)
    return most


def meetings(spans: Sequence[Span]) -> int:
    """How many pairs live at once: each counted twice, and each life with itself."""
    starts, ends = sorted(first for first, _ in spans), sorted(last for _, last in spans)
    apart = sum(
        len(spans) - bisect_right(starts, last) + bisect_left(ends, first) for first, last in spans
    )
    return len(spans) ** 2 - apart


def in_order(spans: Sequence[Span], sizes: Sequence[int]) -> list[int]:
    """Offsets: each life gets, when it begins, the lowest gap that holds it, as of `malloc`."""
    gaps: list[Span] = []  # (start, end) of what was freed, in order, none beside another
    top = 0
    placed = [0] * len(spans)
    live: list[tuple[int, int]] = []
    for i in sorted(range(len(spans)), key=lambda i: (spans[i][0], -sizes[i])):
        first, last = spans[i]
        while live and live[0][0] < first:
            j = heappop(live)[1]
            top = _freed(gaps, (placed[j], placed[j] + sizes[j]), top)
        found = next((k for k, (a, b) in enumerate(gaps) if b - a >= sizes[i]), None)
        if found is None:
            placed[i], top = top, top + sizes[i]
        else:
            start, end = gaps.pop(found)
            placed[i] = start
            if start + sizes[i] < end:
                gaps.insert(found, (start + sizes[i], end))
        heappush(live, (last, i))
    return placed


def _freed(gaps: list[Span], span: Span, top: int) -> int:
    """The gaps with one more, joined to its neighbours; returns where all arrays end."""
    start, end = span
    k = bisect_left(gaps, span)
    if k < len(gaps) and gaps[k][0] == end:
        end = gaps.pop(k)[1]
    if k and gaps[k - 1][1] == start:
        start = gaps.pop(k - 1)[0]
    if end == top:
        return start
    insort(gaps, (start, end))
    return top
