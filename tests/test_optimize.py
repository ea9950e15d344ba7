"""The ladder of compile(..., optimize=0|1|2): the same results, sooner or faster."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import build
from graphc.build import compiler
from graphc.errors import ArgumentError
from graphc.kernel import Kernel
from graphc.options import Options


def loss(params, x):
    hidden = np.log(1 + np.exp(x @ params["W"] + params["b"]))
    return np.sum(hidden**2), hidden


def step(params, x, rate):
    (value, hidden), gradient = graphc.value_and_grad(loss, has_aux=True)(params, x)
    return {"loss": value, "hidden": hidden, "after": params["W"] - rate * gradient["W"]}


def given(n: int = 5) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
    rng = np.random.default_rng(0)
    params = {"W": 30 * rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    return params, rng.normal(size=(n, 3)), 0.5


TYPES = (
    {"W": graphc.float64[3, 4], "b": graphc.float64[4]},
    graphc.float64["n", 3],
    graphc.float64,
)


@pytest.fixture(scope="module")
def levels() -> list[Kernel]:
    return [graphc.compile(step, *TYPES, optimize=level) for level in (0, 1, 2)]


@pytest.mark.parametrize("n", [0, 1, 7])
def test_levels_agree(levels: list[Kernel], n: int) -> None:
    results = [kernel(*given(n)) for kernel in levels]
    for result in results[:2]:
        assert list(result) == list(results[2])
        for key, value in result.items():
            assert type(value) is type(results[2][key])
            assert value.dtype == results[2][key].dtype
            np.testing.assert_allclose(value, results[2][key], rtol=1e-12, atol=1e-12)


def test_no_compiler_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    kernel = graphc.compile(step, *TYPES, optimize=0)
    kernel(*given())
    kernel.bind(*given())()


def test_the_c_is_made_when_asked_for(levels: list[Kernel], tmp_path: Path) -> None:
    none, _, full = levels
    assert isinstance(none, Kernel)
    assert none.source == full.source
    assert none.header == full.header
    assert none.signature == full.signature
    assert repr(none) == repr(full)
    assert none.__doc__ == full.__doc__
    assert none.workspace_bytes == full.workspace_bytes
    assert none.flops == full.flops
    assert [path.name for path in none.export(tmp_path)] == ["step.c", "step.h"]
    assert copy.deepcopy(none) is none
    number = graphc.compile(lambda x: 2 * x, graphc.float64, name="twice", optimize=0)
    place = number.ffi.new("double *")
    number.lib.twice(4.0, place)
    assert place[0] == 8


def test_messages_are_those_of_the_c(levels: list[Kernel]) -> None:
    params, x, rate = given()
    wrong: list[tuple[Any, ...]] = [
        (params, x.astype(np.complex128), rate),
        (params, x[:, :2], rate),
        (params, x[0], rate),
        (params, x),
        (params, x, "fast"),
    ]
    for args in wrong:
        told = []
        for kernel in levels:
            with pytest.raises(ArgumentError) as error:
                kernel(*args)
            told.append(str(error.value))
        assert len(set(told)) == 1


def test_out_and_bound_calls() -> None:
    def both(x, a):
        return a * x, np.sum(x)

    kernel = graphc.compile(both, graphc.float32["n"], graphc.float32, optimize=0)
    x = np.array([1, 2, 3], np.float32)
    outs = [np.empty(3, np.float32), np.empty((), np.float32)]
    result = kernel(x, 2, out=outs)
    assert result[0] is outs[0]
    assert [*outs[0], float(outs[1])] == [2, 4, 6, 6]
    with pytest.raises(ArgumentError, match="out for 'out' of both overlaps argument 'x' in mem"):
        kernel(x, 2, out=[x, outs[1]])
    bound = kernel.bind(x, 2)
    assert list(bound()[0]) == [2, 4, 6]
    x[0] = 5
    bound.inputs[1][...] = 3
    assert bound()[0] is bound.outputs[0]
    assert list(bound.outputs[0]) == [15, 6, 9]
    assert repr(bound) == f"<bound {kernel.signature}>"


def test_results_are_nobody_elses() -> None:
    def views(x):
        return x, x.T, np.array([1.0, 2.0]), x[0]

    kernel = graphc.compile(views, graphc.float64[2, 2], optimize=0)
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    first = kernel(x)
    for result in first:
        assert result.flags.c_contiguous
        result[...] = 0
    np.testing.assert_array_equal(x, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(kernel(x)[2], [1, 2])


def test_textbook_formulas_stay_finite_without_c() -> None:
    kernel = graphc.compile(
        graphc.grad(lambda x: np.log(1 + np.exp(x))), graphc.float64, optimize=0
    )
    assert (kernel(1000.0), kernel(-1000.0)) == (1.0, 0.0)


def test_control_flow_without_c() -> None:
    def fn(x):
        return graphc.fori_loop(0, 5, lambda i, c: np.sin(c) + i, x)

    for level in (0, 2):
        kernel = graphc.compile(fn, graphc.float64[3], optimize=level)
        np.testing.assert_allclose(kernel(np.ones(3)), fn(np.ones(3)), rtol=1e-14)


def test_flags_of_each_level() -> None:
    assert "-O2" in compiler.FLAGS
    unit = graphc.compile(lambda x: x * 2, graphc.float64, optimize=0).unit
    none, one, two = (build._flags(unit, Options(optimize=level)) for level in (0, 1, 2))
    assert none == one == (*two, "-O1")


def test_what_only_the_c_does_is_compiled() -> None:
    def fn(x):
        return np.log(x)

    trapped = graphc.compile(fn, graphc.float64[2], optimize=0, trap_nans=True)
    with pytest.raises(graphc.errors.NonFiniteError):
        trapped(np.array([1.0, -1.0]))
    donated = graphc.compile(fn, graphc.float64[2], optimize=0, donate="x")
    x = np.array([1.0, np.e])
    assert donated(x) is x
    assert list(x) == [0, 1]


def test_levels_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for level in (3, -1, True, "2", 1.0):
        with pytest.raises(ArgumentError, match=r"optimize=.* is no level; use 0 \(no C compiler"):
            graphc.compile(loss, *TYPES[:2], optimize=level)  # type: ignore[arg-type]
    monkeypatch.setenv("GRAPHC_OPTIMIZE", "0")
    assert Options().optimize == 0
    monkeypatch.setenv("GRAPHC_OPTIMIZE", "fast")
    with pytest.raises(ArgumentError, match=r"\$GRAPHC_OPTIMIZE is 'fast'; set it to 0, 1 or 2"):
        Options()
