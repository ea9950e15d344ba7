"""What cannot be traced is refused in one sentence: what, at which line, and the way out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from graphc import reference
from graphc.errors import DTypeError, GraphcError, ShapeError, TraceError
from graphc.trace import trace_function
from graphc.types import bool_, float32, float64, int32, int64

LINE = r" at test_trace_refusals\.py:\d+"


def assign(x: Any) -> Any:
    x[0] = 1.0
    return x


def write_out(x: Any) -> Any:
    y = np.zeros(3)
    np.exp(x, out=y)
    return y


def branch(x: Any) -> Any:
    if x.sum() > 0:
        return x
    return -x


def chained(x: Any) -> Any:
    return x if 0 < x[0] < 1 else -x


def spin(x: Any) -> Any:
    while x[0] > 0:
        x = x - 1
    return x


REFUSED: list[tuple[Callable[[Any], Any], str, str]] = [
    (branch, "the truth of a traced value is not known while tracing", "np.where .*graphc.cond"),
    (chained, "the truth of a traced value", "np.where"),
    (spin, "the truth of a traced value", "graphc.cond"),
    (lambda x: x if x.any() and x.all() else -x, "the truth of a traced value", "np.where"),
    (lambda x: not x[0], "the truth of a traced value", "np.where"),
    (lambda x: x * float(x[0]), r"float\(\) of a traced value", "a 0-d value is a scalar already"),
    (lambda x: x * int(x[0]), r"int\(\) of a traced value", r"\.astype\(np.int64\)"),
    (lambda x: x * complex(x[0]), r"complex\(\) of a traced value", "keep it as it is"),
    (lambda x: x * math.exp(x[0]), r"float\(\) of a traced value|math", "np.exp|scalar already"),
    (lambda x: x.item(), r"\.item\(\) of a traced value", "keep the 0-d value"),
    (lambda x: x.tolist(), r"\.tolist\(\) of a traced value", "iterate over the value"),
    (lambda x: range(x[0]), "a traced value cannot be a size or a Python index", r"x\.shape"),
    (
        assign,
        r"a traced value cannot be assigned to \(x\[i\] = \.\.\.\)",
        "np.concatenate or np.stack",
    ),
    (lambda x: np.asarray(x), "has no numbers yet", "NumPy or scipy.special functions"),
    (lambda x: np.array([x, x]), "has no numbers yet", r"np\.stack"),
    (lambda x: np.sum([x[0], x[1]]), "has no numbers yet", r"np\.stack"),
    (lambda x: 1.0 in x, "`in` on a traced value", r"np\.any\(x == item\)"),
    (write_out, r"np\.exp with out= writes into an array", "use the value it returns"),
    (lambda x: np.sum(x, out=np.zeros(())), "np.sum with out= writes", "use the value it returns"),
    (lambda x: np.exp(x, where=x > 0), r"np\.exp with where= leaves elements unset", "np.where"),
    (lambda x: np.linalg.svd(x[:, None]), "svd with full_matrices=True", "full_matrices=False"),
    (lambda x: np.fft.fft(x), "fft is not covered by graphc", "covered"),
    (lambda x: np.histogram(x), "np.histogram is not covered by graphc", r"np\.searchsorted"),
    (lambda x: np.spacing(x), "spacing is not covered by graphc", "covered"),
    (
        lambda x: np.frexp(x),
        "frexp is not covered by graphc",
        r"use np\.floor",
    ),
    (lambda x: np.add.at(x, 0, 1.0), r"np\.add\.at is not covered", ""),
    (lambda x: np.nonzero(x), "nonzero", ""),
    (lambda x: np.where(x > 0), "shape that depends on data", "give both choices"),
    (lambda x: x[x > 0], "mask has a shape that depends on data", r"np\.where\(mask"),
    (lambda x: np.unique(x), "unique", ""),
    (lambda x: x * 1j, "complex128 is not supported; graphc has bool, int32", "astype"),
    (lambda x: x + np.ones(3, np.uint8), "uint8 is not supported", "astype"),
    (lambda x: x.astype("complex64"), "complex64 is not supported", "astype"),
    (lambda x: x + "text", "text", ""),
    (lambda x: x + None, "None", ""),
    (lambda x: hash({x: 1}) and x[{}], "", ""),
    (lambda x: x & 1, "bitwise_and", ""),
    (lambda x: np.linalg.qr(x[:, None], "raw"), "qr with mode='raw'", "'complete'"),
    (lambda x: f"{x[0]:.3f}", "no number to format as", "print what"),
    (lambda x: x.sort(), "sort", ""),
    (lambda x: x.view(np.int64), "view", ""),
    (lambda x: del_item(x), "", ""),
]


def del_item(x: Any) -> None:
    del x[0]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused(number: int) -> None:
    fn, reason, remedy = REFUSED[number]
    with pytest.raises((GraphcError, TypeError, AttributeError)) as caught:
        trace_function(fn, (float64[3],))
    message = str(caught.value)
    if reason:
        assert re.search(reason, message), message
        assert re.search(remedy, message), message
        assert isinstance(caught.value, GraphcError), message
        assert "\n" not in message


@pytest.mark.parametrize("number", range(0, 30, 2))
def test_the_line_is_cited(number: int) -> None:
    with pytest.raises(GraphcError, match=LINE):
        trace_function(REFUSED[number][0], (float64[3],))


WRITERS: list[Callable[[Any], Any]] = [
    lambda x: np.put(x, [0], 1.0),
    lambda x: np.place(x, [True, False, True], 1.0),
    lambda x: np.putmask(x, x > 0, 1.0),
    lambda x: np.copyto(x, np.ones(3)),
    lambda x: np.fill_diagonal(np.outer(x, x), 1.0),
    lambda x: np.put_along_axis(x, np.array([0]), 1.0, 0),
]
SHAPED: list[Callable[[Any], Any]] = [
    lambda x: np.nonzero(x),
    lambda x: np.flatnonzero(x),
    lambda x: np.argwhere(x),
    lambda x: np.unique(x),
    lambda x: np.bincount(x.astype(int)),
    lambda x: np.trim_zeros(x),
    lambda x: np.extract(x > 0, x),
    lambda x: np.compress(x > 0, x),
]


@pytest.mark.parametrize("number", range(len(WRITERS)))
def test_writing_into_a_traced_value_is_refused(number: int) -> None:
    with pytest.raises(TraceError, match=rf"writes into an array{LINE}: use "):
        trace_function(WRITERS[number], (float64[3],))


@pytest.mark.parametrize("number", range(len(SHAPED)))
def test_shapes_that_depend_on_data_are_refused(number: int) -> None:
    with pytest.raises(TraceError, match=rf"shape (that )?depends on data{LINE}: "):
        trace_function(SHAPED[number], (float64[3],))


def test_the_line_is_the_users() -> None:
    first = branch.__code__.co_firstlineno
    with pytest.raises(
        TraceError, match=rf" at test_trace_refusals\.py:{first + 1}: use np\.where"
    ):
        trace_function(branch, (float64[3],))


@pytest.mark.parametrize(
    ("fn", "types", "message"),
    [
        (
            lambda x, y: x @ y,
            (float32[2, 3], float32[2, 3]),
            r"cannot multiply float32\[2, 3\] by float32\[2, 3\]: 3 columns against 2 rows",
        ),
        (
            lambda x, y: x + y,
            (float32[2], float32[3]),
            r"cannot add x: float32\[2\] and y: float32\[3\]: shapes .* do not broadcast",
        ),
        (lambda x, y: np.concatenate([x, y]), (float32[2, 3], float32[2]), "one rank"),
        (lambda x, y: np.stack([x, y]), (float32[2], float32[3]), "one shape"),
        (lambda x, y: x.reshape(5), (float32[2], float32[3]), "2 elements do not fill shape"),
        (lambda x, y: np.sum(x, 3), (float32[2], float32[3]), r"axis 3 is out of range for 1"),
        (
            lambda x, y: x[7],
            (float32[2], float32[3]),
            "index 7 is out of bounds for an axis of size 2",
        ),
        (lambda x, y: x[0, 0], (float32[2], float32[3]), r"2 indices for float32\[2\]"),
        (
            lambda x, y: np.einsum("ij,jk", x, y),
            (float32[2], float32[3]),
            "does not fit an operand of",
        ),
        (lambda x, y: np.einsum("i,i", x, y), (float32[2], float32[3]), "2 and 3 do not match"),
        (
            lambda x, y: np.max(x),
            (float32[0], float32[3]),
            "empty axis has no value; give initial=",
        ),
    ],
)
def test_misfits_name_both_sides(
    fn: Callable[..., Any], types: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=f"{message}.*{LINE}"):
        trace_function(fn, types)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "text",
            r"x is 'text' of type str; .* bind anything else beforehand with functools\.partial",
        ),
        (object(), "x is <object object .* of type object"),
        (np.ones(3, np.uint8), "x: dtype uint8 is not supported"),
        ({"a": np.ones(2, complex)}, r"x\['a'\]: dtype complex128 is not supported"),
        ([1.0, "b"], r"x\[1\] is 'b' of type str"),
        (3j, "x is 3j of type complex"),
    ],
)
def test_arguments_that_are_no_arrays(argument: Any, message: str) -> None:
    with pytest.raises((TraceError, DTypeError), match=message):
        trace_function(lambda x: x, (argument,))


@pytest.mark.parametrize("result", ["text", object(), {"a": "b"}, [1, print], 3j, np.ones(2, "i1")])
def test_results_that_are_no_arrays(result: Any) -> None:
    with pytest.raises((TraceError, DTypeError), match=r"lambda.* returns .*arrays|not supported"):
        trace_function(lambda x: result, (1.0,))


def test_arguments_that_can_be_bound_beforehand() -> None:
    def f(x: Any, mode: str) -> Any:
        return np.sum(x) if mode == "sum" else np.max(x)

    assert trace_function(partial(f, mode="sum"), (float64[3],)).graph.outputs[0].op.name == "sum"


@pytest.mark.parametrize("dtype", [bool_, int32, int64, float32, float64])
def test_in_place_operators_rebind(dtype: Any) -> None:
    """x += y is pure: the argument, and what else holds it, stay as they were."""

    def f(x: Any, y: Any) -> Any:
        before = x
        x += y
        x *= y
        x |= y if dtype is bool_ else x
        return before, x

    if dtype.kind == "f":
        f = lambda x, y: (x, minus(x, y))  # noqa: E731  # no bits of floats
    arrays = [np.array([1, 0, 1], dtype.numpy), np.array([0, 1, 1], dtype.numpy)]
    graph = trace_function(f, arrays).graph
    before, after = reference.run(graph, arrays)
    np.testing.assert_array_equal(before, [1, 0, 1])
    assert after.dtype == dtype.numpy


def minus(x: Any, y: Any) -> Any:
    x -= y
    x /= 2.0
    x **= 2
    x %= 3.0
    x //= 2.0
    return x


def test_in_place_keeps_numpys_dtype() -> None:
    """NumPy refuses to add float64 into float32 with casting beyond same_kind, and keeps int."""

    def f(x: Any, y: Any) -> Any:
        x += y
        return x

    (out,) = trace_function(f, (float32[3], float64[3])).graph.outputs
    assert out.dtype is float32
    with pytest.raises(GraphcError, match=r"float64.*int64|int64.*float64"):
        trace_function(f, (int64[3], float64[3]))
    with pytest.raises(GraphcError, match=r"would put float64\[3\] into float64\[1\]"):
        trace_function(f, (float64[1], float64[3]))
