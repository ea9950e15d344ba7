"""Comparisons and the values that depend on them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction

from graphc.graph import Symbol
from graphc.maths.algebra import product
from graphc.maths.tree import (
    ONE,
    ZERO,
    Call,
    Cases,
    Expr,
    Number,
    Times,
    children,
    same,
)

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


OPPOSITE = {"==": ("!=", r"\ne"), "!=": ("==", "="), "<": (">=", r"\ge"), ">=": ("<", "<"),
            ">": ("<=", r"\le"), "<=": (">", ">")}  # fmt: skip


def is_named(expr: Expr, text: str) -> bool:
    return isinstance(expr, Call) and expr.symbol.text == text


def compared(expr: Call) -> Expr | None:
    """A comparison of two numbers as 1 or 0."""
    if expr.symbol.text in COMPARISONS and len(expr.args) == 2:
        a, b = expr.args
        if isinstance(a, Number) and isinstance(b, Number):
            return ONE if COMPARISONS[expr.symbol.text](float(a.value), float(b.value)) else ZERO
        if same(a, b) and expr.symbol.text == "==":
            return ONE
    return None


def negation(condition: Expr) -> Expr:
    if isinstance(condition, Call) and condition.symbol.text in OPPOSITE:
        sign, latex = OPPOSITE[condition.symbol.text]
        return Call(Symbol(sign, latex, "infix", 5), condition.args)
    return Call(Symbol("not ", r"\lnot ", "prefix", 8), (condition,))


def cases(condition: Expr, then: Expr, other: Expr) -> Expr:
    """[condition] x where one branch is 0; a known condition picks its branch."""
    if isinstance(condition, Number):
        return then if condition.value else other
    if same(then, other):
        return then
    if then == ZERO:
        return product((other, Cases(negation(condition), ONE, ZERO)))
    if other == ZERO and then != ONE:
        return product((then, Cases(condition, ONE, ZERO)))
    return _larger(Cases(condition, then, other))


def _larger(expr: Cases) -> Expr:
    """The share of a in max(a, b), a half where a = b: [a > b] but for the tie."""
    condition, other = expr.condition, expr.other
    if not (is_named(condition, "==") and isinstance(other, Times | Cases)):
        return expr
    a, b = children(condition)
    share = (
        other
        if isinstance(other, Cases)
        else next((f for f in other.factors if isinstance(f, Cases)), None)
    )
    if share is None or not is_named(share.condition, "==") or share.other != ZERO:
        return expr
    mine, extremum = children(share.condition)
    text = extremum.symbol.text if isinstance(extremum, Call) else ""
    if text not in ("max", "min") or not same(mine, a) or {a, b} != set(children(extremum)):
        return expr
    if not same(product((expr.then, Number(Fraction(2)))), other if other is not share else ONE):
        if not same(product((expr.then, Number(Fraction(2)), share)), other):
            return expr
    sign = (">", ">") if text == "max" else ("<", "<")
    strict = Cases(Call(Symbol(sign[0], sign[1], "infix", 5), (a, b)), ONE, ZERO)
    return product((expr.then, Number(Fraction(2)), strict))
