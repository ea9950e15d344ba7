"""Elementwise ops, all of them. The C side names the same scalar function (see `emit_c`)."""

from __future__ import annotations

import numpy as np

from graphc import loops
from graphc.errors import DTypeError
from graphc.graph import Array, Elementwise, Linear, Node, Op, Params, Symbol, Value, call
from graphc.ops.arithmetic import ARITHMETIC, ROUNDING
from graphc.ops.bessel import BESSEL
from graphc.ops.functions import EXPONENTIAL, POLYGAMMA, SIGMOID, SOFTPLUS, TRIGONOMETRIC
from graphc.ops.logic import BITS, PREDICATES
from graphc.ops.rows import ANY, ZERO, call_symbol, evaluate_with, partials
from graphc.types import DType, TensorType, bool_, broadcast_shapes

__all__ = ["CAST", "ELEMENTWISE", "POLYGAMMA", "SIGMOID", "SOFTPLUS", "STOP_GRADIENT", "WHERE"]


def _infer_where(types: tuple[TensorType, ...], params: Params) -> TensorType:
    condition, then, other = types
    if condition.dtype != bool_:
        raise DTypeError(f"the condition must be bool, not {condition.dtype}")
    if then.dtype != other.dtype:
        raise DTypeError("both choices must have one dtype")
    return TensorType(then.dtype, broadcast_shapes(*(x.shape for x in types)))


WHERE = Op(
    "where",
    _infer_where,
    evaluate_with(np.where),
    Elementwise(lambda node, c, a, b: loops.select(c, a, b)),
    partials(
        None, lambda t, y, c, a, b: np.where(c, t, 0), lambda t, y, c, a, b: np.where(c, 0, t)
    ),
    call_symbol("where"),
    domain=(ANY, ANY, ANY),
)


def _infer_cast(types: tuple[TensorType, ...], params: Params) -> TensorType:
    dtype = params["dtype"]
    if not isinstance(dtype, DType):
        raise DTypeError(f"cannot cast to {dtype!r}")
    return types[0].with_dtype(dtype)


def _evaluate_cast(params: Params, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(params["dtype"].numpy)


def _transpose_cast(g: Value, k: int, node: Node) -> Value:
    return call(CAST, g, dtype=node.operands[0].dtype)


CAST = Op(
    "cast",
    _infer_cast,
    _evaluate_cast,
    Elementwise(lambda node, x: loops.cast(x, node.dtype)),
    Linear(_transpose_cast),
    call_symbol("cast"),
    ("astype",),
    domain=(ANY,),
)

STOP_GRADIENT = Op(
    "stop_gradient",
    lambda types, params: types[0],
    lambda params, x: x,
    Elementwise(lambda node, x: x),
    ZERO,
    Symbol("stop", r"\operatorname{stop}"),
    domain=(ANY,),
)
"""The identity, constant to every derivative."""

ELEMENTWISE = (
    *ARITHMETIC,
    *ROUNDING,
    *EXPONENTIAL,
    *TRIGONOMETRIC,
    *PREDICATES,
    *BITS,
    WHERE,
    CAST,
    STOP_GRADIENT,
    POLYGAMMA,
    *BESSEL,
)
