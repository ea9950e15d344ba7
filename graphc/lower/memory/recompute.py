"""Less workspace for more work: values are computed again where they are needed again.

An array that is read on both sides of the place where the workspace is fullest is not kept: before
its next reader stand once more the statements that made it, alone, and that of their operands
which has gone meanwhile. Which array: the one that saves most for what it costs, as in dynamic
tensor rematerialization (Kirisame et al. 2021), again and again until the workspace fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from graphc.errors import ArgumentError
from graphc.loops import (
    Apply,
    Assign,
    Buffer,
    Comment,
    Contract,
    Declare,
    Loop,
    Program,
    Stmt,
    bodies,
    parts,
    statements,
    values,
)
from graphc.loops_homes import renamed
from graphc.lower.memory.offsets import align, plan_offsets
from graphc.lower.memory.overlay import follows
from graphc.lower.memory.places import Places
from graphc.lower.memory.tree import Item, touching
from graphc.lower.naming import Names
from graphc.lower.unused import drop_unused, slice_of
from graphc.types import evaluate

MOST_TRIES = 6
"""Candidates that are tried before the values at the fullest place are taken to be all needed."""
DEEPEST = 12
"""Values computed again for one."""


def fit(program: Program, names: Names, budget: int) -> Program:
    """The program with a workspace of at most so many bytes.

    Raises:
        ArgumentError: it cannot be made so small, or its size is known only at run time.
    """
    if program.dims:
        raise ArgumentError(
            f"memory={budget} needs every size: {program.name} is compiled for any "
            f"{', '.join(program.dims)}; give them numbers in the types of the arguments"
        )
    best = state = _State(program)
    total = state.total()
    while total > budget:
        better = _improved(state, names)
        if better is None:
            break
        state = better
        if state.total() < total:
            best, total = state, state.total()
    if total > budget:
        before = _State(program).total()
        raise ArgumentError(
            f"the workspace of {program.name} cannot be made as small as memory={budget} bytes: "
            f"it takes {before} bytes, {total} with all that pays computed again, "
            f"{total - budget} too many; allow {total}, or make the arguments smaller"
        )
    return best.program


class _State:
    """A program, and where its workspace is fullest."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.places = Places.of(program)
        self.root = self.places.root
        self.lives = list(self.places.workspace())
        self.sizes = {x.name: int(align(evaluate(x.size, {}))) for x in self.lives}
        sums = {
            x.first: sum(self.sizes[y.name] for y in self.lives if y.first <= x.first <= y.last)
            for x in self.lives
        }
        self.bound = max(sums.values(), default=0)
        self.peaks = [spot for spot, held in sums.items() if held == self.bound]

    def total(self) -> int:
        """Bytes of the workspace as it is planned."""
        total = plan_offsets(self.lives)[1]
        return int(evaluate(total, {}))

    @property
    def measure(self) -> tuple[int, int]:
        return self.bound, len(self.peaks)

    def item_at(self, number: int) -> int:
        """The outermost item that holds a statement."""
        return next(k for k, item in enumerate(self.root) if number <= item.last)

    def is_sound(self) -> bool:
        """Whether donated arguments may still be overwritten at once."""
        lasting = self.places.lasting
        outputs = self.program.outputs
        return all(follows(self.root, y.home, y.name, lasting) for y in outputs if y.home)


def _improved(state: _State, names: Names) -> _State | None:
    """A state whose workspace is less full, at little cost."""
    peak = state.item_at(state.peaks[0])
    candidates = sorted(_candidates(state, peak), key=lambda c: (-c.gain / (c.cost + 1), c.array))
    for candidate in candidates[:MOST_TRIES]:
        found = _State(candidate.apply(state, names))
        if found.measure < state.measure and found.is_sound():
            return found
    return None


@dataclass(slots=True)
class _Again:
    """What is to be computed again before item `spot`, instead of keeping `array`."""

    array: str
    spot: int
    gain: int = 0
    cost: float = 0.0
    made: list[tuple[str, tuple[Stmt, ...]]] = field(default_factory=list)
    """(array, the statements that make it), in order."""

    def apply(self, state: _State, names: Names) -> Program:
        program = state.program
        known = {b.name: b for b in program.buffers}
        fresh: dict[str, str] = {}
        more: list[Buffer] = []
        clones: list[Stmt] = []
        for array, stmts in self.made:
            for name in dict.fromkeys(_written(stmts)):
                fresh[name] = names.take(f"{name}_again")
                more.append(replace(known[name], name=fresh[name]))
            clones += [Comment(f"{array}, computed again"), *renamed(stmts, fresh)]
        body = [item.stmt for item in state.root]
        later = renamed(tuple(body[self.spot :]), {self.array: fresh[self.array]})
        return drop_unused(
            replace(
                program,
                body=(*body[: self.spot], *clones, *later),
                buffers=(*program.buffers, *more),
            )
        )


def _candidates(state: _State, peak: int) -> Iterator[_Again]:
    """The arrays that are kept at the peak for later, with what making them again would cost."""
    buffers = {b.name for b in state.program.buffers}
    live = {
        x.name: x for x in state.lives if x.first <= state.root[peak].last <= x.last
        or state.root[peak].first <= x.first <= state.root[peak].last
    }  # fmt: skip
    for leader in live:
        for array in state.places.members[leader]:
            spots = [k for k, item in enumerate(state.root) if array in item.accesses]
            later = [k for k in spots if k > peak]
            if array not in buffers or peak in spots or not later or min(spots) > peak:
                continue
            again = _Again(array, later[0], state.sizes[leader])
            if _make(again, array, state, peak, buffers):
                yield again


def _make(again: _Again, array: str, state: _State, peak: int, buffers: set[str]) -> bool:
    """Notes how the array is made again, and before it what it needs; False if it cannot be."""
    root = state.root
    makers = [k for k in range(len(root)) if _writes(root[k], array)]
    if not makers or makers[-1] >= peak or len(again.made) >= DEEPEST:
        return False
    stmts = slice_of(tuple(root[k].stmt for k in makers), array)
    written = set(_written(stmts))
    if not written <= buffers or array not in written or not _is_closed(stmts):
        return False
    slots = tuple(Item(stmt, 0) for stmt in stmts)
    reads = {name for slot in slots for name in _read(slot.stmt)} - written
    for name in sorted(reads):
        held = touching(root, name)
        if any(makers[0] <= k < again.spot and _writes(root[k], name) for k in range(len(root))):
            return False
        gone = name in buffers and held and root.index(held[-1]) < peak
        known = any(name == one for one, _ in again.made)
        if gone and not known and not _make(again, name, state, peak, buffers):
            return False
    again.made.append((array, stmts))
    again.cost += sum(map(_cost, stmts))
    return True


def _writes(item: Item, array: str) -> bool:
    return any(access.writes for access in item.accesses.get(array, ()))


def _written(stmts: Sequence[Stmt]) -> Iterator[str]:
    for stmt in statements(tuple(stmts)):
        if isinstance(stmt, Contract):
            yield stmt.into.buffer
        elif hasattr(stmt, "buffer"):
            yield stmt.buffer


def _read(stmt: Stmt) -> Iterator[str]:
    for inner in statements((stmt,)):
        for value in values(inner):
            yield from (part.buffer for part in parts(value) if hasattr(part, "buffer"))


def _is_closed(stmts: Sequence[Stmt]) -> bool:
    """Whether all the locals that the statements change are their own."""
    found = list(statements(tuple(stmts)))
    own = {x.name for x in found if isinstance(x, Declare)}
    return all(x.name in own for x in found if isinstance(x, Assign))


def _cost(stmt: Stmt, rounds: float = 1.0) -> float:
    """About how many operations a statement takes."""
    if isinstance(stmt, Contract):
        sizes = (stmt.rows, stmt.columns, stmt.terms)
        return rounds * 2 * math.prod(s if isinstance(s, int) else 1 for s in sizes) / 8
    if isinstance(stmt, Loop):
        rounds *= stmt.extent if isinstance(stmt.extent, int) else 1
    own = sum(isinstance(part, Apply) for value in values(stmt) for part in parts(value))
    return rounds * (1 + own) + sum(_cost(x, rounds) for body in bodies(stmt) for x in body)
