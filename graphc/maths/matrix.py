"""Element form -> matrix form: Σ_k W_ik d_k is W·d, a_i (1 - a_i) is a⊙(1 - a).

Vectors are columns. What has no matrix form without a new convention (a sum along one axis, a
factor along one axis of two) is refused with None: it is then read with its indices.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphc.maths.algebra import is_divisor
from graphc.maths.tree import (
    Call,
    Cases,
    Each,
    Expr,
    Fold,
    Item,
    Matrices,
    Number,
    Place,
    Plus,
    Power,
    Slope,
    Times,
    Turned,
    Whole,
    free,
    index_names,
    walk,
    with_children,
)
from graphc.types import Dim

Frame = tuple[str, ...]
"""The index names of the axes of a matrix formula, in order."""


class _NoMatrixForm(Exception):
    """Inside this module only: the formula needs its indices."""


def matrix_form(expr: Expr, rank: int) -> Expr | None:
    """The tree without indices, of the element at free indices ``@0 .. @rank-1``; or None."""
    if rank > 2:
        return None if _indexed(expr) else expr
    try:
        return _whole(expr, tuple(free(axis) for axis in range(rank)))
    except _NoMatrixForm:
        return None


def _indexed(expr: Expr) -> bool:
    return any(isinstance(part, Item) and part.at for part in walk(expr))


def _at(names: Iterable[str]) -> tuple[Dim, ...]:
    return tuple(map(Dim.named, names))


def _support(expr: Expr, frame: Iterable[str]) -> frozenset[str]:
    """Which of the frame's indices the tree depends on."""
    return frozenset(index_names(expr) & set(frame))


def _whole(expr: Expr, frame: Frame) -> Expr:
    """The tensor over the frame whose elements the tree is; a scalar may stand for a constant."""
    match expr:
        case Number():
            return expr
        case Place():
            if _loose(expr, frame):
                raise _NoMatrixForm
            return expr
        case Item():
            return _item(expr, frame)
        case Slope():
            if expr.top.at and not (expr.top.at == expr.bottom.at == _at(frame)):
                raise _NoMatrixForm
            turned = _item(expr.bottom, frame)
            plain = Slope(Item(expr.top.name), Item(expr.bottom.name))
            return Turned(plain) if isinstance(turned, Turned) else plain
        case Times():
            return _product(list(expr.factors), frame)
        case Power():
            if _support(expr.exponent, frame):
                raise _NoMatrixForm
            return Power(_whole(expr.base, frame), _whole(expr.exponent, ()))
        case Plus():
            return Plus(tuple(_term(t, frame) for t in expr.terms))
        case Call() | Cases():
            parts = expr.args if isinstance(expr, Call) else (expr.condition, expr.then, expr.other)
            return with_children(expr, tuple(_whole(x, frame) for x in parts))
        case Fold():
            return _fold(expr, frame)
    raise _NoMatrixForm


def _loose(expr: Expr, frame: Frame) -> bool:
    """Whether an index, not only a size, occurs."""
    return any(name[0] in "@#&" for name in index_names(expr))


def _item(item: Item, frame: Frame) -> Expr:
    if item.at == _at(frame) or not item.at:
        return Item(item.name)
    if len(frame) == 2 and item.at == _at(frame[::-1]):
        return Turned(Item(item.name))
    raise _NoMatrixForm


def _term(term: Expr, frame: Frame) -> Expr:
    """A term of a sum: a vector along the last axis is added to every row, as NumPy does."""
    if len(frame) == 2 and _support(term, frame) == {frame[1]}:
        return _whole(term, frame[1:])
    return _whole(term, frame)


def _product(factors: list[Expr], frame: Frame) -> Expr:
    """Scalars in front, then the elementwise or the outer product of the rest."""
    scalars = [f for f in factors if not _support(f, frame)]
    rest = [f for f in factors if _support(f, frame)]
    front = [_whole(f, ()) for f in scalars]
    if not rest:
        return Times(tuple(front))
    if len(frame) == 2 and all(len(_support(f, frame)) == 1 for f in rest):
        groups = [[f for f in rest if _support(f, frame) == {name}] for name in frame]
        if not all(groups):
            raise _NoMatrixForm
        column, row = (_each(group, (name,)) for group, name in zip(groups, frame, strict=True))
        body: Expr = Matrices((column, Turned(row)))
    else:
        if any(_support(f, frame) != set(frame) for f in rest):
            raise _NoMatrixForm
        body = _each(rest, frame)
    divisors = [f for f in front if is_divisor(f)]
    bare = all(isinstance(f, Number) or is_divisor(f) for f in front)
    if divisors and bare and not isinstance(body, Matrices | Each):
        front = [f for f in front if f not in divisors]
        inner = body.factors if isinstance(body, Times) else (body,)
        return Times((*front, inner[0], *divisors, *inner[1:]))
    return Times((*front, body)) if front else body


def _each(factors: list[Expr], frame: Frame) -> Expr:
    """The elementwise product; a quotient keeps its bar; derivatives last, as textbooks do."""
    parts = [_whole(f, frame) for f in sorted(factors, key=_is_slope)]
    if len(parts) == 1:
        return parts[0]
    if any(map(is_divisor, parts)):
        return Times(tuple(parts))
    return Each(tuple(parts))


def _is_slope(expr: Expr) -> bool:
    return isinstance(expr, Slope) and not expr.top.at


def _fold(expr: Fold, frame: Frame) -> Expr:
    names = [name for name, _ in expr.over]
    if not _support(expr, frame):
        scalar = _inner_product(expr) if len(names) == 1 and expr.symbol.text == "sum" else None
        if scalar is not None:
            return scalar
        if len(names) > 2 or _support(expr.body, names) != set(names):
            raise _NoMatrixForm
        return Whole(expr.symbol, _either_way(expr.body, tuple(names)))
    if expr.symbol.text != "sum":
        raise _NoMatrixForm
    if len(names) > 1:
        return _whole(_nested(expr), frame)
    return _contraction(expr, names[0], frame)


def _either_way(expr: Expr, frame: Frame) -> Expr:
    """All axes are reduced, so their order is ours to choose."""
    try:
        return _whole(expr, frame)
    except _NoMatrixForm:
        return _whole(expr, frame[::-1])


def _factors(expr: Expr) -> list[Expr]:
    return list(expr.factors) if isinstance(expr, Times) else [expr]


def _inner_product(expr: Fold) -> Expr | None:
    """Σ_k w_k x_k as wᵀx, when it is a product of two different vectors."""
    (k,) = (name for name, _ in expr.over)
    factors = [f for f in _factors(expr.body) if _support(f, (k,))]
    scalars = [f for f in _factors(expr.body) if not _support(f, (k,))]
    if len(factors) != 2 or any(isinstance(f, Power) for f in factors):
        return None
    a, b = (_whole(f, (k,)) for f in factors)
    body = Matrices((Turned(a), b))
    return Times((*(_whole(s, ()) for s in scalars), body)) if scalars else body


def _contraction(expr: Fold, k: str, frame: Frame) -> Expr:
    """Σ_k (left over i, k) (right over k, j): a product of matrices."""
    factors = _factors(expr.body)
    scalars = [f for f in factors if not _support(f, (*frame, k))]
    rest = [f for f in factors if f not in scalars]
    left = [f for f in rest if frame[0] in _support(f, frame)]
    right = [f for f in rest if f not in left]
    if not left or not right or any(_support(f, frame) - {frame[0]} for f in left):
        raise _NoMatrixForm
    if any(k not in _support(f, (k,)) for f in rest):
        raise _NoMatrixForm
    before = _each(left, (frame[0], k))
    after = _each(right, (k, *frame[1:]))
    body = Matrices((*_chain(before), *_chain(after)))
    return Times((*(_whole(s, ()) for s in scalars), body)) if scalars else body


def _chain(expr: Expr) -> tuple[Expr, ...]:
    return expr.factors if isinstance(expr, Matrices) else (expr,)


def _nested(expr: Fold) -> Expr:
    """Σ_kl as a sum over one index of a sum over the other."""
    for k, length in expr.over:
        others = tuple(pair for pair in expr.over if pair[0] != k)
        bound = [name for name, _ in others]
        inner = [f for f in _factors(expr.body) if _support(f, (k,))]
        outer = [f for f in _factors(expr.body) if not _support(f, (k,))]
        if outer and all(_support(f, bound) for f in outer):
            return Fold(
                expr.symbol,
                others,
                Times((*outer, Fold(expr.symbol, ((k, length),), Times(tuple(inner))))),
            )
    raise _NoMatrixForm
