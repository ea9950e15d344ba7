"""Long float32 sums, some elements at a time: what is kept in a double are sums of 1024 elements.

To widen every element halves what a vector unit does at once; to widen the sum of 1024 costs
nothing, and its rounding errors are those of 1024 elements however long the whole sum is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphc import loops
from graphc.loops import (
    Apply,
    Assign,
    Comment,
    Declare,
    Let,
    Literal,
    Local,
    Loop,
    Program,
    Stmt,
    Store,
)
from graphc.lower.naming import Names
from graphc.lower.rewriting import Rewriting, with_loops
from graphc.types import Dim, Size, float32, float64, floordiv, minimum

PART = 1024
"""Elements that are summed as float32."""


def in_parts(program: Program, fresh: Names) -> Program:
    """The program with such sums cut."""
    return replace(program, body=with_loops(program.body, _Cutter(fresh).loop))


class _Cutter:
    """Hands out the one variable that counts the parts."""

    def __init__(self, fresh: Names) -> None:
        self.fresh = fresh
        self.name = ""

    def part(self) -> str:
        self.name = self.name or self.fresh.take("part")
        return self.name

    def loop(self, loop: Loop) -> Iterator[Stmt]:
        inner = with_loops(loop.body, self.loop)
        yield self.cut(loop) or replace(loop, body=inner)

    def cut(self, loop: Loop) -> Loop | None:
        """The loop over parts of the loop; None where it sums no such thing."""
        if isinstance(loop.extent, int) and loop.extent <= PART:
            return None
        if not all(isinstance(s, Let | Store | Assign | Comment) for s in loop.body):
            return None
        wide = [s for s in loop.body if isinstance(s, Assign) and _term(s) is not None]
        if not wide or len({s.name for s in wide}) != len(wide):
            return None
        part = self.part()
        first = Dim.named(part) * PART
        narrow = {s.name: self.fresh.fresh("sum") for s in wide}
        body = tuple(_narrowed(s, narrow) for s in loop.body)
        body = Rewriting({loop.var: first + Dim.named(loop.var)}).body(body)
        return Loop(
            part,
            floordiv(loop.extent + PART - 1, PART),
            (
                *(Declare(name, Literal(0.0, float32)) for name in narrow.values()),
                Loop(loop.var, _inside(loop.extent, first), body),
                *(_widened(name, narrow[name]) for name in narrow),
            ),
        )


def _inside(extent: Size, first: Size) -> Size:
    if isinstance(extent, int) and extent % PART == 0:
        return PART
    return minimum(PART, extent - first)


def _term(stmt: Assign) -> loops.Expr | None:
    """What a statement adds, as float32, to a sum in a double."""
    match stmt.value:
        case Apply("add", (Local(name), Apply("cast", (term,), _)), dtype) if (
            name == stmt.name and dtype == float64 and term.dtype == float32
        ):
            return term
    return None


def _narrowed(stmt: Stmt, narrow: dict[str, str]) -> Stmt:
    term = _term(stmt) if isinstance(stmt, Assign) else None
    if not isinstance(stmt, Assign) or term is None:
        return stmt
    name = narrow[stmt.name]
    return replace(stmt, name=name, value=loops.apply("add", Local(name, float32), term))


def _widened(name: str, part: str) -> Assign:
    wide = loops.cast(Local(part, float32), float64)
    return Assign(name, loops.apply("add", Local(name, float64), wide))


__all__ = ["in_parts"]
