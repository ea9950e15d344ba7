"""Matrix products in register tiles: against NumPy, at every edge of the tiles."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import graphc
from graphc import float32, float64
from graphc.loops import Contract, Loop, statements
from graphc.lower import lower
from graphc.lower.index import simplify
from graphc.lower.panels import PACK, UNPACK
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.types import Dim, evaluate, floordiv, minimum

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
    for m in (0, 1, *SIDES, 14, 20, 26, 32):  # eight rows left over, in one panel of 12 or two
        for n in (1, 15, 16, 48, 64, *SIDES):
            for k in (0, 1, 9, 64):
                a = rng.normal(size=(k, m) if left else (m, k)).astype(dtype.name)
                b = rng.normal(size=(n, k) if right else (k, n)).astype(dtype.name)
                tolerance = 8 * max(k, 1) * np.finfo(dtype.name).eps
                np.testing.assert_allclose(kernel(a, b), fn(a, b), rtol=0, atol=tolerance)


@pytest.mark.parametrize("target", ["native", "portable"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_columns_are_gathered_over_many_terms(form, dtype, target):
    fn, left, right = FORMS[form]
    for m, k, n in ((100, 2100, 37), (97, 1031, 130)):
        types = dtype[(k, m) if left else (m, k)], dtype[(n, k) if right else (k, n)]
        a, b = (rng.normal(size=x.shape).astype(dtype.name) for x in types)
        tolerance = 8 * k * np.finfo(dtype.name).eps
        got = graphc.compile(fn, *types, target=target)(a, b)
        np.testing.assert_allclose(got, fn(a, b), rtol=0, atol=tolerance)


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_a_narrow_product_is_summed_in_lanes(columns):
    fn, dims = FORMS["NN"][0], (float32["m", 70], float32[70, columns])
    program = lowered(fn, *dims)
    (product,) = (x for x in statements(program.body) if isinstance(x, Contract))
    assert product.by_dots
    assert [x.shape for x in program.buffers] == [(columns, 70)]  # the small operand, turned
    for m in (0, 1, 2, 40):
        a, b = rng.random((m, 70), np.float32), rng.random((70, columns), np.float32)
        np.testing.assert_allclose(graphc.compile(fn, *dims)(a, b), a @ b, rtol=1e-5)
    (product,) = tiles(FORMS["NT"][0], float32[40, 70], float32[columns, 70])
    assert product.by_dots


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize(
    ("columns", "by_dots"), [(5, True), (8, False), (12, True), (13, False), (17, False)]
)
def test_a_narrow_result_is_summed_in_lanes_unless_columns_fill_vectors(dtype, columns, by_dots):
    fn, dims = FORMS["NN"][0], (dtype["m", 130], dtype[130, columns])
    (product,) = tiles(fn, *dims)
    assert product.by_dots == by_dots
    (product,) = tiles(lambda x, w: np.tanh(x @ w), *dims)
    assert not product.by_dots  # what reads it waits for some rows only
    for m in (0, 1, 2, 40):
        a, b = (rng.normal(size=s).astype(dtype.name) for s in ((m, 130), (130, columns)))
        tolerance = 8 * 130 * np.finfo(dtype.name).eps
        np.testing.assert_allclose(graphc.compile(fn, *dims)(a, b), a @ b, rtol=0, atol=tolerance)


def test_a_large_product_reads_its_operands_where_they_lie():
    for form in ("NN", "NT"):
        program = lowered(FORMS[form][0], float32[240, 240], float32[240, 240])
        (product,) = program.body[-1:]
        assert isinstance(product, Contract)  # all rows at once: nothing else waits for some
        assert not program.buffers
        assert (product.right.term, product.right.row) == ((1, 240) if form == "NT" else (240, 1))


def test_rows_are_read_where_they_lie_however_long():
    cases = (
        ("NN", float32, []),
        ("TN", float32, [(86, 1024, 12)]),
        ("TN", float64, [(171, 1024, 6)]),
    )
    for form, dtype, copies in cases:
        program = lowered(FORMS[form][0], dtype[1024, 1024], dtype[1024, 1024])
        assert [x.shape for x in program.buffers] == copies
        assert isinstance(program.body[-1], Contract)  # a thousand rows in one go


def test_columns_that_many_blocks_read_are_copied_once():
    program = lowered(lambda x, w: np.tanh(x @ w.T), float32["n", 64], float32[256, 64])
    assert (4, 64, 64) in [x.shape for x in program.buffers]


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
    assert not tiles(lambda a, b: a.T @ b, float64[64, 64], float64[64, 3])
    assert not tiles(lambda a, b: a @ b, float64[64, 64], float64[64])


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("terms", [1, 2, 3, 7])
def test_few_terms_make_a_product_where_columns_lie_across_memory(dtype, terms):
    types = dtype[70, terms], dtype[33, terms]
    assert bool(tiles(lambda a, b: a @ b.T, *types)) == (terms > 1)
    assert not tiles(lambda a, b: a @ b, dtype[70, terms], dtype[terms, 33])
    a, b = (rng.standard_normal(x.shape).astype(str(dtype)) for x in types)
    out = graphc.compile(lambda a, b: a @ b.T, *types)(a, b)
    np.testing.assert_allclose(out, a @ b.T, rtol=1e-5 if dtype == float32 else 1e-13, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("images", [1, 8])
def test_windows_of_few_channels_are_products(channels, images):
    def loss(w, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        return np.sum(np.einsum("ichwkl,ockl->iohw", windows, w) ** 2)

    types = float32[channels, channels, 3, 3], float32[images, channels, 17, 18]
    both = graphc.value_and_grad(loss, argnums=(0, 1))
    products = tiles(both, *types)
    assert channels in [x.rows for x in products if not x.by_dots]
    assert len(products) == 3
    assert sum(bool(x.right.taps) for x in products) == 2  # no copy of these windows
    w, x = (rng.standard_normal(t.shape).astype(np.float32) for t in types)
    value, slopes = graphc.compile(both, *types)(w, x)
    wide = graphc.compile(both, *(float64[t.shape] for t in types))
    exact, exact_slopes = wide(w.astype(np.float64), x.astype(np.float64))
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    for got, want in zip(slopes, exact_slopes, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


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


def lowered(fn, *types):
    return lower(optimize(trace_function(fn, types).graph))


def test_what_uses_a_product_joins_its_blocks_of_rows():
    program = lowered(
        lambda x, w, b: np.tanh(x @ w + b), float32["n", 784], float32[784, 256], float32[256]
    )
    assert [x.shape for x in program.buffers] == [(144, 256)]  # one block, not all n rows
    (block,) = (x for x in program.body if isinstance(x, Loop))
    product, rows = block.body
    assert isinstance(product, Contract)
    assert isinstance(rows, Loop)
    assert str(rows.extent) == str(product.rows) == "min(-144*i + n, 144)"


def test_copies_are_written_as_what_they_copy():
    def product(x, d):
        y = x.T @ d
        return y

    source = graphc.compile(product, float32["n", 784], float32["n", 64]).source
    assert "/* x_pack = x.T */" in source
    assert "/* y = x.T @ d */" in source


def test_an_update_joins_the_blocks_of_its_gradient():
    def update(w, x, d):
        return w - 0.1 * (x.T @ d)

    program = lowered(update, float32[784, 256], float32["n", 784], float32["n", 256])
    assert (784, 256) not in [x.shape for x in program.buffers]


def convolution(x, k):
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2))), (5, 5), axis=(2, 3)
    )
    return np.einsum("nchwij,ocij->nohw", windows, k)


def test_windows_are_copied_for_one_image_and_weights_before_the_loop():
    program = lowered(convolution, float32[64, 6, 14, 14], float32[16, 6, 5, 5])
    shapes = {x.name: x.shape for x in program.buffers}
    assert (6, 5, 5, 14, 14) in shapes.values()
    assert not any(64 in shape for shape in shapes.values())
    (product,) = (x for x in statements(program.body) if isinstance(x, Contract))
    assert (product.rows, product.columns, product.terms) == (16, 196, 150)
    assert (product.left.buffer, product.left.term) == ("k", 1)  # the weights lie well as they are


def test_a_product_is_turned_round_where_its_copies_then_cost_less():
    def step(k, x):
        def loss(k):
            return np.sum(convolution(x, k) ** 2)

        return k - 0.1 * graphc.grad(loss)(k)

    program = lowered(step, float32[6, 1, 5, 5], float32[7, 1, 28, 28])
    products = [x for x in statements(program.body) if isinstance(x, Contract)]
    assert [(x.rows, x.columns) for x in products] == [(6, 28), (25, 6)]
    x, k = rng.random((7, 1, 28, 28), np.float32), rng.random((6, 1, 5, 5), np.float32)
    got, want = graphc.compile(step, k, x)(k, x), step(k.astype(np.float64), x.astype(np.float64))
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_a_turned_product_may_be_a_result():
    def both(w, d):
        y = d @ w.T
        return y, y * 2

    w, d = rng.normal(size=(64, 48)), rng.normal(size=(8, 48))
    for got, want in zip(graphc.compile(both, w, d)(w, d), both(w, d), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("columns", [2, 3, 4])
def test_a_few_columns_of_rows_side_by_side_are_made_as_rows(columns, threads):
    def both(x, d, w):
        return x.T @ d, w - 0.1 * (x.T @ (d * d))

    types = float64["n", 70], float64["n", columns], float64[70, columns]
    program = lowered(lambda x, d: x.T @ d, *types[:2])
    assert [x.shape for x in program.buffers] == [(columns, 70)]
    inner = [x for x in statements(program.body) if isinstance(x, Loop) and x.extent == 70]
    assert inner or any(isinstance(x, Contract) for x in statements(program.body))
    kernel = graphc.compile(both, *types, threads=threads)
    for n in (0, 1, 7, 400):
        arrays = rng.random((n, 70)), rng.random((n, columns)), rng.random((70, columns))
        for got, want in zip(kernel(*arrays), both(*arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize(("group", "width"), [(7, 12), (12, 12), (40, 16), (1, 16)])
def test_panels_hold_what_was_packed(group, width):
    x = rng.normal(size=(2, group, 3, 5))
    panels = PACK.evaluate({"width": width, "terms": 2}, x)
    assert panels.shape == (2, -(-group // width), 3, 5, width)
    for g in range(group):
        np.testing.assert_array_equal(panels[:, g // width, ..., g % width], x[:, g])
    back = UNPACK.evaluate({"group": (group,), "axis": 1}, panels)
    np.testing.assert_array_equal(back, x)


def test_windows_side_by_side_send_cotangents_back_without_guards():
    def pool(x):
        seen = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))
        return np.sum(seen[:, :, ::2, ::2].max(axis=(-2, -1)) ** 2)

    program = lowered(graphc.grad(pool), float32[4, 3, 8, 8])
    assert "greater_equal" not in str(program)


def test_a_row_of_a_block_is_a_row():
    """Else what is read through a reshape keeps its divisions, and no tile can read it."""
    i, j, k, n = (Dim.named(name) for name in "ijkn")
    extents = {"i": floordiv(n + 47, 48), "j": minimum(48, n - 48 * i), "k": 256}
    flat = 256 * (48 * i + j) + k
    assert simplify(flat // 256 * 1000 + flat % 256, extents) == 1000 * (48 * i + j) + k
    assert simplify((64 * j + k) // 64, extents) == j + k // 64  # of a block's own rows


def test_pieces_that_fit_into_heads_lie_side_by_side():
    """A panel has 12 columns, a head 32: four columns lie side by side whichever panel it is."""

    def gradient(x, y):
        n, heads, t, size = x.shape
        flat = np.swapaxes(x, 1, 2).reshape(n, t, heads * size)
        return np.einsum("ijk,ijl->kl", flat, y)

    rng = np.random.default_rng(0)
    shapes = (4, 4, 64, 32), (4, 64, 128)
    x, y = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    kernel = graphc.compile(gradient, x, y)
    inner = r"for \(int64_t (\w+) = 0; \1 < 4; \+\+\1\)[ {]*\n *\w+_pack"
    assert re.search(inner, kernel.source), kernel.source
    np.testing.assert_allclose(kernel(x, y), gradient(x, y), rtol=1e-4, atol=1e-4)


def test_whole_panels_within_heads_are_copied_in_rows():
    """A panel has 64 columns, a head 128: no column of a panel needs to be told its head."""

    def gradient(x, y):
        return x.T @ np.swapaxes(y, 0, 1).reshape(len(x), -1)

    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=s).astype(np.float32) for s in ((128, 128), (2, 128, 128)))
    kernel = graphc.compile(gradient, x, y)
    assert "_pack[" in kernel.source
    assert not re.search(r"\+ \w+\) [/%] 64", kernel.source), kernel.source
    np.testing.assert_allclose(kernel(x, y), gradient(x, y), rtol=1e-4, atol=1e-4)


def test_divisions_in_units_of_a_common_divisor():
    i, j, k = (Dim.named(x) for x in "ijk")
    extents = {"i": 5, "j": 3, "k": 4}
    sizes = 12 * i + 4 * j + k, 4 * i + k, 6 * i + 2 * j + k
    for b, size in itertools.product((8, 12, 32), sizes):
        for whole in (size // b, size % b, size // b * 100 + size % b):
            short = simplify(whole, extents)
            for at in itertools.product(*(range(extents[x]) for x in "ijk")):
                values = dict(zip("ijk", at, strict=True))
                assert evaluate(short, values) == evaluate(whole, values)
    assert simplify((12 * i + 4 * j + k) // 32, extents) == (3 * i + j) // 8
    assert simplify((4 * i + k) % 8, extents) == 4 * (i % 2) + k
