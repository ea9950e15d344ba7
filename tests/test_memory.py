"""Where arrays lie: the workspace near its lower bound, values in the place of dead ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_tools import arrays_for, expected

import graphc
from graphc import loops_run
from graphc.errors import VerifyError
from graphc.loops import Argument, Buffer, Literal, Loop, Program, Read, Stmt, Store, apply
from graphc.lower import lower, memory
from graphc.lower.memory import lower_bound, offsets, workspace_lives
from graphc.lower.memory.offsets import Life, align, plan_offsets
from graphc.lower.naming import Names
from graphc.passes import optimize
from graphc.types import Dim, Size, evaluate, float32, float64

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "benchmarks")]

import gpt  # noqa: E402 - the examples are programs, found by their folder
import lenet  # noqa: E402 - as above
import w3_mlp  # noqa: E402 - as above

F, f32 = float64, float32


def softmax_step(W: Any, b: Any, x: Any, t: Any, rate: Any) -> Any:
    def loss(W: Any, b: Any) -> Any:
        z = x @ W + b
        p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
        return -np.mean(np.sum(t * np.log(p), axis=1))

    value, (d_W, d_b) = graphc.value_and_grad(loss, argnums=(0, 1))(W, b)
    return value, W - rate * d_W, b - rate * d_b


def lstm(W: Any, U: Any, xs: Any) -> Any:
    """The sum of all states of an LSTM, for its gradient."""

    def cell(carry: Any, x: Any) -> Any:
        h, c = carry
        i, f, o, g = np.split(x @ W + h @ U, 4, axis=1)
        sigmoid = graphc_sigmoid
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return (h, c), h

    zero = np.zeros_like(xs[0] @ W @ U.T)
    _, hs = graphc.scan(cell, (zero, zero), xs)
    return np.sum(hs**2)


def graphc_sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def mlp(n: Size) -> tuple[Any, ...]:
    shapes = w3_mlp.SIZES
    types = {}
    for i in (1, 2, 3):
        types |= {f"W{i}": f32[shapes[i - 1], shapes[i]], f"b{i}": f32[shapes[i]]}
    return w3_mlp.step, types, f32[n, 784], graphc.int64[n], f32


def lstm_types(batch: Size) -> tuple[Any, ...]:
    gradient = graphc.value_and_grad(lstm, argnums=(0, 1))
    return gradient, f32[24, 256], f32[64, 256], f32[20, batch, 24]


WORKLOADS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "softmax step": lambda: (softmax_step, F[4, 3], F[3], F["n", 4], F["n", 3], F),
    "mlp, 32": lambda: mlp(32),
    "mlp, n": lambda: mlp(graphc.float32["n"].shape[0]),
    "lenet": lambda: (lenet.train_step, *lenet.types()),
    "gpt": lambda: (gpt.train_step, *gpt.types(gpt.start(27))),
    "lstm, 16": lambda: lstm_types(16),
    "lstm, n": lambda: lstm_types(graphc.float32["n"].shape[0]),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_workspace_is_near_its_lower_bound(name: str) -> None:
    fn, *types = WORKLOADS[name]()
    found = lower(optimize(graphc.trace(fn, *types).plain))
    lives = workspace_lives(found)
    for n in (1, 16, 32, 128, 1024) if found.dims else (0,):
        dims = dict.fromkeys(found.dims, n)
        total, bound = evaluate(found.workspace, dims), lower_bound(lives, dims)
        slack = 64 * len(lives) if n == 1 else 0
        if name == "lenet" and n < 64:  # what one image needs may lie apart from what grows with n
            slack = 40 * 1024
        assert total <= 1.05 * bound + slack, f"{name} for {n}: {total} bytes, bound {bound}"


@pytest.mark.parametrize("seed", range(20))
def test_random_lives_are_packed_near_the_bound(seed: int) -> None:
    random = np.random.default_rng(seed)
    lives = []
    for i in range(60):
        first = int(random.integers(0, 100))
        size = int(random.integers(1, 40)) * int(random.choice([64, 640, 6400]))
        lives.append(Life(f"v{i}", first, first + int(random.integers(0, 30)), size))
    offsets_, total = plan_offsets(lives)
    assert isinstance(total, int)
    assert total <= 1.05 * lower_bound(lives)
    check_apart(lives, offsets_, total, {})


@pytest.mark.parametrize("seed", range(20))
def test_run_time_sizes_never_overlap(seed: int) -> None:
    """Whatever the dimensions: those the plan was made with, and others."""
    random = np.random.default_rng(seed)
    n, m = (f32[name].shape[0] for name in "nm")
    kinds: list[Size] = [4 * n, 12 * n, 4 * m, 8 * n * m, 64 * n, 256, 1000 * m + 40, 8 * (n // 2)]
    lives = []
    for i in range(30):
        first = int(random.integers(0, 40))
        size = kinds[int(random.integers(len(kinds)))]
        lives.append(Life(f"v{i}", first, first + int(random.integers(0, 12)), size))
    offsets_, total = plan_offsets(lives)
    for values in ({"n": 0, "m": 0}, {"n": 1, "m": 9}, {"n": 33, "m": 2}, {"n": 1009, "m": 1009}):
        check_apart(lives, offsets_, total, values)


def check_apart(
    lives: list[Life], placed: dict[str, Size], total: Size, dims: dict[str, int]
) -> None:
    spans = [
        (x, evaluate(placed[x.name], dims), evaluate(placed[x.name] + x.size, dims)) for x in lives
    ]
    for i, (x, start, end) in enumerate(spans):
        assert start % 64 == 0
        assert end <= evaluate(total, dims)
        for y, low, high in spans[:i]:
            if x.first <= y.last and y.first <= x.last and start != end and low != high:
                assert end <= low or high <= start, f"{x} and {y} overlap"


def test_small_plans_by_hand() -> None:
    lives = [Life("a", 0, 1, 64), Life("b", 1, 2, 128), Life("c", 2, 3, 64)]
    placed, total = plan_offsets(lives)
    assert (placed["a"], placed["b"], placed["c"], total) == (128, 0, 128, 192)
    assert lower_bound(lives) == 192
    assert plan_offsets([]) == ({}, 0)
    n = f32["n"].shape[0]
    placed, total = plan_offsets([Life("a", 0, 1, 64 * n), Life("b", 2, 3, 64 * n)])
    assert (placed, total) == ({"a": 0, "b": 0}, 64 * n)
    assert align(65) == 128


# --- in place -----------------------------------------------------------------------------------

i, j = (Dim.named(name) for name in "ij")


def hand_written(*body: Stmt, shape: tuple[int, ...] = (6,)) -> Program:
    """a = x; then what the body makes of a and b; then y = b."""
    x, y = Argument("x", F[6], "x"), Argument("y", F[6], "y")
    buffers = (Buffer("a", F, (6,), 0), Buffer("b", F, (6,), 0))
    start, end = loop(Store("a", i, read("x", i))), loop(Store("y", i, plus(read("b", i))))
    return Program("f", "", (x,), (), (y,), (), buffers, 0, (start, *body, end))


def loop(*body: Stmt, var: str = "i", extent: Size = 6) -> Loop:
    return Loop(var, extent, body)


def read(buffer: str, index: Size) -> Read:
    return Read(buffer, index, F)


def plus(*terms: Any) -> Any:
    return apply("add", *terms, *([Literal(1.0, F)] if len(terms) == 1 else []))


IN_PLACE = {
    "element by element": (True, loop(Store("b", i, plus(read("a", i))))),
    "backwards both": (True, loop(Store("b", 5 - i, plus(read("a", 5 - i))))),
    "backwards": (False, loop(Store("b", i, plus(read("a", 5 - i), read("a", i))))),
    "a neighbour": (
        False,
        loop(Store("b", 0, read("a", 0)), extent=1),
        loop(Store("b", i + 1, plus(read("a", i), read("a", i + 1))), extent=5),
    ),
    "in two loops": (
        True,
        loop(loop(Store("b", 3 * i + j, plus(read("a", 3 * i + j))), var="j", extent=3), extent=2),
    ),
    "row after row": (
        True,
        loop(
            loop(Store("b", 3 * i + j, read("a", 3 * i + j)), var="j", extent=3),
            loop(Store("b", 3 * i + j, plus(read("b", 3 * i + j))), var="j", extent=3),
            extent=2,
        ),
    ),
    "read after the row": (
        False,
        loop(
            loop(Store("b", 3 * i + j, plus(read("a", 3 * i + j))), var="j", extent=3),
            loop(
                Store("b", 3 * i + j, plus(read("b", 3 * i + j), read("a", 3 * i))),
                var="j",
                extent=3,
            ),
            extent=2,
        ),
    ),
    "transposed": (
        False,
        loop(
            loop(
                Store("b", 3 * i + j, plus(read("a", 3 * i + j), read("a", 2 * j + i))),
                var="j",
                extent=3,
            ),
            extent=2,
        ),
    ),
    "overlapping rows": (
        False,
        loop(loop(Store("b", 2 * i + j, plus(read("a", 2 * i + j))), var="j", extent=4), extent=2),
    ),
    "read in a later loop": (
        False,
        loop(Store("b", i, plus(read("a", i)))),
        loop(Store("b", i, plus(read("b", i), read("a", i)))),
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_where_it_may_be(name: str) -> None:
    wanted, *body = IN_PLACE[name]
    before = hand_written(*body)  # type: ignore[arg-type]  # the flag is taken off
    found = memory.place(before, Names())
    # b may lie in y as well: what counts is whether a lies there too
    b = next(x for x in found.buffers if x.name == "b")
    a = next((x for x in found.buffers if x.name == "a"), None)
    together = a is None or (a.home, a.offset) == (b.home, b.offset)
    assert together == wanted
    arrays = [np.arange(6.0)]
    apart = {"a": 0, "b": 64}
    free = Program(
        "f", "", before.inputs, (), before.outputs, (),
        tuple(Buffer(x.name, F, (6,), apart[x.name]) for x in before.buffers), 128, before.body,
    )  # fmt: skip
    np.testing.assert_array_equal(loops_run.run(found, arrays)[0], loops_run.run(free, arrays)[0])


def test_the_evaluator_sees_what_is_overwritten_too_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory.places, "follows", lambda *arguments: True)
    _, *body = IN_PLACE["transposed"]
    found = memory.place(hand_written(*body), Names())  # type: ignore[arg-type]  # as above
    with pytest.raises(VerifyError, match="was last written by"):
        loops_run.run(found, [np.arange(6.0)])


def places(fn: Callable[..., Any], *types: Any) -> dict[str, str]:
    """Of each buffer, what it lies in: an output, or its offset."""
    found = lower(optimize(graphc.trace(fn, *types).plain))
    return {b.name: b.home or str(b.offset) for b in found.buffers}


def test_a_gradient_is_summed_where_the_new_weights_will_be() -> None:
    def step(W: Any, x: Any, rate: Any) -> Any:
        d_W = x.T @ (x @ W)
        W_new = W - rate * d_W
        return W_new

    assert places(step, F[40, 30], F[50, 40], F)["d_W"] == "W_new"


def test_a_state_is_advanced_in_its_own_memory() -> None:
    """h is read by the product before the new one is written, element by element."""

    def run(h: Any, W: Any) -> Any:
        return graphc.scan(lambda h, _: (np.tanh(h @ W), None), h, None, length=3)[0]

    graph = graphc.trace(run, F[4, 5], F[5, 5]).plain
    found = lower(optimize(graph))
    names = [b.name for b in found.buffers]
    assert not [name for name in names if name.endswith("_next")], names
    arrays = arrays_for(graph.inputs, {})
    np.testing.assert_allclose(loops_run.run(found, arrays)[0], expected(graph, arrays)[0])


def test_states_that_change_places_keep_a_copy() -> None:
    def run(a: Any, b: Any) -> Any:
        return graphc.scan(lambda s, _: ((s[1], s[0] + s[1]), None), (a, b), None, length=4)[0]

    graph = graphc.trace(run, F[3], F[3]).plain
    found = lower(optimize(graph))
    assert [b.name for b in found.buffers if "_next" in b.name]
    arrays = arrays_for(graph.inputs, {})
    for got, want in zip(loops_run.run(found, arrays), expected(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_plan_stops_improving_at_some_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many arrays there are."""
    monkeypatch.setattr(offsets, "MOST_PAIRS", 1)
    lives = [Life(f"v{k}", k, k + 3, 64 * (k % 7 + 1)) for k in range(50)]
    placed, total = plan_offsets(lives)
    check_apart(lives, placed, total, {})
