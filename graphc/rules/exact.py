"""EXACT: every bit of the result stays, for every input; signs of zeros, infinities, nan included.

What looks exact and is not: x + 0 (for -0), x * 0 (for nan), x - x (for inf), -(a - b) = b - a
(for a = b), c * (d * x) = (c * d) * x (it may overflow or lose bits half way).
"""

from __future__ import annotations

import numpy as np

from graphc.graph import Node, apply
from graphc.ops import OPS
from graphc.ops.elementwise import CAST, WHERE
from graphc.rewrite import AnyRule, Local, Rule, number
from graphc.rules.constants import FOLD, like, normal, power_of_two
from graphc.rules.views import VIEWS
from graphc.trace import Tensor, constant
from graphc.types import DType

# mypy: disable-error-code="return-value,arg-type"
# Rules are written with NumPy's functions, typed as giving arrays where tensors give tensors.

NEUTRAL: tuple[AnyRule, ...] = (
    Rule("x * 1", lambda x: x * 1.0, lambda x: x),
    Rule("x / 1", lambda x: x / 1.0, lambda x: x),
    # x - 0 keeps -0, which x + 0 does not; x + -0 does too
    Rule("x - 0", lambda x: x - 0.0, lambda x: x),
    Rule("x + -0", lambda x: x + -0.0, lambda x: x),
    Rule("max(x, x)", lambda x: np.maximum(x, x), lambda x: x),
    Rule("min(x, x)", lambda x: np.minimum(x, x), lambda x: x),
    # two equal contributions to an adjoint
    Rule("x + x", lambda x: x + x, lambda x: 2 * x),
)

SIGNS: tuple[AnyRule, ...] = (
    # negation only flips the sign bit, so it moves freely through products and quotients
    Rule("-(-x)", lambda x: np.negative(-x), lambda x: x),
    Rule("x * -1", lambda x: x * -1.0, lambda x: -x),
    Rule("x / -1", lambda x: x / -1.0, lambda x: -x),
    Rule("-a * -b", lambda a, b: -a * -b, lambda a, b: a * b),
    Rule("-a / -b", lambda a, b: -a / -b, lambda a, b: a / b),
    Rule("-(-a * b)", lambda a, b: -(-a * b), lambda a, b: a * b),
    Rule("-(-a / b)", lambda a, b: -(-a / b), lambda a, b: a / b),
    Rule("-(a / -b)", lambda a, b: -(a / -b), lambda a, b: a / b),
    # a sum with a negated term is a difference, to the sign of its zeros
    Rule("a + -b", lambda a, b: a + -b, lambda a, b: a - b),
    Rule("a - -b", lambda a, b: a - -b, lambda a, b: a + b),
    Rule("a + -b * c", lambda a, b, c: a + -b * c, lambda a, b, c: a - b * c),
    Rule("a - -b * c", lambda a, b, c: a - -b * c, lambda a, b, c: a + b * c),
    Rule("a + -b / c", lambda a, b, c: a + -b / c, lambda a, b, c: a - b / c),
    Rule("a - -b / c", lambda a, b, c: a - -b / c, lambda a, b, c: a + b / c),
    Rule("|-x|", lambda x: np.abs(-x), lambda x: np.abs(x)),
    Rule("||x||", lambda x: np.abs(np.abs(x)), lambda x: np.abs(x)),
    Rule("cos(-x)", lambda x: np.cos(-x), lambda x: np.cos(x)),
    Rule("-x * -x", lambda x: np.square(-x), lambda x: x * x),
)

CHOICES: tuple[AnyRule, ...] = (
    Rule("where(p, x, x)", lambda p, x: np.where(p, x, x), lambda p, x: x),
    Rule(
        "where(not p, x, y)", lambda p, x, y: np.where(~p, x, y), lambda p, x, y: np.where(p, y, x)
    ),
    Rule(
        "where(p, where(p, x, y), z)",
        lambda p, x, y, z: np.where(p, np.where(p, x, y), z),
        lambda p, x, y, z: np.where(p, x, z),
    ),
    Rule(
        "where(p, x, where(p, y, z))",
        lambda p, x, y, z: np.where(p, x, np.where(p, y, z)),
        lambda p, x, y, z: np.where(p, x, z),
    ),
    # false for nan on either side, as the maximum is nan
    Rule("x == max(x, y)", lambda x, y: x == np.maximum(x, y), lambda x, y: x >= y),
    Rule("x == max(y, x)", lambda x, y: x == np.maximum(y, x), lambda x, y: x >= y),
    Rule("x == min(x, y)", lambda x, y: x == np.minimum(x, y), lambda x, y: x <= y),
    Rule("x == min(y, x)", lambda x, y: x == np.minimum(y, x), lambda x, y: x <= y),
    Rule("not not p", lambda p: ~~p, lambda p: p),
    Rule("p and p", lambda p: p & p, lambda p: p),
    Rule("p or p", lambda p: p | p, lambda p: p),
    # the only comparisons whose negation is one, also for nan
    Rule("not x == y", lambda x, y: ~(x == y), lambda x, y: x != y),
    Rule("not x != y", lambda x, y: ~(x != y), lambda x, y: x == y),
)


def _decided(node: Node) -> Tensor | None:
    """where(true, x, y) = x, where(false, x, y) = y"""
    condition = number(node.operands[0])
    return None if condition is None else Tensor(node.operands[1 if condition else 2])


def _sign_into_constant(node: Node) -> Tensor | None:
    """-(c x) = (-c) x, -(c / x) = (-c) / x, -(x / c) = x / (-c)"""
    (inner,) = node.operands
    if inner.op not in (MULTIPLY, DIVIDE) or node.dtype.kind != "f":
        return None
    for k, x in enumerate(inner.operands):
        value = number(x)
        if value is not None:
            sides = [Tensor(y) for y in inner.operands]
            sides[k] = like(-value, x)
            return sides[0] * sides[1] if inner.op is MULTIPLY else sides[0] / sides[1]
    return None


def _constant_takes_sign(node: Node) -> Tensor | None:
    """c * (-x) = (-c) * x, c / (-x) = (-c) / x, (-x) / c = x / (-c)"""
    for k, x in enumerate(node.operands):
        value, other = number(x), node.operands[1 - k]
        if value is not None and other.op is NEGATIVE and node.dtype.kind == "f":
            sides = [like(-value, x)] * 2
            sides[1 - k] = Tensor(other.operands[0])
            return sides[0] * sides[1] if node.op is MULTIPLY else sides[0] / sides[1]
    return None


def _reciprocal(node: Node) -> Tensor | None:
    """x / c = x * (1 / c) when c is a power of two: both only move the exponent, and round once"""
    value = number(node.operands[1])
    if value is None or not power_of_two(value) or not normal(1 / value, node):
        return None
    return Tensor(node.operands[0]) * like(1 / value, node)


def holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of narrow is a value of wide."""
    return narrow == wide or str(wide) in _WIDER.get(str(narrow), ())


_WIDER = {
    "bool": ("int32", "int64", "float16", "bfloat16", "float32", "float64"),
    "int32": ("int64", "float64"),
    "float16": ("float32", "float64"),
    "bfloat16": ("float32", "float64"),
    "float32": ("float64",),
}


def _cast(node: Node) -> Tensor | None:
    """cast(x) = x to x's own dtype; a cast to a wider dtype on the way to another is not needed"""
    (x,) = node.operands
    if x.dtype == node.dtype:
        return Tensor(x)
    if x.op is CAST and holds(x.dtype, x.operands[0].dtype):
        return Tensor(x.operands[0]).astype(node.dtype)
    return None


NEGATIVE, MULTIPLY, DIVIDE = OPS["negative"], OPS["multiply"], OPS["divide"]

CONSTANTS: tuple[AnyRule, ...] = (
    Local(
        "where(constant, x, y)",
        lambda x: Tensor(apply(WHERE, constant(np.True_).node, x.node, (-x).node)),
        (WHERE,),
        _decided,
    ),
    Local("-(c x)", lambda x: -(x * 3.0), (NEGATIVE,), _sign_into_constant),
    Local("c (-x)", lambda x: -x * 3.0, (MULTIPLY, DIVIDE), _constant_takes_sign),
    Local("x / 2**k", lambda x: x / 4.0, (DIVIDE,), _reciprocal),
    Local("cast", lambda x: (x > 0).astype(np.int32).astype(x.dtype), (CAST,), _cast),
)

EXACT: tuple[AnyRule, ...] = (*FOLD, *VIEWS, *NEUTRAL, *SIGNS, *CHOICES, *CONSTANTS)
