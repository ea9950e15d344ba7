"""How much a loop nest computes: what decides whether threads repay their cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from graphc.bounds import Extents, largest
from graphc.loops import Apply, Contract, Expr, If, Loop, Read, Stmt, Store, While, bodies, values
from graphc.types import Size, maximum, names, product

FREE = frozenset(("cast", "negative", "absolute", "select"))
DEAR: Mapping[str, int] = {"divide": 4, "sqrt": 4, "floor_divide": 8, "remainder": 8, "fmod": 8}
SIMPLE = frozenset(
    (
        *("add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin", "sign", "square"),
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("logical_and", "logical_or", "logical_xor", "logical_not", "invert", "wrap_index"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"),
        *("isnan", "isinf", "isfinite", "signbit", "copysign", "floor", "ceil", "trunc", "rint"),
    )
)
TRANSCENDENTAL = 12
NOTHING: Extents = {}
ROUNDS = 16
"""How often a loop runs of which that is not known."""


def work(body: Iterable[Stmt], dims: Set[str], extents: Extents = NOTHING) -> Size:
    """Operations a run of these statements takes: one for a sum, a product, a load or a store of
    a vectorised loop, more for a division or an exponential. In the run-time dimensions."""
    total: Size = 0
    for stmt in body:
        for value in values(stmt):
            total = total + _cost(value)
        match stmt:
            case Store():
                total = total + 1
            case Loop(var, extent, inner):
                times = _times(extent, dims, extents)
                total = total + times * work(inner, dims, {**extents, var: times})
            case Contract(_, rows, columns, terms):
                sizes = (_times(size, dims, extents) for size in (rows, columns, terms))
                total = total + product(sizes)
            case While(test, _, inner):
                total = total + ROUNDS * work((*test, *inner), dims, extents)
            case If(_, then, other):
                total = total + maximum(work(then, dims, extents), work(other, dims, extents))
            case _:
                for block in bodies(stmt):
                    total = total + work(block, dims, extents)
    return total


def _times(extent: Size, dims: Set[str], extents: Extents) -> Size:
    """An extent, without the variables of the loops around."""
    if isinstance(extent, int):
        return max(extent, 0)
    bound = largest(extent, extents)
    return ROUNDS if bound is None or set(names(bound)) - dims else bound


def _cost(expr: Expr) -> int:
    if isinstance(expr, Read):
        return 1
    if not isinstance(expr, Apply):
        return 0
    inner = sum(map(_cost, expr.args))
    if expr.function in FREE:
        return inner
    if expr.function in SIMPLE:
        return inner + 1
    return inner + DEAR.get(expr.function, TRANSCENDENTAL)
