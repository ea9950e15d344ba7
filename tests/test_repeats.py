"""Loop nests that differ in names alone are written once, and only those."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_tools import COMPILERS, STRICT, compile_or_fail, write

import graphc
from graphc.emit_c import emit, repeats
from graphc.emit_c.repeats import Function, shared
from graphc.errors import VerifyError
from graphc.loops import (
    Argument,
    Assign,
    Buffer,
    Call,
    Declare,
    Expr,
    Let,
    Literal,
    Local,
    Loop,
    Program,
    Read,
    Stmt,
    Store,
    apply,
)
from graphc.loops_verify import verify
from graphc.types import Dim, Size, float64

AT, BY = Dim.named("i"), Dim.named("j")
ONE = Literal(1.0, float64)
ARRAYS = "abcdefgh"
COUNT = 400


def read(array: str, index: Size = AT) -> Expr:
    return Read(array, index, float64)


def nest(
    into: str,
    one: str,
    other: str,
    *,
    number: float = 1.0,
    step: int = 1,
    extent: Size = COUNT,
    before: tuple[Stmt, ...] = (),
) -> Loop:
    """into = (one other + number) / other, in a loop."""
    name = f"v_{into}"
    product = apply("multiply", read(one, AT * step), read(other))
    body = (
        Let(name, apply("add", product, Literal(number, float64))),
        Store(into, AT, apply("divide", Local(name, float64), read(other))),
    )
    return Loop("i", extent, (*before, *body))


def program(*body: Stmt, places: dict[str, int] | None = None) -> Program:
    """A program of arrays `a` to `h`, at 8 COUNT bytes each or as `places` says."""
    at = {x: 8 * COUNT * k for k, x in enumerate(ARRAYS)} | (places or {})
    buffers = tuple(Buffer(x, float64, (COUNT,), at[x]) for x in ARRAYS)
    out = Argument("out", float64[COUNT], "out")
    size = 8 * COUNT * len(ARRAYS)
    return Program("run", "", (), ("n",), (out,), (), buffers, size, body)


def found(*body: Stmt) -> tuple[tuple[Function, ...], tuple[Stmt, ...]]:
    made = program(*body)
    verify(made)
    return shared(made, made.body)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the shortest nest is worth a function."""
    monkeypatch.setattr(repeats, "LEAST_SAVED", 1)
    monkeypatch.setattr(repeats, "LEAST_WORK", 0)


@pytest.mark.usefixtures("eager")
def test_equal_nests_are_one_function() -> None:
    (function,), body = found(nest("c", "a", "b"), nest("f", "d", "e"))
    assert [stmt.arguments for stmt in body if isinstance(stmt, Call)] == [
        ("a", "b", "c"),
        ("d", "e", "f"),
    ]
    assert function.parameters == ("a", "b", "c")
    assert function.body == (nest("c", "a", "b"),)
    assert function.stored == {"c"}
    assert function.places == 2


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "other",
    [
        nest("f", "d", "d"),  # one array where the first has two
        nest("d", "d", "e"),
        nest("f", "d", "e", number=2.0),
        nest("f", "d", "e", step=0),
        nest("f", "d", "e", extent=COUNT - 1),
        nest("f", "d", "e", extent=Dim.named("n")),
        nest("f", "d", "e", before=(Let("w", ONE),)),
    ],
)
def test_what_differs_in_more_than_names_is_not(other: Loop) -> None:
    functions, body = found(nest("c", "a", "b"), other)
    assert not functions
    assert body == (nest("c", "a", "b"), other)


def test_what_is_short_stays_where_it_is() -> None:
    functions, _ = found(nest("c", "a", "b"), nest("f", "d", "e"))
    assert not functions


@pytest.mark.usefixtures("eager")
def test_the_longest_run_is_taken() -> None:
    first = (nest("b", "a", "a"), nest("c", "b", "a", number=3.0))
    second = (nest("e", "d", "d"), nest("f", "e", "d", number=3.0))
    (function,), body = found(*first, *second)
    assert function.body == first
    assert len(body) == 2
    mixed = (nest("e", "d", "d"), nest("f", "d", "e", number=3.0))  # e and d have changed roles
    functions, _ = found(*first, *mixed)
    assert [f.body for f in functions] == [first[:1], first[1:]]


@pytest.mark.usefixtures("eager")
def test_names_that_are_used_later_stay_outside() -> None:
    def kept(name: str, array: str) -> tuple[Stmt, ...]:
        return nest(array, "a", "b"), Let(name, read(array, 0))

    def used(name: str, into: str) -> Stmt:
        return Store(into, 0, Local(name, float64))

    (function,), body = found(*kept("x", "c"), *kept("y", "d"), used("x", "e"), used("y", "f"))
    assert function.body == (nest("c", "a", "b"),)
    assert [type(stmt) for stmt in body] == [Call, Let, Call, Let, Store, Store]


@pytest.mark.usefixtures("eager")
def test_sums_that_begin_outside_stay_there() -> None:
    def total(name: str, array: str) -> Loop:
        add = apply("add", Local(name, float64), read(array))
        return Loop("i", COUNT, (Assign(name, add),))

    functions, _ = found(
        Declare("s", ONE), Declare("t", ONE), total("s", "a"), total("t", "b"),
        Store("out", 0, Local("s", float64)), Store("out", 1, Local("t", float64)),
    )  # fmt: skip
    assert not functions
    sums = [
        (Declare(s, ONE), total(s, array), Store(into, 0, Local(s, float64)))
        for s, array, into in (("s", "a", "c"), ("t", "b", "d"))
    ]
    (function,), body = found(*sums[0], nest("out", "a", "b"), *sums[1])
    assert function.body == sums[0]
    assert [type(stmt) for stmt in body] == [Call, Loop, Call]


@pytest.mark.usefixtures("eager")
def test_nests_inside_of_loops_take_the_loops_around_as_numbers() -> None:
    def around(array: str, extent: int) -> Loop:
        inner = Loop("j", 20, (Store(array, AT * 20 + BY, read("a", AT + BY)),))
        return Loop("i", extent, (inner, Store(array, AT, read("b"))))

    (function,), body = found(around("c", 20), around("d", 20), nest("e", "a", "b"))
    assert function.extents == {}
    assert len(body) == 3
    ended = Loop("i", 20, (*around("d", 20).body, Store("h", AT, ONE)))
    functions, _ = found(around("c", 20), ended)
    assert [(f.scalars, f.extents) for f in functions] == [((("i", graphc.int64),), {"i": 20})]
    longer = Loop("i", 10, (*around("d", 20).body, Store("h", AT, ONE)))
    assert not found(around("c", 20), longer)[0]  # what is known of i differs


@pytest.mark.usefixtures("eager")
def test_only_arrays_that_are_apart_everywhere_are_restrict() -> None:
    body = (nest("c", "a", "b"), nest("f", "d", "e"))

    def head(**places: int) -> str:
        return " ".join(emit(program(*body, places=places)).source.split()).replace("( ", "(")

    assert "(const double *restrict a, const double *restrict b, double *restrict c)" in head()
    over = head(f=8 * COUNT * 3 + 64)  # across d and e
    assert "(const double *a, const double *b, double *c)" in over
    beside = head(f=8 * COUNT * 4)  # in the place of e
    assert "(const double *restrict a, const double *b, double *c)" in beside


def test_calls_are_for_c_alone() -> None:
    with pytest.raises(VerifyError, match="only what is written as C calls functions"):
        verify(program(Call("run_part", (), (), ())))


def network(layers: int) -> tuple[Callable[..., object], list[object]]:
    """A residual network with a norm in each layer, its gradient and an update."""
    rng = np.random.default_rng(0)
    weights = [
        {"w": rng.normal(size=(48, 48)) / 8, "v": rng.normal(size=(48, 48)) / 8, "g": np.ones(48)}
        for _ in range(layers)
    ]

    def loss(weights, x):
        for p in weights:
            centred = x - np.mean(x, axis=1, keepdims=True)
            y = centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5) * p["g"]
            x = x + np.tanh(y @ p["w"]) @ p["v"]
        return np.mean(x**2)

    def step(weights, x):
        value, gradient = graphc.value_and_grad(loss)(weights, x)
        return value, [
            {name: p[name] - 0.1 * d[name] for name in p}
            for p, d in zip(weights, gradient, strict=True)
        ]

    return step, [weights, rng.normal(size=(40, 48))]


@pytest.mark.parametrize("threads", [None, 2])
def test_layers_are_written_once_and_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, threads: int | None
) -> None:
    step, args = network(4)
    kernel = graphc.compile(step, *args, threads=threads)
    heads = re.findall(r"static GRAPHC_ONCE void (step_\w+)\(", kernel.source)
    assert any("backward" in head for head in heads)
    for head in heads:
        assert len(re.findall(rf"\b{head}\(", kernel.source)) >= 3
    monkeypatch.setenv("GRAPHC_VERIFY", "1")  # which keeps programs out of the cache
    monkeypatch.setattr(repeats, "LEAST_SAVED", 10**9)
    plain = graphc.compile(step, *args, threads=threads)
    assert "GRAPHC_ONCE" not in plain.source
    assert len(kernel.source) < 0.9 * len(plain.source)
    got, want = kernel(*args), plain(*args)
    assert got[0] == want[0]
    for one, other in zip(got[1], want[1], strict=True):
        for name in one:
            assert np.array_equal(one[name], other[name])


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("command", COMPILERS)
def test_functions_compile_without_a_warning(command: str, tmp_path: Path) -> None:
    step, args = network(3)
    kernel = graphc.compile(step, *args, threads=2)
    write(kernel.unit, tmp_path)
    for more in ((), ("-fopenmp",))[: 2 if command == "gcc" else 1]:
        flags = (*STRICT, "-O2", *more, "-c", "step.c", "-o", "step.o")
        compile_or_fail((command, *flags), tmp_path)
