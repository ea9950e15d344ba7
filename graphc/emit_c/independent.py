"""Which loops over many arrays have iterations that do not touch what others do.

Compilers find that out for themselves where few arrays meet, by comparing addresses; for more they
take several for one, and then for many give up: all arrays of the workspace come from one pointer.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphc.dependence import precedes
from graphc.emit_c.lanes import SHORTEST, is_vector
from graphc.frozen import dataclass
from graphc.loops import Comment, Let, Loop, Program, Read, Store, parts, values
from graphc.types import Dim, Size, names, product, substitute

MANY_PAIRS = 6
"""Pairs of a stored array and another one, so many that compilers compare a few addresses for all
of them, and give up where another array of the workspace lies between two."""
FEW_PAIRS = 2
"""As many where nothing says that arguments lie apart: in what threads run."""

Span = tuple[str, Size, Size]
"""A region, first byte, end."""
WORKSPACE = ""
"""The region of arrays in the workspace."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Where the arrays of a program lie, as far as is known."""

    spans: dict[str, Span]
    """An array that has none is a region of its own."""
    near: frozenset[tuple[str, str]] = frozenset()
    """Pairs that may share bytes whatever their spans say,"""
    met: frozenset[tuple[str, str]] = frozenset()
    """and those that do."""

    def are_apart(self, a: str, b: str) -> bool:
        """Whether two arrays surely share no byte."""
        if (a, b) in self.near:
            return False
        (home, start, end), (other, at, stop) = (
            self.spans.get(name, (name, 0, 1)) for name in (a, b)
        )
        return home != other or precedes(end, at) or precedes(stop, start)

    def may_meet(self, a: str, b: str) -> bool:
        """Whether both have places that are known, and share a byte."""
        ends = [x for name in (a, b) for x in self.spans.get(name, ("", Dim.named("?"), 0))[1:]]
        known = all(isinstance(x, int) for x in ends)
        return (a, b) in self.met or (known and not self.are_apart(a, b))


def memory_of(program: Program) -> Memory:
    """Arguments lie apart, but for those that others are written into. Those of each thread lie
    behind what is of all, and are as far apart as the first thread's."""
    spans: dict[str, Span] = {y.name: (y.home or y.name, 0, 1) for y in program.outputs}
    for buffer in program.buffers:
        if buffer.home:
            spans[buffer.name] = spans.get(buffer.home, (buffer.home, 0, 1))
        else:
            end = buffer.offset + product(buffer.shape) * buffer.dtype.bytes
            spans[buffer.name] = (WORKSPACE, buffer.offset, end)
    return Memory(spans)


def is_plain(loop: Loop) -> bool:
    """Whether the loop is worth vectorising and does nothing but compute and store."""
    if not is_vector(loop) or (isinstance(loop.extent, int) and loop.extent < SHORTEST):
        return False
    return all(isinstance(stmt, Let | Store | Comment) for stmt in loop.body)


def is_independent(loop: Loop, memory: Memory, pairs: int = MANY_PAIRS) -> bool:
    """Whether the iterations may run in any order or at once, and compilers need to be told.

    Args:
        pairs: of a stored array and another one, from which on they do.
    """
    if not is_plain(loop):
        return False
    inner = {stmt.name for stmt in loop.body if isinstance(stmt, Let)}
    stores = [(s.buffer, s.index) for s in loop.body if isinstance(s, Store)]
    reads = [
        (part.buffer, part.index)
        for stmt in loop.body
        for value in values(stmt)
        for part in parts(value)
        if isinstance(part, Read)
    ]
    arrays = {name for name, _ in (*stores, *reads)}
    if len({name for name, _ in stores}) * len(arrays) < pairs:
        return False
    touched = (*stores, *reads)
    return all(
        _moves_on(index, loop.var, inner) and _meets_none(name, index, loop, touched, memory)
        for name, index in stores
    )


def _moves_on(index: Size, var: str, inner: set[str]) -> bool:
    """Whether each iteration has the element after that of the one before."""
    if inner & set(names(index)):
        return False
    return substitute(index, {var: Dim.named(var) + 1}) - index == 1


def _meets_none(
    name: str, index: Size, loop: Loop, others: Iterable[tuple[str, Size]], memory: Memory
) -> bool:
    """Whether no other iteration touches the element."""
    return all(
        (other == name and (place == index or _is_past(index - place, loop.extent)))
        or (other != name and memory.are_apart(name, other))
        for other, place in others
    )


def _is_past(distance: Size, extent: Size) -> bool:
    """Whether elements so far apart are those of no two iterations."""
    return isinstance(distance, int) and isinstance(extent, int) and abs(distance) >= extent
