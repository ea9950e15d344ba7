"""The algebra of sizes agrees with the ints it stands for; types print and refuse as they say."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc import types
from graphc.errors import DTypeError, ShapeError
from graphc.types import Dim, Size, at_most, below, float32, int64, maximum, minimum

N, M = Dim.named("n"), Dim.named("m")
BINARY = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": types.floordiv,
    "%": types.mod,
    "min": minimum,
    "max": maximum,
}
PYTHON = {**BINARY, "//": operator.floordiv, "%": operator.mod, "min": min, "max": max}


def apply(kind: str, a: Size, b: Size) -> Size:
    """a op b; division by what may be zero is by a positive size instead."""
    if kind in ("//", "%"):
        b = abs(b) + 1 if isinstance(b, int) else maximum(b, 0) + 1
    return BINARY[kind](a, b)


def truth(kind: str, a: int, b: int, symbolic: bool) -> int:
    if kind in ("//", "%"):
        b = max(b, 0) + 1 if symbolic else abs(b) + 1
    return PYTHON[kind](a, b)


LEAVES = st.one_of(st.integers(-5, 5), st.just(N), st.just(M))
SIZES = st.recursive(
    LEAVES, lambda inner: st.tuples(st.sampled_from(sorted(BINARY)), inner, inner), max_leaves=6
)
VALUES = st.fixed_dictionaries({"n": st.integers(0, 9), "m": st.integers(0, 9)})


def build(tree: object) -> Size:
    if not isinstance(tree, tuple):
        return tree  # type: ignore[return-value]  # a leaf
    kind, a, b = tree
    return apply(kind, build(a), build(b))


def count(tree: object, values: dict[str, int]) -> int:
    if isinstance(tree, tuple):
        kind, a, b = tree
        return truth(kind, count(a, values), count(b, values), isinstance(build(b), Dim))
    return values[str(tree)] if isinstance(tree, Dim) else tree  # type: ignore[return-value]


@given(SIZES, VALUES)
def test_size_is_the_int_it_stands_for(tree: object, values: dict[str, int]) -> None:
    assert types.evaluate(build(tree), values) == count(tree, values)


@given(SIZES, SIZES, VALUES)
def test_what_is_known_is_true(a: object, b: object, values: dict[str, int]) -> None:
    x, y = build(a), build(b)
    p, q = types.evaluate(x, values), types.evaluate(y, values)
    if at_most(x, y):
        assert p <= q
    if below(x, y):
        assert p < q


@given(SIZES, SIZES)
def test_equal_sizes_hash_alike(a: object, b: object) -> None:
    x, y = build(a), build(b)
    assert x + y == y + x
    assert hash(x + y) == hash(y + x)
    assert x - x == 0
    assert x * y == y * x
    assert (x + y) - y == x
    assert maximum(x, y) == maximum(y, x)


@given(SIZES, st.integers(0, 9), VALUES)
def test_substitute_is_evaluate_in_steps(tree: object, n: int, values: dict[str, int]) -> None:
    size = types.substitute(build(tree), {"n": n})
    assert "n" not in types.names(size)
    assert types.evaluate(size, values) == count(tree, {**values, "n": n})


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_strides_are_numpys(shape: list[int]) -> None:
    array = np.zeros([max(size, 1) for size in shape])
    wanted = tuple(step // 8 for step in array.strides)
    assert types.strides(tuple(max(size, 1) for size in shape)) == wanted


@pytest.mark.parametrize(("size", "text"), [
    (N + 1, "n + 1"), (1 - N, "-n + 1"), (N * N - 2 * N, "-2*n + n*n"), (N - N, "0"),
    (types.floordiv(N + 1, 2), "(n + 1) // 2"), (types.mod(N, 3), "n % 3"),
    (minimum(3, N), "min(n, 3)"), (2 * maximum(N - 1, 0), "2*max(n - 1, 0)"),
    (types.floordiv(4 * N + 3, 4), "n"), (types.mod(4 * N + 3, 4), "3"),
    (maximum(maximum(N - 1, 0) - 1, 0), "max(n - 2, 0)"), (minimum(N + 1, N), "n"),
])  # fmt: skip
def test_sizes_print_as_written(size: Size, text: str) -> None:
    assert str(size) == text


def test_comparisons_that_are_always_true_are_answered() -> None:
    assert N + 1 > 0
    assert N >= 0
    assert N < N + 1
    assert not N > N
    assert N <= N
    assert bool(N + 1)


@pytest.mark.parametrize(
    "question", [lambda: N > 3, lambda: N < 2, lambda: N >= M, lambda: N <= 0, lambda: bool(N)]
)
def test_comparisons_that_depend_on_the_size_are_refused(question: object) -> None:
    with pytest.raises(ShapeError, match="known only at run time"):
        question()  # type: ignore[operator]  # one of the lambdas above


def test_a_dimension_is_no_int() -> None:
    with pytest.raises(ShapeError, match=r"dimension n .* cannot become a Python int"):
        range(N)  # type: ignore[arg-type]  # the misuse under test
    with pytest.raises(ShapeError, match="dimension m \\+ n needs a value for m"):
        types.evaluate(M + N, {"n": 2})


@pytest.mark.parametrize(("size", "message"), [
    (-1, "dimension -1 is negative"), ("2n", "'2n' must be an identifier"),
    (1.5, "an int or a name, not 1.5 of type float"), (True, "not True of type bool"),
])  # fmt: skip
def test_bad_sizes_are_refused(size: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        float32[size]  # type: ignore[index]  # the misuse under test


def test_types_print_and_compare() -> None:
    image = float32["n", 784]
    assert str(image) == "float32[n, 784]"
    assert image == float32["n", 784]
    assert image != float32["m", 784]
    assert image.dims == ("n",)
    assert image.size == 784 * N
    assert str(int64[()]) == "int64[]"
    assert image.rank == 2


def test_broadcasting_is_numpys_and_never_joins_two_names() -> None:
    assert types.broadcast_shapes((3, 1), (4,), ()) == (3, 4)
    assert types.broadcast_shapes((N, 1), (1, M)) == (N, M)
    assert types.broadcast_shapes((0,), (1,)) == (0,)
    for a, b in [((N,), (M,)), ((N,), (3,)), ((3,), (4,)), ((N,), (N + 1,))]:
        with pytest.raises(ShapeError, match="do not broadcast"):
            types.broadcast_shapes(a, b)


@pytest.mark.parametrize("dtype", ["complex128", "uint8", "int8", "object", "longdouble"])
def test_other_dtypes_are_refused_by_name(dtype: str) -> None:
    with pytest.raises(DTypeError, match=r"dtype \w+ is not supported; graphc has bool, int32"):
        types.dtype_of(dtype)


def test_axes_are_normalised() -> None:
    assert types.normalize_axis(-1, 3) == 2
    with pytest.raises(ShapeError, match="axis 3 is out of range for 3"):
        types.normalize_axis(3, 3)
