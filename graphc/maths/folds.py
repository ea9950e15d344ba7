"""Sums over indices."""

from __future__ import annotations

from fractions import Fraction

from graphc.maths.algebra import coefficient, flat, product, with_coefficient
from graphc.maths.tree import (
    ONE,
    Delta,
    Expr,
    Fold,
    Number,
    Place,
    Times,
    at_indices,
    index_names,
)
from graphc.types import Dim, Size, names

Over = list[tuple[str, Size]]


def fold(expr: Fold) -> Expr:
    """What does not depend on a summed index leaves the sum; a sum of ones is its length."""
    if expr.symbol.text != "sum":
        return expr
    over, body = list(expr.over), expr.body
    if isinstance(body, Fold) and body.symbol.text == "sum":
        over, body = [*over, *body.over], body.body
    factors = flat((body,), Times)
    factors, over = _sifted(factors, over)
    outside: list[Expr] = []
    bound = {name for name, _ in over}
    for factor in factors:
        if not index_names(factor) & bound:
            outside.append(factor)
    inside = [f for f in factors if f not in outside]
    used = {name for factor in inside for name in index_names(factor)}
    for name, length in over:
        if name not in used:
            outside.append(Number(Fraction(length)) if isinstance(length, int) else Place(length))
    kept = tuple((name, length) for name, length in over if name in used)
    if not kept:
        return product(factor for factor in (*outside, *inside))
    value, inside = coefficient(inside)
    summed = Fold(expr.symbol, kept, with_coefficient(Fraction(1), inside))
    return product((Number(value), *outside, summed))


def _sifted(factors: list[Expr], over: Over) -> tuple[list[Expr], Over]:
    """A sum over k of δ_jk x_k is x_j."""
    for factor in factors:
        if isinstance(factor, Delta):
            for name, _ in over:
                for mine, other in ((factor.a, factor.b), (factor.b, factor.a)):
                    if mine == Dim.named(name) and name not in names(other):
                        rest = [at_indices(f, {name: other}) for f in factors if f is not factor]
                        return _sifted(rest or [ONE], [x for x in over if x[0] != name])
    return factors, over
