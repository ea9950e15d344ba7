"""What a person would recognise in a formula: a logarithm of a product, a value with a name."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from graphc.maths.algebra import coefficient, divided, flat, product
from graphc.maths.exponentials import is_call
from graphc.maths.read import EXP, LOG
from graphc.maths.simplify import simplify
from graphc.maths.tree import (
    MINUS_ONE,
    Call,
    Expr,
    Fold,
    Item,
    Number,
    Plus,
    Power,
    Times,
    at_indices,
    canonical,
    children,
    rewrite,
    walk,
)
from graphc.types import Dim


def logs_apart(expr: Expr) -> Expr:
    """log(a exp(b)) as log(a) + b, log(a / b) as log(a) - log(b), where an exponential goes."""

    def change(part: Expr) -> Expr | None:
        if not is_call(part, LOG):
            return None
        (x,) = children(part)
        factors = flat((x,), Times)
        if not any(is_call(f, EXP) or is_call(f, LOG) for f in factors) or len(factors) < 2:
            return None
        return Plus(tuple(_log_of(f) for f in _denominator_joined(factors)))

    return rewrite(expr, change)


def _denominator_joined(factors: list[Expr]) -> list[Expr]:
    """All divisors, numbers among them, as one: 1/2 1/σ x is 1/(2σ) x."""
    value, rest = coefficient(factors)
    below = [f for f in rest if isinstance(f, Power) and f.exponent == MINUS_ONE]
    above = [f for f in rest if f not in below]
    if isinstance(value, Fraction) and value.numerator == 1 and below:
        joined = product((Number(1 / value), *(f.base for f in below if isinstance(f, Power))))
        return [Power(joined, MINUS_ONE), *above]
    return [*([Number(value)] if value != 1 else []), *rest]


def _log_of(factor: Expr) -> Expr:
    if is_call(factor, EXP):
        return children(factor)[0]
    if isinstance(factor, Power) and isinstance(factor.exponent, Number):
        return product((factor.exponent, Call(LOG, (factor.base,))))
    return Call(LOG, (factor,))


def renamed(expr: Expr, name: Item, formula: Expr) -> Expr:
    """The tree with `name` for every value that `formula`, which defines it, gives.

    Both have the same free indices; the formula is found at every index that occurs.
    """
    wanted = {item.at for item in _items(expr) if len(item.at) == len(name.at)} | {name.at}
    frees = [x.terms[0][0][0] for x in name.at if isinstance(x, Dim)]
    for at in sorted(wanted, key=str):
        values = {str(old): new for old, new in zip(frees, at, strict=False)}
        here = at_indices(name, values)
        pattern = canonical(simplify(at_indices(formula, values)))
        if children(pattern):
            expr = rewrite(expr, partial(_replaced, pattern=pattern, name=here))
    return expr


def _items(expr: Expr) -> list[Item]:
    if isinstance(expr, Item):
        return [expr]
    return [x for child in children(expr) for x in _items(child)]


def _replaced(part: Expr, pattern: Expr, name: Expr) -> Expr | None:
    """The part with the pattern in it, itself or as some of its factors, replaced; else None."""
    if canonical(part) == pattern:
        return name
    if not isinstance(part, Times) or not isinstance(pattern, Times):
        return None
    if not any(isinstance(x, Call | Fold | Plus) for x in walk(pattern)):
        return None
    value, left = coefficient(part.factors)
    scale, wanted = coefficient(pattern.factors)
    for factor in wanted:
        rest = divided(left, factor)
        if rest is None:
            return None
        left = rest
    return product((Number(value / scale), name, *left))
