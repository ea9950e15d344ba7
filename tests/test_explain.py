"""Derivations read like worked solutions of the exercise sheet, and every line of them is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_maths import tensor, value, well_formed

import graphc.types as t
from graphc.derive import pull
from graphc.emit_tex import expression_tex, latex
from graphc.errors import ArgumentError, TraceError
from graphc.explain import explain
from graphc.explain.derivation import pose, solve
from graphc.graph import Graph
from graphc.maths.tree import Slope, free, walk
from graphc.reference import run_nodes
from graphc.trace import Tensor, scan, trace_function
from graphc.transform import value_and_grad
from graphc.types import Dim, names

# --- the exercise sheet -------------------------------------------------------------------------


def laplace(mu: Any, t: Any, sigma: Any) -> Any:
    loss = -np.log(1 / (2 * sigma) * np.exp(-np.abs(t - mu) / sigma))
    return loss


def laplace_in_steps(mu: Any, t: Any, sigma: Any) -> Any:
    p = 1 / (2 * sigma) * np.exp(-np.abs(t - mu) / sigma)
    loss = -np.log(p)
    return loss


def linear_laplace(w: Any, x: Any, t: Any, sigma: Any) -> Any:
    mu = w @ x
    loss = -np.log(1 / (2 * sigma) * np.exp(-np.abs(t - mu) / sigma))
    return loss


def shared(x1: Any, x2: Any, w13: Any, w24: Any, t: Any) -> Any:
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    loss = 0.5 * (y - t) ** 2
    return loss


def shared_v(x1: Any, x2: Any, v: Any, t: Any) -> Any:
    w13 = np.log(1 + np.exp(v))
    w24 = -np.log(1 + np.exp(-v))
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    loss = 0.5 * (y - t) ** 2
    return loss


def layer(a: Any, W: Any, b: Any) -> Any:
    z = a @ W + b
    h = np.exp(z) / (1 + np.exp(z))
    return h


def layer_loss(a: Any, W: Any, b: Any, t: Any) -> Any:
    z = a @ W + b
    h = np.exp(z) / (1 + np.exp(z))
    loss = 0.5 * np.sum((h - t) ** 2)
    return loss


R = np.random.default_rng(7)
A, W, B, T2 = R.normal(size=3), R.normal(size=(3, 2)), R.normal(size=2), R.normal(size=2)

SHEET: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[str], list[str]]] = [
    (laplace, (1.0, 2.0, 0.5), {"wrt": "mu"}, ["∂ℓ/∂μ = −sign(t−μ)/σ"],
     [r"-\frac{\operatorname{sign}(t - \mu)}{\sigma}"]),
    (laplace_in_steps, (1.0, 2.0, 0.5), {"wrt": "mu"}, ["∂ℓ/∂μ = −sign(t−μ)/σ"],
     [r"-\frac{\operatorname{sign}(t - \mu)}{\sigma}"]),
    (linear_laplace, (A, A + 1, 2.0, 0.5), {"wrt": "w"}, ["∂ℓ/∂w = −sign(t−wᵀx)/σ · x"],
     [r"-\frac{\operatorname{sign}(t - w^\top\, x)}{\sigma} \cdot x"]),
    (shared, (1.0, 2.0, 3.0, 4.0, 5.0), {"wrt": ["w13", "w24"]},
     ["∂ℓ/∂w₁₃ = (y−t)·z₃·x₁", "∂ℓ/∂w₂₄ = (y−t)·z₄·x₂"],
     [r"(y - t) \cdot z_3\, x_1", r"(y - t) \cdot z_4\, x_2"]),
    (shared_v, (1.0, 2.0, 3.0, 4.0), {"wrt": "v"}, ["∂ℓ/∂v = ∂ℓ/∂w₁₃·σ(v) + ∂ℓ/∂w₂₄·σ(−v)"],
     [r"\frac{\partial \ell}{\partial w_{13}} \cdot \sigma(v) + "
      r"\frac{\partial \ell}{\partial w_{24}} \cdot \sigma(-v)"]),
    (layer, (A, W, B), {"wrt": ["z", "a"], "given": "h"},
     ["∂ℓ/∂z = h⊙(1−h)⊙∂ℓ/∂h", "∂ℓ/∂a = W·(h⊙(1−h)⊙∂ℓ/∂h)"],
     [r"h \odot (1 - h) \odot \frac{\partial \ell}{\partial h}",
      r"W \cdot \left(h \odot (1 - h) \odot \frac{\partial \ell}{\partial h}\right)"]),
    (layer_loss, (A, W, B, T2), {"wrt": ["z", "a"]},
     ["∂ℓ/∂z = h⊙(1−h)⊙∂ℓ/∂h", "∂ℓ/∂a = W·(h⊙(1−h)⊙∂ℓ/∂h)"],
     [r"h \odot (1 - h) \odot \frac{\partial \ell}{\partial h}",
      r"W \cdot \left(h \odot (1 - h) \odot \frac{\partial \ell}{\partial h}\right)"]),
]  # fmt: skip


def ends(text: str) -> dict[str, str]:
    """The last line of each derivative in the text, with its left side written out."""
    found: dict[str, str] = {}
    left = ""
    for line in text.splitlines():
        if " = " in line and line.startswith("    "):
            before, after = (
                line.strip().split("= ", 1)
                if line.strip().startswith("= ")
                else (line.split(" = ", 1))
            )
            left = before.strip() or left
            found[left] = f"{left} = {re.split(r'    [(]', after)[0]}"
    return found


@pytest.mark.parametrize(
    ("fn", "args", "asked", "texts", "formulas"), SHEET, ids=[f"{s[0].__name__}" for s in SHEET]
)
def test_the_exercise_sheet_ends_as_it_should(
    fn: Any, args: tuple[Any, ...], asked: dict[str, Any], texts: list[str], formulas: list[str]
) -> None:
    derivation = explain(fn, *args, **asked)
    found = ends(derivation.text)
    for wanted in texts:
        assert found[wanted.split(" = ")[0]] == wanted
    for wanted in formulas:
        assert f"&= {wanted} " in derivation.latex or f"&= {wanted}\n" in derivation.latex


def test_the_shared_weight_is_derived_after_the_weights() -> None:
    text = explain(shared_v, 1.0, 2.0, 3.0, 4.0, wrt="v").text
    ordered = [
        "∂ℓ/∂y = y − t",
        "= (y−t)·z₃·x₁",
        "= (y−t)·z₄·x₂",
        "∂ℓ/∂v = ∂ℓ/∂w₁₃ · ∂w₁₃/∂v + ∂ℓ/∂w₂₄ · ∂w₂₄/∂v",
        "= ∂ℓ/∂w₁₃·σ(v) + ∂ℓ/∂w₂₄·σ(−v)",
    ]
    places = [text.index(part) for part in ordered]
    assert places == sorted(places)
    assert "∂w₁₃/∂v = σ(v) and ∂w₂₄/∂v = σ(−v)" in text
    assert "σ(x) = 1/(1+exp(−x))" in text


def test_the_whole_text_of_exercise_one() -> None:
    assert (
        explain(linear_laplace, A, A, 2.0, 0.5, wrt="w").text
        == """\
Derivation of linear_laplace
============================

Given
    μ = wᵀx
    ℓ = −log(1/(2σ) · exp(−|t−μ|/σ))
      = log(2σ) + |t−μ|/σ    (log(a·b) = log a + log b)

∂ℓ/∂μ
    μ enters ℓ directly.
    ∂ℓ/∂μ = −sign(t−μ)/σ

∂ℓ/∂w
    w enters ℓ through μ, and ∂μ/∂w = x.
    ∂ℓ/∂w = ∂ℓ/∂μ · ∂μ/∂w    (chain rule)
          = ∂ℓ/∂μ·x
          = −sign(t−μ)/σ · x
          = −sign(t−wᵀx)/σ · x    (in the given quantities)

A vector stands for a column.
"""
    )


# --- every line is true ---------------------------------------------------------------------------


def network(params: Any, x: Any, t: Any) -> Any:
    z1 = x @ params["W1"] + params["b1"]
    a1 = np.exp(z1) / (1 + np.exp(z1))
    z2 = a1 @ params["W2"] + params["b2"]
    p = np.exp(z2) / np.sum(np.exp(z2), axis=1, keepdims=True)
    loss = -np.mean(np.sum(t * np.log(p), axis=1))
    return loss


def relu_network(x: Any, w1: Any, w2: Any, t: Any) -> Any:
    h1 = np.maximum(x @ w1, 0)
    h2 = np.maximum(h1 @ w2, 0.1)
    loss = np.sum((h2 - t) ** 2) / 2 + 0.01 * np.sum(w1**2)
    return loss


def normalized(x: Any, gain: Any) -> Any:
    mean = np.mean(x, axis=1, keepdims=True)
    spread = np.std(x, axis=1, keepdims=True)
    y = gain * (x - mean) / spread
    loss = np.sum(np.sin(y))
    return loss


def shapes(m: Any, v: Any) -> Any:
    a = np.concatenate([m[0], v[::-1], np.outer(v, v).reshape(-1)])
    b = np.roll(a, 2) * np.pad(v, (3, 12))[: a.shape[0]]
    loss = np.sum(b[::2] ** 3.0)
    return loss


def extrema(m: Any, v: Any) -> Any:
    top = np.max(m, axis=1)
    rest = np.prod(m, axis=0)
    loss = top @ top + np.sum(np.where(rest > v, rest * v, np.exp(-v)))
    return loss


def attention(q: Any, k: Any, v: Any) -> Any:
    s = q @ k.T / np.sqrt(3.0)
    w = np.exp(s) / np.sum(np.exp(s), axis=-1, keepdims=True)
    y = w @ v
    loss = np.sum(y * np.tanh(y))
    return loss


def chained(x: Any, y: Any) -> Any:
    u = x * y
    v = np.sin(u) + x
    loss = v * u + x**y
    return loss


M = R.uniform(0.2, 1.4, size=(2, 3))
PARAMS = {
    "W1": R.normal(size=(3, 4)),
    "b1": R.normal(size=4),
    "W2": R.normal(size=(4, 2)),
    "b2": R.normal(size=2),
}
TRUE: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    *((fn, args) for fn, args, asked, *_ in SHEET if "given" not in asked),
    (network, (PARAMS, R.normal(size=(5, 3)), np.abs(R.normal(size=(5, 2))))),
    (relu_network, (R.normal(size=(4, 3)), R.normal(size=(3, 5)), R.normal(size=(5, 2)), 0.3)),
    (normalized, (R.normal(size=(3, 4)), R.normal(size=4))),
    (shapes, (M, R.normal(size=3))),
    (extrema, (M, R.normal(size=3))),
    (attention, (R.normal(size=(4, 3)), R.normal(size=(5, 3)), R.normal(size=(5, 2)))),
    (chained, (0.7, 1.3)),
    (
        lambda w: np.sum(
            np.log(1 + np.exp(-w)) * np.sqrt(w * w + 1) / (2 + np.cos(w)) - np.arctan(w) ** 3.0
        ),
        (A,),
    ),
    (lambda x: x, (2.0,)),
    (lambda x: np.sum(x), (A,)),
    (lambda x, y: np.hypot(x, y) * np.arctan2(y, x), (1.0, 2.0)),
]


def gradients(graph: Graph, values: list[Any], wanted: dict[Any, str]) -> dict[str, Any]:
    """∂ℓ/∂x for every named value, by the sweep that the compiler uses."""
    seed = np.ones_like(Tensor(graph.outputs[0]))
    nodes = [node for node in wanted if node.dtype.kind == "f"]
    found = dict(zip(nodes, pull(graph.outputs, [seed], nodes), strict=True))
    some = {node: g.node for node, g in found.items() if g is not None}
    joint = Graph("g", graph.inputs, tuple(some.values()), ("",) * len(some))
    computed = run_nodes(joint, values)
    return {
        wanted[node]: computed[some[node]]
        if node in some
        else np.zeros([int(str(s)) for s in node.shape])
        for node in nodes
    }


@pytest.mark.parametrize(("fn", "args"), TRUE)
def test_every_line_is_true(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Each formula after an equals sign is computed at every index and is the derivative."""
    traced = trace_function(fn, args)
    problem = pose(traced.graph, traced.shown, None, ())
    solution = solve(problem)
    leaves = [np.asarray(x) for x in _leaves(args)]
    values = {
        problem.names[n]: v
        for n, v in run_nodes(problem.graph, leaves).items()
        if n in problem.names
    }
    slopes = gradients(problem.graph, leaves, dict(problem.names))
    assert solution.steps
    for step in solution.steps:
        true = slopes[step.variable.name]
        for line in step.lines:
            if any(isinstance(x, Slope) and x.top != problem.loss for x in walk(line.formula)):
                continue
            found = tensor(line.formula, np.shape(true), values, slopes)
            np.testing.assert_allclose(found, true, rtol=1e-9, atol=1e-12)
    for equation in solution.equations:
        wanted = values[equation.name]
        for formula in (equation.formula, solution.rewritten.get(equation.name)):
            if formula is not None:
                found = tensor(formula, np.shape(wanted), values)
                np.testing.assert_allclose(found, wanted, rtol=1e-9)


def _leaves(args: tuple[Any, ...]) -> list[Any]:
    return [
        leaf
        for arg in args
        for leaf in ([arg[key] for key in sorted(arg)] if isinstance(arg, dict) else [arg])
    ]


@pytest.mark.parametrize(("fn", "args"), TRUE)
def test_every_local_derivative_is_true(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """∂u/∂v as stated in the sentence: the sum over paths of ∂ℓ/∂u times it is ∂ℓ/∂v."""
    traced = trace_function(fn, args)
    problem = pose(traced.graph, traced.shown, None, ())
    leaves = [np.asarray(x) for x in _leaves(args)]
    values = {
        problem.names[n]: v
        for n, v in run_nodes(problem.graph, leaves).items()
        if n in problem.names
    }
    slopes = gradients(problem.graph, leaves, dict(problem.names))
    for step in solve(problem).steps:
        if step.direct or not step.local:
            continue
        true = np.asarray(slopes[step.variable.name])
        total = np.zeros(true.shape)
        for slope, factor in step.local:
            arriving = np.asarray(slopes[slope.top.name])
            extra = sorted(
                {
                    n
                    for at in slope.top.at
                    if isinstance(at, Dim)
                    for n in names(at)
                    if n not in [free(k) for k in range(true.ndim)]
                }
            )
            sizes = [arriving.shape[[str(at) for at in slope.top.at].index(n)] for n in extra]
            for where in np.ndindex(*true.shape, *sizes):
                at = {free(k): i for k, i in enumerate(where[: true.ndim])}
                at |= dict(zip(extra, where[true.ndim :], strict=True))
                mine = value(slope.top, {slope.top.name: arriving}, at)
                total[where[: true.ndim]] += mine * value(factor, values, at, slopes)
        np.testing.assert_allclose(total, true, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("fn", "args"), TRUE)
def test_every_style_is_well_formed(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    derivation = explain(fn, *args)
    assert derivation.latex.count("{") == derivation.latex.count("}")
    assert derivation.latex.count(r"\left") - derivation.latex.count(r"\left.") == (
        derivation.latex.count(r"\right")
    )
    body = derivation._repr_html_()
    assert well_formed(body)
    for text in (derivation.text, derivation.latex, body):
        assert not re.search(r"[@#&]\d", text.replace("&#", ""))
        assert "None" not in text


# --- the face ------------------------------------------------------------------------------------


def test_known_derivatives_are_not_derived() -> None:
    text = explain(shared_v, 1.0, 2.0, 3.0, 4.0, wrt="v", given=["w13", "w24"]).text
    assert "With ∂ℓ/∂w₁₃ and ∂ℓ/∂w₂₄ taken as known." in text
    assert ends(text)["∂ℓ/∂v"] == "∂ℓ/∂v = ∂ℓ/∂w₁₃·σ(v) + ∂ℓ/∂w₂₄·σ(−v)"
    assert "∂ℓ/∂z₃" not in text


def test_a_softmax_layer_shows_its_jacobian_and_the_famous_difference() -> None:
    types = (
        {"W1": t.float32[3, 4], "b1": t.float32[4], "W2": t.float32[4, 2], "b2": t.float32[2]},
        t.float32["n", 3],
        t.float32["n", 2],
    )
    text = explain(network, *types, wrt="params").text
    assert "∂pᵢₖ/∂(z₂)ᵢⱼ = pᵢⱼ·(δⱼₖ−pᵢₖ)" in text
    assert "= (pᵢⱼ·Σₖ tᵢₖ − tᵢⱼ)/n" in text
    assert "∂ℓ/∂W₁ = xᵀ·(a₁⊙(1−a₁)⊙∂ℓ/∂a₁)" in text
    assert "∂ℓ/∂W₂ = a₁ᵀ·∂ℓ/∂z₂" in text
    assert "= Σⱼ ∂ℓ/∂(z₂)ⱼᵢ" in text


def test_a_variable_called_sigma_keeps_its_letter() -> None:
    text = explain(lambda x, sigma: sigma / (1 + np.exp(-x)), 1.0, 2.0, wrt="sigma").text
    assert "sigmoid(x)" in text
    assert "σ(x)" not in text


def test_a_loop_is_derived_by_a_loop() -> None:
    def rnn(w: Any, xs: Any) -> Any:
        h, _ = scan(lambda h, x: (np.tanh(w * h + x), h), 0.0 * w, xs)
        loss = h**2
        return loss

    text = explain(rnn, 1.0, np.ones(5), wrt="w").text
    assert "h = scan(u₁, xs, w)" in text
    assert "w enters ℓ through h." in text
    assert "the loop, run backwards" in text
    assert re.search(r"∂ℓ/∂w = .*∂ℓ/∂h · ∂h/∂w", text)
    assert not re.search(r"∂h/∂w = 0", text)


def test_unnamed_values_get_names() -> None:
    text = explain(lambda x: np.sqrt(sum(np.sin(k * x) for k in range(2, 20))), 1.0).text
    assert "u₁ = " in text
    assert "∂ℓ/∂u₁" in text


def test_what_the_loss_does_not_depend_on_is_said() -> None:
    text = explain(lambda x, y: x * x, 1.0, 2.0).text
    assert "ℓ does not depend on y." in text
    assert "∂ℓ/∂y = 0" in text


def test_an_output_with_a_name_of_its_own_keeps_it() -> None:
    def model(x: Any) -> Any:
        energy = x**3.0
        return energy

    assert ends(explain(model, 2.0).text)["∂energy/∂x"] == "∂energy/∂x = 3x²"


@pytest.mark.parametrize(("fn", "args", "asked", "words"), [
    (layer, (A, W, B), {}, ["layer returns float64[2]", "scalar", "given=", "'z'"]),
    (lambda x: (x, x), (1.0,), {}, ["returns float64[], float64[]"]),
    (lambda x: x > 0, (1.0,), {}, ["returns bool[]"]),
    (shared, (1.0,) * 5, {"wrt": "q"}, ["wrt='q' is no value of shared", "'w13'", "'z3'", "'y'"]),
    (shared, (1.0,) * 5, {"given": "q"}, ["given='q' is no value of shared", "'w13'"]),
    (lambda x, k: x * k, (1.0, 2), {"wrt": "k"}, ["wrt='k' is int64[]", "not floating point"]),
])  # fmt: skip
def test_bad_input_is_refused_in_a_sentence(
    fn: Any, args: tuple[Any, ...], asked: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(TraceError) as error:
        explain(fn, *args, **asked)
    assert all(word in str(error.value) for word in words), error.value


def test_wrt_takes_the_users_own_spelling() -> None:
    def model(params: Any, x: Any) -> Any:
        return np.sum((x @ params["W"] + params["b"]) ** 2)

    args = ({"W": W, "b": B}, A)
    one = explain(model, *args, wrt="params['W']").text
    assert one == explain(model, *args, wrt="params_W").text
    both = explain(model, *args, wrt="params").text
    assert {"∂ℓ/∂W", "∂ℓ/∂b"} <= ends(both).keys()


def test_save(tmp_path: Path) -> None:
    derivation = explain(shared, *(1.0,) * 5)
    assert derivation.save(tmp_path / "d.html").read_text(encoding="utf-8") == derivation.html
    assert derivation.save(tmp_path / "d.tex").read_text(encoding="utf-8") == derivation.latex
    assert derivation.save(str(tmp_path / "d.txt")).read_text(encoding="utf-8") == str(derivation)
    with pytest.raises(ArgumentError, match=r"d\.pdf.*\.html, \.tex"):
        derivation.save(tmp_path / "d.pdf")


def test_the_page_needs_nothing_else() -> None:
    page = explain(shared, *(1.0,) * 5).html
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?:|<script|<link|url\(|@import", page)
    assert "<title>Derivation of shared</title>" in page
    assert "$" not in page


def test_names_from_outside_are_escaped() -> None:
    def f(x: Any) -> Any:
        return x * x

    f.__name__ = "a<b>&_c"
    derivation = explain(f, 1.0)
    assert "<b>" not in derivation.html
    assert "<b>" not in derivation.latex


def test_notebooks_show_both() -> None:
    derivation = explain(shared, *(1.0,) * 5, wrt="w13")
    assert derivation._repr_latex_() == derivation.latex
    assert "<math" in derivation._repr_html_()
    assert repr(derivation) == "<derivation of shared with respect to w13>"


def test_the_same_function_gives_the_same_page() -> None:
    assert explain(shared_v, *(1.0,) * 4).html == explain(shared_v, *(1.0,) * 4).html


# --- LaTeX of graphs ----------------------------------------------------------------------------


def test_latex_of_a_graph_with_its_gradient() -> None:
    graph = trace_function(value_and_grad(shared, argnums=(2, 3)), (1.0,) * 5).graph
    lines = latex(graph).splitlines()
    assert lines[0] == r"\begin{align*}"
    assert lines[-1] == r"\end{align*}"
    for wanted in (
        r"z_3 &= x_1\, w_{13}",
        r"a_3 &= \tfrac{1}{2}\, z_3^2",
        r"\ell &= \tfrac{1}{2}\, (y - t)^2",
        r"\frac{\partial \ell}{\partial y} &= y - t",
        r"\frac{\partial \ell}{\partial w_{13}} &= "
        r"\frac{\partial \ell}{\partial z_3} \cdot x_1",
    ):
        assert any(wanted in line for line in lines), wanted


def test_latex_of_a_node() -> None:
    graph = trace_function(layer, (A, W, B)).graph
    found = {x.name: expression_tex(x) for x in graph.nodes if x.name in ("z", "h")}
    assert found == {"z": r"W^\top\, a + b", "h": r"\frac{\exp(z)}{1 + \exp(z)}"}


def test_latex_spells_names_as_on_paper() -> None:
    def f(params: Any, mu: Any, lam: Any) -> Any:
        hidden2 = params["W1"] * mu
        y_hat = hidden2 * lam
        return y_hat

    text = latex(trace_function(f, ({"W1": 1.0}, 2.0, 3.0)).graph)
    assert r"\mathrm{hidden}_2 &= W_1\, \mu" in text
    assert r"y_{\mathrm{hat}} &= \mathrm{hidden}_2\, \lambda" in text
