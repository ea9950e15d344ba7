"""Ops that move elements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc import loops
from graphc.errors import ShapeError
from graphc.graph import (
    Array,
    Batch,
    Computed,
    Element,
    Index,
    Linear,
    Node,
    Op,
    Params,
    Reader,
    Symbol,
    Value,
    View,
    call,
)
from graphc.loops import Expr, Literal, Position
from graphc.ops import batching
from graphc.ops.flat import reshape_index
from graphc.ops.leaves import CONSTANT, DIMENSION, INPUT, IOTA, LEAVES, axes, sizes
from graphc.ops.reduce import embed_diagonal, sum_to
from graphc.types import (
    Shape,
    Size,
    TensorType,
    at_most,
    broadcast_shapes,
    floordiv,
    maximum,
    mod,
    product,
)

__all__ = [
    "BROADCAST",
    "CONCATENATE",
    "CONSTANT",
    "DIAGONAL",
    "DIMENSION",
    "INPUT",
    "IOTA",
    "PAD",
    "RESHAPE",
    "SHAPE",
    "SLICE",
    "TRANSPOSE",
    "axes",
    "broadcast_index",
    "sizes",
    "slice_length",
]

Infer = Callable[[tuple[TensorType, ...], Params], TensorType]


def _static(params: Params, key: str) -> tuple[int, ...]:
    """For `evaluate`, whose parameters have every name replaced by its value."""
    return axes(params, key)


def _row(
    name: str,
    infer: Infer,
    evaluate: Callable[..., Array],
    element: Element,
    transpose: Callable[[Value, int, Node], Value],
    *,
    functions: tuple[str, ...] = (),
    joint: bool = False,
    latex: str | None = None,
    form: str = "call",
    domain: int = 1,
    batch: Batch | None = None,
) -> Op:
    symbol = Symbol(name, latex or rf"\operatorname{{{name.replace('_', chr(92) + '_')}}}", form)
    return Op(
        name,
        infer,
        evaluate,
        element,
        Linear(transpose, joint),
        symbol,
        functions,
        domain=((-3.0, 3.0),) * domain,
        batch=batch,
    )


# --- views --------------------------------------------------------------------------------------


def _infer_reshape(types: tuple[TensorType, ...], params: Params) -> TensorType:
    shape = sizes(params, "shape")
    if product(shape) != types[0].size:
        raise ShapeError(
            f"{types[0].size} elements do not fill shape [{', '.join(map(str, shape))}]"
        )
    return types[0].with_shape(shape)


RESHAPE: Op = _row(
    "reshape",
    _infer_reshape,
    lambda params, x: np.reshape(x, _static(params, "shape")),
    View(reshape_index),
    lambda g, k, node: call(RESHAPE, g, shape=node.operands[0].shape),
    batch=batching.reshape,
)


def _infer_transpose(types: tuple[TensorType, ...], params: Params) -> TensorType:
    order = axes(params)
    if sorted(order) != list(range(types[0].rank)):
        raise ShapeError(f"axes {order} are not a permutation of {types[0].rank} axes")
    return types[0].with_shape(tuple(types[0].shape[axis] for axis in order))


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


TRANSPOSE: Op = _row(
    "transpose",
    _infer_transpose,
    lambda params, x: np.transpose(x, axes(params)),
    View(lambda at, node: tuple(at[axis] for axis in _inverse(axes(node.params)))),
    lambda g, k, node: call(TRANSPOSE, g, axes=_inverse(axes(node.params))),
    latex=r"^\top",
    form="postfix",
    batch=batching.transpose,
)


def _infer_broadcast(types: tuple[TensorType, ...], params: Params) -> TensorType:
    shape = sizes(params, "shape")
    if broadcast_shapes(types[0].shape, shape) != shape:
        raise ShapeError(f"cannot broadcast to [{', '.join(map(str, shape))}]")
    return types[0].with_shape(shape)


def _broadcast_index(at: Index, node: Node) -> Index:
    return broadcast_index(at, node.operands[0].shape)


def broadcast_index(at: Index, shape: Shape) -> Index:
    """Where an operand of this shape is read for element `at` of a broadcast result."""
    tail = at[len(at) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(tail, shape, strict=True))


BROADCAST: Op = _row(
    "broadcast_to",
    _infer_broadcast,
    lambda params, x: np.broadcast_to(x, _static(params, "shape")),
    View(_broadcast_index),
    lambda g, k, node: sum_to(g, node.operands[0].shape),
    batch=batching.broadcast,
)


def _infer_diagonal(types: tuple[TensorType, ...], params: Params) -> TensorType:
    if types[0].rank < 2 or types[0].shape[-1] != types[0].shape[-2]:
        raise ShapeError("a diagonal needs two last axes of one size")
    return types[0].with_shape(types[0].shape[:-1])


def _transpose_diagonal(g: Value, k: int, node: Node) -> Value:
    batch = tuple(range(node.type.rank - 1))
    label = len(batch)
    return embed_diagonal(g, (*batch, label, label), node.operands[0].shape)


DIAGONAL: Op = _row(
    "diagonal",
    _infer_diagonal,
    lambda params, x: np.diagonal(x, axis1=-2, axis2=-1),
    View(lambda at, node: (*at, at[-1])),
    _transpose_diagonal,
    batch=batching.same,
)
"""Element (..., i) of the result is element (..., i, i) of the operand."""


def _infer_slice(types: tuple[TensorType, ...], params: Params) -> TensorType:
    for key in ("start", "step", "shape"):
        if len(sizes(params, key)) != types[0].rank:
            raise ShapeError(f"slice needs one {key} per axis")
    return types[0].with_shape(sizes(params, "shape"))


def _evaluate_slice(params: Params, x: Array) -> Array:
    picks = [
        start + step * np.arange(size)
        for start, step, size in zip(
            _static(params, "start"), _static(params, "step"), _static(params, "shape"), strict=True
        )
    ]
    return x[np.ix_(*picks)] if picks else x


def _slice_index(at: Index, node: Node) -> Index:
    return tuple(
        start + step * i
        for i, start, step in zip(
            at, sizes(node.params, "start"), sizes(node.params, "step"), strict=True
        )
    )


SLICE: Op = _row(
    "slice",
    _infer_slice,
    _evaluate_slice,
    View(_slice_index),
    lambda g, k, node: call(
        PAD,
        g,
        start=node.params["start"],
        step=node.params["step"],
        shape=node.operands[0].shape,
    ),
    batch=batching.strided,
)
"""Element i of the result is element start + step * i of the operand, along each axis."""

# --- guarded reads ------------------------------------------------------------------------------


def _infer_pad(types: tuple[TensorType, ...], params: Params) -> TensorType:
    for key in ("start", "step", "shape"):
        if len(sizes(params, key)) != types[0].rank:
            raise ShapeError(f"pad needs one {key} per axis")
    return types[0].with_shape(sizes(params, "shape"))


def _evaluate_pad(params: Params, x: Array) -> Array:
    result = np.zeros(_static(params, "shape"), x.dtype)
    picks = [
        start + step * np.arange(size)
        for start, step, size in zip(
            _static(params, "start"), _static(params, "step"), x.shape, strict=True
        )
    ]
    result[np.ix_(*picks)] = x
    return result


def _pad_element(at: Index, read: Reader, node: Node) -> Expr:
    """The operand's element where one lies, else 0; the guards are only those that are needed."""
    guards: list[Expr] = []
    where: list[Size] = []
    spans = zip(
        at,
        sizes(node.params, "start"),
        sizes(node.params, "step"),
        node.operands[0].shape,
        node.shape,
        strict=True,
    )
    for i, start, step, size, target in spans:
        reverse = at_most(step, -1)
        if reverse:
            start, step = start + step * (size - 1), -step
        offset = i - start
        position = floordiv(offset, step)
        where.append(size - 1 - position if reverse else position)
        if size == target and start == 0:
            continue
        if start != 0:
            guards.append(_compare("greater_equal", offset, 0))
        if start + size * step != target:
            guards.append(_compare("less", offset, size * step))
        if step != 1:
            guards.append(_compare("equal", mod(offset, step), 0))
    value = read(0, tuple(where))
    zero = Literal(0.0 if node.dtype.kind == "f" else 0, node.dtype)
    for guard in reversed(guards):
        value = loops.select(guard, value, zero)
    return value


def _compare(function: str, a: Size, b: Size) -> Expr:
    return loops.predicate(function, Position(a), Position(b))


def _transpose_pad(g: Value, k: int, node: Node) -> Value:
    return call(
        SLICE, g, start=node.params["start"], step=node.params["step"], shape=node.operands[0].shape
    )


PAD: Op = _row(
    "pad",
    _infer_pad,
    _evaluate_pad,
    Computed(_pad_element),
    _transpose_pad,
    batch=batching.strided,
)
"""Zeros of `shape` in which element start + step * i is element i of the operand."""


def _infer_concatenate(types: tuple[TensorType, ...], params: Params) -> TensorType:
    (axis,) = axes(params)
    first = types[0]
    total: Size = 0
    for x in types:
        rest = x.shape[:axis] + x.shape[axis + 1 :]
        if rest != first.shape[:axis] + first.shape[axis + 1 :] or x.dtype != first.dtype:
            raise ShapeError(f"{x} does not fit {first} along axis {axis}")
        total = x.shape[axis] + total
    return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _starts(node: Node) -> list[Size]:
    (axis,) = axes(node.params)
    result: list[Size] = [0]
    for x in node.operands[:-1]:
        result.append(x.shape[axis] + result[-1])
    return result


FEW_OPERANDS = 8


def _concatenate_element(at: Index, read: Reader, node: Node) -> Expr:
    (axis,) = axes(node.params)
    starts = _starts(node)
    i = at[axis]

    def among(first: int, last: int) -> Expr:
        """The element where it lies in one of the operands first, ..., last: few are asked in
        turn, many by halves."""
        if first == last:
            return read(first, (*at[:axis], i - starts[first], *at[axis + 1 :]))
        count = last - first
        middle = first if count < FEW_OPERANDS else first + count // 2
        test = _compare("less", i, starts[middle + 1])
        return loops.select(test, among(first, middle), among(middle + 1, last))

    return among(0, len(starts) - 1)


def _transpose_concatenate(g: Value, k: int, node: Node) -> Value:
    (axis,) = axes(node.params)
    rank = node.type.rank
    start = tuple(_starts(node)[k] if a == axis else 0 for a in range(rank))
    return call(SLICE, g, start=start, step=(1,) * rank, shape=node.operands[k].shape)


CONCATENATE: Op = _row(
    "concatenate",
    _infer_concatenate,
    lambda params, *xs: np.concatenate(xs, axis=axes(params)[0]),
    Computed(_concatenate_element),
    _transpose_concatenate,
    joint=True,
    domain=2,
    batch=batching.along_axes,
)

SHAPE = (*LEAVES, RESHAPE, TRANSPOSE, BROADCAST, DIAGONAL, SLICE, PAD, CONCATENATE)


def slice_length(start: Size, stop: Size, step: int) -> Size:
    """How many elements a slice start:stop:step holds, given start and stop within the axis."""
    span = stop - start if step > 0 else start - stop
    return maximum(floordiv(span + abs(step) - 1, abs(step)), 0)
