"""Values that carry a derivative of their own: the user's rule, or one that computes again.

Each is a bundle of values that exist already, `ys`; only derivatives ask what else it holds. The
`dissolve` pass puts the values back in its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import (
    Array,
    Graph,
    Index,
    Nested,
    Node,
    Op,
    Params,
    Region,
    Stated,
    Symbol,
    Value,
    View,
)
from graphc.ops import batching
from graphc.ops.control import count_of
from graphc.types import TensorType, bundle


def _infer(types: tuple[TensorType, ...], params: Params) -> TensorType:
    ys = count_of(params, "ys")
    if ys > len(types):
        raise ShapeError(f"{ys} values among {len(types)} operands")
    return bundle(types[:ys])


def _evaluate(params: Any, *arrays: Array) -> Any:
    return arrays[: params["ys"]]


CUSTOM = Op(
    "custom",
    _infer,
    _evaluate,
    Region(),
    Nested(),
    Symbol("custom", r"\operatorname{custom}"),
)
"""custom(ys..., xs..., residuals...): the values ys, whose derivatives are the user's.

params["vjp"]: the graph (residuals, cotangents of the floating-point ys) -> cotangents of the
floating-point xs. params["jvp"]: the graph (xs, tangents of the floating-point xs) -> tangents of
the floating-point ys. At least one is there; linear, each gives the other by transposition.
"""

CHECKPOINT = Op(
    "checkpoint",
    _infer,
    _evaluate,
    Region(),
    Nested(),
    Symbol("checkpoint", r"\operatorname{checkpoint}"),
)
"""checkpoint(ys..., xs...): the values ys, which params["body"], a graph, makes of the xs; for
cotangents it makes them again."""


def graphs_of(params: Params) -> dict[str, Graph]:
    """The graphs among the parameters."""
    return {key: value for key, value in params.items() if isinstance(value, Graph)}


def _same_index(at: Index, node: Node) -> Index:
    return at


def _barrier_jvp(tangents: tuple[Value | None, ...], y: Value, node: Node) -> Value:
    (t,) = tangents[:1]
    return np.zeros_like(y) if t is None else t


def _barrier_vjp(g: Value, k: int, y: Value, node: Node) -> Value | None:
    return None if k else g


BARRIER = Op(
    "barrier",
    lambda types, params: types[0],
    lambda params, x, *after: x,
    View(_same_index),
    Stated(_barrier_jvp, _barrier_vjp),
    Symbol("barrier", r"\operatorname{barrier}"),
    domain=((-3.0, 3.0),),
    batch=batching.same,
)
"""barrier(x, others...): x, once the others are there. What is computed from it is computed anew,
for it is no x that was there before."""

RULES = (CUSTOM, CHECKPOINT, BARRIER)
