"""Rules that only matter to derivatives, or only until they are taken."""

from __future__ import annotations

import numpy as np

from graphc.graph import Elementwise, Node, apply
from graphc.ops.control import ITEM, count_of
from graphc.ops.elementwise import STOP_GRADIENT, WHERE
from graphc.ops.rules import CHECKPOINT, CUSTOM
from graphc.ops.shape import CONSTANT
from graphc.rewrite import AnyRule, Local
from graphc.trace import Tensor
from graphc.trace.pointwise import full_like
from graphc.types import broadcast_shapes

# mypy: disable-error-code="attr-defined,return-value,assignment,arg-type"
# Rules are written with NumPy's functions, typed as giving arrays where tensors give tensors.

# op: (operand, a value of it where op and its derivative are finite)
SAFE: dict[str, tuple[int, float]] = {
    "log": (0, 1.0),
    "log2": (0, 1.0),
    "log10": (0, 1.0),
    "log1p": (0, 0.0),
    "sqrt": (0, 1.0),
    "cbrt": (0, 1.0),
    "divide": (1, 1.0),
    "power": (0, 1.0),
    "exp": (0, 0.0),
    "exp2": (0, 0.0),
    "expm1": (0, 0.0),
    "sinh": (0, 0.0),
    "cosh": (0, 0.0),
    "arcsin": (0, 0.0),
    "arccos": (0, 0.0),
    "arctanh": (0, 0.0),
    "arccosh": (0, 2.0),
    "gammaln": (0, 1.0),
    "ndtri": (0, 0.5),
    "erfinv": (0, 0.0),
    "erfcinv": (0, 1.0),
    "bessel_y": (0, 1.0),
    "bessel_k": (0, 1.0),
    "bessel_ke": (0, 1.0),
}
DEPTH = 6


def exposed(node: Node, p: Node, depth: int = 0) -> bool:
    """Whether node holds an op that may be infinite where p does not choose it."""
    if depth > DEPTH or not isinstance(node.op.element, Elementwise) or node.op is STOP_GRADIENT:
        return False
    if node.dtype.kind != "f":  # a condition: no gradient flows through it
        return False
    k, _ = SAFE.get(node.op.name, (None, 0))
    if k is not None and _may_guard(node.operands[k], p):
        return True
    return any(exposed(x, p, depth + 1) for x in node.operands)


def _may_guard(x: Node, p: Node) -> bool:
    fits = broadcast_shapes(x.shape, p.shape) == x.shape if _broadcasts(x, p) else False
    return x.op is not CONSTANT and fits and not _is_guarded(x, p)


def _is_guarded(x: Node, p: Node) -> bool:
    """Whether p has chosen x already, perhaps inside another choice."""
    if x.op is not WHERE:
        return False
    return _condition(x) is _bare(p) or any(_is_guarded(y, p) for y in x.operands[1:])


def _broadcasts(x: Node, p: Node) -> bool:
    return all(a == b or b == 1 for a, b in zip(x.shape[::-1], p.shape[::-1], strict=False)) and (
        x.type.rank >= p.type.rank
    )


def _bare(p: Node) -> Node:
    return p.operands[0] if p.op.name == "logical_not" else p


def _condition(x: Node) -> Node:
    return _bare(x.operands[0])


def _guarded(node: Node, p: Tensor, depth: int = 0) -> Node:
    """The same node wherever p holds, and nowhere infinite."""
    if not exposed(node, p.node, depth):
        return node
    operands = [_guarded(x, p, depth + 1) for x in node.operands]
    k, safe = SAFE.get(node.op.name, (None, 0.0))
    if k is not None and _may_guard(node.operands[k], p.node):
        x = Tensor(operands[k])
        operands[k] = np.where(p, x, full_like(x, safe, shape=())).node
    return apply(node.op, *operands, **node.params)


def _choice(node: Node) -> Tensor | None:
    """where(p, log(x), y) = where(p, log(where(p, x, 1)), y), and so for the other branch"""
    p, a, b = node.operands
    chosen, refused = Tensor(p), ~Tensor(p)
    if node.part != "forward" or node.dtype.kind != "f":
        return None
    if not exposed(a, p) and not exposed(b, refused.node):
        return None
    return np.where(chosen, Tensor(_guarded(a, chosen)), Tensor(_guarded(b, refused)))


GUARD: tuple[AnyRule, ...] = (
    # 0 * inf would reach the gradient from the branch that was not taken
    Local("guarded branch", lambda x: np.where(x > 0, x * np.log(x), 0.0), (WHERE,), _choice),
)

RELEASE: tuple[AnyRule, ...] = (
    Local(
        "stop_gradient(x)",
        lambda x: Tensor(apply(STOP_GRADIENT, x.node)),
        (STOP_GRADIENT,),
        lambda node: Tensor(node.operands[0]),
    ),
)


def _value(node: Node) -> Tensor | None:
    """The value itself, where a bundle only gives it a derivative of its own."""
    (whole,) = node.operands
    if whole.op not in (CUSTOM, CHECKPOINT):
        return None
    return Tensor(whole.operands[count_of(node.params, "part")])


def _held(x: Tensor) -> Tensor:
    whole = apply(CUSTOM, x.node, x.node, ys=1, xs=1)
    return Tensor(apply(ITEM, whole, part=0))


DISSOLVE: tuple[AnyRule, ...] = (Local("value with a rule", _held, (ITEM,), _value),)
