"""Which arrays share one place, because each begins where the one before it ends."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.frozen import dataclass
from graphc.loops import Program, Read, Store, parts, statements
from graphc.lower.memory.offsets import Life
from graphc.lower.memory.overlay import follows
from graphc.lower.memory.tree import Block, life, touching, tree
from graphc.types import DType, Size, product

MOST_TOGETHER = 64
"""Arrays in one place, each of which is compared with each: a long unrolled loop takes several."""


@dataclass(frozen=True, slots=True)
class Array:
    """What arrays in one place have in common."""

    dtype: DType
    count: Size

    @property
    def bytes(self) -> Size:
        return self.count * self.dtype.bytes


def arrays_of(program: Program) -> dict[str, Array]:
    """The arrays that a program may write: outputs, buffers, donated inputs."""
    donated = {a.home for a in program.outputs}
    arguments = [*program.outputs, *(a for a in program.inputs if a.name in donated)]
    found = {a.name: Array(a.type.dtype, product(a.type.shape)) for a in arguments}
    return found | {b.name: Array(b.dtype, product(b.shape)) for b in program.buffers}


def lasting_of(program: Program) -> frozenset[str]:
    """Arrays that hold something before the program, or after it."""
    return frozenset(a.name for a in (*program.inputs, *program.outputs))


def overlay(program: Program) -> tuple[dict[str, str], list[Life]]:
    """(the array in whose place each other array lies, the lives of those in the workspace)."""
    found = Places.of(program)
    return found.homes(), list(found.workspace())


def _elementwise(program: Program) -> Iterator[tuple[str, str]]:
    """(array written, array read for it), element by element, in program order."""
    pairs: dict[tuple[str, str], None] = {}
    for stmt in statements(program.body):
        if isinstance(stmt, Store):
            for part in parts(stmt.value):
                if isinstance(part, Read) and part.index == stmt.index:
                    pairs[stmt.buffer, part.buffer] = None
    yield from (pair for pair in pairs if pair[0] != pair[1])


class Places:
    """Arrays by their places; the first member of a place names it."""

    def __init__(self, program: Program) -> None:
        self.root: Block = tree(program.body)
        self.arrays = arrays_of(program)
        self.lasting = lasting_of(program)
        self.inputs = frozenset(a.name for a in program.inputs)
        self.outputs = frozenset(a.name for a in program.outputs)
        self.members = {name: [name] for name in self.arrays}
        end = self.root[-1].last + 1 if self.root else 0
        self.spans: dict[str, tuple[int, int]] = {}
        for name in self.arrays:
            if touching(self.root, name):
                first, last = life(self.root, name)
                first = -1 if name in self.inputs else first
                self.spans[name] = (first, end if name in self.outputs else last)
        for a in program.outputs:
            if a.home:
                self.members[a.home].append(a.name)
                self.members[a.name] = self.members[a.home]

    @classmethod
    def of(cls, program: Program) -> Places:
        """As many arrays in one place as may be there."""
        found = cls(program)
        for new, old in _elementwise(program):
            found.join(old, new)
        return found

    def join(self, old: str, new: str) -> None:
        """Both in one place, if they may be there with all that is there already."""
        if old not in self.arrays or self.arrays[old] != self.arrays.get(new):
            return
        first, second = self.members[old], self.members[new]
        if second[0] in self.lasting:
            first, second = second, first
        if first is second or second[0] in self.lasting:
            return
        if len(first) + len(second) > MOST_TOGETHER:
            return
        if all(self.agree(a, b) for a in first for b in second):
            first += second
            self.members.update(dict.fromkeys(second, first))

    def agree(self, a: str, b: str) -> bool:
        """Whether one of two arrays ends, in each element, before the other begins."""
        x, y = self.spans.get(a), self.spans.get(b)
        if x is None or y is None or x[1] < y[0] or y[1] < x[0]:
            return True
        return any(
            old not in self.outputs
            and new not in self.inputs
            and follows(self.root, old, new, self.lasting)
            for old, new in ((a, b), (b, a))
        )

    def homes(self) -> dict[str, str]:
        return {name: place[0] for name, place in self.members.items() if place[0] != name}

    def workspace(self) -> Iterator[Life]:
        for name, place in self.members.items():
            spans = [self.spans[x] for x in place if x in self.spans]
            if place[0] == name and name not in self.lasting and spans:
                first, last = min(a for a, _ in spans), max(b for _, b in spans)
                yield Life(name, first, last, self.arrays[name].bytes)
