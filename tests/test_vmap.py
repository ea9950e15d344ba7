"""vmap against Python loops over the examples: of every row, of loops, branches, derivatives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from op_examples import Example, examples, sample

import graphc
from graphc import ops
from graphc.errors import DTypeError, ShapeError, TraceError
from graphc.graph import Op, apply
from graphc.ops.control import CONTROL
from graphc.ops.leaves import LEAVES
from graphc.ops.rules import CHECKPOINT, CUSTOM
from graphc.trace import Tensor
from graphc.transform import checkpoint, grad, hessian, jacobian, jvp, value_and_grad, vjp, vmap
from graphc.types import TensorType, dtype_of

rng = np.random.default_rng(7)
ROWS = [op for op in ops.TABLE if op not in (*CONTROL, *LEAVES, CUSTOM, CHECKPOINT)]
B = 3


def close(found: Any, wanted: Any, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


# --- every row of the table ----------------------------------------------------------------------


def dtypes_of(op: Op, example: Example) -> tuple[str, ...]:
    """The first dtypes that the row takes."""
    for dtype in ("float64", "int64", "bool"):
        found = tuple(own or dtype for own in example.dtypes or ("",) * len(example.shapes))
        types = (TensorType(dtype_of(d), s) for d, s in zip(found, example.shapes, strict=True))
        try:
            op.infer(tuple(types), example.params)
        except DTypeError:
            continue
        return found
    raise AssertionError(f"{op.name} takes no dtype")


def check_row(op: Op, example: Example, mask: int) -> None:
    """The row on a batch of the operands whose bit is set, against one example at a time."""
    dtypes = tuple(np.dtype(d) for d in dtypes_of(op, example))
    batches = [sample(op, example, dtypes) for _ in range(B)]
    axes = tuple(0 if mask >> k & 1 else None for k in range(len(dtypes)))
    args = [
        np.stack([np.roll(b[k], i) for i, b in enumerate(batches)]) if axis == 0 else batches[0][k]
        for k, axis in enumerate(axes)
    ]

    def row(*xs: Any) -> Any:
        return Tensor(apply(op, *(x.node for x in xs), **example.params))

    found = vmap(row, axes)(*args)
    for i in range(B):
        one = [a[i] if axis == 0 else a for a, axis in zip(args, axes, strict=True)]
        close(found[i], op.evaluate(example.params, *one))


@pytest.mark.parametrize("op", ROWS, ids=str)
def test_every_row_takes_a_batch(op: Op) -> None:
    for example in examples(op):
        for mask in range(1, 1 << len(example.shapes)):
            check_row(op, example, mask)


def test_a_wrong_batch_rule_fails() -> None:
    def upside_down(xs: Any, mapped: Any, node: Any) -> Any:
        return np.reshape(np.flip(xs[0], 0), (B, *node.shape))

    op = replace(ops.OPS["reshape"], batch=upside_down)
    with pytest.raises(AssertionError, match="Not equal"):
        check_row(op, max(examples(op), key=lambda e: np.prod(e.shapes[0])), 1)


# --- axes ----------------------------------------------------------------------------------------

A = rng.normal(size=(4, 3, 5))
W = rng.normal(size=(5, 3))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("out", [0, 1, 2, -1, -3])
def test_any_axis_in_and_out(axis: int, out: int) -> None:
    def f(x: Any) -> Any:
        return np.sin(x) * x[0]

    wanted = np.stack([f(x) for x in np.moveaxis(A, axis, 0)], out)
    close(vmap(f, axis, out)(A), wanted)
    close(graphc.compile(vmap(f, axis, out), A)(A), wanted)


def test_axes_of_pytrees_and_of_results() -> None:
    def f(p: Any, x: Any, *, scale: Any) -> Any:
        return {"y": (p["w"] @ x) * scale, "p": p["b"]}, np.sum(x)

    p = {"w": rng.normal(size=(2, 3, 4)), "b": rng.normal(size=2)}
    x, scale = rng.normal(size=(3, 4)), rng.normal(size=4)
    found, total = vmap(f, ({"w": 2, "b": None}, 1), ({"y": 1, "p": None}, 0))(p, x, scale=scale)
    close(found["y"], np.stack([p["w"][:, :, i] @ x[:, i] * scale[i] for i in range(4)], 1))
    close(found["p"], p["b"])
    close(total, x.sum(0))


def test_what_is_not_mapped_is_computed_once() -> None:
    graph = graphc.trace(vmap(lambda w, x: np.exp(w) @ x, (None, 0)), W, A[0, 0, :3] * W)
    (exp,) = [x for x in graph.nodes if x.op.name == "exp"]
    assert exp.shape == W.shape


def test_a_mapped_function_may_use_values_from_outside() -> None:
    def f(x: Any, s: Any) -> Any:
        return np.sum(vmap(lambda row: np.tanh(row * s) + vmap(lambda e: e * s)(row))(x))

    x = A[0]
    close(grad(f, 1)(x, 0.7), np.sum(x * (1 - np.tanh(x * 0.7) ** 2) + x))


def test_a_batch_of_any_size_in_one_kernel() -> None:
    f = vmap(grad(lambda w, x: np.sum(np.tanh(x @ w) ** 2)), (None, 0))
    kernel = graphc.compile(f, graphc.float64[5, 3], graphc.float64["n", 5])
    for n in (0, 1, 4):
        x = rng.normal(size=(n, 5))
        wanted = [grad(lambda w, x: np.sum(np.tanh(x @ w) ** 2))(W, row) for row in x]
        close(kernel(W, x), np.reshape(wanted, (n, 5, 3)))


def test_nested_maps() -> None:
    outer = vmap(vmap(lambda a, b: np.exp(-np.sum((a - b) ** 2)), (None, 0)), (0, None))
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
    close(outer(x, y), np.exp(-((x[:, None] - y) ** 2).sum(-1)))


def test_numbers_and_integers_and_bools() -> None:
    found = vmap(lambda i, p: (i // 2, p & True, np.argmax(np.stack([i, 3 - i]))))(
        np.arange(4), np.array([True, False, True, False])
    )
    assert [x.tolist() for x in found] == [[0, 0, 1, 1], [True, False, True, False], [1, 1, 0, 0]]


# --- loops and branches --------------------------------------------------------------------------

U = rng.normal(size=(4, 4)) / 2


def step(h: Any, x: Any) -> Any:
    h = np.tanh(U @ h + x)
    return h, h * 2


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0), (None, 1)])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan(axes: tuple[Any, Any], reverse: bool) -> None:
    def f(h: Any, xs: Any) -> Any:
        return graphc.scan(step, h, xs, reverse=reverse)

    h, xs = rng.normal(size=(6, 4)), rng.normal(size=(6, 5, 4))
    h = h if axes[0] == 0 else h[0]
    xs = xs[0] if axes[1] is None else np.moveaxis(xs, 0, axes[1])
    last, ys = vmap(f, axes, (0, -1))(h, xs)
    kernel = graphc.compile(vmap(f, axes, (0, -1)), h, xs)
    for i in range(6):
        one = f(h[i] if axes[0] == 0 else h, xs if axes[1] is None else np.take(xs, i, axes[1]))
        close(last[i], one[0])
        close(ys[..., i], one[1])
    for got, wanted in zip(kernel(h, xs), (last, ys), strict=True):
        close(got, wanted)


def test_gradients_of_each_example_through_a_scan() -> None:
    def loss(u: Any, xs: Any) -> Any:
        h, ys = graphc.scan(lambda h, x: (np.tanh(u @ h + x), np.sum(h**2)), xs[0] * 0, xs)
        return np.sum(h) + np.sum(ys)

    xs = rng.normal(size=(3, 5, 4))
    wanted = [grad(loss)(U, x) for x in xs]
    found = vmap(grad(loss), (None, 0))
    close(found(U, xs), wanted)
    close(graphc.compile(found, U, xs)(U, xs), wanted)
    again = vmap(grad(lambda u, x: loss(u, x) ** 2), (None, 0))(U, xs)
    close(again, [2 * loss(U, x) * g for x, g in zip(xs, wanted, strict=True)])
    close(vmap(grad(checkpoint(loss)), (None, 0))(U, xs), wanted)


def test_while_loops_end_apart() -> None:
    def f(x: Any, limit: Any) -> Any:
        return graphc.while_loop(lambda c: c[0] < limit, lambda c: (c[0] * c[0], c[1] + 1), (x, 0))

    x = np.array([1.5, 2.0, 20.0, 3.0])
    for axes, limit in (((0, None), 10.0), ((0, 0), np.array([10.0, 3.0, 500.0, 1.0]))):
        found = vmap(f, axes)(x, limit)
        limits = np.broadcast_to(limit, 4)
        one = [f(float(a), float(b)) for a, b in zip(x, limits, strict=True)]
        close(found, np.transpose(one))
        close(graphc.compile(vmap(f, axes), x, limit)(x, limit), np.transpose(one))
    together = vmap(lambda y: graphc.fori_loop(0, 3, lambda i, v: v * y + i, 1.0))(x)
    close(together, [((y + 0) * y + 1) * y + 2 for y in x])


def test_one_decision_stays_a_branch_and_many_choose() -> None:
    def f(p: Any, x: Any) -> Any:
        return graphc.cond(p > 0, lambda x: (np.exp(x), x > 0), lambda x: (x**2.0, x < 0), x)

    p, x = np.array([-1.0, 1.0, 2.0]), rng.normal(size=(3, 2))
    for axes, args in (((0, 0), (p, x)), ((None, 0), (1.0, x)), ((0, None), (p, x[0]))):
        found = vmap(f, axes)(*args)
        for i in range(3):
            one = f(*(a if axis is None else a[i] for a, axis in zip(args, axes, strict=True)))
            close(found[0][i], one[0])
            assert np.array_equal(found[1][i], one[1])
    ops_of = [n.op.name for n in graphc.trace(vmap(f, (None, 0)), 1.0, x).nodes]
    assert "cond" in ops_of
    assert "cond" not in [n.op.name for n in graphc.trace(vmap(f), p, x).nodes]
    close(grad(lambda p, x: np.sum(vmap(f)(p, x)[0]), 1)(p, x),
          np.where(p[:, None] > 0, np.exp(x), 2 * x))  # fmt: skip


# --- with the other transforms -------------------------------------------------------------------


def energy(x: Any) -> Any:
    return np.sum(np.sin(x) * x**2) + np.prod(np.cos(x))


X = rng.normal(size=(4, 3))


@pytest.mark.parametrize(
    "of",
    [
        grad(energy),
        lambda x: value_and_grad(energy)(x)[1],
        jacobian(lambda x: np.outer(x, x)),
        hessian(energy),
        lambda x: jvp(grad(energy), (x,), (x * x,))[1],
        lambda x: vjp(lambda y: np.exp(y) * y[0], x)[1](x)[0],
        grad(lambda x: np.sum(vmap(lambda e: np.sin(e) * x[0])(x))),
    ],
    ids=["grad", "value_and_grad", "jacobian", "hessian", "hvp", "vjp", "grad of vmap"],
)
def test_maps_of_derivatives(of: Any) -> None:
    wanted = np.stack([of(x) for x in X])
    close(vmap(of)(X), wanted)
    close(graphc.compile(vmap(of), graphc.float64["n", 3])(X), wanted)


def test_derivatives_of_maps() -> None:
    mapped = lambda x: np.sum(vmap(energy)(x))  # noqa: E731  # a formula
    close(grad(mapped)(X), np.stack([grad(energy)(x) for x in X]))
    close(jvp(vmap(energy), (X,), (X,))[1], [grad(energy)(x) @ x for x in X])
    full = hessian(mapped)(X)
    for i, x in enumerate(X):
        close(full[i, :, i], hessian(energy)(x))
        assert not np.any(full[i, :, i - 1])


# --- misuse --------------------------------------------------------------------------------------


def test_misuse_names_both_sides() -> None:
    with pytest.raises(ShapeError, match=r"vmap of energy: x is float64\[4, 3\] and has no axis 2"):
        vmap(energy, 2)(X)
    with pytest.raises(ShapeError, match=r"a has 4 examples along axis 0, b has 3 along axis 1"):
        vmap(lambda a, b: a + b, (0, 1))(X, X)
    with pytest.raises(
        TraceError, match=r"in_axes of vmap of energy has 2 entries for 1 positional"
    ):
        vmap(energy, (0, 1))(X)
    with pytest.raises(TraceError, match="maps none of its arguments"):
        vmap(energy, None)(X)
    with pytest.raises(TraceError, match=r"out_axes of vmap of energy is None for a result"):
        vmap(energy, 0, None)(X)
    with pytest.raises(ShapeError, match=r"out_axes of vmap of energy: 3 is out of range for 1"):
        vmap(energy, 0, 3)(X)
    with pytest.raises(TraceError, match=r"in_axes of vmap of first does not fit"):
        vmap(first, ({"b": 0},))({"a": X})
    with pytest.raises(
        TraceError, match=r"holds 'x' at test_vmap.py:.*: an axis is an int, or None"
    ):
        vmap(first, ({"a": "x"},))({"a": X})


def first(p: Any) -> Any:
    return p["a"]


def test_an_op_without_a_rule_is_refused_by_name() -> None:
    row = replace(ops.OPS["pad"], name="crumple", batch=None)

    def f(x: Any) -> Any:
        return Tensor(apply(row, x.node, start=(0,), step=(1,), shape=(5,)))

    with pytest.raises(TraceError, match="vmap does not cover crumple"):
        vmap(f)(X)
