"""Whether one array may take the place of another while that is still being read."""

from __future__ import annotations

from collections.abc import Collection

from graphc.bounds import largest, smallest
from graphc.loops import If, Loop, Once, Store
from graphc.lower.memory.tree import Access, Block, Item, is_renewed, touching
from graphc.types import Dim, Size, at_most, names, substitute


def follows(block: Block, old: str, new: str, lasting: Collection[str]) -> bool:
    """Whether everything a block does with an element of `old` comes before it first writes the
    same element of `new`. `lasting`: arrays that hold something before the program or after it.
    """
    before, after = touching(block, old), touching(block, new)
    if not before or not after or before[-1].last < after[0].first:
        return True
    if before[-1] is not after[0]:
        return False
    item = after[0]
    match item.stmt:
        case Store():
            return _same_place(item, old, new)
        case If() | Once():
            return all(follows(inner, old, new, lasting) for inner in item.blocks)
        case Loop():
            fresh = _is_apart(item, item.stmt, old, new)
        case _:
            fresh = False
    if not fresh:
        alone = before == after == [item] and not {old, new} & set(lasting)
        fresh = alone and is_renewed(item, old) and is_renewed(item, new)
    return fresh and all(follows(inner, old, new, lasting) for inner in item.blocks)


def _same_place(item: Item, old: str, new: str) -> bool:
    """new[i] = a function of old[i]"""
    store = item.accesses[new][-1]
    reads = item.accesses[old]
    return store.writes and all(not a.writes and a.index == store.index for a in reads)


def _is_apart(item: Item, loop: Loop, old: str, new: str) -> bool:
    """Whether each iteration has elements of its own: of all the accesses, iteration i touches
    only the block of places [step*i, step*(i + 1)) from a common start on."""
    if loop.extent == 1:
        return True
    start: Size | None = None
    common: Size | None = None
    for access in (*item.accesses[old], *item.accesses[new]):
        found = None if _is_data(access, item.locals) else _step(access, loop)
        if found is None:
            return False
        step, rest = found
        inner = _inside(access, loop)
        if start is None or common is None:
            common = step
            start = substitute(rest, dict.fromkeys(inner, 0))
        if step != common or not _fits(rest - start, step, inner):
            return False
    return True


def _is_data(access: Access, made: Collection[str]) -> bool:
    """Whether the index has been read from memory, say: it may be the same in two iterations."""
    return access.index is not None and any(name in made for name in names(access.index))


def _step(access: Access, loop: Loop) -> tuple[Size, Size] | None:
    """(step, index where the loop begins) of an index that is linear in the loop's variable."""
    if access.index is None:
        return None
    first = substitute(access.index, {loop.var: 0})
    step = substitute(access.index, {loop.var: 1}) - first
    linear = first + step * Dim.named(loop.var) == access.index
    return (step, first) if linear and step != 0 else None


def _inside(access: Access, loop: Loop) -> dict[str, Size]:
    """The extents of the loops inside this one around an access."""
    depth = next(i for i, around in enumerate(access.loops) if around is loop)
    return {inner.var: inner.extent for inner in access.loops[depth + 1 :]}


def _fits(rest: Size, step: Size, extents: dict[str, Size]) -> bool:
    """Whether 0 <= rest < |step| for all values of the inner loops' variables."""
    width = abs(step) if isinstance(step, int) else step
    low, high = smallest(rest, extents), largest(rest, extents)
    return low is not None and high is not None and at_most(0, low) and at_most(high, width - 1)
