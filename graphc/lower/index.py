"""Index expressions, simplified by what is known of their loop variables: 0 <= i < extent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from graphc.bounds import Extents, largest, smallest
from graphc.loops import Let, Local, Position, Read, parts
from graphc.types import (
    FUNCTIONS,
    Atom,
    Dim,
    Func,
    Size,
    at_most,
    below,
    map_atoms,
    names,
    split,
    substitute,
)


def simplify(size: Size, extents: Extents) -> Size:
    """The same index with divisions and remainders resolved where the ranges decide them."""
    if isinstance(size, int) or all(isinstance(a, str) for m, _ in size.terms for a in m):
        return size
    return _simplified(size, tuple(extents.items()))


@lru_cache(1 << 14)  # of five calls four repeat an earlier one
def _simplified(size: Dim, known: tuple[tuple[str, Size], ...]) -> Size:
    extents = dict(known)
    for var in names(size):
        block = _block_of(extents.get(var, 0))
        if block is not None:  # 48 i + j, of blocks of rows, is one row of them all
            row, (start, rows) = f"{var}+", block
            whole = substitute(size, {var: Dim.named(row) - start})
            if not set(names(start)) & set(names(whole)):
                whole = simplify(whole, {**extents, row: rows})
                return substitute(whole, {row: Dim.named(var) + start})

    def resolve(atom: Atom) -> Size | None:
        if isinstance(atom, str):
            return None
        a, b = simplify(atom.a, extents), simplify(atom.b, extents)
        if atom.kind in ("floordiv", "mod"):
            whole, rest = split(a, b)
            if _within(rest, b, extents):
                return rest if atom.kind == "mod" else whole
            if coarse := _coarse(rest, b, extents):
                step, units, inside = coarse
                count = b // step
                if atom.kind == "mod":
                    return step * FUNCTIONS["mod"](units, count) + inside
                return whole + _floordiv(units, count)
            return FUNCTIONS["mod"](rest, b) if atom.kind == "mod" else whole + _floordiv(rest, b)
        low, high = (a, b) if atom.kind == "min" else (b, a)
        if _ordered(low, high, extents):
            return a
        if _ordered(high, low, extents):
            return b
        return FUNCTIONS[atom.kind](a, b)

    return _join(map_atoms(size, resolve), extents)


def _coarse(size: Size, b: Size, extents: Extents) -> tuple[int, Size, Size] | None:
    """(step, u, r) where size = step u + r, 0 <= r < step, and the step divides b: such sizes are
    divided by b in units of the step."""
    if not isinstance(size, Dim) or not isinstance(b, int):
        return None
    steps = {math.gcd(b, coefficient) for _, coefficient in size.terms} - {1, b}
    for step in sorted(steps, reverse=True):
        units, inside = split(size, step)
        if _within(inside, step, extents):
            return step, units, inside
    return None


def _block_of(extent: Size) -> tuple[Size, Size] | None:
    """(where the block starts, all rows), of the rows min(n - 48 i, 48) of block i."""
    match extent:
        case Dim(terms=((((Func("min", a, b),), 1),))):
            for left, block in ((a, b), (b, a)):
                if isinstance(block, int) and isinstance(left, Dim):
                    start: Size = 0
                    for monomial, c in left.terms:
                        if c == -block and len(monomial) == 1:
                            start = start - Dim.of({monomial: c})
                    if start != 0:
                        return start, left + start
    return None


def _floordiv(a: Size, b: Size) -> Size:
    """a // b, where (x // c) // b is x // (c b)."""
    match a:
        case Dim(terms=((((Func("floordiv", x, int(c)),), 1),))) if (
            isinstance(b, int) and b > 0 < c
        ):
            return _floordiv(x, c * b)
    return FUNCTIONS["floordiv"](a, b)


def _within(rest: Size, b: Size, extents: Extents) -> bool:
    high, low = largest(rest, extents), smallest(rest, extents)
    return high is not None and low is not None and below(high, b) and at_most(0, low)


def _ordered(a: Size, b: Size, extents: Extents) -> bool:
    high = largest(a - b, extents)
    return high is not None and at_most(high, 0)


def _join(size: Size, extents: Extents) -> Size:
    """(a // b) * b + a % b is a: what reading through a reshape leaves behind."""
    if isinstance(size, int):
        return size
    terms = dict(size.terms)
    for monomial, coefficient in size.terms:
        for atom in monomial:
            if not (isinstance(atom, Func) and atom.kind == "mod"):
                continue
            rest = tuple(x for x in monomial if x is not atom)
            quotient = _floordiv(atom.a, atom.b)
            factor = Dim.of({rest: coefficient})
            product = quotient * atom.b * factor
            if isinstance(product, Dim) and all(terms.get(m) == c for m, c in product.terms):
                joined = size - product - Dim.of({monomial: coefficient}) + atom.a * factor
                return simplify(joined, extents)
    return size


def replace(size: Size, values: Mapping[str, Size], extents: Extents) -> Size:
    """Substitute, then simplify."""
    return simplify(substitute(size, values), extents)


def decide(comparison: str, difference: Size, extents: Extents) -> bool | None:
    """Whether `difference` compares so with 0 in every iteration (True), in none (False), or that
    is not known (None)."""
    high, low = largest(difference, extents), smallest(difference, extents)
    negative = high is not None and at_most(high, -1)
    positive = low is not None and at_most(1, low)
    below = negative or (high is not None and at_most(high, 0))
    above = positive or (low is not None and at_most(0, low))
    yes, no = {
        "less": (negative, above),
        "less_equal": (below, positive),
        "greater": (positive, below),
        "greater_equal": (above, negative),
        "equal": (below and above, negative or positive),
        "not_equal": (negative or positive, below and above),
    }[comparison]
    return True if yes else False if no else None


def in_order(lets: Sequence[Let]) -> list[Let]:
    """The same, each after those it reads: the guard of one index may ask for another."""
    waiting = {let.name: let for let in lets}
    done: list[Let] = []

    def put(let: Let) -> None:
        if waiting.pop(let.name, None) is not None:
            for name in _used(let):
                if name in waiting:
                    put(waiting[name])
            done.append(let)

    for let in lets:
        put(let)
    return done


def _used(let: Let) -> Iterator[str]:
    """The locals and indices in a value."""
    for part in parts(let.value):
        match part:
            case Local(name):
                yield name
            case Position(size):
                yield from names(size)
            case Read(_, index):
                yield from names(index)
