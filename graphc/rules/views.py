"""Moving elements twice is moving them once; a view that changes nothing goes. All exact."""

from __future__ import annotations

import numpy as np

from graphc import ops
from graphc.graph import Elementwise, Node, apply
from graphc.ops.reduce import MAX, REDUCE
from graphc.ops.shape import BROADCAST, CONCATENATE, PAD, RESHAPE, SLICE, TRANSPOSE, axes, sizes
from graphc.rewrite import AnyRule, Local
from graphc.trace import Tensor
from graphc.types import Shape

# mypy: disable-error-code="return-value,arg-type"
# Rules are written with NumPy's functions, typed as giving arrays where tensors give tensors.


def _same(node: Node) -> Tensor | None:
    """reshape(x), broadcast(x), transpose(x), slice(x), pad(x) = x where each element stays"""
    (x,) = node.operands
    if x.shape != node.shape:
        return None
    if node.op is TRANSPOSE and axes(node.params) != tuple(range(x.type.rank)):
        return None
    if node.op in (SLICE, PAD):
        still = [
            step == 1 and start == 0
            for start, step in zip(
                sizes(node.params, "start"), sizes(node.params, "step"), strict=True
            )
        ]
        if not all(still):
            return None
    return Tensor(x)


def _reshape(node: Node) -> Tensor | None:
    """reshape(reshape(x)) = reshape(x)"""
    (x,) = node.operands
    return np.reshape(Tensor(x.operands[0]), node.shape) if x.op is RESHAPE else None


def _transpose(node: Node) -> Tensor | None:
    """transpose(transpose(x)) = transpose(x)"""
    (x,) = node.operands
    if x.op is not TRANSPOSE:
        return None
    inner = axes(x.params)
    return np.transpose(Tensor(x.operands[0]), [inner[axis] for axis in axes(node.params)])


def without_lead(shape: Shape) -> Shape:
    """The shape without leading axes of size 1."""
    lead = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return shape[lead:]


def source(node: Node) -> Node:
    """What a node broadcasts like: no broadcasts, no reshapes that add axes in front."""
    while True:
        if node.op is BROADCAST or (
            node.op is RESHAPE
            and without_lead(node.shape) == without_lead(node.operands[0].shape)
            and len(node.operands[0].shape) <= len(node.shape)
        ):
            node = node.operands[0]
        elif node.op is RESHAPE and node.operands[0].op is BROADCAST and is_scalar(node):
            node = node.operands[0].operands[0]
        else:
            return node


def is_scalar(node: Node) -> bool:
    """Whether a reshaped broadcast repeats a single element."""
    return node.operands[0].operands[0].shape == ()


def _reshaped_scalar(node: Node) -> Tensor | None:
    """reshape(broadcast(x)) = broadcast(x) for a scalar x"""
    x = source(node)
    return np.broadcast_to(Tensor(x), node.shape) if x.shape == () and node.shape else None


def _broadcast(node: Node) -> Tensor | None:
    """broadcast(broadcast(x)) = broadcast(x)"""
    x = source(node.operands[0])
    return None if x is node.operands[0] else np.broadcast_to(Tensor(x), node.shape)


def _elementwise(node: Node) -> Tensor | None:
    """f(broadcast(x), y) = f(x, y), for f broadcasts; f(broadcast(x)) = broadcast(f(x))"""
    found = [source(x) for x in node.operands]
    if all(a is b for a, b in zip(found, node.operands, strict=True)):
        return None
    made = Tensor(apply(node.op, *found, **node.params))
    if made.node.shape != node.shape and made.node.type.size == node.type.size:
        return None  # nothing is computed less often
    return np.broadcast_to(made, node.shape)


def _slice(node: Node) -> Tensor | None:
    """slice(slice(x)): start + step (start' + step' i)"""
    (x,) = node.operands
    if x.op is not SLICE:
        return None
    inner = zip(sizes(x.params, "start"), sizes(x.params, "step"), strict=True)
    outer = zip(sizes(node.params, "start"), sizes(node.params, "step"), strict=True)
    joined = [(a + b * c, b * d) for (a, b), (c, d) in zip(inner, outer, strict=True)]
    return Tensor(
        apply(
            SLICE,
            x.operands[0],
            start=tuple(start for start, _ in joined),
            step=tuple(step for _, step in joined),
            shape=node.shape,
        )
    )


def _no_axes(node: Node) -> Tensor | None:
    """A reduction over no axes is its operand."""
    return Tensor(node.operands[0]) if node.params.get("axes") == () else None


def _one_part(node: Node) -> Tensor | None:
    """concatenate(x) = x"""
    return Tensor(node.operands[0]) if len(node.operands) == 1 else None


ELEMENTWISE = tuple(op for op in ops.TABLE if isinstance(op.element, Elementwise))

VIEWS: tuple[AnyRule, ...] = (
    Local(
        "still view",
        lambda x: Tensor(apply(RESHAPE, x.node, shape=x.node.shape)),
        (RESHAPE, TRANSPOSE, BROADCAST, SLICE, PAD),
        _same,
    ),
    Local("reshape twice", lambda x: np.reshape(np.reshape(x, (6,)), (3, 2)), (RESHAPE,), _reshape),
    Local(
        "transpose twice",
        lambda x: x[None].transpose(2, 0, 1).transpose(2, 0, 1),
        (TRANSPOSE,),
        _transpose,
    ),
    Local(
        "broadcast twice",
        lambda x: np.broadcast_to(np.broadcast_to(x, (4, 2, 3)), (5, 4, 2, 3)),
        (BROADCAST,),
        _broadcast,
    ),
    Local(
        "reshape a broadcast scalar",
        lambda x: np.reshape(np.broadcast_to(x[0, 0], (3, 4)), (2, 6)),
        (RESHAPE,),
        _reshaped_scalar,
    ),
    Local(
        "broadcast operand", lambda x: x * np.broadcast_to(x[0], (2, 3)), ELEMENTWISE, _elementwise
    ),
    Local("slice twice", lambda x: x[:, ::-1][1:, ::2], (SLICE,), _slice),
    Local("reduce no axes", lambda x: Tensor(apply(MAX, x.node, axes=())), REDUCE, _no_axes),
    Local(
        "concatenate one",
        lambda x: Tensor(apply(CONCATENATE, x.node, axes=(0,))),
        (CONCATENATE,),
        _one_part,
    ),
)
