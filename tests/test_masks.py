"""Attention with a triangular mask: what the mask clears is neither stored for long nor summed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

import graphc
from graphc import float32, float64
from graphc.loops import Contract, Loop, Program, Stmt, bodies, statements
from graphc.lower import lower
from graphc.options import Options
from graphc.passes import optimize
from graphc.trace import trace_function

rng = np.random.default_rng(0)
LENGTH, SIZE = 600, 16


@pytest.fixture(autouse=True)
def _the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever tests ran before."""
    monkeypatch.setitem(globals(), "rng", np.random.default_rng(0))


def attention(q, k, v):
    """Of each place the values at it and before it."""
    n = q.shape[-2]
    mask = np.tril(np.ones((n, n), dtype=bool))
    match = np.where(mask, q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5, -np.inf)
    weights = np.exp(match - np.max(match, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True) @ v


def loss(q, k, v):
    return np.sum(attention(q, k, v) ** 2)


both = graphc.value_and_grad(loss, argnums=(0, 1, 2))


def lowered(fn, *types) -> Program:
    return lower(optimize(trace_function(fn, types).graph))


def qkv(length=LENGTH, dtype=np.float32) -> list[NDArray[np.floating]]:
    return [rng.normal(size=(length, SIZE)).astype(dtype) for _ in range(3)]


def by_numpy(q, k, v):
    """The gradients in float64, as one derives them by hand."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    mask = np.tril(np.ones((len(q), len(q)), dtype=bool))
    match = np.where(mask, q @ k.T / np.sqrt(SIZE), -np.inf)
    weights = np.exp(match - match.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    out = weights @ v
    d_weights = 2 * out @ v.T
    d_match = weights * (d_weights - np.sum(d_weights * weights, 1, keepdims=True)) / np.sqrt(SIZE)
    return np.sum(out**2), (d_match @ k, d_match.T @ q, weights.T @ (2 * out))


def loops_around(body: tuple[Stmt, ...], wanted: Stmt, around: int = 0) -> int:
    """How many loops a statement lies in; -1 where it is not there."""
    for stmt in body:
        if stmt is wanted:
            return around
        for inner in bodies(stmt):
            found = loops_around(inner, wanted, around + isinstance(stmt, Loop))
            if found >= 0:
                return found
    return -1


@pytest.mark.parametrize("length", [1, 70, 255, 300, LENGTH, 1031])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradients_are_those_derived_by_hand(length, dtype):
    q, k, v = qkv(length, dtype)
    value, slopes = graphc.compile(both, *(getattr(graphc, dtype)[length, SIZE],) * 3)(q, k, v)
    exact, exact_slopes = by_numpy(q, k, v)
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(value, exact, rtol=tolerance)
    for got, want in zip(slopes, exact_slopes, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())


def test_blocks_of_rows_add_to_the_gradients_of_keys_and_values():
    program = lowered(both, *(float32[LENGTH, SIZE],) * 3)
    added = [x for x in statements(program.body) if isinstance(x, Contract) and x.add]
    assert len(added) == 2
    products = [x for x in statements(program.body) if isinstance(x, Contract)]
    assert all(loops_around(program.body, x) == 1 for x in products)
    largest = max(int(np.prod(b.shape)) for b in program.buffers)
    assert largest < LENGTH * LENGTH / 4  # of the weights there is a block of rows


@pytest.mark.parametrize("heads", [(), (3,), (5,)])
def test_threads_give_what_one_gives(heads):
    arrays = [rng.normal(size=(*heads, LENGTH, SIZE)).astype(np.float32) for _ in range(3)]
    value, slopes = graphc.compile(both, *arrays, threads=1)(*arrays)
    plain, plain_slopes = graphc.compile(both, *arrays)(*arrays)
    np.testing.assert_allclose(value, plain, rtol=1e-5)
    for one, other in zip(slopes, plain_slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())
    for threads in (2, 3):
        again, others = graphc.compile(both, *arrays, threads=threads)(*arrays)
        assert value == again
        for one, other in zip(slopes, others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_heads_are_dealt_out_to_threads_and_streamed():
    options = Options(threads=2)
    graph = optimize(trace_function(both, (float32[5, LENGTH, SIZE],) * 3).graph)
    program = lower(graph, options=options)
    added = [x for x in statements(program.body) if isinstance(x, Contract) and x.add]
    assert len(added) == 2
    assert any(isinstance(x, Loop) and x.shared and x.extent == 5 for x in statements(program.body))


def test_a_product_of_sums_over_all_blocks_waits_for_the_last():
    """What j.T @ v adds up block by block is whole after all of them."""

    def fn(a, w, v):
        j = np.tanh(a @ w)
        u = j.T @ v
        return j @ u, u

    arrays = [rng.normal(size=shape) for shape in ((3000, 40), (40, 300), (3000, 16))]
    for got, want in zip(graphc.compile(fn, *arrays)(*arrays), fn(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-11 * np.abs(want).max())


def test_two_sums_over_blocks_into_one_result():
    def fn(a, w, v):
        j = np.tanh(a @ w)
        return j.T @ v + (j * j).T @ v, j[5]

    arrays = [rng.normal(size=shape) for shape in ((3000, 40), (40, 300), (3000, 16))]
    for got, want in zip(graphc.compile(fn, *arrays)(*arrays), fn(*arrays), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-11 * np.abs(want).max())


def test_what_a_longer_loop_reads_was_not_all_filled():
    def fn(x):
        mask = np.tril(np.ones((200, 150), dtype=bool))
        low = np.where(mask, x[:, :150], -1.0)
        y = np.concatenate([low, x[:, 150:]], axis=1)
        total = np.sum(y, axis=1, keepdims=True)
        return np.exp(y - total), np.max(y, axis=1)

    x = rng.normal(size=(200, 300))
    for got, want in zip(graphc.compile(fn, float64[200, 300])(x), fn(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_what_meets_zeros_must_be_finite_to_be_left_out():
    """Zero times infinity is nan, in every row."""
    q, k, v = qkv()
    v[-1, 3], v[-2, 5] = np.inf, np.nan
    got = graphc.compile(attention, *(float32[LENGTH, SIZE],) * 3)(q, k, v)
    with np.errstate(invalid="ignore"):
        want = attention(q, k, v)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    assert np.isnan(got[0, [3, 5]]).all()
    assert np.isfinite(got[:, [0, 1, 2, 4]]).all()
    np.testing.assert_allclose(got[:, 0], want[:, 0], rtol=1e-4, atol=1e-5)


def test_a_row_of_nan_stays_one():
    q, k, v = qkv()
    q[7] = np.nan
    got = graphc.compile(attention, *(float32[LENGTH, SIZE],) * 3)(q, k, v)
    assert np.isnan(got[7]).all()
    assert np.isfinite(np.delete(got, 7, axis=0)).all()


def test_no_column_beyond_the_diagonal_is_made():
    program = lowered(both, *(float32[LENGTH, SIZE],) * 3)
    columns = [x.columns for x in statements(program.body) if isinstance(x, Contract)]
    assert any(not isinstance(x, int) for x in columns)
    source = graphc.compile(attention, *(float32[LENGTH, SIZE],) * 3).source
    assert "terms_that_count_f32(" in source
    assert re.search(r"for \(int64_t k2 = i \* 72 \+ j \+ 1; k2 < 600; \+\+k2\)", source)
    assert "expf(" not in source.split("void attention")[1].split("for")[0]


@pytest.mark.parametrize("low", [-np.inf, -1e9, 0.0])
@pytest.mark.parametrize("k", [-3, 0, 5])
def test_loops_on_either_side_of_a_diagonal(low, k):
    def fn(x):
        y = np.where(np.tril(np.ones(x.shape, dtype=bool), k), x, low)
        return np.max(y, axis=1), np.exp(y - 1.0), np.sum(np.exp(y), axis=1)

    x = rng.normal(size=(290, 300))
    for got, want in zip(graphc.compile(fn, float64[290, 300])(x), fn(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_a_dense_operand_is_multiplied_whole():
    def fn(x, y):
        mask = np.tril(np.ones(x.shape, dtype=bool), x.shape[1])  # nothing is cleared
        return np.where(mask, x, 0.0) @ y

    x, y = rng.normal(size=(100, 300)), rng.normal(size=(300, 20))
    np.testing.assert_allclose(
        graphc.compile(fn, float64[100, 300], float64[300, 20])(x, y), x @ y, rtol=1e-11
    )
