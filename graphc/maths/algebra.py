"""Products, sums and powers of school algebra.

Sums come out with their common factors in front, so that ``g a - g a a`` is ``g a (1 - a)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from graphc.maths.exponentials import Powers, recognised
from graphc.maths.tree import (
    HALF,
    MINUS_ONE,
    ONE,
    ZERO,
    Call,
    Expr,
    Number,
    Plus,
    Power,
    Times,
    canonical,
    children,
)


def flat(parts: Iterable[Expr], kind: type[Plus] | type[Times]) -> list[Expr]:
    found: list[Expr] = []
    for part in parts:
        found += flat(children(part), kind) if isinstance(part, kind) else [part]
    return found


def coefficient(factors: Iterable[Expr]) -> tuple[Fraction | float, list[Expr]]:
    value: Fraction | float = Fraction(1)
    rest: list[Expr] = []
    for factor in factors:
        if isinstance(factor, Number):
            value = value * factor.value
        else:
            rest.append(factor)
    return value, rest


def with_coefficient(value: Fraction | float, rest: list[Expr]) -> Expr:
    if value == 0:
        return ZERO
    if not rest:
        return Number(value)
    if value == 1:
        return rest[0] if len(rest) == 1 else Times(tuple(rest))
    return Times((Number(value), *rest))


def is_negative(expr: Expr) -> bool:
    """Whether the tree is written with a minus in front."""
    if isinstance(expr, Times):
        return is_negative(expr.factors[0])
    return isinstance(expr, Number) and expr.value < 0


def opposite(expr: Expr) -> Expr:
    """-expr, as a product with the other sign."""
    value, rest = coefficient(flat((expr,), Times))
    return with_coefficient(-value, rest)


def product(factors: Iterable[Expr]) -> Expr:
    """Numbers to the front, equal bases to one power, σ recognised, a minus into a difference."""
    value, rest = coefficient(flat(factors, Times))
    powers = _gathered(rest)
    powers = recognised(powers, lambda x: product((MINUS_ONE, x)))
    kept = [power(base, exponent) for base, exponent in powers]
    more, kept = coefficient(flat(kept, Times))
    value = value * more
    kept = _spread(_numerator_first(kept))
    if value < 0:
        flipped = _absorb_minus(kept)
        if flipped is not None:
            value, kept = -value, flipped
    return with_coefficient(value, kept)


def is_divisor(expr: Expr) -> bool:
    return isinstance(expr, Power) and isinstance(expr.exponent, Number) and expr.exponent.value < 0


def _numerator_first(factors: list[Expr]) -> list[Expr]:
    """1/σ x is written x/σ."""
    first = next((k for k, f in enumerate(factors) if not is_divisor(f)), 0)
    return [factors[first], *factors[:first], *factors[first + 1 :]] if first else factors


def _spread(factors: list[Expr]) -> list[Expr]:
    """p (g / p + h) is g + p h: a factor that divides a term of a sum beside it goes into it."""
    for k, factor in enumerate(factors):
        if is_divisor(factor):
            continue
        inverse = canonical(power(factor, MINUS_ONE))
        for m, other in enumerate(factors):
            if (
                isinstance(other, Plus)
                and m != k
                and any(
                    canonical(part) == inverse
                    for term in other.terms
                    for part in flat((term,), Times)
                )
            ):
                spread = total(product((factor, term)) for term in other.terms)
                rest = [f for i, f in enumerate(factors) if i not in (k, m)]
                return [*rest, *flat((spread,), Times)]
    return factors


def _gathered(factors: Iterable[Expr]) -> Powers:
    """(base, exponent) with equal bases joined, in order of first appearance; none to the 0."""
    found: dict[Expr, tuple[Expr, list[Expr]]] = {}
    for factor in factors:
        base, exponent = (
            (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, ONE)
        )
        found.setdefault(canonical(base), (base, []))[1].append(exponent)
    joined = [(base, total(exponents)) for base, exponents in found.values()]
    return [(base, exponent) for base, exponent in joined if exponent != ZERO]


def _absorb_minus(factors: list[Expr]) -> list[Expr] | None:
    """-(a - b) is b - a: the factors with the minus gone, or None where no difference takes it."""
    for k, factor in enumerate(factors):
        if isinstance(factor, Plus) and len(factor.terms) == 2:
            signs = [is_negative(t) for t in factor.terms]
            if signs == [False, True] and factor.terms[0] != ONE:
                a, b = factor.terms
                return [*factors[:k], Plus((opposite(b), opposite(a))), *factors[k + 1 :]]
    return None


def total(terms: Iterable[Expr]) -> Expr:
    """Like terms gathered, common factors in front."""
    found: dict[Expr, tuple[Expr, Fraction | float]] = {}
    for term in flat(map(_distributed, flat(terms, Plus)), Plus):
        value, rest = coefficient(flat((term,), Times))
        body = with_coefficient(Fraction(1), rest)
        key = canonical(body)
        found[key] = (
            found[key][0] if key in found else body,
            value + (found[key][1] if key in found else 0),
        )
    kept = [(body, value) for body, value in found.values() if value != 0]
    if not kept:
        return ZERO
    summed = [
        with_coefficient(value, [] if body == ONE else flat((body,), Times)) for body, value in kept
    ]
    return summed[0] if len(summed) == 1 else _factored(summed)


def _distributed(term: Expr) -> Expr:
    """A number times a sum, as a sum: so that nested sums become one."""
    if isinstance(term, Times):
        value, rest = coefficient(flat(term.factors, Times))
        if len(rest) == 1 and isinstance(rest[0], Plus):
            return Plus(tuple(product((Number(value), x)) for x in rest[0].terms))
    return term


def _factored(terms: list[Expr]) -> Expr:
    """Plus of the terms with their common factors and sign taken out."""
    common, split = shared(terms)
    if all(isinstance(value, Fraction) for value, _ in split):
        scale = _common_number([Fraction(value) for value, _ in split])
    else:
        scale = Fraction(1)
    if all(value < 0 for value, _ in split):
        scale = -scale
    inner = Plus(tuple(with_coefficient(value / scale, rest) for value, rest in split))
    if is_negative(inner.terms[0]) and not is_negative(inner.terms[-1]):
        inner = Plus(tuple(sorted(inner.terms, key=is_negative)))
    if not common and scale == 1:
        return inner
    return with_coefficient(scale, [*common, inner])


def shared(terms: Iterable[Expr]) -> tuple[list[Expr], list[tuple[Fraction | float, list[Expr]]]]:
    """The factors that all terms have, and what is left of each: (number, factors)."""
    split = [coefficient(flat((term,), Times)) for term in terms]
    common: list[Expr] = []
    for factor in tuple(split[0][1]):
        unit = factor.base if isinstance(factor, Power) and not is_divisor(factor) else factor
        while (shares := [divided(rest, unit) for _, rest in split]) and None not in shares:
            split = [(value, share or []) for (value, _), share in zip(split, shares, strict=True)]
            common.append(unit)
    return [power(base, exponent) for base, exponent in _gathered(common)], split


def _common_number(values: list[Fraction]) -> Fraction:
    """The largest number that leaves integers, where all are of one size or integers already."""
    sizes = [abs(value) for value in values]
    if len(set(sizes)) == 1:
        return sizes[0]
    if any(value.denominator != 1 for value in sizes):
        return Fraction(1)
    return Fraction(math.gcd(*(int(value) for value in sizes)))


def power(base: Expr, exponent: Expr) -> Expr:
    if exponent == ONE or base == ONE:
        return base
    if exponent == ZERO:
        return ONE
    if not isinstance(exponent, Number):
        return Power(base, exponent)
    value = exponent.value
    if isinstance(base, Number):
        known = number_power(base.value, value)
        if known is not None:
            return known
    if (
        isinstance(base, Power)
        and isinstance(base.exponent, Number)
        and (value == int(value) or base.exponent.value in (-1, HALF.value))
    ):
        return power(base.base, Number(base.exponent.value * value))
    if isinstance(base, Times) and value == int(value):
        return product(power(factor, exponent) for factor in base.factors)
    if value == 2 and isinstance(base, Call) and base.symbol.text == "|,|":
        return power(children(base)[0], exponent)
    return Power(base, exponent)


def number_power(base: Fraction | float, exponent: Fraction | float) -> Expr | None:
    whole = int(exponent)
    if exponent == whole and abs(whole) <= 8 and (base or whole > 0):
        return Number(base**whole)
    if exponent in (Fraction(1, 2), Fraction(-1, 2)) and isinstance(base, Fraction) and base > 0:
        top, bottom = math.isqrt(base.numerator), math.isqrt(base.denominator)
        if (top * top, bottom * bottom) == (base.numerator, base.denominator):
            return Number(Fraction(top, bottom) ** (1 if exponent > 0 else -1))
    return None


def divided(factors: list[Expr], wanted: Expr) -> list[Expr] | None:
    """The factors divided by one of them, or by a part of a power; None where it is in none."""
    base, exponent = (wanted.base, wanted.exponent) if isinstance(wanted, Power) else (wanted, ONE)
    for k, factor in enumerate(factors):
        mine, its = (factor.base, factor.exponent) if isinstance(factor, Power) else (factor, ONE)
        if canonical(mine) != canonical(base):
            continue
        if its == exponent:
            return [*factors[:k], *factors[k + 1 :]]
        if (
            isinstance(its, Number)
            and isinstance(exponent, Number)
            and (its.value / exponent.value >= 1)
        ):
            return [
                *factors[:k],
                power(mine, Number(its.value - exponent.value)),
                *factors[k + 1 :],
            ]
    return None
