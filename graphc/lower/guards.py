"""Behind which conditions on positions an index is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphc import loops
from graphc.loops import Apply, Expr, Local, Position, Read
from graphc.types import names


def guards_of(name: str, expr: Expr, guards: tuple[Expr, ...] = ()) -> Iterator[tuple[Expr, ...]]:
    """For each use of an index the conditions on positions that hold where it is evaluated."""
    match expr:
        case Read(_, size) | Position(size):
            if name in names(size):
                yield guards
        case Local(used):
            if used == name:
                yield guards
        case Apply("select", (test, then, other)) if _is_structural(test):
            yield from guards_of(name, test, guards)
            yield from guards_of(name, then, (*guards, test))
            yield from guards_of(name, other, (*guards, loops.negated(test)))
        case Apply():
            for arg in expr.args:
                yield from guards_of(name, arg, guards)


def _is_structural(test: Expr) -> bool:
    """Whether a condition is about positions only: where an array ends, say."""
    return not any(isinstance(part, Read | Local) for part in loops.parts(test))


def is_placed(expr: Expr) -> bool:
    """Whether its positions are in loop variables: not in the axes of some node."""
    return not any(
        name.startswith("@")
        for part in loops.parts(expr)
        if isinstance(part, Position)
        for name in names(part.size)
    )


def combined(function: str, conditions: Sequence[Expr]) -> Expr:
    """All of them, or any of them; each once."""
    first, *others = dict.fromkeys(conditions)
    for other in others:
        first = loops.predicate(function, first, other)
    return first
