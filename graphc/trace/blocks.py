"""The length of a scan, and a scan of scans, which keeps few carries for its derivative."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import trees
from graphc.errors import ShapeError
from graphc.graph import call
from graphc.ops.shape import SLICE
from graphc.trace.coverage import place, refuse
from graphc.trace.tensor import Tensor, as_tensor
from graphc.types import Dim, Size, as_size, floordiv

# mypy: disable-error-code="arg-type,call-overload,assignment"
# Traced code is written with NumPy's functions, typed as giving arrays where tensors give tensors.

Scan = Callable[..., tuple[Any, Any]]

BLOCK = 32
"""Steps a block where the number of all is known only at run time."""


def scan_length(stacks: Sequence[Tensor], length: Any) -> Size:
    """The number of steps.

    Raises:
        ShapeError: stacks of other lengths.
        TraceError: nothing tells it.
    """
    if not stacks:
        if length is None:
            refuse("scan without xs needs the number of steps", "give length=")
        if isinstance(length, Tensor) and length.node.op.name != "dimension":
            refuse(
                f"the length of scan is {length.node.type}, not known while tracing",
                "give an int or a size, or use fori_loop or while_loop",
            )
        if isinstance(length, int | np.integer) and length < 0:
            refuse(f"a scan of length={length}", "give a length of 0 or more")
        return as_size(length)
    for x in stacks:
        if not x.node.shape:
            raise ShapeError(
                f"scan goes along the first axis of xs, and {x.node.type} has none{place()}; let "
                "the body use it as it is"
            )
    found = [x.node.shape[0] if x.node.shape else None for x in stacks]
    if any(size is None or size != found[0] for size in found) or (
        length is not None and length != found[0]
    ):
        shown = ", ".join(str(x.node.type) for x in stacks)
        told = "" if length is None else f" with length={length}"
        raise ShapeError(
            f"scan over {shown}{told}{place()}: the first sizes differ, and each step takes a row "
            "of all; slice them to one length"
        )
    return found[0]


def in_blocks(
    scans: tuple[Scan, Scan],
    f: Callable[..., Any],
    init: Any,
    xs: Any,
    length: Any,
    reverse: bool,
) -> tuple[Any, Any]:
    """The scan as a scan over blocks of about the square root of its steps, each a scan.

    The reverse scan over the blocks keeps one carry a block; coming back to a block it scans it
    again, and keeps those in it. `scans` are the one in a block and the one over blocks.
    """
    scan, over_blocks = scans
    leaves, tree = trees.flatten(xs)
    stacks = [as_tensor(x) for x in leaves]
    steps = scan_length(stacks, length)
    size = BLOCK if isinstance(steps, Dim) else max(1, math.isqrt(steps))
    blocks = floordiv(steps, size)
    rest = steps - blocks * size

    def whole(carry: Any) -> tuple[Any, Any]:
        rows = [
            np.reshape(_rows(x, 0, blocks * size), (blocks, size, *x.node.shape[1:]))
            for x in stacks
        ]

        def block(carry: Any, rows: Any) -> tuple[Any, Any]:
            return scan(f, carry, rows, size, reverse)

        carry, ys = over_blocks(block, carry, trees.unflatten(tree, rows), blocks, reverse)
        flat = trees.map_leaves(lambda y: np.reshape(y, (blocks * size, *y.node.shape[2:])), ys)
        return carry, flat

    def tail(carry: Any) -> tuple[Any, Any]:
        rows = trees.unflatten(tree, [_rows(x, blocks * size, rest) for x in stacks])
        return scan(f, carry, rows, rest, reverse)

    if rest == 0:
        return whole(init)
    order = (tail, whole) if reverse else (whole, tail)
    carry, first = order[0](init)
    carry, second = order[1](carry)
    ends = (second, first) if reverse else (first, second)
    return carry, trees.map_leaves(lambda a, b: np.concatenate([a, b]), *ends)


def _rows(x: Tensor, start: Size, count: Size) -> Tensor:
    """`count` rows, which are there."""
    rank = x.node.type.rank
    shape = (count, *x.node.shape[1:])
    return call(SLICE, x, start=(start, *(0,) * (rank - 1)), step=(1,) * rank, shape=shape)
