"""`tune=True`: variants are timed once, the fastest is taken, remembered and right."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import EXERCISE, SCALE

import graphc
from graphc import build, timing
from graphc.api import in_c
from graphc.errors import ArgumentError
from graphc.options import VARIANTS, Options, default_target

f32 = graphc.float32
LAYERS = {"w": f32[96, 160], "v": f32[160, 10]}


def loss(params: dict[str, Any], x: Any) -> Any:
    return np.sum((np.tanh(x @ params["w"]) @ params["v"]) ** 2)


def step(params: dict[str, Any], x: Any) -> Any:
    gradient = graphc.grad(loss)(params, x)
    return {name: params[name] - 0.01 * gradient[name] for name in params}


def update(w: Any, x: Any) -> Any:
    return w - x.T @ np.tanh(x @ w)


class Clock:
    """In the place of `medians`: tells the times it is given, and what was timed."""

    def __init__(self) -> None:
        self.told: Mapping[str, float] = {}
        self.timed: list[Mapping[str, Callable[[], Any]]] = []
        self.clocks: list[Callable[[], float]] = []

    def __call__(
        self, calls: Mapping[str, Callable[[], Any]], most: float, clock: Callable[[], float]
    ) -> dict[str, float]:
        self.timed.append(calls)
        self.clocks.append(clock)
        return {name: self.told.get(name, 1.0) for name in calls}


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of our own, and an empty cache."""
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    clock = Clock()
    monkeypatch.setattr("graphc.tune.medians", clock)
    return clock


def values(seed: int = 0, n: int = 130) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    params = {
        name: rng.standard_normal(kind.shape).astype(np.float32) / 8
        for name, kind in LAYERS.items()
    }
    return params, rng.standard_normal((n, 96)).astype(np.float32)


@pytest.mark.parametrize("best", VARIANTS)
def test_the_fastest_is_taken_remembered_and_right(
    best: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.told = {best: 0.5}
    graph = graphc.trace(step, LAYERS, f32["n", 96])
    sources = {name: in_c(graph, Options(variant=name))[1].source for name in VARIANTS}
    assert len(set(sources.values())) == len(VARIANTS) == 4
    kernel = graphc.compile(step, LAYERS, f32["n", 96], tune=True)
    assert kernel.variant == best
    assert set(clock.timed[0]) == set(VARIANTS)
    assert kernel.source == sources[best]
    got, want = kernel(*values()), graphc.compile(step, LAYERS, f32["n", 96])(*values())
    for name in LAYERS:
        np.testing.assert_allclose(got[name], want[name], rtol=2e-5, atol=2e-6)

    monkeypatch.setattr(build, "_loaded", {})  # as in another process
    monkeypatch.setattr("graphc.api.in_c", None)
    again = graphc.compile(step, LAYERS, f32["n", 96], tune=True)
    assert (again.variant, again.source) == (best, kernel.source)
    assert len(clock.timed) == 1


def test_noise_does_not_choose(clock: Clock) -> None:
    clock.told = {"small blocks": 0.98, "no blocks": 0.99}
    assert graphc.compile(step, LAYERS, f32["n", 96], tune=True).variant == "model"


def test_without_tune_the_model_decides(clock: Clock) -> None:
    kernel = graphc.compile(step, LAYERS, f32["n", 96])
    assert (kernel.variant, clock.timed) == ("model", [])


def test_whatever_else_changes_is_timed_anew(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(**asked: Any) -> int:
        graphc.compile(update, f32[96, 96], f32["n", 96], optimize=1, **asked)
        return len(clock.timed)

    assert [timed(tune=True), timed(tune={"n": 128}), timed(tune={"n": 256})] == [1, 1, 2]
    assert [timed(tune=True, donate="w"), timed(tune=True, threads=2)] == [3, 4]
    other = "portable" if default_target() == "native" else "native"
    assert [timed(tune=True, target=other), timed(tune=True)] == [5, 5]
    monkeypatch.setattr(build, "machine", lambda: "another")
    assert [timed(tune=True), timed(tune=True)] == [6, 6]


def test_sizes_are_those_asked_for_and_examples_are_used(clock: Clock) -> None:
    def shapes(**asked: Any) -> list[tuple[int, ...]]:
        graphc.compile(lambda a, b: a @ b, f32["n", 64], f32[64, "k"], **asked)
        (first, *_) = clock.timed[-1].values()
        return [x.shape for x in first.inputs]  # type: ignore[attr-defined]  # a Bound

    assert shapes(tune=True) == [(128, 64), (64, 128)]
    assert shapes(tune={"n": 300}) == [(300, 64), (64, 128)]
    with pytest.raises(ArgumentError, match=r"no run-time dimension 'm'.* are n, k"):
        shapes(tune={"m": 3})

    params, x = values()
    graphc.compile(step, params, x, tune=True)
    for call in clock.timed[-1].values():
        assert np.array_equal(call.inputs[-1], x)  # type: ignore[attr-defined]  # a Bound


def test_donated_examples_stay_and_each_call_starts_from_them(clock: Clock) -> None:
    params, x = values()
    before = {name: array.copy() for name, array in params.items()}
    clock.told = {"no blocks": 0.5}
    kernel = graphc.compile(step, params, x, donate="params", tune=True)
    for call in clock.timed[0].values():
        first = [array.copy() for array in call()]
        for one, other in zip(first, call(), strict=True):
            assert np.array_equal(one, other)
    for name, array in before.items():
        assert np.array_equal(params[name], array)
    assert kernel.variant == "no blocks"
    assert kernel(params, x)["w"] is params["w"]


@pytest.mark.parametrize("asked", [{"threads": 2}, {"target": "portable"}, {"donate": "w"}])
def test_threads_targets_and_donated_arguments_go_along(asked: Any, clock: Clock) -> None:
    clock.told = {"small blocks": 0.5}
    kernel = graphc.compile(update, f32[96, 96], f32["n", 96], optimize=1, tune=True, **asked)
    assert kernel.variant == "small blocks"
    assert clock.clocks == [time.perf_counter if "threads" in asked else time.thread_time]
    rng = np.random.default_rng(0)
    w, x = (rng.standard_normal((n, 96)).astype(np.float32) for n in (96, 300))
    want = update(w, x)
    np.testing.assert_allclose(kernel(w, x), want, rtol=1e-4, atol=1e-4)


def test_traps_are_off_while_variants_are_timed(clock: Clock) -> None:
    def roots(a: Any, b: Any) -> Any:
        return np.sqrt(a @ b) @ b

    clock.told = {"small blocks": 0.5}
    kernel = graphc.compile(roots, f32[128, 128], f32[128, 128], tune=True, trap_nans=True)
    for call in clock.timed[0].values():
        with np.errstate(all="ignore"):
            assert np.isnan(call()).any()
    assert kernel.variant == "small blocks"
    with pytest.raises(graphc.errors.NonFiniteError):
        kernel(-np.eye(128, dtype=np.float32), np.eye(128, dtype=np.float32))


def test_a_variant_that_does_not_fit_the_budget_is_no_candidate(clock: Clock) -> None:
    types = LAYERS, f32[960, 96]
    graph = graphc.trace(loss, *types)

    def bytes_of(name: str) -> Any:
        return in_c(graph, Options(variant=name, memory=1 << 24))[0].workspace

    clock.told = {"no blocks": 0.1, "small blocks": 0.5}
    small, large = bytes_of("model"), bytes_of("no blocks")
    assert small < large
    kernel = graphc.compile(graph, memory=small, tune=True)
    assert "no blocks" not in clock.timed[0]
    assert kernel.variant == "small blocks"
    with pytest.raises(ArgumentError, match="memory="):
        graphc.compile(graph, memory=0, tune=True)


def test_where_nothing_differs_nothing_is_timed(clock: Clock) -> None:
    assert graphc.compile(np.tanh, f32["n"], tune=True).variant == "model"
    assert graphc.compile(step, LAYERS, f32["n", 96], tune=True, optimize=0).variant == "model"
    assert clock.timed == []


def test_products_in_branches_have_variants_as_well_and_steps_make_all_rows_at_once() -> None:
    def walk(w: Any, x: Any) -> Any:
        def advance(h: Any, _: Any) -> Any:
            return np.tanh(h @ w), None  # whose columns are copied before the scan

        return graphc.scan(advance, x, None, length=5)[0]

    def branch(w: Any, x: Any) -> Any:
        return graphc.cond(x[0, 0] > 0, lambda: np.tanh(x @ w) @ w, lambda: x)

    found = {}
    for fn in (walk, branch):
        graph = graphc.trace(fn, f32[512, 512], f32[500, 512])
        found[fn] = {in_c(graph, Options(variant=x))[1].source for x in VARIANTS}
    assert len(found[branch]) >= 3
    assert len(found[walk]) == 1
    assert "contract_f32(500, 512, 512" in found[walk].pop()


# --- below ---------------------------------------------------------------------------------------


def test_medians_are_of_calls_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], []
    monkeypatch.setattr("graphc.timing.BUDGET", 0.0)

    def call(name: str, *seconds: float) -> Callable[[], None]:
        left = list(seconds)

        def run() -> None:
            order.append(name)
            now[0] += left.pop(0) if left else seconds[-1]

        return run

    noisy = call("a", 9, 9, 1, 1, 50, 1, 2, 2, 2)
    assert timing.medians({"a": noisy, "b": call("b", 3)}, clock=lambda: now[0]) == {
        "a": 2.0,
        "b": 3.0,
    }
    assert order[:4] == ["a", "a", "b", "b"]  # to warm up, and to see how long they take
    assert order[4:] == ["a", "b"] * 7
    order.clear()
    timing.medians({"a": call("a", 1), "b": call("b", 3)}, 10.0, lambda: now[0])
    assert order[4:] == ["a", "b"]


def test_units_are_compiled_side_by_side_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(build, "_loaded", {})
    compile, both, names = build._compile, threading.Barrier(2, timeout=60), []

    def together(unit: Any, *rest: Any) -> Path:
        names.append(unit.name)
        both.wait()  # passes when the other has come here too
        return compile(unit, *rest)

    monkeypatch.setattr(build, "_compile", together)
    with ThreadPoolExecutor(4) as pool:
        units = (EXERCISE, SCALE, EXERCISE, SCALE)
        waiting = [pool.submit(build.load, unit, program, Options()) for program, unit in units]
        assert len({x.result().path for x in waiting}) == 2
    assert sorted(names) == sorted(unit.name for _, unit in (EXERCISE, SCALE))
