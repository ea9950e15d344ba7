"""Textbook formulas: right value, gradient and second derivative where NumPy itself overflows.

The expected values are closed forms in double precision, written so that nothing overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import types
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.transform import grad, jvp, value_and_grad, vjp

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]
DTYPES = (np.float32, np.float64)
POINTS = (0.0, 30.0, -30.0, 1000.0, -1000.0, 0.5, -2.0, 88.8, -88.8, 710.0, -710.0)


def softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def sigma(x: Array) -> Array:
    return np.exp(-softplus(-x))


def slope(x: Array) -> Array:
    return sigma(x) * sigma(-x)


def bend(x: Array) -> Array:
    return slope(x) * (sigma(-x) - sigma(x))


def sech2(x: Array) -> Array:
    return 4 * slope(2 * x)


def zero(x: Array) -> Array:
    return np.zeros_like(x)


def negated(*functions: Function) -> tuple[Function, ...]:
    return tuple(lambda x, f=f: -f(x) for f in functions)


def mirrored(f: Function, d: Function, d2: Function) -> tuple[Function, ...]:
    """x -> f(-x) and its derivatives."""
    return (lambda x: f(-x), lambda x: -d(-x), lambda x: d2(-x))


SOFTPLUS = (softplus, sigma, slope)
SIGMOID = (sigma, slope, bend)
LOG_SIGMOID = negated(*mirrored(*SOFTPLUS))
TANH = (np.tanh, sech2, lambda x: -2 * np.tanh(x) * sech2(x))
SILU = (
    lambda x: x * sigma(x),
    lambda x: sigma(x) + x * slope(x),
    lambda x: 2 * slope(x) + x * bend(x),
)
LINE = (lambda x: x, np.ones_like, zero)
MODULUS = (np.abs, np.sign, zero)


def below(x: Array) -> Array:
    return np.minimum(x, 0)


def positive(x: Array) -> Array:
    return np.where(x > 0, x, 1)


FORMULAS: dict[str, tuple[Function, tuple[Function, ...]]] = {
    "log(1 + exp(v))": (lambda v: np.log(1 + np.exp(v)), SOFTPLUS),
    "log(exp(v) + 1)": (lambda v: np.log(np.exp(v) + 1), SOFTPLUS),
    "log(1.0 + exp(1 * v))": (lambda v: np.log(1.0 + np.exp(1 * v)), SOFTPLUS),
    "log1p(exp(v))": (lambda v: np.log1p(np.exp(v)), SOFTPLUS),
    "log(1 + e**v)": (lambda v: np.log(1 + np.e**v), SOFTPLUS),
    "log(exp(0) + exp(v))": (lambda v: np.log(np.exp(0 * v + 0) + np.exp(v)), SOFTPLUS),
    "logaddexp(0, v)": (lambda v: np.logaddexp(0, v), SOFTPLUS),
    "logaddexp(v, 0)": (lambda v: np.logaddexp(v, 0.0), SOFTPLUS),
    "-log(1 + exp(-v))": (lambda v: -np.log(1 + np.exp(-v)), LOG_SIGMOID),
    "-log(exp(-v) + 1)": (lambda v: -np.log(np.exp(-v) + 1), LOG_SIGMOID),
    "log(1 / (1 + exp(-v)))": (lambda v: np.log(1 / (1 + np.exp(-v))), LOG_SIGMOID),
    "log(exp(v) / (1 + exp(v)))": (lambda v: np.log(np.exp(v) / (1 + np.exp(v))), LOG_SIGMOID),
    "log(1 - 1 / (1 + exp(v)))": (lambda v: np.log(1 - 1 / (1 + np.exp(v))), LOG_SIGMOID),
    "log(1 - σ(v))": (lambda v: np.log(1 - 1 / (1 + np.exp(-v))), negated(*SOFTPLUS)),
    "log1p(-σ(v))": (lambda v: np.log1p(-1 / (1 + np.exp(-v))), negated(*SOFTPLUS)),
    "exp(z) / (1 + exp(z))": (lambda z: np.exp(z) / (1 + np.exp(z)), SIGMOID),
    "exp(z) / (exp(z) + 1)": (lambda z: np.exp(z) / (np.exp(z) + 1), SIGMOID),
    "1 / (1 + exp(-z))": (lambda z: 1 / (1 + np.exp(-z)), SIGMOID),
    "1 / (exp(-z) + 1)": (lambda z: 1 / (np.exp(-z) + 1), SIGMOID),
    "(1 + exp(-z)) ** -1": (lambda z: (1 + np.exp(-z)) ** -1, SIGMOID),
    "1 - 1 / (1 + exp(z))": (lambda z: 1 - 1 / (1 + np.exp(z)), SIGMOID),
    "1 - 1 / (exp(z) + 1)": (lambda z: 1 - 1 / (np.exp(z) + 1), SIGMOID),
    "1 / (1 + 1 / exp(z))": (lambda z: 1 / (1 + 1 / np.exp(z)), SIGMOID),
    "exp(-log(1 + exp(-z)))": (lambda z: np.exp(-np.log(1 + np.exp(-z))), SIGMOID),
    "exp(z - log(1 + exp(z)))": (lambda z: np.exp(z - np.log(1 + np.exp(z))), SIGMOID),
    "(tanh(z / 2) + 1) / 2": (lambda z: (np.tanh(z / 2) + 1) / 2, SIGMOID),
    "0.5 * (1 + tanh(0.5 * z))": (lambda z: 0.5 * (1 + np.tanh(0.5 * z)), SIGMOID),
    "0.5 + 0.5 * tanh(z / 2)": (lambda z: 0.5 + 0.5 * np.tanh(z / 2), SIGMOID),
    "where(z >= 0, ...)": (
        lambda z: np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z))),
        SIGMOID,
    ),
    "sinh / cosh": (
        lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
        TANH,
    ),
    "(exp(2x) - 1) / (exp(2x) + 1)": (lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), TANH),
    "(1 - exp(-2x)) / (1 + exp(-2x))": (
        lambda x: (1 - np.exp(-2 * x)) / (1 + np.exp(-2 * x)),
        TANH,
    ),
    "2 / (1 + exp(-2x)) - 1": (lambda x: 2 / (1 + np.exp(-2 * x)) - 1, TANH),
    "x / (1 + exp(-x))": (lambda x: x / (1 + np.exp(-x)), SILU),
    "x * exp(x) / (1 + exp(x))": (lambda x: x * np.exp(x) / (1 + np.exp(x)), SILU),
    "log(exp(x))": (lambda x: np.log(np.exp(x)), LINE),
    "log(1 / exp(-x))": (lambda x: np.log(1 / np.exp(-x)), LINE),
    "sqrt(x**2)": (lambda x: np.sqrt(x**2), MODULUS),
    "sqrt(x * x)": (lambda x: np.sqrt(x * x), MODULUS),
    "elu": (
        lambda x: np.where(x > 0, x, np.exp(x) - 1),
        (
            lambda x: np.where(x > 0, x, np.expm1(below(x))),
            lambda x: np.exp(below(x)),
            lambda x: np.where(x > 0, 0, np.exp(below(x))),
        ),
    ),
    "where(x > 0, x log x, 0)": (
        lambda x: np.where(x > 0, x * np.log(x), 0),
        (
            lambda x: positive(x) * np.log(positive(x)),
            lambda x: np.where(x > 0, 1 + np.log(positive(x)), 0),
            lambda x: np.where(x > 0, 1 / positive(x), 0),
        ),
    ),
    "-log N(x; 0, 1)": (
        lambda x: -np.log(np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)),
        (lambda x: x * x / 2 + 0.5 * np.log(2 * np.pi), lambda x: x, np.ones_like),
    ),
    "-log Laplace(x; 0, 3)": (
        lambda x: -np.log(1 / (2 * 3.0) * np.exp(-np.abs(x) / 3.0)),
        (lambda x: np.abs(x) / 3 + np.log(6.0), lambda x: np.sign(x) / 3, zero),
    ),
    "exp(x) / (1 + exp(x))**2": (
        lambda x: np.exp(x) / (1 + np.exp(x)) ** 2,
        (slope, bend, lambda x: bend(x) * (1 - 2 * sigma(x)) - 2 * slope(x) ** 2),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("formula", FORMULAS)
def test_value_and_derivatives(formula: str, dtype: type) -> None:
    fn, (value, first, second) = FORMULAS[formula]
    x = np.array(POINTS, dtype)
    wide = x.astype(np.float64)
    ones = np.ones_like(x)
    found, pull = vjp(fn, x)
    (slopes,) = pull(ones)
    pushed = jvp(fn, (x,), (ones,))[1]
    bends = grad(lambda y: np.sum(vjp(fn, y)[1](np.ones_like(y))[0]))(x)
    tolerance = 32 * np.finfo(dtype).eps
    for what, got, wanted in (
        ("value", found, value(wide)),
        ("reverse", slopes, first(wide)),
        ("forward", pushed, first(wide)),
        ("second", bends, second(wide)),
    ):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, tolerance, tolerance, err_msg=what)


# --- softmax and log-sum-exp --------------------------------------------------------------------


def naive_cross_entropy(z: Array, t: Array) -> Any:
    return -np.mean(np.sum(t * np.log(np.exp(z) / np.sum(np.exp(z), axis=1)[:, None]), axis=1))


def in_two_steps(z: Array, t: Array) -> Any:
    e = np.exp(z)
    p = e / e.sum(axis=-1, keepdims=True)
    return -np.sum(t * np.log(p)) / z.shape[0]


def picked(z: Array, t: Array) -> Any:
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return -np.mean(np.log(np.sum(p * t, axis=1)))


def picked_before_dividing(z: Array, t: Array) -> Any:
    return -np.mean(np.log(np.sum(t * np.exp(z) / np.sum(np.exp(z), axis=1)[:, None], axis=1)))


def by_columns(z: Array, t: Array) -> Any:
    p = np.exp(z.T) / np.sum(np.exp(z.T), axis=0)
    return -np.sum(t.T * np.log(p)) / t.shape[0]


def transposed(z: Array, t: Array) -> Any:
    p = (np.exp(z.T) / np.sum(np.exp(z.T), axis=0)).T
    return -np.mean(np.sum(np.log(p) * t, axis=1))


def difference(z: Array, t: Array) -> Any:
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.sum(t * z, axis=1))


def log_softmax(z: Array, t: Array) -> Any:
    return -np.mean(np.sum(t * (z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))), axis=1))


def shifted_by_hand(z: Array, t: Array) -> Any:
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return -np.mean(np.sum(t * np.log(e / np.sum(e, axis=1, keepdims=True)), axis=1))


def log_sum_exp_by_hand(z: Array, t: Array) -> Any:
    m = np.max(z, axis=1, keepdims=True)
    return np.mean(m[:, 0] + np.log(np.sum(np.exp(z - m), axis=1)) - np.sum(z * t, axis=1))


ENTROPIES = (
    naive_cross_entropy,
    in_two_steps,
    picked,
    picked_before_dividing,
    by_columns,
    transposed,
    difference,
    log_softmax,
    shifted_by_hand,
    log_sum_exp_by_hand,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("loss", ENTROPIES, ids=lambda fn: fn.__name__)
def test_cross_entropy(loss: Callable[..., Any], scale: float, dtype: type) -> None:
    rng = np.random.default_rng(int(scale))
    z = (rng.normal(size=(6, 5)) * scale).astype(dtype)
    t = np.eye(5, dtype=dtype)[rng.integers(0, 5, 6)]
    wide = z.astype(np.float64)
    logp = wide - np.logaddexp.reduce(wide, axis=1, keepdims=True)
    p = np.exp(logp)
    value, gradient = value_and_grad(loss)(z, t)
    tolerance = 64 * np.finfo(dtype).eps * max(scale, 1)
    np.testing.assert_allclose(value, -np.sum(t * logp) / 6, tolerance, tolerance)
    np.testing.assert_allclose(gradient, (p - t) / 6, tolerance, tolerance)
    v = rng.normal(size=z.shape).astype(dtype)
    product = grad(lambda y: np.sum(v * grad(loss)(y, t)))(z)
    wanted = p * (v - np.sum(p * v, axis=1, keepdims=True)) / 6
    np.testing.assert_allclose(product, wanted, tolerance, tolerance)


SUMS: dict[str, tuple[Callable[[Array], Any], Callable[[Array], Any]]] = {
    "axis=1": (
        lambda x: np.log(np.sum(np.exp(x), axis=1)),
        lambda x: np.logaddexp.reduce(x, axis=1),
    ),
    "axis=0": (lambda x: np.log(np.exp(x).sum(0)), lambda x: np.logaddexp.reduce(x, axis=0)),
    "keepdims": (
        lambda x: np.log(np.sum(np.exp(x), axis=1, keepdims=True)),
        lambda x: np.logaddexp.reduce(x, axis=1, keepdims=True),
    ),
    "all": (lambda x: np.log(np.sum(np.exp(x))), lambda x: np.logaddexp.reduce(x, axis=(0, 1))),
    "reshaped": (
        lambda x: np.log(np.sum(np.exp(x), axis=1).reshape(2, 2)),
        lambda x: np.logaddexp.reduce(x, axis=1).reshape(2, 2),
    ),
    "mean": (
        lambda x: np.log(np.mean(np.exp(x), axis=1)),
        lambda x: np.logaddexp.reduce(x, axis=1) - np.log(5),
    ),
    "one more": (
        lambda x: np.log(1 + np.sum(np.exp(x), axis=1)),
        lambda x: softplus(np.logaddexp.reduce(x, axis=1)),
    ),
    "two": (lambda x: np.log(np.exp(x[0]) + np.exp(x[1])), lambda x: np.logaddexp(x[0], x[1])),
    "three": (
        lambda x: np.log(np.exp(x[0]) + np.exp(x[1]) + np.exp(x[2])),
        lambda x: np.logaddexp.reduce(x[:3], axis=0),
    ),
    "softmax of two": (
        lambda x: np.exp(x[0]) / (np.exp(x[0]) + np.exp(x[1])),
        lambda x: sigma(x[0] - x[1]),
    ),
    "weighted mean": (
        lambda x: np.sum(x * np.exp(x), axis=1) / np.sum(np.exp(x), axis=1),
        lambda x: np.sum(x * np.exp(x - np.logaddexp.reduce(x, axis=1, keepdims=True)), axis=1),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.0, 30.0, 1000.0])
@pytest.mark.parametrize("form", SUMS)
def test_sums_of_exponentials(form: str, scale: float, dtype: type) -> None:
    fn, wanted = SUMS[form]
    x = (np.random.default_rng(1).normal(size=(4, 5)) * scale).astype(dtype)
    found, pull = vjp(fn, x)
    tolerance = 64 * np.finfo(dtype).eps * max(scale, 1)
    np.testing.assert_allclose(found, wanted(x.astype(np.float64)), tolerance, tolerance)
    assert found.dtype == dtype
    (slopes,) = pull(np.ones_like(found))
    assert np.isfinite(slopes).all()
    if form not in ("softmax of two", "weighted mean"):
        # the derivative of a mean of elements, weighted by a softmax, sums to their number
        most = np.size(found)
        assert np.sum(slopes) <= most * (1 + tolerance)


def test_infinite_elements_of_a_log_sum_exp() -> None:
    def fn(x: Array) -> Any:
        return np.log(np.sum(np.exp(x), axis=1))

    inf = np.inf
    x = np.array([[-inf, -inf], [-inf, 1.0], [inf, 1.0], [np.nan, 1.0]])
    np.testing.assert_array_equal(vjp(fn, x)[0], [-inf, 1.0, inf, np.nan])


# --- what a person would not compute twice ------------------------------------------------------


def counted(fn: Callable[..., Any], *args: Any) -> dict[str, int]:
    names = [node.op.name for node in optimize(trace_function(fn, args).graph).nodes]
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize(
    "sigmoid",
    [
        lambda z: np.exp(z) / (1 + np.exp(z)),
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: 1 - 1 / (1 + np.exp(z)),
    ],
)
def test_the_adjoint_of_a_sigmoid_is_a_times_one_minus_a(sigmoid: Function) -> None:
    ops = counted(lambda z, w: vjp(sigmoid, z)[1](w)[0], types.float64[3], types.float64[3])
    assert ops == {"input": 2, "sigmoid": 1, "constant": 1, "subtract": 1, "multiply": 2}


@pytest.mark.parametrize("loss", ENTROPIES, ids=lambda fn: fn.__name__)
def test_a_cross_entropy_and_its_gradient_take_few_exponentials(loss: Any) -> None:
    kind = types.float64["n", 10]
    ops = counted(value_and_grad(loss), kind, kind)
    # what a one-hot vector picks has an exponential of its own
    assert ops["exp"] <= (2 if loss in (picked, picked_before_dividing) else 1)
    assert "stop_gradient" not in ops
