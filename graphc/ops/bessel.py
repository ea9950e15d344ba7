"""Bessel functions of whole orders, one row a kind; the order is a parameter."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from graphc import loops
from graphc.errors import DTypeError
from graphc.graph import Array, Elementwise, Node, Op, Params, Value, call
from graphc.ops.rows import ANY, POSITIVE, Interval, call_symbol, infer_same, partials
from graphc.types import int32

Term = Callable[[Value, Value, int], Value]


def order_of(params: Params) -> int:
    """The order of a Bessel function.

    Raises:
        DTypeError: it is no int.
    """
    order = params["order"]
    if not isinstance(order, int):
        raise DTypeError(f"the order of a Bessel function is an int, not {order!r}")
    return order


def _of_order(node: Node, a: Value, order: int) -> Value:
    """The same function of another order; of order -1 by its reflection."""
    if order >= 0:
        return call(node.op, a, order=order)
    sign = -1.0 if node.op.name in ("bessel_j", "bessel_y") else 1.0
    return sign * call(node.op, a, order=1)


def _derivative(below: float, above: float, decay: Callable[[Value], Value] | None) -> Term:
    """y' = below y_{n-1} + above y_{n+1}, plus decay(a) y where it is scaled by an exponential."""

    def term(t: Value, y: Value, a: Value) -> Value:
        node, n = y.node, order_of(y.node.params)
        slope = below * _of_order(node, a, n - 1) + above * _of_order(node, a, n + 1)
        return t * (slope if decay is None else slope + decay(a) * y)

    return term


def _row(
    name: str,
    scalar: Callable[[int, float], float],
    derivative: Term,
    latex: str,
    domain: Interval,
) -> Op:
    def evaluate(params: Params, x: Array) -> Array:
        n = order_of(params)
        each = np.vectorize(lambda v: _safely(scalar, n, float(v)), otypes=[np.float64])
        x = np.asarray(x)
        return np.asarray(each(x)).astype(x.dtype) if x.size else x.copy()

    return Op(
        name,
        infer_same("f"),
        evaluate,
        Elementwise(
            lambda node, x: loops.Apply(
                name, (loops.Literal(order_of(node.params), int32), x), x.dtype
            )
        ),
        partials(derivative),
        call_symbol(name, latex),
        (),
        domain=(domain,),
    )


# --- the functions by their integrals, at points so many that the rule is exact -------------------


def _safely(scalar: Callable[[int, float], float], n: int, x: float) -> float:
    if math.isnan(x):
        return x
    try:
        return scalar(n, x)
    except OverflowError:
        return math.inf


def _series(n: int, x: float, sign: float) -> float:
    """The power series, for small x."""
    term = total = math.prod(abs(x) / (2 * k) for k in range(1, n + 1))
    for k in range(1, 60):
        term *= sign * x * x / (4 * k * (k + n))
        total += term
    return total * math.copysign(1.0, x) if n % 2 else total


def _angles(points: int) -> Array:
    return np.asarray(math.pi * (np.arange(points) + 0.5) / points)


def _i_scaled(n: int, x: float) -> float:
    """(1/pi) times the integral of exp(x cos t - |x|) cos(n t) from 0 to pi."""
    if abs(x) > max(1e5, n**4):
        term = total = 1.0
        for k in range(1, 5):
            term *= ((2 * k - 1) ** 2 - 4 * n * n) / (8 * k * abs(x))
            total += term
        total /= math.sqrt(2 * math.pi) * math.sqrt(abs(x))
        return math.copysign(total, x) if n % 2 else total
    if abs(x) < 8:
        return math.exp(-abs(x)) * _series(n, x, 1.0)
    t = _angles(200 + 12 * n + int(14 * math.sqrt(abs(x))))
    turned = np.cos(n * t) * (1 if x > 0 else (-1) ** n)
    return float(np.mean(np.exp(-2 * abs(x) * np.sin(t / 2) ** 2) * turned))


def _i(n: int, x: float) -> float:
    if abs(x) > 1400:
        return math.copysign(math.inf, x) if n % 2 else math.inf
    half = math.exp(0.5 * abs(x))
    return half * _i_scaled(n, x) * half


FAR = 500.0


def _j(n: int, x: float) -> float:
    """(1/pi) times the integral of cos(n t - x sin t) from 0 to pi."""
    if abs(x) < 4:
        return _series(n, x, -1.0)
    if abs(x) > max(FAR, n * n):
        return _wave(n, x, 0)
    t = _angles(100 + n + int(1.2 * abs(x)))
    return float(np.mean(np.cos(n * t - x * np.sin(t))))


def _wave(n: int, x: float, quarter: int) -> float:
    """The asymptotic series for large x: J, or Y with a turn by a quarter."""
    if math.isinf(x):
        return 0.0
    term, sums = 1.0, [1.0, 0.0, 0.0, 0.0]
    for k in range(1, 30):
        term *= (4 * n * n - (2 * k - 1) ** 2) / (8 * k * abs(x))
        sums[k % 4] += term
    p, q = sums[0] - sums[2], sums[1] - sums[3]
    # cos and sin of |x| - pi / 4, then so many quarters back
    c = (math.cos(abs(x)) + math.sin(abs(x))) / math.sqrt(2)
    s = (math.sin(abs(x)) - math.cos(abs(x))) / math.sqrt(2)
    for _ in range((n + quarter) % 4):
        c, s = s, -c
    sign = (-1) ** n if x < 0 else 1
    return sign * math.sqrt(2 / math.pi) / math.sqrt(abs(x)) * (p * c - q * s)


NEAR = 1e-9


def _k_near(n: int, x: float) -> float:
    """The first term of K's series for small x, and of Y's times -pi / 2."""
    if n == 0:
        return math.log(2) - math.log(x) - float(np.euler_gamma)
    try:
        return 0.5 * math.factorial(n - 1) * (2 / x) ** n
    except OverflowError:
        return math.inf


def _y(n: int, x: float) -> float:
    """The integrals of sin(x sin t - n t) and of (exp(n t) + (-1)^n exp(-n t)) exp(-x sinh t)."""
    if x <= 0:
        return -math.inf if x == 0 else math.nan
    if x > max(FAR, n * n):
        return _wave(n, x, 1)
    if x < NEAR:
        return -2 / math.pi * _k_near(n, x)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    parts = 1 + int(x / 50)
    edges = np.linspace(0, math.pi, parts + 1)
    t = (edges[:-1, None] + (nodes + 1) / 2 * (math.pi / parts)).reshape(-1)
    first = np.sum(np.tile(weights, parts) * np.sin(x * np.sin(t) - n * t)) / (2 * parts)
    top = math.log(1500 + 16 * n) - math.log(min(x, 1.0)) + 1
    edges = np.linspace(0, top, 21)
    t = (edges[:-1, None] + (nodes + 1) / 2 * (top / 20)).reshape(-1)
    with np.errstate(all="ignore"):
        tail = np.exp(n * t - x * np.sinh(t)) + (-1) ** n * np.exp(-n * t - x * np.sinh(t))
    second = np.sum(np.tile(weights, 20) * tail) * top / 40 / math.pi
    return float(first - second)


def _k_scaled(n: int, x: float) -> float:
    """The integral of exp(-x (cosh t - 1)) cosh(n t) from 0 to infinity."""
    if x <= 0:
        return math.inf if x == 0 else math.nan
    if math.isinf(x):
        return 0.0
    if x < NEAR:
        return math.exp(x) * _k_near(n, x)
    top = 2.1 * math.asinh(math.sqrt(370 + 4 * n) / math.sqrt(x))
    t = np.linspace(0, top, 4001)
    with np.errstate(all="ignore"):
        value = 0.5 * (
            np.exp(n * t - 2 * x * np.sinh(t / 2) ** 2)
            + np.exp(-n * t - 2 * x * np.sinh(t / 2) ** 2)
        )
    return float((np.sum(value) - 0.5 * value[0]) * (t[1] - t[0]))


BESSEL_J = _row("bessel_j", _j, _derivative(0.5, -0.5, None), "J", ANY)
BESSEL_Y = _row("bessel_y", _y, _derivative(0.5, -0.5, None), "Y", POSITIVE)
BESSEL_I = _row("bessel_i", _i, _derivative(0.5, 0.5, None), "I", ANY)
BESSEL_IE = _row(
    "bessel_ie", _i_scaled, _derivative(0.5, 0.5, lambda a: -np.sign(a)), "e^{-|x|} I", ANY
)
BESSEL_K = _row(
    "bessel_k",
    lambda n, x: math.exp(-x) * _k_scaled(n, x) if x > 0 else _k_scaled(n, x),
    _derivative(-0.5, -0.5, None),
    "K",
    POSITIVE,
)
BESSEL_KE = _row("bessel_ke", _k_scaled, _derivative(-0.5, -0.5, np.ones_like), "e^x K", POSITIVE)
BESSEL = (BESSEL_J, BESSEL_Y, BESSEL_I, BESSEL_IE, BESSEL_K, BESSEL_KE)
