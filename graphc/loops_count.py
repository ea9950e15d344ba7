"""The arithmetic of a program, counted on the loop IR.

One operation is one scalar function that gives a floating-point number: an addition, a maximum, an
exp, a negation. Choices and casts are none, nor are comparisons and what integers compute for
indices. A matrix product does two for each of its terms.
"""

from __future__ import annotations

from functools import reduce

from graphc.loops import (
    Apply,
    Contract,
    Expr,
    If,
    Loop,
    Program,
    Stmt,
    While,
    bodies,
    children,
    values,
)
from graphc.types import Atom, Dim, Func, Size, maximum, minimum, names, substitute

FREE = frozenset({"select", "cast"})
"""What only moves floating-point numbers."""


def flops(program: Program) -> Size:
    """Operations of one call: an int, or an expression of the program's run-time dimensions.

    Of two branches the longer counts; a loop that ends on a condition counts one round, and so
    does one whose number of rounds is data.
    """
    return _bounded(_block(program.body), set(program.dims))


def _block(body: tuple[Stmt, ...]) -> Size:
    total: Size = 0
    for stmt in body:
        total = total + _statement(stmt)
    return total


def _statement(stmt: Stmt) -> Size:
    match stmt:
        case Loop():
            inside = _blocks_of(stmt, _block(stmt.body))
            if inside is not None:
                return inside
            inside = _block(stmt.body)
            if stmt.var in names(inside):  # a triangle: as its last row
                inside = substitute(inside, {stmt.var: stmt.extent - 1})
            return inside * stmt.extent
        case If():
            longer = maximum(_block(stmt.then), _block(stmt.other))
            return expression(stmt.condition) + longer
        case While():
            return _block(stmt.test) + expression(stmt.condition) + _block(stmt.body)
        case Contract():
            return 2 * stmt.rows * stmt.columns * stmt.terms
    inner: Size = sum(map(expression, values(stmt)))
    for body in bodies(stmt):
        inner = inner + _block(body)
    return inner


def _blocks_of(loop: Loop, inside: Size) -> Size | None:
    """What a loop over blocks counts: together they have all the rows, and of what else differs
    each as much as the first. None for another loop."""
    total: Size = 0
    is_blocked = uneven = False
    for monomial, c in inside.terms if isinstance(inside, Dim) else (((), inside),):
        times, rows = Dim.of({(): c}), None
        for atom in monomial:
            found = None if rows is not None else _all_rows(atom, loop.var)
            if found is None:
                times = times * Dim.of({(atom,): 1})
            else:
                rows = found
        is_blocked |= rows is not None
        if loop.var in names(times):
            uneven = True
            times = substitute(times, {loop.var: 0})
        total = total + times * (loop.extent if rows is None else rows)
    return None if uneven and not is_blocked else total


def _all_rows(atom: Atom, var: str) -> Size | None:
    """n, of min(n - 48 i, 48): the rows of block i; min(n - 96 j, 96) of
    min(n - 96 j - 48 i, 96 - 48 i, 48)."""
    arms = _arms(Dim.of({(atom,): 1}))
    blocks = [arm for arm in arms if isinstance(arm, int)]
    if len(arms) == 1 or len(blocks) != 1:
        return None
    left = [arm + blocks[0] * Dim.named(var) for arm in arms if not isinstance(arm, int)]
    return None if any(var in names(arm) for arm in left) else reduce(minimum, left)


def _arms(size: Size) -> tuple[Size, ...]:
    """What a size is the minimum of; itself, of another one."""
    match size:
        case Dim(terms=(((Func("min", a, b),), 1),)):
            return (*_arms(a), *_arms(b))
    return (size,)


def expression(value: Expr) -> int:
    """Operations of one evaluation; of two choices the longer counts."""
    if not isinstance(value, Apply):
        return 0
    if value.function == "select":
        condition, *arms = map(expression, value.args)
        return condition + max(arms)
    counts = value.dtype.kind == "f" and value.function not in FREE
    return int(counts) + sum(map(expression, children(value)))


def _bounded(count: Size, dims: set[str]) -> Size:
    """With one round for each loop whose extent is a local, which only the data know."""
    local = set(names(count)) - dims
    return substitute(count, dict.fromkeys(local, 1)) if local else count


__all__ = ["expression", "flops"]
