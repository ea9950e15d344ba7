"""The leaves, which have no operands: inputs, constants, dimensions, ramps."""

from __future__ import annotations

import numpy as np

from graphc import loops
from graphc.errors import ShapeError
from graphc.graph import (
    Array,
    Computed,
    Constant,
    Index,
    Leaf,
    Node,
    NoDerivative,
    Op,
    Params,
    Reader,
    Symbol,
)
from graphc.loops import Expr, Position
from graphc.types import Dim, DType, Shape, Size, TensorType, int64

ZERO = NoDerivative()


def sizes(params: Params, key: str) -> Shape:
    """A parameter that is a tuple of sizes."""
    value = params[key]
    if not isinstance(value, tuple):
        raise ShapeError(f"{key} must be a tuple of sizes, not {value!r}")
    return value


def axes(params: Params, key: str = "axes") -> tuple[int, ...]:
    """A parameter that is a tuple of ints known at trace time."""
    return tuple(int(axis) for axis in sizes(params, key))


def _declared(types: tuple[TensorType, ...], params: Params) -> TensorType:
    dtype, shape = params["dtype"], sizes(params, "shape")
    if not isinstance(dtype, DType):
        raise ShapeError(f"dtype {dtype!r} is not a graphc dtype")
    return TensorType(dtype, shape)


def _no_value(params: Params) -> Array:
    raise ShapeError("an input has no value of its own")


INPUT = Op("input", _declared, _no_value, Leaf(), ZERO, Symbol("input", "input", "special"))


def _constant(params: Params) -> Array:
    value = params["value"]
    if not isinstance(value, Constant):
        raise ShapeError(f"a constant holds an array, not {value!r}")
    return value.array


def _infer_constant(types: tuple[TensorType, ...], params: Params) -> TensorType:
    array, dtype = _constant(params), params["dtype"]
    if not isinstance(dtype, DType) or array.dtype != dtype.numpy:
        raise ShapeError(f"constant of dtype {array.dtype} declared {dtype!r}")
    return TensorType(dtype, array.shape)


CONSTANT = Op(
    "constant", _infer_constant, _constant, Leaf(), ZERO, Symbol("constant", "constant", "special")
)

DIMENSION = Op(
    "dimension",
    lambda types, params: TensorType(int64, ()),
    lambda params: np.asarray(params["size"], np.int64),
    Computed(lambda at, read, node: Position(_size(node.params, "size"))),
    ZERO,
    Symbol("size", "size", "special"),
)


def _size(params: Params, key: str) -> Size:
    value = params[key]
    if not isinstance(value, int | Dim):
        raise ShapeError(f"{key} must be a size, not {value!r}")
    return value


def _ramp(at: Index, read: Reader, node: Node) -> Expr:
    return loops.cast(Position(at[0]), node.dtype)


IOTA = Op(
    "iota",
    _declared,
    lambda params: np.arange(int(sizes(params, "shape")[0]), dtype=params["dtype"].numpy),
    Computed(_ramp),
    ZERO,
    Symbol("iota", r"\operatorname{iota}", "special"),
)

LEAVES = (INPUT, CONSTANT, DIMENSION, IOTA)
