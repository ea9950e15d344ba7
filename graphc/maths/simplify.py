"""The algebra of school, bottom up, and nothing that a reader would have to believe.

Every rule is an identity of the reals wherever its left side is defined.
"""

from __future__ import annotations

from graphc.maths.algebra import (
    coefficient,
    flat,
    is_negative,
    number_power,
    opposite,
    power,
    product,
    total,
    with_coefficient,
)
from graphc.maths.conditions import cases, compared, negation
from graphc.maths.exponentials import is_call
from graphc.maths.folds import fold
from graphc.maths.read import EXP, LOG
from graphc.maths.tree import (
    MINUS_ONE,
    ONE,
    ZERO,
    Call,
    Cases,
    Delta,
    Expr,
    Fold,
    Number,
    Plus,
    Power,
    Times,
    children,
    same,
    with_children,
)


def simplify(expr: Expr) -> Expr:
    """The simplest tree these rules reach: they are applied until nothing changes."""
    for _ in range(20):
        simpler = _once(expr)
        if same(simpler, expr):
            return simpler
        expr = simpler
    return expr


def tidy(expr: Expr) -> Expr:
    """Numbers and signs gathered, products flattened, nothing cancelled: the next line on paper."""
    expr = with_children(expr, tuple(map(tidy, children(expr))))
    match expr:
        case Plus():
            return _tidy_sum(expr)
        case Times():
            return _tidy_product(expr)
        case Cases():
            return cases(expr.condition, expr.then, expr.other)
        case Call():
            return compared(expr) or expr
        case Power(exponent=Number(value=value)) if value == 1:
            return expr.base
        case Power(base=Number(value=base), exponent=Number(value=value)) if base == 1 or value in (
            -1,
            2,
        ):
            return number_power(base, value) or expr
    return expr


def _tidy_sum(expr: Plus) -> Expr:
    terms = [t for t in flat(expr.terms, Plus) if t != ZERO]
    return Plus(tuple(terms)) if len(terms) > 1 else terms[0] if terms else ZERO


def _tidy_product(expr: Times) -> Expr:
    value, rest = coefficient(flat(expr.factors, Times))
    return with_coefficient(value, rest)


def _once(expr: Expr) -> Expr:
    expr = with_children(expr, tuple(map(_once, children(expr))))
    match expr:
        case Plus():
            return total(expr.terms)
        case Times():
            return product(expr.factors)
        case Power():
            return product((power(expr.base, expr.exponent),))
        case Call():
            return call(expr)
        case Cases():
            return cases(expr.condition, expr.then, expr.other)
        case Fold():
            return fold(expr)
        case Delta():
            return ONE if expr.a == expr.b else expr
    return expr


def call(expr: Call) -> Expr:
    known = compared(expr)
    if known is not None:
        return known
    if len(expr.args) != 1:
        return expr
    (x,) = expr.args
    if is_call(expr, LOG):
        return ZERO if x == ONE else children(x)[0] if is_call(x, EXP) else expr
    if is_call(expr, EXP):
        return ONE if x == ZERO else children(x)[0] if is_call(x, LOG) else expr
    if is_negative(x) and expr.symbol.text in ("sign", "sin", "tan", "tanh", "sinh", "erf"):
        return product((MINUS_ONE, Call(expr.symbol, (opposite(x),))))
    if is_negative(x) and expr.symbol.text in ("|,|", "cos", "cosh"):
        return Call(expr.symbol, (opposite(x),))
    if expr.symbol.text == "not ":
        return negation(x)
    return expr
