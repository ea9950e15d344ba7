"""scipy.special's functions against SciPy itself, in value; derivatives by differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special as special
from scipy.special import log_softmax, logsumexp, polygamma, softmax

import graphc
from graphc.errors import TraceError
from graphc.transform import grad

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))
P = np.concatenate([np.linspace(0.001, 0.999, 53), 10.0 ** np.arange(-300, 0, 20.0)])
WIDE = np.concatenate([np.linspace(-60, 60, 97), [1e-300, 1e-10, -1e-3, 700, 1e5, 39.9, 40.1]])
RIGHT = np.abs(WIDE) + 1e-12

UNARY: dict[str, tuple[Callable[[Any], Any], np.ndarray[Any, Any]]] = {
    **{f: (getattr(special, f), P) for f in ("ndtri", "erfinv")},
    "erfcinv": (special.erfcinv, 2 * P),
    **{f: (getattr(special, f), WIDE) for f in ("i0e", "i1e", "j0", "j1")},
    **{f: (getattr(special, f), WIDE[:-3]) for f in ("i0", "i1", "erfcx")},
    **{f: (getattr(special, f), RIGHT) for f in ("y0", "y1", "k0", "k1", "k0e", "k1e")},
    "np.i0": (np.i0, WIDE[:97]),
    **{f"jv{n}": (lambda x, n=n: special.jv(n, x), WIDE) for n in (-3, 2, 10)},
    **{f"ive{n}": (lambda x, n=n: special.ive(n, x), WIDE) for n in (2, 7)},
    **{f"kve{n}": (lambda x, n=n: special.kve(n, x), RIGHT[RIGHT > 1e-5]) for n in (2, 5)},
    **{f"yn{n}": (lambda x, n=n: special.yn(n, x), RIGHT[RIGHT > 1e-5]) for n in (2, 5)},
    "ellipk": (special.ellipk, np.linspace(-9, 0.99, 40)),
    "ellipe": (special.ellipe, np.linspace(-9, 1, 40)),
    "agm": (lambda x: special.agm(x, 0.3), RIGHT),
    "tandg": (special.tandg, np.arange(-170.0, 180, 20)),
    "binom": (lambda x: special.binom(9.5, x), P * 8),
    "poch": (lambda x: special.poch(x, 1.5), P * 8 + 0.1),
    "polygamma": (lambda x: polygamma(2, x), P * 8 + 0.1),
    "polygammas": (lambda x: polygamma(np.arange(3)[:, None], x), P * 8 + 0.1),
    "zeta": (lambda x: special.zeta(3, x), P * 8 + 0.1),
    "multigammaln": (lambda x: special.multigammaln(x, 3), P * 8 + 1.1),
    "factorial": (special.factorial, P * 8),
    "comb": (lambda x: special.comb(12, x), P * 8),
    "perm": (lambda x: special.perm(12, x), P * 8),
}


@pytest.mark.parametrize("name", UNARY)
def test_values(name: str) -> None:
    f, x = UNARY[name]
    wanted = f(x)
    for found in (graphc.compile(f, x)(x), graphc.trace(f, x)(x)):
        np.testing.assert_allclose(found, wanted, rtol=2e-12, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in UNARY if name not in ("np.i0", "jv-3", "comb")])
def test_derivatives_of_two_orders(name: str) -> None:
    f, _ = UNARY[name]
    x, h = rng.uniform(0.2, 0.9, 2) + (name == "multigammaln"), 1e-5
    first = lambda x: grad(lambda x: np.sum(f(x)))(x)  # noqa: E731  # a formula
    np.testing.assert_allclose(
        first(x), np.reshape(f(x + h) - f(x - h), (-1, 2)).sum(0) / (2 * h), rtol=1e-6, atol=1e-8
    )
    second = grad(lambda x: np.sum(first(x)))(x)
    np.testing.assert_allclose(
        second, (first(x + h) - first(x - h)) / (2 * h), rtol=1e-6, atol=1e-8
    )


def test_bessel_functions_at_zero() -> None:
    first = [float(grad(f)(0.0)) for f in (special.i0, special.i1, special.j0, special.j1)]
    second = [float(grad(grad(f))(0.0)) for f in (special.i0, special.i1, special.j0, special.j1)]
    np.testing.assert_allclose((first, second), [[0, 0.5, 0, 0.5], [0.5, 0, -0.5, 0]])


def test_cotangent_of_small_angles_in_degrees() -> None:
    found = graphc.compile(special.cotdg, np.ones(2))(np.array([-0.75, 1e-9]))
    np.testing.assert_allclose(found, [-76.39000931113604, 57295779513.08232], rtol=1e-15)


SUMS: dict[str, Callable[[Any], Any]] = {
    "logsumexp": logsumexp,
    "along": lambda x: logsumexp(x, axis=1, keepdims=True),
    "weights": lambda x: logsumexp(x, axis=0, b=np.arange(4.0)),
    "signs": lambda x: logsumexp(x, b=np.arange(4.0) - 1.5, return_sign=True),
    "signs along": lambda x: logsumexp(x, (0, 1), -1.0, True, True),
    "softmax": lambda x: softmax(x, axis=-1),
    "softmax of all": softmax,
    "log_softmax": lambda x: log_softmax(x, axis=0),
    "log_softmax of all": log_softmax,
}


@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("name", SUMS)
def test_functions_that_scipy_wrote_in_python(name: str, scale: float) -> None:
    f, x = SUMS[name], scale * X
    wanted, found = f(x), graphc.compile(f, x)(x)
    assert type(found) is tuple or np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-300)
    total = lambda x: np.sum(np.asarray(f(x)) if isinstance(x, np.ndarray) else f(x))  # noqa: E731
    if "signs" not in name:
        assert np.isfinite(graphc.compile(grad(total), x)(x)).all()


def test_logsumexp_of_nothing_but_minus_infinity() -> None:
    x = np.full(3, -np.inf)
    for f in (logsumexp, lambda x: logsumexp(x, b=np.ones(3))):
        assert graphc.compile(f, x)(x) == -np.inf
        np.testing.assert_array_equal(grad(f)(x), np.zeros(3))


def test_what_is_taught_stays_what_it_was_for_arrays() -> None:
    graphc.trace(logsumexp, X)
    assert str(inspect.signature(logsumexp)).startswith("(a, axis=None, b=None, keepdims=False")
    assert special.comb(5, 2, exact=True) == 10
    assert special.factorial(5, exact=True) == 120
    assert softmax([1.0, 1.0]).tolist() == [0.5, 0.5]
    with pytest.raises(TypeError, match="axes"):
        softmax(X, axes=1)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: polygamma(x, x), "polygamma with a traced order at .*test_special.py"),
        (
            lambda x: polygamma(-1, x),
            "polygamma with an order -1 .*: give whole numbers, 0 or more",
        ),
        (
            lambda x: special.jv(0.5, x),
            r"scipy.special.jv with the order 0.5 at .*: give one whole",
        ),
        (lambda x: special.jv(np.arange(4), x), "jv with an array of orders at .*: give one whole"),
        (lambda x: special.comb(x, 2, exact=True), "comb with exact=True at .*: leave it out"),
        (lambda x: special.zeta(x), "zeta of a traced value at .*: scipy.special.zeta"),
    ],
)
def test_misuse(f: Any, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        graphc.trace(f, X)


@pytest.mark.parametrize("f", [special.erfinv, special.ndtri, special.k0, special.y1])
def test_the_branch_not_taken_sends_no_nan(f: Any) -> None:
    x = np.array([-1.0, 0.0, 0.25, 0.5])
    guarded = lambda x: np.sum(np.where((x > 0.1) & (x < 0.9), f(x), 0.0))  # noqa: E731
    found = grad(guarded)(x)
    assert found[:2].tolist() == [0.0, 0.0]
    assert np.isfinite(found).all()
