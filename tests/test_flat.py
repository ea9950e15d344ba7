"""Short loops around elements that follow each other become one loop."""

import numpy as np
import pytest

import graphc
from graphc import float32, float64
from graphc.graph import Graph
from graphc.loops import Loop, statements
from graphc.lower import lower
from graphc.lower.flat import LONGEST

rng = np.random.default_rng(0)


def loops(fn, *types):
    graph = graphc.trace(fn, *types)
    assert isinstance(graph, Graph)
    return [x.extent for x in statements(lower(graph).body) if isinstance(x, Loop)]


def masked(x, y):
    return np.where(x > 0, np.sqrt(np.abs(x)), y)


def test_neighbours_become_one_loop():
    assert loops(masked, float32[8, 20, 20], float32[8, 20, 20]) == [3200]
    (extent,) = loops(masked, float64["n", 7], float64["n", 7])
    assert str(extent) == "7*n"


def test_long_loops_and_those_that_do_not_go_on_stay():
    assert loops(masked, float32[8, LONGEST], float32[8, LONGEST]) == [8, LONGEST]
    assert loops(lambda x, b: x + b, float32[8, 20], float32[20]) == [8, 20]
    assert loops(lambda x: x[:, 1:] * 2, float32[8, 20]) == [8, 19]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 20, 20), (2, 63, 9)])
def test_values(shape):
    x, y = rng.normal(size=(2, *shape))
    np.testing.assert_array_equal(graphc.compile(masked, x, y)(x, y), masked(x, y))

    def total(x, y):
        return np.sum(masked(x, y) * y)

    got = graphc.compile(graphc.grad(total, argnums=1), x, y)(x, y)
    np.testing.assert_allclose(got, np.where(x > 0, np.sqrt(np.abs(x)), 2 * y), rtol=1e-14)
