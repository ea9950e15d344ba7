"""What a choice reads is read before it, where it surely exists."""

import numpy as np
import pytest

import graphc
from graphc import bool_, float32, float64
from graphc.graph import Graph
from graphc.loops import Apply, Let, Read, parts, statements, values
from graphc.lower import lower

rng = np.random.default_rng(0)


def chosen(program):
    """Names of arrays that only one way of a choice reads."""
    found = set()
    for stmt in statements(program.body):
        for value in values(stmt):
            for part in parts(value):
                if isinstance(part, Apply) and part.function == "select":
                    ways = (x for arg in part.args[1:] for x in parts(arg))
                    found |= {x.buffer for x in ways if isinstance(x, Read)}
    return found


def lowered(fn, *types):
    graph = graphc.trace(fn, *types)
    assert isinstance(graph, Graph)
    return lower(graph)


def where(mask, x, y):
    return np.where(mask, 2 * x, y)


@pytest.mark.parametrize("n", [64, "n"])
def test_both_ways_are_read_first(n):
    program = lowered(where, bool_[n], float32[n], float32[n])
    assert not chosen(program)
    names = [stmt.name for stmt in statements(program.body) if isinstance(stmt, Let)]
    assert names == ["x_here", "y_here"]


def test_short_loops_and_what_lies_outside_stay_behind_the_choice():
    assert chosen(lowered(where, bool_[4], float32[4], float32[4])) == {"x", "y"}

    def padded(x):
        return np.pad(x, 1) * 2

    program = lowered(padded, float32["n"])
    assert not any("here" in x.name for x in statements(program.body) if isinstance(x, Let))


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("n", [1, 7, 64, 100])
def test_values(n, dtype):
    kernel = graphc.compile(where, bool_["n"], dtype["n"], dtype["n"])
    mask, (x, y) = rng.random(n) < 0.5, rng.normal(size=(2, n)).astype(dtype.name)
    np.testing.assert_array_equal(kernel(mask, x, y), where(mask, x, y))
    assert "is_true(&mask[" in kernel.source


def test_a_name_of_the_user_is_not_that_of_the_helper():
    def fn(is_true, x):
        return np.where(is_true, x, 0)

    mask, x = rng.random(50) < 0.5, rng.normal(size=50)
    kernel = graphc.compile(fn, bool_[50], float64[50])
    np.testing.assert_array_equal(kernel(mask, x), fn(mask, x))


def test_masks_of_relu_in_blocks_of_rows_are_read_first():
    """The blocks' last rows lie in an array of known size, for all that their index says."""

    def loss(w, v, x):
        return np.sum(np.maximum(np.maximum(x @ w, 0) @ v, 0) ** 2)

    types = float32[128, 128], float32[128, 128], float32[1024, 128]
    kernel = graphc.compile(graphc.grad(loss, argnums=(0, 1)), *types)
    assert "_here ?" in kernel.source
    args = [(rng.normal(size=t.shape) / 12).astype(np.float32) for t in types]
    w, v, x = (a.astype(np.float64) for a in args)
    a = np.maximum(x @ w, 0)
    d = 2 * np.maximum(a @ v, 0)
    expected = x.T @ ((d @ v.T) * (a > 0)), a.T @ d
    for got, want in zip(kernel(*args), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())
