"""Statements with other indices and names, and the choices made that the indices decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace

from graphc.bounds import Extents
from graphc.frozen import dataclass
from graphc.loops import (
    Apply,
    Assign,
    Contract,
    Declare,
    Expr,
    If,
    Let,
    Literal,
    Local,
    Loop,
    Matrix,
    Position,
    Read,
    Stmt,
    Store,
    While,
    replace_parts,
)
from graphc.lower.index import decide, simplify
from graphc.types import Size, substitute

COMPARISONS = frozenset(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"))


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What takes the place of loop variables and of locals.

    Args:
        at: an index for each loop variable that goes.
        names: a local for each that is renamed.
        extents: of the loop variables, where indices are to be simplified by them and choices that
            they decide are to be made; None leaves both as they are.
        starts: of arrays that begin later, at which of their elements.
    """

    at: Mapping[str, Size]
    names: Mapping[str, str] = field(default_factory=dict)
    extents: Extents | None = None
    starts: Mapping[str, Size] = field(default_factory=dict)

    def place(self, array: str, index: Size) -> Size:
        """An index into an array."""
        return self.size(index - self.starts.get(array, 0))

    def size(self, value: Size) -> Size:
        found = substitute(value, self.at)
        return found if self.extents is None else simplify(found, self.extents)

    def value(self, value: Expr) -> Expr:
        return replace_parts(value, self._part)

    def matrix(self, side: Matrix) -> Matrix:
        panel = None if side.panel is None else self.size(side.panel)
        steps = self.size(side.row), self.size(side.term)
        start = self.place(side.buffer, side.start)
        return Matrix(side.buffer, start, *steps, panel, side.taps)

    def body(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        return tuple(map(self.statement, body))

    def statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Store():
                index = self.place(stmt.buffer, stmt.index)
                return replace(stmt, index=index, value=self.value(stmt.value))
            case Let() | Declare() | Assign():
                name = self.names.get(stmt.name, stmt.name)
                return replace(stmt, name=name, value=self.value(stmt.value))
            case Loop(var, extent):
                extent = self.size(extent)
                return replace(stmt, extent=extent, body=self._inside(var, extent).body(stmt.body))
            case While():
                test, inner = self.body(stmt.test), self.body(stmt.body)
                return While(test, self.value(stmt.condition), inner)
            case If():
                then, other = self.body(stmt.then), self.body(stmt.other)
                return If(self.value(stmt.condition), then, other)
            case Contract():
                sizes = (self.size(stmt.rows), self.size(stmt.columns), self.size(stmt.terms))
                sides = (self.matrix(stmt.left), self.matrix(stmt.right), self.matrix(stmt.into))
                counted = tuple((self.size(a), self.size(b)) for a, b in stmt.counted)
                return Contract(stmt.dtype, *sizes, *sides, stmt.add, counted, stmt.zeros)
        return stmt

    def _inside(self, var: str, extent: Size) -> Rewriting:
        if self.extents is None:
            return self
        return replace(self, extents={**self.extents, var: extent})

    def _part(self, part: Expr) -> Expr | None:
        match part:
            case Local(name, dtype) if name in self.names:
                return Local(self.names[name], dtype)
            case Read(buffer, index, dtype):
                return Read(buffer, self.place(buffer, index), dtype)
            case Position(index, dtype):
                return Position(self.size(index), dtype)
            case Apply(function, args) if self.extents is not None:
                known = self._truth(args[0] if function == "select" else part)
                if known is None:
                    return None
                if function == "select":
                    return self.value(args[1] if known else args[2])
                return Literal(known, part.dtype)
        return None

    def _truth(self, condition: Expr) -> bool | None:
        """Whether a comparison of positions holds: in every iteration, in none, or not known."""
        if not isinstance(condition, Apply) or condition.function not in COMPARISONS:
            return None
        a, b = condition.args
        if not isinstance(a, Position) or not isinstance(b, Position):
            return None
        return decide(condition.function, self.size(a.size - b.size), self.extents or {})


def with_loops(
    body: tuple[Stmt, ...], change: Callable[[Loop], Iterable[Stmt]]
) -> tuple[Stmt, ...]:
    """The statements, with what `change` makes of each outermost loop, in branches as well and in
    loops that end on a condition."""
    found: list[Stmt] = []
    for stmt in body:
        match stmt:
            case Loop():
                found += change(stmt)
            case While():
                test, inner = (with_loops(x, change) for x in (stmt.test, stmt.body))
                found.append(replace(stmt, test=test, body=inner))
            case If():
                then, other = (with_loops(x, change) for x in (stmt.then, stmt.other))
                found.append(replace(stmt, then=then, other=other))
            case _:
                found.append(stmt)
    return tuple(found)


def with_products(
    body: tuple[Stmt, ...], change: Callable[[Contract], Contract]
) -> tuple[Stmt, ...]:
    """The statements, with what `change` makes of each product of matrices."""

    def inside(loop: Loop) -> tuple[Stmt, ...]:
        return (replace(loop, body=with_products(loop.body, change)),)

    return tuple(
        change(stmt) if isinstance(stmt, Contract) else stmt for stmt in with_loops(body, inside)
    )
