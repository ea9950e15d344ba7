"""What `graphc.compile(trap_nans=True)` puts behind an op: a value that is watched.

It stands in no function that a user writes and in no derivative: a pass adds it before lowering.
"""

from __future__ import annotations

from graphc.errors import DTypeError
from graphc.graph import Array, Elementwise, Node, NoDerivative, Op, Params, Symbol
from graphc.loops import Apply, Expr, Literal
from graphc.ops.control import count_of
from graphc.types import TensorType, bool_, int64


def _infer(types: tuple[TensorType, ...], params: Params) -> TensorType:
    value, element, excused = types[:3]
    if value.dtype.kind != "f" or element.dtype != int64 or excused.dtype != bool_:
        raise DTypeError("a trap watches a float, with its place and whether it is excused")
    return value


def _evaluate(params: Params, value: Array, *others: Array) -> Array:
    return value


def _element(node: Node, value: Expr, *others: Expr) -> Expr:
    site = Literal(count_of(node.params, "site"), int64)
    return Apply("trap", (value, site, *others), node.dtype)


TRAP = Op(
    "trap",
    _infer,
    _evaluate,
    Elementwise(_element),
    NoDerivative(),
    Symbol("trap", r"\operatorname{trap}"),
)
"""trap(value, element, excused, operands...): the value. If it is nan or infinite, is not excused
and was made by finite operands, the C notes params["site"], the element and the operands."""
