"""Which iterations of a loop may run side by side, and what that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import chain

from graphc.accesses import Access, accesses, apart, bare, joined, step_of
from graphc.frozen import dataclass
from graphc.loops import (
    Apply,
    Assign,
    Buffer,
    Contract,
    Declare,
    Let,
    Local,
    Loop,
    Position,
    Program,
    Read,
    Stmt,
    Store,
    parts,
    statements,
    values,
)
from graphc.types import Dim, DType, Func, Size, at_most, names, product

COMBINES = ("add", "multiply", "maximum", "minimum", "logical_or", "logical_and")
"""Functions by which partial results may be joined in any grouping (floats: to rounding)."""


@dataclass(frozen=True, slots=True)
class Total:
    """What iterations accumulate: by which function, and for a buffer `count` elements of it."""

    function: str
    dtype: DType
    first: Size = 0
    count: Size = 1


@dataclass(frozen=True, slots=True)
class Split:
    """What it takes to run the iterations of a loop side by side."""

    private: tuple[str, ...] = ()
    """Arrays of which each thread needs its own: iterations leave nothing in them for others."""
    sums: Mapping[str, Total] = field(default_factory=dict)
    """Locals that the iterations accumulate."""
    arrays: Mapping[str, Total] = field(default_factory=dict)
    """Buffers that they accumulate."""


# --- the memory of a program --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory:
    """Where the arrays of a program lie, and how often they are touched at all."""

    buffers: Mapping[str, Buffer]
    spots: Mapping[str, tuple[str, Size, Size, int]]
    """Of each array: the argument it lies in ("": the workspace), from which byte on, how many
    bytes, and those of an element."""
    touched: Counter[str]
    dims: frozenset[str]

    @staticmethod
    def of(program: Program, *, is_laid: bool = True) -> Memory:
        """is_laid: whether the arrays have their places; else each has one of its own."""
        touched = Counter(access.buffer for access in accesses(program.body))
        spots: dict[str, tuple[str, Size, Size, int]] = {}
        for a in (*program.inputs, *program.outputs):
            width = a.type.dtype.bytes
            spots[a.name] = a.home or a.name, 0, a.type.size * width, width
        for b in program.buffers:
            home = spots[b.home][0] if b.home else ""
            width = b.dtype.bytes
            spots[b.name] = home, 0 if b.home else b.offset, product(b.shape) * width, width
        buffers = {b.name: b for b in program.buffers}
        if not is_laid:
            spots = {}
        return Memory(buffers, spots, touched, frozenset(program.dims))

    def same(self, a: str, b: str) -> bool:
        """Whether element i of one is element i of the other."""
        if a == b or a not in self.spots or b not in self.spots:
            return a == b
        (home, start, _, width), (other, at, _, wide) = self.spots[a], self.spots[b]
        return (home, start, width) == (other, at, wide)

    def overlap(self, a: str, b: str) -> bool:
        """Whether they may have bytes in common."""
        if a == b or a not in self.spots or b not in self.spots:
            return a == b  # tables lie apart
        if any(x in self.buffers and self.buffers[x].step != 0 for x in (a, b)):
            return False  # no thread touches those of others
        (home, start, count, _), (other, at, size, _) = self.spots[a], self.spots[b]
        apart = precedes(start + count, at) or precedes(at + size, start)
        return home == other and not apart


def precedes(end: Size, start: Size) -> bool:
    """Whether end <= start for certain, where the start may be a sum of rounded sizes."""
    between = start - end
    if isinstance(between, Dim):
        for monomial, coefficient in between.terms:
            match monomial:
                case (Func("floordiv", a, int(b)),) if coefficient > 0 and coefficient % b == 0:
                    rounded: Size = Dim(((monomial, coefficient),))
                    between = between - rounded + (a - (b - 1)) * (coefficient // b)
    return at_most(0, between)


# --- one loop -----------------------------------------------------------------------------------


def split_of(loop: Loop, memory: Memory) -> Split | None:
    """What running the iterations side by side takes; None if they need one another."""
    sums = _sums(loop)
    if sums is None:
        return None
    found = accesses(loop.body, {loop.var: loop.extent})
    written = {access.buffer for access in found if access.write}
    private = tuple(
        name
        for name in sorted(written)
        if name in memory.buffers and _is_private(loop, name, found, memory)
    )
    arrays: dict[str, Total] = {}
    for name in sorted(written.difference(private)):
        if name in memory.buffers and memory.buffers[name].step != 0:
            return None
        # Whatever else a loop touches lies apart: two arrays that are in use at once.
        others = {x.buffer for x in found if memory.same(x.buffer, name)}.difference(private)
        if apart([x for x in found if x.buffer in others], loop.var, loop.extent):
            continue
        total = _accumulated(loop, name, [x for x in found if x.buffer == name])
        if total is None or others != {name}:
            return None
        arrays[name] = total
    return Split(private, sums, arrays)


def _sums(loop: Loop) -> dict[str, Total] | None:
    """Locals from outside that the loop only accumulates; None if it does more to one."""
    inner = {stmt.name for stmt in statements(loop.body) if isinstance(stmt, Let | Declare)}
    found: dict[str, Total] = {}
    read: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for stmt in statements(loop.body):
        read.update(_used(stmt))
        if not isinstance(stmt, Assign) or stmt.name in inner:
            continue
        match stmt.value:
            case Apply(function, (Local(name), _), dtype) if (
                name == stmt.name and function in COMBINES
            ):
                if found.setdefault(name, Total(function, dtype)).function != function:
                    return None
                own[name] += 1
            case _:
                return None
    return None if any(read[name] != own[name] for name in found) else found


def _used(stmt: Stmt) -> Iterator[str]:
    """The locals that a statement reads, as values and in indices."""
    for value in values(stmt):
        for part in parts(value):
            match part:
                case Local(name):
                    yield name
                case Read(_, size) | Position(size):
                    yield from names(size)
    match stmt:
        case Store(_, size) | Loop(_, size):
            yield from names(size)
        case Contract():
            for side in (stmt.left, stmt.right, stmt.into):
                for size in (
                    side.start,
                    side.row,
                    side.term,
                    0 if side.panel is None else side.panel,
                ):
                    yield from names(size)
            for size in (stmt.rows, stmt.columns, stmt.terms, *chain(*stmt.counted)):
                yield from names(size)


def _accumulated(loop: Loop, buffer: str, found: Sequence[Access]) -> Total | None:
    """What the loop accumulates into a buffer, if it does nothing else to it, in each iteration
    to the same elements, and to each of them."""
    functions: set[tuple[str, DType]] = set()
    own = 0
    for stmt in statements(loop.body):
        if isinstance(stmt, Contract) and buffer == stmt.into.buffer:
            if not stmt.add:
                return None
            functions.add(("add", stmt.dtype))
            own += 1
        if not isinstance(stmt, Store) or stmt.buffer != buffer:
            continue
        match stmt.value:
            case Apply(function, (Read(name, index), _), dtype) if (name, index) == (
                buffer,
                stmt.index,
            ) and function in COMBINES:
                functions.add((function, dtype))
                own += 1
            case _:
                return None
    span = _union({_span(access, loop.var) for access in found})
    reads = sum(not access.write for access in found)
    if len(functions) != 1 or reads != own or span is None:
        return None
    return Total(*functions.pop(), *span)


def _union(spans: set[tuple[Size, Size] | None]) -> tuple[Size, Size] | None:
    """One range from some that lie side by side; None where that is not known."""
    if len(spans) == 1:
        return spans.pop()
    known = sorted(
        (first, count) for first, count in filter(None, spans) if _are_ints(first, count)
    )
    if len(known) != len(spans):
        return None
    first, end = known[0][0], known[0][0]
    for start, count in known:
        if start > end:
            return None
        end = max(end, start + count)
    return first, end - first


def _are_ints(*sizes: Size) -> bool:
    return all(isinstance(size, int) for size in sizes)


def _is_private(loop: Loop, buffer: str, found: Sequence[Access], memory: Memory) -> bool:
    """Whether an array of the workspace holds nothing from one iteration to another, nor for what
    comes after the loop.

    It does not where nothing else touches it and each iteration first fills it, or all of it that
    it then touches; or where all iterations touch the same elements in the same order: what the
    first one finds written, each finds.
    """
    own = [access for access in found if access.buffer == buffer]
    if len(own) != memory.touched[buffer]:
        return False
    around = _common(own)
    inner = [replace(access, exact=access.exact[around:], certain=True) for access in own]
    span = _span(inner[0], "")
    if own[0].write and own[0].certain and span is not None:
        if span == (0, product(memory.buffers[buffer].shape)):
            return True
        if all(_span(access, "") == span for access in inner):
            return True
    return all(
        access.certain
        and not {loop.var, *access.wild} & set(names(access.index))
        and not any({loop.var, *access.wild} & set(names(x)) for _, x in access.exact[around:])
        for access in own
    )


def _common(found: Sequence[Access]) -> int:
    """How many loops lie around all accesses, with variables that no index has: each of their
    iterations touches the same elements, however many there are."""
    used = {name for access in found for name in names(access.index)}
    count = 0
    for loops in zip(*(access.exact for access in found), strict=False):
        if len(set(loops)) > 1 or loops[0][0] in used:
            break
        count += 1
    return count


def _span(access: Access, var: str) -> tuple[Size, Size] | None:
    """(first element, how many) if each iteration of the variable goes over all of a range,
    whatever it is; None if that is not known."""
    access = joined(access)
    extents = dict(access.exact)
    if len(extents) != len(access.exact) or not access.certain:
        return None
    used = [(inner, extents[inner]) for inner in extents if inner in names(access.index)]
    first, size = access.index, product(())
    while used:
        for inner, extent in used:
            if step_of(bare(access), inner) == (size,):
                first = first - Dim.named(inner) * size
                size = extent * size
                used.remove((inner, extent))
                break
        else:
            return None
    known = {*names(first), *names(size)}
    return (first, size) if not known & {var, *access.wild, *extents} else None
