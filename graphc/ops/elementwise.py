"""Elementwise ops: one row each. The C side names the same scalar function (see `emit_c`)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from graphc import loops
from graphc.errors import DTypeError
from graphc.graph import (
    Array,
    Derivative,
    Diagonal,
    Elementwise,
    Linear,
    Node,
    NoDerivative,
    Op,
    Params,
    Symbol,
    Value,
    call,
)
from graphc.ops import special
from graphc.types import DType, TensorType, bool_, broadcast_shapes, int32

# mypy: disable-error-code="operator,call-overload"
# Rules are written with NumPy's operators on `Value`s, which get them from `trace.Tensor`.

Interval = tuple[float, float]
ANY: Interval = (-3.0, 3.0)
POSITIVE: Interval = (0.3, 3.0)
UNIT: Interval = (-0.9, 0.9)


def _infer(kinds: str, result: DType | None = None) -> Callable[..., TensorType]:
    def infer(types: tuple[TensorType, ...], params: Params) -> TensorType:
        first = types[0].dtype
        for x in types:
            if x.dtype != first:
                raise DTypeError("operands must have one dtype")
            if x.dtype.kind not in kinds:
                raise DTypeError(f"not defined for {x.dtype}")
        return TensorType(result or first, broadcast_shapes(*(x.shape for x in types)))

    return infer


def _evaluate(fn: Callable[..., Array]) -> Callable[..., Array]:
    def evaluate(params: Params, *arrays: Array) -> Array:
        with np.errstate(all="ignore"):
            return fn(*arrays)

    return evaluate


def _row(
    name: str,
    fn: Callable[..., Array],
    derivative: Derivative,
    symbol: Symbol,
    *,
    kinds: str = "f",
    result: DType | None = None,
    functions: tuple[str, ...] | None = None,
    commutative: bool = False,
    domain: tuple[Interval, ...] = (ANY,),
) -> Op:
    scalar = loops.predicate if result is bool_ else loops.apply
    return Op(
        name,
        _infer(kinds, result),
        _evaluate(fn),
        Elementwise(lambda node, *args: scalar(name, *args)),
        derivative,
        symbol,
        functions or (name,),
        commutative,
        domain,
    )


def _fn(text: str, latex: str | None = None) -> Symbol:
    return Symbol(text, latex or rf"\operatorname{{{text}}}")


def _infix(text: str, latex: str, precedence: int) -> Symbol:
    return Symbol(text, latex, "infix", precedence)


def _d(*scaled: Callable[..., Value] | None) -> Diagonal:
    return Diagonal(scaled)


ZERO = NoDerivative()
TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


def _shared(t: Value, y: Value, mine: Value) -> Value:
    """t to the operand that equals the extremum."""
    return np.where(mine == y, t, 0)


def _extremum(t: Value, y: Value, mine: Value, other: Value) -> Value:
    """Ties share evenly, as in JAX."""
    return np.where(mine == other, t * 0.5, _shared(t, y, mine))


def _power_base(a: Value, b: Value) -> Value:
    """d(a**b)/da, and 0 for b = 0 even where a is 0."""
    return np.where(b == 0, 0, b * a ** (b - 1))


def _power_exponent(y: Value, a: Value) -> Value:
    """d(a**b)/db, and 0 at a = 0 as in JAX."""
    return y * np.log(np.where(a == 0, 1, a))


def _ratio(a: Value, b: Value) -> Value:
    """a / b, and 0 where b is 0: the subgradient of a norm at its kink."""
    return np.where(b == 0, 0, a / np.where(b == 0, 1, b))


def _rint_like(name: str, fn: Callable[..., Array], latex: str, *functions: str) -> Op:
    return _row(name, fn, ZERO, _fn(name, latex), functions=(name, *functions))


ARITHMETIC = (
    _row(
        "add",
        np.add,
        _d(lambda t, y, a, b: t, lambda t, y, a, b: t),
        _infix("+", "+", 10),
        kinds="fi",
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "subtract",
        np.subtract,
        _d(lambda t, y, a, b: t, lambda t, y, a, b: -t),
        _infix("-", "-", 10),
        kinds="fi",
        domain=(ANY, ANY),
    ),
    _row(
        "multiply",
        np.multiply,
        _d(lambda t, y, a, b: t * b, lambda t, y, a, b: t * a),
        _infix("*", r"\,", 20),
        kinds="fi",
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "divide",
        np.divide,
        _d(lambda t, y, a, b: t / b, lambda t, y, a, b: -(t * y) / b),
        _infix("/", "/", 20),
        functions=("divide", "true_divide"),
        domain=(ANY, POSITIVE),
    ),
    _row(
        "negative", np.negative, _d(lambda t, y, a: -t), Symbol("-", "-", "prefix", 25), kinds="fi"
    ),
    _row(
        "power",
        np.power,
        _d(lambda t, y, a, b: t * _power_base(a, b), lambda t, y, a, b: t * _power_exponent(y, a)),
        _infix("**", "^", 30),
        kinds="fi",
        functions=("power", "float_power"),
        domain=(POSITIVE, ANY),
    ),
    _row(
        "floor_divide",
        np.floor_divide,
        ZERO,
        _infix("//", r"\mathbin{/\!/}", 20),
        kinds="fi",
        domain=((2.1, 2.9), (0.98, 1.0)),
    ),
    _row(
        "remainder",
        np.remainder,
        _d(lambda t, y, a, b: t, lambda t, y, a, b: -t * np.floor(a / b)),
        _infix("%", r"\bmod", 20),
        kinds="fi",
        functions=("remainder", "mod"),
        domain=((2.1, 2.9), (0.98, 1.0)),
    ),
    _row(
        "fmod",
        np.fmod,
        _d(lambda t, y, a, b: t, lambda t, y, a, b: -t * np.trunc(a / b)),
        _fn("fmod"),
        kinds="fi",
        domain=((2.1, 2.9), (0.98, 1.0)),
    ),
    _row(
        "absolute",
        np.absolute,
        _d(lambda t, y, a: t * np.sign(a)),
        Symbol("|,|", r"\lvert,\rvert", "around"),
        kinds="fi",
        functions=("absolute", "fabs"),
        domain=(POSITIVE,),
    ),
    _row("sign", np.sign, ZERO, _fn("sign"), kinds="fi", domain=(POSITIVE,)),
    _row(
        "maximum",
        np.maximum,
        _d(lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)),
        _fn("max", r"\max"),
        kinds="fi",
        functions=("maximum",),
        commutative=True,
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    _row(
        "minimum",
        np.minimum,
        _d(lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)),
        _fn("min", r"\min"),
        kinds="fi",
        functions=("minimum",),
        commutative=True,
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    _row(
        "fmax",
        np.fmax,
        _d(lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)),
        _fn("fmax"),
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    _row(
        "fmin",
        np.fmin,
        _d(lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)),
        _fn("fmin"),
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    _row(
        "copysign",
        np.copysign,
        _d(lambda t, y, a, b: np.where(np.signbit(a) == np.signbit(b), t, -t), None),
        _fn("copysign"),
        domain=(POSITIVE, POSITIVE),
    ),
    _row(
        "nextafter",
        np.nextafter,
        _d(lambda t, y, a, b: t, None),
        _fn("nextafter"),
        domain=(ANY, (4.0, 5.0)),
    ),
    _row(
        "hypot",
        np.hypot,
        _d(lambda t, y, a, b: t * _ratio(a, y), lambda t, y, a, b: t * _ratio(b, y)),
        _fn("hypot"),
        commutative=True,
        domain=(POSITIVE, POSITIVE),
    ),
    _row(
        "arctan2",
        np.arctan2,
        _d(
            lambda t, y, a, b: t * _ratio(_ratio(b, np.hypot(a, b)), np.hypot(a, b)),
            lambda t, y, a, b: -t * _ratio(_ratio(a, np.hypot(a, b)), np.hypot(a, b)),
        ),
        _fn("atan2"),
        functions=("arctan2", "atan2"),
        domain=(POSITIVE, POSITIVE),
    ),
)

ROUNDING = (
    _rint_like("floor", np.floor, r"\operatorname{floor}"),
    _rint_like("ceil", np.ceil, r"\operatorname{ceil}"),
    _rint_like("trunc", np.trunc, r"\operatorname{trunc}", "fix"),
    _rint_like("rint", np.rint, r"\operatorname{round}"),
)

EXPONENTIAL = (
    _row("exp", np.exp, _d(lambda t, y, a: t * y), _fn("exp", r"\exp")),
    _row("exp2", np.exp2, _d(lambda t, y, a: t * (y * math.log(2.0))), _fn("exp2")),
    _row("expm1", np.expm1, _d(lambda t, y, a: t * (y + 1)), _fn("expm1")),
    _row("log", np.log, _d(lambda t, y, a: t / a), _fn("log", r"\log"), domain=(POSITIVE,)),
    _row(
        "log2",
        np.log2,
        _d(lambda t, y, a: t / (a * math.log(2.0))),
        _fn("log2", r"\log_2"),
        domain=(POSITIVE,),
    ),
    _row(
        "log10",
        np.log10,
        _d(lambda t, y, a: t / (a * math.log(10.0))),
        _fn("log10", r"\log_{10}"),
        domain=(POSITIVE,),
    ),
    _row("log1p", np.log1p, _d(lambda t, y, a: t / (1 + a)), _fn("log1p"), domain=(POSITIVE,)),
    _row(
        "logaddexp",
        np.logaddexp,
        _d(
            lambda t, y, a, b: t * call(SIGMOID, a - b), lambda t, y, a, b: t * call(SIGMOID, b - a)
        ),
        _fn("logaddexp"),
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "sqrt",
        np.sqrt,
        _d(lambda t, y, a: t * 0.5 / y),
        Symbol("sqrt", r"\sqrt", "call"),
        domain=(POSITIVE,),
    ),
    _row("cbrt", np.cbrt, _d(lambda t, y, a: t / (3 * (y * y))), _fn("cbrt"), domain=(POSITIVE,)),
    _row(
        "sigmoid",
        special.sigmoid,
        _d(lambda t, y, a: t * (y * (1 - y))),
        _fn("sigmoid", r"\sigma"),
        functions=("expit",),
    ),
    _row("softplus", special.softplus, _d(lambda t, y, a: t * call(SIGMOID, a)), _fn("softplus")),
    _row(
        "erf",
        special.erf,
        _d(lambda t, y, a: t * (TWO_OVER_SQRT_PI * np.exp(-(a * a)))),
        _fn("erf"),
    ),
    _row(
        "erfc",
        special.erfc,
        _d(lambda t, y, a: -t * (TWO_OVER_SQRT_PI * np.exp(-(a * a)))),
        _fn("erfc"),
    ),
    _row(
        "gammaln",
        special.gammaln,
        _d(lambda t, y, a: t * call(POLYGAMMA, a, order=0)),
        _fn("lgamma", r"\log\Gamma"),
        functions=("gammaln", "loggamma"),
        domain=(POSITIVE,),
    ),
)

TRIGONOMETRIC = (
    _row("sin", np.sin, _d(lambda t, y, a: t * np.cos(a)), _fn("sin", r"\sin")),
    _row("cos", np.cos, _d(lambda t, y, a: -t * np.sin(a)), _fn("cos", r"\cos")),
    _row(
        "tan",
        np.tan,
        _d(lambda t, y, a: t * (1 + y * y)),
        _fn("tan", r"\tan"),
        domain=((-1.2, 1.2),),
    ),
    _row(
        "arcsin",
        np.arcsin,
        _d(lambda t, y, a: t / np.sqrt((1 - a) * (1 + a))),
        _fn("asin", r"\arcsin"),
        functions=("arcsin", "asin"),
        domain=(UNIT,),
    ),
    _row(
        "arccos",
        np.arccos,
        _d(lambda t, y, a: -t / np.sqrt((1 - a) * (1 + a))),
        _fn("acos", r"\arccos"),
        functions=("arccos", "acos"),
        domain=(UNIT,),
    ),
    _row(
        "arctan",
        np.arctan,
        _d(lambda t, y, a: t / (1 + a * a)),
        _fn("atan", r"\arctan"),
        functions=("arctan", "atan"),
    ),
    _row("sinh", np.sinh, _d(lambda t, y, a: t * np.cosh(a)), _fn("sinh", r"\sinh")),
    _row("cosh", np.cosh, _d(lambda t, y, a: t * np.sinh(a)), _fn("cosh", r"\cosh")),
    _row("tanh", np.tanh, _d(lambda t, y, a: t * (1 - y * y)), _fn("tanh", r"\tanh")),
    _row(
        "arcsinh",
        np.arcsinh,
        _d(lambda t, y, a: t / np.hypot(a, np.ones_like(a))),
        _fn("asinh", r"\operatorname{arsinh}"),
        functions=("arcsinh", "asinh"),
    ),
    _row(
        "arccosh",
        np.arccosh,
        _d(lambda t, y, a: t / np.sqrt((a - 1) * (a + 1))),
        _fn("acosh", r"\operatorname{arcosh}"),
        functions=("arccosh", "acosh"),
        domain=((1.2, 3.0),),
    ),
    _row(
        "arctanh",
        np.arctanh,
        _d(lambda t, y, a: t / ((1 - a) * (1 + a))),
        _fn("atanh", r"\operatorname{artanh}"),
        functions=("arctanh", "atanh"),
        domain=(UNIT,),
    ),
)


def _compare(name: str, fn: Callable[..., Array], text: str, latex: str, twins: bool) -> Op:
    return _row(
        name,
        fn,
        ZERO,
        _infix(text, latex, 5),
        kinds="bfi",
        result=bool_,
        commutative=twins,
        domain=(ANY, ANY),
    )


PREDICATES = (
    _compare("equal", np.equal, "==", "=", True),
    _compare("not_equal", np.not_equal, "!=", r"\ne", True),
    _compare("less", np.less, "<", "<", False),
    _compare("less_equal", np.less_equal, "<=", r"\le", False),
    _compare("greater", np.greater, ">", ">", False),
    _compare("greater_equal", np.greater_equal, ">=", r"\ge", False),
    _row("isnan", np.isnan, ZERO, _fn("isnan"), result=bool_),
    _row("isinf", np.isinf, ZERO, _fn("isinf"), result=bool_),
    _row("isfinite", np.isfinite, ZERO, _fn("isfinite"), result=bool_),
    _row("signbit", np.signbit, ZERO, _fn("signbit"), result=bool_),
    _row("logical_not", np.logical_not, ZERO, Symbol("not ", r"\lnot ", "prefix", 8), kinds="b"),
    _row(
        "logical_and",
        np.logical_and,
        ZERO,
        _infix("and", r"\land", 4),
        kinds="b",
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "logical_or",
        np.logical_or,
        ZERO,
        _infix("or", r"\lor", 3),
        kinds="b",
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "logical_xor",
        np.logical_xor,
        ZERO,
        _infix("xor", r"\oplus", 3),
        kinds="b",
        commutative=True,
        domain=(ANY, ANY),
    ),
)

BITS = (
    _row(
        "bitwise_and",
        np.bitwise_and,
        ZERO,
        _infix("&", r"\mathbin{\&}", 9),
        kinds="i",
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "bitwise_or",
        np.bitwise_or,
        ZERO,
        _infix("|", r"\mid", 7),
        kinds="i",
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "bitwise_xor",
        np.bitwise_xor,
        ZERO,
        _infix("^", r"\oplus", 8),
        kinds="i",
        commutative=True,
        domain=(ANY, ANY),
    ),
    _row(
        "invert",
        np.invert,
        ZERO,
        Symbol("~", r"\lnot ", "prefix", 25),
        kinds="i",
        functions=("invert", "bitwise_not", "bitwise_invert"),
    ),
    _row(
        "left_shift",
        np.left_shift,
        ZERO,
        _infix("<<", r"\ll", 9),
        kinds="i",
        functions=("left_shift", "bitwise_left_shift"),
        domain=(ANY, ANY),
    ),
    _row(
        "right_shift",
        np.right_shift,
        ZERO,
        _infix(">>", r"\gg", 9),
        kinds="i",
        functions=("right_shift", "bitwise_right_shift"),
        domain=(ANY, ANY),
    ),
)


def _infer_where(types: tuple[TensorType, ...], params: Params) -> TensorType:
    condition, then, other = types
    if condition.dtype != bool_:
        raise DTypeError(f"the condition must be bool, not {condition.dtype}")
    if then.dtype != other.dtype:
        raise DTypeError("both choices must have one dtype")
    return TensorType(then.dtype, broadcast_shapes(*(x.shape for x in types)))


WHERE = Op(
    "where",
    _infer_where,
    _evaluate(np.where),
    Elementwise(lambda node, c, a, b: loops.select(c, a, b)),
    _d(None, lambda t, y, c, a, b: np.where(c, t, 0), lambda t, y, c, a, b: np.where(c, 0, t)),
    _fn("where"),
    domain=(ANY, ANY, ANY),
)


def _infer_cast(types: tuple[TensorType, ...], params: Params) -> TensorType:
    dtype = params["dtype"]
    if not isinstance(dtype, DType):
        raise DTypeError(f"cannot cast to {dtype!r}")
    return types[0].with_dtype(dtype)


def _evaluate_cast(params: Params, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(params["dtype"].numpy)  # type: ignore[union-attr]


def _transpose_cast(g: Value, k: int, node: Node) -> Value:
    return call(CAST, g, dtype=node.operands[0].dtype)


CAST = Op(
    "cast",
    _infer_cast,
    _evaluate_cast,
    Elementwise(lambda node, x: loops.cast(x, node.dtype)),
    Linear(_transpose_cast),
    _fn("cast"),
    ("astype",),
    domain=(ANY,),
)

STOP_GRADIENT = Op(
    "stop_gradient",
    lambda types, params: types[0],
    lambda params, x: x,
    Elementwise(lambda node, x: x),
    ZERO,
    Symbol("stop", r"\operatorname{stop}"),
    domain=(ANY,),
)
"""The identity, constant to every derivative."""


def _next_polygamma(t: Value, y: Value, a: Value) -> Value:
    return t * call(POLYGAMMA, a, order=_order(y.node) + 1)


def _order(node: Node) -> int:
    order = node.params["order"]
    if not isinstance(order, int):
        raise DTypeError(f"the order of polygamma is an int, not {order!r}")
    return order


POLYGAMMA = Op(
    "polygamma",
    lambda types, params: _infer("f")(types, params),
    lambda params, x: special.polygamma(params["order"], x),
    Elementwise(
        lambda node, x: loops.Apply("polygamma", (loops.Literal(_order(node), int32), x), x.dtype)
    ),
    _d(_next_polygamma),
    _fn("polygamma", r"\psi"),
    domain=(POSITIVE,),
)

ELEMENTWISE = (
    *ARITHMETIC,
    *ROUNDING,
    *EXPONENTIAL,
    *TRIGONOMETRIC,
    *PREDICATES,
    *BITS,
    WHERE,
    CAST,
    STOP_GRADIENT,
    POLYGAMMA,
)
SIGMOID = next(row for row in EXPONENTIAL if row.name == "sigmoid")
SOFTPLUS = next(row for row in EXPONENTIAL if row.name == "softplus")
