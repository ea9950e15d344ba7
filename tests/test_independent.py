"""Loops over many arrays are told apart where they are, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import graphc
from graphc.emit_c.independent import MANY_PAIRS, Memory, is_independent
from graphc.loops import Let, Local, Loop, Read, Stmt, Store, apply
from graphc.lower import invariant
from graphc.types import Dim, Size, float32, float64

AT = Dim.named("i")
N = Dim.named("n")
COUNT = 6
MEMORY = Memory({f"v{k}": ("", 800 * k, 800 * k + 800) for k in range(COUNT)})


def stores(index: Size = AT) -> tuple[Stmt, ...]:
    return tuple(Store(f"v{k}", index, Read("x", AT, float64)) for k in range(COUNT))


def loop(*more: Stmt, body: tuple[Stmt, ...] | None = None) -> Loop:
    return Loop("i", 100, (*(stores() if body is None else body), *more))


def test_arrays_apart_are_independent() -> None:
    assert COUNT * (COUNT + 1) > MANY_PAIRS
    assert is_independent(loop(), MEMORY)
    assert is_independent(loop(Let("a", Read("v1", AT, float64))), MEMORY)
    assert is_independent(loop(Store("v6", AT, Read("v1", AT, float64))), MEMORY)


def test_an_array_between_two_others_keeps_no_loop_from_lanes() -> None:
    made = stores()[:2]
    assert is_independent(loop(Let("a", Read("v5", AT, float64)), body=made), MEMORY)
    assert not is_independent(loop(body=made[:1]), MEMORY), "compilers compare two by themselves"


@pytest.mark.parametrize(
    "other",
    [
        loop(Let("a", Read("v1", AT - 1, float64))),
        loop(Store("v1", AT + 1, Read("x", AT, float64))),
        loop(body=stores(2 * AT)),
        loop(body=stores(3)),
        loop(body=stores()[:1]),
        replace(loop(), extent=8),
        loop(Loop("j", 20, stores())),
    ],
)
def test_what_meets_other_iterations_is_not(other: Loop) -> None:
    assert not is_independent(other, MEMORY)


def test_arrays_that_overlap_are_not() -> None:
    for span in (("", 900, 1000), ("", 8 * N, 8 * N + 800)):
        memory = Memory({**MEMORY.spans, "v9": span})
        assert not is_independent(loop(Let("a", Read("v9", AT, float64))), memory)
    donated = Memory({**MEMORY.spans, "v9": ("x", 0, 1)})
    assert not is_independent(loop(Store("v9", AT, Local("a", float64))), donated)
    assert apply("add", Local("a", float64), Local("a", float64)).dtype == float64


def test_arrays_of_a_run_time_size_are_told_apart() -> None:
    spans = {f"v{k}": ("", 64 * k * N, 64 * k * N + 40 * N) for k in range(COUNT)}
    assert is_independent(loop(), Memory(spans))
    assert not is_independent(loop(), Memory({**spans, "v2": ("", 64 * N, 104 * N)}))

    def gates(z, c):
        i, f, g, o = (z[:, 64 * k : 64 * k + 64] for k in range(4))
        c = np.tanh(f) * c + np.tanh(i) * g
        return np.sum((np.tanh(o) * np.tanh(c)) ** 2)

    slopes = graphc.grad(gates, (0, 1))
    for threads in (None, 2):
        kernel = graphc.compile(slopes, float32["n", 256], float32["n", 64], threads=threads)
        assert "GRAPHC_SIMD_LOOP\n" in kernel.source.replace("    ", "")


def rnn(w, h, xs):
    def step(h, x):
        h = np.tanh(h @ w + x)
        return h, h

    return np.sum(graphc.scan(step, h, xs)[1] ** 2)


def test_copies_of_weights_are_made_before_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    w, h = rng.normal(size=(64, 64)) / 8, rng.normal(size=(32, 64))
    xs = rng.normal(size=(5, 32, 64))
    both = graphc.value_and_grad(rnn, (0, 1, 2))
    kernel = graphc.compile(both, w, h, xs)
    (line,) = [x for x in kernel.source.splitlines() if "transpose_f64(64" in x and "w_pack" in x]
    assert len(line) - len(line.lstrip()) == 8, "the loop of the copy, and no other"
    value, grads = kernel(w, h, xs)
    expected, slopes = both(w, h, xs)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for mine, theirs in zip(grads, slopes, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
    assert invariant.hoist.__doc__


@pytest.mark.parametrize(("width", "copied"), [(64, False), (256, True)])
def test_weights_whose_rows_meet_in_the_cache_are_copied(width: int, copied: bool) -> None:
    """64 rows 1024 bytes apart have 32 lines of the first cache; 256 bytes apart, 128."""

    def gated(w, h, xs):
        def step(h, x):
            z = h @ w + x
            h = np.tanh(z[:, :64]) * z[:, -64:]
            return h, h

        return graphc.scan(step, h, xs)[1]

    rng = np.random.default_rng(0)
    w, h = rng.normal(size=(64, width)) / 8, rng.normal(size=(16, 64))
    w, h, xs = (x.astype(np.float32) for x in (w, h, rng.normal(size=(5, 16, width))))
    kernel = graphc.compile(gated, w, h, xs)
    copies = [line for line in kernel.source.splitlines() if "w_pack[" in line and "=" in line]
    assert bool(copies) == copied
    assert all(len(line) - len(line.lstrip()) <= 16 for line in copies), "outside of the scan"
    np.testing.assert_allclose(kernel(w, h, xs), gated(w, h, xs), rtol=2e-5, atol=2e-5)
