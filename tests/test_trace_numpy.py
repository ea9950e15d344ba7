"""Traced NumPy is NumPy: values, dtypes, shapes and refusals, over functions, shapes and dtypes."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
from numpy_cases import ANY_SHAPE, BINARY, INDICES, PAIRS, UNARY, UNARY_OPERATORS

from graphc import ops, reference, trees
from graphc.errors import GraphcError
from graphc.graph import verify
from graphc.trace import FUNCTIONS, UFUNCS, trace_function
from graphc.trace.coverage import COMPOSITES, METHODS
from graphc.types import DTYPES

ALL = ("bool", "int32", "int64", "float32", "float64")


def array(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
    """Numbers with ties, zeros and both signs."""
    random = np.random.default_rng(seed)
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    whole = random.integers(-3, 4, shape)
    return np.asarray(
        whole if dtype.startswith("int") else whole + random.integers(0, 2, shape) / 4, dtype
    )


def numpy_says(fn: Callable[..., Any], arrays: Iterable[np.ndarray]) -> Any:
    """The result, or the exception."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return fn(*arrays)
        except Exception as error:  # noqa: BLE001  # whatever NumPy raises is the answer
            return error


def compare(fn: Callable[..., Any], arrays: list[np.ndarray], label: str, ulps: float = 40) -> None:
    """Tracing and running gives what NumPy gives, or is refused where NumPy refuses."""
    truth = numpy_says(fn, arrays)
    if isinstance(truth, Exception):
        refused(fn, arrays, (GraphcError, type(truth)), f"{label}: NumPy raises {truth!r}")
        return
    wanted, _ = trees.flatten(truth)
    wanted = [np.asarray(x) for x in wanted]
    if any(x.dtype.name not in DTYPES for x in wanted):
        dtypes = [x.dtype.name for x in wanted]
        refused(fn, arrays, (GraphcError,), f"{label}: NumPy gives {dtypes}")
        return
    try:
        got = run(fn, arrays)
    except Exception as error:
        raise AssertionError(f"{label}: {error!r}; NumPy gives {truth!r:.200}") from error
    assert len(got) == len(wanted), label
    for a, b in zip(got, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), (
            f"{label}: {a.dtype}{a.shape}, NumPy gives {b.dtype}{b.shape}"
        )
        if a.dtype.kind == "f":
            eps = ulps * np.finfo(a.dtype).eps
            np.testing.assert_allclose(a, b, rtol=eps, atol=eps, err_msg=label)
        else:
            np.testing.assert_array_equal(a, b, err_msg=label)


def refused(
    fn: Callable[..., Any],
    arrays: list[np.ndarray],
    errors: tuple[type[Exception], ...],
    label: str,
) -> None:
    """Tracing raises one of these."""
    try:
        run(fn, arrays)
    except errors:
        return
    raise AssertionError(f"{label}; tracing does not refuse it")


def run(fn: Callable[..., Any], arrays: list[np.ndarray]) -> list[np.ndarray]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        traced = trace_function(fn, arrays)
        verify(traced.graph)
        return reference.run(traced.graph, arrays)


def operands() -> list[tuple[str, tuple[int, ...]]]:
    """Every shape in one dtype, every dtype in a few shapes."""
    few: list[tuple[int, ...]] = [(), (4,), (3, 4), (3, 0)]
    return [
        *(("float64", shape) for shape in ANY_SHAPE),
        *itertools.product(("bool", "int32", "int64", "float32"), few),
    ]


def ufunc(name: str) -> Callable[..., Any]:
    found = [getattr(module, name, None) for module in (np, scipy.special)]
    assert any(found), f"no NumPy or SciPy function is called {name}"
    return next((x for x in found if isinstance(x, np.ufunc)), found[0] or found[1])


EVERY_UFUNC = sorted(
    {*UFUNCS, *COMPOSITES, *ops.BY_FUNCTION}
    - {"astype", "matmul", "vecdot", "matvec", "vecmat", "clip"}
    - {"beta", "betaln"}  # at negative integers SciPy takes limits; see test_elsewhere.py
)
ONE = [name for name in EVERY_UFUNC if getattr(ufunc(name), "nin", 0) == 1]
OF_ORDER = ["iv", "ive", "jv", "kn", "kv", "kve", "yn", "yv"]
TWO = [name for name in EVERY_UFUNC if getattr(ufunc(name), "nin", 0) == 2 and name not in OF_ORDER]
THREE = [name for name in EVERY_UFUNC if getattr(ufunc(name), "nin", 0) == 3]
SCALARS = (
    True,
    2,
    -1,
    2.5,
    np.float64(1.5),
    np.float32(1.5),
    np.int32(3),
    np.int64(2),
    np.bool_(True),
    np.asarray(2.5),
)


def test_every_ufunc_takes_one_two_or_three() -> None:
    assert {*ONE, *TWO, *OF_ORDER, *THREE} == set(EVERY_UFUNC)


@pytest.mark.parametrize("name", ONE)
def test_unary_ufunc(name: str) -> None:
    for dtype, shape in operands():
        ulps = 400 if name == "cotdg" else 40  # SciPy's is tandg(90 - x), which rounds x
        compare(ufunc(name), [array(shape, dtype, 3)], f"{name} of {dtype}{shape}", ulps)


@pytest.mark.parametrize("name", TWO)
def test_binary_ufunc(name: str) -> None:
    fn = ufunc(name)
    for first, second in itertools.product(ALL, ALL):
        arrays = [array((3, 4), first, 1), array((4,), second, 2)]
        compare(fn, arrays, f"{name} of {first} and {second}")
    for a, b in PAIRS:
        compare(fn, [array(a, "float32", 1), array(b, "float64", 2)], f"{name} of {a} and {b}")
    for dtype, scalar in itertools.product(ALL, SCALARS):
        x = array((3,), dtype, 3)
        compare(lambda x, s=scalar: fn(x, s), [x], f"{name}({dtype}, {scalar!r})")
        compare(lambda x, s=scalar: fn(s, x), [x], f"{name}({scalar!r}, {dtype})")


@pytest.mark.parametrize("name", OF_ORDER)
def test_function_of_one_whole_order(name: str) -> None:
    fn = ufunc(name)
    for dtype, order in itertools.product(ALL, SCALARS):
        x = array((3, 4), dtype, 3)
        label = f"{name}({order!r}, {dtype})"
        if order == int(order):
            compare(lambda x, v=order: fn(v, x), [x], label)
        else:
            refused(lambda x, v=order: fn(v, x), [x], (GraphcError,), label)
        refused(lambda x, v=order: fn(x, v), [x], (GraphcError,), label)


@pytest.mark.parametrize("name", THREE)
def test_ternary_ufunc(name: str) -> None:
    fn = ufunc(name)
    for dtypes in itertools.product(ALL, ALL, ALL):
        shapes = ((3, 4), (4,), (3, 1))
        arrays = [array(s, d, i) for i, (s, d) in enumerate(zip(shapes, dtypes, strict=True))]
        compare(fn, arrays, f"{name} of {dtypes}")
    compare(lambda x: fn(30, x, 1.5), [array((3,), "float32", 1)], name)


def name_of(key: Any) -> str:
    return key if isinstance(key, str) else f"{getattr(key, '__module__', 'numpy')}.{key.__name__}"


@pytest.mark.parametrize("key", UNARY, ids=name_of)
def test_function_of_one_array(key: Any) -> None:
    for i, fn in enumerate(UNARY[key]):
        for dtype, shape in operands():
            compare(fn, [array(shape, dtype, 5)], f"{name_of(key)} #{i} of {dtype}{shape}")


@pytest.mark.parametrize("key", BINARY, ids=name_of)
def test_function_of_two_arrays(key: Any) -> None:
    for i, fn in enumerate(BINARY[key]):
        for a, b in PAIRS:
            arrays = [array(a, "float64", 1), array(b, "float32", 2)]
            compare(fn, arrays, f"{name_of(key)} #{i} of {a} and {b}")
        for (a, b), first, second in itertools.product(PAIRS[6:10], ALL, ALL):
            arrays = [array(a, first, 1), array(b, second, 2)]
            compare(fn, arrays, f"{name_of(key)} #{i} of {first}{a} and {second}{b}")


@pytest.mark.parametrize("number", range(len(UNARY_OPERATORS)))
def test_operator_or_method(number: int) -> None:
    for dtype, shape in operands():
        compare(UNARY_OPERATORS[number], [array(shape, dtype, 7)], f"#{number} of {dtype}{shape}")


@pytest.mark.parametrize("number", range(len(INDICES)))
def test_index(number: int) -> None:
    for shape in [*ANY_SHAPE, (7,), (5, 6, 7)]:
        compare(INDICES[number], [array(shape, "float64", 7)], f"index #{number} of {shape}")


def test_every_function_has_a_case() -> None:
    """A function that is covered without being compared with NumPy would rot."""
    missing = [name_of(fn) for fn in FUNCTIONS if not UNARY.get(fn) and not BINARY.get(fn)]
    elsewhere = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert not [
        name
        for name in missing
        if not re.search(rf"np{re.escape(name.removeprefix('numpy'))}\b", elsewhere)
    ]


def test_every_method_of_a_ufunc_exists() -> None:
    for name, method in METHODS:
        assert hasattr(getattr(np, name), method)


def test_functions_of_bools_are_halves_as_they_are_in_numpy() -> None:
    assert run(np.sin, [np.ones(2, bool)])[0].dtype == np.float16
