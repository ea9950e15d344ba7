"""What a choice reads is read before it: compilers then choose in vectors.

An element that only one way of ``select(test, x[k], 0)`` reads is a load behind a condition, which
gcc does not vectorise beside arrays of bools. It is read anyway where it surely exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphc.bounds import SHORTEST_VECTOR, Extents
from graphc.frozen import dataclass
from graphc.loops import (
    Apply,
    Assign,
    Comment,
    Declare,
    Expr,
    Let,
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
from graphc.lower.index import decide
from graphc.lower.naming import Names
from graphc.lower.rewriting import with_loops
from graphc.types import Size, product

PLAIN = (Let, Declare, Assign, Store, Comment)
CHOICES = ("select", "logical_and", "logical_or")
"""Of whose arguments all but the first are made if need be."""


def read_early(program: Program, fresh: Names) -> Program:
    """The program with such reads before the statements of its innermost loops."""
    arrays = (*program.inputs, *program.outputs)
    sizes = {a.name: product(a.type.shape) for a in arrays}
    sizes |= {b.name: product(b.shape) for b in program.buffers}
    reader = _Reader(sizes, fresh)
    return replace(program, body=with_loops(program.body, lambda x: reader.loop(x, {})))


@dataclass(frozen=True, slots=True)
class _Reader:
    sizes: dict[str, Size]
    """How many elements each array has."""
    fresh: Names

    def loop(self, loop: Loop, around: Extents) -> Iterator[Stmt]:
        extents = {**around, loop.var: loop.extent}
        body = loop.body
        long = not isinstance(loop.extent, int) or loop.extent >= SHORTEST_VECTOR
        if any(isinstance(x, Loop) for x in statements(body)):
            body = with_loops(body, lambda x: self.loop(x, extents))
        elif long and all(isinstance(x, PLAIN) for x in body):
            sure = set(self.surely(loop.body))
            body = tuple(x for stmt in loop.body for x in self.statement(stmt, sure, extents))
        yield replace(loop, body=body)

    def statement(
        self, stmt: Stmt, sure: set[tuple[Size, Size]], extents: Extents
    ) -> Iterator[Stmt]:
        """The statement, after the reads that it asks for."""
        if isinstance(stmt, Let | Declare | Assign | Store):
            early: dict[Expr, Expr] = {}
            for read in _chosen(stmt.value):
                if read in early or not self.exists(read, sure, extents):
                    continue
                name = self.fresh.take(f"{read.buffer}_here")
                early[read] = Local(name, read.dtype)
                yield Let(name, read)
            if early:
                stmt = replace(stmt, value=replace_parts(stmt.value, early.get))
        yield stmt

    def surely(self, body: Iterable[Stmt]) -> Iterator[tuple[Size, Size]]:
        """Places that every iteration touches, in arrays of which size."""
        for stmt in body:
            if isinstance(stmt, Store) and stmt.buffer in self.sizes:
                yield self.sizes[stmt.buffer], stmt.index
            for value in values(stmt):
                chosen = set(_chosen(value))
                for part in parts(value):
                    if isinstance(part, Read) and part not in chosen and part.buffer in self.sizes:
                        yield self.sizes[part.buffer], part.index

    def exists(self, read: Read, sure: set[tuple[Size, Size]], extents: Extents) -> bool:
        """Whether every iteration may read this element."""
        size = self.sizes.get(read.buffer)
        if size is None:
            return False
        if (size, read.index) in sure:
            return True
        first = decide("greater_equal", read.index, extents)
        return bool(first and decide("less", read.index - size, extents))


def _chosen(value: Expr, chosen: bool = False) -> Iterator[Read]:
    """The reads that a choice may leave out."""
    match value:
        case Read():
            if chosen:
                yield value
        case Apply(function, args):
            for k, arg in enumerate(args):
                yield from _chosen(arg, chosen or (function in CHOICES and k > 0))
