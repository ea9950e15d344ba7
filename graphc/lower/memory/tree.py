"""Where in a program each array is read and written: statements as a tree of numbered items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from graphc.frozen import dataclass
from graphc.loops import (
    Assign,
    Contract,
    Declare,
    If,
    Let,
    Loop,
    Read,
    Stmt,
    Store,
    While,
    bodies,
    parts,
    values,
)
from graphc.types import Size, names


@dataclass(frozen=True, slots=True)
class Access:
    """One read or write of an array."""

    array: str
    index: Size | None
    """The element; None: any of them."""
    writes: bool
    loops: tuple[Loop, ...]
    """The loops around it, the outermost first."""


@dataclass(slots=True, eq=False)
class Item:
    """A statement, with the numbers (in program order) of itself and of the last one inside."""

    stmt: Stmt
    first: int
    last: int = 0
    blocks: tuple[tuple[Item, ...], ...] = ()
    accesses: dict[str, list[Access]] = field(default_factory=dict)
    """Of each array: what this statement and those inside do with it, in order."""
    locals: set[str] = field(default_factory=set)
    """Those that this statement and those inside set,"""
    declared: set[str] = field(default_factory=set)
    """that they declare to change them,"""
    assigned: set[str] = field(default_factory=set)
    """and that they change."""


Block = Sequence[Item]


class Root(tuple[Item, ...]):
    """The outermost block, in which everything is looked up most."""

    touched: dict[str, list[Item]]


def tree(body: Sequence[Stmt]) -> Root:
    """The items of a program's body."""
    root = Root(_block(body, 0, ())[0])
    root.touched = {}
    for item in root:
        for array in item.accesses:
            root.touched.setdefault(array, []).append(item)
    return root


def _block(
    body: Sequence[Stmt], number: int, loops: tuple[Loop, ...]
) -> tuple[tuple[Item, ...], int]:
    items: list[Item] = []
    for stmt in body:
        item = Item(stmt, number)
        number += 1
        for access in _own(stmt, loops):
            item.accesses.setdefault(access.array, []).append(access)
        if isinstance(stmt, Let | Declare | Assign):
            item.locals.add(stmt.name)
        if isinstance(stmt, Declare):
            item.declared.add(stmt.name)
        elif isinstance(stmt, Assign):
            item.assigned.add(stmt.name)
        blocks = []
        inside = bodies(stmt)
        if isinstance(stmt, While):  # its test runs before its body, round by round
            inside = ((*stmt.test, *stmt.body),)
        for inner in inside:
            around = (*loops, stmt) if isinstance(stmt, Loop) else loops
            block, number = _block(inner, number, around)
            blocks.append(block)
            for child in block:
                for array, found in child.accesses.items():
                    item.accesses.setdefault(array, []).extend(found)
                item.locals |= child.locals
                item.declared |= child.declared
                item.assigned |= child.assigned
        item.blocks, item.last = tuple(blocks), number - 1
        items.append(item)
    return tuple(items), number


def _own(stmt: Stmt, loops: tuple[Loop, ...]) -> Iterator[Access]:
    """What a statement itself reads, then writes."""
    if isinstance(stmt, Contract):
        read = (stmt.left, stmt.right, stmt.into) if stmt.add else (stmt.left, stmt.right)
        for side in read:
            yield Access(side.buffer, None, False, loops)
        yield Access(stmt.into.buffer, None, True, loops)
        return
    for value in values(stmt):
        for part in parts(value):
            if isinstance(part, Read):
                yield Access(part.buffer, part.index, False, loops)
    if isinstance(stmt, Store):
        yield Access(stmt.buffer, stmt.index, True, loops)


def touching(block: Block, array: str) -> list[Item]:
    """The items of a block that read or write the array."""
    if isinstance(block, Root):
        return block.touched.get(array, [])
    return [item for item in block if array in item.accesses]


def is_renewed(item: Item, array: str) -> bool:
    """Whether each round of a loop writes the array anew, so that nothing of it lives from one
    round to the next; all that touches the array must be inside.

    So it is when a round begins with a write and always touches the same places: then a read of
    what an earlier round left would, in the first round, be one of what nobody wrote.
    """
    accesses = item.accesses[array]
    first = accesses[0]
    if not first.writes or first.index is None:
        return False
    changing = {item.stmt.var} if isinstance(item.stmt, Loop) else set()
    if not item.locals.isdisjoint(names(first.index)):
        return False
    changing |= item.assigned - item.declared  # locals that carry something from round to round
    sizes = [a.index for a in accesses if a.index is not None]
    sizes += [loop.extent for a in accesses for loop in a.loops if loop is not item.stmt]
    return not any(name in changing for size in sizes for name in names(size))


def life(block: Block, array: str) -> tuple[int, int]:
    """The numbers of the first and the last statement between which the array holds something."""
    found = touching(block, array)
    if len(found) == 1 and found[0].blocks:
        (item,) = found
        inner = [b for b in item.blocks if touching(b, array)]
        around = isinstance(item.stmt, If) or is_renewed(item, array)
        if len(inner) == 1 and around:
            return life(inner[0], array)
    return found[0].first, found[-1].last
