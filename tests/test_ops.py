"""Every face of every row of the op table. A row added to the table is tested by being there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from op_examples import Example, examples, sample

from graphc import ops, reference
from graphc.derive import pull, push
from graphc.errors import DTypeError, GraphcError
from graphc.graph import Diagonal, Graph, Linear, Node, NoDerivative, Op, Stated, apply, verify
from graphc.ops.control import CONTROL
from graphc.ops.rules import CHECKPOINT, CUSTOM
from graphc.ops.shape import INPUT
from graphc.trace import Tensor
from graphc.types import DTYPES, TensorType, dtype_of, float32

BUNDLES = (*CONTROL, CUSTOM, CHECKPOINT)  # those are in test_control.py and test_transforms.py
NAMES = [op.name for op in ops.TABLE if op not in BUNDLES]
SMOOTH = [name for name in NAMES if not isinstance(ops.OPS[name].derivative, NoDerivative)]
LEAVES = ("input", "constant", "dimension", "iota")


HALVES = ("float16", "bfloat16")
"""Computed with as float32, which tests/test_halves.py looks at."""


def typed(example: Example, dtype: str) -> tuple[np.dtype[Any], ...]:
    fixed = example.dtypes or ("",) * len(example.shapes)
    return tuple(np.dtype(own or dtype) for own in fixed)


def inputs_for(arrays: Sequence[np.ndarray]) -> list[Node]:
    return [
        replace(apply(INPUT, dtype=dtype_of(x.dtype), shape=x.shape), name=f"x{i}")
        for i, x in enumerate(arrays)
    ]


def accepted(op: Op, example: Example) -> list[str]:
    """The dtypes the row takes."""
    found = []
    for dtype in (name for name in DTYPES if name not in HALVES):
        types = tuple(
            TensorType(dtype_of(d), shape)
            for d, shape in zip(typed(example, dtype), example.shapes, strict=True)
        )
        try:
            op.infer(types, example.params)
        except DTypeError:
            continue
        found.append(dtype)
    return found


# --- the checks, which tests of tests call with wrong rows ---------------------------------------


def check_evaluate(op: Op) -> None:
    """`evaluate` is what the oracle says, and has the type that `infer` says."""
    for example in examples(op):
        dtypes = accepted(op, example)
        assert dtypes, f"{op.name} takes no dtype at all"
        for dtype in dtypes:
            arrays = sample(op, example, typed(example, dtype))
            types = tuple(TensorType(dtype_of(x.dtype), x.shape) for x in arrays)
            wanted = op.infer(types, example.params)
            got = np.asarray(op.evaluate(example.params, *arrays))
            about = f"{op.name}{example.params} of {types}"
            assert (got.dtype, got.shape) == (wanted.dtype.numpy, wanted.shape), about
            with np.errstate(all="ignore"):
                truth = np.asarray(example.oracle(*arrays))
            exact = got.dtype.kind != "f"
            eps = 0 if exact else 16 * np.finfo(got.dtype).eps
            np.testing.assert_allclose(got, truth, rtol=eps, atol=eps, err_msg=about)


def adjoint_graph(graph: Graph) -> tuple[Graph, list[int]]:
    """w and the inputs -> Jᵀw, and the slots of the inputs it is the cotangent of."""
    slots = [i for i, x in enumerate(graph.inputs) if x.dtype.kind == "f"]
    seeds = [
        replace(apply(INPUT, dtype=y.dtype, shape=y.shape), name=f"w{i}")
        for i, y in enumerate(graph.outputs)
    ]
    wrt = [graph.inputs[i] for i in slots]
    found = pull(graph.outputs, [Tensor(x) for x in seeds], wrt)
    zeros = [np.zeros_like(Tensor(x)) if g is None else g for g, x in zip(found, wrt, strict=True)]
    outputs = tuple(g.node for g in zeros)
    return Graph("adjoint", (*graph.inputs, *seeds), outputs, ("",) * len(outputs)), slots


def tangent_graph(graph: Graph) -> tuple[Graph, list[int]]:
    """v and the inputs -> Jv."""
    slots = [i for i, x in enumerate(graph.inputs) if x.dtype.kind == "f"]
    wrt = [graph.inputs[i] for i in slots]
    directions = [
        replace(apply(INPUT, dtype=x.dtype, shape=x.shape), name=f"v{i}") for i, x in enumerate(wrt)
    ]
    found = push(graph.outputs, wrt, [Tensor(x) for x in directions])
    zeros = [
        np.zeros_like(Tensor(y)) if t is None else t
        for t, y in zip(found, graph.outputs, strict=True)
    ]
    outputs = tuple(t.node for t in zeros)
    return Graph("tangent", (*graph.inputs, *directions), outputs, ("",) * len(outputs)), slots


def inner(xs: Sequence[np.ndarray], ys: Sequence[np.ndarray]) -> tuple[float, float]:
    """⟨xs, ys⟩, and the sum of the magnitudes that went into it."""
    pairs = list(zip(xs, ys, strict=True))
    return (
        sum(float(np.sum(x * y)) for x, y in pairs),
        sum(float(np.sum(np.abs(x * y))) for x, y in pairs),
    )


def check_derivative(
    graph: Graph, arrays: Sequence[np.ndarray], label: str, order: int = 1
) -> None:
    """⟨Jv, w⟩ = ⟨v, Jᵀw⟩, central differences, types of cotangents; then the same of Jᵀw."""
    random = np.random.default_rng(1)
    adjoint, slots = adjoint_graph(graph)
    tangent, _ = tangent_graph(graph)
    for derived in (adjoint, tangent):
        for node in derived.nodes:
            assert node.op.infer(tuple(x.type for x in node.operands), node.params) == node.type
    for slot, g in zip(slots, adjoint.outputs, strict=True):
        assert g.type == graph.inputs[slot].type, f"{label}: cotangent {g.type}"
    v = [random.normal(size=arrays[i].shape) for i in slots]
    w = [random.normal(size=y.shape) for y in graph.outputs]
    jv = reference.run(tangent, [*arrays, *v])
    jtw = reference.run(adjoint, [*arrays, *w])
    (left, size), (right, other) = inner(jv, w), inner(v, jtw)
    single = any(node.dtype is float32 for node in graph.nodes)
    assert abs(left - right) <= (1e-6 if single else 1e-12) * max(size, other, 1e-3), (
        f"{label}: ⟨Jv, w⟩ = {left}, ⟨v, Jᵀw⟩ = {right}"
    )

    def moved(h: float) -> list[np.ndarray]:
        there = list(arrays)
        for slot, direction in zip(slots, v, strict=True):
            there[slot] = arrays[slot] + h * direction
        return reference.run(graph, there)

    h = 1e-2 if single else 1e-5
    rtol = 1e-3 if single else 1e-6
    for up, down, exact in zip(moved(h), moved(-h), jv, strict=True):
        np.testing.assert_allclose(
            exact,
            (up - down) / (2 * h),
            rtol=rtol,
            atol=rtol,
            err_msg=f"{label}: J v against central differences",
        )
    if order > 1:
        check_derivative(adjoint, [*arrays, *w], f"{label}, second derivative", order - 1)


def check_op_derivative(op: Op, order: int = 2) -> None:
    """The derivative of one row, in both directions and twice, on all its examples."""
    for example in examples(op):
        arrays = sample(op, example, typed(example, "float64"))
        inputs = inputs_for(arrays)
        node = apply(op, *inputs, **example.params)
        if node.dtype.kind == "f" and all(0 not in x.shape for x in arrays):
            label = f"{op.name}{example.params or ''}"
            check_derivative(Graph(op.name, tuple(inputs), (node,), ("y",)), arrays, label, order)


# --- the tests ----------------------------------------------------------------------------------


def test_table_is_unique_and_named() -> None:
    assert len(set(NAMES)) == len(NAMES)
    functions = [name for op in ops.TABLE for name in op.functions]
    assert len(set(functions)) == len(functions)
    for op in ops.TABLE:
        assert op.symbol.text, f"{op.name} has no symbol text"
        assert op.symbol.latex, f"{op.name} has no LaTeX"
        assert op.symbol.form in ("infix", "prefix", "call", "around", "postfix", "special"), (
            op.name
        )


@pytest.mark.parametrize("name", NAMES)
def test_evaluate(name: str) -> None:
    check_evaluate(ops.OPS[name])


@pytest.mark.parametrize("name", SMOOTH)
def test_derivative(name: str) -> None:
    check_op_derivative(ops.OPS[name])


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cotangents_have_their_primals_type(name: str, dtype: str) -> None:
    op = ops.OPS[name]
    for example in examples(op):
        inputs = inputs_for(sample(op, example, typed(example, dtype)))
        node = apply(op, *inputs, **example.params)
        if node.dtype.kind != "f":
            continue
        graph = Graph(op.name, tuple(inputs), (node,), ("y",))
        adjoint, slots = adjoint_graph(graph)
        verify(adjoint)
        for slot, g in zip(slots, adjoint.outputs, strict=True):
            assert g.type == inputs[slot].type, f"{op.name}: {g.type}"


@pytest.mark.parametrize("name", [op.name for op in ops.TABLE if op.commutative])
def test_commutative(name: str) -> None:
    op = ops.OPS[name]
    for example in examples(op):
        for dtype in accepted(op, example):
            a, b = sample(op, example, typed(example, dtype))
            np.testing.assert_array_equal(op.evaluate({}, a, b), op.evaluate({}, b, a))


@pytest.mark.parametrize(
    "name", [op.name for op in ops.TABLE if len(op.domain) == 1 and op.name not in LEAVES]
)
def test_domain_is_smooth(name: str) -> None:
    """On its domain a row is finite: a derivative can be tested there."""
    op = ops.OPS[name]
    for example in examples(op):
        if "float64" in accepted(op, example):
            arrays = sample(op, example, typed(example, "float64"))
            if all(x.size for x in arrays):
                assert np.isfinite(op.evaluate(example.params, *arrays)).all(), name


@pytest.mark.parametrize("op", [op for op in ops.TABLE if len(op.domain) > 1], ids=str)
def test_refuses_mixed_dtypes(op: Op) -> None:
    example = examples(op)[0]
    wrong = (*("float32",) * (len(example.shapes) - 1), "float64")
    types = tuple(TensorType(dtype_of(d), s) for d, s in zip(wrong, example.shapes, strict=True))
    with pytest.raises(GraphcError, match=r"dtype|bool|fit|not defined"):
        op.infer(types, example.params)


# --- tests of the tests -------------------------------------------------------------------------


def bent(op: Op) -> Op:
    """The row with its derivative a thousandth too large, in reverse mode only where it can be."""
    rule = op.derivative
    match rule:
        case Diagonal():
            wrong: Any = Diagonal(
                tuple(
                    None if fn is None else (lambda t, *rest, fn=fn: fn(t, *rest) * 1.001)
                    for fn in rule.scaled
                )
            )
        case Linear():
            wrong = replace(rule, transpose=lambda g, k, node: rule.transpose(g, k, node) * 1.001)
        case Stated():
            wrong = replace(rule, vjp=lambda *args: rule.vjp(*args) * 1.001)
    return replace(op, derivative=wrong)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_derivative_wrong_by_a_thousandth_fails(name: str) -> None:
    with pytest.raises(AssertionError, match=name):
        check_op_derivative(bent(ops.OPS[name]), order=1)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "input"])
def test_a_value_wrong_by_a_thousandth_fails(name: str) -> None:
    op = ops.OPS[name]

    def wrong(params: Any, *arrays: Any) -> Any:
        value = np.asarray(op.evaluate(params, *arrays))
        if value.dtype.kind == "f":
            return (value * value.dtype.type(1.001) + value.dtype.type(1e-3)).astype(value.dtype)
        return ~value if value.dtype.kind == "b" else value + value.dtype.type(1)

    with pytest.raises(AssertionError, match=name):
        check_evaluate(replace(op, evaluate=wrong))


def test_a_row_without_example_fails_by_name() -> None:
    with pytest.raises(KeyError, match="brand_new"):
        examples(replace(ops.OPS["sum"], name="brand_new"))
