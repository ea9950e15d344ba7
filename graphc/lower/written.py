"""Short loops inside a longer one that runs along memory, written out: one window's elements, say,
of many images.

What a short loop sums or compares becomes one expression, and what it keeps for a later one a
local. The long loop has then no loop inside, and compilers vectorise it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

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
    replace_parts,
    statements,
    values,
)
from graphc.lower.domain import is_long, may_be_written
from graphc.lower.naming import Names
from graphc.lower.nearby import total_of
from graphc.lower.rewriting import Rewriting, with_loops
from graphc.types import Dim, Size, names, product, substitute

LONGEST = 512
"""Parts of expressions that may be written."""
LARGEST_STEP = 4
"""Of the long loop along memory: as many windows, or channels, may lie side by side."""
SMALL = 16
"""Elements of an array whose elements become locals."""


def write_out(program: Program, fresh: Names) -> Program:
    """The program with such loops written out."""
    small = {
        b.name for b in program.buffers if isinstance(b.shape, tuple) and _fits(product(b.shape))
    }
    return replace(program, body=with_loops(program.body, lambda x: _loop(x, small, fresh)))


def _fits(size: Size) -> bool:
    return isinstance(size, int) and size <= SMALL


def _loop(loop: Loop, small: set[str], fresh: Names) -> tuple[Stmt, ...]:
    if _is_worth(loop):
        return (replace(loop, body=_Writing(small, fresh).out(loop.body)),)
    return (replace(loop, body=with_loops(loop.body, lambda x: _loop(x, small, fresh))),)


def _is_worth(loop: Loop) -> bool:
    """Whether a loop along memory has short ones inside, that can be written out."""
    if not is_long(loop.extent) or not any(isinstance(s, Loop) for s in loop.body):
        return False
    every = list(statements(loop.body))
    if not all(isinstance(s, Let | Declare | Assign | Store | Comment | Loop) for s in every):
        return False
    if _length(loop.body) > LONGEST or not _nested_short(loop.body, ()):
        return False
    lets = {s.name for s in every if isinstance(s, Let)}
    sizes = list(_indices(every))
    if any(not lets.isdisjoint(names(size)) for size in sizes) or not _closes(loop.body, every):
        return False
    stored = [s.index for s in every if isinstance(s, Store)]
    near = range(LARGEST_STEP + 1)
    if any(_step(size, loop.var) not in near for size in stored):
        return False
    steps = [_step(size, loop.var) for size in sizes]
    return 1 in steps and 2 * sum(step in near for step in steps) > len(steps)


def _closes(body: tuple[Stmt, ...], every: Iterable[Stmt]) -> bool:
    """Whether each accumulator is there for one of the short loops, which does nothing with it but
    add."""
    own = {stmt.name for stmt in body if isinstance(stmt, Declare)}
    if any(isinstance(stmt, Declare) and stmt.name not in own for stmt in every):
        return False
    fillers = Counter(
        name
        for stmt in body
        for name in {s.name for s in statements((stmt,)) if isinstance(s, Assign)} & own
    )
    sums = [stmt for stmt in every if isinstance(stmt, Assign) and stmt.name in own]
    return all(fillers[name] == 1 for name in own) and all(map(_is_sum, sums))


def _nested_short(body: Iterable[Stmt], outer: tuple[Size, ...]) -> bool:
    for stmt in body:
        if isinstance(stmt, Loop):
            sizes = (*outer, stmt.extent)
            if not may_be_written(sizes) or not _nested_short(stmt.body, sizes):
                return False
    return True


def _length(body: Iterable[Stmt]) -> int:
    """Parts of expressions that are there afterwards."""
    total = 0
    for stmt in body:
        if isinstance(stmt, Loop):
            rounds = stmt.extent if isinstance(stmt.extent, int) else LONGEST
            total += rounds * _length(stmt.body)
        else:
            total += sum(1 for value in values(stmt) for _ in parts(value))
    return total


def _is_sum(stmt: Assign) -> bool:
    """Whether the statement adds to a local, and reads nothing else of it."""
    match stmt.value:
        case Apply(_, (Local(name), term)) if name == stmt.name:
            return all(not isinstance(x, Local) or x.name != name for x in parts(term))
    return False


def _indices(body: Iterable[Stmt]) -> Iterator[Size]:
    for stmt in body:
        if isinstance(stmt, Store):
            yield stmt.index
        for value in values(stmt):
            for part in parts(value):
                if isinstance(part, Read):
                    yield part.index


def _step(index: Size, var: str) -> int | None:
    """How far an index moves with the loop; None where that is not known."""
    step = substitute(index, {var: Dim.named(var) + 1}) - index
    return step if isinstance(step, int) else None


@dataclass(slots=True)
class _Writing:
    """The statements of one long loop, as they are written."""

    small: set[str]
    fresh: Names
    depth: int = 0
    """How many short loops lie outside."""
    written: list[Stmt] = field(default_factory=list)
    sums: dict[str, Expr] = field(default_factory=dict)
    """What the accumulators of the short loops hold so far."""
    held: dict[tuple[str, Size], Expr] = field(default_factory=dict)
    """What was stored in elements of small arrays."""

    def out(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        for stmt in body:
            self.add(stmt, {})
        return tuple(_merged(_with_locals(self.written, self.fresh)))

    def add(self, stmt: Stmt, renamed: dict[str, str]) -> None:
        """A statement, in a round of the short loops in which locals have these names."""
        match stmt:
            case Loop():
                self.depth += 1
                for i in range(stmt.extent if isinstance(stmt.extent, int) else 0):
                    inside = dict(renamed)
                    for inner in Rewriting({stmt.var: i}, {}, {}).body(stmt.body):
                        self.add(inner, inside)
                self.depth -= 1
                if not self.depth:
                    self.settle(stmt)
            case Let():
                value = self.value(stmt.value, renamed)
                name = stmt.name
                if self.depth:
                    name = self.fresh.fresh()
                    renamed[stmt.name] = name
                self.written.append(replace(stmt, name=name, value=value))
            case Declare():
                self.sums[stmt.name] = stmt.value
            case Assign() if stmt.name in self.sums:
                self.sums[stmt.name] = self.added(stmt, renamed)
            case Assign():
                self.written.append(replace(stmt, value=self.value(stmt.value, renamed)))
            case Store():
                self.store(replace(stmt, value=self.value(stmt.value, renamed)))
            case _:
                self.written.append(stmt)

    def added(self, stmt: Assign, renamed: dict[str, str]) -> Expr:
        """What an accumulator holds with one more term; it starts with what changes nothing."""
        sofar = self.sums[stmt.name]
        if not isinstance(stmt.value, Apply):
            raise TypeError(f"{stmt.name} sums nothing")
        term = self.value(stmt.value.args[1], renamed)
        if isinstance(sofar, Literal):
            match stmt.value.function, sofar.value:
                case ("maximum", start) if start == -float("inf"):
                    return term
                case ("minimum", start) if start == float("inf"):
                    return term
                case ("add", start) if start == 0 and _is_choice(term):
                    return term
        return loops.apply(stmt.value.function, sofar, term)

    def settle(self, loop: Loop) -> None:
        """The accumulators that a short loop has filled, as locals."""
        filled = (s.name for s in statements(loop.body) if isinstance(s, Assign))
        for name in dict.fromkeys(filled):
            if name in self.sums:
                self.written.append(Let(name, self.sums[name]))

    def store(self, stmt: Store) -> None:
        if stmt.buffer in self.small and not names(stmt.index):
            value = stmt.value
            if not isinstance(value, Local | Literal):
                name = self.fresh.fresh()
                self.written.append(Let(name, value))
                value = Local(name, stmt.value.dtype)
            self.held[stmt.buffer, stmt.index] = value
            stmt = replace(stmt, value=value)
        self.written.append(stmt)

    def value(self, value: Expr, renamed: dict[str, str]) -> Expr:
        def change(part: Expr) -> Expr | None:
            match part:
                case Local(name, dtype) if name in renamed:
                    return Local(renamed[name], dtype)
                case Read(buffer, index) if (buffer, index) in self.held:
                    return self.held[buffer, index]
            return None

        return replace_parts(value, change)


def _is_choice(term: Expr) -> bool:
    """Whether it is one of two numbers, neither of them -0."""
    match term:
        case Apply("select", (_, Literal(a), Literal(b))):
            return all(math.copysign(1.0, x) > 0 for x in (a, b))
    return False


# --- afterwards ----------------------------------------------------------------------------------


def _with_locals(body: list[Stmt], fresh: Names) -> Iterator[Stmt]:
    """With locals for elements that are read more than once."""
    stored = {stmt.buffer for stmt in body if isinstance(stmt, Store)}
    seen = [part for stmt in body for value in values(stmt) for part in parts(value)]
    many = {read for read, n in Counter(x for x in seen if isinstance(x, Read)).items() if n > 1}
    sure = {read for stmt in body for value in values(stmt) for read in _sure(value)}
    wanted = {read for read in many & sure if read.buffer not in stored}
    known: dict[Read, Local] = {}

    def change(part: Expr) -> Expr | None:
        return known.get(part) if isinstance(part, Read) else None

    for stmt in body:
        for value in values(stmt):
            for part in parts(value):
                if isinstance(part, Read) and part in wanted and part not in known:
                    known[part] = Local(fresh.fresh(), part.dtype)
                    yield Let(known[part].name, part)
        if isinstance(stmt, Let | Assign | Store):
            stmt = replace(stmt, value=replace_parts(stmt.value, change))
        yield stmt


def _sure(value: Expr) -> Iterator[Read]:
    """What is read whatever a choice chooses."""
    if isinstance(value, Read):
        yield value
    elif isinstance(value, Apply):
        for arg in value.args[:1] if value.function == "select" else value.args:
            yield from _sure(arg)


def _merged(body: Iterable[Stmt]) -> list[Stmt]:
    """With the terms that go to one sum outside added up before."""
    body = list(body)
    last = {total_of(stmt): k for k, stmt in enumerate(body)}
    terms: dict[object, Expr] = {}
    found: list[Stmt] = []
    for k, stmt in enumerate(body):
        total = total_of(stmt)
        if total is None or not isinstance(stmt, Assign | Store):
            found.append(stmt)
            continue
        if not isinstance(stmt.value, Apply):
            raise TypeError("a sum adds nothing")
        sofar, term = stmt.value.args
        terms[total] = _plus(terms[total], term) if total in terms else term
        if last[total] == k:
            found.append(replace(stmt, value=loops.apply("add", sofar, terms[total])))
    return found


def _plus(a: Expr, b: Expr) -> Expr:
    match a, b:
        case Apply("cast", (x,)), Apply("cast", (y,)) if x.dtype == y.dtype:
            return loops.cast(loops.apply("add", x, y), a.dtype)
    return loops.apply("add", a, b)


__all__ = ["write_out"]
