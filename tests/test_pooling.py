"""Pooling and its gradient: windows written out, comparisons made where they are read, tiles
computed as tiles, sums in locals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import graphc
from graphc import float32, float64, loops_run, reference
from graphc.loops import Loop, Store, statements
from graphc.lower import lower
from graphc.lower.merging import merge_last
from graphc.ops.shape import RESHAPE
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.types import Dim, matching

rng = np.random.default_rng(0)


def pool(x, size, stride, kind):
    windows = sliding_window_view(x, (size, size), axis=(-2, -1))[..., ::stride, ::stride, :, :]
    return getattr(windows, kind)(axis=(-2, -1))


def gradient(size, stride, kind):
    """Bias, ReLU, pooling, and the gradient of what depends on each element."""

    def loss(x, b):
        pooled = pool(np.maximum(x + b[:, None, None], 0), size, stride, kind)
        return np.sum(pooled**2 * np.arange(1.0, 1 + pooled.shape[-1], dtype=x.dtype))

    return graphc.value_and_grad(loss, (0, 1))


def said(fn, types, arrays):
    """What the traced function computes, by NumPy in float64."""
    wide = [float64[t.shape] for t in types]
    return reference.run(trace_function(fn, wide).graph, [a.astype(np.float64) for a in arrays])


def lowered(fn, *types):
    return lower(optimize(trace_function(fn, types).graph))


def check(fn, types, arrays, tolerance=1e-11, **asked):
    want = said(fn, [float64[a.shape] for a in arrays], arrays)
    value, parts = graphc.compile(fn, *types, **asked)(*arrays)
    for got, right in zip((value, *parts), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=0, atol=tolerance * np.abs(right).max())


@pytest.mark.parametrize("kind", ["max", "min", "mean"])
@pytest.mark.parametrize(
    ("n", "channels", "side", "size", "stride"),
    [
        (3, 2, 8, 2, 2),
        (9, 3, 12, 2, 2),
        (2, 1, 9, 2, 2),  # pixels that no window sees
        (4, 5, 24, 3, 3),
        (2, 3, 17, 3, 2),  # windows that overlap
        (1, 2, 30, 4, 4),
        (5, 2, 4, 2, 2),  # as many windows as places in them
    ],
)
def test_pooling_at_every_edge(n, channels, side, size, stride, kind):
    arrays = rng.normal(size=(n, channels, side, side)), rng.normal(size=channels)
    fn = gradient(size, stride, kind)
    check(fn, [float64[a.shape] for a in arrays], arrays)


@pytest.mark.parametrize("target", ["native", "portable"])
def test_pooling_of_any_number_of_images(target):
    arrays = [rng.normal(size=s).astype(np.float32) for s in ((7, 3, 12, 12), (3,))]
    types = float32["n", 3, 12, 12], float32[3]
    check(gradient(2, 2, "max"), types, arrays, 1e-4, target=target)


def test_ties_share_evenly_and_nan_stays():
    def fn(x):
        return graphc.grad(lambda x: np.sum(pool(x, 2, 2, "max")))(x)

    x = rng.integers(0, 2, (2, 3, 16, 16)).astype(np.float64)
    windows = x.reshape(2, 3, 8, 2, 8, 2)
    top = windows == windows.max(axis=(3, 5), keepdims=True)
    want = (top / top.sum(axis=(3, 5), keepdims=True)).reshape(x.shape)
    np.testing.assert_array_equal(graphc.compile(fn, x)(x), want)
    x[0, 1, 4, 5] = np.nan
    value = graphc.compile(lambda x: pool(x, 2, 2, "max"), x)(x)
    np.testing.assert_array_equal(value, windows.max(axis=(3, 5)))
    assert np.isnan(value).sum() == 1


def test_the_gradient_of_a_pooling_is_one_loop_along_memory():
    """Comparisons are made where they are read, and nothing is stored between the pooling's
    gradient and that of what it pools."""
    program = lowered(gradient(2, 2, "max"), float32[4, 6, 32, 32], float32[6])
    assert program.buffers == ()
    whole = [x for x in statements(program.body) if isinstance(x, Loop) and x.extent == 16]
    assert len(whole) == 2  # rows and columns of windows
    stores = [s for s in whole[1].body if isinstance(s, Store)]
    assert len(stores) == 4
    assert not any(isinstance(s, Loop) for s in whole[1].body)


def test_the_loop_language_says_the_same():
    types = float64[9, 3, 12, 12], float64[3]
    arrays = [rng.normal(size=t.shape) for t in types]
    fn = gradient(2, 2, "max")
    for got, right in zip(
        loops_run.run(lowered(fn, *types), arrays), said(fn, types, arrays), strict=True
    ):
        np.testing.assert_allclose(got, right, rtol=1e-10)


def tiles(x, b):
    """What is put side by side, and what is computed of it."""
    image = np.swapaxes(np.exp(x), 1, 2).reshape(8, 6)
    return np.sum(np.tanh(image * b) + image[:, :1], axis=0), np.sum(image * 2)


def test_what_is_made_of_tiles_is_computed_over_tiles():
    types = float64[4, 3, 2, 2], float64[6]
    arrays = [rng.normal(size=t.shape) for t in types]
    graph = optimize(trace_function(tiles, types).graph)
    merged = merge_last(graph)
    ranks = {x.op.name: x.type.rank for x in merged.nodes}
    assert (ranks["tanh"], {x.op.name: x.type.rank for x in graph.nodes}["tanh"]) == (4, 2)
    assert any(x.op is RESHAPE for x in merged.nodes)
    for got, want in zip(reference.run(merged, arrays), reference.run(graph, arrays), strict=True):
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-14)
    for got, want in zip(graphc.compile(tiles, *types)(*arrays), tiles(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_axes_with_the_same_elements():
    n = Dim.named("n")

    def runs(source, target):
        return [(source[a], target[b]) for a, b in matching(source, target)]

    assert runs((6, 4), (2, 3, 4)) == [((6,), (2, 3)), ((4,), (4,))]
    assert runs((n, 2, 3), (n, 6)) == [((n,), (n,)), ((2, 3), (6,))]
    assert runs((4, 6), (6, 4)) == [((4, 6), (6, 4))]
    assert runs((n * 4,), (n, 4)) == [((n * 4,), (n, 4))]
    assert [x for a, _ in runs((1, 5, 1), (5,)) for x in a] == [1, 5, 1]
    assert [x for _, b in runs((0, 3), (3, 0)) for x in b] == [3, 0]


@pytest.mark.parametrize("features", [1, 2, 3, 5])
def test_sums_of_a_few_columns_stay_in_locals(features):
    def loss(w, x, t):
        return np.mean(np.abs(t - x @ w))

    fn = graphc.value_and_grad(loss)
    n = 100_003
    w, x, t = (rng.random(s).astype(np.float32) for s in (features, (n, features), n))
    t += 10
    value, d_w = graphc.compile(fn, float32[features], float32["n", features], float32["n"])(
        w, x, t
    )
    wide = [a.astype(np.float64) for a in (w, x, t)]
    np.testing.assert_allclose(value, loss(*wide), rtol=1e-6)
    np.testing.assert_allclose(d_w, -x.mean(axis=0, dtype=np.float64), rtol=2e-6)
