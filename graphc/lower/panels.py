"""How operands of tiled products lie when they are copied first; only lowering makes these ops.

`COPY` is its operand, stored. `PACK` lays x[..., g, terms...] out as panels of `width` neighbours
along g: result[..., g // width, terms..., g % width]. What of the last panel has no g is not
written. `UNPACK` reads the panels as x was read.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphc.graph import Array, Elementwise, Index, Node, NoDerivative, Op, Params, Symbol, View
from graphc.graph import apply as make
from graphc.ops.leaves import axes, sizes
from graphc.types import Size, TensorType, floordiv, minimum, mod

COPY = Op(
    "copy",
    lambda types, params: types[0],
    lambda params, x: np.array(x),
    Elementwise(lambda node, x: x),
    NoDerivative(),
    Symbol("copy", r"\operatorname{copy}"),
)


def _number(params: Params, key: str) -> int:
    value = params[key]
    if not isinstance(value, int):
        raise TypeError(f"the {key} of panels is an int, not {value!r}")
    return value


def _infer_pack(types: tuple[TensorType, ...], params: Params) -> TensorType:
    (x,) = types
    width, at = _number(params, "width"), x.rank - _number(params, "terms")
    panels = floordiv(x.shape[at - 1] + width - 1, width)
    return x.with_shape((*x.shape[: at - 1], panels, *x.shape[at:], width))


def _evaluate_pack(params: Params, x: Array) -> Array:
    width, at = _number(params, "width"), x.ndim - _number(params, "terms")
    group = x.shape[at - 1]
    panels = -(-group // width)
    wide = np.zeros((*x.shape[: at - 1], panels * width, *x.shape[at:]), x.dtype)
    wide[(*(slice(None),) * (at - 1), slice(group))] = x
    split = wide.reshape(*x.shape[: at - 1], panels, width, *x.shape[at:])
    return np.ascontiguousarray(np.moveaxis(split, at, -1))


PACK = Op(
    "pack",
    _infer_pack,
    _evaluate_pack,
    Elementwise(lambda node, x: x),
    NoDerivative(),
    Symbol("pack", r"\operatorname{pack}"),
)


def panel_axis(node: Node) -> int:
    """Which axis of the result of PACK counts panels."""
    return node.operands[0].type.rank - _number(node.params, "terms") - 1


def pack_index(at: Index, node: Node) -> Index:
    """Where the operand of PACK is read for element `at`."""
    axis = panel_axis(node)
    place = at[axis] * _number(node.params, "width") + at[-1]
    return (*at[:axis], place, *at[axis + 1 : -1])


def pack_extent(node: Node, panel: Size) -> Size:
    """How many neighbours this panel has."""
    width = _number(node.params, "width")
    return minimum(width, node.operands[0].shape[panel_axis(node)] - panel * width)


def _infer_unpack(types: tuple[TensorType, ...], params: Params) -> TensorType:
    (group,), axis = sizes(params, "group"), _number(params, "axis")
    shape = types[0].shape
    return types[0].with_shape((*shape[:axis], group, *shape[axis + 1 : -1]))


def _unpack_index(at: Index, node: Node) -> Index:
    axis, width = _number(node.params, "axis"), node.operands[0].shape[-1]
    return (*at[:axis], floordiv(at[axis], width), *at[axis + 1 :], mod(at[axis], width))


def _evaluate_unpack(params: Params, x: Array) -> Array:
    axis = _number(params, "axis")
    near = np.moveaxis(x, -1, axis + 1)
    flat = near.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 : -1])
    (group,) = axes(params, "group")
    return flat[(*(slice(None),) * axis, slice(group))]


UNPACK = Op(
    "unpack",
    _infer_unpack,
    _evaluate_unpack,
    View(_unpack_index),
    NoDerivative(),
    Symbol("unpack", r"\operatorname{unpack}"),
)


def copied(x: Node, reader: Node, early: bool) -> Node:
    """x as an array of its own, for a reader. `early`: before the loops of the reader, if x is
    there by then."""
    return _for(reader, x, make(COPY, x, early=int(early)))


def packed(x: Node, terms: int, width: int, reader: Node, early: bool) -> Node:
    """x[..., g, terms...] copied into panels for a reader, seen as it was."""
    copy = _for(reader, x, make(PACK, x, width=width, terms=terms, early=int(early)))
    axis = panel_axis(copy)
    return make(UNPACK, copy, group=(x.shape[axis],), axis=axis)


def _for(reader: Node, x: Node, copy: Node) -> Node:
    """The copy takes its reader's place in the order, and the name of what it copies."""
    while x.name is None and isinstance(x.op.element, View):
        x = x.operands[0]
    name = f"{x.name}_{copy.op.name}" if x.name else None
    place = {"serial": reader.serial, "part": reader.part, "source": reader.source}
    return replace(copy, name=name, cites=None, **place)  # type: ignore[arg-type]  # by their names
