"""What statements read and write, and whether iterations of a loop keep apart in it.

An access is an affine place in a buffer. Two iterations are apart when every place that one of
them writes lies in a window of its own: the step of the loop variable is at least as wide as all
that the loops inside add to it (Banerjee's test), up to multiples of a larger modulus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from graphc.bounds import Extents, column_panel, largest, row_panel, smallest
from graphc.frozen import dataclass
from graphc.loops import (
    Apply,
    Contract,
    Declare,
    Expr,
    If,
    Let,
    Loop,
    Matrix,
    Read,
    Stmt,
    Store,
    While,
    bodies,
    values,
)
from graphc.types import Dim, Func, Size, at_most, below, floordiv, names, split, substitute

NOTHING: Extents = {}


@dataclass(frozen=True, slots=True)
class Access:
    """One read or write of a buffer, inside the statement that is looked at."""

    buffer: str
    index: Size
    write: bool
    extents: Extents = field(hash=False)
    """Bounds of the loop variables between the statement and the access."""
    wild: frozenset[str]
    """Names the index may hold of which nothing is known: locals, and loops up to them."""
    exact: tuple[tuple[str, Size], ...]
    """The loops between, with their extents as they stand."""
    certain: bool
    """Whether it takes place whenever those loops run: no branch and no select decides."""


# --- what a statement touches -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a statement a walk is."""

    extents: Mapping[str, Size] = field(default_factory=dict)
    wild: frozenset[str] = frozenset()
    exact: tuple[tuple[str, Size], ...] = ()
    certain: bool = True


def accesses(body: Iterable[Stmt], around: Extents = NOTHING) -> list[Access]:
    """Every read and write of a buffer, in order. `around` bounds the loops around the body."""
    return list(_walk(tuple(body), _Place(around)))


def _walk(body: tuple[Stmt, ...], place: _Place) -> Iterator[Access]:
    for stmt in body:
        if isinstance(stmt, Let | Declare):
            yield from _reads(stmt.value, place)
            place = _Place(place.extents, place.wild | {stmt.name}, place.exact, place.certain)
            continue
        if isinstance(stmt, Contract):
            yield from _contract(stmt, place)
            continue
        if not isinstance(stmt, While):
            for value in values(stmt):
                yield from _reads(value, place)
        match stmt:
            case Store(buffer, index):
                yield _access(buffer, index, True, place)
            case Loop(var, extent, inner):
                yield from _walk(inner, _inside(place, var, extent))
            case While(test, condition, inner):
                unsure = _Place(place.extents, place.wild, place.exact, False)
                yield from _walk(test, unsure)
                yield from _reads(condition, unsure)
                yield from _walk(inner, unsure)
            case _:
                certain = place.certain and not isinstance(stmt, If)
                for block in bodies(stmt):
                    yield from _walk(block, _Place(place.extents, place.wild, place.exact, certain))


def _inside(place: _Place, var: str, extent: Size) -> _Place:
    known = not place.wild & set(names(extent))
    bound = _plain(largest(extent, place.extents)) if known else None
    extents = {name: size for name, size in place.extents.items() if name != var}
    wild = place.wild - {var} if bound is not None else place.wild | {var}
    if bound is not None:
        extents[var] = bound
    return _Place(extents, wild, (*place.exact, (var, extent)), place.certain)


def _plain(size: Size | None) -> Size | None:
    """An upper bound without the minimum: the number in it, as of the last of some blocks."""
    numbers = [x for x in arms(size) if isinstance(x, int)]
    return min(numbers) if numbers else size


def arms(size: Size | None) -> tuple[Size, ...]:
    """What a size is the minimum of; of no other size."""
    if isinstance(size, Dim):
        match size.terms:
            case (((Func("min", a, b),), 1),):
                return tuple(arm for side in (a, b) for arm in arms(side) or (side,))
    return ()


def _access(buffer: str, index: Size, write: bool, place: _Place) -> Access:
    return Access(buffer, index, write, place.extents, place.wild, place.exact, place.certain)


def _reads(expr: Expr, place: _Place) -> Iterator[Access]:
    match expr:
        case Read(buffer, index):
            yield _access(buffer, index, False, place)
        case Apply(function, args):
            unsure = _Place(place.extents, place.wild, place.exact, False)
            lazy = function in ("select", "logical_and", "logical_or")
            for i, arg in enumerate(args):
                yield from _reads(arg, unsure if lazy and i else place)


def _contract(stmt: Contract, place: _Place) -> Iterator[Access]:
    """The elements of three matrices, in variables of their own."""
    inside = place
    sizes = {"?row": stmt.rows, "?column": stmt.columns, "?term": stmt.terms}
    for var, size in sizes.items():
        inside = _inside(inside, var, size)
    row, column, term = (Dim.named(var) for var in sizes)

    def steps(side: Matrix, var: str, step: Size, width: int) -> tuple[Size, _Place]:
        """Along rows or columns, which may lie in panels."""
        if side.panel is None:
            return Dim.named(var) * step, inside
        spot = _inside(inside, "?panel", floordiv(sizes[var] + width - 1, width))
        spot = _inside(spot, "?within", width)
        return Dim.named("?panel") * side.panel + Dim.named("?within") * step, spot

    down, spot = steps(stmt.left, "?row", stmt.left.row, row_panel(stmt.dtype))
    spot, along = _along_taps(stmt.left, spot, term)
    left = stmt.left.start + down + along
    yield _access(stmt.left.buffer, left, False, spot)
    across, spot = steps(stmt.right, "?column", stmt.right.row, column_panel(stmt.dtype))
    spot, along = _along_taps(stmt.right, spot, term)
    right = stmt.right.start + across + along
    yield _access(stmt.right.buffer, right, False, spot)
    into = stmt.into.start + row * stmt.into.row + column * (stmt.into.term if stmt.by_dots else 1)
    for write in (False, True) if stmt.add else (True,):
        yield _access(stmt.into.buffer, into, write, inside)


def _along_taps(side: Matrix, place: _Place, term: Size) -> tuple[_Place, Size]:
    """How far the terms of an operand are from its first."""
    if not side.taps:
        return place, term * side.term
    along: Size = 0
    for k, (count, step) in enumerate(side.taps):
        place = _inside(place, f"?tap{k}", count)
        along = along + step * Dim.named(f"?tap{k}")
    return place, along


# --- apart --------------------------------------------------------------------------------------


def apart(found: Sequence[Access], var: str, extent: Size) -> bool:
    """Whether no two of `extent` iterations of `var` touch an element that one of them writes.

    All accesses are taken to be of one array.
    """
    found = [joined(access) for access in found]
    steps = [step_of(access, var) for access in found]
    if not steps or steps[0] is None or any(step != steps[0] for step in steps):
        return False
    step = steps[0][0]
    if at_most(step, 0):
        step = -step
    rests = [access.index - steps[0][0] * Dim.named(var) for access in found]
    if _fit(found, rests, step):
        return True
    for modulus in _moduli(rests):
        inner = [split(rest, modulus)[1] for rest in rests]
        if _fit(found, inner, step):
            if at_most(step * extent, modulus):
                return True
            whole = [rest + steps[0][0] * Dim.named(var) for rest in inner]
            lasts = (_lasts(x, rest, var, extent) for x, rest in zip(found, whole, strict=True))
            if all(any(below(end, modulus) for end in ends) for ends in lasts):
                return True
    return False


def joined(access: Access) -> Access:
    """The same elements, where a loop over min(n - 48 i, 48) within one over the blocks i of so
    many is one over n."""
    if not any(arms(extent) for _, extent in access.exact):
        return access
    exact = dict(access.exact)
    if len(exact) != len(access.exact):
        return access
    for inner, extent in access.exact:
        for size in arms(extent):
            if not isinstance(size, int) or len(arms(extent)) != 2:
                continue
            for outer, count in access.exact:
                rest = next(arm for arm in arms(extent) if arm != size)
                total = rest + Dim.named(outer) * size
                if outer in names(total) or count != floordiv(total + size - 1, size):
                    continue
                own, step = step_of(bare(access), inner), step_of(bare(access), outer)
                if own is not None and step == (own[0] * size,):
                    exact[inner] = total
                    del exact[outer]
                    extents = {k: v for k, v in access.extents.items() if k != outer}
                    index = access.index - step[0] * Dim.named(outer)
                    kept = tuple(exact.items())
                    wild = access.wild - {inner}
                    return replace(
                        access,
                        index=index,
                        extents={**extents, inner: total},
                        wild=wild,
                        exact=kept,
                    )
    return access


def _lasts(access: Access, index: Size, var: str, extent: Size) -> Iterator[Size]:
    """Upper bounds of an index that is never negative, for loops over blocks: the iterations of the
    last block end where those of all do. None of one that may be negative."""
    low = smallest(index, {**access.extents, var: extent})
    if low is None or not at_most(0, low):
        return
    found = [index]
    for inner, size in access.exact:
        if isinstance(size, Dim) and var in names(size):
            step = step_of(replace(bare(access), index=index), inner)
            if step is not None and at_most(0, step[0]):
                ends = [arm for arm in arms(size) if var in names(arm)]
                found += [substitute(x, {inner: end - 1}) for x in found for end in ends]
    for last in found:
        high = largest(last, {**access.extents, var: extent})
        if high is not None:
            yield high


def step_of(access: Access, var: str) -> tuple[Size] | None:
    """By how much the index moves with the variable; None if that is not one fixed step."""
    total: dict[tuple[object, ...], int] = {}
    if isinstance(access.index, int) or var in access.wild:
        return None
    for monomial, coefficient in access.index.terms:
        count = sum(atom == var for atom in monomial)
        if any(not isinstance(atom, str) and var in names(_single(atom)) for atom in monomial):
            return None
        if count > 1:
            return None
        if count == 1:
            rest = tuple(atom for atom in monomial if atom != var)
            total[rest] = total.get(rest, 0) + coefficient
    step = Dim.of(total)  # type: ignore[arg-type]  # the keys are monomials with an atom less
    free = not set(names(step)) & (set(access.extents) - {var} | access.wild)
    return (step,) if step != 0 and free else None


def _single(atom: object) -> Size:
    return Dim((((atom,), 1),))  # type: ignore[arg-type]  # an atom of a Dim


def _fit(found: Sequence[Access], rests: Sequence[Size], step: Size) -> bool:
    """Whether all that is added to the steps stays within one of them."""
    spans: list[tuple[Size, Size]] = []
    for access, rest in zip(found, rests, strict=True):
        if set(names(rest)) & access.wild:
            return False
        low, high = smallest(rest, access.extents), largest(rest, access.extents)
        if low is None or high is None:
            return False
        spans.append((low, high))
    pairs = {
        (a, b)
        for x, a in zip(found, spans, strict=True)
        for y, b in zip(found, spans, strict=True)
        if x.write or y.write
    }
    return all(below(high - low, step) for (_, high), (low, _) in pairs)


def _moduli(rests: Sequence[Size]) -> list[Size]:
    """Steps of other variables: what the index may be taken modulo."""
    found: dict[Size, None] = {}
    for rest in rests:
        if isinstance(rest, Dim):
            for monomial, coefficient in rest.terms:
                for i in range(len(monomial)):
                    left = monomial[:i] + monomial[i + 1 :]
                    found[Dim.of({left: abs(coefficient)})] = None
    return [size for size in found if size != 1]


def bare(access: Access) -> Access:
    """The access as if no loop were around it."""
    return replace(access, extents={}, wild=frozenset(), exact=())
