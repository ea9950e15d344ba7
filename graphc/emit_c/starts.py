"""Where loops begin, so that their places read well.

A loop from a diagonal on is one over ``l < 599 - i`` in the loop IR, at ``x[601 i + l + 1]``; in C
it begins at ``l = i + 1``, and is at ``x[600 i + l]``.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc.loops import Loop, Stmt, places, statements
from graphc.lower.rewriting import Rewriting
from graphc.types import Dim, Size, names


def with_start(loop: Loop) -> tuple[Size, Size, tuple[Stmt, ...]]:
    """From where to where the loop runs in C, and its body there."""
    start = _start(loop)
    if start is None:
        return 0, loop.extent, loop.body
    body = Rewriting({loop.var: Dim.named(loop.var) - start}).body(loop.body)
    if sum(map(_length, _indices(body))) >= sum(map(_length, _indices(loop.body))):
        return 0, loop.extent, loop.body
    return start, loop.extent + start, body


def _start(loop: Loop) -> Size | None:
    """What the extent lacks of a simpler one; None where that is nothing."""
    if isinstance(loop.extent, int) or any(isinstance(x, Loop) for x in loop.body):
        return None
    lacks = [(m, -c) for m, c in loop.extent.terms if m and c < 0]
    moving = [x for x in _indices(loop.body) if loop.var in names(x)]
    if not lacks or not moving:
        return None
    start: Size = Dim(tuple(lacks))
    rest = moving[0] - start
    constants = [c for m, c in rest.terms if not m] if isinstance(rest, Dim) else [rest]
    return start + sum(constants)


def _indices(body: tuple[Stmt, ...]) -> Iterator[Size]:
    return (size for stmt in statements(body) for size in places(stmt))


def _length(size: Size) -> int:
    return 1 if isinstance(size, int) else len(size.terms)
