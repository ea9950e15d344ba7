"""Misuse of loops, branches and transforms: both sides are named, and the way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import cond, fori_loop, scan, vmap, while_loop
from graphc.errors import GraphcError

F = graphc.float64
V = F[3]


def two(c: Any) -> Any:
    return np.stack([c, c])


def pair(c: Any, x: Any) -> Any:
    return c, x


# name: (function, types, what the message says)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "scan: the carry's dtype": (
        lambda x: scan(lambda c, t: (c.astype(np.float32), c), x[0], x),
        (V,),
        "the body of scan changes its carry from float64[] to float32[] at {}: return",
    ),
    "scan: the carry's shape": (
        lambda x: scan(lambda c, t: ((c[0], two(c[1])), t), (x, x[0]), x),
        (V,),
        "changes part 1 of its carry from float64[] to float64[2]",
    ),
    "scan: the carry's structure": (
        lambda x: scan(lambda c, t: ({"a": c["a"]}, t), {"a": x, "b": x}, x),
        (V,),
        "returns a carry {'a': float64[3]}, and takes {'a': float64[3], 'b': float64[3]} at {}",
    ),
    "scan: no pair": (
        lambda x: scan(lambda c, t: c, x[0], x),
        (V,),
        "the body of scan returns a pair (carry, y), not float64[] at {}: return carry, None",
    ),
    "scan: lengths": (
        lambda x, y: scan(pair, x[0], (x, y)),
        (V, F[4]),
        "scan over float64[3], float64[4] at {}: the first sizes differ",
    ),
    "scan: length=": (
        lambda x: scan(pair, x[0], x, length=5),
        (V,),
        "scan over float64[3] with length=5 at {}: the first sizes differ",
    ),
    "scan: no length": (
        lambda x: scan(pair, x[0]),
        (V,),
        "scan without xs needs the number of steps at {}: give length=",
    ),
    "scan: a number of rows": (
        lambda x: scan(pair, x, x),
        (F,),
        "scan goes along the first axis of xs, and float64[] has none at {}; let the body use it",
    ),
    "scan: arguments of the body": (
        lambda x: scan(lambda c: (c, c), x[0], x),
        (V,),
        "the body of scan is called with (carry, x), and <lambda>(c) cannot take that: too many",
    ),
    "scan: no function": (
        lambda x: scan(3, x[0], x),  # type: ignore[arg-type]  # the misuse
        (V,),
        "the body of scan is called with (carry, x), and 3 is no function at {}",
    ),
    "while_loop: the carry's dtype": (
        lambda x: while_loop(lambda c: c < 3, lambda c: c.astype(np.int64), x),
        (F,),
        "the body of while_loop changes its carry from float64[] to int64[] at {}",
    ),
    "while_loop with a bound: the carry's shape": (
        lambda x: while_loop(lambda c: c < 3, two, x, max_steps=4),
        (F,),
        "the body of while_loop changes its carry from float64[] to float64[2] at {}",
    ),
    "while_loop: the condition": (
        lambda x: while_loop(lambda c: c < 3, lambda c: c, x),
        (V,),
        "the condition of while_loop returns bool[3], not one bool scalar at {}",
    ),
    "while_loop: arguments of the condition": (
        lambda x: while_loop(lambda: True, lambda c: c, x),
        (V,),
        "the condition of while_loop is called with (value), and <lambda>() cannot take that",
    ),
    "fori_loop: the carry's shape": (
        lambda x: fori_loop(0, 3, lambda i, c: two(c), x),
        (F,),
        "the body of fori_loop changes its carry from float64[] to float64[2] at {}",
    ),
    "fori_loop: the carry's structure": (
        lambda x: fori_loop(0, 3, lambda i, c: (c, c), x),
        (F,),
        "the body of fori_loop returns a carry (float64[], float64[]), and takes float64[] at {}",
    ),
    "fori_loop: traced bounds": (
        lambda x, n: fori_loop(0, n, lambda i, c: two(c), x),
        (F, graphc.int64),
        "the body of fori_loop changes its carry from float64[] to float64[2] at {}",
    ),
    "fori_loop: a bound": (
        lambda x: fori_loop(0, x, lambda i, c: c, x),
        (F,),
        "a bound of fori_loop is a whole number, not float64[] at {}: use astype(np.int64)",
    ),
    "cond: shapes": (
        lambda x: cond(x[0] > 0, lambda x: x, lambda x: x[0], x),
        (V,),
        "the branches of cond differ at {}: the true one returns float64[3], the false one "
        "float64[]; make",
    ),
    "cond: structures": (
        lambda x: cond(x[0] > 0, lambda x: {"a": x}, lambda x: (x, x), x),
        (V,),
        "the true one returns {'a': float64[3]}, the false one (float64[3], float64[3])",
    ),
    "cond: the condition": (
        lambda x: cond(x > 0, lambda x: x, lambda x: x, x),
        (V,),
        "cond decides on a scalar, not bool[3] at {}; np.where chooses elements",
    ),
    "cond: arguments of a branch": (
        lambda x: cond(x > 0, lambda x: x, lambda: x, x),
        (F,),
        "the false branch of cond is called with (operand 0), and <lambda>() cannot take that",
    ),
    "vmap: an axis": (
        lambda x: vmap(np.sin, 3)(x),
        (V,),
        "vmap of sin: x is float64[3] and has no axis 3 at {}: choose another in_axes",
    ),
    "vmap: an axis from the end": (
        lambda x: vmap(np.sin, -2)(x),
        (V,),
        "vmap of sin: x is float64[3] and has no axis -2",
    ),
    "vmap: numbers of examples": (
        lambda x, y: vmap(lambda a, b: a + b)(x, y),
        (V, F[4]),
        "a has 3 examples along axis 0, b has 4 along axis 0",
    ),
    "vmap: a tree of axes": (
        lambda x: vmap(lambda d: d["a"], ({"b": 0},))({"a": x}),
        (V,),
        "does not fit: it is {'b': *}, and the values are {'a': *} at {}: give one axis, or",
    ),
    "vmap: out_axes": (
        lambda x: vmap(np.sin, 0, 2)(x),
        (V,),
        "out_axes of vmap of sin: 2 is out of range for 1 dimension(s)",
    ),
    "vmap: a tree of out_axes": (
        lambda x: vmap(lambda x: (x, x), 0, {"a": 0})(x),
        (V,),
        "does not fit: it is {'a': *}, and the values are (*, *)",
    ),
    "grad: has_aux": (
        lambda x: graphc.grad(np.sum, has_aux=True)(x),
        (V,),
        "the gradient of sum with has_aux=True: it returns *, not a pair (value, aux)",
    ),
    "vjp: has_aux": (
        lambda x: graphc.vjp(np.sum, x, has_aux=True)[1](1.0),
        (V,),
        "vjp of sum with has_aux=True: it returns *, not a pair (value, aux)",
    ),
    "jacobian: has_aux": (
        lambda x: graphc.jacobian(np.sum, has_aux=True)(x),
        (V,),
        "jacobian of sum with has_aux=True: it returns *, not a pair (value, aux)",
    ),
    "jvp: a tangent": (
        lambda x: graphc.jvp(np.sin, (x,), (x[:2],)),
        (V,),
        "jvp: tangent of x must be float64[3], not float64[2]",
    ),
    "jvp: tangents": (
        lambda x: graphc.jvp(lambda d: d["a"], ({"a": x},), ({"b": x},)),
        (V,),
        "jvp: tangents have the structure ({'b': *},), primals ({'a': *},)",
    ),
    "vjp: a cotangent": (
        lambda x: graphc.vjp(lambda x: (x, x), x)[1](x),
        (V,),
        "vjp: the cotangent has the structure *, the result (*, *)",
    ),
    "grad: argnums": (
        lambda x: graphc.grad(np.sum, 2)(x),
        (V,),
        "argnums 2 names argument 2 of a call with 1",
    ),
    "grad: a loop without a bound": (
        lambda x: graphc.grad(lambda x: while_loop(lambda c: c < 3, lambda c: c * 2, x))(x),
        (F,),
        "has no gradient, because the number of its steps is not bounded: give max_steps=",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_both_sides_are_named(name: str) -> None:
    fn, types, message = CASES[name]
    with pytest.raises(GraphcError) as found:
        graphc.trace(fn, *types)
    pattern = re.escape(message).replace(re.escape("{}"), r"test_misuse\.py:\d+")
    assert re.search(pattern, str(found.value)), str(found.value)


@pytest.mark.parametrize(
    "name", [name for name in CASES if "arguments" in name or "no fun" in name]
)
def test_on_plain_arrays_too(name: str) -> None:
    fn, types, message = CASES[name]
    with pytest.raises(GraphcError, match=re.escape(message.split(" at {}")[0])):
        fn(*(np.ones(getattr(kind, "shape", ())) for kind in types))


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "out_axes": lambda x: graphc.vmap(np.sin, out_axes=5)(x),
    "argnums": lambda x: graphc.grad(np.sum, argnums=3)(x),
    "argnums of another type": lambda x: graphc.grad(np.sum, argnums="x")(x),
    "no scalar": lambda x: graphc.grad(np.sin)(x),
    "no pair": lambda x: graphc.grad(np.sum, has_aux=True)(x),
    "a tangent's type": lambda x: graphc.jvp(np.sum, (x,), (np.ones(2),)),
    "tangents": lambda x: graphc.jvp(np.sum, (x,), (x, x)),
    "no sequences": lambda x: graphc.jvp(np.sum, x, x),
    "a cotangent's type": lambda x: graphc.vjp(np.sum, x)[1](np.ones(2)),
    "cotangents": lambda x: graphc.vjp(np.sum, x)[1]((1.0, 2.0)),
    "a mode": lambda x: graphc.jacobian(np.sum, mode="backward")(x),
    "a mode of a sparse one": lambda x: graphc.jacobian(np.sum, mode="backward", sparse=True)(x),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_say_the_line_of_the_call(name: str) -> None:
    """On arrays and in a trace, once."""
    fn = TRANSFORMS[name]
    line = rf"test_misuse\.py:{fn.__code__.co_firstlineno}\b"
    for use in (lambda: fn(np.ones(3)), lambda: graphc.trace(fn, graphc.float64[3])):
        with pytest.raises(GraphcError) as found:
            use()
        assert len(re.findall(line, str(found.value))) == 1, str(found.value)


SAYINGS: dict[str, tuple[Any, str]] = {
    "a dtype": (
        lambda x: graphc.scan(lambda c, r: (c.astype(np.float32), r), x[0], x),
        r"the body of scan changes its carry from float64\[\] to float32\[\] at .*.py:\d+: "
        r"return it .astype\(np.float64\), or start with .astype\(np.float32\)",
    ),
    "a structure": (
        lambda x: graphc.scan(lambda c, r: ((c, c), r), x[0], x),
        r"returns a carry \(float64\[\], float64\[\]\), and takes float64\[\] at .*: return the",
    ),
    "no pair": (
        lambda x: graphc.scan(lambda c, r: c + r, x[0], x),
        r"returns a pair \(carry, y\), not float64\[\] at .*: return carry, None if nothing is",
    ),
    "a traced length": (
        lambda x: graphc.scan(lambda c, r: (c, r), x[0], length=x[0]),
        r"the length of scan is float64\[\], not known while tracing at .*: give an int or a size",
    ),
    "a negative length": (
        lambda x: graphc.scan(lambda c, r: (c, r), x[0], length=-1),
        "a scan of length=-1 at .*: give a length of 0 or more",
    ),
    "one part of a carry": (
        lambda x: graphc.while_loop(lambda c: c[0] < 1, lambda c: (c[0], x), (x[0], x[:2])),
        r"changes part 1 of its carry from float64\[2\] to float64\[3\] at .*: start with np.zer",
    ),
    "a bounded loop": (
        lambda x: graphc.while_loop(lambda c: c < 1, lambda c: c + x, x[0], max_steps=3),
        r"the body of while_loop changes its carry from float64\[\] to float64\[3\] at",
    ),
    "a bound": (
        lambda x: graphc.while_loop(lambda c: c < 1, lambda c: c * 2, x[0], max_steps=2.5),
        "max_steps of while_loop is 2.5 at .*: give a whole number, 1 or more",
    ),
    "a condition": (
        lambda x: graphc.while_loop(lambda c: c < 1, lambda c: c * 2, x),
        r"returns bool\[3\], not one bool scalar at .*: compare, and take np.any or np.all",
    ),
    "an axis": (
        lambda x: graphc.vmap(lambda x: x, in_axes=2)(x),
        r"x is float64\[3\] and has no axis 2 at test_misuse.py:\d+: choose another in_axes",
    ),
    "examples": (
        lambda x: graphc.vmap(lambda x, y: x)(x, x[:2]),
        "x has 3 examples along axis 0, y has 2 along axis 0 at .*: slice them to one number",
    ),
}


@pytest.mark.parametrize("name", SAYINGS)
def test_the_sentence_names_both_sides_the_line_and_the_remedy(name: str) -> None:
    f, message = SAYINGS[name]
    with pytest.raises(GraphcError, match=message):
        graphc.trace(f, graphc.float64[3])
