"""Expression trees: the value of one element of a tensor, or a matrix formula made of such.

In element form every name carries its indices and sums name theirs, so that products commute
and the algebra is that of school; `matrix` translates to the form without indices for reading.
An index is a `Size`: a polynomial in index names (``@0`` the first free one, ``#7`` a bound one).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from graphc.frozen import dataclass
from graphc.graph import Symbol
from graphc.types import Dim, Size, names, substitute

Indices = tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """Exact where a person would write it so."""

    value: Fraction | float


@dataclass(frozen=True, slots=True)
class Item:
    """Element `at` of the tensor a name stands for; in matrix form, the tensor (``at`` empty)."""

    name: str
    at: Indices = ()


@dataclass(frozen=True, slots=True)
class Slope:
    """The partial derivative ∂top/∂bottom."""

    top: Item
    bottom: Item


@dataclass(frozen=True, slots=True)
class Place:
    """An index, or a size, as a number."""

    size: Size


@dataclass(frozen=True, slots=True)
class Plus:
    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Times:
    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """A negative exponent is a divisor, one half a root."""

    base: Expr
    exponent: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """Any other function of elements, written by its op's symbol."""

    symbol: Symbol
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Cases:
    """then where the condition holds, else other."""

    condition: Expr
    then: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Fold:
    """Sum, product or extremum of body over index names with their sizes."""

    symbol: Symbol
    over: tuple[tuple[str, Size], ...]
    body: Expr


@dataclass(frozen=True, slots=True)
class Delta:
    """1 where two indices are equal, else 0."""

    a: Size
    b: Size


# Matrix form only.


@dataclass(frozen=True, slots=True)
class Matrices:
    """A product of matrices: the order matters."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Turned:
    """A transpose."""

    body: Expr


@dataclass(frozen=True, slots=True)
class Each:
    """An elementwise product of tensors."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A reduction over all elements of body."""

    symbol: Symbol
    body: Expr


Expr = (
    Number | Item | Slope | Place | Plus | Times | Power | Call | Cases | Fold | Delta
    | Matrices | Turned | Each | Whole
)  # fmt: skip

SUM = Symbol("sum", r"\sum", "call")
ZERO, ONE, MINUS_ONE = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(-1))
HALF = Number(Fraction(1, 2))
_fresh = itertools.count()


def fresh() -> str:
    """A name for a bound index that no other has."""
    return f"#{next(_fresh)}"


def free(axis: int) -> str:
    """The name of the free index along an axis."""
    return f"@{axis}"


def frees(rank: int) -> Indices:
    """The free indices of a tensor's element."""
    return tuple(Dim.named(free(axis)) for axis in range(rank))


def children(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Plus():
            return expr.terms
        case Times() | Matrices() | Each():
            return expr.factors
        case Power():
            return (expr.base, expr.exponent)
        case Call():
            return expr.args
        case Cases():
            return (expr.condition, expr.then, expr.other)
        case Fold() | Turned() | Whole():
            return (expr.body,)
    return ()


def with_children(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """The same kind of tree over other children."""
    match expr:
        case Plus():
            return Plus(parts)
        case Times():
            return Times(parts)
        case Matrices():
            return Matrices(parts)
        case Each():
            return Each(parts)
        case Power():
            return Power(*parts)
        case Call():
            return Call(expr.symbol, parts)
        case Cases():
            return Cases(*parts)
        case Fold():
            return Fold(expr.symbol, expr.over, *parts)
        case Turned():
            return Turned(*parts)
        case Whole():
            return Whole(expr.symbol, *parts)
    return expr


def walk(expr: Expr) -> Iterator[Expr]:
    """The tree and all its parts, the whole first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def rewrite(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The tree with every part that `change` gives another for replaced, the whole tried first."""
    changed = change(expr)
    if changed is not None:
        return changed
    return with_children(expr, tuple(rewrite(child, change) for child in children(expr)))


def size(expr: Expr) -> int:
    """The number of leaves but for a factor -1: how long the formula is."""
    inner = children(expr)
    if not inner:
        return 0 if expr == MINUS_ONE else 1
    return sum(map(size, inner))


def index_names(expr: Expr) -> set[str]:
    """The index and size names the value depends on: bound ones are left out."""
    match expr:
        case Item():
            return {name for at in expr.at for name in names(at)}
        case Slope():
            return index_names(expr.top) | index_names(expr.bottom)
        case Place():
            return set(names(expr.size))
        case Delta():
            return {*names(expr.a), *names(expr.b)}
        case Fold():
            inner = index_names(expr.body) - {name for name, _ in expr.over}
            return inner | {name for _, length in expr.over for name in names(length)}
    return {name for child in children(expr) for name in index_names(child)}


def at_indices(expr: Expr, values: Mapping[str, Size]) -> Expr:
    """The tree with index names replaced; bound ones get fresh names, so nothing is captured."""
    match expr:
        case Item():
            return Item(expr.name, tuple(substitute(at, values) for at in expr.at))
        case Slope():
            top, bottom = at_indices(expr.top, values), at_indices(expr.bottom, values)
            return (
                Slope(top, bottom) if isinstance(top, Item) and isinstance(bottom, Item) else expr
            )
        case Place():
            return Place(substitute(expr.size, values))
        case Delta():
            return Delta(substitute(expr.a, values), substitute(expr.b, values))
        case Fold():
            renamed = {name: fresh() for name, _ in expr.over}
            inner = {**values, **{old: Dim.named(new) for old, new in renamed.items()}}
            over = tuple((renamed[name], length) for name, length in expr.over)
            return Fold(expr.symbol, over, at_indices(expr.body, inner))
    return with_children(expr, tuple(at_indices(child, values) for child in children(expr)))


def canonical(expr: Expr) -> Expr:
    """The tree with bound indices named by their depth: equal trees are then equal values."""
    return _canonical(expr, 0, {})


def _canonical(expr: Expr, depth: int, values: Mapping[str, Size]) -> Expr:
    if isinstance(expr, Fold):
        found = {name: Dim.named(f"&{depth + k}") for k, (name, _) in enumerate(expr.over)}
        over = tuple((f"&{depth + k}", length) for k, (_, length) in enumerate(expr.over))
        body = _canonical(expr.body, depth + len(over), {**values, **found})
        return Fold(expr.symbol, over, body)
    if not children(expr):
        return at_indices(expr, values) if values else expr
    return with_children(expr, tuple(_canonical(x, depth, values) for x in children(expr)))


def same(a: Expr, b: Expr) -> bool:
    """Whether two trees are equal but for the names of bound indices."""
    return a == b or canonical(a) == canonical(b)
