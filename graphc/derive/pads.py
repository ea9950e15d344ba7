"""The cotangents that the slices of one array send back: side by side in one array, not summed.

Each is a pad, zeros but for the slice. `x[0]`, `x[1]`, ... of a vector that is unpacked would sum
as many arrays as it has elements; disjoint slices concatenate instead.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from graphc.frozen import dataclass
from graphc.graph import Node, apply
from graphc.ops.leaves import sizes
from graphc.ops.shape import CONCATENATE, PAD
from graphc.trace import Tensor, constant
from graphc.types import Shape, Size


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A block of an array that is 0 elsewhere: where it starts along each axis, and its values."""

    start: Shape
    value: Tensor

    @property
    def shape(self) -> Shape:
        return self.value.node.shape

    def span(self, axis: int) -> tuple[int, int] | None:
        """(start, end) along the axis where both are known, else None."""
        start, size = self.start[axis], self.shape[axis]
        return (start, start + size) if isinstance(start, int) and isinstance(size, int) else None


def is_block(node: Node) -> bool:
    """Whether it is zeros but for one block of neighbours."""
    return node.op is PAD and all(step == 1 for step in sizes(node.params, "step"))


def side_by_side(pads: Sequence[Tensor]) -> list[Tensor]:
    """Arrays with the same sum as these blocks, fewer where blocks do not overlap."""
    if len(pads) < 2:
        return list(pads)
    shape = pads[0].node.shape
    pieces = [Piece(sizes(x.node.params, "start"), Tensor(x.node.operands[0])) for x in pads]
    for axis in reversed(range(len(shape))):
        pieces = _joined_along(pieces, axis)
    return [_padded(piece, shape) for piece in pieces]


def _joined_along(pieces: Iterable[Piece], axis: int) -> list[Piece]:
    """Pieces that differ only in where they lie along the axis become one, where disjoint: so they
    are known to be, or one begins where another one ends."""
    groups: dict[Hashable, list[Piece]] = {}
    for piece in pieces:
        rest = tuple(
            (start, size)
            for k, (start, size) in enumerate(zip(piece.start, piece.shape, strict=True))
            if k != axis
        )
        groups.setdefault(rest, []).append(piece)
    found: list[Piece] = []
    for group in groups.values():
        known = [piece for piece in group if piece.span(axis) is not None]
        joined = [_join(run, axis) for run in _runs(known, axis)]
        joined += [piece for piece in group if piece.span(axis) is None]
        found += [_join(chain, axis) for chain in _chains(joined, axis)]
    return found


def _chains(pieces: Sequence[Piece], axis: int) -> list[list[Piece]]:
    """Pieces that touch, each after the one it touches."""
    waiting = [piece for piece in pieces if piece.shape[axis] != 0]  # so there is no circle
    begins = {piece.start[axis]: piece for piece in reversed(waiting)}
    followed = {id(begins.get(piece.start[axis] + piece.shape[axis])) for piece in waiting}
    chains = []
    for piece in waiting:
        if id(piece) in followed:
            continue
        chain = [piece]
        while (
            after := begins.pop(chain[-1].start[axis] + chain[-1].shape[axis], None)
        ) is not None:
            chain.append(after)
        chains.append(chain)
    taken = {id(piece) for chain in chains for piece in chain}
    return [*chains, *([piece] for piece in waiting if id(piece) not in taken)]


def _runs(group: Sequence[Piece], axis: int) -> list[list[Piece]]:
    """The pieces in as few disjoint, ascending runs as there are layers of them."""
    runs: list[tuple[int, list[Piece]]] = []
    for piece in sorted(group, key=lambda p: p.span(axis) or (0, 0)):
        start, end = piece.span(axis) or (0, 0)
        free = next((k for k, (last, _) in enumerate(runs) if last <= start), None)
        if free is None:
            runs.append((end, [piece]))
        else:
            runs[free] = (end, [*runs[free][1], piece])
    return [run for _, run in runs]


def _join(run: Sequence[Piece], axis: int) -> Piece:
    """One piece from the first to the last, zeros between those that do not touch."""
    if len(run) == 1:
        return run[0]
    parts: list[Tensor] = []
    end: Size = run[0].start[axis]
    for piece in run:
        gap = piece.start[axis] - end
        if gap != 0:
            hole = tuple(gap if k == axis else size for k, size in enumerate(piece.shape))
            zero = constant(np.zeros((), piece.value.dtype))
            parts.append(np.broadcast_to(zero, hole))
        parts.append(piece.value)
        end = piece.start[axis] + piece.shape[axis]
    value = Tensor(apply(CONCATENATE, *(x.node for x in parts), axes=(axis,)))
    return Piece(run[0].start, value)


def _padded(piece: Piece, shape: Shape) -> Tensor:
    """The piece in zeros of this shape."""
    if piece.shape == shape:
        return piece.value
    step = (1,) * len(shape)
    return Tensor(apply(PAD, piece.value.node, start=piece.start, step=step, shape=shape))


__all__ = ["is_block", "side_by_side"]
