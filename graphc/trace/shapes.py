"""NumPy's functions that move elements, on tensors; indexing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.reduce import EINSUM
from graphc.ops.shape import (
    BROADCAST,
    CONCATENATE,
    PAD,
    RESHAPE,
    SLICE,
    TRANSPOSE,
    slice_length,
)
from graphc.trace.tensor import FUNCTIONS, Tensor, as_tensor, constant, promote, refuse
from graphc.types import (
    Dim,
    Size,
    as_size,
    at_most,
    below,
    broadcast_shapes,
    floordiv,
    maximum,
    minimum,
    mod,
    normalize_axis,
    product,
)


def _shape(shape: Any) -> tuple[Any, ...]:
    return tuple(shape) if isinstance(shape, Sequence | np.ndarray) else (shape,)


def reshape(
    a: Any,
    /,
    shape: Any = None,
    *more: Any,
    order: str = "C",
    copy: Any = None,
    newshape: Any = None,
) -> Tensor:
    x = as_tensor(a)
    if order not in ("C", "A"):
        refuse(f"np.reshape with order={order!r}", "transpose first")
    given = _shape(newshape if shape is None else shape) + more
    unknown = [axis for axis, size in enumerate(given) if isinstance(size, int) and size == -1]
    if len(unknown) > 1:
        raise ShapeError(f"reshape to {given} leaves more than one size open")
    known = [as_size(size) for axis, size in enumerate(given) if axis not in unknown]
    if unknown:
        known.insert(unknown[0], _fill(x.node.type.size, product(known), given))
    target = tuple(known)
    return x if target == x.node.shape else Tensor(apply(RESHAPE, x.node, shape=target))


def _fill(total: Size, known: Size, given: tuple[Any, ...]) -> Size:
    if known == 0 or mod(total, known) != 0:
        raise ShapeError(f"cannot reshape {total} elements to {given}")
    return floordiv(total, known)


def transpose(a: Any, axes: Any = None, *more: int) -> Tensor:
    x = as_tensor(a)
    order = tuple(reversed(range(x.ndim))) if axes is None else _shape(axes) + more
    order = tuple(normalize_axis(int(axis), x.ndim) for axis in order)
    return x if order == tuple(range(x.ndim)) else Tensor(apply(TRANSPOSE, x.node, axes=order))


def swapaxes(a: Any, axis1: int, axis2: int) -> Tensor:
    x = as_tensor(a)
    order = list(range(x.ndim))
    i, j = normalize_axis(axis1, x.ndim), normalize_axis(axis2, x.ndim)
    order[i], order[j] = order[j], order[i]
    return transpose(x, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Tensor:
    x = as_tensor(a)
    sources = [normalize_axis(i, x.ndim) for i in _shape(source)]
    targets = [normalize_axis(i, x.ndim) for i in _shape(destination)]
    if len(sources) != len(targets) or len(set(sources)) != len(sources):
        raise ShapeError(f"moveaxis: source {source} and destination {destination} do not pair up")
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return transpose(x, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Tensor:
    x = as_tensor(a)
    axis = normalize_axis(axis, x.ndim)
    return moveaxis(x, axis, start - 1 if axis < start else start)


def expand_dims(a: Any, axis: Any) -> Tensor:
    x = as_tensor(a)
    rank = x.ndim + len(_shape(axis))
    added = {normalize_axis(i, rank) for i in _shape(axis)}
    if len(added) != len(_shape(axis)):
        raise ShapeError(f"expand_dims: axis {axis} names one axis twice")
    sizes = iter(x.node.shape)
    return reshape(x, tuple(1 if i in added else next(sizes) for i in range(rank)))


def squeeze(a: Any, axis: Any = None) -> Tensor:
    x = as_tensor(a)
    if axis is None:
        gone = {i for i, size in enumerate(x.node.shape) if size == 1}
    else:
        gone = {normalize_axis(i, x.ndim) for i in _shape(axis)}
        for i in gone:
            if x.node.shape[i] != 1:
                raise ShapeError(f"squeeze: axis {i} of {x.node.type} has size {x.node.shape[i]}")
    return reshape(x, tuple(size for i, size in enumerate(x.node.shape) if i not in gone))


def broadcast_to(a: Any, shape: Any, subok: bool = False) -> Tensor:
    x = as_tensor(a)
    target = tuple(as_size(size) for size in _shape(shape))
    return x if target == x.node.shape else Tensor(apply(BROADCAST, x.node, shape=target))


def broadcast_arrays(*arrays: Any, subok: bool = False) -> tuple[Tensor, ...]:
    tensors = [as_tensor(x) for x in arrays]
    shape = broadcast_shapes(*(x.node.shape for x in tensors))
    return tuple(broadcast_to(x, shape) for x in tensors)


def flip(m: Any, axis: Any = None) -> Tensor:
    x = as_tensor(m)
    axes = range(x.ndim) if axis is None else [normalize_axis(i, x.ndim) for i in _shape(axis)]
    return _take_slices(
        x, [slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)]
    )


def roll(a: Any, shift: Any, axis: Any = None) -> Tensor:
    x = as_tensor(a)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.node.shape)
    shifts, axes = _shape(shift), _shape(axis)
    if len(shifts) != len(axes):
        shifts = shifts * len(axes) if len(shifts) == 1 else shifts
        axes = axes * len(shifts) if len(axes) == 1 else axes
    for by, where in zip(shifts, axes, strict=True):
        i = normalize_axis(where, x.ndim)
        size = x.node.shape[i]
        if size == 0:
            continue
        cut = size - mod(by, size)
        tail = _range(x, i, cut, size)
        x = concatenate([tail, _range(x, i, 0, cut)], i)
    return x


def _range(x: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
    """x[start:stop] along one axis, for bounds known to lie within it."""
    shape = tuple(stop - start if i == axis else size for i, size in enumerate(x.node.shape))
    if shape == x.node.shape:
        return x
    starts = tuple(start if i == axis else 0 for i in range(x.ndim))
    return Tensor(apply(SLICE, x.node, start=starts, step=(1,) * x.ndim, shape=shape))


def concatenate(
    arrays: Any,
    /,
    axis: int | None = 0,
    out: None = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Tensor:
    tensors = promote(*arrays)
    if dtype is not None:
        tensors = tuple(x.astype(dtype) for x in tensors)
    if axis is None:
        tensors, axis = tuple(reshape(x, (-1,)) for x in tensors), 0
    if not tensors[0].ndim:
        raise ShapeError("zero-dimensional arrays cannot be concatenated; use np.stack")
    axis = normalize_axis(axis, tensors[0].ndim)
    if len(tensors) == 1:
        return tensors[0]
    return Tensor(apply(CONCATENATE, *(x.node for x in tensors), axes=(axis,)))


def stack(
    arrays: Any, axis: int = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Tensor:
    tensors = promote(*arrays)
    axis = normalize_axis(axis, tensors[0].ndim + 1)
    return concatenate([expand_dims(x, axis) for x in tensors], axis, dtype=dtype)


def _at_least(x: Any, rank: int) -> Tensor:
    value = as_tensor(x)
    if value.ndim >= rank:
        return value
    if rank == 3:
        return reshape(
            value, {0: (1, 1, 1), 1: (1, *value.shape, 1), 2: (*value.shape, 1)}[value.ndim]
        )
    return reshape(value, (1,) * (rank - value.ndim) + value.shape)


def atleast(rank: int) -> Any:
    def convert(*arrays: Any) -> Any:
        found = tuple(_at_least(x, rank) for x in arrays)
        return found[0] if len(found) == 1 else found

    return convert


def hstack(tup: Any, **kwargs: Any) -> Tensor:
    arrays = [_at_least(x, 1) for x in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1, **kwargs)


def vstack(tup: Any, **kwargs: Any) -> Tensor:
    return concatenate([_at_least(x, 2) for x in tup], 0, **kwargs)


def dstack(tup: Any) -> Tensor:
    return concatenate([_at_least(x, 3) for x in tup], 2)


def column_stack(tup: Any) -> Tensor:
    arrays = [as_tensor(x) for x in tup]
    return concatenate([x if x.ndim > 1 else reshape(x, (-1, 1)) for x in arrays], 1)


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    x = as_tensor(ary)
    axis = normalize_axis(axis, x.ndim)
    size = x.node.shape[axis]
    if isinstance(indices_or_sections, int) and mod(size, indices_or_sections) != 0:
        raise ShapeError(f"split: {size} elements do not divide into {indices_or_sections} parts")
    return array_split(x, indices_or_sections, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    x = as_tensor(ary)
    axis = normalize_axis(axis, x.ndim)
    size = x.node.shape[axis]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        whole, extra = floordiv(size, count), mod(size, count)
        if not isinstance(extra, int):
            refuse(f"np.array_split of {size} elements into {count} parts", "use a fixed size")
        lengths = [whole + (1 if i < extra else 0) for i in range(count)]
        bounds: list[Size] = [0]
        for length in lengths:
            bounds.append(length + bounds[-1])
        return [_range(x, axis, a, b) for a, b in itertools.pairwise(bounds)]
    cuts = [None, *indices_or_sections, None]
    return [
        _take_slices(x, [slice(a, b) if i == axis else slice(None) for i in range(x.ndim)])
        for a, b in itertools.pairwise(cuts)
    ]


def tile(A: Any, reps: Any) -> Tensor:
    x = as_tensor(A)
    counts = _shape(reps)
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - x.ndim) + x.node.shape
    apart = tuple(part for size in shape for part in (1, size))
    wide = tuple(part for n, size in zip(counts, shape, strict=True) for part in (n, size))
    joined = tuple(as_size(n) * size for n, size in zip(counts, shape, strict=True))
    return reshape(broadcast_to(reshape(x, apart), wide), joined)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Tensor:
    x = as_tensor(a)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(axis, x.ndim)
    if not isinstance(repeats, int | np.integer | Dim):
        counts = np.broadcast_to(np.asarray(repeats), (x.shape[axis],))
        return FUNCTIONS[np.take](x, np.repeat(np.arange(x.shape[axis]), counts), axis)
    shape = x.node.shape
    apart = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    wide = (*shape[: axis + 1], as_size(repeats), *shape[axis + 1 :])
    joined = (*shape[:axis], shape[axis] * as_size(repeats), *shape[axis + 1 :])
    return reshape(broadcast_to(reshape(x, apart), wide), joined)


def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Tensor:
    x = as_tensor(array)
    if mode != "constant":
        refuse(f"np.pad with mode={mode!r} is not covered", "mode='constant' is")
    if isinstance(pad_width, dict):
        widths = [pad_width.get(i, pad_width.get(i - x.ndim, (0, 0))) for i in range(x.ndim)]
        widths = [w if isinstance(w, tuple) else (w, w) for w in widths]
    else:
        widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    values = np.broadcast_to(np.asarray(constant_values), (x.ndim, 2)).tolist()
    fill = {value for pair in values for value in pair}
    if len(fill) > 1:
        refuse("np.pad with a constant for each side", "pad once for each constant")
    if any(w < 0 for pair in widths for w in pair):
        raise ShapeError(f"pad widths {pad_width} must not be negative")
    shape = tuple(low + size + high for size, (low, high) in zip(x.node.shape, widths, strict=True))
    if shape == x.node.shape:
        return x
    starts = tuple(low for low, _ in widths)

    def padded(value: Tensor) -> Tensor:
        return Tensor(apply(PAD, value.node, start=starts, step=(1,) * x.ndim, shape=shape))

    value = fill.pop() if fill else 0
    if value == 0 or x.node.type.size == 0:
        return padded(x)
    inside = padded(broadcast_to(constant(np.ones((), x.dtype)), x.node.shape)) != 0
    return np.where(inside, padded(x), as_tensor(value, x.node.dtype).astype(x.dtype))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    x = moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = x.node.shape[-2:]
    down, right = max(-offset, 0), max(offset, 0)
    length = maximum(minimum(rows - down, columns - right), 0)
    x = _range(_range(x, x.ndim - 2, down, down + length), x.ndim - 1, right, right + length)
    label = x.ndim - 2
    batch = tuple(range(label))
    return Tensor(apply(EINSUM, x.node, inputs=((*batch, label, label),), output=(*batch, label)))


def diag(v: Any, k: int = 0) -> Tensor:
    x = as_tensor(v)
    if x.ndim == 2:
        return diagonal(x, k)
    n = x.node.shape[0]
    wide = broadcast_to(reshape(x, (-1, 1)) if k >= 0 else reshape(x, (1, -1)), (n, n))
    square = np.where(_offsets(x, n, n) == 0, wide, 0)
    return pad(square, ((max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0)))) if k else square


def _offsets(x: Tensor, rows: Size, columns: Size) -> Tensor:
    """column - row for every element of a matrix."""
    return reshape(x.arange(columns), (1, -1)) - reshape(x.arange(rows), (-1, 1))


def tril(m: Any, k: int = 0) -> Tensor:
    x = as_tensor(m)
    return np.where(_offsets(x, *x.node.shape[-2:]) <= k, x, np.zeros((), x.dtype))


def triu(m: Any, k: int = 0) -> Tensor:
    x = as_tensor(m)
    return np.where(_offsets(x, *x.node.shape[-2:]) >= k, x, np.zeros((), x.dtype))


# --- indexing -----------------------------------------------------------------------------------


def getitem(x: Tensor, key: Any) -> Tensor:
    """Slices with any step, integers, newaxis, ellipsis.

    Raises:
        ShapeError: too many indices, or an integer out of bounds.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    keys = [int(k) if isinstance(k, np.integer) else k for k in keys]
    for k in keys:
        if isinstance(k, bool | np.bool_ | Tensor | np.ndarray | list):
            refuse(
                f"indexing with {type(k).__name__} is not covered",
                "use slices and integers; np.where for masks",
            )
        if not (k is None or k is Ellipsis or isinstance(k, int | Dim | slice)):
            refuse(f"indexing with {k!r} of type {type(k).__name__}", "use slices and integers")
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise ShapeError(f"{used} indices for {x.node.type}")
    if keys.count(Ellipsis) > 1:
        raise ShapeError("an index can hold one ellipsis")
    spot = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    keys[spot : spot + 1] = [slice(None)] * (x.ndim - used)
    slices = [k for k in keys if k is not None]
    spans = [
        k if isinstance(k, slice) else _single(k, size)
        for k, size in zip(slices, x.node.shape, strict=True)
    ]
    value = _take_slices(x, spans)
    sizes = iter(value.node.shape)
    shape: list[Size] = []
    for k in keys:
        if k is None:
            shape.append(1)
        elif isinstance(k, slice):
            shape.append(next(sizes))
        else:
            next(sizes)
    return reshape(value, tuple(shape))


def _single(k: Size, size: Size) -> slice:
    inside = k < size if isinstance(k, int) and isinstance(size, int) else True
    if isinstance(k, int) and (not inside or (isinstance(size, int) and k < -size)):
        raise ShapeError(f"index {k} is out of bounds for size {size}")
    start = k + size if at_most(k, -1) else k
    return slice(start, start + 1, "single")


def _take_slices(x: Tensor, slices: list[slice]) -> Tensor:
    starts, steps, shape = [], [], []
    for k, size in zip(slices, x.node.shape, strict=True):
        start, step, length = _resolve(k, size)
        starts.append(start)
        steps.append(step)
        shape.append(length)
    if tuple(shape) == x.node.shape and all(s == 1 for s in steps):
        return x
    return Tensor(apply(SLICE, x.node, start=tuple(starts), step=tuple(steps), shape=tuple(shape)))


def _resolve(k: slice, size: Size) -> tuple[Size, int, Size]:
    """(start, step, length) as slice.indices gives them, for sizes known only at run time too."""
    if k.step == "single":
        return k.start, 1, 1
    step = 1 if k.step is None else int(k.step)
    if step == 0:
        raise ShapeError("slice step cannot be zero")
    if isinstance(size, int) and not isinstance(k.start, Dim) and not isinstance(k.stop, Dim):
        start, stop, _ = k.indices(size)
        return start, step, len(range(start, stop, step))
    low, high = (0, size) if step > 0 else (-1, size - 1)
    start = _clamp(k.start, size, low, high) if k.start is not None else (low if step > 0 else high)
    stop = _clamp(k.stop, size, low, high) if k.stop is not None else (high if step > 0 else low)
    return start, step, slice_length(start, stop, step)


def _clamp(bound: Any, size: Size, low: Size, high: Size) -> Size:
    given = as_size(bound) if not isinstance(bound, int) or bound >= 0 else size + bound
    if below(given, 0):
        given = given + size
    return minimum(maximum(given, low), high)


Tensor.__getitem__ = getitem  # type: ignore[attr-defined]  # methods live with their functions

FUNCTIONS.update(
    {
        np.reshape: reshape,
        np.transpose: transpose,
        np.permute_dims: transpose,
        np.swapaxes: swapaxes,
        np.moveaxis: moveaxis,
        np.rollaxis: rollaxis,
        np.expand_dims: expand_dims,
        np.squeeze: squeeze,
        np.broadcast_to: broadcast_to,
        np.broadcast_arrays: broadcast_arrays,
        np.flip: flip,
        np.roll: roll,
        np.fliplr: lambda m: flip(m, 1),
        np.flipud: lambda m: flip(m, 0),
        np.concatenate: concatenate,
        np.stack: stack,
        np.hstack: hstack,
        np.vstack: vstack,
        np.dstack: dstack,
        np.column_stack: column_stack,
        np.split: split,
        np.array_split: array_split,
        np.hsplit: lambda a, n: split(a, n, 0 if np.ndim(a) == 1 else 1),
        np.vsplit: lambda a, n: split(a, n, 0),
        np.tile: tile,
        np.repeat: repeat,
        np.pad: pad,
        np.diagonal: diagonal,
        np.diag: diag,
        np.tril: tril,
        np.triu: triu,
        np.ravel: lambda a, order="C": reshape(a, (-1,), order=order),
        np.atleast_1d: atleast(1),
        np.atleast_2d: atleast(2),
        np.atleast_3d: atleast(3),
        np.matrix_transpose: lambda x: swapaxes(x, -1, -2),
        np.shape: lambda a: as_tensor(a).shape,
        np.ndim: lambda a: as_tensor(a).ndim,
        np.size: lambda a, axis=None: (
            as_tensor(a).size if axis is None else as_tensor(a).shape[axis]
        ),
    }
)


def _flatten(self: Tensor, order: str = "C") -> Tensor:
    return reshape(self, (-1,), order=order)


for _name, _fn in (
    ("reshape", reshape),
    ("transpose", transpose),
    ("swapaxes", swapaxes),
    ("squeeze", squeeze),
    ("repeat", repeat),
    ("diagonal", diagonal),
    ("flatten", _flatten),
    ("ravel", _flatten),
):
    setattr(Tensor, _name, _fn)
