"""x[...] on tensors: slices with any step, integers, newaxis, ellipsis."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.shape import RESHAPE, SLICE
from graphc.trace.coverage import refuse
from graphc.trace.tensor import Tensor
from graphc.types import (
    Dim,
    Size,
    as_size,
    at_most,
    floordiv,
    maximum,
    minimum,
    mod,
    names,
    substitute,
)


def getitem(x: Tensor, key: Any) -> Tensor:
    """NumPy's basic indexing; `gathering` has that with arrays.

    Raises:
        ShapeError: too many indices, or an integer out of bounds.
        TraceError: what is no index.
    """
    keys = [
        int(k) if isinstance(k, np.integer) else k
        for k in (key if isinstance(key, tuple) else (key,))
    ]
    for k in keys:
        check_key(k)
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise ShapeError(f"{used} indices for {x.node.type}")
    if keys.count(Ellipsis) > 1:
        raise ShapeError("an index can hold one ellipsis ('...')")
    spot = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    keys[spot : spot + 1] = [slice(None)] * (x.ndim - used)
    picks = [k for k in keys if k is not None]
    value = take_slices(x, picks)
    sizes = iter(value.node.shape)
    shape: list[Size] = []
    for k in keys:
        size = 1 if k is None else next(sizes)
        if k is None or isinstance(k, slice):
            shape.append(size)
    target = tuple(shape)
    if target == value.node.shape:
        return value
    return Tensor(apply(RESHAPE, value.node, shape=target))


def check_key(k: Any) -> None:
    """Refuse what is no slice, integer, newaxis or ellipsis."""
    if not (k is None or k is Ellipsis or isinstance(k, int | Dim | slice)):
        refuse(
            f"indexing with {k!r} of type {type(k).__name__}",
            "use slices, integers and arrays of integers",
        )


def take_slices(x: Tensor, picks: list[Any]) -> Tensor:
    """One slice or integer for each axis; integers leave an axis of size 1."""
    spans = [resolve(k, size) for k, size in zip(picks, x.node.shape, strict=True)]
    start, step, shape = zip(*spans, strict=True) if spans else ((), (), ())
    if shape == x.node.shape and all(s == 1 for s in step):
        return x
    return Tensor(apply(SLICE, x.node, start=start, step=step, shape=shape))


def slice_range(x: Tensor, axis: int, start: Size, stop: Size) -> Tensor:
    """x[start:stop] along one axis, for bounds known to lie within it."""
    shape = tuple(stop - start if i == axis else size for i, size in enumerate(x.node.shape))
    if shape == x.node.shape:
        return x
    starts = tuple(start if i == axis else 0 for i in range(x.ndim))
    return Tensor(apply(SLICE, x.node, start=starts, step=(1,) * x.ndim, shape=shape))


def resolve(k: Any, size: Size) -> tuple[Size, int, Size]:
    """(start, step, length) as slice.indices gives them, for sizes known only at run time too.

    A start beyond the end is left there: the length is 0 then, and nothing is read.
    """
    if not isinstance(k, slice):
        if isinstance(k, int) and isinstance(size, int) and not -size <= k < size:
            raise ShapeError(f"index {k} is out of bounds for an axis of size {size}")
        return _from_front(k, size, single=True), 1, 1
    step = 1 if k.step is None else _whole(k.step)
    if step == 0:
        raise ShapeError("slice step cannot be zero")
    start, stop = (None if b is None else _from_front(b, size) for b in (k.start, k.stop))
    if step > 0:
        first: Size = 0 if start is None else maximum(start, 0)
        span = _minus(size if stop is None else minimum(stop, size), first)
    else:
        first = size - 1 if start is None else minimum(start, size - 1)
        span = _minus(first, -1 if stop is None else maximum(stop, -1))
    length = maximum(floordiv(span + abs(step) - 1, abs(step)), 0)
    return (first if length != 0 else 0), step, length


def _whole(k: Any) -> int:
    if isinstance(k, int | np.integer):
        return int(k)
    return refuse(f"a slice step of {k!r}", "give an int that is known while tracing")


def _from_front(k: Any, size: Size, single: bool = False) -> Size:
    """The bound counted from the front: k, or k + size where k is negative.

    A run-time bound whose sign is not known becomes k + size * [k < 0], in sizes.
    """
    if isinstance(k, int | np.integer):
        return int(k) if k >= 0 else size + int(k)
    if not isinstance(k, Dim):
        refuse(
            f"a slice bound {k!r} of type {type(k).__name__}",
            "give an int, or arithmetic on x.shape",
        )
    k = as_size(k)
    if at_most(0, k):
        return k
    if single:
        return mod(k, maximum(size, 1))
    # With every name at least 1 the sign may be known, and an empty axis has nothing to add.
    ones = {name: Dim.named(name) + 1 for name in names(k)}
    empty = len(ones) == 1 and substitute(size, dict.fromkeys(ones, 0)) == 0
    if empty and at_most(0, substitute(k, ones)):
        return k
    if empty and at_most(substitute(k, ones), -1):
        return k + size
    return k + size * minimum(maximum(-k, 0), 1)


def _minus(a: Size, b: Size) -> Size:
    """a - b with a minimum or maximum brought outside, so that equal lengths look equal."""
    for kind, join, opposite in (("max", maximum, minimum), ("min", minimum, maximum)):
        if (parts := _parts(b, kind)) is not None:
            return opposite(a - parts[0], a - parts[1])
        if (parts := _parts(a, kind)) is not None:
            return join(parts[0] - b, parts[1] - b)
    return a - b


def _parts(size: Size, kind: str) -> tuple[Size, Size] | None:
    """(a, b) when the size is exactly min(a, b) or max(a, b)."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        ((monomial, coefficient),) = size.terms
        if coefficient == 1 and len(monomial) == 1 and not isinstance(monomial[0], str):
            atom = monomial[0]
            if atom.kind == kind:
                return atom.a, atom.b
    return None
