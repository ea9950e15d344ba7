"""Rows of sums that are taken several at a time: the same sums, and only where rows are apart."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import float32, float64, loops
from graphc.loops import (
    Argument,
    Assign,
    Declare,
    Literal,
    Local,
    Loop,
    Program,
    Read,
    Store,
    statements,
)
from graphc.lower import lower
from graphc.lower.jam import jam
from graphc.lower.naming import Names
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.types import Dim, TensorType

rng = np.random.default_rng(0)


def sums(fn, *types):
    """How many sums each innermost loop adds to, of those that add to any."""
    program = lower(optimize(trace_function(fn, types).graph))
    inner = [x for x in statements(program.body) if isinstance(x, Loop)]
    inner = [x for x in inner if not any(isinstance(s, Loop) for s in x.body)]
    counts = [sum(isinstance(s, Assign) for s in x.body) for x in inner]
    return sorted(n for n in counts if n)


def loss(a, x, y):
    return np.mean((a @ x - y) ** 2)


@pytest.mark.parametrize("rows", [64, 65, 66, 67, 257, "m"])
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_rows_left_over_are_summed_too(rows, dtype):
    kernel = graphc.compile(lambda a, x: np.tanh(a @ x) + 1, dtype[rows, 100], dtype[100])
    other = graphc.compile(lambda a, x: x @ a, dtype[rows, 100], dtype[rows])
    for m in [rows] if rows != "m" else [0, 1, 3, 4, 6, 70]:
        a, x = rng.random((m, 100)).astype(dtype.name), rng.random(100).astype(dtype.name)
        y = rng.random(m).astype(dtype.name)
        tolerance = 1e-5 if dtype == float32 else 1e-13
        np.testing.assert_allclose(kernel(a, x), np.tanh(a @ x) + 1, rtol=tolerance)
        np.testing.assert_allclose(other(a, y), y @ a, rtol=tolerance)


def test_how_many_rows_at_a_time():
    assert sums(lambda a, x: a @ x, float32[64, 64], float32[64]) == [4]
    assert sums(lambda a, x: a @ x, float32[65, 64], float32[64]) == [5]
    assert sums(lambda a, x: a @ x, float32[67, 64], float32[64]) == [1, 4]
    assert sums(lambda a, x: a @ x, float32["m", 64], float32[64]) == [1, 4]
    assert sums(lambda a, x: a @ x, float32[64, 2048], float32[2048])[0] == 4  # in parts
    assert sums(lambda a, x: a @ x, float32[8, 64], float32[64]) == [1]  # too little
    assert sums(lambda a: np.sum(np.exp(a), axis=1), float32[64, 64]) == [1]  # no short terms


def test_a_column_of_sums_keeps_its_order():
    a, x = rng.normal(size=(64, 64)) * 1e8, rng.normal(size=64)
    want = np.zeros(64)
    for i in range(64):
        want = want + x[i] * a[i]
    np.testing.assert_array_equal(graphc.compile(lambda x, a: x @ a, x, a)(x, a), want)


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_what_follows_a_row_follows_in_order(threads):
    a, x, y = rng.random((1000, 100)), rng.random(100), rng.random(1000)
    kernel = graphc.compile(graphc.value_and_grad(loss, argnums=1), a, x, y, threads=threads)
    value, gradient = kernel(a, x, y)
    np.testing.assert_allclose(value, loss(a, x, y), rtol=1e-13)
    np.testing.assert_allclose(gradient, 2 / 1000 * a.T @ (a @ x - y), rtol=1e-11)
    assert 4 in sums(loss, float64[1000, 100], float64[100], float64[1000])


def test_an_argument_that_is_overwritten():
    def step(x, a):
        return x - 0.1 * (a @ x)

    a, x = rng.random((64, 64)), rng.random(64)
    want = step(x, a)
    np.testing.assert_allclose(graphc.compile(step, x, a, donate="x")(x, a), want, rtol=1e-13)


@pytest.mark.parametrize("summed", ["x", "y"])
def test_rows_that_need_one_another_stay_apart(summed):
    """x[i + 64] = sum of x[i + j] for j < 64, and the same of another array."""
    i, j = Dim.named("i"), Dim.named("j")
    read = Read(summed, i + j, float64)
    add = Assign("sum", loops.apply("add", Local("sum", float64), read))
    body = Declare("sum", Literal(0.0, float64)), Loop("j", 64, (add,))
    store = Store("x", i + 64, Local("sum", float64))
    inputs = (Argument("y", TensorType(float64, (128,)), "y"),)
    outputs = (Argument("x", TensorType(float64, (128,)), "x"),)
    nest = Loop("i", 64, (*body, store))
    program = Program("f", "", inputs, (), outputs, (), (), 0, (nest,))
    assert (jam(program, Names("ijxyf")).body == (nest,)) == (summed == "x")
