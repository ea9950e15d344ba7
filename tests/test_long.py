"""A long Python loop, unrolled: work grows as its steps do, and bounds hold what would not."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import build
from graphc.build.compiler import LARGE_FLAGS
from graphc.emit_c import emit
from graphc.lower import lower
from graphc.lower.memory import offsets, places
from graphc.lower.memory.offsets import Life, plan_offsets
from graphc.lower.memory.sweep import in_order, meetings, peak
from graphc.options import Options
from graphc.passes import optimize


def lives(seed: int) -> list[Life]:
    made = random.Random(seed)
    starts = [made.randrange(60) for _ in range(80)]
    ends = [start + made.choice((0, 1, 2, 40)) for start in starts]
    sizes = [made.choice((8, 64, 200, 4096)) for _ in starts]
    return [Life(f"a{k}", *x) for k, x in enumerate(zip(starts, ends, sizes, strict=True))]


@pytest.mark.parametrize("seed", range(20))
def test_a_sweep_tells_what_comparing_all_pairs_does(seed: int) -> None:
    found = lives(seed)
    spans, sizes = [(x.first, x.last) for x in found], [int(x.size) for x in found]
    assert meetings(spans) == sum(x.meets(y) for x, y in product(found, found))
    live = [sum(s for y, s in zip(found, sizes, strict=True) if y.meets(x) and y.first <= x.first)
            for x in found]  # fmt: skip
    assert peak(spans, sizes) == max(live)
    placed = in_order(spans, sizes)
    for i, j in combinations(range(len(found)), 2):
        apart = placed[i] + sizes[i] <= placed[j] or placed[j] + sizes[j] <= placed[i]
        assert apart or not found[i].meets(found[j])
    assert max(map(sum, zip(placed, sizes, strict=True))) < 1.5 * peak(spans, sizes)


def test_what_is_freed_is_used_again() -> None:
    spans = [(0, 1), (0, 2), (0, 5), (3, 5), (6, 6)]
    assert in_order(spans, [64, 64, 64, 128, 192]) == [0, 64, 128, 0, 0]


def test_many_arrays_are_placed_in_one_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "MANY_PAIRS", 100)
    monkeypatch.setattr(offsets, "_near", None)  # would compare all pairs
    placed, total = plan_offsets(lives(0))
    assert len(placed) == 80
    assert total >= offsets.lower_bound(lives(0))


def loop(steps: int) -> Callable[..., Any]:
    def fn(x: Any, a: Any, b: Any) -> Any:
        for _ in range(steps):
            x = np.tanh(a @ x + b) * 0.99 + x
        return np.sum(x)

    return graphc.grad(fn, (0, 1, 2))


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, C's as well."""
    count = 0

    def note(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_work_grows_with_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the function to its C, with bounds that are reached by few steps."""
    monkeypatch.setattr(offsets, "MANY_PAIRS", 500)
    monkeypatch.setattr(places, "MOST_TOGETHER", 8)
    monkeypatch.setattr("graphc.emit_c.writer.MOST_BASES", 10)
    f64 = graphc.float64

    def a_step(steps: int) -> float:
        def work() -> None:
            graph = graphc.trace(loop(steps), f64[8], f64[8, 8], f64[8])
            emit(lower(optimize(graph.plain)))

        return calls(work) / steps

    a_step(2)
    assert a_step(80) < 1.1 * a_step(20)


@dataclass(frozen=True)
class Lines:
    source: str


@pytest.mark.parametrize(
    ("lines", "level"),
    [(100, None), (build.LONG_UNIT + 1, "-O1"), (build.ENDLESS_UNIT + 1, "-O0")],
)
def test_long_functions_are_optimised_less(lines: int, level: str | None) -> None:
    flags = build._flags(Lines("\n" * lines), Options(optimize=2))  # type: ignore[arg-type]
    assert [flag for flag in flags if flag.startswith("-O")] == ["-O2", *([level] if level else [])]


def test_a_long_table_makes_no_function_long() -> None:
    table = np.random.default_rng(0).normal(size=50_000)
    kernel = graphc.compile(lambda x: np.sum(x * table), table)
    assert kernel.source.count("\n") > build.LONG_UNIT
    flags = build._flags(Lines(kernel.source), Options(optimize=2))  # type: ignore[arg-type]
    assert [flag for flag in flags if flag.startswith("-O")] == ["-O2"]


@pytest.mark.parametrize("lines", [build.LARGE_UNIT, build.LARGE_UNIT + 1])
def test_large_functions_are_compiled_faster(lines: int) -> None:
    flags = build._flags(Lines("\n" * lines), Options(optimize=2))  # type: ignore[arg-type]
    assert (set(LARGE_FLAGS) <= set(flags)) == (lines > build.LARGE_UNIT)
