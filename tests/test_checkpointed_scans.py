"""A scan of a checkpoint keeps about the square root of what it would, whatever is derived."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc
from graphc.derive.pads import side_by_side
from graphc.graph import apply
from graphc.lower.memory.offsets import bounded
from graphc.ops.shape import PAD
from graphc.trace import Tensor, trace_function
from graphc.types import Dim, Size, at_most, evaluate, floordiv

rng = np.random.default_rng(0)
H = 8
f64 = graphc.float64


def rolled(again: bool, reverse: bool = False) -> Any:
    def f(w: Any, h: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = np.tanh(w @ h + x)
            return h, None

        step = graphc.checkpoint(step) if again else step
        return np.sum(graphc.scan(step, h, xs, reverse=reverse)[0] ** 2)

    return f


ARGNUMS = (0, 1, 2, (0, 1, 2))


@pytest.mark.parametrize("argnums", ARGNUMS)
@pytest.mark.parametrize("length", [400, 500, "n"])
def test_the_workspace_of_a_gradient(argnums: Any, length: Any) -> None:
    def kernel_for(steps: Any, again: bool = True) -> Any:
        f = graphc.value_and_grad(rolled(again), argnums)
        return graphc.compile(f, f64[H, H], f64[H], f64[steps, H])

    row, kernel = H * 8, kernel_for(length)
    if isinstance(length, int):
        short, long = kernel.workspace_bytes, kernel_for(4 * length).workspace_bytes
        assert long <= 2.2 * short
        assert short <= 6 * length**0.5 * row
        assert kernel_for(length, again=False).workspace_bytes >= length * row
    else:  # a carry for every 32 steps
        assert kernel.workspace_size(n=64_000) - kernel.workspace_size(n=32_000) == 1000 * row
        assert kernel.workspace_size(n=31) <= 5 * 32 * row


@pytest.mark.parametrize("length", [1, 3, 16, 19, 33])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_its_gradients_are_those_of_the_scan(length: int, reverse: bool, named: bool) -> None:
    args = rng.normal(size=(H, H)) / 3, rng.normal(size=H), rng.normal(size=(length, H))
    wanted = graphc.value_and_grad(rolled(False, reverse), (0, 1, 2))(*args)
    f = graphc.value_and_grad(rolled(True, reverse), (0, 1, 2))
    kernel = graphc.compile(f, f64[H, H], f64[H], f64["n" if named else length, H])
    found = kernel(*args)
    for a, b in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_outputs_in_pieces_are_not_copied() -> None:
    def f(h: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            return h * x + 1.0, h * h

        first = graphc.scan(step, h, xs[:3])[1]
        second = graphc.scan(step, h, xs[3:], reverse=True)[1]
        return np.concatenate([first, h[None] * 2, second]), first.reshape(-1), second[:, 0]

    h, xs = rng.normal(size=H), rng.normal(size=(7, H))
    kernel = graphc.compile(f, h, xs)
    for a, b in zip(kernel(h, xs), f(h, xs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    alone = graphc.compile(lambda h, xs: f(h, xs)[0], h, xs)
    assert "?" not in alone.source
    assert alone.workspace_bytes <= 4 * H * 8
    np.testing.assert_allclose(alone(h, xs), f(h, xs)[0], rtol=1e-14)


def test_pieces_that_touch_are_joined() -> None:
    n: Size = Dim.named("n")

    def pads(*parts: Any) -> Any:
        starts = (floordiv(n, 3), 0, floordiv(n, 3) + 2)
        blocks = [
            Tensor(apply(PAD, part.node, start=(at,), step=(1,), shape=(n,)))
            for part, at in zip(parts, starts, strict=True)
        ]
        joined = side_by_side(blocks)
        assert [x.node.op.name for x in joined] == ["concatenate"]
        apart = side_by_side([blocks[0], blocks[2], blocks[2]])
        assert len(apart) == 2
        return joined[0]

    traced = trace_function(pads, (f64[2], f64[floordiv(n, 3)], f64[n - floordiv(n, 3) - 2]))
    assert traced.graph.outputs[0].shape == (n,)


def test_remainders_are_bounded() -> None:
    n, m = Dim.named("n"), Dim.named("m")
    rest = n - 32 * floordiv(n, 32)
    assert bounded(8 * rest + 64) == 8 * 31 + 64
    assert bounded(8 * rest * m + n) == 8 * 31 * m + n
    assert bounded(8 * n - 100 * floordiv(n, 32)) == 8 * n - 100 * floordiv(n, 32)
    for size in (8 * rest + 7 * n, 3 * n - 96 * floordiv(n, 32), floordiv(n, 32) * 32):
        top = bounded(size)
        assert at_most(size, top) or all(
            evaluate(size, {"n": k}) <= evaluate(top, {"n": k}) for k in range(200)
        )
