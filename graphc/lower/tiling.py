"""Which contractions are matrix products that register tiles speed up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.graph import Contraction, Node
from graphc.ops.reduce import label_sizes, subscripts
from graphc.types import Size

SMALLEST = 4096
"""Products with fewer multiplications stay plain loops."""
LEAST_ROWS, LEAST_COLUMNS, LEAST_TERMS = 4, 16, 8

Labels = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tiling:
    """c[m, n] += sum over k of left[m, k] right[k, n], inside loops over the other labels."""

    left: int
    right: int
    """Which operand is which."""
    m: int
    n: int
    k: int
    others: Labels
    sizes: Mapping[int, Size]

    def order(self, node: Node, operand: int) -> Labels:
        """The labels of a packed copy of the operand: n runs fastest on the right."""
        inputs, _ = subscripts(node.params)
        labels = inputs[operand]
        return (*(i for i in labels if i != self.n), *(i for i in labels if i == self.n))


def tiling(node: Node) -> Tiling | None:
    """How a contraction is a matrix product; None where it is none, or too small to gain."""
    if not isinstance(node.op.element, Contraction) or len(node.operands) != 2:
        return None
    inputs, output = subscripts(node.params)
    if node.dtype.kind != "f" or not output:
        return None
    sizes = label_sizes(tuple(x.shape for x in node.operands), inputs)
    n = output[-1]
    if (n in inputs[0]) == (n in inputs[1]):
        return None
    right = 1 if n in inputs[1] else 0
    left = 1 - right
    rows = [i for i in output if i in inputs[left] and i not in inputs[right]]
    terms = [i for i in inputs[right] if i in inputs[left] and i not in output]
    if not rows or not terms:
        return None
    m, k = _largest(rows, sizes), _largest(terms, sizes)
    least = {m: LEAST_ROWS, n: LEAST_COLUMNS, k: LEAST_TERMS}
    known = {i: size for i in least if isinstance(size := sizes[i], int)}
    if any(size < least[i] for i, size in known.items()):
        return None
    if len(known) == 3 and math.prod(known.values()) < SMALLEST:
        return None
    others = tuple(i for i in sizes if i not in (m, n, k))
    return Tiling(left, right, m, n, k, others, sizes)


def _largest(labels: Sequence[int], sizes: Mapping[int, Size]) -> int:
    """The label with the largest size; one known only at run time counts as large."""
    return max(reversed(labels), key=lambda i: size if isinstance(size := sizes[i], int) else 1024)


def is_tiled(node: Node) -> bool:
    return tiling(node) is not None
