"""Colours for the columns of a sparse matrix: those of one colour are found by one product.

For a Jacobian, columns of one colour share no row: A. R. Curtis, M. J. D. Powell, J. K. Reid, On
the Estimation of Sparse Jacobian Matrices, 1974. For a Hessian, which is symmetric, an element may
be found by its row or by its column, and a star colouring will do: T. F. Coleman, J. J. Moré,
Estimation of Sparse Hessian Matrices and Graph Coloring Problems, 1984; A. H. Gebremedhin,
A. Tarafdar, F. Manne, A. Pothen, New Acyclic and Star Coloring Algorithms, 2007.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
MOST_WORK = 2_000_000
"""Pairs of neighbours of one vertex; where there are more, looking ahead would take seconds."""


def colouring(rows: Ints, cols: Ints, shape: tuple[int, int]) -> Ints:
    """A colour for each column, so that no two columns of one colour share a row: to each in turn
    the least that none of its rows has."""
    order = np.argsort(cols, kind="stable")
    ends = np.searchsorted(cols[order], np.arange(shape[1] + 1))
    taken = [0] * shape[0]
    colours = np.zeros(shape[1], np.int64)
    for column in range(shape[1]):
        mine = rows[order[ends[column] : ends[column + 1]]]
        used = 0
        for r in mine:
            used |= taken[r]
        free = ~used & (used + 1)
        colours[column] = free.bit_length() - 1
        for r in mine:
            taken[r] |= free
    return colours


def star_colouring(rows: Ints, cols: Ints, size: int) -> Ints:
    """A colour for each vertex of the graph that a symmetric pattern is: neighbours differ, and
    every path over four vertices has three colours. The best of some greedy ones: in natural order
    and by falling degree, with and without care for vertices that have no colour yet."""
    near = neighbours(rows, cols, size)
    work = sum(len(others) ** 2 for others in near)
    by_degree = sorted(range(size), key=lambda v: -len(near[v]))
    found = [
        _greedy_stars(near, order, ahead)
        for order in (range(size), by_degree)
        for ahead in ((False, True) if work < MOST_WORK else (False,))
    ]
    return min(found, key=lambda colours: int(colours.max(initial=-1)))


def neighbours(rows: Ints, cols: Ints, size: int) -> list[list[int]]:
    """For each vertex those that it has an element with, but for itself."""
    ends = np.unique(np.stack([np.r_[rows, cols], np.r_[cols, rows]]), axis=1)
    ends = ends[:, ends[0] != ends[1]]
    starts = np.searchsorted(ends[0], np.arange(size + 1)).tolist()
    others = ends[1].tolist()
    return [others[a:b] for a, b in itertools.pairwise(starts)]


def _greedy_stars(near: list[list[int]], order: Iterable[int], ahead: bool) -> Ints:
    """To each vertex in turn the least colour that completes no path of two colours over four
    vertices, all others of which have theirs; `ahead`: and that no other neighbour of a vertex
    without a colour has, which then needs to keep clear of fewer."""
    colours = [-1] * len(near)
    groups: list[dict[int, list[int]]] = [{} for _ in near]
    """Of each vertex, its coloured neighbours by colour."""
    middles: list[set[int]] = [set() for _ in near]
    """Of each vertex w, the colours of its neighbours that have another one of w's colour: a
    vertex beside w with such a colour would be the end of a path."""
    for v in order:
        taken: set[int] = set()
        for colour, members in groups[v].items():
            taken.add(colour)
            for w in members:
                taken |= middles[w]
                if len(members) > 1:  # v would stand in the middle
                    taken |= groups[w].keys()
        if ahead:
            for w in near[v]:
                if colours[w] < 0:
                    taken |= groups[w].keys()
        mine = next(c for c in range(len(near)) if c not in taken)
        colours[v] = mine
        for members in groups[v].values():
            if len(members) > 1:
                for w in members:
                    middles[w].add(mine)
        for x in near[v]:
            members = groups[x].setdefault(mine, [])
            members.append(v)
            if colours[x] >= 0 and len(members) > 1:
                for w in members if len(members) == 2 else (v,):
                    middles[w].add(colours[x])
    return np.array(colours, np.int64)


def star_reads(colours: Ints, rows: Ints, cols: Ints) -> tuple[Ints, Ints]:
    """Where the product with the sum of the columns of a colour has each element of a symmetric
    matrix: (the colour, the row). It is by the column, or else by the row, of the element."""
    size = len(colours)
    seen: dict[tuple[int, int], int] = {}
    for v, others in enumerate(neighbours(rows, cols, size)):
        for w in (v, *others):
            key = (v, int(colours[w]))
            seen[key] = seen.get(key, 0) + 1
    direct = np.array(
        [seen[i, c] == 1 for i, c in zip(rows.tolist(), colours[cols].tolist(), strict=True)], bool
    )
    return np.where(direct, colours[cols], colours[rows]), np.where(direct, rows, cols)


__all__ = ["colouring", "neighbours", "star_colouring", "star_reads"]
