"""x[...] with integer arrays and masks, np.take and kin, and one-hot look-ups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.errors import IndexRangeError, ShapeError
from graphc.graph import apply
from graphc.ops.indexing import GATHER, WRAP_INDEX
from graphc.ops.reduce import position
from graphc.ops.shape import CONSTANT
from graphc.trace import indexing
from graphc.trace.coverage import FUNCTIONS, REFUSED, place, refuse
from graphc.trace.shapes import broadcast_to, moveaxis, reshape
from graphc.trace.tensor import Tensor, as_tensor, attach, constant, promote
from graphc.types import Dim, Shape, Size, bool_, broadcast_shapes, int64, maximum, normalize_axis

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.

MASKED = (
    "indexing with a traced mask has a shape that depends on data",
    "use np.where(mask, x, 0), or sum what the mask keeps; a mask of constants may index",
)


@dataclass
class Key:
    """An index taken apart: what is left to basic indexing, and the arrays."""

    basic: list[Any] = field(default_factory=list)
    """Slices, None and ints; slice(None) stands for each axis that an array indexes."""
    arrays: dict[int, Tensor] = field(default_factory=dict)
    """The index array of each place of `basic` that has one."""
    together: bool = True
    """Whether arrays and ints stand side by side, so that their axes stay there."""

    @property
    def shape(self) -> Shape:
        """That of all index arrays together."""
        return broadcast_shapes(*(i.node.shape for i in self.arrays.values()))

    def axis_of(self, spot: int, kept: bool) -> int:
        """The axis of a place of `basic`: in the operand, or in what basic indexing keeps."""
        if kept:
            return sum(k is None or isinstance(k, slice) for k in self.basic[:spot])
        return sum(k is not None for k in self.basic[:spot])

    @property
    def lead(self) -> int:
        """Where the axes of the index arrays go in the result."""
        if not self.together:
            return 0
        first = next(i for i, k in enumerate(self.basic) if i in self.arrays or _is_int(k))
        return self.axis_of(first, kept=True)


def _is_int(k: Any) -> bool:
    return isinstance(k, int | Dim) and not isinstance(k, bool)


def is_array(k: Any) -> bool:
    """Whether a part of an index is an array to NumPy (a 0-d traced one too)."""
    return isinstance(k, list | tuple | np.ndarray | Tensor | bool | np.bool_)


def has_arrays(key: Any) -> bool:
    return any(map(is_array, key if isinstance(key, tuple) else (key,)))


def read_key(shape: Shape, key: Any) -> Key:
    """An index of an array of this shape taken apart; masks of constants become indices.

    Raises:
        ShapeError: it does not fit. TraceError: a traced mask, or what is no index.
        IndexRangeError: a constant index out of bounds.
    """
    given = [part for k in (key if isinstance(key, tuple) else (key,)) for part in _expanded(k)]
    used = sum(k is not None and k is not Ellipsis for k in given)
    if used > len(shape):
        raise ShapeError(f"{used} indices for {len(shape)} dimension(s){place()}")
    if sum(k is Ellipsis for k in given) > 1:
        raise ShapeError("an index can hold one ellipsis ('...')")
    spot = next((i for i, k in enumerate(given) if k is Ellipsis), len(given))
    given[spot : spot + 1] = [slice(None)] * (len(shape) - used)
    result = Key()
    axis = 0
    for i, k in enumerate(given):
        if isinstance(k, Tensor):
            result.arrays[i] = within(k, shape[axis])
            k = slice(None)
        result.basic.append(k)
        axis += k is not None
    fancy = [i for i, k in enumerate(result.basic) if i in result.arrays or _is_int(k)]
    result.together = fancy == list(range(fancy[0], fancy[-1] + 1)) if fancy else True
    return result


def _expanded(k: Any) -> list[Any]:
    """A part of an index as slices, None, ..., ints and int64 tensors."""
    if isinstance(k, Tensor):
        if k.node.dtype is bool_:
            refuse(*MASKED)
        if k.node.dtype.kind == "f":
            raise IndexRangeError(f"an index is an integer, not {k.node.type}{place()}: use astype")
        return [k.astype(int64)]
    if isinstance(k, np.integer):
        return [int(k)]
    if not is_array(k):
        indexing.check_key(k)
        return [k]
    if isinstance(k, list | tuple) and any(isinstance(part, Tensor) for part in k):
        return _expanded(np.stack([as_tensor(part) for part in k]))
    array = np.asarray(k)
    if array.dtype == bool:
        if not array.ndim:
            refuse("an index that is True or False", "use np.expand_dims, or np.where")
        return [constant(np.asarray(i, np.int64)) for i in array.nonzero()]
    if array.size == 0 and not isinstance(k, np.ndarray):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise IndexRangeError(f"an index is an integer, not {array.dtype}{place()}: use astype")
    return [constant(array.astype(np.int64))]


def known(x: Tensor) -> np.ndarray[Any, Any] | None:
    """The array a constant holds."""
    return x.node.params["value"].array if x.node.op is CONSTANT else None


def within(i: Tensor, size: Size) -> Tensor:
    """An index counted from the front, and certain to be in bounds.

    Raises:
        IndexRangeError: a constant one that is not.
    """
    array = known(i)
    if array is None or not isinstance(size, int):
        return Tensor(apply(WRAP_INDEX, i.node, size=size))
    wrong = array[(array < -size) | (array >= size)]
    if wrong.size:
        raise IndexRangeError(
            f"index {wrong.flat[0]} is out of bounds for an axis of size {size}{place()}"
        )
    return constant(np.where(array < 0, array + size, array))


def gather(x: Tensor, indices: dict[int, Tensor]) -> Tensor:
    """x with the axes among `indices` taken at int64 places in bounds; their axes come first."""
    axes = tuple(sorted(indices))
    return Tensor(apply(GATHER, x.node, *(indices[a].node for a in axes), axes=axes))


def getitem(x: Tensor, key: Any) -> Tensor:
    """NumPy's indexing, but for masks that are traced.

    A traced index out of bounds is an error in the reference, as in NumPy; compiled C, which
    cannot raise, takes the nearest element.

    Raises:
        ShapeError: too many indices, or an integer out of bounds.
        IndexRangeError: an array of constants out of bounds.
        TraceError: a traced mask, or what is no index at all.
    """
    if not has_arrays(key):
        return indexing.getitem(x, key)
    parts = read_key(x.node.shape, key)
    left = indexing.getitem(x, tuple(parts.basic))
    if not parts.arrays:
        return left
    rank = len(parts.shape)
    found = gather(left, {parts.axis_of(i, kept=True): a for i, a in parts.arrays.items()})
    return moveaxis(found, range(rank), range(parts.lead, parts.lead + rank))


# --- functions ----------------------------------------------------------------------------------


def take(
    a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise"
) -> Tensor:
    """np.take: mode 'wrap' and 'clip' bring any index in bounds."""
    if out is not None:
        refuse("np.take with out= writes into an array", "use the value it returns")
    x = as_tensor(a)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(axis, x.ndim)
    (i,) = _expanded(as_tensor(indices))
    size = x.node.shape[axis]
    if size == 0 and i.node.type.size != 0:
        raise IndexRangeError(f"cannot take elements of an axis of size 0{place()}")
    match mode:
        case "raise":
            i = within(i, size)
        case "clip":
            i = np.clip(i, 0, size - 1)
        case "wrap":
            i = np.remainder(i, maximum(size, 1))
        case _:
            raise ValueError(f"np.take: mode is 'raise', 'wrap' or 'clip', not {mode!r}")
    found = gather(x, {axis: i})
    return moveaxis(found, range(i.ndim), range(axis, axis + i.ndim))


def along(x: Tensor, i: Tensor, axis: int) -> Tensor:
    """x at the places `i` along one axis, and at its own elsewhere; sizes 1 broadcast."""
    shapes = [tuple(1 if a == axis else s for a, s in enumerate(y.node.shape)) for y in (x, i)]
    shape = list(broadcast_shapes(*shapes))
    shape[axis] = i.node.shape[axis]
    target = tuple(shape)
    indices = {axis: broadcast_to(i, target)}
    for a, size in enumerate(x.node.shape):
        if a != axis:
            indices[a] = position(x, target, a) if size != 1 else constant(np.int64(0))
    return gather(x, indices)


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Tensor:
    """np.take_along_axis."""
    x = as_tensor(arr)
    (i,) = _expanded(as_tensor(indices))
    if axis is None:
        if i.ndim != 1:
            raise ValueError(f"take_along_axis with axis=None wants 1-d indices, not {i.node.type}")
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(axis, x.ndim)
    if x.ndim != i.ndim:
        raise ValueError(f"take_along_axis: {x.node.type} and indices {i.node.type} differ in rank")
    return along(x, within(i, x.node.shape[axis]), axis)


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Tensor:
    """np.choose."""
    (i,) = _expanded(as_tensor(a))
    options = promote(*choices)
    shape = broadcast_shapes(i.node.shape, *(x.node.shape for x in options))
    stacked = np.stack([broadcast_to(x, shape) for x in options])
    lead = broadcast_to(i, shape)
    if mode != "raise":
        lead = np.clip(lead, 0, len(options) - 1) if mode == "clip" else lead % len(options)
    return reshape(along(stacked, within(reshape(lead, (1, *shape)), len(options)), 0), shape)


def compress(condition: Any, a: Any, axis: int | None = None, out: None = None) -> Tensor:
    """np.compress with a condition of constants."""
    if isinstance(condition, Tensor):
        refuse(*MASKED)
    (places,) = np.asarray(condition).astype(bool).nonzero()
    return take(a, places, axis)


def extract(condition: Any, arr: Any) -> Tensor:
    """np.extract with a condition of constants."""
    if isinstance(condition, Tensor):
        refuse(*MASKED)
    return take(arr, np.ravel(condition).astype(bool).nonzero()[0])


def delete(arr: Any, obj: Any, axis: int | None = None) -> Tensor:
    """np.delete of places known while tracing."""
    x = as_tensor(arr)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(axis, x.ndim)
    size = x.node.shape[axis]
    if isinstance(obj, Tensor) or not isinstance(size, int):
        refuse(
            "np.delete at places, or from an axis, not known while tracing",
            "use np.where, or slices and np.concatenate",
        )
    return take(x, np.delete(np.arange(size), obj), axis)


KEEPS = "use np.where(x, a, b), which keeps all elements"
SHAPED = "has a result whose shape depends on data"
WRITES = "writes into an array"
AT = "use x.at[i].set(values) (graphc.at(x)[i].set(values) for arrays too), which returns it"

FUNCTIONS.update({
    np.take: take, np.take_along_axis: take_along_axis, np.choose: choose,
    np.compress: compress, np.extract: extract, np.delete: delete,
})  # fmt: skip
REFUSED.update({
    "put_along_axis": (WRITES, AT), "put": (WRITES, AT),
    "place": (WRITES, "use np.where(mask, values, x)"),
    "putmask": (WRITES, "use np.where(mask, values, x)"),
    "copyto": (WRITES, "use np.where(mask, values, x)"),
    "fill_diagonal": (WRITES, "use np.where(np.eye(n, dtype=bool), value, x)"),
    "nonzero": (SHAPED, KEEPS), "flatnonzero": (SHAPED, KEEPS), "argwhere": (SHAPED, KEEPS),
    "unique": (SHAPED, "use np.sort, or count with np.sum(x == value)"),
    "bincount": (SHAPED, "use np.zeros(n) with graphc.at(zeros)[i].add(weights)"),
    "trim_zeros": (SHAPED, "use a slice"),
})  # fmt: skip
attach("__getitem__", getitem)
for _name, _fn in (("take", take), ("choose", choose), ("compress", lambda x, c, axis=None:
                                                        compress(c, x, axis))):  # fmt: skip
    attach(_name, _fn)
