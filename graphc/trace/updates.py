"""x.at[i].set(v), add, ...: a copy of x with some elements changed, as in JAX."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.indexing import SCATTER
from graphc.ops.reduce import position
from graphc.trace import indexing
from graphc.trace.coverage import place
from graphc.trace.gathering import Key, getitem, known, read_key, within
from graphc.trace.shapes import broadcast_to, moveaxis, reshape
from graphc.trace.tensor import Tensor, as_tensor
from graphc.types import Shape, Size, bool_, product

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment,operator"
# NumPy's stubs know arrays only; its functions answer tensors with tensors.


def at(x: Any) -> At:
    """``graphc.at(x)[key].add(v)``: what ``x.at[key].add(v)`` is on traced values, for arrays too.

    The key is anything that indexes x. The result is a new array of x's shape and dtype, in which
    the elements x[key] were changed by the values (broadcast and cast to them) in order, so that
    what is named twice is changed twice: ``set``, ``add``, ``subtract``, ``multiply``, ``divide``,
    ``power``, ``max``, ``min``; ``get`` reads. A traced index out of bounds is an error in the
    reference; compiled C takes the nearest element.
    """
    return At(x)


class At:
    """`graphc.at(x)`, to be indexed."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __getitem__(self, key: Any) -> Place:
        return Place(self.x, key)


def _is_traced(*values: Any) -> bool:
    return any(
        isinstance(part, Tensor)
        for value in values
        for part in (value if isinstance(value, tuple | list) else (value,))
    )


class Place:
    """`graphc.at(x)[key]`, with the ways to change it."""

    __slots__ = ("key", "x")

    def __init__(self, x: Any, key: Any) -> None:
        self.x, self.key = x, key

    def get(self) -> Any:
        """x[key]; the key may be traced though x is an array."""
        return getitem(as_tensor(self.x), self.key) if _is_traced(self.key) else self.x[self.key]

    def set(self, values: Any) -> Any:
        """x with x[key] = values."""
        return self._changed("set", values)

    def add(self, values: Any) -> Any:
        """x with values added at x[key]."""
        return self._changed("add", values)

    def subtract(self, values: Any) -> Any:
        """x with values subtracted at x[key]."""
        return self._changed("add", np.negative(values))

    def multiply(self, values: Any) -> Any:
        """x with x[key] multiplied by values."""
        return self._changed("multiply", values)

    def divide(self, values: Any) -> Any:
        """x with x[key] divided by values."""
        return self._changed(
            "multiply", 1 / np.asarray(values) if not _is_traced(values) else 1 / values
        )

    def max(self, values: Any) -> Any:
        """x with the larger of x[key] and values."""
        return self._changed("maximum", values)

    def min(self, values: Any) -> Any:
        """x with the smaller of x[key] and values."""
        return self._changed("minimum", values)

    def power(self, values: Any) -> Any:
        """x with x[key] to the power of values; no place may be named twice."""
        return self._changed("set", np.power(self.get(), values))

    def _changed(self, how: str, values: Any) -> Any:
        if _is_traced(self.x, self.key, values):
            return change(as_tensor(self.x), self.key, values, how)
        result = np.array(self.x)
        with np.errstate(all="ignore"):
            if how == "set":
                result[self.key] = values
            else:
                # ufunc.at of NumPy 2 misreads values that it would have to broadcast
                shape = result[self.key].shape
                cast = np.array(np.broadcast_to(values, shape), result.dtype)
                getattr(np, how).at(result, self.key, cast)
        return result


def change(x: Tensor, key: Any, values: Any, how: str) -> Tensor:
    """x with the elements at the key combined with the values.

    Raises:
        ShapeError: the values do not broadcast to x[key].
    """
    v = as_tensor(values, x.node.dtype).astype(x.node.dtype)
    boolean = x.node.dtype is bool_ and how != "set"
    if boolean:  # NumPy's own loops: | is add and maximum
        old = getitem(x, key)
        joined = old | v if how in ("add", "maximum") else old & v
        return change(x, key, joined, "set")
    parts = read_key(x.node.shape, key)
    wanted = _result_shape(x, parts)
    try:
        v = broadcast_to(_trimmed(v, len(wanted)), wanted)
    except ShapeError as error:
        raise ShapeError(f"x.at[...].{how}: {v.node.type} for {wanted}: {error}{place()}") from None
    return _scattered(x, parts, v, how)


def _trimmed(v: Tensor, rank: int) -> Tensor:
    """Without leading axes of size 1 that the place does not have, as NumPy assigns."""
    while v.ndim > rank and v.node.shape[0] == 1:
        v = reshape(v, v.node.shape[1:])
    return v


def _spans(x: Tensor, parts: Key) -> dict[int, tuple[Size, int, Size]]:
    """(start, step, length) of each place of the key that is a slice or an int."""
    sizes = iter(x.node.shape)
    spans = {}
    for i, k in enumerate(parts.basic):
        if k is None:
            continue
        size = next(sizes)
        if i not in parts.arrays:
            spans[i] = indexing.resolve(k, size)
    return spans


def _result_shape(x: Tensor, parts: Key) -> Shape:
    spans = _spans(x, parts)
    kept: list[Size] = []
    for i, k in enumerate(parts.basic):
        if k is None:
            kept.append(1)
        elif i not in parts.arrays and isinstance(k, slice):
            kept.append(spans[i][2])
    spot, lead = (parts.lead, parts.shape) if parts.arrays else (0, ())
    return (*kept[:spot], *lead, *kept[spot:])


def _scattered(x: Tensor, parts: Key, v: Tensor, how: str) -> Tensor:
    """A scatter: slices that do not take a whole axis become indices beside the arrays."""
    spot, lead = (parts.lead, parts.shape) if parts.arrays else (0, ())
    v = moveaxis(v, range(spot, spot + len(lead)), range(len(lead)))
    spans = _spans(x, parts)
    sliced = [i for i, k in enumerate(parts.basic) if i in spans and isinstance(k, slice)]
    v = reshape(v, (*lead, *(spans[i][2] for i in sliced)))
    axis = {i: parts.axis_of(i, kept=False) for i in (*spans, *parts.arrays)}
    moved = [i for i in sliced if spans[i] != (0, 1, x.node.shape[axis[i]])]
    order = [sliced.index(i) for i in (*moved, *(i for i in sliced if i not in moved))]
    ranks = (*range(len(lead)), *(len(lead) + k for k in order))
    v = np.transpose(v, ranks)
    shape = (*lead, *(spans[i][2] for i in moved))
    indices: dict[int, Tensor] = {}
    for i, array in parts.arrays.items():
        indices[axis[i]] = reshape(array, (*array.node.shape, *(1,) * len(moved)))
    for i, (start, step, _) in spans.items():
        if i in moved:
            ramp = position(x, shape, len(lead) + moved.index(i)) * step
            indices[axis[i]] = ramp + start if start != 0 else ramp
        elif i not in sliced:
            indices[axis[i]] = within(as_tensor(start).astype(np.int64), x.node.shape[axis[i]])
    if not indices and how != "set":
        joins = {"add": np.add, "multiply": np.multiply, "maximum": np.maximum,
                 "minimum": np.minimum}  # fmt: skip
        return joins[how](x, v)
    if not indices:
        return v
    axes = tuple(sorted(indices))
    # all indices broadcast to the shape of the updates' first axes
    indices[axes[0]] = broadcast_to(indices[axes[0]], shape)
    return Tensor(
        apply(SCATTER, x.node, v.node, *(indices[a].node for a in axes), axes=axes,
              combine=how, unique=int(_is_unique(parts)))
    )  # fmt: skip


def _is_unique(parts: Key) -> bool:
    """Whether no place is named twice, as far as that is known while tracing."""
    if not parts.arrays or product(parts.shape) == 1:
        return True
    arrays = [known(i) for i in parts.arrays.values()]
    found = [
        np.broadcast_to(a, parts.shape).ravel()
        for a in arrays
        if a is not None and all(isinstance(s, int) for s in parts.shape)
    ]
    return bool(found) and len(np.unique(np.stack(found), axis=1).T) == product(parts.shape)


Tensor.at = property(At)
