"""Several rows of sums at once: unroll and jam.

``out[i] = sum of a[i, j] x[j]`` is one sum that waits for itself; four of them, for rows 4 i to
4 i + 3, fill the units of the machine and read each x[j] once. ``out[j] += x[i] a[i, j]`` for four
rows reads and writes out[j] once. Every sum has the order it had. (Allen and Kennedy, Optimizing
Compilers for Modern Architectures, 2001, chapter 8.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphc.dependence import Memory, split_of
from graphc.frozen import dataclass
from graphc.loops import (
    Apply,
    Assign,
    Comment,
    Declare,
    Let,
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
from graphc.lower.rewriting import Rewriting, with_loops
from graphc.types import Dim, Size, floordiv, mod, names

TOGETHER = (4, 5, 3)
"""Rows at a time: the first of them that leaves none over, else the first."""
SHORTEST, LONGEST_TERM = 16, 12
SMALLEST = 4096
"""Terms of all sums that repay it."""
ARITHMETIC = frozenset(("add", "subtract", "multiply", "negative", "cast"))


def jam(program: Program, fresh: Names) -> Program:
    """The program with such loops taken several iterations at a time."""
    jammer = _Jammer(Memory.of(program, is_laid=False), fresh)
    return replace(program, body=with_loops(program.body, jammer.loop))


@dataclass(frozen=True, slots=True)
class _Jammer:
    memory: Memory
    fresh: Names

    def loop(self, loop: Loop) -> Iterator[Stmt]:
        if not self.gains(loop):
            yield replace(loop, body=with_loops(loop.body, self.loop))
            return
        many = loop.extent
        left_over = [n for n in TOGETHER if isinstance(many, int) and many % n == 0]
        count = (*left_over, *TOGETHER)[0]
        own = sorted({s.name for s in statements(loop.body) if isinstance(s, Let | Declare)})
        rows = []
        for r in range(count):
            renamed = {name: self.fresh.take(name) for name in own} if r else {}
            at: dict[str, Size] = {old: Dim.named(new) for old, new in renamed.items()}
            at[loop.var] = Dim.named(loop.var) * count + r
            rows.append(Rewriting(at, renamed).body(loop.body))
        yield Loop(loop.var, floordiv(many, count), tuple(_jammed(rows)))
        if not left_over:
            start = floordiv(many, count) * count
            last = Rewriting({loop.var: start + Dim.named(loop.var)}).body(loop.body)
            yield Loop(loop.var, mod(many, count), last)

    def gains(self, loop: Loop) -> bool:
        """Whether rows of the loop can be taken together, and repay it."""
        work = _terms(loop)
        if work is None or (isinstance(loop.extent, int) and loop.extent * work < SMALLEST):
            return False
        if not isinstance(loop.extent, int) and work < SMALLEST // 64:
            return False
        return _adds_to_rows(loop) or self.is_apart(loop)

    def is_apart(self, loop: Loop) -> bool:
        """Whether the loop inside may run for later rows before what follows it for this one."""
        split = split_of(loop, self.memory)
        if split is None or split.private or split.arrays:
            return False
        at = next(k for k, stmt in enumerate(loop.body) if isinstance(stmt, Loop))
        early = list(statements(loop.body[: at + 1]))
        if any(isinstance(stmt, Store) for stmt in early):
            return False
        changed = {stmt.name for stmt in early if isinstance(stmt, Assign)}
        inside = [part for stmt in early for value in values(stmt) for part in parts(value)]
        read = {part.name for part in inside if isinstance(part, Local)}
        return split.sums.keys().isdisjoint(read | changed)


def _terms(loop: Loop) -> int | None:
    """How many terms one iteration sums in the loop inside; None if it does anything else."""
    inner = [stmt for stmt in loop.body if isinstance(stmt, Loop)]
    if len(inner) != 1 or not all(
        isinstance(stmt, Let | Declare | Assign | Store | Comment | Loop) for stmt in loop.body
    ):
        return None
    (inside,) = inner
    if not isinstance(inside.extent, int) or loop.var in names(inside.extent):
        return None
    if any(isinstance(stmt, Loop) for stmt in inside.body):
        sums = _terms(inside)
        return None if sums is None else sums * inside.extent
    if inside.extent < SHORTEST or not all(map(_adds, inside.body)):
        return None
    return inside.extent


def _adds(stmt: Stmt) -> bool:
    """Whether all it does is add a short term to a sum."""
    match stmt:
        case Comment():
            return True
        case Assign(name, Apply("add", (Local(first), term), dtype)):
            if first != name:
                return False
        case Store(name, index, Apply("add", (Read(first, place), term), dtype)):
            if first != name or place != index:
                return False
        case _:
            return False
    inside = list(parts(term))
    plain = all(x.function in ARITHMETIC for x in inside if isinstance(x, Apply))
    return dtype.kind == "f" and plain and len(inside) <= LONGEST_TERM


def _adds_to_rows(loop: Loop) -> bool:
    """Whether each iteration adds a row of terms to the same row, and does nothing else."""
    stores = [s for s in statements(loop.body) if isinstance(s, Store)]
    others = [s for s in statements(loop.body) if not isinstance(s, Store | Loop | Comment)]
    if len(stores) != 1 or others or loop.var in names(stores[0].index):
        return False
    reads = [x for x in parts(stores[0].value) if isinstance(x, Read)]
    return sum(x.buffer == stores[0].buffer for x in reads) == 1


def _jammed(rows: Sequence[tuple[Stmt, ...]]) -> Iterator[Stmt]:
    """The rows' statements in turn, their loops as one."""
    for group in zip(*rows, strict=True):
        match group[0]:
            case Comment():
                yield group[0]
            case Loop(var, extent):
                bodies = [stmt.body for stmt in group if isinstance(stmt, Loop)]
                yield Loop(var, extent, tuple(_jammed(bodies)))
            case _:
                yield group[0]
                for stmt in group[1:]:  # of which a reader has been told
                    yield replace(stmt, note="") if isinstance(stmt, Let) else stmt


__all__ = ["jam"]
