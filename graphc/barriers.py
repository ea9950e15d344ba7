"""Where the threads of a region must wait for one another.

What one thread writes, another may read or write only behind a barrier. None is needed where the
same thread does both: the first one, or the threads of two shared loops that deal out the same
iterations, each of which stays within the same part of the array.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from graphc.accesses import Access, accesses, apart
from graphc.dependence import Memory
from graphc.frozen import dataclass
from graphc.loops import Assign, Barrier, If, Loop, Once, Parallel, Stmt, While, statements
from graphc.types import Dim, Size, names, substitute

EVERY, FIRST = "every", "first"
DEALT = "?dealt"


@dataclass(frozen=True, slots=True)
class Touch:
    """What a statement does to one array."""

    buffer: str
    write: bool
    who: str | Loop
    """EVERY thread, the FIRST, or those of a shared loop."""
    found: tuple[Access, ...]


Pending = tuple[Touch, ...]
"""What was done since the last barrier."""


def with_barriers(body: tuple[Stmt, ...], memory: Memory) -> tuple[Stmt, ...]:
    """The body of a region with the barriers that it lacks."""
    return _place(body, (), memory)[0]


def lacking(region: Parallel, memory: Memory) -> int:
    """How many barriers a region lacks."""
    before, after = (
        sum(isinstance(stmt, Barrier) for stmt in statements(body))
        for body in (region.body, with_barriers(region.body, memory))
    )
    return after - before


def _place(
    body: tuple[Stmt, ...], pending: Pending, memory: Memory
) -> tuple[tuple[Stmt, ...], Pending]:
    result: list[Stmt] = []

    def meet(new: Sequence[Touch]) -> None:
        nonlocal pending
        if any(_conflict(a, b, memory) for a in pending for b in new):
            result.append(Barrier())
            pending = ()
        pending = _joined(pending, new)

    for stmt in body:
        match stmt:
            case Barrier():
                pending = ()
            case Assign(name):
                meet(_touches(stmt, memory))
                pending = tuple(_before(touch, {name}) for touch in pending)
            case Loop() if not stmt.shared and is_common(stmt):
                inner, pending = _repeated(stmt.body, pending, memory)
                stmt = replace(stmt, body=inner)
            case While():
                if not is_common(stmt):
                    meet(_touches(stmt, memory))
                else:
                    stmt, pending = _while(stmt, pending, memory)
            case If() if is_common(stmt):
                meet(_reads(stmt, memory))
                then, after = _place(stmt.then, pending, memory)
                other, pending = _place(stmt.other, pending, memory)
                stmt, pending = replace(stmt, then=then, other=other), _joined(after, pending)
            case _:
                meet(_touches(stmt, memory))
        result.append(stmt)
    return tuple(result), pending


def _repeated(
    body: tuple[Stmt, ...], pending: Pending, memory: Memory
) -> tuple[tuple[Stmt, ...], Pending]:
    """The body of a loop that all threads run: an iteration also meets what the last one did."""
    while True:
        placed, after = _place(body, pending, memory)
        known = _joined(pending, [_before(touch, None, memory.dims) for touch in after])
        if set(known) == set(pending):
            return placed, pending
        pending = known


def _while(stmt: While, pending: Pending, memory: Memory) -> tuple[While, Pending]:
    """As a loop over the test, the condition and the body: the condition takes part as a branch."""
    check = If(stmt.condition, (), ())
    placed, pending = _repeated((*stmt.test, check, *stmt.body), pending, memory)
    at = next(i for i, s in enumerate(placed) if isinstance(s, If) and s == check)
    return replace(stmt, test=placed[:at], body=placed[at + 1 :]), pending


def is_common(stmt: Stmt) -> bool:
    """Whether threads meet or part inside a statement that all of them run."""
    return any(isinstance(s, Once | Barrier) or _is_shared(s) for s in statements((stmt,)))


def _is_shared(stmt: Stmt) -> bool:
    return isinstance(stmt, Loop) and stmt.shared


def _touches(stmt: Stmt, memory: Memory) -> list[Touch]:
    match stmt:
        case Once(body):
            return _grouped(accesses(body), FIRST, memory)
        case Loop(var, extent, body, True):
            return _grouped(accesses(body, {var: extent}), replace(stmt, body=()), memory)
    return _grouped(accesses((stmt,)), EVERY, memory)


def _reads(stmt: If, memory: Memory) -> list[Touch]:
    """What the condition of a branch reads."""
    return _grouped(accesses((replace(stmt, then=(), other=()),)), EVERY, memory)


def _grouped(found: Sequence[Access], who: str | Loop, memory: Memory) -> list[Touch]:
    groups: dict[str, list[Access]] = {}
    for access in found:
        buffer = memory.buffers.get(access.buffer)
        if buffer is None or buffer.step == 0:
            groups.setdefault(access.buffer, []).append(access)
    return [
        Touch(name, any(x.write for x in group), who, tuple(group))
        for name, group in groups.items()
    ]


def _joined(pending: Pending, new: Sequence[Touch]) -> Pending:
    return tuple(dict.fromkeys((*pending, *new)))


def _conflict(a: Touch, b: Touch, memory: Memory) -> bool:
    if not (a.write or b.write) or not memory.overlap(a.buffer, b.buffer):
        return False
    if a.who == b.who == FIRST:
        return False
    if not isinstance(a.who, Loop) or not isinstance(b.who, Loop):
        return True
    if (a.who.extent, a.who.in_turn) != (b.who.extent, b.who.in_turn):
        return True
    if not memory.same(a.buffer, b.buffer):
        return True
    both = [*_dealt(a, a.who.var), *_dealt(b, b.who.var)]
    return not apart(both, DEALT, a.who.extent)


def _dealt(touch: Touch, var: str) -> list[Access]:
    """The accesses of a shared loop, its variable under the name that all have."""
    to: dict[str, Size] = {var: Dim.named(DEALT)}
    return [replace(x, index=substitute(x.index, to)) for x in touch.found]


def _before(touch: Touch, changed: Set[str] | None, dims: Set[str] = frozenset()) -> Touch:
    """The same, some time ago: locals and variables of loops have other values now (those that
    have changed, or all but the dimensions)."""

    def old(size: Size, bound: Set[str]) -> Size:
        known = names(size) if changed is None else changed
        gone = {x for x in known if x not in bound and x not in dims and x[0] != "?"}
        return substitute(size, {x: Dim.named(f"?{x}") for x in gone})

    who = touch.who
    own = {who.var} if isinstance(who, Loop) else set()
    if isinstance(who, Loop):
        who = replace(who, extent=old(who.extent, own))
    found = tuple(
        replace(
            x,
            index=old(x.index, {*own, *x.extents}),
            extents={v: old(size, set()) for v, size in x.extents.items()},
        )
        for x in touch.found
    )
    return Touch(touch.buffer, touch.write, who, found)
