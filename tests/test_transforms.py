"""Derivatives of every kind, in every order: closed forms, differences, and each other."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import CheckError, TraceError
from graphc.testing import assert_derivatives
from graphc.transform import (
    checkpoint,
    custom_derivative,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)

rng = np.random.default_rng(3)
X, V = rng.normal(size=3), rng.normal(size=3)
A = rng.normal(size=(4, 3))


def close(found: Any, wanted: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def energy(x: Any) -> Any:
    return np.sum(np.sin(x) * x[::-1] ** 2) + np.prod(x)


def slopes(f: Any, x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """[*f(x).shape, *x.shape] by central differences."""
    columns = []
    for i in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[i] = h
        columns.append((np.asarray(f(x + e)) - np.asarray(f(x - e))) / (2 * h))
    stacked = np.stack(columns, -1)
    return stacked.reshape(*stacked.shape[:-1], *x.shape)


# --- jacobians -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_a_jacobian_in_every_mode(mode: str) -> None:
    wanted = (1 - np.tanh(A @ X) ** 2)[:, None] * A
    f = jacobian(lambda x: np.tanh(A @ x), mode=mode)
    close(f(X), wanted)
    close(graphc.compile(f, X)(X), wanted)
    matrix = rng.normal(size=(2, 3))
    g = jacobian(lambda m: np.sin(m.T) @ A[:2], mode=mode)
    assert g(matrix).shape == (3, 3, 2, 3)
    close(g(matrix), slopes(lambda m: np.sin(m.T) @ A[:2], matrix), 1e-8)


def test_the_mode_goes_by_shape() -> None:
    def parts(f: Any, x: Any) -> set[str]:
        return {n.part for n in graphc.trace(jacobian(f), x).nodes if n.op.name != "input"}

    assert "backward" not in parts(lambda x: np.exp(np.outer(x, x)), X)
    assert "backward" in parts(lambda x: np.exp(np.sum(x * x, keepdims=True)), X)
    assert "backward" not in parts(lambda x: np.exp(x), graphc.float64["n"])
    looping = jacobian(lambda x: graphc.while_loop(lambda c: np.sum(c) < 9, lambda c: c * c, x)[:1])
    close(looping(np.array([2.0, 1.5])), [[32.0, 0.0]])


def test_jacobians_of_trees() -> None:
    def f(p: Any, x: Any) -> Any:
        return {"y": p["w"] @ x + p["b"], "s": (np.sum(p["b"] ** 2), x[0])}

    p = {"w": A, "b": rng.normal(size=4)}
    both = jacobian(f, (0, 1))(p, X)
    close(both["y"][0]["w"], np.einsum("ij,k->ijk", np.eye(4), X))
    close(both["y"][0]["b"], np.eye(4))
    close(both["y"][1], A)
    close(both["s"][0][0]["b"], 2 * p["b"])
    close(both["s"][1][0]["w"], 0 * A)
    close(both["s"][1][1], [1, 0, 0])
    close(jacobian(f, 1)(p, X)["y"], A)
    values, aux = jacobian(lambda x: (x**2, {"twice": 2 * x}), has_aux=True)(X)
    close(values, np.diag(2 * X))
    close(aux["twice"], 2 * X)


def test_jacobians_of_scalars_and_of_any_size() -> None:
    assert jacobian(np.sin)(0.5) == pytest.approx(np.cos(0.5))
    close(jacobian(lambda x: x * X)(2.0), X)
    kernel = graphc.compile(jacobian(lambda x: np.exp(x) * x[::-1]), graphc.float64["n"])
    for n in (1, 2, 5):
        x = rng.normal(size=n)
        close(kernel(x), np.diag(np.exp(x) * x[::-1]) + np.eye(n)[::-1] * np.exp(x)[:, None])


def test_hessians() -> None:
    y = np.tanh(A @ X)
    f = hessian(lambda x: np.sum(np.tanh(A @ x)))
    close(f(X), A.T @ np.diag(-2 * y * (1 - y**2)) @ A)
    close(graphc.compile(f, X)(X), f(X))
    close(hessian(energy)(X), slopes(grad(energy), X), 1e-8)
    blocks = hessian(lambda p, s: np.sum(np.exp(p["a"] * s)), (0, 1))({"a": X}, 0.5)
    e = np.exp(X * 0.5)
    close(blocks[0]["a"][0]["a"], np.diag(0.25 * e))
    close(blocks[0]["a"][1], e * (1 + 0.5 * X))
    close(blocks[1][0]["a"], e * (1 + 0.5 * X))
    close(blocks[1][1], np.sum(X**2 * e))
    vector = hessian(lambda x: np.stack([np.sum(x**3), x[0] * x[1]]))(X)
    close(vector[0], np.diag(6 * X))
    close(vector[1], [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    second, aux = hessian(lambda x: (np.sum(x**3), x), has_aux=True)(X)
    close(second, np.diag(6 * X))
    close(aux, X)


def test_hessian_vector_products() -> None:
    close(hvp(energy, (X,), (V,)), hessian(energy)(X) @ V)
    close(graphc.compile(lambda x, v: hvp(energy, (x,), (v,)), X, V)(X, V), hessian(energy)(X) @ V)
    a, b = hvp(lambda x, y: np.sum(x * y**2), (X, V), (V, X))
    close(a, 2 * V * X)
    close(b, V * 2 * V + 2 * X * X)
    (tree,) = hvp(lambda p: np.sum(p["x"] ** 3), ({"x": X},), ({"x": V},)).values()
    close(tree, 6 * X * V)


# --- any order, any depth ------------------------------------------------------------------------

# Each takes f: R^3 -> R and gives a function R^3 -> R, linear in f, with the direction V.
STEPS = {
    "jvp": lambda f: lambda x: jvp(f, (x,), (V,))[1],
    "grad": lambda f: lambda x: np.sum(grad(f)(x) * V),
    "vjp": lambda f: lambda x: np.sum(vjp(f, x)[1](np.ones_like(f(x)))[0] * V),
    "vmap": lambda f: lambda x: np.sum(vmap(lambda v: jvp(f, (x,), (v,))[1])(np.diag(V))),
    "jacobian": lambda f: lambda x: jacobian(f)(x) @ V,
    "checkpoint": lambda f: lambda x: jvp(checkpoint(f), (x,), (V,))[1],
    "value_and_grad": lambda f: lambda x: np.sum(value_and_grad(checkpoint(f))(x)[1] * V),
}


@pytest.mark.parametrize("names", list(itertools.product(STEPS, repeat=2)), ids="-".join)
def test_every_pair_of_transforms_gives_the_second_derivative(names: tuple[str, str]) -> None:
    f: Any = energy
    for name in names:
        f = STEPS[name](f)
    close(f(X), V @ hessian(energy)(X) @ V)
    close(vmap(f)(np.stack([X, V])), [f(X), f(V)])


@pytest.mark.parametrize("names", list(itertools.product(["jvp", "grad", "vmap"], repeat=3)),
                         ids="-".join)  # fmt: skip
def test_third_derivatives(names: tuple[str, ...]) -> None:
    f: Any = energy
    for name in names:
        f = STEPS[name](f)
    wanted = np.einsum("ijk,i,j,k", slopes(hessian(energy), X), V, V, V)
    close(f(X), wanted, 1e-7)
    close(graphc.compile(f, X)(X), f(X))


def test_derivatives_of_a_network_to_the_third_order() -> None:
    w1, b1, w2 = rng.normal(size=5), rng.normal(size=5), rng.normal(size=5)

    def u(x: Any) -> Any:
        return np.sum(w2 * np.tanh(w1 * x + b1))

    t = np.tanh(w1 * 0.3 + b1)
    s = 1 - t**2
    close(grad(u)(0.3), np.sum(w2 * w1 * s))
    close(grad(grad(u))(0.3), np.sum(w2 * w1**2 * -2 * t * s))
    close(grad(grad(grad(u)))(0.3), np.sum(w2 * w1**3 * (-2 * s**2 + 4 * t**2 * s)))


def test_derivatives_inside_loops_and_branches() -> None:
    def f(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            return c - 0.1 * grad(energy)(c), energy(c)

        return np.sum(graphc.scan(step, x, None, length=4)[1])

    def plain(x: Any) -> Any:
        total = 0.0
        for _ in range(4):
            total += energy(x)
            x = x - 0.1 * grad(energy)(x)
        return total

    close(f(X), plain(X))
    close(grad(f)(X), slopes(plain, X), 1e-8)
    close(graphc.compile(grad(f), X)(X), grad(f)(X))
    newton = lambda x: graphc.cond(  # noqa: E731  # a formula
        x > 0, lambda x: x - np.tanh(x) / grad(np.tanh)(x), lambda x: x, x
    )
    close(vmap(grad(newton))(np.array([0.5, -0.5])), [-2 * np.sinh(0.5) ** 2 - 0.0, 1.0], 1e-8)


# --- stopped, custom, checkpointed ---------------------------------------------------------------


def test_stop_gradient_of_trees() -> None:
    assert stop_gradient({"a": 1.0, "b": [2]}) == {"a": 1.0, "b": [2]}
    f = lambda x, i: np.sum(x * stop_gradient({"x": x, "i": i})["x"] * i)  # noqa: E731  # a formula
    close(grad(f)(X, np.arange(3)), X * np.arange(3))
    close(jvp(lambda x: stop_gradient(x), (X,), (V,))[1], 0 * X)
    close(vmap(grad(f), (0, None))(A, np.arange(3)), A * np.arange(3))


@custom_derivative
def clipped(x: Any, limit: Any = 1.0) -> Any:
    return x * 1.0


clipped.defvjp(
    lambda x, limit: (x * 1.0, limit), lambda limit, g: (np.clip(g, -limit, limit), None)
)


@custom_derivative
def log1pexp(p: Any) -> Any:
    return np.log(1 + np.exp(p["x"]))


@log1pexp.defjvp
def log1pexp_rule(primals: Any, tangents: Any) -> Any:
    (p,), (t,) = primals, tangents
    return log1pexp(p), t["x"] * (1 - 1 / (1 + np.exp(p["x"])))


@custom_derivative
def doubled(x: Any, n: Any) -> Any:
    return np.sin(x) * n, n


doubled.defvjp(
    lambda x, n: ((np.sin(x) * n, n), (x, n)), lambda r, g: (2 * g[0] * np.cos(r[0]) * r[1], None)
)


def test_a_rule_replaces_the_derivative() -> None:
    f = lambda x: np.sum(clipped(x * 10.0) * x)  # noqa: E731  # a formula
    close(clipped(X), X)
    wanted = 10 * X + 10 * np.clip(X, -1, 1)
    close(grad(f)(X), wanted)
    close(graphc.compile(grad(f), X)(X), wanted)
    close(vmap(grad(f))(A), 10 * A + 10 * np.clip(A, -1, 1))
    value, n = doubled(0.3, 4)
    assert (value, n) == (np.sin(0.3) * 4, 4)
    assert grad(lambda x: doubled(x, 4)[0])(0.3) == pytest.approx(8 * np.cos(0.3))


def test_a_reverse_rule_serves_forward_and_further() -> None:
    f = lambda x: doubled(x, 4)[0]  # noqa: E731  # a formula
    assert jvp(f, (0.3,), (2.0,))[1] == pytest.approx(16 * np.cos(0.3))
    assert grad(grad(f))(0.3) == pytest.approx(-8 * np.sin(0.3))
    assert hessian(f)(0.3) == pytest.approx(-8 * np.sin(0.3))
    x = np.array([0.1, 0.2])
    close(graphc.compile(vmap(grad(grad(f))), x)(x), -8 * np.sin(x))


def test_a_forward_rule_serves_reverse_and_further() -> None:
    f = lambda x: np.sum(log1pexp({"x": x}))  # noqa: E731  # a formula
    s = 1 / (1 + np.exp(-X))
    close(grad(f)(X), s)
    close(jvp(f, (X,), (V,))[1], np.sum(s * V))
    close(hessian(f)(X), np.diag(s * (1 - s)))
    close(graphc.compile(grad(f), X)(X), s)
    close(grad(lambda xs: graphc.scan(lambda c, x: (log1pexp({"x": c + x}), None), 0.0, xs)[0])(X),
          slopes(lambda xs: graphc.scan(lambda c, x: (np.log1p(np.exp(c + x)), None), 0.0, xs)[0],
                 X), 1e-8)  # fmt: skip


def test_a_rule_is_checked_against_its_function() -> None:
    log1pexp.check({"x": X})
    assert_derivatives(lambda x: log1pexp({"x": x}), X, order=2)
    with pytest.raises(CheckError, match=r"derivative of doubled is .*, where the function gives"):
        doubled.check(0.3, 4)
    wrong = custom_derivative(lambda x: x**2)
    wrong.defvjp(lambda x: (x**3, x), lambda x, g: (2 * x * g,))
    with pytest.raises(CheckError, match="the value of <lambda>'s fwd is"):
        wrong.check(X)


def test_misuse_of_a_rule_names_both_sides() -> None:
    bare = custom_derivative(energy)
    assert bare(X) == energy(X)
    with pytest.raises(
        TraceError, match=r"energy has no derivative yet: define it with energy.defv"
    ):
        grad(bare)(X)

    def made(fwd: Any, bwd: Any) -> Any:
        f = custom_derivative(lambda x: x * 2.0)
        f.defvjp(fwd, bwd)
        return grad(lambda x: np.sum(f(x)))(X)

    with pytest.raises(
        TraceError, match=r"fwd gives a result \(float64\[2\]\), the function \(float64\[3"
    ):
        made(lambda x: (x[:2], None), lambda r, g: (g,))
    with pytest.raises(TraceError, match="fwd returns a pair"):
        made(lambda x: x, lambda r, g: (g,))
    with pytest.raises(TraceError, match="bwd returns a tuple of 1 cotangents"):
        made(lambda x: (x * 2.0, None), lambda r, g: g)
    with pytest.raises(
        TraceError, match=r"bwd gives a derivative float64\[2\] for x: float64\[3\]"
    ):
        made(lambda x: (x * 2.0, None), lambda r, g: (g[:2],))

    def outside(x: Any) -> Any:
        f = custom_derivative(lambda y: y * x)
        f.defvjp(lambda y: (y * x, None), lambda r, g: (g,))
        return np.sum(f(x))

    with pytest.raises(TraceError, match=r"uses a traced value from outside \(x\).*an argument"):
        grad(outside)(X)


def deep(layer: Any, depth: int = 12) -> Any:
    def loss(ws: Any, x: Any) -> Any:
        for w in ws[:depth]:
            x = layer(w, x)
        return np.mean(x**2)

    return loss


def layer(w: Any, x: Any) -> Any:
    h = np.tanh(x @ w)
    return np.sin(np.exp(-h * h)) @ w


WS = [rng.normal(size=(24, 24)) / 5 for _ in range(12)]
XS = rng.normal(size=(48, 24))


def test_checkpoint_computes_again_and_needs_less_space() -> None:
    plain = graphc.compile(grad(deep(layer)), WS, XS)
    small = graphc.compile(grad(deep(checkpoint(layer))), WS, XS)
    assert small.workspace_bytes < 0.6 * plain.workspace_bytes
    for a, b, c in zip(plain(WS, XS), small(WS, XS), grad(deep(layer))(WS, XS), strict=True):
        close(a, c)
        close(b, c)
    tanhs = [
        [n.op.name for n in graphc.trace(grad(deep(f)), WS, XS).optimized().nodes].count("tanh")
        for f in (layer, checkpoint(layer))
    ]
    assert tanhs == [12, 24]


def test_checkpoint_alone_changes_nothing() -> None:
    assert checkpoint(energy)(X) == energy(X)
    f, g = graphc.trace(deep(layer), WS, XS), graphc.trace(deep(checkpoint(layer)), WS, XS)
    assert len(f.optimized().nodes) == len(g.optimized().nodes)
    close(jvp(checkpoint(energy), (X,), (V,))[1], grad(energy)(X) @ V)


def test_checkpoint_sees_outside_values_and_trees() -> None:
    def f(s: Any, x: Any) -> Any:
        inner = checkpoint(lambda p, *, k: {"y": np.sin(p["x"] * s) * k, "n": k})
        return np.sum(inner({"x": x}, k=2)["y"])

    close(grad(f)(0.5, X), np.sum(2 * X * np.cos(X * 0.5)))
    close(hessian(f)(0.5, X), np.sum(-2 * X**2 * np.sin(X * 0.5)))


def step(h: Any, x: Any) -> Any:
    h = np.tanh(WS[0][:4, :4] @ h + x)
    return h, np.sum(h * h)


def rolled(step: Any, reverse: bool = False) -> Any:
    def f(h: Any, xs: Any) -> Any:
        last, ys = graphc.scan(step, h, xs, reverse=reverse)
        return np.sum(last) + np.sum(ys * np.cos(ys))

    return f


@pytest.mark.parametrize("length", [1, 7, 9, 30])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_checkpointed_scan_is_the_scan(length: int, reverse: bool) -> None:
    h, xs = rng.normal(size=4), rng.normal(size=(length, 4))
    plain, few = rolled(step, reverse), rolled(checkpoint(step), reverse)
    close(few(h, xs), plain(h, xs))
    for a, b in zip(grad(few, (0, 1))(h, xs), grad(plain, (0, 1))(h, xs), strict=True):
        close(a, b)
    kernel = graphc.compile(grad(few), graphc.float64[4], graphc.float64["n", 4])
    close(kernel(h, xs), grad(plain)(h, xs))


def test_a_checkpointed_scan_keeps_about_the_root_of_the_carries() -> None:
    def bytes_for(step: Any, length: int) -> int:
        f = lambda h, xs: np.sum(graphc.scan(step, h, xs)[1])  # noqa: E731  # a formula
        return graphc.compile(grad(f), graphc.float64[4], graphc.float64[length, 4]).workspace_bytes

    carry = 4 * 8
    assert bytes_for(step, 1024) >= 1024 * carry
    assert bytes_for(checkpoint(step), 1024) <= 4 * 32 * carry
    assert bytes_for(checkpoint(step), 4096) <= 4 * 64 * carry


# --- misuse --------------------------------------------------------------------------------------


def test_misuse_is_a_sentence() -> None:
    with pytest.raises(
        TraceError, match="mode of jacobian is one of auto, forward, reverse, not 'b"
    ):
        jacobian(energy, mode="backward")
    with pytest.raises(
        TraceError, match=r"jacobian with respect to x: int64\[3\], which is not flo"
    ):
        jacobian(lambda x: x * 2.0)(np.arange(3))
    with pytest.raises(
        TraceError, match=r"jacobian of out: int64\[\], which is not floating point"
    ):
        jacobian(lambda x: np.argmax(x))(X)
    with pytest.raises(TraceError, match=r"hvp takes sequences.*ndarray and ndarray"):
        hvp(energy, X, V)
    with pytest.raises(TraceError, match=r"jvp takes sequences.*ndarray and tuple"):
        jvp(energy, X, (V,))
    with pytest.raises(TraceError, match="argnums 1 names argument 1 of a call with 1"):
        jacobian(energy, 1)(X)


def test_the_pytest_helper_fails_by_name() -> None:
    assert_derivatives(lambda p, x: np.tanh(x @ p["w"]), {"w": graphc.float64[3, 2]},
                       graphc.float64["n", 3], order=2)  # fmt: skip
    f = custom_derivative(lambda x: np.sin(x))
    f.defvjp(lambda x: (np.sin(x), x), lambda x, g: (g * np.cos(x) * 1.001,))
    with pytest.raises(CheckError, match="J v against central differences"):
        assert_derivatives(lambda x: f(x), X)
    g = custom_derivative(lambda x: np.sin(x))
    g.defvjp(lambda x: (np.sin(x), x), lambda x, g: (g * (np.cos(stop_gradient(x))),))
    assert_derivatives(lambda x: g(x), X)
    with pytest.raises(CheckError, match=r"pulled.*J v against central differences"):
        assert_derivatives(lambda x: g(x), X, order=2)
