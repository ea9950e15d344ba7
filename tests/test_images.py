"""Convolutions of batches of images: their layout, and products that read windows in place."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import graphc
from graphc import float32, float64, loops_run, reference
from graphc.loops import Contract, Loop, statements
from graphc.lower import lower
from graphc.lower.batch_last import batches_last
from graphc.lower.ones import without_ones
from graphc.passes import optimize
from graphc.trace import trace_function

rng = np.random.default_rng(0)


def convolution(x, k, stride=1):
    windows = sliding_window_view(x, k.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", windows, k)


def network(x, k, b):
    """Convolution, bias, ReLU, pooling by 2 x 2, and what depends on each element."""
    z = np.maximum(
        convolution(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), k) + b[:, None, None], 0
    )
    pooled = sliding_window_view(z, (2, 2), axis=(2, 3))[:, :, ::2, ::2].max(axis=(-2, -1))
    return np.sum(pooled**2 * np.arange(1.0, 1 + pooled.shape[-1], dtype=x.dtype))


def gradients(x, k, b):
    return graphc.value_and_grad(network, (0, 1, 2))(x, k, b)


def lowered(fn, *types):
    return lower(optimize(trace_function(fn, types).graph))


def products(program):
    return [x for x in statements(program.body) if isinstance(x, Contract)]


def said(fn, *arrays):
    """What the traced function computes, by NumPy."""
    return reference.run(trace_function(fn, [float64[a.shape] for a in arrays]).graph, arrays)


def numbers(*shapes, dtype=np.float64):
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def test_windows_of_many_images_are_read_where_they_are():
    types = (float32[16, 6, 14, 14], float32[16, 6, 5, 5], float32[16])
    program = lowered(gradients, *types)
    by_taps = [x for x in products(program) if x.right.taps and not x.left.taps]
    by_dots = [x for x in products(program) if x.by_dots]
    assert len(by_taps) == 2
    # Of the zeros around the image those at the ends of its rows are stored, no rows of zeros.
    assert by_taps[0].right.taps == ((6, 14 * 16 * 16), (5, 16 * 16), (5, 16))
    assert ["({}, {})".format(*x.counted[1]) for x in by_taps] == [
        "(max(-i + 1, 0), min(-i + 15, 5))",
        "(max(i - 11, 0), min(i + 1, 5))",
    ]
    assert (by_taps[0].rows, by_taps[0].columns, by_taps[0].terms) == (16, 12 * 16, 150)
    assert [(x.rows, x.columns) for x in by_dots] == [(6, 16)]
    windows = 16 * 6 * 5 * 5 * 12 * 12
    assert max(prod(x.shape) for x in program.buffers) < windows / 3


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_lines_fit_the_page(dtype):
    types = dtype[16, 6, 14, 14], dtype[16, 6, 5, 5], dtype[16]
    source = graphc.compile(gradients, *types).source
    assert "contract_taps" in source
    assert "contract_dots" in source
    assert not [line for line in source.splitlines() if len(line) > 100]


def test_what_follows_a_convolution_runs_over_images():
    step = graphc.value_and_grad(network, (1, 2))
    program = lowered(step, float32[16, 6, 14, 14], float32[16, 6, 5, 5], float32[16])
    inner = [
        x
        for x in statements(program.body)
        if isinstance(x, Loop) and not any(isinstance(y, Loop | Contract) for y in x.body)
    ]
    assert {x.extent for x in inner} == {16, 12 * 16}  # images
    assert sum(x.extent == 16 for x in inner) == 3


def test_few_images_and_unknown_numbers_of_them_keep_their_order():
    for n in (4, "n"):
        types = (float32[n, 6, 14, 14], float32[16, 6, 5, 5], float32[16])
        graph = optimize(trace_function(gradients, types).graph)
        assert batches_last(graph).nodes == graph.nodes


@pytest.mark.parametrize("n", [8, 9])
def test_the_turned_graph_computes_the_same(n):
    x, k, b = numbers((n, 3, 8, 8), (5, 3, 3, 3), (5,))
    graph = optimize(
        trace_function(gradients, (float64[x.shape], float64[k.shape], float64[5])).graph
    )
    turned = batches_last(graph)
    assert turned.nodes != graph.nodes
    for got, want in zip(
        reference.run(turned, [x, k, b]), reference.run(graph, [x, k, b]), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("target", ["native", "portable"])
@pytest.mark.parametrize(
    ("n", "channels", "filters", "side", "size"),
    [
        (8, 1, 6, 12, 3),  # rows: 6
        (9, 3, 7, 11, 3),  # runs that vectors do not divide
        (10, 4, 13, 9, 2),  # the last rows once more; terms in two axes
        (16, 7, 4, 8, 5),  # columns of dots: 4 and 3
        (33, 2, 16, 7, 3),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_at_every_edge(n, channels, filters, side, size, dtype, target):
    arrays = numbers(
        (n, channels, side, side), (filters, channels, size, size), (filters,), dtype=dtype
    )
    wide = [a.astype(np.float64) for a in arrays]
    types = [getattr(graphc, dtype)[a.shape] for a in arrays]
    want = said(gradients, *wide)
    value, parts = graphc.compile(gradients, *types, target=target)(*arrays)
    for got, right in zip((value, *parts), want, strict=True):
        tolerance = 2e-4 if dtype == "float32" else 1e-11
        np.testing.assert_allclose(got, right, rtol=0, atol=tolerance * np.abs(right).max())


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_strides(stride):
    x, k = numbers((8, 3, 13, 13), (5, 3, 3, 3))

    def fn(x, k):
        return graphc.grad(lambda x, k: np.sum(convolution(x, k, stride) ** 3), (0, 1))(x, k)

    want = said(fn, x, k)
    for got, right in zip(graphc.compile(fn, x, k)(x, k), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-10, atol=1e-10)


def test_the_loop_language_says_the_same():
    types = (float64[8, 4, 8, 8], float64[9, 4, 3, 3], float64[9])
    arrays = numbers(*(x.shape for x in types))
    program = lowered(gradients, *types)
    assert {(bool(x.left.taps), bool(x.right.taps)) for x in products(program)} >= {
        (False, True),
        (True, True),
    }
    want = said(gradients, *arrays)
    for got, right in zip(loops_run.run(program, arrays), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-10, atol=1e-10)


def test_infinity_and_nan_stay_where_they_are():
    """Vectors that do not divide a run meet some of its elements twice."""
    x, k = numbers((9, 3, 10, 10), (4, 3, 3, 3))
    x[3, 1, 4, 4], x[8, 2, 9, 9] = np.inf, np.nan

    def fn(x, k):
        return graphc.grad(lambda k: np.sum(convolution(x, k)))(k)

    windows = sliding_window_view(x, (3, 3), axis=(2, 3))
    want = np.broadcast_to(windows.sum(axis=(0, 2, 3)), k.shape)
    got = graphc.compile(fn, x, k)(x, k)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))
    finite = np.isfinite(want)
    np.testing.assert_allclose(got[finite], want[finite], rtol=1e-10)


def test_any_number_of_threads_gives_the_same_bits():
    arrays = numbers((16, 6, 16, 16), (16, 6, 5, 5), (16,), dtype=np.float32)
    one, two = (graphc.compile(gradients, *arrays, threads=k)(*arrays) for k in (1, 2))
    for a, b in zip((one[0], *one[1]), (two[0], *two[1]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_node_does_not_join_a_loop_across_its_memory():
    """y runs along its rows, whatever loop over the columns its producer has."""

    def fn(x, b):
        c = np.exp(b)
        return c, x * c

    program = lowered(fn, float32[40, 50], float32[50])
    last = [x for x in statements(program.body) if isinstance(x, Loop)][-1]
    assert last.extent == 50


def test_convolutions_too_small_for_tiles_keep_their_order():
    types = (float32[8, 2, 3, 3], float32[2, 2, 3, 3], float32[2])
    graph = optimize(trace_function(gradients, types).graph)
    assert batches_last(graph).nodes == graph.nodes


@pytest.mark.parametrize("n", [1, 8, "n"])
def test_filters_of_one_pixel_are_products_of_matrices(n):
    """Windows of one element are none, and labels of one element in nobody's way."""
    types = (float32[n, 8, 12, 12], float32[9, 8, 1, 1])

    def fn(x, k):
        return graphc.grad(lambda x, k: np.sum(np.tanh(convolution(x, k)) ** 2), (0, 1))(x, k)

    program = lowered(fn, *types)
    sizes = {(x.rows, x.columns, x.terms) for x in products(program)}
    assert sizes >= {(9, 144, 8), (8, 144, 9)}
    arrays = numbers((3 if n == "n" else n, 8, 12, 12), (9, 8, 1, 1), dtype=np.float32)
    want = said(fn, *(a.astype(np.float64) for a in arrays))
    for got, right in zip(graphc.compile(fn, *types)(*arrays), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=0, atol=2e-4 * np.abs(right).max())


def test_contractions_without_labels_of_one_element():
    types = (float64[1, 4, 3, 1], float64[3, 1, 5, 1])

    def fn(x, y):
        return np.einsum("abcd,cdef->abef", x, y), np.einsum("abcd,cdef->eafb", x, y) * 2

    arrays = numbers(*(t.shape for t in types))
    graph = optimize(trace_function(fn, types).graph)
    for got, want in zip(reference.run(without_ones(graph), arrays), fn(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    for got, want in zip(graphc.compile(fn, *types)(*arrays), fn(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_images_that_are_given_are_copied_and_not_their_windows():
    def fn(x, k, b):
        def loss(k, b):
            z = np.tanh(convolution(x.reshape(16, 3, 14, 14), k) + b[:, None, None])
            return np.sum(z**2)

        return graphc.grad(loss, (0, 1))(k, b)

    types = float32[16, 3 * 14 * 14], float32[8, 3, 3, 3], float32[8]
    program = lowered(fn, *types)
    copies = [prod(x.shape) for x in program.buffers if "copy" in x.name]
    assert copies == [16 * 3 * 14 * 14]
    assert all(x.right.taps for x in products(program))
    arrays = numbers(*(t.shape for t in types), dtype=np.float32)
    want = said(fn, *(a.astype(np.float64) for a in arrays))
    for got, right in zip(graphc.compile(fn, *types)(*arrays), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=0, atol=2e-4 * np.abs(right).max())
