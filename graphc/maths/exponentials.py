"""Exponentials that cancel, and the logistic function in what is left of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from graphc.graph import Symbol
from graphc.maths.read import EXP, negated
from graphc.maths.tree import ONE, Call, Expr, Number, Plus, canonical, children, size

SIGMOID = Symbol("sigmoid", r"\sigma")

Powers = list[tuple[Expr, Expr]]
"""Factors of a product: (base, exponent)."""
Negate = Callable[[Expr], Expr]


def is_call(expr: Expr, symbol: Symbol) -> bool:
    return isinstance(expr, Call) and expr.symbol.text == symbol.text


def recognised(powers: Powers, negate: Negate) -> Powers:
    """The same product after these rules, each the definition σ(-u) = 1 / (1 + exp(u)) in disguise.

    exp(u) exp(-u) = 1; 1 / (1 + exp(u)) = σ(-u); σ(-u) exp(u) = σ(u); σ(-u) (1 + exp(u)) = 1;
    σ(u) σ(-u) = σ(u) (1 - σ(u)).
    """
    rules = (_inverse_exponentials, _from_quotient, _turned, _undone, _both)
    changed = True
    while changed:
        changed = False
        for rule in rules:
            better = rule(powers, negate)
            if better is not None:
                powers, changed = better, True
    return powers


def _count(powers: Powers, base: Expr) -> tuple[int, int]:
    """(position, exponent) of a base with a positive whole exponent; exponent 0 for none."""
    wanted = canonical(base)
    for k, (mine, exponent) in enumerate(powers):
        if (
            isinstance(exponent, Number)
            and exponent.value == int(exponent.value) > 0
            and (canonical(mine) == wanted)
        ):
            return k, int(exponent.value)
    return -1, 0


def _exchanged(powers: Powers, taken: dict[int, int], given: Powers) -> Powers:
    """`taken` off the exponents at these positions; `given` in the place of the first."""
    result: Powers = []
    for k, (base, exponent) in enumerate(powers):
        if k not in taken:
            result.append((base, exponent))
            continue
        if k == next(iter(taken)):
            for new, power in given:
                position, count = _count(result, new)
                if count and isinstance(power, Number):
                    result[position] = (new, Number(power.value + count))
                else:
                    result.append((new, power))
        left = exponent.value - taken[k] if isinstance(exponent, Number) else 0
        result += [(base, Number(left))] if left else []
    return result


def _inverse_exponentials(powers: Powers, negate: Negate) -> Powers | None:
    for k, (base, _) in enumerate(powers):
        if is_call(base, EXP):
            _, mine = _count(powers, base)
            other, its = _count(powers, Call(EXP, (negate(children(base)[0]),)))
            if mine and its:
                both = min(mine, its)
                return _exchanged(powers, {k: both, other: both}, [])
    return None


def _from_quotient(powers: Powers, negate: Negate) -> Powers | None:
    for k, (base, exponent) in enumerate(powers):
        u = _one_plus_exp(base)
        if (
            u is not None
            and isinstance(exponent, Number)
            and (exponent.value == int(exponent.value) < 0)
        ):
            turned = Call(SIGMOID, (negate(u),))
            return _exchanged(powers, {k: int(exponent.value)}, [(turned, Number(-exponent.value))])
    return None


def _turned(powers: Powers, negate: Negate) -> Powers | None:
    for k, (base, _) in enumerate(powers):
        if is_call(base, EXP):
            (u,) = children(base)
            _, mine = _count(powers, base)
            other, its = _count(powers, Call(SIGMOID, (negate(u),)))
            if mine and its:
                both = min(mine, its)
                return _exchanged(
                    powers, {other: both, k: both}, [(Call(SIGMOID, (u,)), Number(Fraction(both)))]
                )
    return None


def _undone(powers: Powers, negate: Negate) -> Powers | None:
    for k, (base, _) in enumerate(powers):
        u = _one_plus_exp(base)
        if u is not None:
            _, mine = _count(powers, base)
            other, its = _count(powers, Call(SIGMOID, (negate(u),)))
            if mine and its:
                both = min(mine, its)
                return _exchanged(powers, {k: both, other: both}, [])
    return None


def _both(powers: Powers, negate: Negate) -> Powers | None:
    for base, _ in powers:
        if is_call(base, SIGMOID):
            _, mine = _count(powers, base)
            mirror = Call(SIGMOID, (negate(children(base)[0]),))
            other, its = _count(powers, mirror)
            if mine and its and size(base) <= size(mirror) and _sign(base) <= _sign(mirror):
                return _exchanged(
                    powers, {other: its}, [(Plus((ONE, negated(base))), powers[other][1])]
                )
    return None


def _sign(call: Expr) -> bool:
    """Whether the argument is written with a minus: such a σ gives way."""
    (x,) = children(call)
    first = children(x)[0] if children(x) else x
    return isinstance(first, Number) and first.value < 0


def _one_plus_exp(base: Expr) -> Expr | None:
    """u of 1 + exp(u)."""
    if isinstance(base, Plus) and len(base.terms) == 2 and ONE in base.terms:
        other = next(t for t in base.terms if t != ONE)
        if is_call(other, EXP):
            return children(other)[0]
    return None
