"""float16 and bfloat16: storage that is computed with as float32."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import loops_run
from graphc.errors import ArgumentError, DTypeError
from graphc.lower import lower
from graphc.passes import optimize
from graphc.testing import assert_derivatives
from graphc.types import DType, bfloat16, dtype_of, float16, float32, float64

ml_dtypes = pytest.importorskip("ml_dtypes")

HALVES = [float16, bfloat16]
halves = pytest.mark.parametrize("half", HALVES, ids=str)
Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.filterwarnings("ignore:(invalid|overflow):RuntimeWarning")  # NumPy's own


def every(half: DType) -> Array:
    return np.arange(1 << 16, dtype=np.uint16).view(half.numpy)


def same(a: Array, b: Array) -> bool:
    """To the last bit; one nan is as good as another."""
    return a.dtype == b.dtype and bool(
        np.array_equal(np.nan_to_num(a.astype(np.float64), nan=7.5),
                       np.nan_to_num(b.astype(np.float64), nan=7.5))
        and np.array_equal(np.signbit(a)[~np.isnan(a)], np.signbit(b)[~np.isnan(b)])
    )  # fmt: skip


def between(half: DType) -> Array:
    """Every finite half, the middle to the next one, and what lies beside that, as float64."""
    x = np.unique(every(half).astype(np.float64)[np.isfinite(every(half).astype(np.float64))])
    middle = (x[1:] + x[:-1]) / 2
    near = [np.nextafter(middle, side) for side in (-np.inf, np.inf)]
    top = x[-1] + (x[-1] - x[-2]) * np.array([0.49, 0.5, 0.51, 1, 1e6])
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300, -5e-324]
    return np.concatenate([x, middle, *near, top, -top, special])


def rounded(x: Array, half: DType) -> Array:
    """The nearest half, of two the even one, by integers: x is a float64."""
    digits, least = (11, -24) if half is float16 else (8, -133)
    _, exponent = np.frexp(x)
    unit = np.ldexp(1.0, np.maximum(exponent - digits, least))
    with np.errstate(all="ignore"):
        found = np.rint(x / unit) * unit
        largest = float(half.limits.max)
        found = np.where(np.abs(found) > largest, np.copysign(np.inf, x), found)
    return np.where(np.isfinite(x), found, x)


# --- conversions ----------------------------------------------------------------------------------


@halves
@pytest.mark.parametrize("target", ["native", "portable"])
def test_every_half_becomes_its_number(half: DType, target: str) -> None:
    for dtype in (float32, float64):
        kernel = graphc.compile(lambda x, d=dtype: x.astype(d.numpy), half["n"], target=target)
        assert same(kernel(every(half)), every(half).astype(dtype.numpy))


@halves
@pytest.mark.parametrize("source", [float32, float64], ids=str)
def test_numbers_round_once_to_the_nearest_half(half: DType, source: DType) -> None:
    x = between(half).astype(source.numpy)
    kernel = graphc.compile(lambda x: x.astype(half.numpy), source["n"])
    assert same(kernel(x).astype(np.float64), rounded(x.astype(np.float64), half))


@halves
def test_integers_and_bools_become_halves(half: DType) -> None:
    i = np.array([0, 1, -3, 2049, 70000])
    to = graphc.compile(lambda i: i.astype(half.numpy), graphc.int64["n"])
    assert same(to(i), i.astype(np.float32).astype(half.numpy))
    back = graphc.compile(lambda x: (x.astype(np.int32), x.astype(bool)), half["n"])
    whole, truth = back(np.array([0, -3.7, 200], half.numpy))
    assert (whole.tolist(), truth.tolist()) == ([0, -3, 200], [False, True, True])


def test_one_half_becomes_the_other() -> None:
    kernel = graphc.compile(lambda x: x.astype(bfloat16.numpy), float16["n"])
    wanted = every(float16).astype(np.float32).astype(bfloat16.numpy)
    assert same(kernel(every(float16)), wanted)


# --- values ---------------------------------------------------------------------------------------


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


FUNCTIONS: dict[str, Any] = {
    "chain": lambda x: 0.1 * np.sin(x) + x**2,
    "softmax": softmax,
    "layer": lambda x: np.maximum(x @ np.ones((6, 9), x.dtype), 0),
    "mean": lambda x: np.mean(x, axis=0),
    "windows": lambda x: np.max(np.lib.stride_tricks.sliding_window_view(x, 3, axis=1), axis=-1),
    "gather": lambda x: x[np.array([2, 0, 2])],
    "joined": lambda x: np.concatenate([x, np.zeros_like(x), -x]),
    "sorted": lambda x: np.sort(x, axis=1),
    "running": lambda x: np.cumsum(x, axis=1),
    "chosen": lambda x: np.where(x > 0, x, 0.5),
    "turned": lambda x: np.transpose(x),
    "updated": lambda x: graphc.at(x)[1:, 2].add(1.5),
    "loop": lambda x: graphc.scan(lambda c, r: (0.5 * c + r, c), x[0], x)[0],
    "while": lambda x: graphc.while_loop(lambda v: np.sum(v) > 1, lambda v: v / 2, np.abs(x)),
    "choice": lambda x: graphc.cond(np.sum(x) > 0, lambda v: v * 2, lambda v: v - 1, x),
    "number": lambda x: np.sum(x),
}


@halves
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str, half: DType) -> None:
    """Within a rounding to the half of what float64 gives, for each step that carries one."""
    x = np.random.default_rng(0).standard_normal((7, 6)).astype(half.numpy)
    kernel = graphc.compile(FUNCTIONS[name], half[7, 6])
    found = np.asarray(kernel(x))
    wide = graphc.compile(FUNCTIONS[name], float64[7, 6])(x.astype(np.float64))
    assert found.dtype == half.numpy
    steps = 8 if name in ("loop", "while") else 1
    np.testing.assert_allclose(
        found.astype(np.float64), wide, rtol=steps * float(half.limits.eps),
        atol=steps * float(half.limits.eps) / 8,
    )  # fmt: skip
    program = lower(optimize(graphc.trace(FUNCTIONS[name], half[7, 6]).plain))
    evaluated = loops_run.run(program, [x])[0]
    np.testing.assert_allclose(
        evaluated.astype(np.float64), found.astype(np.float64), rtol=float(half.limits.eps)
    )


@halves
def test_named_sizes_and_columns_of_any_number(half: DType) -> None:
    kernel = graphc.compile(lambda x, w: x @ w, half["n", 40], half[40, 17])
    rng = np.random.default_rng(1)
    w = rng.standard_normal((40, 17)).astype(half.numpy)
    for n in (0, 1, 5, 48, 61):
        x = rng.standard_normal((n, 40)).astype(half.numpy)
        wide = (x.astype(np.float64) @ w.astype(np.float64)).astype(half.numpy)
        np.testing.assert_allclose(
            kernel(x, w).astype(float), wide.astype(float), atol=0.02 if half is float16 else 0.2
        )


def test_nothing_is_rounded_between_operations() -> None:
    """(x + 1) - 1 of a small x is 0 where each sum is rounded to a half."""
    x = np.array([1e-5, 3e-4], np.float16)
    kernel = graphc.compile(
        lambda x: ((x + 1) - 1, (x * 60000) * 60000 / 60000 / 60000), float16[2]
    )
    small, large = kernel(x)
    assert np.all(small != 0) and np.all(np.isfinite(large))  # noqa: PT018


def test_a_cast_rounds() -> None:
    def fn(x: Any) -> Any:
        return (x + 1).astype(np.float32).astype(np.float16) - 1

    x = np.array([1e-5, 3e-4], np.float16)
    assert np.array_equal(graphc.compile(fn, float16[2])(x), fn(x))


def test_dtypes_are_those_of_numpy() -> None:
    x, i = np.zeros(3, np.float16), np.zeros(3, np.int32)
    fns: list[Any] = [
        lambda x, i: x + 1.5,
        lambda x, i: x + np.float32(1),
        lambda x, i: x * i,
        lambda x, i: np.sin(x),
        lambda x, i: np.sin(i > 0),
        lambda x, i: np.mean(x),
        lambda x, i: x > 0,
        lambda x, i: np.where(x > 0, x, 0),
        lambda x, i: np.sum(x),
        lambda x, i: x / 3,
    ]
    for fn in fns:
        kernel = graphc.compile(fn, float16[3], graphc.int32[3])
        assert np.asarray(kernel(x, i)).dtype == np.asarray(fn(x, i)).dtype


def test_bfloat16_is_promoted_as_float16_is() -> None:
    def types(x: Any, y: Any) -> Any:
        return x + 1.5, x * y, x + np.float32(1), np.exp(x), x > 0

    found = graphc.trace(types, bfloat16[3], float16[3]).plain.outputs
    assert [str(y.dtype) for y in found] == ["bfloat16", "float32", "float32", "bfloat16", "bool"]


# --- derivatives ----------------------------------------------------------------------------------


@halves
def test_gradients_are_halves_and_are_right(half: DType) -> None:
    def loss(w: Any, x: Any) -> Any:
        return np.mean(np.tanh(x @ w) ** 2)

    rng = np.random.default_rng(2)
    w, x = (rng.standard_normal(s).astype(half.numpy) for s in ((6, 4), (9, 6)))
    value, slope = graphc.compile(graphc.value_and_grad(loss), half[6, 4], half["n", 6])(w, x)
    wide = graphc.compile(graphc.value_and_grad(loss), float64[6, 4], float64["n", 6])
    true, direction = wide(w.astype(np.float64), x.astype(np.float64))
    assert (value.dtype, slope.dtype) == (half.numpy, half.numpy)
    close = float(half.limits.eps)
    np.testing.assert_allclose(float(value), true, rtol=close)
    np.testing.assert_allclose(slope.astype(float), direction, rtol=close, atol=close / 100)


@halves
def test_mixed_precision_training(half: DType) -> None:
    """Parameters in float32, data and products in halves, the loss scaled by no one."""

    def loss(w: Any, x: Any, t: Any) -> Any:
        y = np.tanh(x @ w.astype(half.numpy))
        return np.mean((y.astype(np.float32) - t) ** 2)

    def step(w: Any, x: Any, t: Any) -> Any:
        value, slope = graphc.value_and_grad(loss)(w, x, t)
        return w - 0.5 * slope, value

    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((32, 5)), np.zeros((5, 2), np.float32)
    t = np.tanh(x @ rng.standard_normal((5, 2))).astype(np.float32)
    kernel = graphc.compile(step, w, half["n", 5], float32["n", 2], donate="w")
    losses = [kernel(w, x.astype(half.numpy), t)[1] for _ in range(200)]
    assert losses[-1] < 0.02 * losses[0]


def test_second_derivatives_and_batches() -> None:
    fn = graphc.vmap(graphc.grad(graphc.grad(lambda x: np.sin(x) * x)))
    x = np.linspace(-2, 2, 9).astype(np.float16)
    found = graphc.compile(fn, float16[9])(x)
    wide = x.astype(float)
    np.testing.assert_allclose(found, 2 * np.cos(wide) - wide * np.sin(wide), atol=2e-3)


def test_derivatives_are_checked() -> None:
    x = np.random.default_rng(4).standard_normal(5).astype(np.float16)
    assert_derivatives(lambda x: np.sum(np.exp(x) * x), x)


# --- the kernel -----------------------------------------------------------------------------------


@halves
def test_numbers_are_arguments_and_results(half: DType) -> None:
    kernel = graphc.compile(lambda a, b: (a * b, a + b), half, half)
    for a, b in ((1.5, -2.0), (np.asarray(1.5, half.numpy), half.numpy.type(-2.0))):
        product, total = kernel(a, b)
        assert (float(product), float(total)) == (-3.0, -0.5)
        assert product.dtype == total.dtype == half.numpy
    with pytest.raises(ArgumentError, match=r"out of the range of (b?)float16|float16"):
        kernel(1e39, 1.0)


@halves
def test_arguments_of_another_dtype_are_refused_by_name(half: DType) -> None:
    kernel = graphc.compile(lambda x: x * 2, half[3])
    spelled = "np.float16" if half is float16 else "ml_dtypes.bfloat16"
    with pytest.raises(ArgumentError, match=rf"{half}\[3\].*float32.*x.astype\({spelled}\)"):
        kernel(np.zeros(3, np.float32))
    with pytest.raises(ArgumentError, match=rf"np.empty\(\(3,\), {spelled}\)"):
        kernel(np.zeros(3, half.numpy), out=np.zeros(3))


@halves
def test_arrays_are_written_in_place_and_bound(half: DType) -> None:
    kernel = graphc.compile(lambda x, g: x - 0.5 * g, half["n"], half["n"], donate="x")
    x, g = np.ones(5, half.numpy), np.full(5, 0.5, half.numpy)
    assert kernel(x, g) is x
    assert x.astype(float).tolist() == [0.75] * 5
    other = graphc.compile(lambda x: x * 2, half[4])
    source, target = np.arange(4).astype(half.numpy), np.zeros(4, half.numpy)
    assert other(source, out=target) is target
    assert target.astype(float).tolist() == [0, 2, 4, 6]


def test_strided_halves_are_copied() -> None:
    kernel = graphc.compile(lambda x: x + 1, float16[3])
    assert kernel(np.arange(6, dtype=np.float16)[::2]).tolist() == [1, 3, 5]


def test_the_c_stores_sixteen_bits() -> None:
    kernel = graphc.compile(lambda x: (x * 2, np.array([1, 2, 3], np.float16)), float16[3])
    assert "const uint16_t *restrict x" in kernel.source
    assert "{\n    0x3c00, 0x4000, 0x4200\n}" in kernel.source
    assert kernel.workspace_bytes == 0


def test_constants_and_levels() -> None:
    def fn(x: Any) -> Any:
        return x * np.arange(4, dtype=np.float16) + np.float16(0.1)

    x = np.array([1, 2, 3, 4], np.float16)
    for level in (0, 1, 2):
        found = graphc.compile(fn, float16[4], optimize=level)(x)
        np.testing.assert_allclose(found.astype(float), fn(x).astype(float), rtol=1e-3)


def test_threads_and_vectors_agree() -> None:
    def fn(x: Any) -> Any:
        return np.exp(x) @ np.ones((64, 64), np.float16)

    x = np.random.default_rng(5).standard_normal((3000, 64)).astype(np.float16)
    one, two = (graphc.compile(fn, float16["n", 64], threads=k)(x) for k in (1, 2))
    assert same(one, two)


def test_a_trap_names_what_a_half_cannot_hold() -> None:
    kernel = graphc.compile(lambda x: np.log(x) * 2, float16[3], trap_nans=True)
    with pytest.raises(FloatingPointError, match="log"):
        kernel(np.array([1, -1, 2], np.float16))
    large = graphc.compile(lambda x: x * x, float16[2], trap_nans=True)
    with pytest.raises(FloatingPointError, match="inf"):
        large(np.array([1, 60000], np.float16))


def test_names_of_types() -> None:
    assert dtype_of(np.float16) is float16
    assert dtype_of("bfloat16") is bfloat16
    assert dtype_of(ml_dtypes.bfloat16) is bfloat16
    assert str(bfloat16["n", 3]) == "bfloat16[n, 3]"


def test_without_ml_dtypes_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphc import types

    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    types._ml_dtypes.cache_clear()
    try:
        with pytest.raises(DTypeError, match="pip install ml_dtypes"):
            _ = bfloat16.numpy
    finally:
        types._ml_dtypes.cache_clear()
