"""The matching engine on small tables of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from graphc import reference, types
from graphc.errors import VerifyError
from graphc.graph import Graph, Node, building, verify
from graphc.ops import OPS
from graphc.rewrite import MOST_STEPS, AnyRule, Local, Rule, number, rewrite
from graphc.rules import EXACT, STABLE
from graphc.trace import Tensor, trace_function
from graphc.trace.control import scan
from graphc.transform import grad

X = types.float64[2, 3]


def rewritten(fn: Callable[..., Any], rules: Sequence[AnyRule], *args: Any) -> Graph:
    graph = rewrite(trace_function(fn, args or (X,)).graph, tuple(rules))
    verify(graph)
    return graph


def count(graph: Graph, name: str) -> int:
    return sum(node.op.name == name for node in graph.nodes)


SQUARE = Rule("square", lambda x: np.exp(x) * np.exp(x), lambda x: np.exp(2 * x))


@pytest.mark.parametrize("dtype", [types.float32, types.float64], ids=str)
@pytest.mark.parametrize("shape", [(), (3,), ("n", 2)], ids=str)
def test_a_pattern_matches_any_float_type(dtype: types.DType, shape: tuple[Any, ...]) -> None:
    kind = types.TensorType(dtype, tuple(types.as_size(s) for s in shape))
    graph = rewritten(lambda x: np.exp(x) * np.exp(x), [SQUARE], kind)
    assert count(graph, "exp") == 1
    assert graph.outputs[0].type == kind


def test_a_repeated_variable_is_one_value() -> None:
    assert count(rewritten(lambda x: np.exp(x) * np.exp(x + 1), [SQUARE]), "exp") == 2
    assert count(rewritten(lambda x: np.exp(x + 1) * np.exp(1 + x), [SQUARE]), "exp") == 1


def test_commutative_ops_match_in_both_orders() -> None:
    rule = Rule("fma", lambda a, b: a + np.exp(b) * 2.0, lambda a, b: np.hypot(a, b))
    for fn in (
        lambda x: x[0] + np.exp(x[1]) * 2,
        lambda x: x[0] + 2 * np.exp(x[1]),
        lambda x: np.exp(x[1]) * 2 + x[0],
        lambda x: 2 * np.exp(x[1]) + x[0],
    ):
        assert count(rewritten(fn, [rule]), "hypot") == 1
    assert count(rewritten(lambda x: x[0] - 2 * np.exp(x[1]), [rule]), "hypot") == 0


@pytest.mark.parametrize(
    ("fn", "fires"),
    [
        (lambda x: x + 1, True),
        (lambda x: np.float64(1.0) + x, True),
        (lambda x: x + np.full_like(x, 1.0), True),
        (lambda x: x + np.ones_like(x), True),
        (lambda x: x + 1.0000001, False),
        (lambda x: x + np.array([[1.0, 1.0, 2.0]]), False),
    ],
)
def test_a_number_matches_a_constant_of_that_value(fn: Callable[..., Any], fires: bool) -> None:
    rule = Rule("plus one", lambda x: x + 1.0, np.floor)
    assert count(rewritten(fn, [rule]), "floor") == fires


def test_a_zero_matches_with_its_sign() -> None:
    rule = Rule("plus zero", lambda x: x + 0.0, np.floor)
    assert count(rewritten(lambda x: x + 0.0, [rule]), "floor") == 1
    assert count(rewritten(lambda x: x + -0.0, [rule]), "floor") == 0


SOFTMAX = Rule(
    "share",
    lambda x, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
    lambda x, axis: np.tanh(x) + 0 * np.max(x, axis=axis, keepdims=True),
)


@pytest.mark.parametrize(
    ("fn", "axes"),
    [
        (lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), (1,)),
        (lambda x: np.exp(x) / np.sum(np.exp(x), axis=1)[:, None], (1,)),
        (lambda x: np.exp(x) / np.expand_dims(np.sum(np.exp(x), -1), 1), (1,)),
        (lambda x: np.exp(x) / np.sum(np.exp(x), axis=0), (0,)),
        (lambda x: np.exp(x) / np.sum(np.exp(x), axis=0, keepdims=True), (0,)),
        (lambda x: np.exp(x) / np.sum(np.exp(x)), (0, 1)),
        (lambda x: np.exp(x) / np.sum(np.exp(x), axis=(1, 0), keepdims=True), (0, 1)),
    ],
)
def test_axes_are_bound_once_and_given_to_the_right_side(
    fn: Callable[..., Any], axes: tuple[int, ...]
) -> None:
    graph = rewritten(fn, [SOFTMAX], types.float64[3, 3])
    (top,) = [node for node in graph.nodes if node.op.name == "max"]
    assert top.params["axes"] == axes


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: np.exp(x) / np.sum(np.exp(x), axis=1),  # broadcasts along the other axis
        lambda x: np.exp(x) / np.sum(np.exp(x), axis=0)[:, None],
        lambda x: np.exp(x) / np.sum(np.exp(2 * x), axis=1, keepdims=True),
    ],
)
def test_what_does_not_broadcast_like_keepdims_is_no_softmax(fn: Callable[..., Any]) -> None:
    assert count(rewritten(fn, [SOFTMAX], types.float64[3, 3]), "max") == 0


def test_keepdims_matches_any_reshape_of_the_reduction() -> None:
    rule = Rule(
        "lse",
        lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
        lambda x, axis: np.max(x, axis=axis),
    )
    for fn in (
        lambda x: np.log(np.sum(np.exp(x), axis=1)),
        lambda x: np.log(np.sum(np.exp(x), axis=1, keepdims=True)),
        lambda x: np.log(np.sum(np.exp(x), axis=1)[None, :, None]),
    ):
        graph = rewritten(fn, [rule])
        assert (count(graph, "max"), count(graph, "log")) == (1, 0)
        assert graph.outputs[0].type == trace_function(fn, (X,)).graph.outputs[0].type


def test_a_result_that_lost_its_broadcast_is_broadcast_again() -> None:
    rule = Rule("first", lambda a, b: a * np.exp(b), lambda a, b: a)
    graph = rewritten(lambda x: x[0] * np.exp(x), [rule])
    assert graph.outputs[0].type == X


def test_names_lines_parts_and_order_stay_with_the_result() -> None:
    def fn(x: Any) -> Any:
        y = np.exp(x) * np.exp(x)
        z = y + 1
        return z

    before = trace_function(fn, (X,)).graph
    after = rewrite(before, (SQUARE,))
    old = {node.name: node for node in before.nodes}
    new = {node.name: node for node in after.nodes}
    assert set(new) == {"x", "y", "z", None}
    assert (new["y"].source, new["y"].serial) == (old["y"].source, old["y"].serial)
    assert new["x"] is old["x"]


def test_an_adjoint_keeps_its_name_and_yields_to_the_users() -> None:
    def fn(x: Any) -> Any:
        y = np.tanh(x)
        return np.sum(np.tanh(y) * 1.0 * y)

    graph = rewrite(trace_function(grad(fn), (X,)).graph, (*EXACT, *STABLE))
    assert {"d_x", "d_y"} <= {node.name for node in graph.nodes}

    def square(x: Any) -> Any:
        e = x - 1
        return 0.5 * np.sum(e * e)

    graph = rewrite(trace_function(grad(square), (X,)).graph, (*EXACT, *STABLE))
    assert graph.outputs[0].name == "e"  # d_x is e
    verify(graph)


def test_cites_point_into_the_result() -> None:
    graph = trace_function(grad(lambda x: np.sum(np.exp(x) * np.exp(x))), (X,)).graph
    after = rewrite(graph, (*EXACT, *STABLE))
    nodes = set(after.nodes)
    cited = [node.cites for node in after.nodes if node.cites is not None]
    assert cited
    assert any(node in nodes for node in cited)


def test_equal_values_are_one_node() -> None:
    graph = rewritten(lambda x: (np.exp(x) + 1) * (1 + np.exp(x)) + np.exp(x), ())
    assert [count(graph, name) for name in ("exp", "add", "constant")] == [1, 2, 1]
    # maximum(0, -0) depends on the order
    graph = rewritten(lambda x: np.maximum(x[0], x[1]) * np.maximum(x[1], x[0]), ())
    assert count(graph, "maximum") == 2


def test_inputs_and_captured_nodes_are_never_copied() -> None:
    seen: list[Graph] = []

    def inner(y: Any, outside: Any) -> Any:
        graph = trace_function(lambda z: np.sum(z * 1.0 * outside), (y,)).graph
        seen.append(rewrite(graph, (*EXACT, *STABLE)))
        return y

    def fn(x: Any) -> Any:
        outside = np.exp(x) * np.exp(x) * 1.0
        captured.append(outside.node)
        return inner(np.sin(x), outside)

    captured: list[Node] = []
    trace_function(fn, (X,))
    assert captured[0] in seen[0].nodes
    assert count(seen[0], "multiply") == 3  # z * outside, and the two captured ones


# --- tests of the engine's own checks -----------------------------------------------------------


def test_rules_that_do_not_settle_are_named() -> None:
    swap = Rule("swap sides", lambda a, b: a - b, lambda a, b: -(b - a))
    grow = Rule("grow", lambda x: np.sin(x), lambda x: np.sin(x + 1))
    flip = Rule("flip", lambda x: np.exp(x), lambda x: np.exp2(x))
    flop = Rule("flop", lambda x: np.exp2(x), lambda x: np.exp(x))
    for rules, names in (
        ([swap], ["swap sides"]),
        ([grow], ["grow"]),
        ([flip, flop], ["flip", "flop"]),
    ):
        with pytest.raises(VerifyError, match=f"do not settle.* {MOST_STEPS}") as caught:
            rewritten(lambda x: np.sin(np.exp(x[0] - x[1])), rules)
        assert all(repr(name) in str(caught.value) for name in names)


def test_a_right_side_of_another_dtype_is_named() -> None:
    rule = Rule("narrow", lambda x: np.sin(x), lambda x: np.sin(x).astype(np.float32))
    with pytest.raises(VerifyError, match=r"'narrow' makes float32\[2, 3\]"):
        rewritten(np.sin, [rule])


def test_a_rule_without_an_op_is_refused() -> None:
    with pytest.raises(VerifyError, match="'anything' has no op"):
        rewritten(np.sin, [Rule("anything", lambda x: x, lambda x: -x)])


def test_a_right_side_may_decline() -> None:
    decline = Rule("decline", lambda x: np.sin(x), lambda x: None)
    local = Local("decline too", np.sin, (OPS["sin"],), lambda node: None)
    assert count(rewritten(np.sin, [decline, local]), "sin") == 1


def test_the_line_and_part_of_the_caller_are_left_alone() -> None:
    before = (building.part, building.cites, building.locate)
    rewritten(lambda x: np.exp(x) * np.exp(x), [SQUARE])
    with pytest.raises(VerifyError):
        rewritten(np.sin, [Rule("grow", lambda x: np.sin(x), lambda x: np.sin(x + 1))])
    assert (building.part, building.cites, building.locate) == before


def test_rules_reach_into_loops_and_branches() -> None:
    def fn(x: Any) -> Any:
        _, rows = scan(lambda carry, row: (carry, np.exp(row) * np.exp(row)), x[0], x)
        return rows

    graph = rewritten(fn, [SQUARE])
    (loop,) = [node for node in graph.nodes if node.op.name == "scan"]
    assert count(loop.params["body"], "exp") == 1  # type: ignore[arg-type]


def test_work_grows_with_the_number_of_nodes() -> None:
    def calls_a_node(steps: int) -> float:
        def chain(x: Any) -> Any:
            for i in range(steps):
                x = np.tanh(x * (1 + 0.001 * i) + 0.5)
            return np.sum(x)

        graph = trace_function(grad(chain), (X,)).graph
        rules = (*EXACT, *STABLE)
        rewrite(graph, rules)
        return _calls(lambda: rewrite(graph, rules)) / len(graph.nodes)

    assert calls_a_node(200) < 1.1 * calls_a_node(50)
    assert calls_a_node(50) < 250  # of Python functions, at about a tenth of a microsecond each


def _calls(fn: Callable[[], object]) -> int:
    """How many functions it calls, which is the same on every machine."""
    count = 0

    def note(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        fn()
    finally:
        sys.setprofile(None)
    return count


def test_number() -> None:
    graph = trace_function(lambda x: x * np.full_like(x, 2.5), (X,)).graph
    product = graph.outputs[0]
    assert [number(x) for x in product.operands] == [None, 2.5]
    (value,) = reference.run(graph, [np.ones((2, 3))])
    assert value.shape == (2, 3)
    assert isinstance(Tensor(product).shape, tuple)
