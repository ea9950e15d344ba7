"""Sparse jacobians and Hessians against dense ones: their patterns, colours, values and C."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import graphc
from graphc.errors import ArgumentError, TraceError
from graphc.transform import checkpoint, custom_derivative, hessian, jacobian, stop_gradient
from graphc.transform.sparse import colouring

rng = np.random.default_rng(11)
X = rng.uniform(0.5, 1.5, size=12)
BAND = np.diag(np.full(12, 2.0)) - np.diag(np.ones(11), 1) - np.diag(np.ones(11), -1)
PICK = np.array([3, 3, 0, 11])


def chained(x: Any) -> Any:
    return np.concatenate([x[:1] ** 2, x[1:-1] * x[2:] - x[:-2] ** 3, x[-1:]])


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x) ** 2)


# name: (function of X, places that are not zero, colours)
CASES: dict[str, tuple[Any, int, int]] = {
    "elementwise": (np.exp, 12, 1),
    "chain": (chained, 32, 3),
    "flip, stride, pad": (lambda x: np.pad(x[::-2] ** 2, (1, 2)), 6, 1),
    "roll": (lambda x: np.roll(x, 3) * x, 24, 2),
    "rows": (lambda x: np.sum(np.reshape(x, (3, 4)) ** 2, axis=1), 12, 1),
    "columns": (lambda x: np.max(np.reshape(x, (3, 4)), axis=0), 12, 1),
    "known zeros in a product": (lambda x: BAND @ x**2, 34, 3),
    "known zeros in a factor": (lambda x: x * np.array([1.0, 0.0] * 6), 6, 1),
    "a choice made before": (lambda x: np.where(np.arange(12) < 5, x * x[::-1], 3.0), 10, 1),
    "triangle": (lambda x: np.tril(np.outer(x[:3], x[:3])), 9, 3),
    "diagonal": (lambda x: np.diagonal(np.outer(x, x)), 12, 1),
    "transposes": (lambda x: np.reshape(x, (3, 4)).T * np.ones((4, 3)), 12, 1),
    "gather": (lambda x: x[PICK] ** 2, 4, 1),
    "running sum": (lambda x: np.cumsum(x * x), 78, 12),
    "dense row": (lambda x: np.concatenate([x, np.sum(x, keepdims=True) ** 2]), 24, 2),
    "windows": (
        lambda x: np.sum(np.lib.stride_tricks.sliding_window_view(x, 3) ** 2, axis=-1), 30, 3,
    ),
    "stopped": (lambda x: x * stop_gradient(x[::-1]), 12, 1),
    "scan": (lambda x: graphc.scan(lambda c, v: (v, np.sin(c) * v), 1.0, x)[1], 23, 2),
    "branch": (lambda x: graphc.cond(x[0] > 0, lambda x: x * x[::-1], np.exp, x), 24, 2),
    "loop": (lambda x: graphc.while_loop(lambda c: c[0] < 9, lambda c: c * c, x + 1.0), 12, 1),
    "checkpoint": (checkpoint(chained), 32, 3),
    "nothing": (lambda x: np.floor(x), 0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_sparse_jacobian_is_the_dense_one(name: str) -> None:
    f, places, colours = CASES[name]
    sparse = jacobian(f, sparse=True)
    found, pattern = sparse(X), sparse.pattern(X)
    wanted = np.asarray(jacobian(f)(X))
    wanted = wanted.reshape(-1, 12)
    assert isinstance(found, scipy.sparse.csr_array)
    assert found.shape == wanted.shape == pattern.shape
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-12, atol=1e-12)
    assert pattern.nnz == places
    assert sparse.colours(X) == colours
    values = graphc.compile(sparse.values, X)(X)
    np.testing.assert_allclose(values, sparse.values(X), rtol=1e-12)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_every_mode(mode: str) -> None:
    for f in (chained, CASES["dense row"][0], CASES["rows"][0]):
        found = jacobian(f, mode=mode, sparse=True)(X)
        np.testing.assert_allclose(found.toarray(), jacobian(f)(X), rtol=1e-12, atol=1e-12)


def test_hessians() -> None:
    h = hessian(rosenbrock, sparse=True)
    np.testing.assert_allclose(h(X).toarray(), hessian(rosenbrock)(X), atol=1e-10)
    assert h.pattern(X).nnz == 34
    assert h.colours(X) == 3
    kernel = graphc.compile(h, graphc.float64[12])
    values, rows, cols = kernel(X)
    again = scipy.sparse.csr_array((values, (rows, cols)), shape=(12, 12))
    np.testing.assert_allclose(again.toarray(), hessian(rosenbrock)(X), atol=1e-10)
    # The work does not grow with the number of columns.
    nodes = [len(graphc.trace(h.values, graphc.float64[n]).optimized().nodes) for n in (10, 200)]
    assert nodes[0] == nodes[1]


def test_thousands_of_columns() -> None:
    x = rng.uniform(0.5, 1.5, size=3000)
    found = hessian(rosenbrock, sparse=True)(x)
    assert found.nnz == 3 * 3000 - 2
    v = rng.normal(size=3000)
    np.testing.assert_allclose(found @ v, graphc.hvp(rosenbrock, (x,), (v,)), rtol=1e-9, atol=1e-9)


def test_trees_of_blocks() -> None:
    def f(p: Any, y: Any) -> Any:
        return {"s": np.sum(p["a"] ** 2) * y[0], "v": p["a"][:, None] * y}

    args = ({"a": X[:4]}, X[4:7])
    sparse, dense = jacobian(f, (0, 1), sparse=True)(*args), jacobian(f, (0, 1))(*args)
    for key, rows in (("s", 1), ("v", 12)):
        for found, wanted, columns in (
            (sparse[key][0]["a"], dense[key][0]["a"], 4),
            (sparse[key][1], dense[key][1], 3),
        ):
            np.testing.assert_allclose(found.toarray(), wanted.reshape(rows, columns))
    assert sparse["v"][0]["a"].nnz == 12


def test_an_index_that_is_data_counts_as_all() -> None:
    f = jacobian(lambda x, i: x[i] ** 2, sparse=True)
    assert f.pattern(X, PICK).nnz == 48
    np.testing.assert_allclose(f(X, PICK).toarray(), jacobian(lambda x: x[PICK] ** 2)(X))


def test_a_custom_rule_may_depend_on_all() -> None:
    f = custom_derivative(lambda x: x * 2.0)
    f.defvjp(lambda x: (x * 2.0, None), lambda _, g: (2 * g,))
    found = jacobian(lambda x: f(x), sparse=True)
    assert found.pattern(X).nnz == 144
    np.testing.assert_allclose(found(X).toarray(), 2 * np.eye(12))


def test_colours_never_share_a_row() -> None:
    for _ in range(20):
        matrix = rng.random((15, 20)) < 0.15
        rows, cols = np.nonzero(matrix)
        colours = colouring(rows, cols, matrix.shape)
        for colour in range(colours.max() + 1):
            assert matrix[:, colours == colour].sum(1).max(initial=0) <= 1
        assert colours.max() < 20


def test_misuse_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraceError, match="needs sizes that are known"):
        graphc.compile(jacobian(np.exp, sparse=True), graphc.float64["n"])
    with pytest.raises(TraceError, match="has no has_aux: take the aux from fn itself"):
        jacobian(np.exp, has_aux=True, sparse=True)
    with pytest.raises(TraceError, match="has no has_aux: take the aux from fn itself"):
        hessian(np.exp, has_aux=True, sparse=True)
    with pytest.raises(TraceError, match="mode of jacobian is one of"):
        jacobian(np.exp, mode="sideways", sparse=True)
    with pytest.raises(TraceError, match=r"with respect to x: int64\[3\]"):
        jacobian(lambda x: x * 2.0, sparse=True)(np.arange(3))
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ArgumentError, match="SciPy is not installed: pip install scipy"):
        jacobian(np.exp, sparse=True)(X)
