"""Copies that turn a matrix: in squares, the same values whatever is left over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_tools import COMPILERS, STRICT, compile_or_fail, units, write

import graphc
from graphc.types import float32, float64, int64


def turned(x):
    return x.T


def swapped(x):
    return np.swapaxes(x, 2, 3)


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("target", ["native", "portable"])
@pytest.mark.parametrize(
    ("fn", "shape"),
    [
        (turned, (16, 16)),
        (turned, (37, 29)),
        (turned, (5, 131)),
        (turned, (66, 4)),
        (swapped, (2, 3, 19, 21)),
    ],
)
def test_values(
    fn: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, ...],
    target: str,
    dtype: graphc.DType,
) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype.name)
    kernel = graphc.compile(fn, x, target=target)
    assert "transpose_" in kernel.source
    np.testing.assert_array_equal(kernel(x), fn(x))


@pytest.mark.parametrize("n", [0, 1, 3, 4, 17, 64])
def test_run_time_sizes(n: int) -> None:
    kernel = graphc.compile(turned, float32["n", "m"])
    assert "transpose_f32(" in kernel.source
    for m in (1, 5, 40):
        x = np.random.default_rng(0).standard_normal((n, m)).astype(np.float32)
        np.testing.assert_array_equal(kernel(x), x.T)


@pytest.mark.parametrize(
    ("fn", "kind"),
    [
        (turned, float32[15, 15]),  # few
        (turned, float32[300, 3]),
        (turned, int64[30, 30]),
        (lambda x: x.T + 1, float32[30, 30]),
        (lambda x: x[:, ::2].T, float32[30, 60]),
    ],
)
def test_what_is_no_such_copy(
    fn: Callable[[np.ndarray], np.ndarray], kind: graphc.types.TensorType
) -> None:
    assert "transpose_" not in graphc.compile(fn, kind).source


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", [("-O2",), ("-O1", "-DGRAPHC_PORTABLE")])
def test_nothing_to_warn_of(tmp_path: Path, compiler: str, flags: tuple[str, ...]) -> None:
    def both(x, y):
        return x.T, y.T

    _, unit = units(graphc.trace(both, float32[40, 30], float64[40, 30]))
    write(unit, tmp_path)
    compile_or_fail([compiler, *STRICT, *flags, "-c", "both.c"], tmp_path)
