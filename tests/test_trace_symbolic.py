"""Dimensions known only at run time: one trace is NumPy for every n, 0 and 1 included."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import reference, trees
from graphc.errors import GraphcError, ShapeError
from graphc.graph import verify
from graphc.trace import trace_function
from graphc.types import evaluate, float32, float64

SIZES = (0, 1, 2, 7)

VECTOR: list[Callable[..., Any]] = [
    lambda x: x[1:],
    lambda x: x[:-1],
    lambda x: x[1:-1],
    lambda x: x[::2],
    lambda x: x[1::2],
    lambda x: x[::-1],
    lambda x: x[-3:],
    lambda x: x[-3:-1],
    lambda x: x[:3],
    lambda x: x[2:5],
    lambda x: x[5:1:-2],
    lambda x: x[::-3],
    lambda x: x[-2::-1],
    lambda x: x[:2:-1],
    lambda x: x[:-4:-1],
    lambda x: x[9:],
    lambda x: x[-9:9:4],
    lambda x: x[3:1],
    lambda x: x[: x.shape[0] - 1],
    lambda x: x[x.shape[0] - 3 :],
    lambda x: x[-x.shape[0] :],
    lambda x: x[: x.shape[0] // 2],
    lambda x: x[x.shape[0] // 2 :],
    lambda x: x[: -x.shape[0]],
    lambda x: x[: x.shape[0] - 2],
    lambda x: x[3 - x.shape[0] :],
    lambda x: x[2:][1:],
    lambda x: x[1:] - x[:-1],
    lambda x: x[2:] - 2 * x[1:-1] + x[:-2],
    lambda x: np.diff(x),
    lambda x: np.diff(x, 2),
    lambda x: x[1:][::-1] * x[:-1],
    lambda x: np.concatenate([x, x[:1]]),
    lambda x: np.concatenate([x, [1.0]]),
    lambda x: np.concatenate([x, x]) * 2,
    lambda x: np.append(x, 0.0),
    lambda x: np.pad(x, 2),
    lambda x: np.pad(x, (0, 3))[3:],
    lambda x: np.pad(x, (1, 0), constant_values=7.0),
    lambda x: np.roll(x, 1),
    lambda x: np.roll(x, -2),
    lambda x: np.roll(x, 9),
    lambda x: np.tile(x, 3),
    lambda x: np.repeat(x, 2),
    lambda x: np.flip(x),
    lambda x: x.reshape(-1),
    lambda x: x.reshape(1, -1),
    lambda x: x[:, None] * x[None, :],
    lambda x: x[None] @ x[:, None],
    lambda x: np.outer(x, x),
    lambda x: np.diag(x),
    lambda x: np.diag(x, 1),
    lambda x: x @ x,
    lambda x: np.sum(x),
    lambda x: np.prod(x),
    lambda x: np.mean(x),
    lambda x: np.var(x),
    lambda x: np.var(x, ddof=1),
    lambda x: np.std(x),
    lambda x: np.linalg.norm(x),
    lambda x: np.any(x > 0),
    lambda x: np.all(x > 0),
    lambda x: np.count_nonzero(x),
    lambda x: np.max(x, initial=-9.0),
    lambda x: np.min(x, initial=9.0),
    lambda x: 2.0 / (x.shape[0] + 1),
    lambda x: np.sqrt(x.shape[-1]),
    lambda x: x / len_(x),
    lambda x: x * x.shape[0],
    lambda x: x.shape[0] * 2 + 1 + x,
    lambda x: x + x.shape[0] / 2,
    lambda x: x * x.shape[0] ** 0.5,
    lambda x: x.shape[0] ** 2 + x,
    lambda x: 1 - x.shape[0] + x,
    lambda x: x.shape[0] % 2 + x,
    lambda x: x.shape[0] // 2 + x,
    lambda x: 1.5 - x.shape[0],
    lambda x: x.size * 1.0,
    lambda x: np.float32(2) * x.shape[0],
    lambda x: x * np.log1p(x.size),
    lambda x: np.zeros_like(x),
    lambda x: np.ones_like(x) * 2,
    lambda x: np.full_like(x, 3),
    lambda x: np.where(x > 0, x, 0),
    lambda x: np.broadcast_to(x, (3, x.shape[0])),
    lambda x: np.stack([x, x]),
    lambda x: np.stack([x, x], -1),
    lambda x: np.hstack([x, x]),
    lambda x: np.vstack([x, x]),
    lambda x: np.column_stack([x, x]),
    lambda x: np.atleast_2d(x),
    lambda x: np.kron(x, x),
    lambda x: np.trapezoid(x),
    lambda x: np.meshgrid(x, x),
    lambda x: np.tril(x[:, None] * x),
    lambda x: np.triu(x[:, None] * x, 1),
    lambda x: np.polyval([1.0, 2.0], x),
    lambda x: np.vander(x, 3),
    lambda x: np.ravel(x),
    lambda x: np.einsum("i,i", x, x),
    lambda x: np.einsum("i,j->ij", x, x),
    lambda x: +x,
    lambda x: np.nansum(x),
    lambda x: np.block([[x[None]], [x[None]]]),
    lambda x: np.squeeze(x[None, :, None], (0, 2)),
    lambda x: np.split(x, 1),
    lambda x: np.split(x, [1, 3]),
    lambda x: np.rot90(x[None]),
    lambda x: np.expand_dims(x, 0),
    lambda x: np.clip(x, 0, 1),
]
NONEMPTY: list[Callable[..., Any]] = [
    lambda x: x[0],
    lambda x: x[-1],
    lambda x: np.max(x),
    lambda x: np.argmax(x),
    lambda x: np.argmin(-x),
    lambda x: x[x.shape[0] - 1],
    lambda x: x - x[0],
    lambda x: np.ptp(x),
    lambda x: x[-x.shape[0]],
    lambda x: np.exp(x - np.max(x)),
]
MATRIX: list[Callable[..., Any]] = [
    lambda x: x.reshape(x.shape[0] * 3),
    lambda x: x.reshape(-1),
    lambda x: x.reshape(-1, 1),
    lambda x: x.reshape(3, -1),
    lambda x: x.T,
    lambda x: x.T.reshape(-1),
    lambda x: x @ x.T,
    lambda x: x.T @ x,
    lambda x: np.sum(x, 0),
    lambda x: np.sum(x, 1),
    lambda x: np.mean(x, 0),
    lambda x: np.mean(x, -1, keepdims=True),
    lambda x: x - np.mean(x, 1, keepdims=True),
    lambda x: np.max(x, 1),
    lambda x: np.argmax(x, 1),
    lambda x: x[:, 0],
    lambda x: x[:, 1:],
    lambda x: x[1:, ::-1],
    lambda x: x[..., -1],
    lambda x: x + np.arange(3.0),
    lambda x: x * np.ones((1, 3)),
    lambda x: x + np.ones((2, 1, 1)),
    lambda x: np.swapaxes(x, 0, 1),
    lambda x: np.moveaxis(x, 0, -1),
    lambda x: np.concatenate([x, x[:1]], 0),
    lambda x: np.concatenate([x, x], 1),
    lambda x: np.pad(x, ((1, 0), (0, 2))),
    lambda x: np.roll(x, 1, 0),
    lambda x: np.roll(x, (1, 2), (0, 1)),
    lambda x: np.tile(x, (2, 2)),
    lambda x: np.repeat(x, 2, 0),
    lambda x: np.diagonal(x),
    lambda x: np.diagonal(x, -1),
    lambda x: np.trace(x),
    lambda x: np.tril(x),
    lambda x: np.triu(x, -1),
    lambda x: np.tril(x, -1),
    lambda x: np.einsum("ij,kj->ik", x, x),
    lambda x: np.einsum("ij->j", x),
    lambda x: x.ravel()[1:],
    lambda x: np.tensordot(x, x, (0, 0)),
    lambda x: np.split(x, 3, 1),
    lambda x: np.var(x, 0),
    lambda x: np.linalg.norm(x, axis=1),
    lambda x: np.linalg.norm(x),
    lambda x: np.cross(x, x + 1),
    lambda x: np.reshape(x, (x.shape[0], 1, 3)),
    lambda x: np.reshape(x, (1, *x.shape)),
    lambda x: np.exp(x) / np.sum(np.exp(x), 1, keepdims=True),
    lambda x: np.rot90(x),
    lambda x: np.broadcast_to(np.sum(x, 0), x.shape),
    lambda x: x / x.shape[0],
    lambda x: x.sum() / x.size,
    lambda x: np.array_split(x, 2, 1),
    lambda x: x[::2, 1] * 2,
]


def len_(x: Any) -> Any:
    """len() must return an int; the shape need not."""
    return x.shape[0]


def compare(fn: Callable[..., Any], shape: tuple[Any, ...], sizes: tuple[int, ...]) -> None:
    traced = trace_function(fn, (float64[shape],))
    verify(traced.graph)
    for n in sizes:
        actual = tuple(n if size == "n" else size for size in shape)
        x = np.asarray(np.random.default_rng(n).integers(-3, 4, actual), float)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                truth = trees.flatten(fn(x))[0]
            except ValueError as error:
                raise AssertionError(f"a bad example: NumPy raises for n = {n}") from error
            got = reference.run(traced.graph, [x])
        for a, b, node in zip(got, map(np.asarray, truth), traced.graph.outputs, strict=True):
            declared = tuple(evaluate(size, {"n": n}) for size in node.shape)
            assert (a.dtype, a.shape, declared) == (b.dtype, b.shape, b.shape), f"n = {n}"
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13, err_msg=f"n = {n}")


@pytest.mark.parametrize("number", range(len(VECTOR)))
def test_vector_of_any_length(number: int) -> None:
    compare(VECTOR[number], ("n",), SIZES)


@pytest.mark.parametrize("number", range(len(NONEMPTY)))
def test_vector_of_any_length_but_zero(number: int) -> None:
    compare(NONEMPTY[number], ("n",), (1, 2, 7))


@pytest.mark.parametrize("number", range(len(MATRIX)))
def test_matrix_of_any_height(number: int) -> None:
    compare(MATRIX[number], ("n", 3), SIZES)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x * (2.0 / x.shape[0]),
        lambda x: (1 / x.shape[0]) * np.sum(x),
        lambda x: x / x.size,
        lambda x: x * (x.shape[0] ** 0.5),
        lambda x: -(x.shape[0] / 2) + x,
        lambda x: x ** (x.size / 3),
        lambda x: np.sqrt(x.shape[0]) * x,
        lambda x: x * abs(1.5 - x.shape[0]),
        lambda x: x.shape[0] / 2,
        lambda x: x * (np.float32(2) / x.shape[0]),
        lambda x: np.ones(1, np.float32) * x.shape[0],
        lambda x: x // (x.shape[0] + 1),
        lambda x: x.shape[0] * np.arange(3),
        lambda x: 2 ** x.shape[0],
        lambda x: x * 2.0 ** x.shape[0],
        lambda x: np.maximum(x, x.shape[0]),
        lambda x: x.shape[0] % 2.5,
        lambda x: x + (x.shape[0] > -1),
        lambda x: np.where(x > 0, x.shape[0], 1.5),
    ],
)
def test_sizes_promote_as_python_numbers(fn: Callable[..., Any]) -> None:
    """NEP 50: 2.0 / n is weak, so float32 stays float32."""
    x = np.asarray([1.5, -2.0, 3.0], np.float32)
    (got,) = reference.run(trace_function(fn, (float32["n"],)).graph, [x])
    truth = np.asarray(fn(x))
    assert got.dtype == truth.dtype
    np.testing.assert_allclose(got, truth, rtol=1e-6)


def test_two_sizes_stay_two() -> None:
    def f(x: Any, w: Any) -> Any:
        return (x @ w).reshape(-1), np.concatenate([x, x @ w], 1), x.shape[1] * 1.0

    traced = trace_function(f, (float64["n", "m"], float64["m", 2]))
    assert [str(y.type) for y in traced.graph.outputs] == [
        "float64[2*n]",
        "float64[n, m + 2]",
        "float64[]",
    ]
    for n, m in [(0, 3), (2, 0), (1, 1), (4, 5)]:
        x, w = np.ones((n, m)), np.ones((m, 2))
        for a, b in zip(reference.run(traced.graph, [x, w]), f(x, w), strict=True):
            np.testing.assert_array_equal(a, b)


MISFITS: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (
        lambda x, y: x + y,
        (float32["n"], float32["m"]),
        r"x: float32\[n\] and y: float32\[m\].*n against m",
    ),
    (lambda x, y: x + y, (float32["n"], float32[3]), r"\[n\] and \[3\] do not broadcast"),
    (lambda x, y: x @ y, (float32["n", "m"], float32["k", 2]), "m columns against k rows"),
    (lambda x, y: np.concatenate([x, y], 1), (float32["n", 1], float32["m", 1]), "does not fit"),
    (lambda x, y: np.stack([x, y]), (float32["n"], float32["m"]), "one shape"),
    (lambda x, y: x.reshape(-1, 2), (float32["n"], float32[1]), "cannot reshape n elements"),
    (lambda x, y: x.reshape(y.shape), (float32["n"], float32["m"]), "n elements do not fill"),
    (lambda x, y: np.split(x, 2), (float32["n"], float32["m"]), "n elements do not divide into 2"),
    (lambda x, y: list(x), (float32["n"], float32["m"]), "loop over n elements"),
    (lambda x, y: x[1.5:], (float32["n"], float32["m"]), "a slice bound 1.5"),
    (lambda x, y: np.where(x > 0, x, y), (float32["n"], float32["m"]), "do not broadcast"),
]


@pytest.mark.parametrize(("fn", "types", "message"), MISFITS)
def test_what_does_not_fit_for_every_size_is_refused(
    fn: Callable[..., Any], types: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(GraphcError, match=message):
        trace_function(fn, types)


@pytest.mark.parametrize(
    "question",
    [
        lambda x, y: x if x.shape[0] == 0 else y,
        lambda x, y: x if x.shape == y.shape else y,
        lambda x, y: x if x.size != 3 else y,
        lambda x, y: x if x.shape[0] > 3 else y,
        lambda x, y: x if x.shape[0] else y,
        lambda x, y: x if x.shape != (3,) else y,
    ],
)
def test_branching_on_an_unknown_size_is_refused(question: Callable[..., Any]) -> None:
    with pytest.raises(ShapeError, match="known only at run time"):
        trace_function(question, (float32["n"], float32["m"]))


def test_what_is_known_of_a_size_is_answered() -> None:
    def f(x: Any) -> Any:
        assert x.shape == x.shape
        assert x.shape[0] + 1 != 0
        assert x.shape[0] != -1
        assert x.shape[0] >= 0
        assert x.shape[0] + 1 > x.shape[0]
        assert (2 * x).shape[0] == x.shape[0]
        return x

    trace_function(f, (float32["n"],))


def test_a_misfit_cites_the_line() -> None:
    with pytest.raises(ShapeError, match=r"cannot add x: .* at test_trace_symbolic\.py:\d+"):
        trace_function(lambda x, y: x + y, (float32["n"], float32["m"]))
