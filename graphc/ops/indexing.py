"""Elements at places that are data: gather, its transpose scatter, and the wrapping of indices."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from graphc import loops
from graphc.errors import DTypeError, IndexRangeError, ShapeError
from graphc.graph import (
    Array,
    Computed,
    Index,
    Linear,
    Node,
    NoDerivative,
    Op,
    Params,
    Reader,
    Scatter,
    Stated,
    Symbol,
    Value,
    call,
)
from graphc.loops import Expr, Position
from graphc.ops import batching
from graphc.ops.leaves import axes
from graphc.ops.reduce import position
from graphc.ops.shape import broadcast_index
from graphc.types import Shape, Size, TensorType, bool_, broadcast_shapes, int64, product

# mypy: disable-error-code="operator,call-overload,no-any-return"
# Rules are written with NumPy's operators on `Value`s, which get them from `trace.Tensor`.

COMBINE = ("set", "add", "multiply", "maximum", "minimum")


def _size(params: Params) -> Size:
    return params["size"]


def _infer_wrap(types: tuple[TensorType, ...], params: Params) -> TensorType:
    if types[0].dtype is not int64:
        raise DTypeError(f"an index is int64, not {types[0].dtype}")
    return types[0]


def _evaluate_wrap(params: Params, i: Array) -> Array:
    size = int(params["size"])
    wrong = i[(i < -size) | (i >= size)]
    if wrong.size:
        raise IndexRangeError(
            f"index {wrong.flat[0]} is out of bounds for an axis of size {size}; np.clip the "
            "index, or use np.take with mode='clip' or mode='wrap'"
        )
    return np.where(i < 0, i + size, i)


def _wrap_element(at: Index, read: Reader, node: Node) -> Expr:
    """In bounds whatever the data: C cannot raise, so it takes the nearest element."""
    return loops.apply("wrap_index", read(0, at), Position(_size(node.params)))


WRAP_INDEX = Op(
    "wrap_index",
    _infer_wrap,
    _evaluate_wrap,
    Computed(_wrap_element),
    NoDerivative(),
    Symbol("wrap", r"\operatorname{wrap}"),
    domain=((0.0, 4.0),),
    batch=batching.same,
)
"""An index along an axis of `size`, counted from the end where it is negative.

Out of bounds, the reference raises as NumPy does; the C, which cannot, takes the nearest element.
"""

# --- gather -------------------------------------------------------------------------------------


def rest_of(shape: Shape, picked: tuple[int, ...]) -> Shape:
    """The sizes of the axes that are not indexed."""
    return tuple(size for axis, size in enumerate(shape) if axis not in picked)


def _check_indices(
    x: TensorType, indices: tuple[TensorType, ...], params: Params
) -> tuple[tuple[int, ...], Shape]:
    """(the axes that are indexed, the shape of all indices together)."""
    picked = axes(params)
    if not all(0 <= axis < x.rank for axis in picked) or any(a >= b for a, b in pairwise(picked)):
        raise ShapeError(f"axes {picked} do not fit {x}")
    if len(indices) != len(picked):
        raise ShapeError(f"{len(indices)} indices for {len(picked)} axes")
    for i in indices:
        if i.dtype is not int64:
            raise DTypeError(f"an index has dtype int64, not {i.dtype}")
    return picked, broadcast_shapes(*(i.shape for i in indices))


def _infer_gather(types: tuple[TensorType, ...], params: Params) -> TensorType:
    picked, lead = _check_indices(types[0], types[1:], params)
    return types[0].with_shape((*lead, *rest_of(types[0].shape, picked)))


def _places(picked: tuple[int, ...], indices: tuple[Array, ...], rank: int) -> tuple[object, ...]:
    """The key with which NumPy indexes the axes `picked`, after they are moved to the front."""
    return (*np.broadcast_arrays(*indices), *(slice(None),) * (rank - len(picked)))


def _evaluate_gather(params: Params, x: Array, *indices: Array) -> Array:
    picked = axes(params)
    front = np.moveaxis(x, picked, range(len(picked)))
    return np.array(front[_places(picked, indices, x.ndim)], order="C")


def full_index(
    picked: tuple[int, ...], found: list[Size], rest: Index, rank: int
) -> tuple[Size, ...]:
    """An index of all axes from those of the picked ones and of the rest."""
    at, others = iter(found), iter(rest)
    return tuple(next(at) if axis in picked else next(others) for axis in range(rank))


def _gather_element(at: Index, read: Reader, node: Node) -> Expr:
    x, *indices = node.operands
    picked = axes(node.params)
    lead = len(at) - (x.type.rank - len(picked))
    found = [
        read.bind(read(k, broadcast_index(at[:lead], i.shape))) for k, i in enumerate(indices, 1)
    ]
    return read(0, full_index(picked, found, at[lead:], x.type.rank))


def _transpose_gather(g: Value, k: int, node: Node) -> Value:
    x, *indices = node.operands
    zeros = np.zeros_like(type(g)(x))
    return scatter(zeros, g, [type(g)(i) for i in indices], axes(node.params), "add")


GATHER = Op(
    "gather",
    _infer_gather,
    _evaluate_gather,
    Computed(_gather_element),
    Linear(_transpose_gather),
    Symbol("gather", r"\operatorname{gather}"),
    domain=((-3.0, 3.0),),
    batch=batching.gather,
)
"""gather(x, i, j, ...): element (b..., r...) is that of x with i[b], j[b], ... along params["axes"]
and r along the rest. The indices are int64, broadcast together, and within bounds."""


def gather(x: Value, indices: list[Value], picked: tuple[int, ...]) -> Value:
    return call(GATHER, x, *indices, axes=picked)


# --- scatter ------------------------------------------------------------------------------------


def _infer_scatter(types: tuple[TensorType, ...], params: Params) -> TensorType:
    base, updates = types[:2]
    picked, lead = _check_indices(base, types[2:], params)
    wanted = (*lead, *rest_of(base.shape, picked))
    if updates.dtype != base.dtype:
        raise DTypeError("operands must have one dtype")
    if updates.shape != wanted:
        raise ShapeError(f"updates {updates} do not fit {base.with_shape(wanted)}")
    if params["combine"] not in COMBINE:
        raise ShapeError(f"combine is one of {', '.join(COMBINE)}, not {params['combine']!r}")
    if base.dtype is bool_ and params["combine"] != "set":
        raise DTypeError(f"{params['combine']} is not defined for bool")
    return base


def _evaluate_scatter(params: Params, base: Array, updates: Array, *indices: Array) -> Array:
    picked = axes(params)
    result = np.array(base, order="C")
    front = np.moveaxis(result, picked, range(len(picked)))
    places = _places(picked, indices, base.ndim)
    with np.errstate(all="ignore"):
        if params["combine"] == "set":
            front[places] = updates
        else:
            getattr(np, str(params["combine"])).at(front, places, updates)
    return result


def scatter(
    base: Value,
    updates: Value,
    indices: list[Value],
    picked: tuple[int, ...],
    combine: str,
    unique: bool = False,
) -> Value:
    """base with the updates combined into it, one after the other: see SCATTER."""
    return call(SCATTER, base, updates, *indices, axes=picked, combine=combine, unique=int(unique))


class _Parts:
    """What the derivative of a scatter is made of."""

    def __init__(self, y: Value, node: Node) -> None:
        kind = type(y)
        self.node, self.y = node, y
        self.base, self.updates = kind(node.operands[0]), kind(node.operands[1])
        self.indices = [kind(i) for i in node.operands[2:]]
        self.picked = axes(node.params)
        self.combine = str(node.params["combine"])

    def at(self, x: Value) -> Value:
        """For each update the element of x where it goes."""
        return gather(x, self.indices, self.picked)

    def into(self, base: Value, updates: Value, combine: str) -> Value:
        unique = bool(self.node.params["unique"])
        return scatter(base, updates, self.indices, self.picked, combine, unique)

    def weights(self) -> tuple[Value | None, Value | None]:
        """dy / d(base) where it is, and dy[place] / d(update); None where that is 1."""
        if self.combine == "add":
            return None, None
        return getattr(self, f"_{self.combine}")()

    def _set(self) -> tuple[Value | None, Value | None]:
        """The base counts where nothing was set; of several updates the last does."""
        zero = np.zeros_like(self.updates)
        untouched = self.into(np.ones_like(self.base), zero, "set")
        like, shape = self.updates, self.updates.node.shape
        lead = len(shape) - (self.base.node.type.rank - len(self.picked))
        if self.node.params["unique"] or product(shape[:lead]) == 1:
            return untouched, None
        number, step = position(like, shape, lead - 1), shape[lead - 1]
        for axis in reversed(range(lead - 1)):
            number = number + position(like, shape, axis) * step
            step = shape[axis] * step
        number = np.broadcast_to(number, shape)
        none = np.zeros_like(self.base).astype(np.int64) - 1
        last = self.at(self.into(none, number, "set"))
        return untouched, np.where(last == number, np.ones_like(like), 0)

    def _multiply(self) -> tuple[Value, Value]:
        """The product of the others, right at zeros too."""
        ones = np.ones_like(self.base)
        zero = self.updates == 0
        counted = np.where(zero, np.ones_like(self.updates), 0)
        filled = np.where(zero, 1, self.updates)
        zeros = self.at(self.into(np.zeros_like(self.base), counted, "add"))
        rest = self.at(self.into(self.base, filled, "multiply"))
        alone = np.where(zeros == 1, rest, 0)
        others = np.where(zero, alone, np.where(zeros == 0, rest / filled, 0))
        return self.into(ones, self.updates, "multiply"), others

    def _maximum(self) -> tuple[Value, Value]:
        """All that attain the extremum share it evenly."""
        mine = np.where(self.base == self.y, np.ones_like(self.base), 0)
        hits = np.where(self.updates == self.at(self.y), np.ones_like(self.updates), 0)
        count = self.into(mine, hits, "add")
        return mine / count, hits / self.at(count)

    _minimum = _maximum


def _scatter_jvp(tangents: tuple[Value | None, ...], y: Value, node: Node) -> Value:
    parts = _Parts(y, node)
    base, updates = tangents[:2]
    for_base, for_update = parts.weights()
    if base is None:
        base = np.zeros_like(parts.base)
    elif for_base is not None:
        base = base * for_base
    if updates is None:
        return base
    return parts.into(base, updates if for_update is None else updates * for_update, "add")


def _scatter_vjp(g: Value, k: int, y: Value, node: Node) -> Value:
    parts = _Parts(y, node)
    weight = parts.weights()[k]
    g = parts.at(g) if k else g
    return g if weight is None else g * weight


SCATTER = Op(
    "scatter",
    _infer_scatter,
    _evaluate_scatter,
    Scatter(),
    Stated(_scatter_jvp, _scatter_vjp),
    Symbol("scatter", r"\operatorname{scatter}"),
    domain=((-3.0, 3.0), (-3.0, 3.0)),
    batch=batching.scatter,
)
"""scatter(base, updates, i, j, ...): base, in which each update (b..., r...) is combined with the
element that gather would read there, in C order: params["combine"] is set, add, multiply, maximum
or minimum. params["unique"]: no place is named twice."""

INDEXING = (WRAP_INDEX, GATHER, SCATTER)
