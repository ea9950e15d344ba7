"""Short loops around the elements of one array after another, as one loop along memory.

``for k < 20: for l < 20: y[20 k + l] = f(x[20 k + l])`` is a loop of 400 iterations: it has whole
vectors, where each row of 20 has one or two and a rest.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.loops import (
    Assign,
    Comment,
    Declare,
    Let,
    Loop,
    Program,
    Store,
    places,
)
from graphc.lower.rewriting import Rewriting, with_loops
from graphc.types import Dim, Size, linear, names

LONGEST = 64
"""Iterations of a loop inside: longer ones have vectors enough."""


def flatten(program: Program) -> Program:
    """The program with such loops."""
    return replace(program, body=with_loops(program.body, _loops))


def _loops(loop: Loop) -> tuple[Loop]:
    return (_flat(loop)[0],)


def _flat(loop: Loop) -> tuple[Loop, bool]:
    """The loop, and whether it was several."""
    match loop.body:
        case (Loop() as inner,):
            inner, several = _flat(inner)
            short = isinstance(inner.extent, int) and inner.extent < LONGEST
            if (several or short) and _follows(loop, inner):
                at: dict[str, Size] = {loop.var: 0, inner.var: Dim.named(loop.var)}
                body = Rewriting(at).body(inner.body)
                return Loop(loop.var, loop.extent * inner.extent, body), True
            return replace(loop, body=(inner,)), False
    return replace(loop, body=with_loops(loop.body, _loops)), False


def _follows(outer: Loop, inner: Loop) -> bool:
    """Whether all that the loops touch goes on, with the next iteration of the outer one, where the
    inner one ends."""
    if not all(isinstance(x, Let | Declare | Assign | Store | Comment) for x in inner.body):
        return False
    found = [_along(size, outer, inner) for stmt in inner.body for size in places(stmt)]
    return all(found)


def _along(size: Size, outer: Loop, inner: Loop) -> bool:
    if not {outer.var, inner.var} & set(names(size)):
        return True
    steps = linear(size, (outer.var, inner.var))
    return steps is not None and steps[1] == steps[2] * inner.extent
