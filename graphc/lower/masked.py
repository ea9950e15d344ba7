"""Products with what a mask cleared: the terms, rows or columns of zeros only are left out.

``weights @ v``, where causal attention gave each row of weights zeros after its own place, has half
the terms that count. Which they are the kernel finds when it runs, for each block of rows: from the
end on, up to the first other number. Zero times infinity is nan, so that what they meet must be
finite too; then the result is the same.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.loops import (
    Apply,
    Contract,
    Expr,
    Let,
    Literal,
    Local,
    Position,
    Program,
    Read,
    Store,
    parts,
    statements,
)
from graphc.lower.rewriting import with_products
from graphc.types import Size, names

LOW = -80.0
"""The exponential of such a number is next to nothing beside that of another."""
SHORTEST = 64
"""Rows, columns or terms of which some may be left out."""


def leave_out_zeros(program: Program) -> Program:
    """The program with such products told apart."""
    masked = _masked(program)

    def change(stmt: Contract) -> Contract:
        if stmt.left.taps or stmt.right.taps or stmt.right.panel is not None:
            return stmt
        for axis, size, side in (
            ("rows", stmt.rows, stmt.left),
            ("columns", stmt.columns, stmt.right),
            ("terms", stmt.terms, stmt.left),
        ):
            lies = side.panel is None and 1 in (side.row, side.term)
            if side.buffer in masked and lies and _is_long(size) and (stmt.add or axis == "terms"):
                return replace(stmt, zeros=axis)
        return stmt

    return replace(program, body=with_products(program.body, change))


def _is_long(size: Size) -> bool:
    return not isinstance(size, int) or size >= SHORTEST


def _masked(program: Program) -> set[str]:
    """Arrays, and locals, that a comparison of two positions clears, and what is made of them
    element by element."""
    found: set[str] = set()
    count = -1
    while len(found) != count:
        count = len(found)
        for stmt in statements(program.body):
            if isinstance(stmt, Let | Store) and any(_clears(x, found) for x in parts(stmt.value)):
                found.add(stmt.name if isinstance(stmt, Let) else stmt.buffer)
    return found


def _clears(part: Expr, masked: set[str]) -> bool:
    match part:
        case Read(name) | Local(name):
            return name in masked
        case Apply("select", (Apply(_, (Position(a), Position(b))), then, other)):
            empty = any(
                isinstance(x, Literal) and (x.value == 0 or x.value < LOW) for x in (then, other)
            )
            return empty and len(set(names(a - b))) > 1
    return False
