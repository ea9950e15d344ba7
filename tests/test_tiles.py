"""Matrix products in register tiles: against NumPy, at every edge of the tiles."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc import float32, float64
from graphc.loops import Contract, statements
from graphc.lower import lower
from graphc.passes import optimize
from graphc.trace import trace_function

rng = np.random.default_rng(0)
SIDES = (4, 5, 12, 13, 17, 33, 70)
FORMS = {
    "NN": (lambda a, b: a @ b, False, False),
    "TN": (lambda a, b: a.T @ b, True, False),
    "NT": (lambda a, b: a @ b.T, False, True),
    "TT": (lambda a, b: a.T @ b.T, True, True),
}


def tiles(fn, *types):
    program = lower(optimize(trace_function(fn, types).graph))
    return [x for x in statements(program.body) if isinstance(x, Contract)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_every_edge(form, dtype):
    fn, left, right = FORMS[form]
    types = (dtype[("k", "m") if left else ("m", "k")], dtype[("n", "k") if right else ("k", "n")])
    kernel = graphc.compile(fn, *types)
    assert tiles(fn, *types)
    for m in (0, 1, *SIDES):
        for n in (1, 15, 16, *SIDES):
            for k in (0, 1, 9, 64):
                a = rng.normal(size=(k, m) if left else (m, k)).astype(dtype.name)
                b = rng.normal(size=(n, k) if right else (k, n)).astype(dtype.name)
                tolerance = 8 * max(k, 1) * np.finfo(dtype.name).eps
                np.testing.assert_allclose(kernel(a, b), fn(a, b), rtol=0, atol=tolerance)


def test_nan_and_infinity_go_where_numpy_sends_them():
    a, b = rng.normal(size=(20, 30)), rng.normal(size=(30, 40))
    a[3, 4], b[5, 6], b[7, 8] = np.nan, np.inf, -np.inf
    kernel = graphc.compile(lambda a, b: a @ b, a, b)
    want = a @ b
    got = kernel(a, b)
    assert (np.isnan(got) == np.isnan(want)).all()
    assert (np.isinf(got) == np.isinf(want)).all()


@pytest.mark.parametrize(
    ("fn", "shapes"),
    [
        (lambda a, b: np.einsum("bij,bjk->bik", a, b), ((3, 20, 21), (3, 21, 22))),
        (lambda a, b: np.einsum("bij,bkj->bki", a, b), ((3, 20, 21), (3, 22, 21))),
        (lambda a, b: np.einsum("ipj,pjk->ik", a, b), ((20, 3, 21), (3, 21, 22))),
        (lambda a, b: np.exp(a) @ (b * 2), ((20, 30), (30, 40))),
        (lambda a, b: a[::-1, ::2] @ b[5:20], ((20, 30), (30, 40))),
        (lambda a, b: np.pad(a, 2) @ np.concatenate([b, b[:4]]), ((20, 30), (30, 40))),
        (lambda a, b: np.tanh(a @ b + b[0]), ((20, 30), (30, 40))),
    ],
)
def test_operands_are_read_through_or_copied(fn, shapes):
    a, b = (rng.normal(size=shape) for shape in shapes)
    assert tiles(fn, float64[a.shape], float64[b.shape])
    np.testing.assert_allclose(graphc.compile(fn, a, b)(a, b), fn(a, b), rtol=1e-11, atol=1e-12)


def test_small_products_and_those_with_vectors_stay_loops():
    assert not tiles(lambda a, b: a @ b, float64[4, 3], float64[3, 5])
    assert not tiles(lambda a, b: a @ b, float64[64, 64], float64[64, 3])
    assert not tiles(lambda a, b: a @ b, float64[64, 64], float64[64])


def test_the_gradient_of_a_product_is_two_products():
    def loss(a, b):
        return np.sum(np.tanh(a @ b) ** 2)

    types = (float64[20, 30], float64[30, 40])
    both = graphc.value_and_grad(loss, (0, 1))
    assert len(tiles(both, *types)) == 3
    a, b = (rng.normal(size=x.shape) for x in types)
    value, (d_a, d_b) = graphc.compile(both, *types)(a, b)
    y = np.tanh(a @ b)
    d_z = 2 * y * (1 - y * y)
    np.testing.assert_allclose(value, np.sum(y * y))
    np.testing.assert_allclose(d_a, d_z @ b.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(d_b, a.T @ d_z, rtol=1e-9, atol=1e-12)
