"""Derivatives of graphs and of functions, in both directions, of every order."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from test_ops import check_derivative

import graphc
from graphc import passes, reference
from graphc.errors import DTypeError, TraceError
from graphc.graph import Graph, Node, verify
from graphc.trace import trace_function
from graphc.transform import grad, grad_graph, hessian, jvp, value_and_grad, vjp
from graphc.types import float32, float64, int64

# --- composites: every derivative agrees with differences, twice --------------------------------

X = (3, 4)
COMPOSITES: list[tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = [
    (lambda x: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True), (X,)),
    (lambda x: np.log(np.sum(np.exp(x), axis=-1)), (X,)),
    (lambda x: x / np.linalg.norm(x, axis=0), (X,)),
    (lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3), (X,)),
    (lambda x: np.std(x, axis=1, ddof=1), (X,)),
    (lambda x, y: np.kron(x, y), ((2, 2), (3,))),
    (lambda x, y: np.cross(x, y), ((2, 3), (3,))),
    (lambda x, y: np.tensordot(x, y, ([0, 1], [1, 0])), (X, (4, 3))),
    (lambda x, y: np.einsum("bij,bjk->bk", x, y), ((2, 3, 4), (2, 4, 2))),
    (lambda x: np.einsum("ii->i", x) * np.trace(x), ((3, 3),)),
    (lambda x: np.linalg.matrix_power(x, 3), ((3, 3),)),
    (lambda x, y: x @ y + y.T @ x.T, ((3, 3), (3, 3))),
    (lambda x: x[1:, ::2] * x[:-1, 1::2], (X,)),
    (lambda x: np.diff(x, 2) ** 2.0, (X,)),
    (lambda x: np.gradient(x, axis=1), (X,)),
    (lambda x: np.pad(x, 1, constant_values=2.0) * np.roll(np.pad(x, 1), 1, 0), (X,)),
    (lambda x: np.tril(x) @ np.triu(x), ((3, 3),)),
    (lambda x: np.concatenate([x, x[:1] * 2], 0) * np.tile(x[0], (4, 1)), (X,)),
    (lambda x: np.stack([x, np.sin(x)], 1)[:, 1] * np.flip(x), (X,)),
    (lambda x: np.prod(x, axis=0) + np.prod(x), ((2, 3),)),
    (lambda x: np.max(x, axis=1) * np.min(x), (X,)),
    (lambda x: np.where(x > 0, np.log1p(np.abs(x)), x**3.0), (X,)),
    (lambda x: scipy.special.xlogy(x**2.0, x**2.0) + scipy.special.entr(x**2.0), (X,)),
    (lambda x: scipy.special.ndtr(x) * scipy.special.log_expit(x), (X,)),
    (lambda x: scipy.special.logit(scipy.special.expit(x)), (X,)),
    (lambda x: np.sinc(x) + np.hypot(x, 2.0) * np.arctan2(x, 3.0), (X,)),
    (lambda x: np.logaddexp2(x, 1.0) + np.logaddexp(x, x * 2), (X,)),
    (lambda x: np.broadcast_to(x[:, None], (3, 2, 4)) * x[:, :1, None], (X,)),
    (lambda x: np.polyval([1.0, -2.0, 0.5], x) ** 2 / (1 + x * x), (X,)),
    (lambda x: np.clip(x, -5.0, 5.0) + np.maximum(x, 9.0) + np.abs(x), (X,)),
    (lambda x: x ** np.array([1.0, 2.0, 3.0, 4.0]) + 2.0**x, (X,)),
    (lambda x: np.trapezoid(x) * np.average(x, axis=1, weights=np.exp(x)), (X,)),
    (lambda x, y: np.outer(x, y) / (1 + np.vdot(x, x)), ((3,), (2,))),
    (lambda x: np.linalg.norm(x, 3, axis=0) + np.linalg.norm(x, np.inf, axis=0), (X,)),
    (lambda x: np.mean(x, keepdims=True) * x.sum(0, keepdims=True) / x.size, (X,)),
]


@pytest.mark.parametrize("number", range(len(COMPOSITES)))
def test_composite(number: int) -> None:
    fn, shapes = COMPOSITES[number]
    arrays = [np.random.default_rng(k).normal(size=shape) + 0.1 for k, shape in enumerate(shapes)]
    graph = trace_function(fn, arrays).graph
    check_derivative(graph, arrays, f"composite {number}", order=2)
    check_derivative(passes.prepare(graph), arrays, f"prepared composite {number}", order=2)


# --- conventions at kinks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "at", "slope"),
    [
        (np.abs, 0.0, 0.0),
        (lambda x: np.maximum(x, 0.0), 0.0, 0.5),
        (np.sign, 1.0, 0.0),
        (lambda x: np.sqrt(x * x), -2.0, -1.0),
        (lambda x: x**2.0, 0.0, 0.0),
        (lambda x: x**0.0, 0.0, 0.0),
        (lambda x: np.hypot(x, 0.0), 0.0, 0.0),
        (lambda x: np.where(x > 0, x, 0.0), 0.0, 0.0),
        (lambda x: np.max(np.stack([x, x, 2 * x])), 0.0, 4 / 3),
        (np.floor, 0.5, 0.0),
        (lambda x: np.prod(x * np.array([0.0, 1.0, 2.0])), 3.0, 0.0),
        (lambda x: x % 2.0, 3.0, 1.0),
        (lambda x: scipy.special.xlogy(0.0, x), 0.0, 0.0),
        (lambda x: np.sinc(x), 0.0, 0.0),
        (lambda x: np.arctan2(x, 0.0), 0.0, 0.0),
        (lambda x: np.prod(np.stack([x, x + 1.0])), 0.0, 1.0),
    ],
)
def test_convention_at_a_kink(fn: Callable[[Any], Any], at: float, slope: float) -> None:
    assert grad(fn)(at) == pytest.approx(slope, abs=1e-15)
    assert jvp(fn, (at,), (1.0,))[1] == pytest.approx(slope, abs=1e-15)


# --- functions ----------------------------------------------------------------------------------


def cubic(x: Any) -> Any:
    return np.sum(x**3.0)


V = np.array([1.0, -2.0, 0.5])


def test_grad_of_grad_of_grad() -> None:
    third = grad(grad(grad(lambda x: x**5.0)))
    assert third(2.0) == pytest.approx(60 * 4.0)
    assert grad(grad(np.tanh))(0.3) == pytest.approx(
        -2 * np.tanh(0.3) * (1 - np.tanh(0.3) ** 2), rel=1e-14
    )


def test_hessian_vector_products_in_every_nesting() -> None:
    w = np.array([0.3, 1.0, -1.0])
    wanted = 6 * V * w
    reverse_over_reverse = grad(lambda x: np.vdot(grad(cubic)(x), w))(V)
    forward_over_reverse = jvp(grad(cubic), (V,), (w,))[1]
    reverse_over_forward = grad(lambda x: jvp(cubic, (x,), (w,))[1])(V)
    through_vjp = vjp(lambda x: jvp(cubic, (x,), (w,))[1], V)[1](1.0)[0]
    for found in (reverse_over_reverse, forward_over_reverse, reverse_over_forward, through_vjp):
        np.testing.assert_allclose(found, wanted, rtol=1e-14)
    inside = trace_function(lambda x, w: jvp(grad(cubic), (x,), (w,))[1], (V, w)).graph
    verify(inside)


def test_argnums() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        return a * b * b * np.sum(c)

    c = np.ones(4)
    assert grad(f)(2.0, 3.0, c) == 36.0
    assert grad(f, argnums=-2)(2.0, 3.0, c) == 48.0
    d_b, d_c = grad(f, argnums=(1, 2))(2.0, 3.0, c)
    assert d_b == 48.0
    np.testing.assert_array_equal(d_c, np.full(4, 18.0))
    value, (d_a,) = value_and_grad(f, argnums=(0,))(2.0, 3.0, c)
    assert (value, d_a) == (72.0, 36.0)
    with pytest.raises(TraceError, match="argnums 3 names argument 3 of a call with 3"):
        grad(f, argnums=3)(2.0, 3.0, c)


def test_has_aux() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return np.sum(y * y), {"y": y, "count": 3}

    slope, aux = grad(f, has_aux=True)(V)
    np.testing.assert_array_equal(slope, 8 * V)
    np.testing.assert_array_equal(aux["y"], 2 * V)
    (value, aux), slope = value_and_grad(f, has_aux=True)(V)
    assert value == pytest.approx(4 * V @ V)
    assert aux["count"] == 3
    value, pullback, aux = vjp(f, V, has_aux=True)
    np.testing.assert_array_equal(pullback(1.0)[0], 8 * V)


@dataclasses.dataclass
class Layer:
    W: Any
    b: Any


Pair = namedtuple("Pair", ["left", "right"])


def test_pytrees_keep_their_structure() -> None:
    def f(params: Any, x: Any) -> Any:
        hidden = np.tanh(x @ params["first"].W + params["first"].b)
        return np.sum(hidden * params["rest"][0].left) + params["rest"][1]

    params = {"first": Layer(np.ones((3, 2)), np.zeros(2)), "rest": (Pair(2.0, 3.0), 1.0)}
    slope = grad(f)(params, V)
    assert isinstance(slope["first"], Layer)
    assert isinstance(slope["rest"][0], Pair)
    assert slope["first"].W.shape == (3, 2)
    assert slope["rest"][0].right == 0.0
    assert slope["rest"][1] == 1.0
    value, tangent = jvp(lambda p: f(p, V), (params,), (params,))
    along = np.sum(slope["first"].W) + 2 * slope["rest"][0].left + slope["rest"][1]
    assert tangent == pytest.approx(along)
    assert value == pytest.approx(f(params, V))


def test_closures_over_outer_traced_values() -> None:
    def outer(x: Any, scale: Any) -> Any:
        shifted = x + scale

        def inner(y: Any) -> Any:
            return np.sum(y * y * shifted) * scale

        return grad(inner)(x) + shifted

    def by_hand(x: Any, scale: Any) -> Any:
        return 2 * x * (x + scale) * scale + x + scale

    np.testing.assert_allclose(trace_and_run(outer, V, 3.0), by_hand(V, 3.0))
    both = grad(lambda x, s: np.sum(outer(x, s)), argnums=(0, 1))(V, 3.0)
    np.testing.assert_allclose(both[0], 4 * V * 3.0 + 2 * 9.0 + 1)
    np.testing.assert_allclose(both[1], np.sum(2 * V * V + 4 * V * 3.0 + 1))


def trace_and_run(fn: Callable[..., Any], *args: Any) -> Any:
    graph = trace_function(fn, args).graph
    verify(graph)
    return reference.run(graph, args)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unused_and_constant_give_zeros_of_the_exact_type(dtype: Any) -> None:
    x = np.ones((2, 3), dtype)
    slope = grad(lambda x, y: np.sum(y), argnums=0)(x, x)
    assert slope.dtype == dtype
    np.testing.assert_array_equal(slope, np.zeros((2, 3)))
    constant = grad(lambda x: np.float64(3.0) + 0 * np.sum(np.floor(x)))(x)
    assert (constant.dtype, constant.shape) == (dtype, (2, 3))
    _, tangent = jvp(lambda x: (x, np.ones(2), np.argmax(x)), (x,), (x,))
    np.testing.assert_array_equal(tangent[0], x)
    np.testing.assert_array_equal(tangent[1], np.zeros(2))


def test_outputs_that_are_inputs() -> None:
    (a, b), pullback = vjp(lambda x, y: (x, x), 2.0, 3.0)
    assert (a, b) == (2.0, 2.0)
    assert pullback((1.0, 10.0)) == (11.0, 0.0)
    assert grad(lambda x: x)(3.0) == 1.0
    assert jvp(lambda x: x, (3.0,), (2.0,)) == (3.0, 2.0)


def test_mixed_dtypes_meet_their_own() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(a * b)

    d_a, d_b = grad(f, argnums=(0, 1))(np.ones(3, np.float32), np.arange(3.0))
    assert (d_a.dtype, d_b.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(d_a, [0, 1, 2])


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: grad(cubic)(np.arange(3)), r"grad with respect to x: int64\[3\].*not floating point"),
    (
        lambda: grad(lambda x: x * 2)(V),
        r"lambda.* returns float64\[3\]; a gradient needs",
    ),
    (lambda: grad(lambda x: (x, x))(1.0), "returns several values"),
    (lambda: grad(lambda x: np.argmax(x))(V), r"returns int64\[\]"),
    (
        lambda: jvp(cubic, (V,), (np.ones(2),)),
        r"tangent of x must be float64\[3\], not",
    ),
    (
        lambda: jvp(cubic, (V,), (V, V)),
        r"jvp: tangents have the structure .* give a tangent for each",
    ),
    (lambda: vjp(cubic, V)[1](V), r"cotangent.* must be float64\[\], not float64\[3\]"),
    (
        lambda: vjp(cubic, V)[1]((1.0, 1.0)),
        r"vjp: the cotangent has the structure .* give a cotangent for each output",
    ),
    (lambda: grad(cubic)("text"), r"x is 'text' of type str; a traced argument is an array"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TraceError, DTypeError), match=message):
        call()


# --- graphs -------------------------------------------------------------------------------------


def logistic(a: Any, W: Any, b: Any) -> Any:
    z = a @ W + b
    a2 = np.exp(z) / (1 + np.exp(z))
    return a2


def ops_of(nodes: Any) -> list[str]:
    return [node.op.name for node in nodes]


def test_grad_graph_names_and_order() -> None:
    graph = trace_function(
        lambda x, w, k: np.sum(np.tanh(x @ w)) * k, (float64["n", 3], float64[3], int64)
    ).graph
    derived = grad_graph(graph)
    verify(derived)
    assert derived.output_names == ("d_x", "d_w")
    assert [x.name for x in derived.inputs] == ["x", "w", "k"]
    both = grad_graph(graph, "w", value=True)
    assert both.output_names == (*graph.output_names, "d_w")
    assert [y.type for y in both.outputs] == [float64[()], float64[3]]
    assert grad_graph(graph, ["w", "x"]).output_names == ("d_w", "d_x")


@pytest.mark.parametrize(
    ("wrt", "message"),
    [
        ("q", "has no input 'q'; its inputs are x: float32.*, k: int64"),
        (["x", "k"], r"the input k: int64\[\] is not floating point"),
    ],
)
def test_grad_graph_refuses(wrt: Any, message: str) -> None:
    graph = trace_function(lambda x, k: np.sum(x) * k, (float32[3], int64)).graph
    with pytest.raises(TraceError, match=message):
        grad_graph(graph, wrt)
    two = trace_function(lambda x: (x, x), (float32,)).graph
    with pytest.raises(TraceError, match="has 2 outputs; its gradient needs one"):
        grad_graph(two)


def test_a_name_that_is_taken_gets_a_number() -> None:
    graph = trace_function(lambda x, d_x: np.sum(x * d_x), (float64[3], float64[3])).graph
    derived = grad_graph(graph, "x")
    verify(derived)
    assert derived.output_names == ("d_x2",)
    again = grad_graph(trace_function(lambda x: x**3.0, (float64,)).graph, "x")
    twice = grad_graph(again, "x")
    verify(twice)
    assert len(set(twice.output_names)) == 1


def test_the_sigmoid_layers_adjoint_reuses_its_activation() -> None:
    """Exercise 3: dl/dz = a (1 - a) dl/da, with no second exponential."""

    def loss(a: Any, W: Any, b: Any, g: Any) -> Any:
        return np.sum(logistic(a, W, b) * g)

    graph = trace_function(loss, (float64[4], float64[4, 3], float64[3], float64[3])).graph
    derived = passes.optimize(grad_graph(graph, value=True))
    nodes = derived.nodes
    (sigma,) = [node for node in nodes if node.op.name == "sigmoid"]
    assert "exp" not in ops_of(nodes)
    products = [node for node in nodes if node.op.name == "multiply" and sigma in node.operands]
    others = {x for node in products for x in node.operands if x is not sigma}
    assert any(x.op.name == "subtract" and x.operands[1] is sigma for x in others), str(derived)


def test_backward_nodes_cite_what_they_derive() -> None:
    graph = grad_graph(trace_function(lambda x: np.sum(np.sin(x) ** 2.0), (float64[3],)).graph)
    backward = [node for node in graph.nodes if node.part == "backward" and node.operands]
    assert backward
    forward = {node for node in graph.nodes if node.part == "forward"}
    assert all(
        node.cites in forward or node.cites.op.name in ("sum", "power", "multiply")
        for node in backward
        if node.cites is not None
    )


def size_of_adjoint(fn: Callable[..., Any], *types: Any) -> int:
    graph: Graph = passes.optimize(grad_graph(trace_function(fn, types).graph))
    return len([node for node in graph.nodes if node.operands])


@pytest.mark.parametrize(
    ("fn", "most"),
    [
        (lambda x: np.sum(x), 1),
        (lambda x: np.sum(x * x), 1),
        (lambda x: np.sum(x**3.0), 3),
        (lambda x: np.mean(x), 1),
        (lambda x: np.sum(np.where(x > 0, x, 0.0)), 2),
        (lambda x: np.sum(np.tanh(x)), 3),
        (lambda x: np.sum(np.exp(x)), 1),
        (lambda x: x[0] * x[1], 5),
        (lambda x: np.sum(np.sin(x)), 1),
        (lambda x: np.sum(x / 2.0), 2),
    ],
)
def test_adjoints_hold_no_needless_nodes(fn: Callable[..., Any], most: int) -> None:
    assert size_of_adjoint(fn, float64[3]) <= most


def test_nodes_are_not_copied_to_be_named() -> None:
    """One value that is the adjoint of several nodes is computed once."""

    def f(a: Any, b: Any, g: Any) -> Any:
        y = a + b
        z = y + 1.0
        return np.sum(z * g)

    graph = grad_graph(trace_function(f, (float64[3],) * 3).graph, ["a", "b"])
    keys: dict[Any, Node] = {}
    for node in graph.nodes:
        if node.operands:
            key = (node.op, node.operands, tuple(node.params.items()))
            assert key not in keys, f"{node!r} repeats {keys[key]!r}"
            keys[key] = node


@pytest.mark.parametrize("zeros", [(), (1,), (1, 3)])
def test_products_and_what_their_gradients_cost(zeros: tuple[int, ...]) -> None:
    f = np.prod
    x = np.random.default_rng(0).normal(size=5)
    x[list(zeros)] = 0.0
    rest = [[np.prod(np.delete(x, [i, j])) * (i != j) for j in range(5)] for i in range(5)]
    alone = [np.prod(np.delete(x, i)) for i in range(5)]
    np.testing.assert_allclose(grad(f)(x), alone, rtol=1e-14)
    np.testing.assert_allclose(hessian(f)(x), rest, rtol=1e-13, atol=1e-15)
    assert graphc.compile(value_and_grad(f), graphc.float64[1000]).flops <= 5 * 1000
