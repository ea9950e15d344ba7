"""Powers with small whole exponents are products, within 2 ulp of the true value.

From the fifth on, products are farther off."""

from __future__ import annotations

from graphc.graph import Node
from graphc.ops import OPS
from graphc.rewrite import AnyRule, Local, number
from graphc.trace import Tensor

POWER = OPS["power"]


def _product(node: Node) -> Tensor | None:
    """x^3 = x (x x) and the like. Where x x is infinite so is x^3; where it is subnormal, x^3 is
    0."""
    if node.dtype.kind != "f":
        return None
    exponent = number(node.operands[1])
    if exponent is None or exponent not in (2, 3, 4):
        return None
    x = Tensor(node.operands[0])
    square = x * x
    return {2: square, 3: x * square, 4: square * square}[int(exponent)]


POWERS: tuple[AnyRule, ...] = (Local("x ** n", lambda x: x**3.0, (POWER,), _product),)
