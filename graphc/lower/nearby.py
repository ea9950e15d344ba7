"""What loops add to one element of an array, or to a double, is summed in a local first: in
registers, and in lanes, where the loops run along memory.

A sum in a double is so the sum of float32 sums of 1024 elements at most, as in `partial`; a long
sum in an array becomes one in a double.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphc import loops
from graphc.loops import (
    Apply,
    Assign,
    Comment,
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
    parts,
    statements,
    values,
)
from graphc.lower.naming import Names
from graphc.lower.partial import PART
from graphc.lower.rewriting import with_loops
from graphc.types import DType, Size, float32, float64, names

SHORTEST = 16
"""Terms that repay a local."""
LONGEST = 4096
"""Terms of one precision that are summed in a row."""

Total = tuple[str, Size | None]
"""A local, or an element of an array."""


def sum_nearby(program: Program, fresh: Names) -> Program:
    """The program with such sums."""
    return replace(program, body=with_loops(program.body, lambda x: _loop(x, fresh)))


def total_of(stmt: Stmt) -> Total | None:
    """What a statement adds to, reading nothing else of it; None if it does not."""
    match stmt:
        case Assign(name, Apply("add", (Local(other), term))) if name == other:
            read = any(isinstance(x, Local) and x.name == name for x in parts(term))
            return None if read else (name, None)
        case Store(buffer, index, Apply("add", (Read(other, place), term))) if (buffer, index) == (
            other,
            place,
        ):
            read = any(isinstance(x, Read) and x.buffer == buffer for x in parts(term))
            return None if read else (buffer, index)
    return None


def _loop(loop: Loop, fresh: Names) -> Iterator[Stmt]:
    found = _sums(loop)
    for sum_ in found:
        yield Declare(sum_.start(fresh), Literal(0.0, sum_.dtype))
    inner = loop.body
    if found:
        inner = _kept_near(inner, {sum_.total: sum_ for sum_ in found})
    yield replace(loop, body=with_loops(inner, lambda x: _loop(x, fresh)))
    yield from (sum_.end() for sum_ in found)


@dataclass(slots=True, eq=False)
class _Sum:
    """One sum of a loop, and the local that holds what the loop adds to it."""

    total: Total
    first: Assign | Store
    dtype: DType
    name: str = ""

    def start(self, fresh: Names) -> str:
        self.name = fresh.fresh("sum")
        return self.name

    def inside(self, term: Expr) -> Assign:
        term = loops.cast(_narrow(term), self.dtype)
        return Assign(self.name, loops.apply("add", Local(self.name, self.dtype), term))

    def end(self) -> Stmt:
        if not isinstance(self.first.value, Apply):
            raise TypeError("a sum adds nothing")
        sofar = self.first.value.args[0]
        part = loops.cast(Local(self.name, self.dtype), sofar.dtype)
        return replace(self.first, value=loops.apply("add", sofar, part))


def _narrow(term: Expr) -> Expr:
    """A float32 that was widened to be summed, as it was."""
    match term:
        case Apply("cast", (x,), dtype) if dtype == float64 and x.dtype == float32:
            return x
    return term


def _sums(loop: Loop) -> list[_Sum]:
    """What the loop sums, of known length, and does nothing else with."""
    every = list(statements(loop.body))
    if not all(isinstance(s, Let | Declare | Assign | Store | Comment | Loop) for s in every):
        return []
    own = {loop.var} | {s.var for s in every if isinstance(s, Loop)}
    own |= {s.name for s in every if isinstance(s, Let | Declare)}
    found: dict[Total, _Sum] = {}
    for stmt in every:
        total = total_of(stmt)
        if total is not None and isinstance(stmt, Assign | Store) and total not in found:
            wide = isinstance(stmt, Assign)
            if not isinstance(stmt.value, Apply) or stmt.value.dtype.kind != "f":
                continue
            narrow = _narrow(stmt.value.args[1])
            moves = total[0] in own or (total[1] is not None and own & set(names(total[1])))
            if moves or (wide and narrow.dtype == stmt.value.dtype):
                continue
            terms = _terms((loop,), total)
            if terms is not None and SHORTEST <= terms <= (PART if wide else LONGEST):
                found[total] = _Sum(total, stmt, narrow.dtype)
            elif terms is None and not wide and not any(isinstance(s, Loop) for s in every):
                found[total] = _Sum(total, stmt, float64)  # cut by `partial`
    return [x for x in found.values() if _is_alone(x.total, every, found)]


def _terms(body: tuple[Stmt, ...], total: Total) -> int | None:
    """How many terms go to a sum; None if that is not known."""
    count = 0
    for stmt in body:
        if isinstance(stmt, Loop):
            inner = _terms(stmt.body, total)
            if inner is None or (inner and not isinstance(stmt.extent, int)):
                return None
            count += inner * stmt.extent if isinstance(stmt.extent, int) else 0
        elif total_of(stmt) == total:
            count += 1
    return count


def _is_alone(total: Total, every: list[Stmt], found: dict[Total, _Sum]) -> bool:
    """Whether nothing else touches what is summed to."""
    for stmt in every:
        other = total_of(stmt)
        if other not in found and isinstance(stmt, Assign | Store):
            if total[0] == (stmt.name if isinstance(stmt, Assign) else stmt.buffer):
                return False
        elif other is not None and other[0] == total[0] and not _are_apart(other[1], total[1]):
            return False
        for value in values(stmt):
            read = value.args[1] if other in found and isinstance(value, Apply) else value
            for part in parts(read):
                if isinstance(part, Local) and part.name == total[0]:
                    return False
                if isinstance(part, Read) and part.buffer == total[0]:
                    return False
    return True


def _are_apart(a: Size | None, b: Size | None) -> bool:
    """Whether two elements of an array are one, or surely two."""
    if a is None or b is None:
        return a is b
    return isinstance(a - b, int)


def _kept_near(body: tuple[Stmt, ...], sums: dict[Total, _Sum]) -> tuple[Stmt, ...]:
    """The statements, with their terms added to the locals."""
    found: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, Loop):
            stmt = replace(stmt, body=_kept_near(stmt.body, sums))
        total = total_of(stmt)
        if total in sums and isinstance(stmt, Assign | Store) and isinstance(stmt.value, Apply):
            stmt = sums[total].inside(stmt.value.args[1])
        found.append(stmt)
    return tuple(found)


__all__ = ["sum_nearby", "total_of"]
