"""Finite where the mathematics is: value and gradient, by the reference and in C, as docs say.

Expected numbers are closed forms, or limits, at points where the formula as NumPy evaluates it or
its chain rule meets inf - inf, 0 * inf or 0 / 0. At a kink the subgradient nearest 0 is expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import types

PAGE = Path(__file__).parents[1] / "docs" / "finite.md"
DTYPES = (np.float64, np.float32)
INF = math.inf


@dataclass(frozen=True, slots=True)
class Case:
    """A function of one array or number, and its (point, value, gradient) triples."""

    fn: Callable[[Any], Any]
    points: tuple[tuple[Any, Any, Any], ...]


def case(fn: Callable[[Any], Any], *points: tuple[Any, Any, Any]) -> Case:
    return Case(fn, points)


def softmax(z: Any) -> Any:
    return np.exp(z) / np.sum(np.exp(z))


def shifted_softmax(z: Any) -> Any:
    e = np.exp(z - np.max(z))
    return e / np.sum(e)


def entropy(z: Any) -> Any:
    t = np.eye(3)[[2, 0]].astype(z.dtype)
    return -np.sum(t * np.log(np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)))


def zero_log(t: Any) -> Any:
    """Cross-entropy of a one-hot row with itself."""
    one_hot = np.array([0, 1, 0]).astype(t.dtype)
    return -np.sum(np.where(one_hot > 0, one_hot * np.log(t), 0))


E1 = math.expm1(1)
WEIGHT = np.array([1, 2, 4])


def weighted(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda z: np.sum(WEIGHT.astype(z.dtype) * fn(z))


def masked(z: Any) -> Any:
    return np.sum(
        softmax(np.where(np.array([True, False, True]), z, -np.inf)) * WEIGHT.astype(z.dtype)
    )


CASES: dict[str, Case] = {
    # sums of exponentials
    "log(sum(exp(x)))": case(
        lambda x: np.log(np.sum(np.exp(x))),
        ([-INF, 3], 3, [0, 1]),
        ([-INF, -INF], -INF, [0, 0]),
        ([1000, 1000], 1000 + math.log(2), [0.5, 0.5]),
        ([-1000, -1000], -1000 + math.log(2), [0.5, 0.5]),
    ),
    "logaddexp(x[0], x[1])": case(
        lambda x: np.logaddexp(x[0], x[1]),
        ([-INF, -INF], -INF, [0, 0]),
        ([3, -INF], 3, [1, 0]),
    ),
    # norms
    "linalg.norm(x)": case(
        lambda x: np.linalg.norm(x), ([0, 0], 0, [0, 0]), ([3, 4], 5, [0.6, 0.8])
    ),
    "sqrt(sum(x**2))": case(
        lambda x: np.sqrt(np.sum(x**2)), ([0, 0], 0, [0, 0]), ([3, 4], 5, [0.6, 0.8])
    ),
    "sqrt(x @ x)": case(lambda x: np.sqrt(x @ x), ([0, 0], 0, [0, 0]), ([3, 4], 5, [0.6, 0.8])),
    "sqrt(sum(x * x, axis=1)) of rows": case(
        lambda x: np.sum(np.sqrt(np.sum(x * x, axis=1))),
        ([[0, 0], [3, 4]], 5, [[0, 0], [0.6, 0.8]]),
    ),
    "linalg.norm(x, axis=1) of rows": case(
        lambda x: np.sum(np.linalg.norm(x, axis=1)),
        ([[0, 0], [3, 4]], 5, [[0, 0], [0.6, 0.8]]),
    ),
    "sqrt(x[0]**2 + x[1]**2)": case(
        lambda x: np.sqrt(x[0] ** 2 + x[1] ** 2), ([0, 0], 0, [0, 0]), ([3, 4], 5, [0.6, 0.8])
    ),
    "sqrt(sum((x - x[0])**2))": case(
        lambda x: np.sqrt(np.sum((x - x[0]) ** 2)), ([2, 2], 0, [0, 0]), ([0, 1], 1, [-1, 1])
    ),
    "hypot(x[0], x[1])": case(
        lambda x: np.hypot(x[0], x[1]), ([0, 0], 0, [0, 0]), ([3, 4], 5, [0.6, 0.8])
    ),
    "arctan2(x[0], x[1])": case(
        lambda x: np.arctan2(x[0], x[1]),
        ([0, 0], 0, [0, 0]),
        ([0, 1], 0, [1, 0]),
        ([1, 0], math.pi / 2, [0, -1]),
    ),
    "sqrt(x**2)": case(
        lambda x: np.sqrt(x**2), (0, 0, 0), (-3, 3, -1), (1e30, 1e30, 1), (-1e-30, 1e-30, -1)
    ),
    "abs(x)": case(lambda x: np.abs(x), (0, 0, 0), (-2, 2, -1)),
    # where
    "where(x > 0, log(x), 0)": case(
        lambda x: np.where(x > 0, np.log(x), 0), (0, 0, 0), (-1, 0, 0), (2, math.log(2), 0.5)
    ),
    "where(x > 0, x * log(x), 0)": case(
        lambda x: np.where(x > 0, x * np.log(x), 0), (0, 0, 0), (-1, 0, 0), (1, 0, 1)
    ),
    "where(x > 0, sqrt(x), 0)": case(
        lambda x: np.where(x > 0, np.sqrt(x), 0), (0, 0, 0), (-1, 0, 0), (4, 2, 0.25)
    ),
    "where(x == 0, 1, sin(x) / x)": case(
        lambda x: np.where(x == 0, 1, np.sin(x) / x),
        (0, 1, 0),
        (1, math.sin(1), math.cos(1) - math.sin(1)),
    ),
    "where(x != 0, 1 / x, 0)": case(
        lambda x: np.where(x != 0, 1 / x, 0), (0, 0, 0), (2, 0.5, -0.25)
    ),
    "where(x < 1, log(1 - x), 0)": case(
        lambda x: np.where(x < 1, np.log(1 - x), 0), (1, 0, 0), (2, 0, 0), (0, 0, -1)
    ),
    "where(abs(x) < 1, arcsin(x), x)": case(
        lambda x: np.where(np.abs(x) < 1, np.arcsin(x), x), (1, 1, 1), (2, 2, 1), (0, 0, 1)
    ),
    "where(x > 0, x**0.5, -((-x) ** 0.5))": case(
        lambda x: np.where(x > 0, x**0.5, -((-x) ** 0.5)), (4, 2, 0.25), (-4, -2, 0.25)
    ),
    "where(x < 5, exp(x), 0)": case(
        lambda x: np.where(x < 5, np.exp(x), 0), (1e4, 0, 0), (0, 1, 1)
    ),
    # powers
    "x**2": case(lambda x: x**2, (0, 0, 0)),
    "x**3.0": case(lambda x: x**3.0, (0, 0, 0), (-2, -8, 12)),
    "x**1.5": case(lambda x: x**1.5, (0, 0, 0), (4, 8, 3)),
    "x**0": case(lambda x: x**0, (0, 1, 0)),
    "x[0] ** x[1]": case(
        lambda x: x[0] ** x[1],
        ([0, 2], 0, [0, 0]),
        ([0, 1], 0, [1, 0]),
        ([0, 0], 1, [0, 0]),
        ([2, 3], 8, [12, 8 * math.log(2)]),
    ),
    "prod(x)": case(lambda x: np.prod(x), ([0, 2, 3], 0, [6, 0, 0]), ([0, 0, 3], 0, [0, 0, 0])),
    # logistic
    "log1p(-exp(-x))": case(
        lambda x: np.log1p(-np.exp(-x)),
        (1, math.log(-math.expm1(-1)), 1 / E1),
        (1000, 0, 0),
    ),
    "log(1 - exp(-x))": case(
        lambda x: np.log(1 - np.exp(-x)),
        (1, math.log(-math.expm1(-1)), 1 / E1),
        (1e-20, math.log(1e-20), 1e20),
        (1000, 0, 0),
    ),
    "s * (1 - s), s = 1 / (1 + exp(-x))": case(
        lambda x: 1 / (1 + np.exp(-x)) * (1 - 1 / (1 + np.exp(-x))),
        (0, 0.25, 0),
        (-60, math.exp(-60), math.exp(-60)),
        (1000, 0, 0),
        (-1000, 0, 0),
    ),
    "expm1(x) / x": case(
        lambda x: np.expm1(x) / x,
        (0, 1, 0.5),
        (1e-9, 1 + 5e-10, 0.5 + 1e-9 / 3),
        (2, math.expm1(2) / 2, (math.exp(2) + 1) / 4),
    ),
    "where(x == 0, 1, expm1(x) / x)": case(
        lambda x: np.where(x == 0, 1, np.expm1(x) / x),
        (0, 1, 0),
        (2, math.expm1(2) / 2, (math.exp(2) + 1) / 4),
    ),
    "sinc(x)": case(lambda x: np.sinc(x), (0, 1, 0)),
    # rows
    "cross-entropy of one-hot rows": case(
        entropy,
        ([[0, 0, 1000], [0, 0, 0]], math.log(3), [[0, 0, 0], [-2 / 3, 1 / 3, 1 / 3]]),
        ([[1000, 0, 0], [0, 0, -1000]], 1000 + math.log(2), [[1, 0, -1], [-0.5, 0.5, 0]]),
    ),
    "sum(where(t > 0, t * log(p), 0)), t one-hot": case(
        zero_log, ([0, 1, 0], 0, [0, -1, 0]), ([0, 0.5, 0.5], math.log(2), [0, -2, 0])
    ),
    "softmax(z) @ w": case(
        weighted(softmax),
        ([0, -INF, 0], 2.5, [-0.75, 0, 0.75]),
        ([1000, 0, 1000], 2.5, [-0.75, 0, 0.75]),
        ([-INF, 1, -INF], 2, [0, 0, 0]),
    ),
    "softmax(z - max(z)) @ w": case(
        weighted(shifted_softmax),
        ([0, -INF, 0], 2.5, [-0.75, 0, 0.75]),
        ([1000, 0, 1000], 2.5, [-0.75, 0, 0.75]),
    ),
    "softmax(where(mask, z, -inf)) @ w": case(
        masked, ([0, 5, 0], 2.5, [-0.75, 0, 0.75]), ([1000, 5, 1000], 2.5, [-0.75, 0, 0.75])
    ),
    "var(x)": case(lambda x: np.var(x), ([3, 3, 3], 0, [0, 0, 0]), ([0, 2], 1, [-1, 1])),
    "std(x)": case(lambda x: np.std(x), ([3, 3, 3], 0, [0, 0, 0]), ([0, 2], 1, [-0.5, 0.5])),
    "sqrt(mean((x - mean(x))**2))": case(
        lambda x: np.sqrt(np.mean((x - np.mean(x)) ** 2)),
        ([3, 3, 3], 0, [0, 0, 0]),
        ([0, 2], 1, [-0.5, 0.5]),
    ),
    # the exercise sheet
    "log(1 + exp(v))": case(
        lambda v: np.log(1 + np.exp(v)), (0, math.log(2), 0.5), (1000, 1000, 1), (-1000, 0, 0)
    ),
    "-log(1 + exp(-v))": case(
        lambda v: -np.log(1 + np.exp(-v)), (0, -math.log(2), 0.5), (1000, 0, 0), (-1000, -1000, 1)
    ),
    "exp(z) / (1 + exp(z))": case(
        lambda z: np.exp(z) / (1 + np.exp(z)),
        (0, 0.5, 0.25),
        (1000, 1, 0),
        (-1000, 0, 0),
        (-60, math.exp(-60), math.exp(-60)),
    ),
    "-log(1 / (2 * 3) * exp(-abs(x) / 3))": case(
        lambda x: -np.log(1 / (2 * 3.0) * np.exp(-np.abs(x) / 3.0)),
        (0, math.log(6), 0),
        (3000, 1000 + math.log(6), 1 / 3),
    ),
    "-log(exp(-x**2 / 2) / sqrt(2 * pi))": case(
        lambda x: -np.log(np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)),
        (100, 5000 + math.log(2 * math.pi) / 2, 100),
    ),
    "(exp(x) - exp(-x)) / (exp(x) + exp(-x))": case(
        lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
        (0, 0, 1),
        (1000, 1, 0),
        (-1000, -1, 0),
    ),
}


def close(got: Any, wanted: Any, dtype: type) -> None:
    assert np.asarray(got).dtype == dtype
    tolerance = 32 * float(np.finfo(dtype).eps)
    tiny = 4 * float(np.finfo(dtype).tiny)
    np.testing.assert_allclose(got, np.asarray(wanted, float), tolerance, tiny)


@cache
def in_c(name: str, shape: tuple[int, ...], dtype: type) -> Any:
    kind = {np.float64: types.float64, np.float32: types.float32}[dtype]
    return graphc.compile(graphc.value_and_grad(CASES[name].fn), kind[shape] if shape else kind)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name: str, dtype: type) -> None:
    fn = CASES[name].fn
    for point, value, gradient in CASES[name].points:
        x = np.array(point, dtype) if np.ndim(point) else dtype(point)
        for run in (graphc.value_and_grad(fn), in_c(name, np.shape(x), dtype)):
            got, slopes = run(x)
            close(got, value, dtype)
            close(slopes, gradient, dtype)


# --- the page -----------------------------------------------------------------------------------

HEAD = """# Finite where the mathematics is

Formulas as people write them, at points where evaluating them as written, or their chain rule,
meets `inf - inf`, `0 * inf` or `0 / 0`. graphc rewrites the formula or chooses the limit, in the
reference and in C alike; at a kink the gradient is the subgradient nearest 0, and `np.where` lets
nothing through from the branch that was not taken. tests/test_finite.py holds the table, and
`pytest tests/test_finite.py --update-golden` writes this page from it.

| function | at | NumPy gives | graphc gives | its gradient |
|---|---|---|---|---|
"""


def shown(x: Any) -> str:
    """Few digits, and one zero."""
    if np.ndim(x):
        return f"[{', '.join(shown(y) for y in x)}]"
    return f"{float(x) + 0.0:.4g}"


def page() -> str:
    rows = []
    for name, case in CASES.items():
        for point, _, _ in case.points:
            x = np.array(point, float) if np.ndim(point) else np.float64(point)
            with np.errstate(all="ignore"):
                naive = case.fn(x)
            value, gradient = graphc.value_and_grad(case.fn)(x)
            rows.append([name, *map(shown, (x, naive, value, gradient))])
    return HEAD + "".join(f"| `{'` | `'.join(row)}` |\n" for row in rows)


def test_the_page_is_current(update_golden: bool) -> None:
    text = page()
    if update_golden:
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, (
        "run: pytest tests/test_finite.py --update-golden"
    )
