"""Bounds of index expressions, by what is known of their loop variables: 0 <= i < extent."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.types import FUNCTIONS, Atom, Dim, DType, Size

Extents = Mapping[str, Size]

TALL = 12
"""Rows of a tile of few columns, the most that any tile has."""
SHORTEST_VECTOR = 8
"""Iterations of a loop that is worth vectorising, with functions that are made for it."""


def row_panel(dtype: DType) -> int:
    """How many rows a panel has: those of a tile or two, less than a line of the cache."""
    return 48 // dtype.bytes


def column_panel(dtype: DType) -> int:
    """How many columns a panel has: as many as the widest tile."""
    return 256 // dtype.bytes


def widest_vector(dtype: DType) -> int:
    """How many elements the widest vector of any machine has: a line of the cache."""
    return 64 // dtype.bytes


def largest(size: Size, extents: Extents) -> Size | None:
    """An upper bound free of loop variables, None when a term is not understood."""
    return _bound(size, extents, upper=True)


def smallest(size: Size, extents: Extents) -> Size | None:
    """A lower bound free of loop variables, None when a term is not understood."""
    return _bound(size, extents, upper=False)


def _bound(size: Size, extents: Extents, *, upper: bool) -> Size | None:
    if isinstance(size, int):
        return size
    total: Size = 0
    for monomial, coefficient in size.terms:
        part: Size = coefficient
        for atom in monomial:
            value = _atom_bound(atom, extents, upper=upper == (coefficient > 0))
            if value is None:
                return None
            part = part * value
        total = total + part
    return total


def _atom_bound(atom: Atom, extents: Extents, *, upper: bool) -> Size | None:
    if isinstance(atom, str):
        if atom not in extents:
            return Dim.named(atom)
        return extents[atom] - 1 if upper else 0
    if atom.kind == "mod":
        return atom.b - 1 if upper else 0
    if atom.kind == "floordiv":
        inner = _bound(atom.a, extents, upper=upper)
        return None if inner is None else FUNCTIONS["floordiv"](inner, atom.b)
    a, b = _bound(atom.a, extents, upper=upper), _bound(atom.b, extents, upper=upper)
    return None if a is None or b is None else FUNCTIONS[atom.kind](a, b)
