"""The coefficients of polynomials in templates/maths/: `python tests/minimax.py` prints them.

An interpolation leaves an error whose weighted maximum is made least by linear programming; then
coefficients are rounded one after another, from the lowest degree up, and the others fitted again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import mpmath
import numpy as np
import scipy.optimize
from mpmath import mpf

Real = Callable[[mpf], mpf]
POINTS = 300
"""At which the error is looked at, denser towards the ends."""
ROUNDS = 3
"""Of correcting a polynomial: the first is as good as doubles let a solver be."""
TINY = mpf(10) ** -12
"""Instead of 0, where a formula divides by its argument."""


@dataclass(frozen=True)
class Polynomial:
    """What to approximate by so many coefficients between two ends, such that the error times the
    weight is small."""

    of: Real
    weight: Real
    low: mpf
    high: mpf
    single: int
    """Coefficients for float32; 0: none."""
    double: int
    """And for float64."""
    fixed: dict[int, float] = field(default_factory=dict)


def expm1_rest(r: mpf) -> mpf:
    """p of exp(r) = 1 + r + r^2 p(r)."""
    return (mpmath.expm1(r) - r) / r**2


def log1p_rest(f: mpf) -> mpf:
    """p of log(1 + f) = f + f^2 p(f)."""
    return (mpmath.log1p(f) - f) / f**2


def arctanh_rest(z: mpf) -> mpf:
    """p of log((1 + s) / (1 - s)) = 2 s + s z p(z), z = s^2."""
    s = mpmath.sqrt(z)
    return (2 * mpmath.atanh(s) / s - 2) / z


def coth_rest(z: mpf) -> mpf:
    """p of r coth(r) = 1 + z p(z), z = r^2."""
    r = mpmath.sqrt(z)
    return (r / mpmath.tanh(r) - 1) / z


def coth_half_rest(z: mpf) -> mpf:
    """p of r coth(r / 2) = 2 + z p(z), z = r^2."""
    return coth_rest(z / 4) / 2


def sinc(z: mpf) -> mpf:
    """sin(r) / r, z = r^2."""
    return mpmath.sin(mpmath.sqrt(z)) / mpmath.sqrt(z)


def tan_rest(z: mpf) -> mpf:
    """p of tan(r) = r + r z p(z), z = r^2."""
    r = mpmath.sqrt(z)
    return (mpmath.tan(r) / r - 1) / z


def log2_ratio(f: mpf) -> mpf:
    """log2(1 + f) / f."""
    return mpmath.log1p(f) / f / mpmath.log(2)


def erf_ratio(z: mpf) -> mpf:
    """erf(a) / a, z = a^2."""
    return mpmath.erf(mpmath.sqrt(z)) / mpmath.sqrt(z)


HALF = mpmath.log(2) / 2 * mpf("1.0002")  # the rounding to a whole number is not exact
START = mpf(15) / 16  # where the root of erfc is nearly a float
POLYNOMIALS = {
    "exp": Polynomial(expm1_rest, lambda r: r**2 / mpmath.exp(r), -HALF, HALF, 5, 10),
    "expm1": Polynomial(expm1_rest, lambda r: r**2 / mpmath.expm1(r), -HALF, HALF, 5, 0, {0: 0.5}),
    "expm1 of doubles": Polynomial(
        expm1_rest,
        lambda r: r**2 / mpmath.expm1(r),
        mpf("-0.28775"),
        mpf("0.4056"),
        0,
        10,
        {0: 0.5},
    ),
    "sigmoid": Polynomial(coth_half_rest, lambda z: z / 2, TINY, HALF**2, 2, 5),
    "tanh": Polynomial(coth_rest, lambda z: z / (1 + z / 3), TINY, mpf("0.5497") ** 2, 3, 7),
    "log": Polynomial(log1p_rest, lambda f: f**2 / mpmath.log1p(f), mpf(-1) / 3, mpf(1) / 3, 8, 0),
    "log of doubles": Polynomial(arctanh_rest, lambda z: z / 2, TINY, mpf("0.0401"), 0, 7),
    "sin": Polynomial(
        lambda z: (sinc(z) - 1) / z,
        lambda z: z / sinc(z),
        TINY,
        (mpmath.pi / 2 + mpf("0.07")) ** 2,
        5,
        8,
    ),
    "log2 of floats": Polynomial(
        log2_ratio, lambda f: 1 / log2_ratio(f), mpf(-1) / 3, mpf(1) / 3, 0, 13
    ),
    "exp2 of floats": Polynomial(
        lambda r: mpf(2) ** r, lambda r: 1 / mpf(2) ** r, mpf("-0.5005"), mpf("0.5005"), 0, 7
    ),
    "tan of floats": Polynomial(
        tan_rest,
        lambda z: z / (1 + z * tan_rest(z)),
        TINY,
        (mpmath.pi / 4 + mpf("0.001")) ** 2,
        0,
        7,
    ),
    "erf up to 1": Polynomial(
        lambda z: erf_ratio(z) - 1, lambda z: 1 / erf_ratio(z), TINY, mpf(1), 6, 0
    ),
    "erf from 1 on": Polynomial(
        lambda t: mpmath.erfc(t + START) ** 0.25,
        lambda t: 4 * mpmath.erfc(t + START) ** 0.75,
        1 - START,
        mpf("3.93") - START,
        8,
        0,
    ),
}


def solved(x: list[mpf], y: list[mpf], weight: list[mpf], powers: Sequence[int]) -> list[mpf]:
    """The coefficients of these powers that bring y at x the nearest."""
    scale = max(abs(v) for v in x)
    basis = np.array([[float((v / scale) ** power) for power in powers] for v in x])
    largest = max(weight)
    ratios = np.array([float(w / largest) for w in weight])
    q, r = np.linalg.qr(ratios[:, None] * basis)
    bounds = np.ones((len(x), 1))
    system = np.block([[q, -bounds], [-q, -bounds]])
    goal = np.r_[np.zeros(len(powers)), 1]
    best, least = [mpf(0)] * len(powers), mpmath.inf
    found = best
    for _ in range(ROUNDS + 1):
        left = [
            w * (b - mpmath.fsum(c * (a / scale) ** p for c, p in zip(found, powers, strict=True)))
            for a, b, w in zip(x, y, weight, strict=True)
        ]
        most = max(abs(e) for e in left)
        if most < least:
            best, least = found, most
        e = np.array([float(v / most) for v in left])
        result = scipy.optimize.linprog(
            goal, A_ub=system, b_ub=np.r_[e, -e], bounds=[(None, None)] * len(goal), method="highs"
        )
        step = np.linalg.solve(r, result.x[:-1])
        found = [c + mpf(float(s)) * most / largest for c, s in zip(found, step, strict=True)]
    return [c / scale**power for c, power in zip(best, powers, strict=True)]


def coefficients(polynomial: Polynomial, dtype: type[np.floating], count: int) -> list[float]:
    """From the lowest degree up, each a number of the dtype."""
    middle = (polynomial.low + polynomial.high) / 2
    radius = (polynomial.high - polynomial.low) / 2
    turns = [(k + mpf("0.37")) / POINTS for k in range(POINTS)]
    x = [middle - radius * mpmath.cos(mpmath.pi * turn) for turn in turns]
    y = [polynomial.of(v) for v in x]
    weight = [abs(polynomial.weight(v)) for v in x]
    known = dict(polynomial.fixed)
    for power in range(count):
        if power in known:
            continue
        free = [other for other in range(count) if other not in known]
        left = [
            b - mpmath.fsum(mpf(c) * a**other for other, c in known.items())
            for a, b in zip(x, y, strict=True)
        ]
        known[power] = float(dtype(float(solved(x, left, weight, free)[0])))
    return [known[power] for power in range(count)]


def error(polynomial: Polynomial, values: Sequence[float]) -> float:
    """The largest, weighted."""
    width = polynomial.high - polynomial.low
    x = [polynomial.low + width * (k + mpf("0.5")) / 1000 for k in range(1000)]
    sums = (mpmath.fsum(mpf(c) * v**power for power, c in enumerate(values)) for v in x)
    return float(
        max(
            abs(polynomial.weight(v) * (polynomial.of(v) - s)) for v, s in zip(x, sums, strict=True)
        )
    )


def main() -> None:
    """Of the polynomials named, or of all: the error in units of the last place of 1, and the
    coefficients in the order in which C uses them."""
    with mpmath.workprec(170):
        for name in sys.argv[1:] or POLYNOMIALS:
            polynomial = POLYNOMIALS[name]
            for dtype, count in ((np.float32, polynomial.single), (np.float64, polynomial.double)):
                if count:
                    values = coefficients(polynomial, dtype, count)
                    ulps = error(polynomial, values) / float(np.finfo(dtype).eps)
                    texts = ", ".join(str(dtype(value)) for value in reversed(values))
                    print(f"{name}, {dtype.__name__}, {ulps:.3f} ulp: {texts}", flush=True)  # noqa: T201  # the report


if __name__ == "__main__":
    main()
