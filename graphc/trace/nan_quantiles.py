"""Medians and quantiles of what is not nan, and np.insert."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.trace.coverage import FUNCTIONS, refuse
from graphc.trace.gathering import take
from graphc.trace.ordering import sorted_rows, spread
from graphc.trace.shapes import reshape
from graphc.trace.tensor import Tensor, as_tensor
from graphc.types import normalize_axis

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator,type-var"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.


def nanquantile(
    a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: Any = None,
) -> Tensor:  # fmt: skip
    """np.nanquantile, between neighbours."""
    if method != "linear" or weights is not None or out is not None:
        refuse(f"np.nanquantile with method={method!r}, weights= or out=", "leave them out")
    rows, axes, rank = sorted_rows(a, axis)
    count = np.sum(~np.isnan(rows), axis=-1)
    level = as_tensor(q, rows.node.dtype)
    level = reshape(level, (*level.shape, *(1,) * (rows.ndim - 1)))
    last = np.maximum(count - 1, 0)
    spot = level * last.astype(level.dtype)
    low = np.floor(spot)
    share = spot - low
    below = low.astype(np.int64)
    a_, b_ = (_at(rows, k) for k in (below, np.minimum(below + 1, last)))
    value = np.where(share >= 0.5, b_ - (b_ - a_) * (1 - share), a_ + (b_ - a_) * share)
    return spread(value, axes, rank, bool(keepdims), np.ndim(q))


def _at(rows: Tensor, places: Tensor) -> Tensor:
    """Element `places` of each row; those in front are results of their own."""
    lead = places.ndim - (rows.ndim - 1)
    wide = np.broadcast_to(rows, (*places.shape[:lead], *rows.shape))
    return np.take_along_axis(wide, places[..., None], -1)[..., 0]


def nanpercentile(a: Any, q: Any, *args: Any, **options: Any) -> Tensor:
    """np.nanpercentile."""
    return nanquantile(
        a, q / 100 if isinstance(q, Tensor) else np.asarray(q) / 100, *args, **options
    )


def nanmedian(
    a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False,
    keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """np.nanmedian."""
    return nanquantile(a, 0.5, axis, out, keepdims=keepdims)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Tensor:
    """np.insert at places known while tracing."""
    x = as_tensor(arr)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(axis, x.ndim)
    size = x.node.shape[axis]
    if isinstance(obj, Tensor) or not isinstance(size, int):
        refuse(
            "np.insert at places, or along an axis, not known while tracing", "use np.concatenate"
        )
    places = np.arange(size)[obj] if isinstance(obj, slice) else np.asarray(obj)
    places = np.flatnonzero(places) if places.dtype == bool else places.astype(int)
    more = as_tensor(values).astype(x.dtype)
    if places.ndim == 0 and more.ndim:  # the values' first axis is the one that is inserted
        more = np.moveaxis(reshape(more, (*(1,) * (x.ndim - more.ndim), *more.shape)), 0, axis)
    wide = places.size == 1 and more.ndim == x.ndim
    count = more.shape[axis] if wide else places.size
    rest = [s for k, s in enumerate(x.node.shape) if k != axis]
    more = np.broadcast_to(more, (*rest[:axis], count, *rest[axis:]))
    order = np.insert(np.arange(size), places, size + np.arange(count))
    return take(np.concatenate([x, more], axis), order, axis)


FUNCTIONS.update({
    np.nanquantile: nanquantile, np.nanpercentile: nanpercentile, np.nanmedian: nanmedian,
    np.insert: insert,
})  # fmt: skip
