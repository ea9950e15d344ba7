"""How far a kernel's vector functions are from the truth: values to try, references, ulps.

The truth about a float32 is its float64 function; about a float64, NumPy's 80-bit one where it has
them, else mpmath.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import mpmath
import numpy as np
import scipy.special

import graphc
from graphc.emit_c.helpers import IN_DOUBLE, LIMIT
from graphc.types import DType, float32, float64

Array = Any
WIDE = np.finfo(np.longdouble).nmant > 60
BLOCK = 1 << 20


@dataclass(frozen=True)
class Function:
    """A function of one argument."""

    traced: Callable[[Any], Any]
    """What is compiled."""
    truth: Callable[[Any], Any]
    """In the wider type."""
    ulps: float
    """What the documentation promises."""
    slow: bool = False
    """Whether the truth takes its time."""
    limit: float = np.inf
    """A loop that meets a larger |x| calls the C library."""


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(np.signbit(x), e, 1) / (1 + e)


def erf(x: Array) -> Array:
    """SciPy's of a float32; of wider numbers mpmath's, which takes its time."""
    if x.dtype == np.float64:
        return scipy.special.erf(x)
    return _by_mpmath(mpmath.erf, x)


def erfc(x: Array) -> Array:
    if x.dtype == np.float64:
        return scipy.special.erfc(x)
    return _by_mpmath(mpmath.erfc, x)


def _by_mpmath(function: Callable[[Any], Any], x: Array) -> Array:
    """To 70 bits: the double nearest to the value, and what it lacks."""
    result = np.empty(x.shape, np.longdouble)
    with mpmath.workprec(70):
        for i, v in enumerate(x):
            value = function(mpmath.mpf(float(np.clip(v, -40, 40))))
            high = float(value)
            result[i] = high
            if np.isfinite(high):
                result[i] += np.longdouble(float(value - high))
    return np.where(result == 0, np.copysign(result, x), result)


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


FUNCTIONS = {
    "exp": Function(np.exp, np.exp, 2),
    "expm1": Function(np.expm1, np.expm1, 2),
    "log": Function(np.log, np.log, 2),
    "log1p": Function(np.log1p, np.log1p, 2),
    "tanh": Function(np.tanh, np.tanh, 2),
    "sin": Function(np.sin, np.sin, 2, limit=LIMIT),
    "cos": Function(np.cos, np.cos, 2, limit=LIMIT),
    "tan": Function(np.tan, np.tan, 2, limit=LIMIT),
    "exp2": Function(np.exp2, np.exp2, 2),
    "log2": Function(np.log2, np.log2, 2),
    "log10": Function(np.log10, np.log10, 2),
    "arcsin": Function(np.arcsin, np.arcsin, 2),
    "arccos": Function(np.arccos, np.arccos, 2),
    "arctan": Function(np.arctan, np.arctan, 2),
    "sinh": Function(np.sinh, np.sinh, 2),
    "cosh": Function(np.cosh, np.cosh, 2),
    "arcsinh": Function(np.arcsinh, np.arcsinh, 2),
    "arccosh": Function(np.arccosh, np.arccosh, 2),
    "arctanh": Function(np.arctanh, np.arctanh, 2),
    "erf": Function(scipy.special.erf, erf, 2, slow=True),
    "erfc": Function(scipy.special.erfc, erfc, 2, slow=True),
    "sigmoid": Function(scipy.special.expit, sigmoid, 3),
    "softplus": Function(lambda x: np.logaddexp(x, 0), softplus, 3),
}


def kernel_of(name: str, dtype: DType, target: str = "native") -> Callable[[Array], Array]:
    function = FUNCTIONS[name].traced
    return graphc.compile(lambda x: function(x), dtype["n"], name=f"v_{name}", target=target)


def every_float32(stride: int = 1) -> Iterator[Array]:
    """All bit patterns, or every so manieth, in blocks."""
    for start in range(0, 1 << 32, BLOCK * stride):
        bits = np.arange(start, min(start + BLOCK * stride, 1 << 32), stride, dtype=np.uint32)
        yield bits.view(np.float32)


def many_float64(count: int, seed: int = 0) -> Array:
    """All exponents, ordinary numbers, places near 0, 1, -1 and multiples of log 2 and pi."""
    random = np.random.default_rng(seed)
    part = count // 8
    anchors = np.concatenate(
        [np.arange(-1100, 1101) * np.log(2) / 2, np.arange(-400, 401) * np.pi / 4, [1, -1, 0.5]]
    )
    near = random.choice(anchors, part)
    near = near * (1 + random.normal(size=part) * 2.0 ** random.integers(-53, -1, part))
    powers = np.ldexp(random.uniform(-2, 2, part), random.integers(-60, 12, part))
    return np.concatenate(
        [
            random.integers(0, 1 << 64, 2 * part, dtype=np.uint64).view(np.float64),
            random.normal(size=part),
            random.uniform(-1, 1, part) * 750,
            random.uniform(-1, 1, part) * 10,
            near,
            powers,
            1 + random.normal(size=part) * 2.0 ** random.integers(-53, -1, part),
        ]
    )


SPECIAL = (0.0, np.inf, np.nan, 1.0, 0.5, 2.0, 5e-324, 1e-310, 2.2e-308, 1e-45, 1e-40, 1.1e-38,
           3e38, 1e308, 88.7, 88.8, 103.9, 104.1, 709.7, 709.8, 745.1, 745.2,
           36.7, 1e-8)  # fmt: skip


def special_values(dtype: DType) -> Array:
    with np.errstate(over="ignore"):
        values = np.array(SPECIAL, dtype.numpy)
    return np.concatenate([values, -values])


def truth(name: str, x: Array) -> Array:
    """In a type wider than that of x."""
    with np.errstate(all="ignore"):
        if x.dtype == np.float32 or not WIDE:
            return FUNCTIONS[name].truth(x.astype(np.float64))
        return FUNCTIONS[name].truth(x.astype(np.longdouble))


def ulps(got: Array, want: Array) -> Array:
    """Of each element: |got - want| in units of the last place of want; inf where only one is nan
    or infinite, or a zero has the wrong sign."""
    with np.errstate(all="ignore"):
        rounded = want.astype(got.dtype)
        unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(got.dtype).max)).astype(want.dtype)
        error = np.asarray(np.abs(got.astype(want.dtype) - want) / unit, np.float64)
    error[got == rounded] = np.minimum(error[got == rounded], 0.5)
    error[np.isinf(got) & np.isinf(rounded) & (got == rounded)] = 0
    error[np.isnan(got) & np.isnan(want)] = 0
    error[np.isnan(got) != np.isnan(want)] = np.inf
    error[(got == 0) & (rounded == 0) & (np.signbit(got) != np.signbit(rounded))] = np.inf
    return error


@dataclass
class Worst:
    """The largest error seen and where."""

    ulps: float = 0.0
    x: float = 0.0
    got: float = 0.0
    want: float = 0.0

    def see(self, name: str, x: Array, got: Array) -> None:
        want = truth(name, x)
        with np.errstate(all="ignore"):
            rounded = want.astype(got.dtype)
        bits = f"i{got.dtype.itemsize}"
        off = np.flatnonzero(rounded.view(bits) != got.view(bits))  # the others are right
        if not off.size:
            self.ulps = max(self.ulps, 0.5)
            return
        x, got, want = x[off], got[off], want[off]
        error = ulps(got, want)
        k = int(np.argmax(error))
        if error[k] > self.ulps:
            self.ulps, self.x = float(error[k]), float(x[k])
            self.got, self.want = float(got[k]), float(want[k])


def measured(name: str, dtype: DType, blocks: Iterator[Array], target: str = "native") -> Worst:
    kernel = kernel_of(name, dtype, target)
    worst = Worst()
    for block in blocks:
        beyond = np.abs(block) > FUNCTIONS[name].limit
        for x in (block[~beyond], block[beyond]):
            if x.size:
                worst.see(name, x, kernel(x))
    return worst


def main() -> None:
    """Every float32 value, or every 61st where doubles are rounded, and 2^24 float64 values, or
    2^18 where the truth takes its time, of the functions named, or of all."""
    print(f"{'function':10s} {'target':9s} {'float32':>8s} {'float64':>8s} ulp, at most")  # noqa: T201  # the report
    for name in sys.argv[1:] or FUNCTIONS:
        function = FUNCTIONS[name]
        for target in ("native", "portable"):
            many = (many_float64(BLOCK >> 6 * function.slow, seed) for seed in range(16))
            stride = 61 if name in IN_DOUBLE else 1
            blocks = chain([special_values(float32)], every_float32(stride))
            single = measured(name, float32, blocks, target)
            double = measured(name, float64, chain([special_values(float64)], many), target)
            print(f"{name:10s} {target:9s} {single.ulps:8.3f} {double.ulps:8.3f}", flush=True)  # noqa: T201
            for worst in (single, double):
                if worst.ulps > function.ulps:
                    raise SystemExit(f"{name} is further from the truth than promised: {worst}")


if __name__ == "__main__":
    main()
