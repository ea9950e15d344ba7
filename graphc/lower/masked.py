"""Products with what a mask cleared: the terms, or columns, that hold only zeros are left out.

``weights @ v``, where causal attention gave each row of weights zeros after its own place, has half
the terms that count. Which they are the kernel finds when it runs, for each block of rows: from the
end on, up to the first other number. Zero times infinity is nan, so that what they meet must be
finite too; then the result is the same.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

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

EMPTY = (0, -inf)
"""What a mask leaves of a number, or of its logarithm."""
SHORTEST = 64
"""Terms, or columns, of which some may be left out."""


def leave_out_zeros(program: Program) -> Program:
    """The program with such products told apart."""
    masked = _masked(program)

    def change(stmt: Contract) -> Contract:
        if stmt.left.taps or stmt.right.taps or stmt.right.panel is not None:
            return stmt
        left, right = stmt.left, stmt.right
        if left.buffer in masked and left.panel is None and 1 in (left.row, left.term):
            return replace(stmt, zeros="left") if _is_long(stmt.terms) else stmt
        if right.buffer in masked and stmt.add and 1 in (right.row, right.term):
            return replace(stmt, zeros="right") if _is_long(stmt.columns) else stmt
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
            empty = any(isinstance(x, Literal) and x.value in EMPTY for x in (then, other))
            return empty and len(set(names(a - b))) > 1
    return False
