"""FAST: the same function in the reals, by fewer operations; rounding may differ. On request."""

from __future__ import annotations

import numpy as np

from graphc.graph import Node
from graphc.ops import OPS
from graphc.rewrite import AnyRule, Local, Rule, number
from graphc.rules.constants import like, normal
from graphc.trace import Tensor

# mypy: disable-error-code="return-value"
# Rules are written with NumPy's functions, typed as giving arrays where tensors give tensors.

ADD, MULTIPLY, DIVIDE = OPS["add"], OPS["multiply"], OPS["divide"]


def _reciprocal(node: Node) -> Tensor | None:
    """x / c = x * (1 / c), rounded twice"""
    value = number(node.operands[1])
    if not value or not normal(1 / value, node):
        return None
    return Tensor(node.operands[0]) * like(1 / value, node)


def _regroup(node: Node) -> Tensor | None:
    """c + (d + x) = (c + d) + x, c * (d * x) = (c * d) * x"""
    join = np.add if node.op is ADD else np.multiply
    for k, x in enumerate(node.operands):
        value, inner = number(x), node.operands[1 - k]
        if value is None or inner.op is not node.op or node.dtype.kind != "f":
            continue
        for j, y in enumerate(inner.operands):
            held = number(y)
            if held is not None:
                both = float(join(value, held))
                return join(like(both, node), Tensor(inner.operands[1 - j]))
    return None


FAST: tuple[AnyRule, ...] = (
    Local("x / c", lambda x: x / 3.0, (DIVIDE,), _reciprocal),
    Local("regroup constants", lambda x: 3.0 * (5.0 * x), (ADD, MULTIPLY), _regroup),
    # a b + a c = a (b + c)
    Rule("distribute", lambda a, b, c: a * b + a * c, lambda a, b, c: a * (b + c)),
    Rule("distribute, difference", lambda a, b, c: a * b - a * c, lambda a, b, c: a * (b - c)),
    # a / b / c = a / (b c)
    Rule("a / b / c", lambda a, b, c: (a / b) / c, lambda a, b, c: a / (b * c)),
    Rule("a / (b / c)", lambda a, b, c: a / (b / c), lambda a, b, c: a * c / b),
    # e^a e^b = e^(a + b), log(a) + log(b) = log(a b)
    Rule("exp * exp", lambda a, b: np.exp(a) * np.exp(b), lambda a, b: np.exp(a + b)),
    Rule("log + log", lambda a, b: np.log(a) + np.log(b), lambda a, b: np.log(a * b)),
)
