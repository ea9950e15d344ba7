"""Sliding windows, and how their cotangents go back without a window being stored."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import Index, Linear, Node, Op, Params, Symbol, Value, View, call
from graphc.ops import batching
from graphc.ops.leaves import axes, sizes
from graphc.ops.reduce import EINSUM, SUM, Labels, canonical, subscripts
from graphc.ops.shape import DIAGONAL, PAD, RESHAPE, SLICE, TRANSPOSE
from graphc.types import Size, TensorType


def _infer_windows(types: tuple[TensorType, ...], params: Params) -> TensorType:
    (x,) = types
    picked, window = axes(params), sizes(params, "window")
    if len(picked) != len(window) or not all(0 <= axis < x.rank for axis in picked):
        raise ShapeError(f"windows {window} along axes {picked} do not fit {x}")
    shape = list(x.shape)
    for axis, size in zip(picked, window, strict=True):
        shape[axis] = shape[axis] - size + 1
    return x.with_shape((*shape, *window))


def _windows_index(at: Index, node: Node) -> Index:
    picked = axes(node.params)
    rank = len(at) - len(picked)
    where = list(at[:rank])
    for axis, offset in zip(picked, at[rank:], strict=True):
        where[axis] = where[axis] + offset
    return tuple(where)


def _transpose_windows(g: Value, k: int, node: Node) -> Value:
    """Each element collects from every window that saw it.

    Through an einsum: the product is not formed for each window and then summed, but a window
    slides over one of its operands, so that a convolution's cotangent is a convolution.
    """
    picked, window = axes(node.params), sizes(node.params, "window")
    if len(set(picked)) == len(picked):
        tiles = _side_by_side(g, node)
        if tiles is not None:
            return tiles
        product = _einsum_below(g)
        if product is not None:
            return _fold_product(product, picked, window)
    rank = node.type.rank - len(picked)
    for axis, size in zip(picked, window, strict=True):
        g = _skew(g, axis, rank, size)  # the first of the window axes goes to the end
    return call(SUM, g, axes=tuple(range(rank, g.node.type.rank)))


def _side_by_side(g: Value, node: Node) -> Value | None:
    """What windows that neither overlap nor leave gaps collect: each element was in one of them."""
    picked, window = axes(node.params), sizes(node.params, "window")
    if g.node.op is not PAD:
        return None
    inner = type(g)(g.node.operands[0])
    rank, shape = node.type.rank - len(picked), inner.node.shape
    places = zip(sizes(g.node.params, "start"), sizes(g.node.params, "step"), strict=True)
    for axis, place in enumerate(places):
        side = dict(zip(picked, window, strict=True)).get(axis)
        wanted = (0, 1 if side is None else side)
        if place != wanted or (side is None and shape[axis] != g.node.shape[axis]):
            return None
    order = [part for a in range(rank) for part in (a, *_window_axis(a, picked, rank))]
    whole = tuple(
        shape[a] * shape[rank + picked.index(a)] if a in picked else shape[a] for a in range(rank)
    )
    joined = call(RESHAPE, call(TRANSPOSE, inner, axes=tuple(order)), shape=whole)
    target = node.operands[0].shape
    if whole == target:
        return joined
    return call(PAD, joined, start=(0,) * rank, step=(1,) * rank, shape=target)


def _window_axis(axis: int, picked: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The axis of places within the windows along an axis, if it has windows."""
    return (rank + picked.index(axis),) if axis in picked else ()


WINDOWS = Op(
    "windows",
    _infer_windows,
    lambda params, x: np.ascontiguousarray(
        np.lib.stride_tricks.sliding_window_view(x, sizes(params, "window"), axes(params))
    ),
    View(_windows_index),
    Linear(_transpose_windows),
    Symbol("windows", r"\operatorname{windows}"),
    domain=((-3.0, 3.0),),
    batch=batching.along_axes,
)
"""Element (i..., w...) of the result is element i + w of the operand, along params["axes"]."""


def _widened(g: Value, window: Mapping[int, Size]) -> Value:
    """Zeros before and behind, along each axis as many as a window sees beside its own element."""
    shape = g.node.shape
    ends = tuple(window[a] - 1 if a in window else 0 for a in range(len(shape)))
    wide = tuple(s + 2 * e for s, e in zip(shape, ends, strict=True))
    return call(PAD, g, start=ends, step=(1,) * len(shape), shape=wide)


def _skew(g: Value, axis: int, offset: int | None, size: Size, wide: bool = False) -> Value:
    """Element (p..., w) is element (p - w, w) of g along (axis, offset), 0 outside; w comes last.

    Without an offset axis, g is the same for every w. `wide`: it has its zeros outside already.
    """
    padded = g if wide else _widened(g, {axis: size})
    shape = g.node.shape
    seen = call(WINDOWS, padded, axes=(axis,), window=(size,))
    start = (*(0,) * len(shape), size - 1)
    back = call(SLICE, seen, start=start, step=(*(1,) * len(shape), -1), shape=seen.node.shape)
    if offset is None:
        return back
    order = (*(a for a in range(len(shape)) if a != offset), offset, len(shape))
    return call(DIAGONAL, call(TRANSPOSE, back, axes=order))


class _Product:
    """An einsum taken apart: operands with their labels, and the labels of the result."""

    def __init__(self, node: Node, like: Value) -> None:
        inputs, self.output = subscripts(node.params)
        self.operands = [
            (type(like)(x), labels) for x, labels in zip(node.operands, inputs, strict=True)
        ]
        self.fresh = 1 + max((i for labels in (*inputs, self.output) for i in labels), default=0)

    def new(self) -> int:
        self.fresh += 1
        return self.fresh

    def change(self, old: int, new: int) -> None:
        self.output = tuple(new if label == old else label for label in self.output)

    def has_diagonal(self) -> bool:
        every: list[Labels] = [labels for _, labels in self.operands] + [self.output]
        return any(len(set(labels)) != len(labels) for labels in every)

    def value(self) -> Value:
        """The einsum; what one operand alone has is summed first."""
        operands = []
        for k, (x, labels) in enumerate(self.operands):
            others = {i for j, (_, other) in enumerate(self.operands) if j != k for i in other}
            lone = [d for d, i in enumerate(labels) if i not in others and i not in self.output]
            if lone:
                x = call(SUM, x, axes=tuple(lone))
                labels = tuple(i for d, i in enumerate(labels) if d not in lone)
            operands.append((x, labels))
        inputs, output = canonical(tuple(labels for _, labels in operands), self.output)
        return call(EINSUM, *(x for x, _ in operands), inputs=inputs, output=output)


def _einsum_below(g: Value) -> _Product | None:
    """The einsum that g is, through transposes and through zeros put between its elements."""
    node = g.node
    if node.op is EINSUM:
        product = _Product(node, g)
        return None if product.has_diagonal() else product
    if node.op not in (TRANSPOSE, PAD):
        return None
    found = _einsum_below(type(g)(node.operands[0]))
    if found is None:
        return None
    if node.op is TRANSPOSE:
        found.output = tuple(found.output[axis] for axis in axes(node.params))
        return found
    places = zip(
        sizes(node.params, "start"),
        sizes(node.params, "step"),
        node.operands[0].shape,
        node.shape,
        strict=True,
    )
    for axis, (start, step, size, target) in enumerate(places):
        if (start, step, size) != (0, 1, target):
            _pad_label(found, found.output[axis], (start, step, target))
    return found


def _pad_label(product: _Product, label: int, spot: tuple[Size, Size, Size]) -> None:
    """Zeros between the elements along a label, in every operand that has it."""
    fresh = product.new()
    for k, (x, labels) in enumerate(product.operands):
        if label in labels:
            axis, rank = labels.index(label), len(labels)
            start, step, target = spot
            padded = call(
                PAD,
                x,
                start=tuple(start if a == axis else 0 for a in range(rank)),
                step=tuple(step if a == axis else 1 for a in range(rank)),
                shape=tuple(target if a == axis else s for a, s in enumerate(x.node.shape)),
            )
            product.operands[k] = padded, tuple(fresh if i == label else i for i in labels)
    product.change(label, fresh)


def _fold_product(product: _Product, picked: tuple[int, ...], window: tuple[Size, ...]) -> Value:
    """The einsum summed over all windows that saw an element: see `_transpose_windows`."""
    rank = len(product.output) - len(picked)
    slid = {
        product.output[axis]: (offset, size)
        for axis, offset, size in zip(picked, product.output[rank:], window, strict=True)
    }
    wide: set[int] = set()
    for k, (x, labels) in enumerate(product.operands):
        seen = {i: slid[i] for i in labels if i in slid}
        if len(seen) > 1 and not any(offset in labels for offset, _ in seen.values()):
            places = {labels.index(i): size for i, (_, size) in seen.items()}
            product.operands[k] = _widened(x, places), labels  # once: one image, padded
            wide.add(k)
    for axis, offset, size in zip(picked, product.output[rank:], window, strict=True):
        label, fresh = product.output[axis], product.new()
        for k, (x, labels) in enumerate(product.operands):
            if label not in labels:
                continue
            own = labels.index(offset) if offset in labels else None
            rest = tuple(fresh if i == label else i for i in labels if i != offset)
            skewed = _skew(x, labels.index(label), own, size, k in wide)
            product.operands[k] = skewed, (*rest, offset)
        product.change(label, fresh)
    product.output = product.output[:rank]
    return product.value()
