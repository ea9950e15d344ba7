"""Where a reshape reads its operand."""

from __future__ import annotations

from functools import lru_cache

from graphc.graph import Index, Node
from graphc.types import Shape, Size, floordiv, matching, mod, strides

SHORT_TILE = 8


def reshape_index(at: Index, node: Node) -> Index:
    """Through the flat position; unit dimensions that come or go need no arithmetic, and tiles put
    side by side, or cut, only that of their own axes."""
    return _flat_index(at, node.operands[0].shape, node.shape)


@lru_cache(1 << 12)  # of one reshape several steps of lowering ask it
def _flat_index(at: Index, source: Shape, target: Shape) -> Index:
    if [s for s in source if s != 1] == [s for s in target if s != 1]:
        kept = iter([i for i, size in zip(at, target, strict=True) if size != 1])
        return tuple(0 if size == 1 else next(kept) for size in source)
    runs = list(matching(source, target))
    if not any(_has_tile(source[own], target[other]) for own, other in runs):
        runs = [(slice(None), slice(None))]
    result: list[Size] = []
    for own, other in runs:
        flat: Size = 0
        for i, step in zip(at[other], strides(target[other]), strict=True):
            flat = flat + i * step
        for axis, (size, step) in enumerate(zip(source[own], strides(source[own]), strict=True)):
            digit = floordiv(flat, step)
            result.append(0 if size == 1 else digit if axis == 0 else mod(digit, size))
    return tuple(result)


def _has_tile(source: Shape, target: Shape) -> bool:
    """Whether one axis is several, the last of them short."""
    if min(len(source), len(target)) != 1 or len(source) == len(target):
        return False
    last = max(source, target, key=len)[-1]
    return isinstance(last, int) and 1 < last < SHORT_TILE
