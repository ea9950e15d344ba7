"""Formulas in C comments: what a person would write, in one short line of ASCII."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import graphc.types as t
from graphc import ops
from graphc.formula import equation, expression
from graphc.graph import Node
from graphc.ops.shape import INPUT
from graphc.trace import trace_function
from graphc.transform import value_and_grad


def node(fn: Callable[..., Any], *examples: Any) -> Node:
    return trace_function(fn, examples).graph.outputs[0]


def formula(fn: Callable[..., Any], *examples: Any) -> str:
    return expression(node(fn, *examples))


SCALAR: list[tuple[Callable[..., Any], str]] = [
    (lambda x, y, z: x * y, "x y"),
    (lambda x, y, z: 0.5 * x**2, "1/2 x^2"),
    (lambda x, y, z: 0.5 * (y - z) ** 2, "1/2 (y - z)^2"),
    (lambda x, y, z: x**3.0, "x^3"),
    (lambda x, y, z: x**y**z, "x^(y^z)"),
    (lambda x, y, z: (x**y) ** z, "(x^y)^z"),
    (lambda x, y, z: x - (y - z), "x - (y - z)"),
    (lambda x, y, z: x - y - z, "x - y - z"),
    (lambda x, y, z: x + (y + z), "x + y + z"),
    (lambda x, y, z: x - (y + z), "x - (y + z)"),
    (lambda x, y, z: (x + y) * z, "(x + y) z"),
    (lambda x, y, z: x * (y + z), "x * (y + z)"),
    (lambda x, y, z: x / (y * z), "x / (y z)"),
    (lambda x, y, z: x / y / z, "x / y / z"),
    (lambda x, y, z: x / (y / z), "x / (y / z)"),
    (lambda x, y, z: (x / y) * z, "(x / y) z"),
    (lambda x, y, z: x * y / z, "x y / z"),
    (lambda x, y, z: x + -y, "x - y"),
    (lambda x, y, z: x - (-y), "x - (-y)"),
    (lambda x, y, z: np.negative(-x), "-(-x)"),
    (lambda x, y, z: -(x + y), "-(x + y)"),
    (lambda x, y, z: -(x * y), "-x y"),
    (lambda x, y, z: x * -y, "x * (-y)"),
    (lambda x, y, z: x * 2, "2 x"),
    (lambda x, y, z: x * 0.1, "0.1 x"),
    (lambda x, y, z: x / 3, "x / 3"),
    (lambda x, y, z: x * (1 / 3), "1/3 x"),
    (
        lambda x, y, z: -np.log(1 / (2 * x) * np.exp(-np.abs(y - z) / x)),
        "-log((1 / (2 x)) exp(-|y - z| / x))",
    ),
    (lambda x, y, z: np.exp(x) / (1 + np.exp(x)), "exp(x) / (1 + exp(x))"),
    (lambda x, y, z: np.where(x > y, x, -z), "where(x > y, x, -z)"),
    (lambda x, y, z: np.maximum(x, 0), "max(x, 0)"),
    (lambda x, y, z: np.where((x > 0) & (y > 0), x, z), "where(x > 0 and y > 0, x, z)"),
    (lambda x, y, z: x * 1e-12, "1e-12 x"),
    (lambda x, y, z: np.minimum(x, np.inf), "min(x, inf)"),
    (lambda x, y, z: (x > y).astype(float) * z, "(x > y) z"),
]


@pytest.mark.parametrize(("fn", "wanted"), SCALAR, ids=[wanted for _, wanted in SCALAR])
def test_scalar_formulas(fn: Callable[..., Any], wanted: str) -> None:
    assert formula(fn, 1.0, 2.0, 3.0) == wanted


TENSOR: list[tuple[Callable[..., Any], str]] = [
    (lambda a, W, b: a @ W, "a @ W"),
    (lambda a, W, b: a @ W + b, "a @ W + b"),
    (lambda a, W, b: a.T @ a, "a.T @ a"),
    (lambda a, W, b: np.einsum("ij,kj->ik", a, a), "a @ a.T"),
    (lambda a, W, b: np.einsum("ij,kj->ki", W, W), "W @ W.T"),
    (lambda a, W, b: np.einsum("ji,kj->ik", W, a), "W.T @ a.T"),
    (lambda a, W, b: np.einsum("jk,ij->ik", W, a), "a @ W"),
    (lambda a, W, b: b @ b, "b @ b"),
    (lambda a, W, b: W @ b, "W @ b"),
    (lambda a, W, b: b @ W.T, "b @ W.T"),
    (lambda a, W, b: np.outer(b, b), "outer(b, b)"),
    (lambda a, W, b: np.einsum("i,j->ij", b, b), "outer(b, b)"),
    (lambda a, W, b: (a @ W + b).T, "(a @ W + b).T"),
    (lambda a, W, b: np.einsum("ij,ij->i", a, a), "einsum('ij,ij->i', a, a)"),
    (lambda a, W, b: np.sum(a), "sum(a)"),
    (lambda a, W, b: np.sum(a, axis=1), "sum(a, axis=1)"),
    (lambda a, W, b: a - np.max(a, axis=1, keepdims=True), "a - max(a, axis=1)"),
    (lambda a, W, b: np.mean(a), "mean(a)"),
    (lambda a, W, b: np.mean(a, axis=0), "mean(a, axis=0)"),
    (lambda a, W, b: np.var(b), "mean((b - mean(b))^2)"),
    (lambda a, W, b: np.sum(a) / 3, "sum(a) / 3"),
    (lambda a, W, b: a[:, 0], "a[:, 0]"),
    (lambda a, W, b: a[0], "a[0]"),
    (lambda a, W, b: a[1:, ::2], "a[1, ::2]"),
    (lambda a, W, b: b[::-1], "b[::-1]"),
    (lambda a, W, b: b[1:3], "b[1:3]"),
    (lambda a, W, b: np.reshape(a, (6,)), "reshape(a, shape=(6,))"),
    (lambda a, W, b: a[:, None, :], "a"),
    (lambda a, W, b: np.concatenate([a, a], axis=1), "concatenate(a, a, axis=1)"),
    (lambda a, W, b: b * np.array([1.0, 1.0, 1.0, 1.0]), "1 b"),
]


@pytest.mark.parametrize(("fn", "wanted"), TENSOR, ids=[wanted for _, wanted in TENSOR])
def test_tensor_formulas(fn: Callable[..., Any], wanted: str) -> None:
    assert formula(fn, np.ones((2, 3)), np.ones((3, 4)), np.ones(4)) == wanted


def test_a_mean_over_a_run_time_size() -> None:
    found = node(lambda x: np.mean(x), t.float32["n", 3])
    assert expression(found) == "mean(x)"


def exercise(x1: Any, x2: Any, w13: Any, w24: Any, t: Any) -> Any:
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    loss = 0.5 * (y - t) ** 2
    return loss


def test_the_exercise_reads_as_on_the_sheet() -> None:
    nodes = trace_function(exercise, (1.0,) * 5).graph.nodes
    found = [equation(x) for x in nodes if x.name and x.operands]
    assert found == [
        "z3 = x1 w13",
        "z4 = x2 w24",
        "a3 = 1/2 z3^2",
        "a4 = 1/2 z4^2",
        "y = a3 + a4",
        "loss = 1/2 (y - t)^2",
    ]


def test_a_depth_limits_what_is_expanded() -> None:
    deep = node(lambda x: np.sin(np.cos(np.tan(np.exp(x)))), 1.0)
    assert expression(deep, depth=2) == "sin(cos(tan(...)))"


LONG: list[Callable[..., Any]] = [
    lambda x: np.sqrt(sum(x * i for i in range(60))),
    lambda x: (
        np.sin(x + 2) * np.cos(x - 3) / np.tan(x - 4) * np.log(x) * np.sqrt(x) ** np.exp(x + 1)
    ),
]


@pytest.mark.parametrize("fn", LONG)
def test_equations_are_short(fn: Callable[..., Any]) -> None:
    found = node(fn, 1.0)
    assert len(equation(found)) < 60
    assert equation(found).endswith(" ...")


def test_names_that_could_end_a_comment_cannot() -> None:
    a, b = (
        replace(x, name=name)
        for x, name in zip(
            trace_function(lambda a, b: a * b, (1.0, 2.0)).graph.inputs,
            ("??/*", "*/\\\nµ"),
            strict=True,
        )
    )
    product = node(lambda x, y: x * y, 1.0, 2.0)
    text = equation(replace(product, operands=(a, b), name="??=*/"))
    assert text.isascii()
    assert not any(bad in text for bad in ("*/", "/*", "??", "\\", "\n"))


def test_every_op_has_a_formula_in_comment_safe_ascii() -> None:
    """An op is printed the moment it has a row, whatever its operands and parameters are."""
    params = {
        "axes": (0,),
        "inputs": ((0, 1), (1, 2)),
        "output": (0, 2),
        "shape": (2,),
        "start": (0,),
        "step": (1,),
        "size": 3,
        "order": 0,
        "dtype": t.float64,
    }
    kind = t.float64[2]
    for row in ops.TABLE:
        if row is ops.OPS["constant"]:
            continue
        operands = tuple(
            Node(INPUT, (), {"dtype": t.float64, "shape": (2,)}, kind, i, name)
            for i, name in enumerate("abc"[: max(1, len(row.domain))])
        )
        text = equation(Node(row, operands, params, kind, 9, "y"))
        assert text.isascii()
        assert "*/" not in text
        if row.domain and row.name not in ("broadcast_to", "reshape", "cast"):
            assert text.startswith("y = "), row
            assert any(word in text for word in "abc"), row


def test_backward_lines_are_comment_safe_too() -> None:
    nodes = trace_function(value_and_grad(exercise, (0, 2)), (1.0,) * 5).graph.nodes
    for x in nodes:
        text = equation(x)
        assert len(text) < 60
        assert "*/" not in text
