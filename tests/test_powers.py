"""Powers with small whole exponents are products, in value and gradient."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import float32, float64


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_small_powers_are_products_within_two_ulp(n, dtype):
    def f(x):
        return x ** float(n) if n % 2 else np.power(x, n)

    both = graphc.compile(lambda x: (f(x), graphc.grad(lambda x: np.sum(f(x)))(x)), dtype["m"])
    assert "pow" not in both.source
    rng = np.random.default_rng(n)
    kind = dtype.numpy.type
    x = (rng.normal(size=4000) * 10.0 ** rng.uniform(-6, 6, 4000)).astype(kind)
    with np.errstate(all="ignore"):
        x = np.concatenate([x, np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e-30], kind)])
        value, slope = both(x)
        wide = x.astype(np.longdouble)
        for mine, true in ((value, wide**n), (slope, n * wide ** (n - 1))):
            rounded = true.astype(kind)
            unit = np.spacing(np.abs(rounded))
            held = np.isfinite(rounded)
            off = np.abs(mine[held].astype(np.longdouble) - true[held]) / unit[held]
            assert off.max() <= 2.0
            np.testing.assert_array_equal(mine[~held], rounded[~held])
        np.testing.assert_array_equal(np.signbit(value[-6:-5]), np.signbit(x[-6:-5] ** n))


def test_other_powers_stay_powers():
    for n in (2.5, 5.0, -3.0):
        assert "pow" in graphc.compile(lambda x, n=n: x**n, float64).source
