"""Constant masks of what lies below a diagonal, as comparisons of their indices: causal attention,
triangular matrices."""

from __future__ import annotations

import numpy as np

from graphc.loops import Position, predicate
from graphc.lower.body import Leaf
from graphc.lower.index import simplify

SMALLEST = 64
"""Elements; fewer stay a table, which shows what they are."""


def band(mask: np.ndarray) -> tuple[int, bool] | None:
    """(k, below) where mask[..., i, j] is i + k >= j, or, not `below`, i + k < j; None where it is
    neither, or small."""
    if mask.dtype != np.bool_ or mask.ndim < 2 or mask.size < SMALLEST:
        return None
    one = mask[(0,) * (mask.ndim - 2)]
    below = bool(one[-1, 0])
    k = int(np.count_nonzero(one[0] == below)) - 1
    if k < 0:  # the diagonal begins below the first row
        k = -int(np.count_nonzero(one[:, 0] != below))
    m, n = one.shape
    same = np.tri(m, n, k, dtype=np.bool_) == below
    return (k, below) if (mask == same).all() else None


def band_leaf(k: int, below: bool) -> Leaf:
    """How the elements of such a mask are read."""
    function = "greater_equal" if below else "less"
    return lambda index, extents: predicate(
        function, Position(simplify(index[-2] + k, extents)), Position(simplify(index[-1], extents))
    )
