"""NumPy's functions that rearrange one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.shape import BROADCAST, RESHAPE, TRANSPOSE
from graphc.trace.coverage import FUNCTIONS
from graphc.trace.indexing import slice_range, take_slices
from graphc.trace.tensor import Tensor, as_tensor, attach
from graphc.types import (
    Dim,
    Size,
    as_size,
    broadcast_shapes,
    floordiv,
    maximum,
    mod,
    normalize_axis,
    product,
)


def as_shape(shape: Any) -> tuple[Any, ...]:
    """A tuple from one size or a sequence of them."""
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
    """np.reshape; one size may be -1. A traced array lies in C order, so "A" and "K" are "C"."""
    x = as_tensor(a)
    if order not in ("C", "A", "K", "F"):
        raise ValueError(f"order is one of 'C', 'F', 'A' and 'K', not {order!r}")
    given = as_shape(newshape if shape is None else shape) + more
    if order == "F":
        return transpose(reshape(transpose(x), given[::-1]))
    unknown = [
        axis
        for axis, size in enumerate(given)
        if not isinstance(size, Tensor) and isinstance(size, int | np.integer) and size == -1
    ]
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
    """np.transpose, and the method that takes the axes one by one."""
    x = as_tensor(a)
    order = tuple(reversed(range(x.ndim))) if axes is None else as_shape(axes) + more
    order = tuple(normalize_axis(int(axis), x.ndim) for axis in order)
    return x if order == tuple(range(x.ndim)) else Tensor(apply(TRANSPOSE, x.node, axes=order))


def swapaxes(a: Any, axis1: int, axis2: int) -> Tensor:
    """np.swapaxes."""
    x = as_tensor(a)
    order = list(range(x.ndim))
    i, j = normalize_axis(axis1, x.ndim), normalize_axis(axis2, x.ndim)
    order[i], order[j] = order[j], order[i]
    return transpose(x, order)


def matrix_transpose(x: Any, /) -> Tensor:
    """np.matrix_transpose."""
    value = as_tensor(x)
    if value.ndim < 2:
        raise ShapeError(f"matrix_transpose needs two or more dimensions, not {value.node.type}")
    return swapaxes(value, -1, -2)


def moveaxis(a: Any, source: Any, destination: Any) -> Tensor:
    """np.moveaxis."""
    x = as_tensor(a)
    sources = [normalize_axis(i, x.ndim) for i in as_shape(source)]
    targets = [normalize_axis(i, x.ndim) for i in as_shape(destination)]
    if not len(sources) == len(targets) == len(set(sources)) == len(set(targets)):
        raise ShapeError(f"moveaxis: source {source} and destination {destination} do not pair up")
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return transpose(x, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Tensor:
    """np.rollaxis."""
    x = as_tensor(a)
    axis = normalize_axis(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    if not 0 <= start <= x.ndim:
        raise ShapeError(f"rollaxis: start {start} is out of range for {x.ndim} dimension(s)")
    order = [i for i in range(x.ndim) if i != axis]
    order.insert(start - 1 if axis < start else start, axis)
    return transpose(x, order)


def expand_dims(a: Any, axis: Any) -> Tensor:
    """np.expand_dims."""
    x = as_tensor(a)
    rank = x.ndim + len(as_shape(axis))
    added = {normalize_axis(i, rank) for i in as_shape(axis)}
    if len(added) != len(as_shape(axis)):
        raise ShapeError(f"expand_dims: axis {axis} names one axis twice")
    sizes = iter(x.node.shape)
    return reshape(x, tuple(1 if i in added else next(sizes) for i in range(rank)))


def squeeze(a: Any, axis: Any = None) -> Tensor:
    """np.squeeze."""
    x = as_tensor(a)
    if axis is None:
        gone = {i for i, size in enumerate(x.node.shape) if size == 1}
    elif not x.ndim and axis in (0, -1):
        gone = set()
    else:
        gone = {normalize_axis(i, x.ndim) for i in as_shape(axis)}
        for i in gone:
            if x.node.shape[i] != 1:
                raise ShapeError(f"squeeze: axis {i} of {x.node.type} has size {x.node.shape[i]}")
    return reshape(x, tuple(size for i, size in enumerate(x.node.shape) if i not in gone))


def broadcast_to(a: Any, shape: Any, subok: bool = False) -> Tensor:
    """np.broadcast_to."""
    x = as_tensor(a)
    target = tuple(as_size(size) for size in as_shape(shape))
    return x if target == x.node.shape else Tensor(apply(BROADCAST, x.node, shape=target))


def broadcast_arrays(*arrays: Any, subok: bool = False) -> tuple[Tensor, ...]:
    """np.broadcast_arrays."""
    tensors = [as_tensor(x) for x in arrays]
    shape = broadcast_shapes(*(x.node.shape for x in tensors))
    return tuple(broadcast_to(x, shape) for x in tensors)


def meshgrid(
    *arrays: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Tensor, ...]:
    """np.meshgrid."""
    rank = len(arrays)
    place = {0: 1, 1: 0} if indexing == "xy" and rank > 1 else {}
    axes = [place.get(i, i) for i in range(rank)]
    grids = [
        reshape(x, tuple(-1 if i == axis else 1 for i in range(rank)))
        for x, axis in zip(arrays, axes, strict=True)
    ]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def flip(m: Any, axis: Any = None) -> Tensor:
    """np.flip."""
    x = as_tensor(m)
    axes = range(x.ndim) if axis is None else [normalize_axis(i, x.ndim) for i in as_shape(axis)]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"flip: axis {axis} names one axis twice")
    return take_slices(
        x, [slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)]
    )


def _flip_matrix(name: str, rank: int, axis: int) -> Any:
    def turn(m: Any) -> Tensor:
        x = as_tensor(m)
        if x.ndim < rank:
            raise ShapeError(f"{name} needs {rank} or more dimensions, not {x.node.type}")
        return flip(x, axis)

    return turn


def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """np.rot90."""
    x = as_tensor(m)
    i, j = (normalize_axis(axis, x.ndim) for axis in axes)
    if i == j:
        raise ShapeError(f"rot90: axes {tuple(axes)} must be different")
    match k % 4:
        case 0:
            return x
        case 1:
            return swapaxes(flip(x, j), i, j)
        case 2:
            return flip(x, (i, j))
    return flip(swapaxes(x, i, j), j)


def roll(a: Any, shift: Any, axis: Any = None) -> Tensor:
    """np.roll."""
    x = as_tensor(a)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), sum(as_shape(shift)), 0), x.node.shape)
    shifts, axes = as_shape(shift), as_shape(axis)
    count = max(len(shifts), len(axes))
    shifts, axes = (part * count if len(part) == 1 else part for part in (shifts, axes))
    for by, where in zip(shifts, axes, strict=True):
        i = normalize_axis(where, x.ndim)
        size = x.node.shape[i]
        cut = size - mod(as_size(by) if isinstance(by, Dim) else int(by), maximum(size, 1))
        if cut != size:
            parts = [slice_range(x, i, cut, size), slice_range(x, i, 0, cut)]
            x = np.concatenate(parts, i)
    return x


def at_least(x: Any, rank: int) -> Tensor:
    """With axes of size 1 added as np.atleast_1d, atleast_2d and atleast_3d do."""
    value = as_tensor(x)
    if value.ndim >= rank:
        return value
    if rank == 3:
        shapes = {0: (1, 1, 1), 1: (1, *value.shape, 1), 2: (*value.shape, 1)}
        return reshape(value, shapes[value.ndim])
    return reshape(value, (1,) * (rank - value.ndim) + value.shape)


def _atleast(rank: int) -> Any:
    def convert(*arrays: Any) -> Any:
        found = tuple(at_least(x, rank) for x in arrays)
        return found[0] if len(found) == 1 else found

    return convert


def ravel(a: Any, order: str = "C") -> Tensor:
    """np.ravel, and .flatten()."""
    return reshape(a, (-1,), order=order)


def size(a: Any, axis: Any = None) -> Any:
    """np.size."""
    x = as_tensor(a)
    return (
        x.size
        if axis is None
        else product(x.shape[normalize_axis(i, x.ndim)] for i in as_shape(axis))
    )


FUNCTIONS.update({
    np.reshape: reshape, np.transpose: transpose, np.permute_dims: transpose,
    np.swapaxes: swapaxes, np.moveaxis: moveaxis, np.rollaxis: rollaxis,
    np.expand_dims: expand_dims, np.squeeze: squeeze, np.broadcast_to: broadcast_to,
    np.broadcast_arrays: broadcast_arrays, np.meshgrid: meshgrid, np.flip: flip,
    np.fliplr: _flip_matrix("fliplr", 2, 1), np.flipud: _flip_matrix("flipud", 1, 0),
    np.rot90: rot90, np.roll: roll, np.ravel: ravel, np.atleast_1d: _atleast(1),
    np.atleast_2d: _atleast(2), np.atleast_3d: _atleast(3),
    np.matrix_transpose: matrix_transpose, np.linalg.matrix_transpose: matrix_transpose,
    np.shape: lambda a: as_tensor(a).shape, np.ndim: lambda a: as_tensor(a).ndim, np.size: size,
})  # fmt: skip
for _name, _fn in (("reshape", reshape), ("transpose", transpose), ("swapaxes", swapaxes),
                   ("squeeze", squeeze), ("flatten", ravel), ("ravel", ravel)):  # fmt: skip
    attach(_name, _fn)
