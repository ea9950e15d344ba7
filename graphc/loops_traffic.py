"""The bytes that statements move, counted on the loop IR.

Each element of an array that they touch is counted once as read and once as written, however
often a loop comes back to it: what must pass between memory and a cache that holds the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from graphc.frozen import dataclass
from graphc.loops import Contract, Loop, Matrix, Program, Read, Stmt, Store, bodies, parts, values
from graphc.types import Size, dtype_of, evaluate, names, product

Touch = tuple[str, str, int]
"""(array, read or written, elements at most)."""
Rounds = Mapping[str, int]
"""The extents of the loops around a statement."""


def traffic(program: Program, body: Sequence[Stmt], dims: Mapping[str, int]) -> int:
    """Bytes that these statements of the program read and write, of arrays, in one run."""
    arrays: dict[str, tuple[Size, int]] = {
        a.name: (a.type.size, a.type.dtype.bytes) for a in (*program.inputs, *program.outputs)
    }
    arrays |= {b.name: (product(b.shape), b.dtype.bytes) for b in program.buffers}
    arrays |= {t.name: (t.values.size, dtype_of(t.values.dtype).bytes) for t in program.tables}
    counts: dict[tuple[str, str], int] = {}
    for array, way, elements in _Counter(dims).block(body, {}):
        if array in arrays:
            known = min(evaluate(arrays[array][0], dims), elements)
            counts[array, way] = max(counts.get((array, way), 0), known)
    return sum(count * arrays[array][1] for (array, _), count in counts.items())


@dataclass(frozen=True, slots=True)
class _Counter:
    dims: Mapping[str, int]

    def block(self, body: Sequence[Stmt], rounds: Rounds) -> Iterator[Touch]:
        for stmt in body:
            if isinstance(stmt, Contract):
                yield from self.product(stmt, rounds)
                continue
            for part in (part for value in values(stmt) for part in parts(value)):
                if isinstance(part, Read):
                    yield part.buffer, "read", self.places(part.index, rounds)
            if isinstance(stmt, Store):
                yield stmt.buffer, "written", self.places(stmt.index, rounds)
            inner = rounds
            if isinstance(stmt, Loop):
                inner = {**rounds, stmt.var: max(self.value(stmt.extent, rounds), 0)}
            for block in bodies(stmt):
                yield from self.block(block, inner)

    def product(self, stmt: Contract, rounds: Rounds) -> Iterator[Touch]:
        rows, columns, terms = (
            self.value(x, rounds) for x in (stmt.rows, stmt.columns, stmt.terms)
        )

        def touch(side: Matrix, way: str, elements: int) -> Touch:
            return side.buffer, way, elements * self.places(side.start, rounds)

        yield touch(stmt.left, "read", rows * terms)
        yield touch(stmt.right, "read", terms * columns)
        yield touch(stmt.into, "read", rows * columns)
        yield touch(stmt.into, "written", rows * columns)

    def places(self, index: Size, rounds: Rounds) -> int:
        """How many values an index takes at most; one that only the data know takes any."""
        used = set(names(index)) - self.dims.keys()
        found = used if used <= rounds.keys() else rounds.keys()
        return prod(rounds[name] for name in found)

    def value(self, size: Size, rounds: Rounds) -> int:
        """The size; of a triangle the last row, of what only the data know one."""
        known = {name: max(extent - 1, 0) for name, extent in rounds.items()} | dict(self.dims)
        return evaluate(size, {name: known.get(name, 1) for name in names(size)})
