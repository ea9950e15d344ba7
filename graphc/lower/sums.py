"""Accumulation: which loop sums what, from which value, in which dtype."""

from __future__ import annotations

from graphc.graph import Contraction, Node, Reduction
from graphc.lower.schedule import Placed
from graphc.types import DType, float32, float64, product

LONGEST_NARROW_SUM = 4096


def is_sum(node: Node) -> bool:
    return isinstance(node.op.element, Reduction | Contraction)


def is_open(spot: Placed) -> bool:
    """Whether axes of the result lie inside a loop that sums: the accumulator is an array."""
    return any(
        axis not in spot.held for axis in spot.domain.output if spot.domain.extents[axis] != 1
    )


def combine_of(node: Node) -> str:
    """The scalar function that accumulates."""
    element = node.op.element
    return element.combine if isinstance(element, Reduction) else "add"


def identity_of(node: Node) -> float | int | bool:
    """The value an accumulator starts from."""
    element = node.op.element
    if isinstance(element, Reduction):
        return element.identity(node.dtype)
    return 0.0 if node.dtype.kind == "f" else 0


def dtype_of_sum(node: Node, spot: Placed) -> DType:
    """float64 for long float32 sums in a local: one rounding error an element, in sequence, would
    cost half the digits of a sum over millions. (NumPy adds in pairs for the same reason.)"""
    if node.dtype != float32 or is_open(spot) or combine_of(node) != "add":
        return node.dtype
    count = product(spot.domain.extents[axis] for axis in spot.domain.reduced)
    return node.dtype if isinstance(count, int) and count <= LONGEST_NARROW_SUM else float64
