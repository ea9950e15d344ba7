"""x[arrays], x.at[...], np.take and kin: NumPy's meaning, C, derivatives in both directions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_tools import build
from test_ops import check_derivative

import graphc
from graphc import loops_run, reference
from graphc.errors import IndexRangeError, ShapeError, TraceError
from graphc.graph import Graph, verify
from graphc.lower import lower
from graphc.passes import optimize
from graphc.trace import at, trace_function
from graphc.transform import grad
from graphc.types import float64, int32, int64

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 5, 6))
I3, J3, K23 = np.array([1, 0, -1]), np.array([2, -2, 2]), np.array([[0, 3, 1], [-4, 2, 2]])
MASK = np.array([True, False, True, True])
MASK2 = rng.uniform(size=(4, 5)) < 0.4

KEYS: dict[str, Any] = {
    "array": I3,
    "list": [0, 2, 2],
    "pair": (I3, J3),
    "broadcast pair": (K23, J3),
    "column and row": (I3[:, None], J3[None, :2]),
    "second axis": (slice(None), I3),
    "last axis": (..., K23),
    "apart": (I3, slice(None), J3),
    "apart, one an integer": (1, slice(None), J3),
    "integer beside": (slice(None), 1, J3),
    "empty ellipsis between": (I3, slice(None), ..., J3),
    "ellipsis of no axes": (I3, J3, ..., slice(1, 4)),
    "newaxis between": (I3, None, J3),
    "newaxis before": (None, slice(None), I3),
    "slice and array": (slice(1, 3), I3, slice(None, None, -2)),
    "array and slice": (K23, slice(0, 5, 2)),
    "all axes": (I3, J3, I3),
    "empty": ([], slice(None)),
    "empty array": (slice(None), np.zeros((0, 2), np.int64)),
    "mask": MASK,
    "mask of two axes": MASK2,
    "mask and slice": (MASK, slice(1, 3)),
    "mask and array": (MASK, I3),
    "mask of nothing": np.zeros(4, bool),
    "numpy integer": (np.int32(2), I3.astype(np.int32)),
    "nested list": ([[0, 1], [2, 3]],),
    "0-d array": (np.array(2), slice(1, None)),
    "basic": (slice(1, 3), 2, None, slice(None, None, -1)),
    "integers": (1, 2, 3),
}


def as_arguments(key: Any) -> tuple[list[np.ndarray], Callable[..., Any]]:
    """The integer arrays of a key, and what makes the key of traced ones."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [np.asarray(k) for k in parts if isinstance(k, np.ndarray) and k.dtype.kind == "i"]

    def remade(*traced: Any) -> tuple[Any, ...]:
        rest = iter(traced)
        return tuple(
            next(rest) if isinstance(k, np.ndarray) and k.dtype.kind == "i" else k for k in parts
        )

    return arrays, remade


def check(
    fn: Callable[..., Any], args: list[Any], folder: Path | None = None, order: int = 2
) -> Graph:
    """Traced, optimised, as loops and in C the function is itself on arrays; its derivative is
    right in both directions."""
    with np.errstate(all="ignore"):
        result = fn(*args)
    wanted = [np.asarray(y) for y in (result if isinstance(result, tuple | list) else [result])]
    graph = trace_function(fn, args).graph
    verify(graph)
    for form in (graph, optimize(graph)):
        for got, want in zip(reference.run(form, args), wanted, strict=True):
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
        for got, want in zip(loops_run.run(lower(form), args), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    if order and all(y.dtype.kind == "f" and y.size for y in graph_values(graph)):
        check_derivative(graph, args, str(fn), order)
    if folder is not None:
        (compiled,) = build([optimize(graph)], folder)
        for got, want in zip(compiled(args), wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    return graph


def graph_values(graph: Graph) -> list[Any]:
    return [np.zeros(y.shape, y.dtype.numpy) for y in graph.outputs]


@pytest.mark.parametrize("name", KEYS)
def test_constant_keys(name: str) -> None:
    key = KEYS[name]
    check(lambda x: x[key], [X])


@pytest.mark.parametrize("name", KEYS)
def test_traced_keys(name: str) -> None:
    arrays, remade = as_arguments(KEYS[name])
    check(lambda x, *ids: x[remade(*ids)], [X, *arrays], order=1)


WAYS = ("set", "add", "subtract", "multiply", "divide", "max", "min")


def away_from_zero(shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", KEYS)
def test_updates(name: str, way: str) -> None:
    key = KEYS[name]
    values = away_from_zero(X[key].shape)
    check(lambda x, v: getattr(at(x)[key], way)(v), [X, values], order=1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["array", "broadcast pair", "apart", "slice and array", "0-d array"]
)
def test_updates_at_traced_keys(name: str, way: str) -> None:
    arrays, remade = as_arguments(KEYS[name])
    values = away_from_zero(X[KEYS[name]].shape)
    check(lambda x, v, *ids: getattr(at(x)[remade(*ids)], way)(v), [X, values, *arrays], order=2)


# --- functions ----------------------------------------------------------------------------------

IDS = np.array([[2, 0], [1, 2]])
V = rng.normal(size=7)
ROWS = np.argsort(rng.normal(size=(4, 2, 6)), axis=1)
TABLE = np.sort(rng.normal(size=9))

FUNCTIONS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "take": (lambda x, i: np.take(x, i), [X, IDS]),
    "take axis": (lambda x, i: np.take(x, i, axis=1), [X, IDS]),
    "take last": (lambda x, i: x.take(i, axis=-1), [X, IDS]),
    "take one": (lambda x: np.take(x, 2, axis=1), [X]),
    "take clip": (lambda x, i: np.take(x, i * 9 - 9, axis=0, mode="clip"), [X, IDS]),
    "take wrap": (lambda x, i: np.take(x, i * 9 - 9, axis=2, mode="wrap"), [X, IDS]),
    "table of constants": (lambda i: at(V)[i].get(), [IDS]),
    "take_along_axis": (lambda x, i: np.take_along_axis(x, i, axis=1), [X, ROWS]),
    "take_along_axis broadcast": (
        lambda x, i: np.take_along_axis(x, i, axis=1), [X, ROWS[:1, :, :1]]),
    "take_along_axis flat": (lambda x, i: np.take_along_axis(x, i, axis=None), [X, IDS[0]]),
    "choose": (lambda i, a, b, c: np.choose(i, [a, b, c]), [IDS, X[0, :2, :2], V[:2], V[3]]),
    "compress": (lambda x: np.compress([True, False, True], x, axis=1), [X]),
    "repeat by counts": (lambda x: np.repeat(x, [2, 0, 1, 3], axis=0), [X]),
    "delete": (lambda x: np.delete(x, [1, -1], axis=2), [X]),
    "one-hot": (lambda i: at(np.eye(4))[i].get(), [IDS]),
    "one-hot by comparison": (lambda i: (i[..., None] == np.arange(4)) * 1.0, [IDS]),
    "embedding": (lambda e, i: np.tanh(e[i]).sum(axis=1), [X[0], IDS]),
    "rows joined": (lambda e, i: np.concatenate([np.exp(e[i]), e, e[i]], axis=0), [X[0], IDS[0]]),
    "negative": (lambda x, i: x[-i - 1], [V, IDS]),
    "int32 indices": (lambda x, i: x[i], [V, IDS.astype(np.int32)]),
    "computed indices": (lambda x, i: x[(i * 2 + 1) % 7], [V, IDS]),
    "index of an index": (lambda x, i, j: x[i][j], [V, np.array([3, 3, 0]), IDS]),
    "float argument as index": (lambda x, y: x[np.floor(y * y).astype(np.int64)], [V, V[:3]]),
    "sort": (lambda x: np.sort(x), [X]),
    "sort axis": (lambda x: np.sort(x, axis=1), [X]),
    "sort flat": (lambda x: np.sort(x, axis=None), [X]),
    "argsort": (lambda x: np.argsort(x, axis=0), [X]),
    "argsort of nothing": (lambda x: np.argsort(x[:, :0]), [X[0]]),
    "descending": (lambda x: -np.sort(-x), [V]),
    "top 3": (lambda x: np.sort(x)[..., ::-1][..., :3], [X]),
    "sort by key": (lambda x, k: x[np.argsort(k)], [X[:, 0, 0], V[:4]]),
    "median": (lambda x: np.median(x, axis=1), [X]),
    "median even": (lambda x: np.median(x, axis=(0, 2), keepdims=True), [X]),
    "median all": (lambda x: np.median(x), [X]),
    "quantile": (lambda x: np.quantile(x, 0.3, axis=1), [X]),
    "quantiles": (lambda x: np.quantile(x, [0.1, 0.5, 0.97], axis=0), [X]),
    "percentile": (lambda x: np.percentile(x, 25), [X]),
    "quantile traced": (lambda x, q: np.quantile(x, q), [V, np.float64(0.37)]),
    "searchsorted": (lambda a, v: np.searchsorted(a, v), [TABLE, X[0]]),
    "searchsorted right": (lambda a, v: np.searchsorted(a, v, side="right"), [TABLE, TABLE[::2]]),
    "digitize": (lambda x: np.digitize(x, TABLE), [X]),
    "interp": (lambda x, f: np.interp(x, TABLE, f), [X[0], TABLE**2]),
    "interp ends": (lambda x: np.interp(x, TABLE, TABLE**2, left=7.0, right=-7.0), [3 * X[0]]),
    "cumsum": (lambda x: np.cumsum(x, axis=1), [X]),
    "cumsum flat": (lambda x: np.cumsum(x), [X[:2, :2]]),
    "cumsum method": (lambda x: x.cumsum(0), [X]),
    "cumprod": (lambda x: np.cumprod(x, axis=1), [X]),
    "cumprod with zeros": (lambda x: np.cumprod(x * (x > 0.5)), [V]),
    "maximum.accumulate": (lambda x: np.maximum.accumulate(x, axis=2), [X]),
    "minimum.accumulate": (lambda x: np.minimum.accumulate(x), [X]),
    "add.accumulate": (lambda x: np.add.accumulate(x), [X]),
    "multiply.accumulate": (lambda x: np.multiply.accumulate(x, axis=-1), [X]),
    "logaddexp.accumulate": (lambda x: np.logaddexp.accumulate(x), [V]),
    "power at": (lambda x, i: at(x)[i].power(2.0), [V, np.array([1, 4])]),
    "at get": (lambda x, i: at(x)[i].get(), [V, IDS]),
    "histogram by at": (lambda i, w: at(np.zeros(5))[i].add(w), [IDS, V[:2]]),
    "chain of updates": (
        lambda x, i, v: at(at(x)[i].add(v))[::2].multiply(v[:4] * 2.0), [V, IDS[0], V[:2, None] * V]
    ),
}  # fmt: skip
FUNCTIONS["chain of updates"] = (
    lambda x, i, v: at(at(x)[i].add(v))[::2].multiply(x[:4] * 2.0), [V, IDS[0], V[:2]]
)  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, tmp_path: Path) -> None:
    fn, args = FUNCTIONS[name]
    check(fn, args, tmp_path)


def test_integer_and_bool_accumulation() -> None:
    ints, bools = rng.integers(-3, 4, (3, 4)).astype(np.int32), rng.uniform(size=(3, 4)) < 0.5
    for x in (ints, bools):
        check(lambda x: (np.cumsum(x, axis=0), np.cumprod(x, axis=1), np.sort(x)), [x])
    check(lambda x: np.maximum.accumulate(x, axis=1), [ints])
    check(lambda x: np.logical_or.accumulate(x, axis=1), [bools])


def test_nan_is_last_and_ties_keep_their_order() -> None:
    x = np.array([2.0, np.nan, 1.0, 2.0, -np.inf, np.nan, 1.0, np.inf])
    for fn in (lambda x: np.argsort(x, kind="stable"), np.sort, np.maximum.accumulate, np.median):
        graph = trace_function(lambda x, fn=fn: fn(x), [x]).graph
        want = fn(x)
        np.testing.assert_array_equal(reference.run(graph, [x])[0], want)
        np.testing.assert_array_equal(loops_run.run(lower(optimize(graph)), [x])[0], want)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", [0, 1, 5, 64, 65, 100, 127, 128, 129])
def test_searchsorted_in_tables_of_all_sizes(size: int, side: str) -> None:
    table = np.sort(rng.integers(0, size + 1, size).astype(float) / 2)
    table[size - size // 9 :] = np.nan
    values = np.concatenate([table, table + 0.25, [-1.0, 1e9, np.inf, -np.inf, np.nan]])
    graph = trace_function(lambda a, v: np.searchsorted(a, v, side), (table, values)).graph
    want = np.searchsorted(table, values, side)
    np.testing.assert_array_equal(reference.run(graph, [table, values])[0], want)
    if size in (5, 65, 100):
        for got in loops_run.run(lower(optimize(graph)), [table, values]):
            np.testing.assert_array_equal(got, want)


def test_long_sorts_in_c(tmp_path: Path) -> None:
    graph = optimize(trace_function(lambda x: np.argsort(x, axis=0), (float64["n", 2],)).graph)
    (compiled,) = build([graph], tmp_path)
    for n in (0, 1, 2, 3, 5, 8, 64, 1000, 1025):
        x = rng.integers(0, 50, (n, 2)).astype(float)
        (order,) = compiled([x], {"n": n})
        np.testing.assert_array_equal(order, np.argsort(x, axis=0, kind="stable"))


def test_sizes_known_at_run_time(tmp_path: Path) -> None:
    def f(e: Any, ids: Any, v: Any) -> Any:
        picked = e[ids]
        return np.sum(picked**2 * v), at(e)[ids].add(v), np.cumsum(v, axis=0), e[ids[::-1], 1:]

    types = (float64["n", 3], int64["m"], float64["m", 3])
    graph = trace_function(f, types).graph
    (compiled,) = build([optimize(graph)], tmp_path)
    for n, m in ((1, 0), (4, 1), (5, 7), (2, 9)):
        args = [rng.normal(size=(n, 3)), rng.integers(-n, n, m), rng.normal(size=(m, 3))]
        for got, ref, want in zip(
            compiled(args, {"n": n, "m": m}), reference.run(graph, args), f(*args), strict=True
        ):
            np.testing.assert_allclose(ref, want, rtol=1e-13)
            np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def test_gradient_of_an_embedding_adds_up_what_is_named_twice(tmp_path: Path) -> None:
    ids = np.array([1, 1, 0, -1])
    w = rng.normal(size=(4, 3))
    graph = trace_function(grad(lambda e, i: np.sum(e[i] * w)), (float64[3, 3], int64[4])).graph
    want = np.zeros((3, 3))
    np.add.at(want, ids, w)
    (compiled,) = build([optimize(graph)], tmp_path)
    np.testing.assert_allclose(compiled([np.zeros((3, 3)), ids])[0], want)


def test_arrays_outside_a_trace() -> None:
    x = np.arange(4.0)
    assert graphc.at(x)[[1, 1, 2]].add(1.0).tolist() == [0.0, 3.0, 3.0, 3.0]
    assert graphc.at(x)[1:3].set(7.0).tolist() == [0.0, 7.0, 7.0, 3.0]
    assert graphc.at(x)[0].max(5).tolist() == [5.0, 1.0, 2.0, 3.0]
    assert graphc.at(x)[-1].get() == 3.0
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]
    graph = trace_function(lambda x: x.at[1].set(2.0), (x,)).graph
    assert reference.run(graph, [x])[0].tolist() == [0.0, 2.0, 2.0, 3.0]


# --- errors -------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[..., Any], type[Exception], str]] = [
    (lambda x, i: x[x > 0], TraceError, r"traced mask.*test_indexing.py:\d+.*np.where"),
    (lambda x, i: x[np.array([4, 0])], IndexRangeError, "index 4 is out of bounds.*size 4"),
    (lambda x, i: x[i, i], ShapeError, "2 indices for 1 dim"),
    (lambda x, i: x[x], IndexError, r"float64\[4\]"),
    (lambda x, i: x[np.array([0.5])], IndexError, "integer, not float64"),
    (lambda x, i: x["a"], TraceError, "indexing with 'a' of type str"),
    (lambda x, i: np.put_along_axis(x, i, 0, 0), TraceError, r"put_along_axis.*x.at\[i\].set"),
    (lambda x, i: np.unique(x), TraceError, "unique.*depends on data.*np.sort"),
    (lambda x, i: np.nonzero(x), TraceError, "nonzero.*depends on data.*np.where"),
    (lambda x, i: at(x)[i].set(np.ones(3)), ShapeError, r"x.at\[...\].set.*float64\[3\]"),
    (lambda x, i: np.eye(4)[i], TraceError, r"graphc.at\(array\)\[i\].get\(\)"),
    (lambda x, i: [1, 2][i[0]], TraceError, r"graphc.at\(array\)\[i\].get\(\)"),
    (lambda x, i: np.repeat(x, i), TraceError, "repeat.*depends on data"),
    (lambda x, i: x.__setitem__(i, 0), TraceError, r"x.at\[i\].set"),
    (lambda x, i: np.take(x, i, mode="far"), ValueError, "mode is"),
    (lambda x, i: np.quantile(x, 0.5, method="weibull"), TraceError, "weibull.*linear"),
    (lambda x, i: np.quantile(x, 1.5), ValueError, "1.5"),
]


@pytest.mark.parametrize(("fn", "error", "words"), REFUSED)
def test_refused(fn: Callable[..., Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        trace_function(lambda x, i: fn(x, i), (float64[4], int64[2]))


def test_out_of_bounds_raises_in_the_reference_and_stays_in_bounds_in_c(tmp_path: Path) -> None:
    graph = trace_function(lambda x, i: (x[i], at(x)[i].set(9.0)), (float64[3], int32[2])).graph
    x, i = np.arange(3.0), np.array([5, -9], np.int32)
    with pytest.raises(IndexRangeError, match=r"index 5 is out of bounds.*np.take"):
        reference.run(graph, [x, i])
    (compiled,) = build([graph], tmp_path)
    taken, changed = compiled([x, i])
    assert taken.tolist() == [2.0, 0.0]
    assert changed.tolist() == [9.0, 1.0, 9.0]
