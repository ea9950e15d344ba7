"""Short loops that choose by their own variable, written out: each round then knows its choices.

``d_x[i] = i < 1 ? a : i < 2 ? b : c`` for i < 3 is three stores. A loop is written out where the
text does not grow much by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from graphc.loops import (
    Apply,
    Comment,
    Expr,
    Let,
    Local,
    Loop,
    Position,
    Program,
    Read,
    Stmt,
    Store,
    parts,
    replace_parts,
    values,
)
from graphc.lower.naming import Names
from graphc.lower.rewriting import COMPARISONS, Rewriting, with_loops
from graphc.types import Dim, Size, names, substitute

MOST_ROUNDS = 256
GROWTH = 24
"""Parts of expressions that may be more afterwards."""


def unroll(program: Program, fresh: Names) -> Program:
    """The program with such loops written out; locals in them get names of their own."""
    return replace(program, body=with_loops(program.body, lambda x: _loop(x, fresh)))


def _loop(loop: Loop, fresh: Names) -> list[Stmt]:
    written = _written_out(loop, fresh)
    return written or [replace(loop, body=with_loops(loop.body, lambda x: _loop(x, fresh)))]


def _written_out(loop: Loop, fresh: Names) -> list[Stmt]:
    """The rounds of a loop one after the other; none where it stays a loop."""
    if not isinstance(loop.extent, int) or not 1 < loop.extent <= MOST_ROUNDS:
        return []
    if not _is_plain(loop.body) or _binds_indices(loop.body):
        return []
    if not any(_chooses(stmt, loop.var) for stmt in loop.body):
        return []
    before = sum(map(_length, loop.body))
    rounds = [_round(loop.body, {loop.var: i}) for i in range(loop.extent)]
    if sum(_length(stmt) for body in rounds for stmt in body) > before + GROWTH:
        return []
    return [stmt for body in rounds for stmt in _renamed(body, fresh)]


def _is_plain(body: tuple[Stmt, ...]) -> bool:
    return all(isinstance(stmt, Let | Store | Comment) for stmt in body)


def _binds_indices(body: tuple[Stmt, ...]) -> bool:
    """Whether a local of the body is an index in it."""
    own = {stmt.name for stmt in body if isinstance(stmt, Let)}
    return any(not own.isdisjoint(names(size)) for stmt in body for size in _sizes(stmt))


def _sizes(stmt: Stmt) -> Iterator[Size]:
    """The index expressions of a statement."""
    if isinstance(stmt, Store):
        yield stmt.index
    for value in values(stmt):
        for part in parts(value):
            if isinstance(part, Read):
                yield part.index
            if isinstance(part, Position):
                yield part.size


def _chooses(stmt: Stmt, var: str) -> bool:
    """Whether what it computes depends on a comparison of the variable with a number."""
    return any(_by_number(part, var) for value in values(stmt) for part in parts(value))


def _by_number(part: Expr, var: str) -> bool:
    return (
        isinstance(part, Apply)
        and part.function in COMPARISONS
        and all(isinstance(x, Position) and set(names(x.size)) <= {var} for x in part.args)
        and any(isinstance(x, Position) and names(x.size) for x in part.args)
    )


def _length(stmt: Stmt) -> int:
    return 1 + sum(1 for value in values(stmt) for _ in parts(value))


def _round(body: tuple[Stmt, ...], at: Mapping[str, Size]) -> list[Stmt]:
    """The statements for one value of the variable, with the choices that it makes made."""
    found = [s for s in Rewriting(at, extents={}).body(body) if not isinstance(s, Comment)]
    used = {name for stmt in found for name in _read(stmt)}
    return [stmt for stmt in found if not isinstance(stmt, Let) or stmt.name in used]


def _read(stmt: Stmt) -> Iterator[str]:
    """The locals that a statement reads, as values and as indices."""
    if isinstance(stmt, Store):
        yield from names(stmt.index)
    for value in values(stmt):
        for part in parts(value):
            match part:
                case Local(name):
                    yield name
                case Read(_, size) | Position(size):
                    yield from names(size)


def _renamed(body: list[Stmt], fresh: Names) -> Iterator[Stmt]:
    """With locals of their own names, for the rounds share one block now."""
    new: dict[str, str] = {}

    def moved(size: Size) -> Size:
        return substitute(size, {old: Dim.named(name) for old, name in new.items()})

    def change(part: Expr) -> Expr | None:
        match part:
            case Local(name, dtype) if name in new:
                return Local(new[name], dtype)
            case Read(buffer, index, dtype):
                return Read(buffer, moved(index), dtype)
            case Position(size):
                return replace(part, size=moved(size))
        return None

    for stmt in body:
        match stmt:
            case Let(name, value, note):
                value = replace_parts(value, change)
                new[name] = fresh.fresh()
                yield Let(new[name], value, note)
            case Store():
                value = replace_parts(stmt.value, change)
                yield replace(stmt, index=moved(stmt.index), value=value)


__all__ = ["unroll"]
