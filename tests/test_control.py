"""scan, while_loop, fori_loop and cond against the Python loops and branches they stand for."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import reference
from graphc.errors import ShapeError, TraceError
from graphc.graph import verify
from graphc.trace import cond, fori_loop, scan, trace_function, while_loop
from graphc.transform import grad, jvp
from graphc.types import float64

rng = np.random.default_rng(0)
W, U = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
H, XS = rng.normal(size=3), rng.normal(size=(5, 2))
ARGS = (W, U, H, XS)


def rnn(W, U, h, xs, reverse=False):
    def step(h, x):
        h = np.tanh(W @ h + U @ x)
        return h, h * 2

    h, ys = scan(step, h, xs, reverse=reverse)
    return np.sum(ys**2 * np.arange(1.0, 6.0)[:, None]) + np.sum(h)


def unrolled(W, U, h, xs, reverse=False):
    total = 0.0
    for t in range(5)[:: -1 if reverse else 1]:
        h = np.tanh(W @ h + U @ xs[t])
        total = total + (t + 1.0) * np.sum((2 * h) ** 2)
    return total + np.sum(h)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_value_and_derivatives(reverse):
    a, b = (lambda *xs: rnn(*xs, reverse=reverse)), (lambda *xs: unrolled(*xs, reverse=reverse))
    graph = trace_function(a, ARGS).graph
    verify(graph)
    assert [x.op.name for x in graph.nodes].count("scan") == 1
    np.testing.assert_allclose(reference.run(graph, ARGS)[0], b(*ARGS), rtol=1e-12)
    every = (0, 1, 2, 3)
    for mine, theirs in zip(grad(a, every)(*ARGS), grad(b, every)(*ARGS), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
    along = tuple(rng.normal(size=x.shape) for x in ARGS)
    np.testing.assert_allclose(jvp(a, ARGS, along)[1], jvp(b, ARGS, along)[1], rtol=1e-10)
    for order in (
        lambda f: jvp(lambda *xs: grad(f)(*xs), ARGS, along)[1],
        lambda f: grad(lambda *xs: np.sum(grad(f)(*xs) ** 2))(*ARGS),
    ):
        np.testing.assert_allclose(order(a), order(b), rtol=1e-9, atol=1e-10)


def test_scan_over_a_named_length_serves_every_length():
    graph = trace_function(
        lambda h, xs: scan(lambda c, x: (c * 0.5 + x, c), h, xs), (float64, float64["n"])
    ).graph
    for n in (0, 1, 4):
        xs = np.arange(float(n))
        last, kept = reference.run(graph, [2.0, xs])
        carry, rows = 2.0, []
        for x in xs:
            rows.append(carry)
            carry = carry * 0.5 + x
        assert last == carry
        assert kept.tolist() == rows


def test_scan_on_arrays_is_a_python_loop():
    last, ys = scan(lambda c, x: (c + x, c * x), 1.0, np.array([1.0, 2.0, 3.0]))
    assert last == 7.0
    assert ys.tolist() == [1.0, 4.0, 12.0]


def test_bodies_take_outer_values_once():
    def f(w, xs):
        wide = np.exp(w)
        return scan(lambda c, x: (c * wide + x, None), 0.0, xs)[0]

    graph = trace_function(f, (float64, float64[4])).graph
    assert [x.op.name for x in graph.nodes].count("exp") == 1


def test_while_loop():
    def f(x):
        def body(c):
            return c[0] * 2, c[1] + np.sin(c[0])

        return while_loop(lambda c: c[0] < 10.0, body, (x, 0.0))[1]

    value = sum(np.sin(1.5 * 2**k) for k in range(3))
    slope = sum(2**k * np.cos(1.5 * 2**k) for k in range(3))
    graph = trace_function(f, (1.5,)).graph
    np.testing.assert_allclose(reference.run(graph, [1.5])[0], value)
    np.testing.assert_allclose(jvp(f, (1.5,), (1.0,)), (value, slope))
    with pytest.raises(TraceError, match=r"while_loop at test_control.py:\d+ has no gradient.*max"):
        grad(f)(1.5)


def test_bounded_while_loop_has_a_gradient():
    def f(x):
        return while_loop(lambda c: c < 10.0, lambda c: c * c, x, max_steps=6)

    assert grad(f)(1.5) == pytest.approx(8 * 1.5**7)


def test_fori_loop_with_known_and_traced_bounds():
    def f(x, n):
        return fori_loop(0, n, lambda i, v: v * x + i, 1.0)

    expected = 1.0
    for i in range(4):
        expected = expected * 1.3 + i
    assert f(1.3, 4) == pytest.approx(expected)
    fixed = trace_function(lambda x: f(x, 4), (1.3,)).graph
    assert reference.run(fixed, [1.3])[0] == pytest.approx(expected)
    traced = trace_function(f, (1.3, 4)).graph
    assert [x.op.name for x in traced.nodes].count("while_loop") == 1
    assert reference.run(traced, [1.3, 4])[0] == pytest.approx(expected)
    slope = (f(1.3 + 1e-6, 4) - f(1.3 - 1e-6, 4)) / 2e-6
    assert grad(lambda x: f(x, 4))(1.3) == pytest.approx(slope, rel=1e-6)


def test_cond_takes_one_branch_and_its_derivative():
    def f(x, y):
        return cond(x > 0, lambda x: np.exp(x) * y, lambda x: x**3.0, x)

    assert grad(f, (0, 1))(0.5, 2.0) == pytest.approx((2 * np.exp(0.5), np.exp(0.5)))
    assert grad(f, (0, 1))(-0.5, 2.0) == pytest.approx((0.75, 0.0))
    assert jvp(f, (-0.5, 2.0), (1.0, 1.0))[1] == pytest.approx(0.75)


def test_misuse_names_both_sides():
    with pytest.raises(TraceError, match=r"changes its carry from float64\[3\] to float64\[2\]"):
        trace_function(lambda x: scan(lambda c, _: (c[:2], None), x, length=3), (float64[3],))
    with pytest.raises(TraceError, match=r"float64\[\].*float64\[2\]"):
        trace_function(lambda x: cond(x[0] > 0, lambda: x[0], lambda: x[:2]), (float64[3],))
    with pytest.raises(ShapeError, match=r"float64\[3\], float64\[4\].*first sizes differ"):
        trace_function(
            lambda a, b: scan(lambda c, x: (c, x[0]), 0.0, (a, b)), (float64[3], float64[4])
        )
    with pytest.raises(TraceError, match="not one bool scalar"):
        trace_function(lambda x: while_loop(lambda c: c + 1, lambda c: c, x), (float64,))
    with pytest.raises(ShapeError, match=r"cond decides on a scalar, not bool\[3\]"):
        trace_function(lambda x: cond(x > 0, lambda: x, lambda: x), (float64[3],))


def test_branches_without_arguments_stay_inside_a_scan():
    def f(w, h, xs):
        def step(c, x):
            return c * 0.5, cond(x > 1.0, lambda: np.sum(np.exp(w) * c), lambda: c[0])

        return np.sum(scan(step, h, xs)[1])

    w, xs = XS[:3, 0], np.array([0.0, 2.0, 3.0])
    graph = trace_function(f, (w, H, xs)).graph
    verify(graph)
    assert not {"multiply", "exp"} & {x.op.name for x in graph.nodes}, "both branches ran outside"
    states = [H, H / 2, H / 4]
    want = states[0][0] + np.sum(np.exp(w) * states[1]) + np.sum(np.exp(w) * states[2])
    assert reference.run(graph, [w, H, xs])[0] == pytest.approx(want)
    np.testing.assert_allclose(grad(f)(w, H, xs), np.exp(w) * (states[1] + states[2]))


def test_a_dimension_may_have_a_name_that_c_keeps_for_itself():
    def f(h, xs):
        return scan(lambda c, x: (c * 0.5 + np.sum(x), c * x), h, xs)

    kernel = graphc.compile(grad(lambda h, xs: np.sum(f(h, xs)[1])), 1.0, float64["double", "int"])
    xs = np.arange(6.0).reshape(3, 2)
    wanted = grad(lambda h, xs: np.sum(f(h, xs)[1]))(1.0, xs)
    assert kernel(1.0, xs) == pytest.approx(wanted)


COMPILED = {
    "scan and its gradient": (graphc.value_and_grad(rnn, (0, 1, 2, 3)), ARGS),
    "scan in reverse": (lambda *xs: rnn(*xs, reverse=True), ARGS),
    "second derivative of a scan": (
        graphc.grad(lambda *xs: np.sum(graphc.grad(rnn)(*xs) ** 2), (0, 3)),
        ARGS,
    ),
    "while_loop": (
        lambda x: while_loop(lambda c: c[0] < 10.0, lambda c: (c[0] * 2, c[1] + c[0]), (x, 0.0)),
        (1.5,),
    ),
    "bounded while_loop": (
        graphc.value_and_grad(
            lambda x: while_loop(lambda c: c < 10.0, lambda c: c * c, x, max_steps=6)
        ),
        (1.5,),
    ),
    "fori_loop to a traced bound": (
        lambda x, n: fori_loop(0, n, lambda i, v: v * x + i, 1.0),
        (1.3, 4),
    ),
    "cond, taken": (graphc.value_and_grad(lambda x: cond(x > 0, np.exp, np.sin, x)), (0.5,)),
    "cond, not taken": (graphc.value_and_grad(lambda x: cond(x > 0, np.exp, np.sin, x)), (-0.5,)),
    "a scan in a scan": (
        graphc.value_and_grad(
            lambda W, h: np.sum(
                scan(
                    lambda c, _: (scan(lambda d, w: (np.tanh(d * w), d), c, W)[0], c[::-1]),
                    h,
                    length=3,
                )[1]
            ),
            (0, 1),
        ),
        (W, H),
    ),
}


@pytest.mark.parametrize("name", COMPILED)
def test_the_c_computes_what_the_reference_does(name):
    fn, args = COMPILED[name]
    graph = graphc.trace(fn, *args)
    mine = graphc.compile(graph)(*args)
    for a, b in zip(_leaves(mine), _leaves(graph(*args)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        assert np.asarray(a).dtype == np.asarray(b).dtype


def _leaves(tree):
    if not isinstance(tree, tuple):
        return [tree]
    return [leaf for part in tree for leaf in _leaves(part)]
