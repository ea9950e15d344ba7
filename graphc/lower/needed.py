"""Products without the columns that nothing reads: those beyond the diagonal of a mask, say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from graphc.accesses import Access, accesses, step_of
from graphc.bounds import largest, smallest
from graphc.loops import Contract, Loop, Program, Stmt
from graphc.lower.rewriting import with_loops
from graphc.types import Dim, Size, at_most, minimum, names


def leave_out_columns(program: Program) -> Program:
    """The program with products of as many columns as are read."""
    touched = Counter(access.buffer for access in accesses(program.body))
    own = {b.name for b in program.buffers if not b.home}

    def inside(loop: Loop) -> Iterator[Stmt]:
        body = tuple(_needed(with_loops(loop.body, inside), own, touched))
        yield replace(loop, body=body)

    return replace(program, body=with_loops(program.body, inside))


def _needed(body: tuple[Stmt, ...], own: set[str], touched: Counter[str]) -> Iterator[Stmt]:
    inside: list[Access] = []
    for stmt in body:
        if isinstance(stmt, Contract) and stmt.into.buffer in own and not stmt.add:
            inside = inside or accesses(body)
            found = [a for a in inside if a.buffer == stmt.into.buffer]
            reads = [a for a in found if not a.write]
            if len(found) == touched[stmt.into.buffer] == len(reads) + 1:
                ends = {_end(a, stmt) for a in reads}
                end = ends.pop() if len(ends) == 1 else None
                if end is not None and not at_most(stmt.columns, end):
                    stmt = replace(stmt, columns=minimum(end, stmt.columns))
        yield stmt


def _end(access: Access, stmt: Contract) -> Size | None:
    """The column after the last that is read of the product; None where that is not known."""
    rest = access.index - stmt.into.start
    for var, _ in access.exact:
        step = step_of(access, var)
        if step == (stmt.into.row,):
            rest = rest - stmt.into.row * Dim.named(var)
    if set(names(rest)) & access.wild:
        return None
    low, high = smallest(rest, access.extents), largest(rest, access.extents)
    if low is None or high is None or not at_most(0, low):
        return None
    return high + 1
