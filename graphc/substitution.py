"""Sizes with their names replaced by other sizes, or by numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from graphc.errors import ShapeError
from graphc.sizes import FUNCTIONS, Atom, Dim, Monomial, Size, terms_of


def map_atoms(size: Size, fn: Callable[[Atom], Size | None]) -> Size:
    """The size with every atom replaced by fn(atom); None: it stays."""
    if isinstance(size, int):
        return size
    total: dict[Monomial, int] = {}
    for monomial, coefficient in size.terms:
        images = [fn(atom) for atom in monomial]
        changed = [x for x in images if x is not None]
        if not changed:
            total[monomial] = total.get(monomial, 0) + coefficient
            continue
        stays = tuple([atom for atom, x in zip(monomial, images, strict=True) if x is None])
        product: Size = coefficient
        for x in changed:
            product = product * x
        if stays:
            product = product * Dim(((stays, 1),))
        for m, c in terms_of(product):
            total[m] = total.get(m, 0) + c
    return Dim.of(total)


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """The size with names replaced; names not in `values` stay."""
    if isinstance(size, int):
        return size
    found = tuple([(name, values[name]) for name in names(size) if name in values])
    return _substituted(size, found) if found else size


@lru_cache(1 << 14)  # of twenty calls nineteen repeat an earlier one
def _substituted(size: Dim, found: tuple[tuple[str, Size], ...]) -> Size:
    values = dict(found)

    def replace(atom: Atom) -> Size | None:
        if isinstance(atom, str):
            return values.get(atom)
        a, b = substitute(atom.a, values), substitute(atom.b, values)
        return FUNCTIONS[atom.kind](a, b)

    return map_atoms(size, replace)


def evaluate(size: Size, values: Mapping[str, int]) -> int:
    """The int this size is when its names have these values.

    Raises:
        ShapeError: a name has no value.
    """
    result = substitute(size, values)
    if not isinstance(result, int):
        raise ShapeError(f"dimension {size} needs a value for {', '.join(sorted(names(result)))}")
    return result


def names(size: Size) -> tuple[str, ...]:
    """The names a size depends on, in order of appearance, once each."""
    return () if isinstance(size, int) else _names(size)


@lru_cache(1 << 14)
def _names(size: Dim) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for monomial, _ in size.terms:
        for atom in monomial:
            inner = (atom,) if isinstance(atom, str) else (*names(atom.a), *names(atom.b))
            found.update(dict.fromkeys(inner))
    return tuple(found)


def linear(flat: Size, variables: tuple[str, ...]) -> tuple[Size, ...] | None:
    """(value at zero, step along each variable) of a flat index linear in the variables."""
    zero: dict[str, Size] = dict.fromkeys(variables, 0)
    start = substitute(flat, zero)
    steps = [substitute(flat, {**zero, var: 1}) - start for var in variables]
    again = start
    for var, step in zip(variables, steps, strict=True):
        again = again + step * Dim.named(var)
    return (start, *steps) if again == flat else None
