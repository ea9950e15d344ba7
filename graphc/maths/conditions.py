"""Comparisons and the values that depend on them."""

from __future__ import annotations

import operator
from collections.abc import Callable

from graphc.graph import Symbol
from graphc.maths.algebra import product, shared, with_coefficient
from graphc.maths.tree import (
    HALF,
    ONE,
    ZERO,
    Call,
    Cases,
    Expr,
    Number,
    canonical,
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
    common, left = shared((then, other))
    then, other = (with_coefficient(value, rest) for value, rest in left)
    return product((*common, _larger(Cases(condition, then, other))))


def _larger(expr: Cases) -> Expr:
    """The share of a in max(a, b), a half where a = b: [a > b] but for the tie."""
    condition, share = expr.condition, expr.other
    if expr.then != HALF or not is_named(condition, "==") or not isinstance(share, Cases):
        return expr
    if not is_named(share.condition, "==") or (share.then, share.other) != (ONE, ZERO):
        return expr
    mine, extremum = children(share.condition)
    text = extremum.symbol.text if isinstance(extremum, Call) else ""
    a, b = children(condition)
    if text not in ("max", "min") or not same(mine, a):
        return expr
    if {canonical(a), canonical(b)} != set(map(canonical, children(extremum))):
        return expr
    sign = ">" if text == "max" else "<"
    return Cases(Call(Symbol(sign, sign, "infix", 5), (a, b)), ONE, ZERO)
