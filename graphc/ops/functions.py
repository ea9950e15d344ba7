"""Exponential, logarithmic, trigonometric and special functions, one row an op."""

from __future__ import annotations

import math

import numpy as np

from graphc import loops
from graphc.errors import DTypeError
from graphc.graph import Constant, Elementwise, Node, Op, Symbol, Value, call
from graphc.ops import special
from graphc.ops.rows import ANY, POSITIVE, UNIT, call_symbol, infer_same, partials, row
from graphc.types import int32

TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
VIEWS = ("reshape", "broadcast_to", "transpose", "slice")


def _is_sum_of_squares(root: Node) -> bool:
    """Whether it is one however deep, so that its square root has a kink where it is 0."""
    seen, todo = {root}, [root]
    while todo:
        x = todo.pop()
        if x.op.name in ("multiply", "einsum") and len(x.operands) == 2:
            if x.operands[0] is not x.operands[1]:
                return False
            inputs = x.params.get("inputs", (0, 0))
            if not isinstance(inputs, tuple) or inputs[0] != inputs[1]:
                return False
            continue
        if x.op.name == "constant" and _is_nan(x):
            continue
        if x.op.name not in ("add", "sum", "divide", "where", *VIEWS):
            return False
        below = {"divide": x.operands[:1], "where": x.operands[1:]}.get(x.op.name, x.operands)
        todo += [y for y in below if y not in seen]
        seen.update(below)
    return True


def _is_nan(constant: Node) -> bool:
    held = constant.params["value"]
    return isinstance(held, Constant) and bool(np.isnan(held.array).all())


def _share(y: Value, mine: Value, other: Value) -> Value:
    """exp(mine - y), and 0 where both are -inf."""
    return call(SIGMOID, np.where(y == -math.inf, y, mine - other))


def _sqrt(t: Value, y: Value, a: Value) -> Value:
    """t / (2 sqrt(a)), and the subgradient 0 at the kink of a norm."""
    if _is_sum_of_squares(a.node):
        y = np.where(y == 0, math.inf, y)
    return t * 0.5 / y


EXPONENTIAL = (
    row("exp", np.exp, partials(lambda t, y, a: t * y), call_symbol("exp", r"\exp")),
    row("exp2", np.exp2, partials(lambda t, y, a: t * (y * math.log(2.0))), call_symbol("exp2")),
    row("expm1", np.expm1, partials(lambda t, y, a: t * (y + 1)), call_symbol("expm1")),
    row(
        "log",
        np.log,
        partials(lambda t, y, a: t / a),
        call_symbol("log", r"\log"),
        domain=(POSITIVE,),
    ),
    row(
        "log2",
        np.log2,
        partials(lambda t, y, a: t / (a * math.log(2.0))),
        call_symbol("log2", r"\log_2"),
        domain=(POSITIVE,),
    ),
    row(
        "log10",
        np.log10,
        partials(lambda t, y, a: t / (a * math.log(10.0))),
        call_symbol("log10", r"\log_{10}"),
        domain=(POSITIVE,),
    ),
    row(
        "log1p",
        np.log1p,
        partials(lambda t, y, a: t / (1 + a)),
        call_symbol("log1p"),
        domain=(POSITIVE,),
    ),
    row(
        "logaddexp",
        np.logaddexp,
        partials(lambda t, y, a, b: t * _share(y, a, b), lambda t, y, a, b: t * _share(y, b, a)),
        call_symbol("logaddexp"),
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "sqrt",
        np.sqrt,
        partials(_sqrt),
        Symbol("sqrt", r"\sqrt", "call"),
        domain=(POSITIVE,),
    ),
    row(
        "cbrt",
        np.cbrt,
        partials(lambda t, y, a: t / (3 * (y * y))),
        call_symbol("cbrt"),
        domain=(POSITIVE,),
    ),
    row(
        "sigmoid",
        special.sigmoid,
        partials(lambda t, y, a: t * (y * (1 - y))),
        call_symbol("sigmoid", r"\sigma"),
        functions=("expit",),
    ),
    row(
        "softplus",
        special.softplus,
        partials(lambda t, y, a: t * call(SIGMOID, a)),
        call_symbol("softplus"),
        functions=(),
    ),
    row(
        "erf",
        special.erf,
        partials(lambda t, y, a: t * (TWO_OVER_SQRT_PI * np.exp(-(a * a)))),
        call_symbol("erf"),
    ),
    row(
        "erfc",
        special.erfc,
        partials(lambda t, y, a: -t * (TWO_OVER_SQRT_PI * np.exp(-(a * a)))),
        call_symbol("erfc"),
    ),
    row(
        "ndtri",
        special.ndtri,
        partials(lambda t, y, a: t * (math.sqrt(2 * math.pi) * np.exp(0.5 * (y * y)))),
        call_symbol("ndtri", r"\Phi^{-1}"),
        domain=((0.05, 0.95),),
    ),
    row(
        "erfinv",
        special.erfinv,
        partials(lambda t, y, a: t * (np.exp(y * y) / TWO_OVER_SQRT_PI)),
        call_symbol("erfinv", r"\operatorname{erf}^{-1}"),
        domain=(UNIT,),
    ),
    row(
        "erfcinv",
        special.erfcinv,
        partials(lambda t, y, a: -t * (np.exp(y * y) / TWO_OVER_SQRT_PI)),
        call_symbol("erfcinv", r"\operatorname{erfc}^{-1}"),
        domain=((0.1, 1.9),),
    ),
    row(
        "gammaln",
        special.gammaln,
        partials(lambda t, y, a: t * call(POLYGAMMA, a, order=0)),
        call_symbol("lgamma", r"\log\Gamma"),
        functions=("gammaln",),
        domain=(POSITIVE,),
    ),
)

TRIGONOMETRIC = (
    row("sin", np.sin, partials(lambda t, y, a: t * np.cos(a)), call_symbol("sin", r"\sin")),
    row("cos", np.cos, partials(lambda t, y, a: -t * np.sin(a)), call_symbol("cos", r"\cos")),
    row(
        "tan",
        np.tan,
        partials(lambda t, y, a: t * (1 + y * y)),
        call_symbol("tan", r"\tan"),
        domain=((-1.2, 1.2),),
    ),
    row(
        "arcsin",
        np.arcsin,
        partials(lambda t, y, a: t / np.sqrt((1 - a) * (1 + a))),
        call_symbol("asin", r"\arcsin"),
        functions=("arcsin", "asin"),
        domain=(UNIT,),
    ),
    row(
        "arccos",
        np.arccos,
        partials(lambda t, y, a: -t / np.sqrt((1 - a) * (1 + a))),
        call_symbol("acos", r"\arccos"),
        functions=("arccos", "acos"),
        domain=(UNIT,),
    ),
    row(
        "arctan",
        np.arctan,
        partials(lambda t, y, a: t / (1 + a * a)),
        call_symbol("atan", r"\arctan"),
        functions=("arctan", "atan"),
    ),
    row("sinh", np.sinh, partials(lambda t, y, a: t * np.cosh(a)), call_symbol("sinh", r"\sinh")),
    row("cosh", np.cosh, partials(lambda t, y, a: t * np.sinh(a)), call_symbol("cosh", r"\cosh")),
    row("tanh", np.tanh, partials(lambda t, y, a: t * (1 - y * y)), call_symbol("tanh", r"\tanh")),
    row(
        "arcsinh",
        np.arcsinh,
        partials(lambda t, y, a: t / np.hypot(a, np.ones_like(a))),
        call_symbol("asinh", r"\operatorname{arsinh}"),
        functions=("arcsinh", "asinh"),
    ),
    row(
        "arccosh",
        np.arccosh,
        partials(lambda t, y, a: t / np.sqrt((a - 1) * (a + 1))),
        call_symbol("acosh", r"\operatorname{arcosh}"),
        functions=("arccosh", "acosh"),
        domain=((1.2, 3.0),),
    ),
    row(
        "arctanh",
        np.arctanh,
        partials(lambda t, y, a: t / ((1 - a) * (1 + a))),
        call_symbol("atanh", r"\operatorname{artanh}"),
        functions=("arctanh", "atanh"),
        domain=(UNIT,),
    ),
)


def _next_polygamma(t: Value, y: Value, a: Value) -> Value:
    return t * call(POLYGAMMA, a, order=_order(y.node) + 1)


def _order(node: Node) -> int:
    order = node.params["order"]
    if not isinstance(order, int):
        raise DTypeError(f"the order of polygamma is an int, not {order!r}")
    return order


POLYGAMMA: Op = Op(
    "polygamma",
    infer_same("f"),
    lambda params, x: special.polygamma(params["order"], x),
    Elementwise(
        lambda node, x: loops.Apply("polygamma", (loops.Literal(_order(node), int32), x), x.dtype)
    ),
    partials(_next_polygamma),
    call_symbol("polygamma", r"\psi"),
    domain=(POSITIVE,),
)
SIGMOID: Op = next(row for row in EXPONENTIAL if row.name == "sigmoid")
SOFTPLUS: Op = next(row for row in EXPONENTIAL if row.name == "softplus")
