"""Arithmetic and rounding, one row an op."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc.graph import Array, Op, Symbol, Value
from graphc.ops.rows import ANY, POSITIVE, ZERO, call_symbol, infix, partials, row


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
    return row(name, fn, ZERO, call_symbol(name, latex), functions=(name, *functions))


ARITHMETIC = (
    row(
        "add",
        np.add,
        partials(lambda t, y, a, b: t, lambda t, y, a, b: t),
        infix("+", "+", 10),
        kinds="fi",
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "subtract",
        np.subtract,
        partials(lambda t, y, a, b: t, lambda t, y, a, b: -t),
        infix("-", "-", 10),
        kinds="fi",
        domain=(ANY, ANY),
    ),
    row(
        "multiply",
        np.multiply,
        partials(lambda t, y, a, b: t * b, lambda t, y, a, b: t * a),
        infix("*", r"\,", 20),
        kinds="fi",
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "divide",
        np.divide,
        partials(lambda t, y, a, b: t / b, lambda t, y, a, b: -(t / b * y)),
        infix("/", "/", 20),
        functions=("divide", "true_divide"),
        domain=(ANY, POSITIVE),
    ),
    row(
        "negative",
        np.negative,
        partials(lambda t, y, a: -t),
        Symbol("-", "-", "prefix", 25),
        kinds="fi",
    ),
    row(
        "power",
        np.power,
        partials(
            lambda t, y, a, b: t * _power_base(a, b), lambda t, y, a, b: t * _power_exponent(y, a)
        ),
        infix("**", "^", 30),
        kinds="fi",
        functions=("power", "float_power"),
        domain=(POSITIVE, ANY),
    ),
    row(
        "floor_divide",
        np.floor_divide,
        ZERO,
        infix("//", r"\mathbin{/\!/}", 20),
        kinds="fi",
        domain=((2.1, 2.9), (0.98, 1.0)),
    ),
    row(
        "remainder",
        np.remainder,
        partials(lambda t, y, a, b: t, lambda t, y, a, b: -t * np.floor(a / b)),
        infix("%", r"\bmod", 20),
        kinds="fi",
        functions=("remainder", "mod"),
        domain=((2.1, 2.9), (0.98, 1.0)),
    ),
    row(
        "fmod",
        np.fmod,
        partials(lambda t, y, a, b: t, lambda t, y, a, b: -t * np.trunc(a / b)),
        call_symbol("fmod"),
        kinds="fi",
        domain=((2.1, 2.9), (0.98, 1.0)),
    ),
    row(
        "absolute",
        np.absolute,
        partials(lambda t, y, a: t * np.sign(a)),
        Symbol("|,|", r"\lvert,\rvert", "around"),
        kinds="fi",
        functions=("absolute", "fabs"),
        domain=(POSITIVE,),
    ),
    row("sign", np.sign, ZERO, call_symbol("sign"), kinds="fi", domain=(POSITIVE,)),
    row(
        "maximum",
        np.maximum,
        partials(
            lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)
        ),
        call_symbol("max", r"\max"),
        kinds="fi",
        functions=("maximum",),
        commutative=True,
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    row(
        "minimum",
        np.minimum,
        partials(
            lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)
        ),
        call_symbol("min", r"\min"),
        kinds="fi",
        functions=("minimum",),
        commutative=True,
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    row(
        "fmax",
        np.fmax,
        partials(
            lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)
        ),
        call_symbol("fmax"),
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    row(
        "fmin",
        np.fmin,
        partials(
            lambda t, y, a, b: _extremum(t, y, a, b), lambda t, y, a, b: _extremum(t, y, b, a)
        ),
        call_symbol("fmin"),
        domain=((-1.0, 0.0), (0.5, 1.0)),
    ),
    row(
        "copysign",
        np.copysign,
        partials(lambda t, y, a, b: np.where(np.signbit(a) == np.signbit(b), t, -t), None),
        call_symbol("copysign"),
        domain=(POSITIVE, POSITIVE),
    ),
    row(
        "nextafter",
        np.nextafter,
        partials(lambda t, y, a, b: t, None),
        call_symbol("nextafter"),
        domain=(ANY, (4.0, 5.0)),
    ),
    row(
        "hypot",
        np.hypot,
        partials(lambda t, y, a, b: t * _ratio(a, y), lambda t, y, a, b: t * _ratio(b, y)),
        call_symbol("hypot"),
        commutative=True,
        domain=(POSITIVE, POSITIVE),
    ),
    row(
        "arctan2",
        np.arctan2,
        partials(
            lambda t, y, a, b: t * _ratio(_ratio(b, np.hypot(a, b)), np.hypot(a, b)),
            lambda t, y, a, b: -t * _ratio(_ratio(a, np.hypot(a, b)), np.hypot(a, b)),
        ),
        call_symbol("atan2"),
        functions=("arctan2", "atan2"),
        domain=(POSITIVE, POSITIVE),
    ),
)

ROUNDING = (
    _rint_like("floor", np.floor, r"\operatorname{floor}"),
    _rint_like("ceil", np.ceil, r"\operatorname{ceil}"),
    _rint_like("trunc", np.trunc, r"\operatorname{trunc}"),
    _rint_like("rint", np.rint, r"\operatorname{round}"),
)
