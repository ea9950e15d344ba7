"""Pictures: what stands in the DOT text, and how it becomes a file."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from graphc import emit_dot, types
from graphc.emit_dot import dot, words
from graphc.emit_dot.activations import activation
from graphc.emit_dot.neurons import read_network
from graphc.emit_dot.operations import sign
from graphc.emit_dot.sections import is_preparation, nest_lines, parts_of, sections
from graphc.errors import DrawError
from graphc.graph import Graph, rebuild
from graphc.loops import Comment
from graphc.lower import lower
from graphc.trace import trace_function
from graphc.transform import grad, value_and_grad

F64, F32 = types.float64, types.float32

# --- a reader of DOT, so that tests ask what a picture says and not how it is spelled ------------


@dataclass(frozen=True)
class Drawing:
    nodes: dict[str, dict[str, str]]
    edges: list[tuple[str, str, dict[str, str]]]
    clusters: list[str]

    def label(self, node: str) -> str:
        return plain(self.nodes[node].get("label", ""))

    def arrows(self) -> set[tuple[str, str, str]]:
        return {(a, b, plain(given.get("label", "")).strip()) for a, b, given in self.edges}


def plain(markup: str) -> str:
    """The text of an HTML-like label; raises when it is not well formed."""
    tree = ElementTree.fromstring(f"<x>{markup}</x>".replace("<BR/>", "&#10;"))
    return "|".join(filter(None, "".join(tree.itertext()).split("\n")))


TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(<)|(->|[{}\[\]=,;])|([A-Za-z_][A-Za-z_0-9]*))')


def tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token; an HTML-like label is one token."""
    found, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        assert match, f"no DOT: {text[at : at + 40]!r}"
        quoted, html, sign, word = match.groups()
        at = match.end()
        if html:
            start, depth = at, 1
            while depth:
                depth += {"<": 1, ">": -1}.get(text[at], 0)
                at += 1
            found.append(("html", text[start : at - 1]))
        elif quoted is not None:
            found.append(("id", re.sub(r"\\(.)", r"\1", quoted)))
        else:
            found.append(("sign", sign) if sign else ("word", word))
    return found


def read(text: str) -> Drawing:
    """Nodes, edges and clusters of a DOT text as Graphviz would read it."""
    drawing = Drawing({}, [], [])
    queue = tokens(text)
    assert queue[0] == ("word", "digraph")
    assert queue.count(("sign", "{")) == queue.count(("sign", "}"))
    at = 1
    while at < len(queue):
        kind, value = queue[at]
        at += 1
        if kind == "word" and value == "subgraph":
            drawing.clusters.append(queue[at][1])
        if kind not in ("id", "word") or queue[at - 2] == ("word", "subgraph"):
            continue
        target = None
        if queue[at] == ("sign", "->"):
            target, at = queue[at + 1][1], at + 2
        given: dict[str, str] = {}
        if queue[at] == ("sign", "["):
            at += 1
            while queue[at] != ("sign", "]"):
                given[queue[at][1]] = queue[at + 2][1]
                at += 3 + (queue[at + 3] == ("sign", ","))
        if target is not None:
            drawing.edges.append((value, target, given))
        elif kind == "id" and given:
            drawing.nodes[value] = given
    return drawing


def test_the_reader_refuses_what_is_no_dot() -> None:
    with pytest.raises(AssertionError, match="no DOT"):
        read('digraph "a" { "x" [label=%] }')
    with pytest.raises(ElementTree.ParseError):
        plain("a < b")


# --- the functions that are drawn ----------------------------------------------------------------


def exercise_2a(x1: Any, x2: Any, w13: Any, w24: Any) -> Any:
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    return y


def exercise_2(x1: Any, x2: Any, w13: Any, w24: Any, t: Any) -> Any:
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    loss = 0.5 * (y - t) ** 2
    return loss


def exercise_2c(x1: Any, x2: Any, v: Any, t: Any) -> Any:
    w13 = np.log(1 + np.exp(v))
    w24 = -np.log(1 + np.exp(-v))
    return exercise_2(x1, x2, w13, w24, t)


def digits(params: Any, x: Any, t: Any) -> Any:
    z1 = x @ params["W1"] + params["b1"]
    a1 = np.exp(z1) / (1 + np.exp(z1))
    z2 = a1 @ params["W2"] + params["b2"]
    p = np.exp(z2) / np.sum(np.exp(z2), axis=1, keepdims=True)
    loss = -np.mean(np.sum(t * np.log(p), axis=1))
    return loss


DIGITS = (
    {"W1": F32[64, 32], "b1": F32[32], "W2": F32[32, 10], "b2": F32[10]},
    F32["n", 64],
    F32["n", 10],
)


def traced(fn: Callable[..., Any], *examples: Any) -> Graph:
    return trace_function(fn, examples).graph


def drawn(fn: Callable[..., Any], *examples: Any, **given: Any) -> Drawing:
    return read(emit_dot.network(traced(fn, *examples), **given))


# --- network -------------------------------------------------------------------------------------


def test_exercise_2a_is_the_textbook_picture() -> None:
    picture = drawn(exercise_2a, 1.0, 1.0, 1.0, 1.0)
    assert picture.arrows() == {
        ("x1", "a3", "w₁₃"),
        ("x2", "a4", "w₂₄"),
        ("a3", "y", ""),
        ("a4", "y", ""),
    }
    assert [picture.label(x) for x in picture.nodes] == ["x₁", "x₂", "z₃a₃", "z₄a₄", "y"]
    assert {x["shape"] for x in picture.nodes.values()} == {"circle"}
    assert "<VR/>" in picture.nodes["a3"]["label"]
    assert picture.nodes["y"]["color"] == dot.GREEN


def test_target_and_loss_stand_apart() -> None:
    picture = drawn(exercise_2, *[1.0] * 5)
    assert {("y", "loss", ""), ("t", "loss", "")} < picture.arrows()
    assert picture.label("loss") == "loss|½ (y − t)²"
    shades = {name: given["fillcolor"] for name, given in picture.nodes.items()}
    assert shades["t"] == shades["loss"] == dot.PALE_PURPLE
    assert shades["x1"] == dot.PALE_BLUE
    assert shades["y"] == dot.PALE_GREEN


def test_shared_parameters_feed_the_edges() -> None:
    picture = drawn(exercise_2c, *[1.0] * 4)
    dashed = {(a, b) for a, b, given in picture.edges if given.get("style") == "dashed"}
    assert dashed == {("parameter v", "x1 to a3"), ("parameter v", "x2 to a4")}
    assert (picture.label("x1 to a3"), picture.label("x2 to a4")) == ("w₁₃", "w₂₄")
    assert {("x1", "x1 to a3", ""), ("x1 to a3", "a3", "")} < picture.arrows()
    assert ("x1", "a3", "w₁₃") not in picture.arrows()


def test_a_layer_is_a_box_with_its_size_activation_and_parameters() -> None:
    picture = drawn(digits, *DIGITS)
    assert picture.arrows() == {
        ("x", "a1", "W₁, b₁"),
        ("a1", "p", "W₂, b₂"),
        ("p", "loss", ""),
        ("t", "loss", ""),
    }
    assert picture.label("x") == "x (64)"
    assert picture.label("a1") == "a₁ (32)|σ(z₁)"
    assert picture.label("p") == "p (10)|softmax(z₂)"
    assert picture.label("loss") == "loss|−mean(Σ(t · log(p)))"
    assert "batch of n" in emit_dot.network(traced(digits, *DIGITS))


@pytest.mark.parametrize(
    ("fn", "examples", "argnums"),
    [
        (exercise_2, (1.0,) * 5, (2, 3)),
        (exercise_2c, (1.0,) * 4, (2,)),
    ],
)
def test_a_gradient_is_drawn_as_the_network_it_is_of(
    fn: Callable[..., Any], examples: tuple[Any, ...], argnums: tuple[int, ...]
) -> None:
    both = drawn(value_and_grad(fn, argnums=argnums), *examples)
    assert both.arrows() >= {("a3", "y", ""), ("a4", "y", "")}
    assert not [name for name in both.nodes if name.startswith("d_")]
    alone = drawn(grad(fn, argnums=argnums), *examples)
    assert {"x1", "x2", "a3", "a4", "y"} <= set(alone.nodes) | {"z3"}
    assert not [name for name in alone.nodes if name.startswith("d_w")]


def test_unnamed_layers_are_found() -> None:
    def oneline(x: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        return np.tanh(x @ W1 + b1) @ W2 + b2

    picture = drawn(oneline, F32["n", 4], F32[4, 6], F32[6], F32[6, 2], F32[2])
    labels = sorted(map(picture.label, picture.nodes))
    assert labels == ["(6)|tanh", "out (2)", "x (4)"]
    assert {label for _, _, label in picture.arrows()} == {"W₁, b₁", "W₂, b₂"}


def test_numbers_of_a_helpers_locals_are_not_shown_as_layers() -> None:
    def relu(z: Any) -> Any:
        return np.maximum(z, 0)

    def mlp(params: Any, x: Any) -> Any:
        a1 = relu(params["W1"] @ x + params["b1"])
        a2 = relu(params["W2"] @ a1 + params["b2"])
        return a2

    shapes = {"W1": F64[6, 4], "b1": F64[6], "W2": F64[6, 6], "b2": F64[6]}
    picture = drawn(mlp, shapes, F64[4])
    assert picture.label("a1") == "a₁ (6)|relu"
    assert picture.label("a2") == "a₂ (6)|relu"


def test_a_bias_of_several_weights_has_its_own_arrow() -> None:
    def neuron(x1: Any, x2: Any, w1: Any, w2: Any, b: Any) -> Any:
        z = w1 * x1 + w2 * x2 + b
        a = 1 / (1 + np.exp(-z))
        return a

    picture = drawn(neuron, *[1.0] * 5)
    assert picture.arrows() == {("x1", "a", "w₁"), ("x2", "a", "w₂"), ("parameter b", "a", "")}
    assert picture.label("a") == "za|σ"


def test_a_penalty_shows_the_weight_that_it_penalises() -> None:
    def ridge(w: Any, X: Any, t: Any) -> Any:
        y = X @ w
        return np.mean((y - t) ** 2) + 0.1 * np.sum(w**2)

    picture = drawn(ridge, F64[5], F64["n", 5], F64["n"])
    assert {("X", "y", "w"), ("parameter w", "out", "")} < picture.arrows()
    assert picture.nodes["y"]["shape"] == "circle"


def test_what_is_no_network_is_boxes_with_formulas() -> None:
    def rosenbrock(x: Any, y: Any) -> Any:
        r = 1 - x
        f = r**2 + 100 * (y - x**2) ** 2
        return f

    picture = drawn(rosenbrock, 1.0, 1.0)
    assert picture.label("f") == "f|r² + 100 (y − x²)²"
    assert picture.arrows() == {("x", "r", ""), ("x", "f", ""), ("y", "f", ""), ("r", "f", "")}
    assert dot.PALE_PURPLE not in {given["fillcolor"] for given in picture.nodes.values()}


def test_convolutions_and_gates_fall_back_on_named_values() -> None:
    def cell(p: Any, x: Any, h: Any, c: Any) -> Any:
        g = np.concatenate([x, h])
        i = 1 / (1 + np.exp(-(p["Wi"] @ g + p["bi"])))
        u = np.tanh(p["Wu"] @ g + p["bu"])
        c_new = c + i * u
        return c_new

    shapes = {"Wi": F64[8, 12], "Wu": F64[8, 12], "bi": F64[8], "bu": F64[8]}
    picture = drawn(cell, shapes, F64[4], F64[8], F64[8])
    assert {("g", "i", "Wi, bi"), ("g", "u", "Wu, bu"), ("c", "c_new", "")} < picture.arrows()
    assert picture.label("i") == "i (8)|σ"
    assert picture.label("c_new") == "c_new (8)|c + i · u"
    assert picture.nodes["c"]["color"] == dot.BLUE


def test_a_trained_net_has_its_constants_as_weights() -> None:
    weights = np.arange(6.0).reshape(2, 3)
    picture = drawn(lambda x: np.tanh(x @ weights), F64["n", 2])
    assert {label for _, _, label in picture.arrows()} == {"[2 × 3]"}


def test_weights_may_be_said() -> None:
    def scaled(x: Any, q: Any) -> Any:
        return x * q

    assert drawn(scaled, 1.0, 1.0, weights=["q"]).arrows() == {("x", "out", "q")}
    assert drawn(scaled, 1.0, 1.0).arrows() == {("x", "out", ""), ("q", "out", "")}
    with pytest.raises(DrawError, match="weights='k' is no input of scaled; it has x, q"):
        emit_dot.network(traced(scaled, 1.0, 1.0), weights=["k"])


def test_weights_are_found_by_use_where_names_do_not_tell() -> None:
    def map_(x: Any, A: Any) -> Any:
        return x @ A

    assert drawn(map_, F64["n", 3], F64[3, 2]).arrows() == {("x", "out", "A")}


def test_a_long_sum_is_drawn_without_recursion() -> None:
    def long(x: Any, w: Any) -> Any:
        total = x[0] * w[0]
        for i in range(1, 1500):
            total = total + x[i % 7] * w[i % 7]
        return total

    graph = traced(long, F64[7], F64[7])
    assert len(read_network(graph).neurons) >= 2


# --- activations ---------------------------------------------------------------------------------

SPELLINGS: dict[str, tuple[Callable[[Any], Any], ...]] = {
    "relu": (
        lambda z: np.maximum(z, 0),
        lambda z: np.maximum(0, z),
        lambda z: np.where(z > 0, z, 0),
        lambda z: z * (z > 0),
        lambda z: (z + np.abs(z)) / 2,
        lambda z: np.clip(z, 0, None),
    ),
    "σ": (
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: np.exp(z) / (1 + np.exp(z)),
        lambda z: 0.5 * (1 + np.tanh(z / 2)),
    ),
    "tanh": (np.tanh, lambda z: 2 / (1 + np.exp(-2 * z)) - 1),
    "softplus": (lambda z: np.log(1 + np.exp(z)), lambda z: np.logaddexp(z, 0)),
    "softmax": (
        lambda z: np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True),
        lambda z: (e := np.exp(z - z.max(axis=-1, keepdims=True))) / e.sum(axis=-1, keepdims=True),
        lambda z: np.exp(z) / np.sum(np.exp(z), axis=0),
    ),
    "log softmax": (lambda z: z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True)),),
    "leaky relu": (lambda z: np.where(z > 0, z, 0.1 * z), lambda z: np.maximum(z, 0.01 * z)),
    "silu": (lambda z: z / (1 + np.exp(-z)),),
    "none": (lambda z: 0.5 * z**2, lambda z: z + 1, lambda z: 1.001 / (1 + np.exp(-z))),
}


@pytest.mark.parametrize(
    ("name", "spelling"), [(name, i) for name, fns in SPELLINGS.items() for i in range(len(fns))]
)
@pytest.mark.parametrize("shape", [F32["n", 5], F64[4, 6]], ids=str)
def test_an_activation_is_known_however_it_is_written(
    name: str, spelling: int, shape: types.TensorType
) -> None:
    graph = traced(SPELLINGS[name][spelling], shape)
    found = activation(graph.inputs[0], graph.outputs[0])
    assert found == (None if name == "none" else name)


def test_what_is_too_large_is_not_tried() -> None:
    graph = traced(np.tanh, F64[1000, 1000])
    assert activation(graph.inputs[0], graph.outputs[0]) is None


# --- operations ----------------------------------------------------------------------------------


def test_operations_show_symbol_name_and_type() -> None:
    picture = read(emit_dot.graph_view(traced(exercise_2, *[1.0] * 5)))
    assert picture.label("z3") == "×z₃|float64"
    assert picture.label("a3") == "0.5 ×a₃|float64"
    assert picture.label("loss") == "0.5 ×loss|float64|output"
    assert {("x1", "z3", ""), ("w13", "z3", ""), ("a3", "y", "")} < picture.arrows()
    assert not [x for x in picture.nodes.values() if "constant" in x["label"]]
    assert picture.clusters == []


def test_forward_and_backward_have_a_lane_and_a_colour_each() -> None:
    graph = traced(value_and_grad(exercise_2, argnums=(2, 3)), *[1.0] * 5)
    picture = read(emit_dot.graph_view(graph))
    assert picture.clusters == ["cluster_forward", "cluster_backward"]
    assert dot.ORANGE in picture.nodes["d_z3"]["label"]
    assert dot.BLUE in picture.nodes["z3"]["label"]
    assert dot.ORANGE not in picture.nodes["z3"]["label"]
    within = [given for a, b, given in picture.edges if (a, b) == ("d_w13", "d_z3")]
    assert [x["dir"] for x in within] == ["back"], "gradients flow upwards"
    crossing = [given for a, b, given in picture.edges if (a, b) == ("x1", "d_w13")]
    assert [x["constraint"] for x in crossing] == ["false"]
    assert picture.label("d_w13") == "×d_w₁₃|float64|output"


def sgd(w: Any, x: Any, t: Any, rate: Any) -> Any:
    def square(w: Any) -> Any:
        y = w @ x
        loss = (y - t) ** 2
        return loss

    loss, slope = value_and_grad(square)(w)
    new = w - rate * slope
    return loss, new


def test_a_training_step_has_a_lane_for_the_update() -> None:
    graph = traced(sgd, F64[3], F64[3], F64, F64)
    picture = read(emit_dot.graph_view(graph))
    assert picture.clusters == ["cluster_forward", "cluster_backward", "cluster_update"]
    assert dot.GREEN in picture.nodes["new"]["label"]
    network = read(emit_dot.network(graph))
    assert network.arrows() == {("x", "y", "w"), ("y", "loss", ""), ("t", "loss", "")}
    kernels = read(emit_dot.kernels(lower(graph), graph))
    assert any("update" in kernels.label(x) for x in kernels.nodes if "kernel" in x)


@pytest.mark.parametrize(
    ("fn", "examples", "expected"),
    [
        (lambda x: np.maximum(0, x), (1.0,), "max(0, ·)"),
        (lambda x: x / 2, (1.0,), "÷ 2"),
        (lambda x: 1 - x, (1.0,), "1 −"),
        (lambda x: x**3.0, (1.0,), "( )³"),
        (lambda x: x * x, (1.0,), "( )²"),
        (lambda x: -x, (1.0,), "−"),
        (lambda x: x > 0, (1.0,), "> 0"),
        (lambda x: np.where(x > 0, x, 0), (1.0,), "where(·, ·, 0)"),
        (lambda x: np.mean(x), (F32["n"],), "÷ n"),
        (lambda x, A: x @ A, (F64[2, 3], F64[3, 4]), "@"),
        (lambda x, y: np.einsum("i,j->ij", x, y), (F64[2], F64[3]), "⊗"),
        (lambda x, y: np.einsum("bij,bjk->bik", x, y), (F64[5, 2, 3], F64[5, 3, 4]), "ijk,ikl→ijl"),
        (lambda x: x.sum(axis=1), (F64["n", 3],), "Σ axis 1"),
        (lambda x: x.sum(), (F64["n", 3],), "Σ"),
        (lambda x: x.max(axis=0), (F64[2, 3],), "max axis 0"),
        (lambda x: x.astype(np.float32), (F64[2],), "→ float32"),
    ],
)
def test_an_operation_is_written_with_its_constants(
    fn: Callable[..., Any], examples: tuple[Any, ...], expected: str
) -> None:
    graph = traced(fn, *examples)
    assert sign(graph.outputs[0]) == expected
    assert any(expected in label for label in _labels(emit_dot.graph_view(graph)))


def _labels(text: str) -> list[str]:
    picture = read(text)
    return [picture.label(x) for x in picture.nodes]


def test_arrangements_are_folded_and_constant_arrays_are_shown() -> None:
    table = np.array([1.0, 2.0, 3.0])
    graph = traced(lambda x: x[:, None] * table, F64["n"])
    picture = read(emit_dot.graph_view(graph))
    assert not [x for x in picture.nodes if "reshape" in picture.label(x)]
    assert "[1.0, 2.0, 3.0]|float64[3]" in map(picture.label, picture.nodes)
    assert len(picture.edges) == 2


# --- kernels -------------------------------------------------------------------------------------


def test_a_straight_program_is_one_box_with_its_equations() -> None:
    graph = traced(exercise_2, *[1.0] * 5)
    picture = read(emit_dot.kernels(lower(graph), graph))
    (kernel,) = [x for x in picture.nodes if x.startswith("kernel")]
    label = picture.label(kernel)
    assert "z3 = x1 · w13" in label
    assert "y = a3 + a4" in label
    assert ("x1", kernel, "") in picture.arrows()
    assert (kernel, "loss out", "") in picture.arrows()


def test_fused_loops_are_boxes_and_arrays_are_edges() -> None:
    graph = traced(value_and_grad(digits), *DIGITS)
    program = lower(graph)
    picture = read(emit_dot.kernels(program, graph))
    boxes = [x for x in picture.nodes if x.startswith("kernel")]
    assert len(boxes) == len(sections(program)) > 3
    text = " ".join(map(picture.label, boxes))
    assert "for i < n" in text
    assert "z1, a1" in text or "z₁, a₁" in text
    assert dot.ORANGE in picture.nodes[boxes[-1]]["label"]
    flows = [label for a, _, label in picture.arrows() if a.startswith("kernel") and label]
    assert any(re.search(r"a₁: float32\[n, 32\], 128·n B", x) for x in flows)
    assert picture.label("params_W1") == "params_W1|float32[64, 32], 8 KiB"
    assert {x for x in picture.nodes if x.endswith(" out")} == {
        f"{name} out" for name in graph.output_names
    }


def test_fused_parts_are_said() -> None:
    assert parts_of("forward and backward") == ("forward", "backward")
    assert parts_of("update") == ("update",)
    assert parts_of("y = a and b") == ()
    graph = traced(exercise_2, *[1.0] * 5)
    program = lower(graph)
    body = (Comment("forward and backward"), *program.body)
    picture = read(emit_dot.kernels(replace(program, body=body), graph))
    assert "forward and backward" in picture.label("kernel 1")


def test_every_statement_is_in_one_section_and_every_loop_is_shown() -> None:
    graph = traced(value_and_grad(digits), *DIGITS)
    program = lower(graph)
    cut = sections(program)
    kept = [stmt for section in cut for stmt in section.body]
    assert kept == [stmt for stmt in program.body if stmt in kept]
    assert len(kept) + sum(type(x).__name__ == "Comment" for x in program.body) == len(program.body)
    for section in cut:
        assert len(section.loops()) <= 1
        assert bool(list(nest_lines(section.body))) == bool(section.loops())
        assert not all(map(is_preparation, section.body))


def test_a_section_reads_what_others_wrote() -> None:
    program = lower(traced(value_and_grad(digits), *DIGITS))
    known = {x.name for x in (*program.inputs, *program.tables)}
    for section in sections(program):
        assert set(section.reads()) <= known
        known |= set(section.writes())
    assert {x.name for x in program.outputs} <= known


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("z3", "z₃"),
        ("w_13", "w₁₃"),
        ("mu", "μ"),
        ("sigma2", "σ₂"),
        ("mu_t", "μ_t"),
        ("d_z3", "d_z₃"),
        ("conv1", "conv₁"),
        ("z1_2", "z1_2"),
        ("params_W1", "params_W1"),
        ("loss", "loss"),
    ],
)
def test_names_are_written_as_on_paper(name: str, text: str) -> None:
    assert words.pretty(name) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (2.0, "2"), (-1.0, "−1"), (3, "3"), (True, "true"), (float("inf"), "∞")],
)
def test_numbers_are_short(value: object, text: str) -> None:
    assert words.number(value) == text


def test_bytes_are_short() -> None:
    assert words.byte_count(12) == "12 B"
    assert words.byte_count(8192) == "8 KiB"
    assert words.byte_count(3 << 20) == "3 MiB"
    assert words.byte_count(4 * types.Dim.named("n")) == "4·n B"


@pytest.mark.parametrize(
    ("fn", "text"),
    [
        (lambda x, y: (x - y) - (x - y), "x − y − (x − y)"),
        (lambda x, y: x - (y + x), "x − (y + x)"),
        (lambda x, y: x / (y * 3), "x / (3 y)"),
        (lambda x, y: -(x + y), "−(x + y)"),
        (lambda x, y: (x + y) ** 2, "(x + y)²"),
        (lambda x, y: np.abs(x) * y, "|x| · y"),
        (lambda x, y: x**-2, "x⁻²"),
        (lambda x, y: np.exp(-x), "exp(−x)"),
        (lambda x, y: 0.5 * x, "½ x"),
    ],
)
def test_formulas_keep_the_parentheses_they_need(fn: Callable[..., Any], text: str) -> None:
    graph = traced(fn, 1.0, 1.0)
    named = {x: x.name for x in graph.inputs}
    assert words.formula(graph.outputs[0], named.get, 40) == text
    assert words.formula(graph.outputs[0], named.get, 2) is None


# --- names from outside, and determinism ---------------------------------------------------------

NASTY = [
    'a"b',
    "a\\",
    'x"]; evil [label="',
    "<b>&",
    "a\nb",
    "\x00\x1b",
    "a|b{c}",
    "ünï ℓ",
    "->",
    "",
]


def renamed(graph: Graph, names: dict[str, str]) -> Graph:
    """The graph with inputs of other names, as an importer might make it."""
    image = rebuild(
        (*graph.inputs, *graph.outputs),
        lambda x: replace(x, name=names.get(x.name or "", x.name)),
    )
    return replace(
        graph,
        name=names.get(graph.name, graph.name),
        inputs=tuple(image[x] for x in graph.inputs),
        outputs=tuple(image[x] for x in graph.outputs),
    )


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("view", ["network", "graph"])
def test_no_name_breaks_the_text(name: str, view: str) -> None:
    graph = traced(exercise_2a, *[1.0] * 4)
    usual = read(emit_dot.dot_text(graph, view, weights=["w13", "w24"]))
    nasty = renamed(graph, {"x1": name, "a3": name + "'", "w13": name + "''", graph.name: name})
    picture = read(emit_dot.dot_text(nasty, view, weights=[name + "''", "w24"]))
    assert len(picture.nodes) == len(usual.nodes)
    assert len(picture.edges) == len(usual.edges)
    for node in picture.nodes:
        picture.label(node)


@pytest.mark.parametrize("name", NASTY)
def test_quoted_and_escaped_text_reads_back(name: str) -> None:
    shown = re.sub(r"[\x00-\x1f]", "\ufffd", name)
    assert tokens(dot.quote(name)) == [("id", shown)]
    inside = ElementTree.fromstring(f"<x>{dot.escape(name)}</x>").text or ""
    assert re.sub(r"[\x00-\x1f]", "\ufffd", inside) == shown


HASHED = """
import sys
sys.path.insert(0, sys.argv[1])
import test_draw as t
from graphc import emit_dot
from graphc.loops import Comment
from graphc.lower import lower
g = t.traced(t.value_and_grad(t.digits), *t.DIGITS)
e = t.traced(t.exercise_2c, *[1.0] * 4)
sys.stdout.reconfigure(encoding="utf-8")
print(emit_dot.network(e), emit_dot.network(g), emit_dot.graph_view(g))
print(emit_dot.kernels(lower(g), g))
"""


def test_two_processes_draw_the_same_bytes() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", HASHED, str(Path(__file__).parent)],
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    ]
    assert runs[0] == runs[1]
    assert runs[0].count(b"digraph") == 4


# --- files ---------------------------------------------------------------------------------------

FAKE_DOT = """#!{python}
import sys
if "-Tpdf" in sys.argv:
    sys.stderr.write("Error: out of ink\\nand more")
    sys.exit(1)
sys.stdout.write(" ".join(a for a in sys.argv[1:] if a.startswith("-")) + sys.stdin.read())
"""


@pytest.fixture
def fake_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program called dot that says how it was called and what it read; its ink is out for pdf."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "dot"
    program.write_text(FAKE_DOT.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def no_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("fake_dot")
@pytest.mark.parametrize("suffix", ["svg", "png", "SVG"])
def test_the_suffix_says_the_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net.{suffix}"
    graph = traced(exercise_2a, *[1.0] * 4)
    assert emit_dot.draw(graph, path, "network") == path
    said = path.read_text()
    assert f"-T{suffix.lower()}" in said
    assert emit_dot.network(graph) in said
    assert sorted(x.name for x in tmp_path.iterdir()) == ["bin", path.name]


@pytest.mark.usefixtures("fake_dot")
def test_a_picture_may_stay_in_memory() -> None:
    assert emit_dot.render("digraph {}").startswith(b"-Kdot -Tsvg")
    assert b"-Tpng" in emit_dot.render("digraph {}", format="png")


@pytest.mark.usefixtures("no_dot")
@pytest.mark.parametrize("suffix", ["dot", "gv"])
def test_dot_text_needs_no_program(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net.{suffix}"
    graph = traced(exercise_2a, *[1.0] * 4)
    emit_dot.draw(graph, str(path), "network")
    assert path.read_text(encoding="utf-8") == emit_dot.network(graph)


@pytest.mark.usefixtures("no_dot")
def test_a_missing_dot_is_one_sentence_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DrawError) as caught:
        emit_dot.draw(traced(np.tanh, 1.0), tmp_path / "net.svg")
    said = str(caught.value)
    for remedy in ("apt install graphviz", "brew install", "conda install", ".dot is written"):
        assert remedy in said
    assert "\n" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("fake_dot")
def test_a_failing_dot_is_quoted_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.pdf"
    path.write_text("old")
    with pytest.raises(DrawError, match=r"dot cannot draw this as pdf: Error: out of ink$"):
        emit_dot.draw(traced(np.tanh, 1.0), path)
    assert path.read_text() == "old"


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "net.dot"
    path.write_text("old")
    with path.open() as reader:
        emit_dot.draw(traced(np.tanh, 1.0), path)
        assert reader.read() == "old", "who reads the old picture keeps it"
    assert path.read_text(encoding="utf-8").startswith("digraph")


@pytest.mark.parametrize("name", ["net.jpg", "net", "net.svg.gz"])
def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(DrawError, match=r"suffix must be \.svg, \.png, \.pdf, \.dot, \.gv"):
        emit_dot.draw(traced(np.tanh, 1.0), tmp_path / name)
    with pytest.raises(DrawError, match="no format 'jpg'; choose one of"):
        emit_dot.render("digraph {}", format="jpg")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    graph = traced(np.tanh, 1.0)
    with pytest.raises(DrawError, match=r"cannot write '.*missing/net\.dot': No such file"):
        emit_dot.draw(graph, tmp_path / "missing" / "net.dot")
    (tmp_path / "net.dot").mkdir()
    with pytest.raises(DrawError, match="choose another folder"):
        emit_dot.draw(graph, tmp_path / "net.dot")
    assert [x.name for x in tmp_path.iterdir()] == ["net.dot"]


def test_the_view_is_one_of_three(tmp_path: Path) -> None:
    graph = traced(exercise_2, *[1.0] * 5)
    program = lower(graph)
    expected = {
        "graph": emit_dot.graph_view(graph),
        "network": emit_dot.network(graph),
        "kernels": emit_dot.kernels(program, graph),
    }
    for view, text in expected.items():
        path = emit_dot.draw(graph, tmp_path / f"{view}.dot", view, program)
        assert path.read_text(encoding="utf-8") == text
    with pytest.raises(DrawError, match="no view 'nets'; choose one of 'graph', 'network', 'ker"):
        emit_dot.draw(graph, tmp_path / "net.dot", "nets")
    with pytest.raises(DrawError, match="needs the lowered program"):
        emit_dot.draw(graph, tmp_path / "net.dot", "kernels")


def test_graphviz_is_imported_when_a_picture_is_rendered_only() -> None:
    code = "import sys, graphc.emit_dot; sys.exit('graphviz' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
