"""`check` agrees with what is right, and names what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import graphc
from graphc import graph, ops
from graphc.errors import CheckError, TraceError
from graphc.graph import Diagonal
from graphc.testing import assert_derivatives
from graphc.trace import Tensor


def network(params, x, t):
    a = np.tanh(x @ params["W"] + params["b"])
    return 0.5 * np.sum((a - t) ** 2)


def types(dtype=graphc.float64):
    return {"W": dtype[4, 3], "b": dtype[3]}, dtype["n", 4], dtype["n", 3]


def broken(x, **faults):
    """sin(x), by a row of the table with something wrong in it."""
    return Tensor(graph.apply(replace(ops.OPS["sin"], **faults), x.node))


def whats(report):
    return [finding.what for finding in report.findings if not finding.ok]


@pytest.mark.parametrize("dtype", [graphc.float32, graphc.float64])
def test_a_right_function_passes(dtype) -> None:
    report = graphc.check(network, *types(dtype))
    assert report.ok, str(report)
    assert len(report.findings) == 4
    report.raise_if_wrong()
    assert str(report).startswith("network:\n  ok    C against NumPy: ")


def test_examples_are_where_it_checks() -> None:
    params = {"W": np.eye(4, 3), "b": np.zeros(3)}
    report = graphc.check(network, params, np.ones((2, 4)), np.zeros((2, 3)))
    assert report.ok, str(report)


def test_integers_and_bools_are_compared_exactly_and_not_derived() -> None:
    report = graphc.check(lambda i, b: (i // 2, b, np.argmax(i)), graphc.int64[5], graphc.bool_[5])
    assert report.ok
    assert len(report.findings) == 1


def test_wrong_c_is_named() -> None:
    evaluate = ops.OPS["sin"].evaluate
    report = graphc.check(
        lambda x: broken(x, evaluate=lambda params, x: evaluate(params, x) * 1.001),
        graphc.float64[4],
    )
    assert not report.ok
    assert "C against NumPy" in whats(report)
    assert "out[" in report.findings[0].place
    with pytest.raises(CheckError, match=r"failed its check: WRONG C against NumPy"):
        report.raise_if_wrong()


def test_a_wrong_derivative_is_named_by_differences() -> None:
    wrong = Diagonal((lambda t, y, x: t * np.cos(x) * 1.001,))
    report = graphc.check(lambda x: broken(x, derivative=wrong), graphc.float64[4])
    assert whats(report) == ["J v against central differences"]


def test_two_directions_that_disagree_are_named() -> None:
    wrong = graph.Stated(
        jvp=lambda tangents, y, node: tangents[0] * np.cos(Tensor(node.operands[0])),
        vjp=lambda g, k, y, node: g * np.cos(Tensor(node.operands[0])) * 1.001,
    )
    report = graphc.check(lambda x: broken(x, derivative=wrong), graphc.float64[4])
    assert whats(report) == ["⟨J v, w⟩ against ⟨v, Jᵀ w⟩"]


def test_kinks_are_left_out() -> None:
    report = graphc.check(lambda x: np.maximum(x, 0), np.array([0.0, 1.0, -1.0]))
    assert report.ok
    assert "1 of 3 elements are not smooth" in report.findings[-1].place
    assert "none is smooth enough" in graphc.check(np.abs, 0.0).findings[-1].place


def test_outside_the_domain_it_says_so() -> None:
    report = graphc.check(np.log, np.array([0.0, 1.0]))
    assert "check where the function is differentiable" in str(report)
    assert not report.ok


def test_a_formula_that_overflows_in_numpy_passes_when_rewritten() -> None:
    report = graphc.check(lambda v: np.log(1 + np.exp(v)), np.array([-1000.0, 0.0, 1000.0]))
    assert report.ok, str(report)


def test_the_tolerance_counts() -> None:
    assert not graphc.check(network, *types(), tolerance=1e-18).ok


def test_the_same_seed_draws_the_same() -> None:
    assert str(graphc.check(network, *types())) == str(graphc.check(network, *types()))
    assert str(graphc.check(network, *types())) != str(graphc.check(network, *types(), seed=1))


def test_a_graph_can_be_checked() -> None:
    assert graphc.check(graphc.trace(network, *types()).grad("params")).ok


def test_loops_and_branches_are_checked() -> None:
    def decaying(x):
        last, seen = graphc.scan(lambda c, v: (0.5 * c + np.sin(v), c * v), 0.0, x)
        return last + np.sum(seen)

    assert graphc.check(decaying, graphc.float64["n"]).ok
    branches = graphc.check(
        lambda x: graphc.cond(x > 0, lambda x: np.sin(x), lambda x: x * x, x), -0.3
    )
    assert branches.ok
    assert len(branches.findings) == 4


def test_what_has_no_derivative_is_compared_without() -> None:
    report = graphc.check(
        lambda x: graphc.while_loop(lambda c: c < 100, lambda c: c * 2, x), graphc.float64
    )
    assert report.ok
    assert [finding.what for finding in report.findings] == [
        "C against NumPy", "J v in C against NumPy", "J v against central differences",
    ]  # fmt: skip
    assert "no reverse mode was compared: while_loop at test_check.py" in str(report)


def test_a_value_that_passes_through_a_narrower_dtype_is_measured_with_wider_steps() -> None:
    for f in (lambda x: x.astype(np.float32) * 2, lambda x: np.sin(x.astype(np.float32) * 1.0)):
        assert graphc.check(f, graphc.float64[4]).ok
        assert graphc.check(lambda x, f=f: f(x).astype(np.float64), graphc.float64[4]).ok


def test_wrong_rules_of_the_user_are_named() -> None:
    @graphc.custom_derivative
    def product(x, y):
        return x * x * y

    @product.defjvp
    def forgets_y(at, along):
        return product(*at), 2 * at[0] * at[1] * along[0]

    with pytest.raises(CheckError, match=r"WRONG J v against central differences: .* at out, "):
        assert_derivatives(lambda x, y: product(x, y), 1.5, 2.5)
    assert_derivatives(lambda x, n: np.sum(np.sin(x) * n), graphc.float32[5], np.int64(3), order=2)


def test_misuse_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="order is that of the highest derivative, 1 or more"):
        assert_derivatives(np.sin, 1.0, order=0)
    with pytest.raises(TraceError, match="lambda returns nothing, so there is nothing to check"):
        graphc.check(lambda x: None, 1.0)
