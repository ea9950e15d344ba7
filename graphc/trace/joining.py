"""NumPy's functions that join, repeat, pad and split tensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.shape import CONCATENATE, PAD
from graphc.trace.coverage import FUNCTIONS, refuse
from graphc.trace.indexing import slice_range, take_slices
from graphc.trace.shapes import as_shape, at_least, broadcast_to, expand_dims, reshape
from graphc.trace.tensor import Tensor, as_tensor, attach, constant, promote
from graphc.types import Dim, Size, as_size, floordiv, mod, normalize_axis


def concatenate(
    arrays: Any,
    /,
    axis: int | None = 0,
    out: None = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Tensor:
    """np.concatenate."""
    if out is not None:
        refuse("np.concatenate with out= writes into an array", "use the value it returns")
    tensors = promote(*arrays)
    if dtype is not None:
        tensors = tuple(x.astype(dtype) for x in tensors)
    if axis is None:
        tensors, axis = tuple(reshape(x, (-1,)) for x in tensors), 0
    if not all(x.ndim for x in tensors):
        raise ShapeError("zero-dimensional arrays cannot be concatenated; use np.stack")
    axis = normalize_axis(axis, tensors[0].ndim)
    if any(x.ndim != tensors[0].ndim for x in tensors):
        listed = " and ".join(str(x.node.type) for x in tensors)
        raise ShapeError(f"concatenate needs arrays of one rank, not {listed}")
    return Tensor(apply(CONCATENATE, *(x.node for x in tensors), axes=(axis,)))


def stack(arrays: Any, axis: int = 0, out: None = None, **options: Any) -> Tensor:
    """np.stack."""
    tensors = promote(*arrays)
    shapes = {x.node.shape for x in tensors}
    if len(shapes) > 1:
        listed = " and ".join(str(x.node.type) for x in tensors)
        raise ShapeError(f"stack needs arrays of one shape, not {listed}")
    axis = normalize_axis(axis, tensors[0].ndim + 1)
    return concatenate([expand_dims(x, axis) for x in tensors], axis, out, **options)


def hstack(tup: Any, **options: Any) -> Tensor:
    """np.hstack."""
    arrays = [at_least(x, 1) for x in tup]
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1, **options)


def vstack(tup: Any, **options: Any) -> Tensor:
    """np.vstack."""
    return concatenate([at_least(x, 2) for x in tup], 0, **options)


def dstack(tup: Any) -> Tensor:
    """np.dstack."""
    return concatenate([at_least(x, 3) for x in tup], 2)


def column_stack(tup: Any) -> Tensor:
    """np.column_stack."""
    arrays = [as_tensor(x) for x in tup]
    return concatenate([x if x.ndim > 1 else reshape(x, (-1, 1)) for x in arrays], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Tensor:
    """np.append."""
    return concatenate((arr, values), axis)


def block(arrays: Any) -> Tensor:
    """np.block: nested lists, the innermost joined along the last axis."""

    def depth(part: Any) -> int:
        return 1 + max(map(depth, part)) if isinstance(part, list) else 0

    def leaves(part: Any) -> list[Any]:
        return [x for p in part for x in leaves(p)] if isinstance(part, list) else [part]

    levels = depth(arrays)
    rank = max(levels, *(as_tensor(x).ndim for x in leaves(arrays)))

    def join(part: Any, level: int) -> Tensor:
        if not isinstance(part, list):
            x = as_tensor(part)
            return reshape(x, (1,) * (rank - x.ndim) + x.shape)
        return concatenate([join(p, level - 1) for p in part], -level)

    return join(arrays, levels)


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """np.split."""
    x = as_tensor(ary)
    axis = normalize_axis(axis, x.ndim)
    size = x.node.shape[axis]
    if isinstance(indices_or_sections, int) and mod(size, indices_or_sections) != 0:
        raise ShapeError(f"split: {size} elements do not divide into {indices_or_sections} parts")
    return array_split(x, indices_or_sections, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """np.array_split."""
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
        return [slice_range(x, axis, a, b) for a, b in itertools.pairwise(bounds)]
    cuts = [0, *indices_or_sections, None]
    return [
        take_slices(x, [slice(a, b) if i == axis else slice(None) for i in range(x.ndim)])
        for a, b in itertools.pairwise(cuts)
    ]


def split_along(name: str, rank: int, axis: int) -> Any:
    """np.hsplit, vsplit or dsplit."""

    def cut(ary: Any, indices_or_sections: Any) -> list[Tensor]:
        x = as_tensor(ary)
        if x.ndim < rank:
            raise ShapeError(f"{name} needs {rank} or more dimensions, not {x.node.type}")
        return split(x, indices_or_sections, 0 if x.ndim == 1 else axis)

    return cut


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """np.unstack."""
    value = as_tensor(x)
    if not value.ndim:
        raise ShapeError("unstack needs at least one dimension")
    return tuple(np.moveaxis(value, axis, 0))


def tile(A: Any, reps: Any) -> Tensor:
    """np.tile."""
    x = as_tensor(A)
    counts = as_shape(reps)
    rank = max(x.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - x.ndim) + x.node.shape
    apart = tuple(part for size in shape for part in (1, size))
    wide = tuple(part for n, size in zip(counts, shape, strict=True) for part in (n, size))
    joined = tuple(as_size(n) * size for n, size in zip(counts, shape, strict=True))
    return reshape(broadcast_to(reshape(x, apart), wide), joined)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """np.repeat by one number, or by counts that are known while tracing."""
    x = as_tensor(a)
    if axis is None or not x.ndim:
        x = reshape(x, (-1,))
    axis = 0 if axis is None else normalize_axis(axis, x.ndim)
    if not isinstance(repeats, int | np.integer | Dim):
        size = x.node.shape[axis]
        if isinstance(repeats, Tensor) or not isinstance(size, int):
            refuse(
                "np.repeat with a count for each element, not known while tracing, has a result "
                "whose shape depends on data",
                "give one number, or counts that are constants",
            )
        places = np.repeat(np.arange(size), repeats)
        return np.take(x, places, axis)
    shape = x.node.shape
    apart = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    wide = (*shape[: axis + 1], as_size(repeats), *shape[axis + 1 :])
    joined = (*shape[:axis], shape[axis] * as_size(repeats), *shape[axis + 1 :])
    return reshape(broadcast_to(reshape(x, apart), wide), joined)


def sides(given: Any, rank: int, what: str) -> list[tuple[Any, Any]]:
    """(before, after) for each axis, from all the ways NumPy lets it be written."""
    if isinstance(given, dict):
        for axis in given:
            normalize_axis(axis, rank, f"{what} axis")
        either = [given.get(i, given.get(i - rank, 0)) for i in range(rank)]
        return [w if isinstance(w, tuple) else (w, w) for w in either]
    if isinstance(given, Dim | int | float | np.generic):
        return [(given, given)] * rank
    rows = [tuple(part) if isinstance(part, Sequence | np.ndarray) else part for part in given]
    if all(not isinstance(part, tuple) for part in rows):
        rows = [tuple(rows * 2 if len(rows) == 1 else rows)]
    rows = [part * 2 if len(part) == 1 else part for part in rows]
    if any(len(part) != 2 for part in rows) or len(rows) not in (1, rank):
        raise ShapeError(f"{what} {given} does not fit {rank} dimension(s)")
    return rows * rank if len(rows) == 1 else rows


def pad(array: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Tensor:
    """np.pad with constants, which may differ from side to side."""
    x = as_tensor(array)
    if mode != "constant" or set(options) - {"constant_values"}:
        refuse(f"np.pad with mode={mode!r} is not covered", "mode='constant' is")
    widths = sides(pad_width, x.ndim, "pad_width")
    values = sides(options.get("constant_values", 0), x.ndim, "constant_values")
    for width in itertools.chain.from_iterable(widths) if x.ndim else (pad_width,):
        if isinstance(width, int | np.integer | Dim):
            as_size(width)
    plain = all(
        isinstance(v, int | float | np.generic) and v == values[0][0]
        for v in itertools.chain.from_iterable(values)
    )
    if plain or not x.ndim:
        return _pad_with(x, widths, values[0][0] if values else 0)
    for axis in range(x.ndim):
        for side in (0, 1):
            only = [[0, 0] for _ in range(x.ndim)]
            only[axis][side] = widths[axis][side]
            x = _pad_with(x, only, values[axis][side])
    return x


def _pad_with(x: Tensor, widths: Sequence[Sequence[Size]], value: Any) -> Tensor:
    """Widened by one constant."""
    widths = [(as_size(low), as_size(high)) for low, high in widths]
    shape = tuple(low + size + high for size, (low, high) in zip(x.node.shape, widths, strict=True))
    if shape == x.node.shape:
        return x
    start = tuple(low for low, _ in widths)

    def padded(inner: Tensor) -> Tensor:
        return Tensor(apply(PAD, inner.node, start=start, step=(1,) * x.ndim, shape=shape))

    fill = as_tensor(np.asarray(value).astype(x.dtype))
    if not isinstance(value, Tensor) and not np.asarray(value).astype(x.dtype).any():
        return padded(x)
    inside = padded(broadcast_to(constant(np.asarray(True)), x.node.shape))
    return np.where(inside, padded(x), fill)


FUNCTIONS.update({
    np.concatenate: concatenate, np.stack: stack, np.hstack: hstack, np.vstack: vstack,
    np.dstack: dstack, np.column_stack: column_stack, np.append: append, np.block: block,
    np.split: split, np.array_split: array_split, np.hsplit: split_along("hsplit", 1, 1),
    np.vsplit: split_along("vsplit", 2, 0), np.dsplit: split_along("dsplit", 3, 2),
    np.tile: tile, np.repeat: repeat, np.pad: pad,
})  # fmt: skip
if hasattr(np, "unstack"):  # NumPy 2.1
    FUNCTIONS[np.unstack] = unstack
attach("repeat", repeat)
