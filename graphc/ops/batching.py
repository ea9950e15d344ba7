"""Ops on a leading batch axis: what `vmap` makes of the rows that do not broadcast by themselves.

Each takes (operands, mapped, node): operands[k] has the batch axis first where mapped[k].
"""

from __future__ import annotations

import numpy as np

from graphc.graph import Node, Value, call
from graphc.types import Size

# mypy: disable-error-code="call-overload,no-any-return,arg-type,misc"
# Parameters are typed as the union of all kinds; NumPy's functions of values give values.

Values = tuple[Value, ...]
Mapped = tuple[bool, ...]


def batch_size(operands: Values, mapped: Mapped) -> Size:
    """The size of the batch axis."""
    return next(x.node.shape[0] for x, is_mapped in zip(operands, mapped, strict=True) if is_mapped)


def filled(operands: Values, mapped: Mapped) -> Values:
    """All operands with the batch axis."""
    size = batch_size(operands, mapped)
    return tuple(
        x if is_mapped else np.broadcast_to(x, (size, *x.node.shape))
        for x, is_mapped in zip(operands, mapped, strict=True)
    )


def aligned(x: Value, rank: int) -> Value:
    """x[batch, ...] with unit axes after the batch axis, so that `rank` axes follow it."""
    size, *rest = x.node.shape
    missing = rank - len(rest)
    return np.reshape(x, (size, *(1,) * missing, *rest)) if missing > 0 else x


def after(node: Node, key: str = "axes") -> tuple[int, ...]:
    """The axes of a parameter, counted behind the batch axis."""
    return tuple(axis + 1 for axis in node.params[key])


def same(operands: Values, mapped: Mapped, node: Node) -> Value:
    """It acts on trailing axes only."""
    return call(node.op, *filled(operands, mapped), **node.params)


def along_axes(operands: Values, mapped: Mapped, node: Node) -> Value:
    """Its axes count from the front."""
    return call(node.op, *filled(operands, mapped), **{**node.params, "axes": after(node)})


def reshape(operands: Values, mapped: Mapped, node: Node) -> Value:
    return call(node.op, operands[0], shape=(batch_size(operands, mapped), *node.shape))


def broadcast(operands: Values, mapped: Mapped, node: Node) -> Value:
    x = aligned(operands[0], node.type.rank)
    return call(node.op, x, shape=(batch_size(operands, mapped), *node.shape))


def transpose(operands: Values, mapped: Mapped, node: Node) -> Value:
    return call(node.op, operands[0], axes=(0, *after(node)))


def strided(operands: Values, mapped: Mapped, node: Node) -> Value:
    """slice and pad: one start, step and size an axis."""
    return call(
        node.op,
        operands[0],
        start=(0, *node.params["start"]),
        step=(1, *node.params["step"]),
        shape=(batch_size(operands, mapped), *node.shape),
    )


def _number(like: Value, size: Size, rank: int) -> Value:
    """The number of the example, to broadcast against indices of this rank behind it."""
    ramp = like.arange(size)
    return np.reshape(ramp, (size, *(1,) * rank))


def _lead(indices: tuple[Node, ...]) -> int:
    return max((i.type.rank for i in indices), default=0)


def gather(operands: Values, mapped: Mapped, node: Node) -> Value:
    """A table that is not mapped is shared; one that is has the example's number as an index."""
    x, *places = operands
    rank = _lead(node.operands[1:])
    indices = [
        aligned(i, rank) if is_mapped else i
        for i, is_mapped in zip(places, mapped[1:], strict=True)
    ]
    if not mapped[0]:
        return call(node.op, x, *indices, **node.params)
    if any(mapped[1:]):
        number = _number(x, x.node.shape[0], rank)
        return call(node.op, x, number, *indices, **{**node.params, "axes": (0, *after(node))})
    found = call(node.op, x, *indices, **{**node.params, "axes": after(node)})
    return np.moveaxis(found, rank, 0)


def scatter(operands: Values, mapped: Mapped, node: Node) -> Value:
    """Each example has its base; the example's number is one more index."""
    base, updates = filled(operands[:2], mapped[:2]) if any(mapped[:2]) else operands[:2]
    size = batch_size(operands, mapped)
    if not any(mapped[:2]):
        base, updates = (np.broadcast_to(x, (size, *x.node.shape)) for x in (base, updates))
    rank = _lead(node.operands[2:])
    indices = [
        aligned(i, rank) if is_mapped else i
        for i, is_mapped in zip(operands[2:], mapped[2:], strict=True)
    ]
    axes = (0, *after(node))
    return call(
        node.op, base, updates, _number(base, size, rank), *indices, **{**node.params, "axes": axes}
    )


__all__ = [
    "aligned",
    "along_axes",
    "batch_size",
    "broadcast",
    "filled",
    "gather",
    "reshape",
    "same",
    "scatter",
    "strided",
    "transpose",
]
