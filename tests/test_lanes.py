"""Sums and extremes in several lanes: the same values, with every nan."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.types import float16, float32, float64


def extremes(x, y):
    return np.max(x, axis=-1), np.min(y, axis=-1), np.max(x), np.min(y)


@pytest.mark.parametrize("dtype", [float32, float64, float16])
@pytest.mark.parametrize("width", [1, 15, 16, 17, 61, 257])
def test_extremes_of_rows(dtype: graphc.DType, width: int) -> None:
    rng = np.random.default_rng(width)
    kernel = graphc.compile(extremes, dtype["n", width], dtype["n", width])
    x, y = rng.standard_normal((2, 5, width)).astype(dtype.name)
    x[2], y[2], x[3], y[3] = -np.inf, np.inf, np.nan, np.nan
    x[1, width // 2], y[4, width - 1] = np.nan, np.nan
    for n in (1, 2, 5):
        for value, expected in zip(kernel(x[:n], y[:n]), extremes(x[:n], y[:n]), strict=True):
            np.testing.assert_array_equal(value, expected)


def test_extremes_of_infinities_alone() -> None:
    x = np.full((3, 40), -np.inf, np.float32)
    value = graphc.compile(lambda x: (np.max(x, axis=1), np.min(-x, axis=1)), x)(x)
    np.testing.assert_array_equal(value, (np.max(x, axis=1), np.min(-x, axis=1)))


def test_marks() -> None:
    def marks(fn):
        source = graphc.compile(fn, float32[8, 100]).source
        return [line.strip() for line in source.splitlines() if "    GRAPHC_SIMD" in line]

    assert marks(lambda x: np.max(x, axis=1)) == ["GRAPHC_SIMD_FOLD(reduction(maximum : v0))"]
    assert marks(lambda x: np.sum(x, axis=1)) == ["GRAPHC_SIMD_SUM(v0)"]
    (both,) = marks(lambda x: (np.max(x, axis=1), np.min(x, axis=1), np.sum(x, axis=1)))
    assert [both.count(by) for by in ("maximum :", "minimum :", "+ :")] == [1, 1, 1]
