"""x[arrays], x.at[...], np.take and kin: NumPy's meaning, C, derivatives in both directions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_tools import build, expected
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
