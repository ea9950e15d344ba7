"""The pipelines: what each pass promises, on functions of the sheet and on random graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc import passes, reference, types
from graphc.errors import VerifyError
from graphc.graph import Graph, building, verify
from graphc.ops.elementwise import STOP_GRADIENT
from graphc.ops.shape import CONSTANT, INPUT
from graphc.passes import optimize, prepare
from graphc.rules.shift import stop
from graphc.trace import trace_function
from graphc.transform import grad, value_and_grad

X = types.float64[2, 3]


@pytest.fixture(autouse=True)
def verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VERIFY", "1")


def traced(fn: Callable[..., Any], *args: Any) -> Graph:
    return trace_function(fn, args).graph


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes if node.op not in (INPUT, CONSTANT)]


# --- the pipelines ------------------------------------------------------------------------------


def test_the_pipelines_read_aloud() -> None:
    assert [step.__name__ for step in passes.PREPARE] == ["widen", "simplify", "guard"]
    scans = ["merge", "record", "postpone"]
    plain, fast = (
        ["dissolve", "widen", step, "release", *scans] for step in ("simplify", "hasten")
    )
    assert [step.__name__ for step in passes.PIPELINE] == plain
    assert [step.__name__ for step in passes.FAST_PIPELINE] == fast
    for step in {*passes.PREPARE, *passes.PIPELINE, *passes.FAST_PIPELINE, passes.share}:
        assert (step.__doc__ or "").count("\n") == 0, f"{step.__name__} promises in one line"


def naive_softmax(x: Any) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)


def test_release_before_simplify_would_leave_maxima_stopped() -> None:
    graph = traced(naive_softmax, X)
    assert "stop_gradient" not in ops(passes.run(passes.PIPELINE, graph))
    assert "stop_gradient" in ops(passes.run(passes.PIPELINE[::-1], graph))


def test_guard_before_simplify_would_hide_a_sigmoid() -> None:
    def fn(x: Any) -> Any:
        return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))

    graph = traced(fn, X)
    assert ops(prepare(graph)) == ["sigmoid"]
    assert len(ops(passes.run(passes.PREPARE[::-1], graph))) > 1


def test_share() -> None:
    graph = traced(lambda x: np.exp(x) * np.exp(x), X)
    assert ops(graph) == ["exp", "exp", "multiply"]
    assert ops(passes.share(graph)) == ["exp", "multiply"]


def test_share_leaves_out_what_nobody_reads() -> None:
    def fn(x: Any) -> Any:
        np.exp(x)
        return x + 1

    assert ops(passes.share(traced(fn, X))) == ["add"]


def test_constants_are_folded_and_broadcasts_of_them_are_not() -> None:
    graph = optimize(traced(lambda x: x + np.sqrt(np.full_like(x, 2) * np.ones_like(x)), X))
    (constant,) = [node for node in graph.nodes if node.op is CONSTANT]
    assert constant.type == types.float64[()]
    graph = optimize(traced(lambda x: np.zeros_like(x) + 1, types.float64[1000, 1000]))
    assert ops(graph) == ["broadcast_to"]
    graph = optimize(traced(lambda x: x + np.arange(3.0) @ np.arange(6.0).reshape(3, 2), 1.0))
    assert ops(graph) == ["add"]


def test_guard_only_touches_branches_that_may_be_infinite() -> None:
    for fn in (
        lambda x: np.where(x > 0, x * 2, -x),
        lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0),
        lambda x: np.where(x > 0, np.tanh(x), 0),
    ):
        graph = passes.share(traced(fn, X))
        assert str(passes.guard(graph)) == str(graph)


@pytest.mark.parametrize(
    ("fn", "wanted"),
    [
        (lambda x: np.where(x > 0, np.log(x), 0), lambda x: np.where(x > 0, 1 / x, 0)),
        (lambda x: np.where(x != 0, np.sin(x) / x, 1), None),
        (lambda x: np.where(x == 0, 1, np.sin(x) / x), None),
        (lambda x: np.where(x > 0, np.sqrt(x), 0), lambda x: np.where(x > 0, 0.5 / np.sqrt(x), 0)),
        (lambda x: np.where(x > 0, 1 / x, -x), lambda x: np.where(x > 0, -1 / x**2, -1)),
        (lambda x: np.where(x > 100, x, np.exp(x)), lambda x: np.where(x > 100, 1, np.exp(x))),
        (lambda x: np.where(np.isfinite(x), x * np.log1p(-x), x), None),
    ],
)
def test_guard_keeps_nan_out_of_gradients(fn: Any, wanted: Any) -> None:
    x = np.array([-1.0, 0.0, 0.5, 1000.0])
    if wanted is None:
        x = np.array([0.0, 0.5])
        with np.errstate(all="ignore"):
            steps = (fn(x + 1e-6) - fn(x - 1e-6)) / 2e-6
        assert np.allclose(grad(lambda y: np.sum(fn(y)))(x), steps, atol=1e-6)
        return
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(grad(lambda y: np.sum(fn(y)))(x), wanted(x), rtol=1e-12)


def test_stop_gradient_is_constant_until_it_is_released() -> None:
    graph = traced(grad(lambda x: np.sum(stop(x) * x)), X)
    assert any(node.op is STOP_GRADIENT for node in graph.nodes)
    released = optimize(graph)
    assert released.outputs == released.inputs
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(grad(lambda y: np.sum(stop(y) * y))(x), x)


def test_fast_rounds_otherwise_and_takes_fewer_operations() -> None:
    def fn(x: Any) -> Any:
        return x / 3.0 / 7.0 + x[0] * x[1] + x[0] * x[2]

    plain, fast = (optimize(traced(fn, types.float64[3]), fast=f) for f in (False, True))
    assert len(ops(fast)) < len(ops(plain))
    assert "divide" in ops(plain)
    assert "divide" not in ops(fast)
    x = np.array([0.1, 0.7, 1.9])
    np.testing.assert_allclose(*(reference.run(g, [x])[0] for g in (plain, fast)), rtol=1e-14)


# --- looking inside -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("", []),
        ("release", ["release"]),
        ("all", ["dissolve", "widen", "simplify", "release", "merge", "record", "postpone"]),
        ("nothing", []),
    ],
)
def test_dump(
    asked: str, shown: list[str], monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAPHC_DUMP", asked)
    graph = optimize(traced(naive_softmax, X))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line[8:] for line in captured.err.splitlines() if line.startswith("# after ")] == shown
    assert (str(graph) in captured.err) == bool(shown)


def test_verify_runs_around_passes_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(graph: Graph) -> Graph:
        """Promises nothing and drops an input."""
        return Graph(graph.name, (), graph.outputs, graph.output_names)

    def rename(graph: Graph) -> Graph:
        """Drops an output's name."""
        return Graph(graph.name, graph.inputs, graph.outputs, ())

    graph = traced(np.negative, X)
    with pytest.raises(VerifyError, match="names"):
        passes.run((rename,), graph)
    monkeypatch.setenv("GRAPHC_VERIFY", "0")
    passes.run((rename,), graph)
    passes.run((forget,), graph)


def test_the_caller_s_part_survives() -> None:
    before = (building.part, building.cites, building.locate)
    optimize(traced(grad(lambda x: np.sum(naive_softmax(x) ** 2)), X))
    assert (building.part, building.cites, building.locate) == before


# --- the exercise sheet -------------------------------------------------------------------------


def test_exercise_2_is_what_one_would_write_by_hand() -> None:
    def exercise(x1: Any, x2: Any, w13: Any, w24: Any, t: Any) -> Any:
        z3 = x1 * w13
        z4 = x2 * w24
        a3 = 0.5 * z3**2
        a4 = 0.5 * z4**2
        y = a3 + a4
        loss = 0.5 * (y - t) ** 2
        return loss

    numbers = (1.0, 2.0, 3.0, 4.0, 5.0)
    graph = optimize(traced(value_and_grad(exercise, argnums=(2, 3)), *numbers))
    lines = str(graph).splitlines()
    backward = [line.strip() for line in lines[lines.index("  # backward") + 1 : -1]]
    assert backward == [
        "d_z4: float64[] = multiply(d_y, z4)",
        "d_z3: float64[] = multiply(d_y, z3)",
        "d_w24: float64[] = multiply(d_z4, x2)",
        "d_w13: float64[] = multiply(d_z3, x1)",
    ]
    assert "  d_y: float64[] = subtract(y, t)" in lines


def test_exercise_2c_has_a_softplus_and_a_sigmoid_a_weight() -> None:
    def weights(v: Any) -> Any:
        return np.log(1 + np.exp(v)) * 3.0 + -np.log(1 + np.exp(-v)) * 5.0

    names = ops(optimize(traced(value_and_grad(weights), 1.0)))
    assert (names.count("softplus"), names.count("sigmoid")) == (2, 2)
    assert not {"exp", "log", "log1p", "divide"} & set(names)


# --- how much a gradient costs ------------------------------------------------------------------


def sigmoid_layer(a: Any, W: Any, b: Any) -> Any:
    z = a @ W + b
    return np.exp(z) / (1 + np.exp(z))


def sigmoid_network(p: Any, x: Any, t: Any) -> Any:
    h = sigmoid_layer(x, p["W1"], p["b1"])
    y = naive_softmax(h @ p["W2"] + p["b2"])
    return -np.mean(np.sum(t * np.log(y), axis=1))


def relu_network(p: Any, x: Any, t: Any) -> Any:
    h = np.maximum(x @ p["W1"] + p["b1"], 0)
    h = np.maximum(h @ p["W2"] + p["b2"], 0)
    return 0.5 * np.mean((h - t) ** 2)


def attention(p: Any, x: Any, t: Any) -> Any:
    q, k = x @ p["W1"], x @ p["W1"]
    return np.mean((naive_softmax(q @ k.T) @ x - x) ** 2) + np.sum(t) * 0.0


def normalised(p: Any, x: Any, t: Any) -> Any:
    h = x @ p["W1"] + p["b1"]
    h = (h - np.mean(h, axis=1, keepdims=True)) / np.std(h, axis=1, keepdims=True)
    return np.sum(np.tanh(h @ p["W2"] + p["b2"]) * t)


def laplace(p: Any, x: Any, t: Any) -> Any:
    mu = x @ p["W1"] + p["b1"]
    return -np.sum(np.log(1 / 4.0 * np.exp(-np.abs(mu) / 2.0)))


D = types.float64
PARAMETERS = {"W1": D[4, 5], "b1": D[5], "W2": D[5, 3], "b2": D[3]}
NETWORKS = (sigmoid_network, relu_network, attention, normalised, laplace)


@pytest.mark.parametrize("net", NETWORKS, ids=lambda fn: fn.__name__)
def test_a_gradient_takes_at_most_five_operations_for_one(net: Callable[..., Any]) -> None:
    args = (PARAMETERS, D["n", 4], D["n", 3])
    forward = optimize(traced(net, *args))
    both = optimize(traced(value_and_grad(net), *args))
    assert len(ops(both)) <= 5 * len(ops(forward)), f"{both}\n{forward}"


@pytest.mark.parametrize("net", NETWORKS, ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("fast", [False, True])
def test_networks_keep_their_values(net: Callable[..., Any], fast: bool) -> None:
    rng = np.random.default_rng(0)
    graph = traced(value_and_grad(net), PARAMETERS, D["n", 4], D["n", 3])
    arrays = [rng.normal(size=[{"n": 7}.get(str(s), s) for s in x.shape]) for x in graph.inputs]
    for a, b in zip(
        reference.run(graph, arrays), reference.run(optimize(graph, fast), arrays), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


# --- random graphs ------------------------------------------------------------------------------

UNARY = (
    "negative", "exp", "log", "log1p", "expm1", "sqrt", "tanh", "absolute", "sin", "sign", "floor",
)  # fmt: skip
BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "logaddexp", "hypot")
VIEWS: tuple[Callable[[Any], Any], ...] = (
    lambda x: x.T,
    lambda x: x[::-1],
    lambda x: x[:, 1:],
    lambda x: x.reshape(-1),
    lambda x: np.broadcast_to(x, (2, *x.shape)),
    lambda x: x[None],
    lambda x: np.sum(x, axis=0),
    lambda x: np.sum(x, axis=-1, keepdims=True),
    lambda x: np.max(x, axis=0),
    lambda x: np.where(x > 0, x, 1),
    lambda x: x / 4,
    lambda x: 1 - x,
    lambda x: 1 / x,
    lambda x: 0.5 * x * 2,
    lambda x: x.astype(np.float32).astype(np.float64),
)


@st.composite
def programs(draw: Any) -> list[tuple[Any, ...]]:
    return [
        (draw(st.sampled_from(("unary", "binary", "view"))),
         draw(st.integers(0, 30)), draw(st.integers(0, 30)), draw(st.integers(0, 30)))
        for _ in range(draw(st.integers(1, 14)))
    ]  # fmt: skip


def interpret(program: list[tuple[Any, ...]], x: Any, y: Any) -> list[Any]:
    """Each step applies to values made before; a step whose shapes do not fit is left out."""
    values = [x, y]
    for kind, which, i, j in program:
        a, b = values[i % len(values)], values[j % len(values)]
        try:
            if kind == "unary":
                values.append(getattr(np, UNARY[which % len(UNARY)])(a))
            elif kind == "binary":
                values.append(getattr(np, BINARY[which % len(BINARY)])(a, b))
            else:
                values.append(VIEWS[which % len(VIEWS)](a))
        except (ValueError, IndexError):
            continue
    return values[2:] or [x]


@settings(max_examples=150)
@given(programs())
def test_random_graphs_keep_their_values(program: list[tuple[Any, ...]]) -> None:
    graph = traced(lambda x, y: tuple(interpret(program, x, y)), D[3, 2], D[2])
    verify(graph)
    rng = np.random.default_rng(len(program))
    arrays = [rng.uniform(0.3, 1.5, (3, 2)), rng.uniform(-1.5, 1.5, 2)]
    before = reference.run(graph, arrays)
    for change in (passes.share, prepare, optimize):
        changed = change(graph)
        verify(changed)
        assert [x.type for x in changed.outputs] == [x.type for x in graph.outputs]
        for a, b in zip(before, reference.run(changed, arrays), strict=True):
            # what was nan may have become the number it is in the reals
            close = np.isclose(a, b, rtol=1e-6, atol=1e-9) | ~np.isfinite(a)
            assert close.all(), f"{graph}\n{changed}"


@settings(max_examples=60)
@given(programs())
def test_a_second_run_changes_nothing(program: list[tuple[Any, ...]]) -> None:
    once = optimize(traced(lambda x, y: tuple(interpret(program, x, y)), D[3, 2], D[2]))
    assert str(passes.share(once)) == str(once)


def test_two_processes_would_write_the_same() -> None:
    graphs = [optimize(traced(value_and_grad(sigmoid_network), PARAMETERS, D["n", 4], D["n", 3]))
              for _ in range(2)]  # fmt: skip
    assert str(graphs[0]) == str(graphs[1])


def test_rules_see_captured_values_of_an_outer_trace() -> None:
    def outer(x: Any) -> Any:
        y = np.exp(x)
        return grad(lambda z: np.sum(np.log(1 + np.exp(z * y))))(x)

    graph = optimize(traced(outer, X))
    assert "sigmoid" in ops(graph)
    x = np.full((2, 3), 5.0)
    (value,) = reference.run(graph, [x])
    np.testing.assert_allclose(value, np.exp(x) / (1 + np.exp(-x * np.exp(x))), rtol=1e-12)
