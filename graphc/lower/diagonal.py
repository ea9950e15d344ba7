"""Loops over rows of a triangle, one for each side of its diagonal.

``y[l] = i >= l ? x[l] : -inf`` is one loop up to the diagonal and one that fills the rest, where x
need not be known. What loops after it make of the rest is then the same for all of it as well: it
is made once and filled in. (Index-set splitting: Wolfe, High Performance Compilers, 1996.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf, isfinite

from graphc.accesses import accesses, arms
from graphc.bounds import Extents
from graphc.loops import (
    Apply,
    Assign,
    Comment,
    Expr,
    Let,
    Literal,
    Local,
    Loop,
    Position,
    Program,
    Read,
    Stmt,
    Store,
    parts,
    replace_parts,
    statements,
    values,
)
from graphc.lower.naming import Names
from graphc.lower.parallel import has_many
from graphc.lower.rewriting import Rewriting, with_loops
from graphc.lower.segments import boundaries
from graphc.ops import OPS
from graphc.types import Dim, Size, at_most, names, substitute

SHORTEST = 128
"""Iterations of a loop whose halves repay two."""


def split_at_diagonals(program: Program, fresh: Names, *, nested: bool = False) -> Program:
    """The program with such loops. `nested`: only within loops that then are dealt out to threads,
    where the diagonal is the same in all iterations."""

    changing = frozenset(x.name for x in statements(program.body) if isinstance(x, Assign))

    def split(loop: Loop, around: Extents) -> Iterator[Stmt]:
        extents = {**around, loop.var: loop.extent}
        body = with_loops(loop.body, lambda x: split(x, extents))
        outermost = next(iter(extents)) if nested else ""
        yield replace(loop, body=tuple(_Row(fresh, extents, outermost, changing).split(body)))

    def outer(loop: Loop) -> Iterator[Stmt]:
        return split(loop, {}) if not nested or has_many(loop) else iter((loop,))

    return replace(program, body=with_loops(program.body, outer))


@dataclass(frozen=True, slots=True)
class _Filled:
    """What an array has from the diagonal on: at base + l for start <= l < end."""

    base: Size
    start: Size
    end: Size
    value: Literal | Local


@dataclass(frozen=True, slots=True)
class _Row:
    fresh: Names
    extents: Extents
    outermost: str
    """A loop that the diagonal may not depend on."""
    changing: frozenset[str]
    """Locals that are more than one value."""
    filled: dict[str, _Filled] = field(default_factory=dict)

    def split(self, body: tuple[Stmt, ...]) -> Iterator[Stmt]:
        """The statements of one row."""
        for stmt in body:
            start = self.diagonal(stmt) if isinstance(stmt, Loop) else None
            if start is None or not isinstance(stmt, Loop):
                if self.filled:
                    for array in {a.buffer for a in accesses((stmt,)) if a.write}:
                        self.filled.pop(array, None)
                yield stmt
                continue
            length = stmt.extent - start
            below = Rewriting({}, {}, {stmt.var: start}).body(stmt.body)
            at = Dim.named(stmt.var) + start
            above = Rewriting({stmt.var: at}, {}, {stmt.var: length}).body(stmt.body)
            before, above = self.rest(stmt, start, above)
            yield replace(stmt, extent=start, body=below)
            yield from before
            if above:
                yield replace(stmt, extent=length, body=above)

    def diagonal(self, loop: Loop) -> Size | None:
        """Where the loop is to be split; None if it is not."""
        plain = all(isinstance(x, Let | Assign | Store | Comment) for x in loop.body)
        if not plain or not isinstance(loop.extent, int) or loop.extent < SHORTEST:
            return None
        found: set[Size] = set()
        for part in (part for stmt in loop.body for value in values(stmt) for part in parts(value)):
            if isinstance(part, Apply) and part.function == "select":
                found |= {b for b in boundaries(part.args[0], loop.var) if names(b)}
            elif isinstance(part, Read) and (filled := self.filled_at(part, loop, 0)):
                found.add(filled.start)
        if len(found) != 1:
            return None
        (start,) = found
        if self.outermost in names(start):
            return None
        inside = at_most(0, start) and _is_at_most(start, loop.extent, self.extents)
        return start if inside else None

    def filled_at(self, read: Read, loop: Loop, start: Size) -> _Filled | None:
        """What an element has, `start` iterations of the loop after the first."""
        filled = self.filled.get(read.buffer)
        if filled is None or filled.end != loop.extent:
            return None
        return filled if filled.base + Dim.named(loop.var) + start == read.index else None

    def rest(
        self, loop: Loop, start: Size, body: tuple[Stmt, ...]
    ) -> tuple[list[Stmt], tuple[Stmt, ...]]:
        """What stands before the loop from the diagonal on, and what is left in it."""
        var = loop.var
        before: list[Stmt] = []
        left: list[Stmt] = []
        image: dict[str, Expr] = {}
        varying = {x.name for x in body if isinstance(x, Assign)}

        def known(part: Expr) -> Expr | None:
            if isinstance(part, Read) and (filled := self.filled_at(part, loop, start)):
                return filled.value
            return image.get(part.name) if isinstance(part, Local) else None

        for stmt in body:
            if isinstance(stmt, Comment) or not isinstance(stmt, Let | Assign | Store):
                continue
            value = _folded(replace_parts(stmt.value, known))
            fixed = not any(_moves(x, var, varying) for x in parts(value))
            plain = isinstance(value, Literal) or (
                isinstance(value, Local) and value.name not in self.changing
            )
            if fixed and not plain and not isinstance(stmt, Assign):
                let = Let(self.fresh.fresh(), value)
                before.append(let)
                value = Local(let.name, value.dtype)
            match stmt:
                case Let(name):
                    image[name] = value
                    if not fixed:
                        again = self.fresh.take(name)
                        varying.add(again)
                        left.append(Let(again, value))
                        image[name] = Local(again, value.dtype)
                case Assign(name, Apply("maximum", (Local(other), _))) if name == other:
                    lowest = isinstance(value, Apply) and value.args[1] == Literal(
                        -inf, value.dtype
                    )
                    if not lowest:
                        left.append(replace(stmt, value=value, note=""))
                case Assign():
                    left.append(replace(stmt, value=value, note=""))
                case Store(array, index):
                    self.filled.pop(array, None)
                    if fixed and isinstance(value, Literal | Local):
                        base = index - start - Dim.named(var)
                        if var not in names(base):
                            self.filled[array] = _Filled(base, start, loop.extent, value)
                    left.append(replace(stmt, value=value, note=""))
        return before, tuple(left)


def _folded(value: Expr) -> Expr:
    """What a mask leaves, scaled: a number as well."""
    if isinstance(value, Apply) and value.function in ("multiply", "divide", "negative"):
        args = [x.value for x in value.args if isinstance(x, Literal)]
        if len(args) == len(value.args) and isfinite(args[0]):
            found = OPS[value.function].evaluate({}, *(value.dtype.numpy.type(x) for x in args))
            return Literal(found.item(), value.dtype)
    return value


def _is_at_most(size: Size, most: Size, extents: Extents) -> bool:
    """Whether size <= most in all iterations; a loop over min(n - 72 i, 72) ends by either."""
    if at_most(size, most):
        return True
    for var in names(size):
        grows = at_most(0, substitute(size, {var: Dim.named(var) + 1}) - size)
        extent = extents.get(var)
        ends = () if extent is None or not grows else (extent, *arms(extent))
        for end in ends:
            if at_most(substitute(size, {var: end - 1}), most):
                return True
    return False


def _moves(part: Expr, var: str, varying: set[str]) -> bool:
    """Whether a part of an expression may change from one iteration to the next."""
    match part:
        case Local(name):
            return name in varying
        case Read(_, index) | Position(index):
            return isinstance(part, Read) or var in names(index)
    return False
