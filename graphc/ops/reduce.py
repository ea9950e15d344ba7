"""Reductions along axes (kept out of the result), and einsum: every contraction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.graph import (
    Array,
    Contraction,
    Derivative,
    Linear,
    Node,
    NoDerivative,
    Op,
    Params,
    Reduction,
    Stated,
    Symbol,
    Value,
    call,
)
from graphc.types import DType, Shape, Size, TensorType, dtype_of


def _axes(params: Params) -> tuple[int, ...]:
    axes = params["axes"]
    if not isinstance(axes, tuple):
        raise ShapeError(f"axes must be a tuple, not {axes!r}")
    return tuple(int(axis) for axis in axes)


def _infer(kinds: str) -> Callable[[tuple[TensorType, ...], Params], TensorType]:
    def infer(types: tuple[TensorType, ...], params: Params) -> TensorType:
        (x,) = types
        axes = _axes(params)
        if len(set(axes)) != len(axes) or not all(0 <= axis < x.rank for axis in axes):
            raise ShapeError(f"axes {axes} do not fit {x.rank} dimension(s)")
        if x.dtype.kind not in kinds:
            raise DTypeError(f"not defined for {x.dtype}")
        return x.with_shape(tuple(s for axis, s in enumerate(x.shape) if axis not in axes))

    return infer


def kept(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """The shape with these axes of size 1, as keepdims leaves them."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def spread(g: Value, node: Node) -> Value:
    """A reduction's result, broadcast back over the operand's shape."""
    shape, axes = node.operands[0].shape, _axes(node.params)
    if sorted(axes) == list(range(len(axes))):
        return np.broadcast_to(g, shape)
    return np.broadcast_to(np.reshape(g, kept(shape, _axes(node.params))), shape)


def keep(g: Value, node: Node) -> Value:
    """A reduction's result with the reduced axes kept as 1, to broadcast against the operand."""
    return np.reshape(g, kept(node.operands[0].shape, _axes(node.params)))


def sum_to(g: Value, shape: Shape) -> Value:
    """The transpose of broadcasting `shape` to g's shape: sum over what was broadcast."""
    lead = g.node.type.rank - len(shape)
    axes = tuple(
        axis
        for axis, size in enumerate(g.node.shape)
        if axis < lead or (shape[axis - lead] == 1 and size != 1)
    )
    summed = call(SUM, g, axes=axes) if axes else g
    return summed if summed.node.shape == shape else np.reshape(summed, shape)


def _reduce(
    name: str,
    fn: Callable[..., Array],
    combine: str,
    identity: Callable[[DType], float | int | bool],
    derivative: Derivative,
    latex: str,
    kinds: str,
) -> Op:
    def empty(x: Array) -> dict[str, object]:
        """An empty maximum is the identity here as in C; tracing refuses those it can see."""
        return {"initial": identity(dtype_of(x.dtype))} if name in ("max", "min") else {}

    def evaluate(params: Params, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(fn(x, axis=_axes(params), **empty(x)), x.dtype)

    return Op(
        name,
        _infer(kinds),
        evaluate,
        Reduction(combine, identity),
        derivative,
        Symbol(name, latex, "call"),
        domain=((-3.0, 3.0),),
    )


def _smallest(dtype: DType) -> float | int | bool:
    return -math.inf if dtype.kind == "f" else int(np.iinfo(dtype.name).min)


def _largest(dtype: DType) -> float | int | bool:
    return math.inf if dtype.kind == "f" else int(np.iinfo(dtype.name).max)


def _hits(y: Value, x: Value, node: Node) -> tuple[Value, Value]:
    """Where the extremum is attained, and how often: ties share evenly, as in JAX."""
    hits = x == keep(y, node)
    return hits, np.sum(np.where(hits, np.ones_like(x), 0), axis=_axes(node.params))


def _extremum_jvp(tangents: tuple[Value | None, ...], y: Value, node: Node) -> Value:
    hits, count = _hits(y, type(y)(node.operands[0]), node)
    return np.sum(np.where(hits, tangents[0], 0), axis=_axes(node.params)) / count


def _extremum_vjp(g: Value, k: int, y: Value, node: Node) -> Value:
    hits, count = _hits(y, type(y)(node.operands[0]), node)
    return np.where(hits, keep(g / count, node), 0)


EXTREMUM = Stated(_extremum_jvp, _extremum_vjp)


def _others(x: Value, y: Value, factor: Value | None, node: Node) -> Value:
    """For each element the product of the others along the axes, times a factor for them all.

    That is y / x where x is not 0. Where it is, and one more at most, it is the product as a
    function of that one, so that its own derivative is right there too; where more are, the
    function and its first two derivatives are 0.
    """
    axes = _axes(node.params)
    zero = x == 0
    zeros = np.sum(zero.astype(np.int64), axis=axes, keepdims=True)
    filled = np.where(zero, 1, x)
    rest = np.prod(filled, axis=axes, keepdims=True)
    vanishing = np.sum(np.where(zero, x, 0), axis=axes, keepdims=True)
    if factor is not None:
        y, rest = y * factor, rest * factor
    of_zero = np.where(zeros == 1, rest, np.where(zeros == 2, rest * (vanishing - x), 0))
    return np.where(zero, of_zero, y / filled)


def _prod_jvp(tangents: tuple[Value | None, ...], y: Value, node: Node) -> Value:
    x = type(y)(node.operands[0])
    return np.sum(_others(x, keep(y, node), None, node) * tangents[0], axis=_axes(node.params))


def _prod_vjp(g: Value, k: int, y: Value, node: Node) -> Value:
    return _others(type(y)(node.operands[0]), keep(y, node), keep(g, node), node)


SUM = _reduce(
    "sum",
    np.sum,
    "add",
    lambda d: 0.0 if d.kind == "f" else 0,
    Linear(lambda g, k, node: spread(g, node)),
    r"\sum",
    "fi",
)
PROD = _reduce(
    "prod",
    np.prod,
    "multiply",
    lambda d: 1.0 if d.kind == "f" else 1,
    Stated(_prod_jvp, _prod_vjp),
    r"\prod",
    "fi",
)
MAX = _reduce("max", np.max, "maximum", _smallest, EXTREMUM, r"\max", "fi")
MIN = _reduce("min", np.min, "minimum", _largest, EXTREMUM, r"\min", "fi")
ANY = _reduce("any", np.any, "logical_or", lambda d: False, NoDerivative(), r"\exists", "b")
ALL = _reduce("all", np.all, "logical_and", lambda d: True, NoDerivative(), r"\forall", "b")


# --- einsum -------------------------------------------------------------------------------------

Labels = tuple[int, ...]


def subscripts(params: Params) -> tuple[tuple[Labels, ...], Labels]:
    """(labels of each operand, labels of the result); a label is a small int."""
    inputs, output = params["inputs"], params["output"]
    if not isinstance(inputs, tuple) or not isinstance(output, tuple):
        raise ShapeError("einsum needs labels")
    return inputs, output


@lru_cache(1024)
def label_sizes(shapes: tuple[Shape, ...], inputs: tuple[Labels, ...]) -> Mapping[int, Size]:
    """The size of each label.

    Raises:
        ShapeError: a label has two sizes, or an operand another rank than labels.
    """
    sizes: dict[int, Size] = {}
    for shape, labels in zip(shapes, inputs, strict=True):
        if len(shape) != len(labels):
            raise ShapeError(f"{len(labels)} labels for {len(shape)} axes")
        for label, size in zip(labels, shape, strict=True):
            if sizes.setdefault(label, size) != size:
                raise ShapeError(f"sizes {sizes[label]} and {size} do not match")
    return sizes


def _infer_einsum(types: tuple[TensorType, ...], params: Params) -> TensorType:
    inputs, output = subscripts(params)
    sizes = label_sizes(tuple(x.shape for x in types), inputs)
    if any(x.dtype != types[0].dtype for x in types) or types[0].dtype.kind not in "fi":
        raise DTypeError("operands must have one dtype, not bool")
    return TensorType(types[0].dtype, tuple(sizes[label] for label in output))


def canonical(inputs: tuple[Labels, ...], output: Labels) -> tuple[tuple[Labels, ...], Labels]:
    """The same einsum with labels 0, 1, ... in order of appearance."""
    fresh: dict[int, int] = {}
    renamed = tuple(tuple(fresh.setdefault(i, len(fresh)) for i in labels) for labels in inputs)
    return renamed, tuple(fresh[label] for label in output)


def _evaluate_einsum(params: Params, *arrays: Array) -> Array:
    inputs, output = canonical(*subscripts(params))
    operands = [part for pair in zip(arrays, map(list, inputs), strict=True) for part in pair]
    with np.errstate(all="ignore"):
        return np.asarray(np.einsum(*operands, list(output), optimize=len(arrays) > 1))


def _transpose_einsum(g: Value, k: int, node: Node) -> Value:
    """The einsum with the result in the operand's place; a diagonal is put back by a mask.

    Labels are in at least two of the operands and the result (tracing sums the others first),
    so the other operands and g have every label of operand k.
    """
    inputs, output = subscripts(node.params)
    mine = inputs[k]
    others = [type(g)(x) for j, x in enumerate(node.operands) if j != k]
    other_labels = tuple(labels for j, labels in enumerate(inputs) if j != k)
    once = tuple(dict.fromkeys(mine))
    labels, target = canonical((output, *other_labels), once)
    result = call(EINSUM, g, *others, inputs=labels, output=target)
    return result if once == mine else embed_diagonal(result, mine, node.operands[k].shape)


def embed_diagonal(diagonal: Value, labels: Labels, shape: Shape) -> Value:
    """Zeros of `shape`, with `diagonal` where all axes of equal label have equal index."""
    once = tuple(dict.fromkeys(labels))
    firsts = [labels.index(label) for label in once]
    order = sorted(range(len(once)), key=lambda axis: firsts[axis])
    value = np.transpose(diagonal, order)
    value = np.reshape(
        value, tuple(size if axis in firsts else 1 for axis, size in enumerate(shape))
    )
    keep_where = None
    for axis, label in enumerate(labels):
        first = labels.index(label)
        if first != axis:
            hit = position(value, shape, axis) == position(value, shape, first)
            keep_where = hit if keep_where is None else keep_where & hit
    return np.where(keep_where, value, 0)


def position(like: Value, shape: Shape, axis: int) -> Value:
    """The index along `axis`, shaped to broadcast over `shape`."""
    ramp = like.arange(shape[axis])
    return np.reshape(ramp, tuple(s if a == axis else 1 for a, s in enumerate(shape)))


EINSUM = Op(
    "einsum",
    _infer_einsum,
    _evaluate_einsum,
    Contraction(),
    Linear(_transpose_einsum),
    Symbol("einsum", r"\operatorname{einsum}", "special"),
    domain=((-3.0, 3.0), (-3.0, 3.0)),
)

REDUCE = (SUM, PROD, MAX, MIN, ANY, ALL, EINSUM)
