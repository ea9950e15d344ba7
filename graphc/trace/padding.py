"""np.pad in all modes, and sliding windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.windows import WINDOWS
from graphc.trace import joining
from graphc.trace.coverage import FUNCTIONS, place, refuse
from graphc.trace.gathering import take
from graphc.trace.indexing import slice_range, take_slices
from graphc.trace.ordering import median
from graphc.trace.shapes import as_shape, broadcast_to, reshape
from graphc.trace.tensor import Tensor, as_tensor
from graphc.types import Size, as_size, at_most, maximum, normalize_axis

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Tensor:
    """np.lib.stride_tricks.sliding_window_view. Steps are slices of the result: ``[::2, ::2]``."""
    value = as_tensor(x)
    window = tuple(as_size(size) for size in as_shape(window_shape))
    axes = tuple(range(value.ndim)) if axis is None else as_shape(axis)
    if len(window) != len(axes):
        raise ValueError(f"sliding_window_view: {len(window)} window sizes for {len(axes)} axes")
    axes = tuple(normalize_axis(int(i), value.ndim) for i in axes)
    left = list(value.node.shape)
    for i, size in zip(axes, window, strict=True):
        left[i] = left[i] - size + 1
        if at_most(left[i], 0):
            raise ShapeError(
                f"a window of {size} does not fit {value.node.type} along axis {i}{place()}"
            )
    return Tensor(apply(WINDOWS, value.node, axes=axes, window=window))


# --- pad ----------------------------------------------------------------------------------------

OPTIONS = {
    "constant": {"constant_values"}, "linear_ramp": {"end_values"}, "edge": set(), "wrap": set(),
    "maximum": {"stat_length"}, "minimum": {"stat_length"}, "mean": {"stat_length"},
    "median": {"stat_length"}, "reflect": {"reflect_type"}, "symmetric": {"reflect_type"},
}  # fmt: skip


def pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Tensor:
    """np.pad; mode 'empty' and functions are refused."""
    if mode not in OPTIONS:
        refuse(f"np.pad with mode={mode!r}", f"use one of {', '.join(OPTIONS)}")
    unknown = set(options) - OPTIONS[mode]
    if unknown:
        raise ValueError(f"np.pad: mode {mode!r} does not take {', '.join(sorted(unknown))}")
    if mode == "constant":
        return joining.pad(array, pad_width, **options)
    x = as_tensor(array)
    widths = joining.sides(pad_width, x.ndim, "pad_width")
    for axis, (low, high) in enumerate(widths):
        sides = as_size(low), as_size(high)
        if sides == (0, 0):
            continue
        if x.node.shape[axis] == 0:
            raise ShapeError(f"np.pad: mode {mode!r} cannot extend an empty axis{place()}")
        x = _extended(x, axis, sides, mode, options)
    return x


def _extended(
    x: Tensor, axis: int, sides: tuple[Size, Size], mode: str, options: dict[str, Any]
) -> Tensor:
    if mode == "linear_ramp":
        ends = joining.sides(options.get("end_values", 0), x.ndim, "end_values")[axis]
        parts = [
            _ramp(x, axis, width, end, at_start)
            for width, end, at_start in zip(sides, ends, (True, False), strict=True)
        ]
        return _joined(x, axis, parts)
    if mode in STATISTICS:
        lengths = options.get("stat_length")
        spans = joining.sides(lengths, x.ndim, "stat_length")[axis] if lengths else (None, None)
        parts = [
            _statistic(x, axis, width, span, at_start, STATISTICS[mode])
            for width, span, at_start in zip(sides, spans, (True, False), strict=True)
        ]
        return _joined(x, axis, parts)
    places = _places(x, axis, sides, mode)
    if options.get("reflect_type", "even") == "odd":
        return _odd(x, axis, sides, places)
    return _at_places(x, axis, places)


def _joined(x: Tensor, axis: int, parts: list[Tensor]) -> Tensor:
    found = [p for p in (parts[0], x, parts[1]) if p.node.shape[axis] != 0]
    return np.concatenate(found, axis)


def _edge(x: Tensor, axis: int, at_start: bool) -> Tensor:
    size = x.node.shape[axis]
    return slice_range(x, axis, 0 if at_start else size - 1, 1 if at_start else size)


def _wide(x: Tensor, axis: int, width: Size) -> Tensor:
    shape = tuple(width if i == axis else size for i, size in enumerate(x.node.shape))
    return broadcast_to(x, shape)


def _ramp(x: Tensor, axis: int, width: Size, end: Any, at_start: bool) -> Tensor:
    """From the end value, which it has, to the edge, which comes next."""
    edge = _edge(x, axis, at_start).astype(np.float64 if x.node.dtype.kind != "f" else x.dtype)
    steps = x.arange(width).astype(edge.dtype)
    if not at_start:
        steps = as_tensor(width).astype(edge.dtype) - 1 - steps
    steps = reshape(steps, tuple(-1 if i == axis else 1 for i in range(x.ndim)))
    first = as_tensor(end, edge.node.dtype).astype(edge.dtype)
    found = steps * ((edge - first) / as_tensor(maximum(width, 1)).astype(edge.dtype)) + first
    return (np.floor(found) if x.node.dtype.kind != "f" else found).astype(x.dtype)


def _statistic(
    x: Tensor, axis: int, width: Size, span: Any, at_start: bool, fn: Callable[..., Tensor]
) -> Tensor:
    size = x.node.shape[axis]
    if span is not None and isinstance(size, int):
        span = min(int(span), size)
        x_ = slice_range(x, axis, 0 if at_start else size - span, span if at_start else size)
    else:
        x_ = x
    found = fn(x_, axis=axis, keepdims=True)
    if x.node.dtype.kind != "f" and found.node.dtype.kind == "f":
        found = np.rint(found)
    return _wide(found.astype(x.dtype), axis, width)


STATISTICS: dict[str, Any] = {"maximum": np.max, "minimum": np.min, "mean": np.mean,
                              "median": median}  # fmt: skip


def _places(x: Tensor, axis: int, sides: tuple[Size, Size], mode: str) -> Any:
    """Where each element of the padded axis comes from: an array, traced for run-time sizes."""
    size = x.node.shape[axis]
    if isinstance(size, int) and all(isinstance(side, int) for side in sides):
        return np.pad(np.arange(size), sides, mode=mode)
    low, high = sides
    i = x.arange(low + size + high) - as_tensor(low)
    n = as_tensor(size)
    match mode:
        case "edge":
            return np.clip(i, 0, n - 1)
        case "wrap":
            return np.remainder(i, np.maximum(n, 1))
        case "symmetric":
            back = np.remainder(i, 2 * np.maximum(n, 1))
            return np.where(back < n, back, 2 * n - 1 - back)
    back = np.remainder(i, np.maximum(2 * n - 2, 1))
    return np.where(back < n, back, 2 * n - 2 - back)


MOST_PIECES = 5


def _at_places(x: Tensor, axis: int, places: Any) -> Tensor:
    """x[places] along an axis: few slices joined, which need no table, or a gather."""
    if isinstance(places, Tensor):
        return take(x, places, axis, mode="clip")
    runs = _runs(places)
    if len(runs) > MOST_PIECES:
        return take(x, places, axis)
    parts = []
    for start, step, length in runs:
        if step == 0:
            part = _wide(slice_range(x, axis, start, start + 1), axis, length)
        else:
            stop = start + step * length
            cut = slice(start, None if stop < 0 else stop, step)
            part = take_slices(x, [cut if i == axis else slice(None) for i in range(x.ndim)])
        parts.append(part)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def _runs(places: Any) -> list[tuple[int, int, int]]:
    """(start, step, length) of the longest stretches with a step of 1, -1 or 0."""
    runs: list[tuple[int, int, int]] = []
    i, count = 0, len(places)
    while i < count:
        step = int(places[i + 1] - places[i]) if i + 1 < count else 1
        step = step if step in (-1, 0, 1) else 1
        end = i + 1
        while end < count and places[end] - places[end - 1] == step:
            end += 1
        runs.append((int(places[i]), step, end - i))
        i = end
    return runs


def _odd(x: Tensor, axis: int, sides: tuple[Size, Size], places: Any) -> Tensor:
    """Reflected about the edges' values, too."""
    size = x.node.shape[axis]
    if isinstance(places, Tensor) or max(sides) >= size:
        refuse(
            "np.pad with reflect_type='odd' wider than the array",
            "use a fixed size, larger than the padding",
        )
    low = sides[0]
    parts = []
    for at_start, part in ((True, places[:low]), (False, places[low + size :])):
        if len(part):
            parts.append(2 * _edge(x, axis, at_start) - _at_places(x, axis, part))
        else:
            parts.append(slice_range(x, axis, 0, 0))
    return _joined(x, axis, parts)


FUNCTIONS[np.pad] = pad
FUNCTIONS[np.lib.stride_tricks.sliding_window_view] = sliding_window_view
