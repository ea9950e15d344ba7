"""Ops that go along an axis in order: running sums and extrema, and the order itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.graph import (
    Array,
    Node,
    NoDerivative,
    Op,
    Params,
    Running,
    Sort,
    Stated,
    Symbol,
    Value,
    call,
)
from graphc.ops import batching
from graphc.ops.indexing import gather, scatter
from graphc.ops.leaves import axes
from graphc.ops.reduce import position
from graphc.types import DType, TensorType, bool_, int64

# mypy: disable-error-code="operator,call-overload,no-any-return"
# Rules are written with NumPy's operators on `Value`s, which get them from `trace.Tensor`.

ACCUMULATE = {"add": np.add, "maximum": np.maximum, "minimum": np.minimum}
IDENTITY: dict[str, Callable[[DType], float | int]] = {
    "add": lambda d: 0.0 if d.kind == "f" else 0,
    "maximum": lambda d: -math.inf if d.kind == "f" else int(np.iinfo(d.name).min),
    "minimum": lambda d: math.inf if d.kind == "f" else int(np.iinfo(d.name).max),
}
"""What a combination starts with."""


def _axis(x: TensorType, params: Params) -> int:
    (axis,) = axes(params)
    if not 0 <= axis < x.rank:
        raise ShapeError(f"axis {axis} is out of range for {x}")
    if x.dtype is bool_:
        raise DTypeError("not defined for bool")
    return axis


def _infer_running(types: tuple[TensorType, ...], params: Params) -> TensorType:
    _axis(types[0], params)
    if params["combine"] not in ACCUMULATE:
        raise ShapeError(f"combine is one of {', '.join(ACCUMULATE)}, not {params['combine']!r}")
    return types[0]


def _evaluate_running(params: Params, x: Array) -> Array:
    (axis,) = axes(params)
    back = params["reverse"]
    way = np.flip(x, axis) if back else x
    with np.errstate(all="ignore"):
        found = ACCUMULATE[str(params["combine"])].accumulate(way, axis, dtype=x.dtype)
    return np.ascontiguousarray(np.flip(found, axis) if back else found)


def along(x: Value, places: Value, axis: int) -> list[Value]:
    """The indices with which a gather takes x at `places` along one axis and itself elsewhere."""
    shape = places.node.shape
    return [places if a == axis else position(x, shape, a) for a in range(len(shape))]


def _sources(y: Value, node: Node) -> list[Value]:
    """Where each running extremum was last attained."""
    (axis,) = axes(node.params)
    x, back = type(y)(node.operands[0]), node.params["reverse"]
    hit = (x == y) | (x != x)
    place = position(y, node.shape, axis)
    last = node.shape[axis]
    found = call(
        RUNNING,
        np.where(hit, place, last if back else -1),
        axes=(axis,),
        combine="minimum" if back else "maximum",
        reverse=int(bool(back)),
    )
    return along(y, found, axis)


def _running_jvp(tangents: tuple[Value | None, ...], y: Value, node: Node) -> Value:
    (t,) = tangents
    if t is None:
        return np.zeros_like(y)
    if node.params["combine"] == "add":
        return call(RUNNING, t, **node.params)
    return gather(t, _sources(y, node), tuple(range(node.type.rank)))


def _running_vjp(g: Value, k: int, y: Value, node: Node) -> Value:
    if node.params["combine"] == "add":
        return call(RUNNING, g, **{**node.params, "reverse": int(not node.params["reverse"])})
    return scatter(np.zeros_like(g), g, _sources(y, node), tuple(range(node.type.rank)), "add")


RUNNING = Op(
    "running",
    _infer_running,
    _evaluate_running,
    Running(),
    Stated(_running_jvp, _running_vjp),
    Symbol("running", r"\operatorname{running}"),
    domain=((-3.0, 3.0),),
    batch=batching.along_axes,
)
"""Element i along params["axes"] combines those up to i (from i on, with params["reverse"]):
params["combine"] is add, maximum or minimum. Of equal extrema the latest has the derivative."""


def _infer_argsort(types: tuple[TensorType, ...], params: Params) -> TensorType:
    (axis,) = axes(params)
    if not 0 <= axis < types[0].rank:
        raise ShapeError(f"axis {axis} is out of range for {types[0]}")
    return types[0].with_dtype(int64)


ARGSORT = Op(
    "argsort",
    _infer_argsort,
    lambda params, x: np.argsort(x, axis=axes(params)[0], kind="stable"),
    Sort(),
    NoDerivative(),
    Symbol("argsort", r"\operatorname{argsort}"),
    domain=((-3.0, 3.0),),
    batch=batching.along_axes,
)
"""Where the elements along params["axes"] stand in ascending order: equal ones keep theirs, nan
comes last."""


def order_indices(x: Value, node: Node) -> list[Value]:
    """The indices that gather x in the order that an argsort found."""
    return along(x, type(x)(node), axes(node.params)[0])


ORDERED = (RUNNING, ARGSORT)
