"""Trees -> text: precedence, signs, fractions and separators, once for all styles.

A `Style` writes the pieces; `plain`, `latex` and `mathml` are styles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fractions import Fraction

from graphc.frozen import dataclass
from graphc.graph import Symbol
from graphc.maths.tree import (
    Call,
    Cases,
    Delta,
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
    at_indices,
    children,
    index_names,
    with_children,
)
from graphc.maths.words import Word, index_letters, word
from graphc.types import Dim, Size

ATOM, POWER, TIMES, PLUS = 100, 40, 20, 10


@dataclass(frozen=True, slots=True)
class Piece:
    """Written formula and how tightly it binds; `kind` decides what may stand beside it."""

    text: str
    level: int = ATOM
    kind: str = "name"
    """name, number, fraction, slope, group (in parentheses), call or sum."""


class Style(ABC):
    """How the pieces of a formula are written."""

    spaced = True
    """Whether fractions have bars, so that they are atoms in a product."""
    elementwise: str
    """The sign of the elementwise product."""

    @abstractmethod
    def equals(self, left: str, right: str) -> str: ...

    @abstractmethod
    def name(self, word: Word, at: Sequence[str]) -> str: ...

    @abstractmethod
    def number(self, text: str) -> str: ...

    @abstractmethod
    def ratio(self, top: int, bottom: int) -> str: ...

    @abstractmethod
    def fraction(self, top: Piece, bottom: Piece) -> Piece: ...

    @abstractmethod
    def slope(self, top: str, bottom: str) -> Piece: ...

    @abstractmethod
    def power(self, base: str, exponent: str) -> str: ...

    @abstractmethod
    def root(self, body: str) -> Piece: ...

    @abstractmethod
    def turned(self, base: str) -> str: ...

    @abstractmethod
    def group(self, body: str) -> str: ...

    @abstractmethod
    def call(self, symbol: Symbol, args: Sequence[str]) -> Piece: ...

    @abstractmethod
    def infix(self, symbol: Symbol, left: str, right: str) -> str: ...

    @abstractmethod
    def truth(self, condition: str) -> str: ...

    @abstractmethod
    def cases(self, then: str, condition: str, other: str) -> Piece: ...

    @abstractmethod
    def fold(self, symbol: Symbol, over: Sequence[str], body: Piece) -> str: ...

    @abstractmethod
    def minus(self, body: str) -> str: ...

    @abstractmethod
    def plus(self, parts: Sequence[tuple[bool, str]], nested: bool) -> str: ...

    @abstractmethod
    def times(self, pieces: Sequence[Piece]) -> str: ...

    @abstractmethod
    def joined(self, kind: str, pieces: Sequence[Piece]) -> str: ...

    @abstractmethod
    def delta(self, a: str, b: str) -> str: ...

    def inside(self, piece: Piece, level: int) -> Piece:
        """The piece where an operand must bind at least so tightly."""
        return piece if piece.level >= level else Piece(self.group(piece.text), ATOM, "group")


class Layout:
    """Writes trees in one style with one set of names."""

    def __init__(
        self, style: Style, names: Mapping[str, Word] = {}, used: frozenset[str] = frozenset()
    ) -> None:
        self.style = style
        self.names = names
        self.used = used | {base for base, subscripts in names.values() if not subscripts}

    def write(self, expr: Expr, rank: int = 0) -> str:
        """The formula, with letters for its indices: the first `rank` for free ones."""
        return self.piece(self.lettered(expr, rank)).text

    def lettered(self, expr: Expr, rank: int = 0) -> Expr:
        """The tree with i, j, k, ... for its indices: @0 is i and @1 is j wherever they occur."""
        found = {name for name in index_names(expr) if name[0] in "@#&"}
        last = max([rank - 1, *(int(name[1:]) for name in found if name[0] == "@")])
        free = [f"@{axis}" for axis in range(last + 1)]
        bound = sorted((n for n in found if n[0] != "@"), key=lambda name: int(name[1:]))
        return self._letter(expr, dict(index_letters([*free, *bound], self.used)))

    def _letter(self, expr: Expr, letters: Mapping[str, str]) -> Expr:
        """Bound indices take the first letters that nothing around them has."""
        named = at_indices(expr, {old: Dim.named(f"'{new}") for old, new in letters.items()})
        return self._bound(named, set(letters.values()))

    def _bound(self, expr: Expr, taken: set[str]) -> Expr:
        if isinstance(expr, Fold):
            fresh = index_letters([name for name, _ in expr.over], {*self.used, *taken})
            body = at_indices(expr.body, {o: Dim.named(f"'{n}") for o, n in fresh.items()})
            over = tuple((f"'{fresh[name]}", length) for name, length in expr.over)
            return Fold(expr.symbol, over, self._bound(body, taken | set(fresh.values())))
        return with_children(expr, tuple(self._bound(x, taken) for x in children(expr)))

    def index(self, size: Size) -> str:
        return str(size).replace("'", "")

    def item(self, item: Item) -> str:
        known = self.names.get(item.name) or word(item.name)
        return self.style.name(known, [self.index(at) for at in item.at])

    def piece(self, expr: Expr, nested: bool = False) -> Piece:
        """One tree; `nested` when it stands inside another formula."""
        style = self.style
        match expr:
            case Number():
                return self._number(expr)
            case Item():
                return Piece(style.name(*self._word(expr)))
            case Slope():
                return style.slope(self.item(expr.top), self.item(expr.bottom))
            case Place():
                text = self.index(expr.size)
                level = ATOM if text.isidentifier() else TIMES if " " not in text else PLUS
                return Piece(style.name((text, ()), []), level)
            case Delta():
                return Piece(style.delta(self.index(expr.a), self.index(expr.b)))
            case Plus():
                return self._plus(expr, nested)
            case Times():
                return self._times(expr)
            case Power():
                return self._power(expr)
            case Matrices() | Each():
                kind = "matrices" if isinstance(expr, Matrices) else "each"
                pieces = [style.inside(self.piece(f, True), TIMES + 1) for f in expr.factors]
                return Piece(style.joined(kind, pieces), TIMES)
            case Turned():
                return Piece(style.turned(self._atom(expr.body).text), POWER)
            case Fold():
                over = [name.replace("'", "") for name, _ in expr.over]
                body = style.inside(self.piece(expr.body, True), TIMES - 1)
                return Piece(style.fold(expr.symbol, over, body), TIMES - 1, "sum")
            case Whole():
                body = style.inside(self.piece(expr.body, True), TIMES - 1)
                return Piece(style.fold(expr.symbol, [], body), TIMES - 1, "sum")
            case Cases():
                return self._cases(expr)
            case Call():
                return self._call(expr)

    def _word(self, item: Item) -> tuple[Word, list[str]]:
        known = self.names.get(item.name) or word(item.name)
        return known, [self.index(at) for at in item.at]

    def _atom(self, expr: Expr) -> Piece:
        return self.style.inside(self.piece(expr, True), ATOM)

    def _number(self, expr: Number) -> Piece:
        value, style = expr.value, self.style
        if value < 0:
            return Piece(style.minus(self._number(Number(-value)).text), PLUS, "number")
        if isinstance(value, float):
            return Piece(style.number(f"{value:.6g}".replace("inf", "∞")), ATOM, "number")
        if value.denominator == 1:
            return Piece(style.number(str(value.numerator)), ATOM, "number")
        if value.denominator % 5 == 0 or value.denominator > 64:
            return Piece(style.number(f"{float(value):.6g}"), ATOM, "number")
        return Piece(
            style.ratio(value.numerator, value.denominator),
            ATOM if style.spaced else POWER,
            "number",
        )

    def _plus(self, expr: Plus, nested: bool) -> Piece:
        parts = []
        for term in expr.terms:
            negative, body = _sign(term)
            piece = self.piece(body, True)
            parts.append((negative, self.style.inside(piece, PLUS + 1).text))
        return Piece(self.style.plus(parts, nested), PLUS)

    def _times(self, expr: Times) -> Piece:
        negative, body = _sign(expr)
        if negative:
            inner = self.style.inside(self.piece(body, True), PLUS + 1)
            return Piece(self.style.minus(inner.text), PLUS + 1, "negative")
        pieces = self._fractions(expr.factors)
        if len(pieces) == 1:
            return pieces[0]
        level = TIMES - 1 if pieces[-1].kind == "sum" else TIMES
        return Piece(
            self.style.times(pieces),
            level,
            "fraction" if pieces[-1].kind == "fraction" else "product",
        )

    def _fractions(self, factors: Sequence[Expr]) -> list[Piece]:
        """Each run of divisors goes under all that stands before it."""
        pieces: list[Piece] = []
        above: list[Expr] = []
        below: list[Expr] = []
        whole = _with_number_split(factors)
        for factor in whole:
            inverse = _inverse(factor)
            if inverse is None and below:
                pieces += self._quotient(above, below)
                above, below = [], []
            (above if inverse is None else below).append(factor if inverse is None else inverse)
        if below:
            return [*pieces, *self._quotient(above, below)]
        return [*pieces, *(self._factor(f, k == len(above) - 1) for k, f in enumerate(above))]

    def _factor(self, expr: Expr, last: bool) -> Piece:
        """A sum sign reaches to the end of a product, so only the last factor may be one bare."""
        piece = self.piece(expr, True)
        return self.style.inside(piece, TIMES - 1 if last and piece.kind == "sum" else TIMES)

    def _quotient(self, above: list[Expr], below: list[Expr]) -> list[Piece]:
        """A fraction; derivatives stand in front of it, unless alone."""
        slopes = [f for f in above if isinstance(f, Slope)] if len(above) > 1 else []
        top = self._joined([f for f in above if f not in slopes])
        fraction = self.style.fraction(top, self._joined(below))
        return [*(self.piece(f, True) for f in slopes), fraction]

    def _joined(self, factors: list[Expr]) -> Piece:
        if not factors:
            return Piece(self.style.number("1"), ATOM, "number")
        if len(factors) == 1:
            return self.piece(factors[0], True)
        pieces = [self._factor(f, k == len(factors) - 1) for k, f in enumerate(factors)]
        return Piece(self.style.times(pieces), TIMES, "product")

    def _power(self, expr: Power) -> Piece:
        value = expr.exponent.value if isinstance(expr.exponent, Number) else None
        if value == Fraction(1, 2):
            return self.style.root(self.piece(expr.base, True).text)
        if value is not None and value < 0:
            return self._times(Times((expr,)))
        base = self.style.inside(self.piece(expr.base, True), ATOM)
        return Piece(self.style.power(base.text, self.piece(expr.exponent, True).text), POWER)

    def _cases(self, expr: Cases) -> Piece:
        condition = self.piece(expr.condition, True).text
        if expr.then == Number(Fraction(1)) and expr.other == Number(Fraction(0)):
            return Piece(self.style.truth(condition), ATOM, "call")
        return self.style.cases(
            self.piece(expr.then, True).text, condition, self.piece(expr.other, True).text
        )

    def _call(self, expr: Call) -> Piece:
        symbol, style = expr.symbol, self.style
        if symbol.form == "infix" and len(expr.args) == 2:
            left, right = (
                style.inside(self.piece(x, True), symbol.precedence + 1) for x in expr.args
            )
            return Piece(style.infix(symbol, left.text, right.text), symbol.precedence)
        return style.call(symbol, [self.piece(x, True).text for x in expr.args])


def _sign(expr: Expr) -> tuple[bool, Expr]:
    """(whether a minus stands in front, the rest)."""
    if isinstance(expr, Number) and expr.value < 0:
        return True, Number(-expr.value)
    if isinstance(expr, Times):
        negative, first = _sign(expr.factors[0])
        if negative:
            rest = expr.factors[1:]
            if first == Number(Fraction(1)) and rest:
                return True, rest[0] if len(rest) == 1 else Times(rest)
            return True, Times((first, *rest))
    return False, expr


def _inverse(expr: Expr) -> Expr | None:
    """What the tree is one over, if it is a divisor."""
    if isinstance(expr, Power) and isinstance(expr.exponent, Number) and expr.exponent.value < 0:
        value = -expr.exponent.value
        return expr.base if value == 1 else Power(expr.base, Number(value))
    return None


def _with_number_split(factors: Sequence[Expr]) -> list[Expr]:
    """1/2 σ⁻¹ x is x / (2σ)'s 2 below the line, where there is a line already."""
    first = factors[0]
    if (
        isinstance(first, Number)
        and isinstance(first.value, Fraction)
        and first.value.denominator != 1
        and any(_inverse(f) for f in factors)
    ):
        top, bottom = first.value.numerator, first.value.denominator
        rest = list(factors[1:])
        place = next(k for k, f in enumerate(rest) if _inverse(f))
        rest.insert(place, Power(Number(Fraction(bottom)), Number(Fraction(-1))))
        return [*([Number(Fraction(top))] if top != 1 else []), *rest]
    return list(factors)


__all__ = ["ATOM", "PLUS", "POWER", "TIMES", "Layout", "Piece", "Style"]
