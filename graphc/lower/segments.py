"""Loops over what lies side by side, one for each piece of it.

``y[k] = k < 128 ? a[k] : b[k - 128]`` for k < 256 is two loops, and
``y[k] = x[k / 32 * 64 + k % 32]`` is a loop over the pieces around one within them: each then runs
along memory without a choice or a division. Panels of rows end in one that has fewer, which gets
loops of its own: those of the others then have a length that is known. (Index-set splitting and
strip mining: Wolfe, High Performance Compilers, 1996, chapter 9.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphc.bounds import Extents
from graphc.frozen import dataclass
from graphc.loops import (
    Apply,
    Assign,
    Comment,
    Contract,
    Declare,
    Expr,
    Let,
    Loop,
    Position,
    Program,
    Stmt,
    Store,
    bodies,
    parts,
    places,
    statements,
    values,
)
from graphc.lower.index import simplify
from graphc.lower.rewriting import COMPARISONS, Rewriting, with_loops
from graphc.types import Dim, Func, Size, at_most, floordiv, names, split, substitute

SHORTEST = 8
"""Iterations with one choice that repay a loop of their own."""
SHORTEST_PIECE = 4
"""Elements side by side that repay a loop of their own."""
MOST_PIECES = 4
GROWTH = 24
"""Parts of expressions that may be more afterwards."""


def segment(program: Program, loop_names: Sequence[str]) -> Program:
    """The program with such loops cut. `loop_names` are free identifiers."""
    return replace(program, body=_Cutter(tuple(loop_names)).body(program.body, {}))


@dataclass(frozen=True, slots=True)
class _Cutter:
    loop_names: tuple[str, ...]

    def body(self, body: tuple[Stmt, ...], extents: Extents) -> tuple[Stmt, ...]:
        return with_loops(body, lambda loop: self.loop(loop, extents))

    def loop(self, loop: Loop, extents: Extents) -> Iterator[Stmt]:
        extent = simplify(loop.extent, extents)
        if extent != loop.extent:  # of panels that are all whole: that may decide divisions
            body = Rewriting({}, {}, {**extents, loop.var: extent}).body(loop.body)
            loop = replace(loop, extent=extent, body=body)
        pieces = _pieces(loop, extents)
        if pieces:
            yield from self.body(tuple(pieces), extents)
            return
        nested = self.nested(loop, extents) or loop
        inside = {**extents, nested.var: nested.extent}
        yield replace(nested, body=self.body(nested.body, inside))

    def nested(self, loop: Loop, extents: Extents) -> Loop | None:
        """The loop as one over whole pieces, around one over the elements of a piece."""
        inner = {x.var for x in statements(loop.body) if isinstance(x, Loop)}
        free = [x for x in self.loop_names if x not in inner and x not in extents and x != loop.var]
        wanted = {c: True for s in _indices(loop.body) for c in _divisors(s, loop.var)}
        if not wanted or not free:
            return None
        if isinstance(loop.extent, int):  # pieces that fit into those of other loops
            parts = (math.gcd(c, loop.extent) for c in wanted)
            wanted |= {c: False for c in parts if c >= SHORTEST_PIECE and c not in wanted}
        for length, alone in sorted(wanted.items(), key=lambda item: (not item[1], item[0])):
            count, rest = split(loop.extent, length)
            if rest != 0 or not at_most(2, count):
                continue
            at: Size = Dim.named(loop.var) * length + Dim.named(free[0])
            known = {**extents, loop.var: count, free[0]: length}
            body = Rewriting({loop.var: at}, {}, known).body(loop.body)
            own = {loop.var, free[0]} if alone else {free[0]}
            if not any(_divides(size, own) for size in _indices(body)):
                return Loop(loop.var, count, (Loop(free[0], length, body),))
        return None


def _pieces(loop: Loop, extents: Extents) -> list[Stmt]:
    """The loop cut where its choices change, or where whole panels end; none where that does not
    pay."""
    plain = Let | Declare | Assign | Store | Comment | Loop  # which take turns as before
    if not all(isinstance(s, plain) for s in statements(loop.body)):
        return []
    inner = {s.var for s in statements(loop.body) if isinstance(s, Loop)}
    inner |= {s.name for s in statements(loop.body) if isinstance(s, Let)}
    choices = {
        b
        for value in _values(loop.body)
        for b in boundaries(value, loop.var)
        if inner.isdisjoint(names(b))
    }
    panels = {b for s in statements(loop.body) if isinstance(s, Loop) for b in _ends(s, loop.var)}
    for ends in (_ordered(choices, loop.extent, SHORTEST), _ordered(panels, loop.extent, 1)):
        if 0 < len(ends) < MOST_PIECES:
            pieces = list(_cut(loop, ends, extents))
            if sum(map(_length, pieces)) <= 2 * _length(loop) + GROWTH:
                return pieces
    return []


def _cut(loop: Loop, ends: Sequence[Size], extents: Extents) -> Iterator[Stmt]:
    start: Size = 0
    for end in (*ends, loop.extent):
        alone = end - start == 1 and all(isinstance(s, Loop) for s in loop.body)
        at = start if alone else Dim.named(loop.var) + start
        known = {**extents, loop.var: end - start}
        body = Rewriting({loop.var: at}, {}, known).body(loop.body)
        if alone:
            yield from body
        else:
            yield Loop(loop.var, end - start, body)
        start = end


def _ordered(found: set[Size], extent: Size, shortest: int) -> list[Size]:
    """The boundaries inside the loop, in order, if every piece is long enough."""
    inside = {b for b in found if not at_most(b, 0) and not at_most(extent, b)}
    ends: list[Size] = []
    start: Size = 0
    while inside:
        least = [b for b in inside if all(at_most(b, other) for other in inside)]
        if not least:
            return []
        inside.remove(least[0])
        ends.append(least[0])
    for end in (*ends, extent):
        length = end - start
        if not at_most(shortest if isinstance(length, int) else 0, length):
            return []
        start = end
    return ends


def boundaries(value: Expr, var: str) -> Iterator[Size]:
    """The values of the variable from which on a comparison with another size turns out
    otherwise."""
    for part in parts(value):
        if isinstance(part, Apply) and part.function in COMPARISONS - {"equal", "not_equal"}:
            a, b = part.args
            if isinstance(a, Position) and isinstance(b, Position):
                difference = a.size - b.size
                rest = substitute(difference, {var: 0})
                step = difference - rest
                strict = part.function in ("less", "greater_equal")
                if step == Dim.named(var):
                    yield -rest if strict else 1 - rest
                elif step == -Dim.named(var):
                    yield rest + 1 if strict else rest


def _ends(inner: Loop, var: str) -> Iterator[Size]:
    """The first panel that is not whole, of a loop inside over min(n - 12 i, 12)."""
    match inner.extent:
        case Dim(terms=((((Func("min", a, b),), 1),))):
            for left, whole in ((a, b), (b, a)):
                total = substitute(left, {var: 0})
                if isinstance(whole, int) and left - total == Dim.named(var) * -whole:
                    yield floordiv(total, whole)


def _length(stmt: Stmt) -> int:
    own = sum(1 for value in values(stmt) for _ in parts(value))
    return 1 + own + sum(_length(x) for body in bodies(stmt) for x in body)


def _values(body: tuple[Stmt, ...]) -> Iterator[Expr]:
    for stmt in statements(body):
        yield from values(stmt)


def _indices(body: tuple[Stmt, ...]) -> Iterator[Size]:
    """The index expressions of all statements."""
    for stmt in statements(body):
        yield from places(stmt)
        if isinstance(stmt, Contract):
            yield stmt.into.start
        elif isinstance(stmt, Loop):
            yield stmt.extent


def _divisors(size: Size, var: str) -> Iterator[int]:
    """The numbers by which an index divides the loop variable."""
    for atom in _functions(size):
        if atom.kind in ("floordiv", "mod") and isinstance(atom.b, int) and atom.b > 1:
            if var in names(atom.a):
                yield atom.b


def _divides(size: Size, own: set[str]) -> bool:
    """Whether one of these variables is divided."""
    return any(
        atom.kind in ("floordiv", "mod") and not own.isdisjoint(names(atom.a))
        for atom in _functions(size)
    )


def _functions(size: Size) -> Iterator[Func]:
    if isinstance(size, int):
        return
    for monomial, _ in size.terms:
        for atom in monomial:
            if isinstance(atom, Func):
                yield atom
                yield from _functions(atom.a)
                yield from _functions(atom.b)


__all__ = ["boundaries", "segment"]
