"""Constants of a product meet, where a power of two makes that lossless; equal factors cancel.

(0.5 d) z + (0.5 d) z is 2 ((0.5 d) z) and becomes d z: the adjoint of z^2 / 2 as one writes it.
Multiplying by a power of two rounds nothing, so the merged product is the better rounded one; only
where a step would have overflowed or gone subnormal do the bits differ, for the better.
"""

from __future__ import annotations

from graphc.graph import Node
from graphc.ops import OPS
from graphc.rewrite import AnyRule, Local, number
from graphc.rules.constants import like, normal, power_of_two
from graphc.trace import Tensor

MULTIPLY, DIVIDE, NEGATIVE = OPS["multiply"], OPS["divide"], OPS["negative"]
DEPTH = 3


def _scaled(node: Node, factor: float, depth: int = 0) -> Tensor | None:
    """factor * node with no more operations than node has, when a constant in it takes factor."""
    if node.op is NEGATIVE:
        inner = _scaled(node.operands[0], factor, depth)
        return None if inner is None else -inner
    if node.op not in (MULTIPLY, DIVIDE):
        return None
    for k, x in enumerate(node.operands):
        made = _merged(node, k, number(x), factor, depth)
        if made is not None:
            return made
    if depth == DEPTH or not power_of_two(factor):
        return None
    a, b = node.operands
    inner = _scaled(a, factor, depth + 1)
    if inner is not None:
        return inner * Tensor(b) if node.op is MULTIPLY else inner / Tensor(b)
    inner = _scaled(b, factor, depth + 1) if node.op is MULTIPLY else None
    return None if inner is None else Tensor(a) * inner


def _merged(node: Node, k: int, held: float | None, factor: float, depth: int) -> Tensor | None:
    """factor * node, node a product or quotient whose operand k is the constant `held`."""
    if held is None or not (power_of_two(held) or power_of_two(factor)):
        return None
    denominator = node.op is DIVIDE and k == 1
    both = held / factor if denominator else held * factor
    # deep in a product a constant that stays might be computed twice
    if not normal(both, node) or (depth > 1 and abs(both) != 1):
        return None
    other = Tensor(node.operands[1 - k])
    if denominator:
        return other / like(both, node)
    if node.op is DIVIDE:
        return like(both, node) / other
    return other if both == 1 else like(both, node) * other


def _gather(node: Node) -> Tensor | None:
    """c (d x) = (c d) x, also with more factors between, and (c x) (y / c) = x y"""
    if node.dtype.kind != "f":
        return None
    for k, x in enumerate(node.operands):
        value, other = number(x), node.operands[1 - k]
        if value is not None:
            return _scaled(other, value) if number(other) is None else None
    for k, x in enumerate(node.operands):
        if x.op is not MULTIPLY:
            continue
        for j, c in enumerate(x.operands):
            value = number(c)
            if value is not None and power_of_two(value):
                made = _scaled(node.operands[1 - k], value)
                if made is not None:
                    rest = Tensor(x.operands[1 - j])
                    return rest * made if k == 0 else made * rest
    return None


def _gather_quotient(node: Node) -> Tensor | None:
    """(c x) / d = (c / d) x, when one of them is a power of two"""
    value = number(node.operands[1])
    if value is None or node.dtype.kind != "f" or not value:
        return None
    x = node.operands[0]
    if x.op is not MULTIPLY:
        return None
    for k, c in enumerate(x.operands):
        held = number(c)
        if held is not None and power_of_two(held) and normal(value / held, node):
            return Tensor(x.operands[1 - k]) / like(value / held, node)
    return None


PRODUCTS: tuple[AnyRule, ...] = (
    Local("constants of a product", lambda x: 2.0 * ((0.5 * x) * x), (MULTIPLY,), _gather),
    Local("constants of a quotient", lambda x: (2.0 * x) / 3.0, (DIVIDE,), _gather_quotient),
)
