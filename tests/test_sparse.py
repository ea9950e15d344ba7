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
from graphc.transform.colouring import colouring, neighbours, star_colouring, star_reads

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


# --- stars: Hessians are symmetric ----------------------------------------------------------------


def pattern_of(size: int, edges: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a symmetric matrix with a full diagonal."""
    matrix = np.eye(size, dtype=bool)
    for i, j in edges:
        matrix[i, j] = matrix[j, i] = True
    rows, cols = np.nonzero(matrix)
    return rows, cols


def path(n: int) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(n - 1)]


def grid(n: int, m: int) -> list[tuple[int, int]]:
    across = [(i * m + j, i * m + j + 1) for i in range(n) for j in range(m - 1)]
    return across + [(i * m + j, (i + 1) * m + j) for i in range(n - 1) for j in range(m)]


# name: (vertices, edges, star colours, colours of columns): the star chromatic numbers of paths
# (3), cycles (3, but 4 of five), trees (at most 3), complete and complete bipartite graphs
# (n; m + 1) are G. Fertin, A. Raspaud, B. Reed, Star Coloring of Graphs, 2004; that bands gain
# nothing is Coleman and Moré 1984, and arrows are their example of how much there is to gain.
STARS: dict[str, tuple[int, Any, int, int]] = {
    "diagonal": (9, [], 1, 1),
    "arrow": (40, [(0, j) for j in range(1, 40)], 2, 40),
    "arrow that points down": (40, [(39, j) for j in range(39)], 2, 40),
    "two arrows": (41, [(h, j) for h in (0, 1) for j in range(2, 41)], 3, 41),
    "tridiagonal": (30, path(30), 3, 3),
    "pentadiagonal": (30, [*path(30), *((i, i + 2) for i in range(28))], 5, 5),
    "cycle of 5": (5, [*path(5), (4, 0)], 4, 5),
    "cycle of 9": (9, [*path(9), (8, 0)], 3, 3),
    "cycle of 12": (12, [*path(12), (11, 0)], 3, 3),
    "complete": (7, [(i, j) for i in range(7) for j in range(i)], 7, 7),
    "complete bipartite": (14, [(i, j) for i in range(4) for j in range(4, 14)], 5, 14),
    "caterpillar": (40, [*path(10), *((i % 10, i) for i in range(10, 40))], 3, 6),
}


def is_star_coloured(colours: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> bool:
    near = neighbours(rows, cols, len(colours))
    for b, others in enumerate(near):
        for c in others:
            if colours[b] == colours[c]:
                return False
            for a in near[b]:
                for d in near[c]:
                    ends = (a, d, colours[a] == colours[c], colours[d] == colours[b])
                    if a != c and d != b and a != d and ends[2] and ends[3]:
                        return False
    return True


@pytest.mark.parametrize("name", STARS)
def test_stars_are_as_few_as_the_literature_says(name: str) -> None:
    size, edges, stars, columns = STARS[name]
    rows, cols = pattern_of(size, edges)
    found = star_colouring(rows, cols, size)
    assert is_star_coloured(found, rows, cols)
    greedy = name in ("cycle of 9", "caterpillar")  # where an order that sees ahead would save one
    assert found.max() + 1 == stars + greedy
    assert colouring(rows, cols, (size, size)).max() + 1 == columns


def test_stars_of_grids_and_of_anything() -> None:
    """Grids need 5 (Fertin, Raspaud and Reed); a greedy order takes a few more."""
    rows, cols = pattern_of(80, grid(8, 10))
    found = star_colouring(rows, cols, 80)
    assert is_star_coloured(found, rows, cols)
    assert 5 <= found.max() + 1 <= 6
    for seed in range(30):
        random = np.random.default_rng(seed)
        matrix = np.triu(random.random((25, 25)) < random.uniform(0.02, 0.3))
        matrix = matrix | matrix.T
        rows, cols = np.nonzero(matrix)
        found = star_colouring(rows, cols, 25)
        assert is_star_coloured(found, rows, cols)
        values = random.normal(size=(25, 25)) * matrix
        values = values + values.T
        products = values @ np.eye(found.max() + 1)[found]
        at_colour, at_row = star_reads(found, rows, cols)
        np.testing.assert_allclose(products[at_row, at_colour], values[rows, cols])
    assert not is_star_coloured(np.array([0, 1, 0, 1]), *pattern_of(4, path(4)))


def arrow(x: Any) -> Any:
    return np.sum(np.sin(x[0] * x[1:])) + x[0] ** 3 + np.sum(x[1:] ** 4)


def membrane(x: Any) -> Any:
    u = np.reshape(x, (6, 7))
    return np.sum(np.exp(u)) + np.sum((u[1:] - u[:-1]) ** 4) + np.sum((u[:, 1:] - u[:, :-1]) ** 4)


@pytest.mark.parametrize(("f", "size", "most"), [(arrow, 30, 2), (membrane, 42, 6)])
def test_hessians_by_stars(f: Any, size: int, most: int) -> None:
    x = rng.uniform(0.5, 1.5, size=size)
    h = hessian(f, sparse=True)
    wanted = hessian(f)(x)
    np.testing.assert_allclose(h(x).toarray(), wanted, atol=1e-10)
    assert h.colours(x) <= most
    assert jacobian(graphc.grad(f), mode="forward", sparse=True).colours(x) >= h.colours(x)
    values = graphc.compile(h.values, graphc.float64[size])(x)
    where = h.pattern(x)
    np.testing.assert_allclose(values, wanted[where.rows, where.cols], atol=1e-10)


def test_stars_over_several_arguments_and_trees() -> None:
    def f(p: Any, y: Any) -> Any:
        return np.sum(p["a"] ** 2 * y[0]) + np.sum(np.cos(y[1:] * p["b"]))

    args = ({"a": X[:5], "b": X[5]}, X[6:10])
    h = hessian(f, (0, 1), sparse=True)
    assert h.colours(*args) < jacobian(graphc.grad(f, (0, 1)), (0, 1), sparse=True).colours(*args)
    found, wanted = h(*args), hessian(f, (0, 1))(*args)
    for one, other in (
        (found[0]["a"][1], wanted[0]["a"][1]),
        (found[1][0]["a"], wanted[1][0]["a"]),
        (found[0]["b"][1], wanted[0]["b"][1]),
        (found[1][0]["b"], wanted[1][0]["b"]),
        (found[0]["a"][0]["a"], wanted[0]["a"][0]["a"]),
        (found[1][1], wanted[1][1]),
    ):
        np.testing.assert_allclose(one.toarray(), np.reshape(other, one.shape), atol=1e-12)


def test_a_rule_of_ones_own_may_be_unsymmetric() -> None:
    @custom_derivative
    def f(x: Any) -> Any:
        return x[0] * x[1:]

    f.defvjp(lambda x: (f(x), x), lambda x, g: (np.concatenate([x[:1] * 0, g * x[0] ** 2]),))
    h = hessian(lambda x: np.sum(f(x)), sparse=True)
    np.testing.assert_allclose(h(X).toarray(), hessian(lambda x: np.sum(f(x)))(X))
    assert h(X).toarray()[3, 0] != h(X).toarray()[0, 3]


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
