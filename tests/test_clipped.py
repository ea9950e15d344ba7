"""Products by taps that leave out the zeros around an image."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import graphc
from graphc import float32, float64, loops_run, reference
from graphc.loops import Contract, Loop, statements
from graphc.lower import lower
from graphc.passes import optimize
from graphc.trace import trace_function

rng = np.random.default_rng(0)


def convolution(x, k):
    return np.einsum("nchwij,ocij->nohw", sliding_window_view(x, k.shape[2:], axis=(2, 3)), k)


def loss(x, k, m):
    return np.sum(convolution(np.tanh(convolution(x, k)), m) ** 2)


def gradients(x, k, m):
    return graphc.grad(loss, (0, 1, 2))(x, k, m)


def lowered(fn, *types):
    return lower(optimize(trace_function(fn, types).graph))


def said(fn, arrays):
    """What the traced function computes, by NumPy in float64."""
    graph = trace_function(fn, [float64[a.shape] for a in arrays]).graph
    return reference.run(graph, [a.astype(np.float64) for a in arrays])


def numbers(*shapes, dtype=np.float64):
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


SHAPES = ((16, 3, 9, 9), (6, 3, 3, 3), (5, 6, 5, 5))


def test_the_gradient_by_an_image_stores_no_zeros():
    program = lowered(gradients, *(float32[s] for s in SHAPES))
    clipped = [x for x in statements(program.body) if isinstance(x, Contract) and x.counted]
    assert [(x.rows, x.columns) for x in clipped] == [(6, 16)]
    (product,) = clipped
    assert product.right.taps == ((5, 3 * 3 * 16), (5, -3 * 16), (5, -16))
    assert product.counted[0] == (0, 5)  # every filter; of their taps those inside
    assert all(str(low).startswith("max(") for low, _ in product.counted[1:])
    around = [x.extent for x in statements(program.body) if isinstance(x, Loop)]
    assert around.count(7) >= 2  # one product a place of the image


def test_the_loop_language_counts_the_same():
    arrays = numbers(*SHAPES)
    program = lowered(gradients, *(float64[s] for s in SHAPES))
    for got, want in zip(loops_run.run(program, arrays), said(gradients, arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("target", ["native", "portable"])
@pytest.mark.parametrize(
    "shapes",
    [
        SHAPES,
        ((19, 4, 8, 8), (7, 4, 2, 2), (13, 7, 3, 3)),  # lanes that do not divide the images
        ((32, 4, 6, 10), (4, 4, 1, 3), (4, 4, 3, 1)),  # zeros along one axis
        ((16, 5, 9, 9), (16, 5, 3, 3), (20, 16, 7, 7)),  # weights in panels; one place is left
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_by_images(shapes, dtype, target):
    arrays = numbers(*shapes, dtype=dtype)
    got = graphc.compile(gradients, *arrays, target=target)(*arrays)
    for mine, want in zip(got, said(gradients, arrays), strict=True):
        tolerance = 3e-4 if dtype == "float32" else 1e-11
        np.testing.assert_allclose(mine, want, rtol=0, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("pad", [1, 2, 5])
def test_zeros_around_what_was_computed(pad):
    """With more zeros than a filter is wide, some places see nothing else."""

    def fn(x, k, m):
        hidden = np.exp(convolution(x, k))
        return np.tanh(convolution(np.pad(hidden, ((0, 0), (0, 0), (pad, pad), (pad, pad))), m))

    arrays = numbers((16, 3, 8, 8), (6, 3, 3, 3), (5, 6, 3, 3))
    program = lowered(fn, *(float64[a.shape] for a in arrays))
    assert any(isinstance(x, Contract) and x.counted for x in statements(program.body))
    (want,) = said(fn, arrays)
    np.testing.assert_allclose(graphc.compile(fn, *arrays)(*arrays), want, rtol=1e-10, atol=1e-10)


def test_any_number_of_threads_counts_the_same():
    arrays = numbers((32, 6, 16, 16), (16, 6, 3, 3), (16, 16, 5, 5), dtype=np.float32)
    one, two = (graphc.compile(gradients, *arrays, threads=k)(*arrays) for k in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
