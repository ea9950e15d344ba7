"""Sizes that may be known only at run time: the algebra of shapes, indices and offsets.

A `Size` is an int or a `Dim`: a polynomial with integer coefficients over named sizes such as
``n`` (each >= 0), and over floor divisions, remainders, minima and maxima of such polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from graphc.errors import ShapeError
from graphc.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Func:
    """An atom of a `Dim` that is not a name: a floor division, remainder, min or max."""

    kind: str
    a: Size
    b: Size

    def __str__(self) -> str:
        if self.kind in ("min", "max"):
            return f"{self.kind}({self.a}, {self.b})"
        sign = "//" if self.kind == "floordiv" else "%"
        return f"{_wrap(self.a)} {sign} {_wrap(self.b)}"


Atom = str | Func
Monomial = tuple[Atom, ...]


def _wrap(size: Size) -> str:
    text = str(size)
    return f"({text})" if " " in text else text


class Dim:
    """A dimension known only at run time: a polynomial over names. Immutable, hashable.

    ``Dim.named("n") + 1`` prints as ``n + 1``. Arithmetic that yields a constant yields an int.
    """

    __slots__ = ("_hash", "terms")

    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms, self._hash = terms, hash(terms)

    @staticmethod
    @lru_cache(4096)
    def named(name: str) -> Dim:
        return Dim((((name,), 1),))

    @staticmethod
    def of(terms: Mapping[Monomial, int]) -> Size:
        """The canonical size with these terms: an int when no name is left."""
        kept = [term for term in terms.items() if term[1]]
        if not kept:
            return 0
        if len(kept) == 1:
            monomial, coefficient = kept[0]
            return Dim((kept[0],)) if monomial else coefficient
        kept.sort(key=_term_key)
        return Dim(tuple(kept))

    def __reduce__(self) -> tuple[type[Dim], tuple[object]]:
        return Dim, (self.terms,)  # a hash holds in one process only

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __add__(self, other: Size) -> Size:
        if isinstance(other, Dim):
            total = dict(self.terms)
            for monomial, coefficient in other.terms:
                total[monomial] = total.get(monomial, 0) + coefficient
            return Dim.of(total)
        if not isinstance(other, int):
            return NotImplemented
        if not other:
            return self
        last, constant = self.terms[-1]  # the constant term, if there is one
        if last:
            return Dim((*self.terms, ((), int(other))))
        rest = self.terms[:-1]
        return Dim((*rest, ((), constant + other))) if constant + other else Dim(rest)

    __radd__ = __add__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        return self + (-other)

    def __rsub__(self, other: Size) -> Size:
        return (-self) + other

    def __mul__(self, other: Size) -> Size:
        if isinstance(other, Dim):
            product: dict[Monomial, int] = {}
            for m1, c1 in self.terms:
                for m2, c2 in other.terms:
                    monomial = tuple(sorted(m1 + m2, key=_text)) if m1 and m2 else m1 or m2
                    product[monomial] = product.get(monomial, 0) + c1 * c2
            return Dim.of(product)
        if not isinstance(other, int):
            return NotImplemented
        if other == 1:
            return self
        return Dim(tuple((m, c * other) for m, c in self.terms)) if other else 0

    __rmul__ = __mul__

    def __floordiv__(self, other: Size) -> Size:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Size) -> Size:
        return floordiv(other, self)

    def __mod__(self, other: Size) -> Size:
        return mod(self, other)

    def __rmod__(self, other: Size) -> Size:
        return mod(other, self)

    def __lt__(self, other: Size) -> bool:
        return _decide(self, other, "<", lambda lo, hi: _known(hi, lo, True), False)

    def __gt__(self, other: Size) -> bool:
        return _decide(self, other, ">", lambda lo, hi: _known(lo, hi, True), False)

    def __le__(self, other: Size) -> bool:
        return _decide(self, other, "<=", lambda lo, hi: _known(hi, lo, False), True)

    def __ge__(self, other: Size) -> bool:
        return _decide(self, other, ">=", lambda lo, hi: _known(lo, hi, False), True)

    def __bool__(self) -> bool:
        return bool(_decide(self, 0, "!= 0 of", lambda lo, hi: _known(lo, hi, True), False))

    def __index__(self) -> int:
        raise ShapeError(
            f"dimension {self} is known only at run time and cannot become a Python int; "
            "use it in shapes and arithmetic, or compile with a fixed size"
        )

    __int__ = __index__

    def __str__(self) -> str:
        text = ""
        for monomial, coefficient in self.terms:
            factors = [
                _factor_text(atom, len(monomial) > 1 or abs(coefficient) != 1) for atom in monomial
            ]
            if abs(coefficient) != 1 or not factors:
                factors = [str(abs(coefficient)), *factors]
            sign = "-" if coefficient < 0 else "+"
            lead = ("-" if coefficient < 0 else "") if not text else f" {sign} "
            text += lead + "*".join(factors)
        return text

    __repr__ = __str__


Size = int | Dim
Shape = tuple[Size, ...]


def _factor_text(atom: Atom, grouped: bool) -> str:
    text = str(atom)
    return (
        f"({text})" if grouped and " " in text and not text.startswith(("min(", "max(")) else text
    )


def _term_key(term: tuple[Monomial, int]) -> tuple[int, str]:
    return _monomial_key(term[0])


@lru_cache(1 << 14)
def _monomial_key(monomial: Monomial) -> tuple[int, str]:
    return (0 if monomial else 1, " ".join(map(_text, monomial)))


@lru_cache(1 << 14)
def _text(atom: Atom) -> str:
    return str(atom)


def terms_of(size: Size) -> tuple[tuple[Monomial, int], ...]:
    """(monomial, coefficient) of each term."""
    if isinstance(size, Dim):
        return size.terms
    return (((), int(size)),) if size else ()


def _known(big: Size, small: Size, strict: bool) -> bool:
    """Whether big - small is positive (or >= 0) for every value of the names."""
    low = _lower(big - small)
    return low > 0 if strict else low >= 0


def _lower(size: Size) -> float:
    """A lower bound over all values of the names; a minimum or maximum is tried on each side."""
    if isinstance(size, int):
        return size
    for monomial, c in size.terms:
        if len(monomial) == 1 and isinstance(monomial[0], Func):
            atom = monomial[0]
            if atom.kind in ("min", "max"):
                rest = size - Dim(((monomial, c),))
                sides = (_lower(rest + c * atom.a), _lower(rest + c * atom.b))
                return max(sides) if (atom.kind == "max") == (c > 0) else min(sides)
    return interval(size)[0]


Interval = tuple[float, float]


def interval(size: Size) -> Interval:
    """An interval that holds the size, term by term."""
    low = high = 0.0
    for monomial, c in terms_of(size):
        span: Interval = (c, c)
        for atom in monomial:
            span = _times(span, (0.0, math.inf) if isinstance(atom, str) else _atom_bounds(atom))
        low, high = low + span[0], high + span[1]
    return low, high


def _times(x: Interval, y: Interval) -> Interval:
    # 0 * inf is 0 here: the sizes themselves are finite.
    corners = [a * b if a and b else 0.0 for a in x for b in y]
    return min(corners), max(corners)


def _atom_bounds(atom: Func) -> Interval:
    a, b = interval(atom.a), interval(atom.b)
    if atom.kind == "min":
        return min(a[0], b[0]), min(a[1], b[1])
    if atom.kind == "max":
        return max(a[0], b[0]), max(a[1], b[1])
    if b[0] < 0:
        return -math.inf, math.inf
    if atom.kind == "mod":
        return 0.0, b[1] - 1
    return (0.0, a[1]) if a[0] >= 0 else (a[0], max(a[1], 0.0))


def _decide(a: Size, b: Size, sign: str, proof: Callable[[Size, Size], bool], tie: bool) -> bool:
    if not isinstance(b, int | Dim):
        return NotImplemented
    if proof(a, b):
        return True
    if sign == "!= 0 of":
        raise ShapeError(f"whether dimension {a} is zero is known only at run time")
    if _known(b, a, tie) if sign in (">", ">=") else _known(a, b, tie):
        return False
    raise ShapeError(
        f"whether {a} {sign} {b} is known only at run time, so a traced function cannot branch on "
        "it; use np.where, or compile with a fixed size"
    )


def at_most(a: Size, b: Size) -> bool:
    """Whether a <= b for every value of the names (each >= 0); False when unknown."""
    return _known(b, a, False)


def below(a: Size, b: Size) -> bool:
    """Whether a < b for every value of the names (each >= 0); False when unknown."""
    return _known(b, a, True)


def floordiv(a: Size, b: Size) -> Size:
    """a // b, rounded towards minus infinity as Python does; whole multiples of b leave the atom.

    0 where b is 0: an axis without elements must not stop the sizes of others.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b else 0
    if b == 1:
        return a
    whole, rest = split(a, b)
    if rest == 0 or (isinstance(b, int) and isinstance(rest, int) and 0 <= rest < b):
        return whole
    return whole + Dim((((Func("floordiv", rest, b),), 1),))


def mod(a: Size, b: Size) -> Size:
    """a % b with the sign of b, as Python does; 0 where b is 0."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b if b else 0
    if b == 1:
        return 0
    _, rest = split(a, b)
    if rest == 0 or (isinstance(b, int) and isinstance(rest, int) and 0 <= rest < b):
        return rest
    return Dim((((Func("mod", rest, b),), 1),))


def minimum(a: Size, b: Size) -> Size:
    """The smaller size; decided at trace time where it can be."""
    return _extremum("min", (a, b), lambda x, y: _known(y, x, False))


def maximum(a: Size, b: Size) -> Size:
    """The larger size; decided at trace time where it can be."""
    return _extremum("max", (a, b), lambda x, y: _known(x, y, False))


def _extremum(kind: str, sizes: tuple[Size, ...], beats: Callable[[Size, Size], bool]) -> Size:
    """The extremum in one order and without nesting, so that equal extrema are equal."""
    parts = list(dict.fromkeys(part for size in sizes for part in _flat(kind, size)))
    kept: list[Size] = []
    for i, part in enumerate(parts):
        rivals = [*kept, *parts[i + 1 :]]
        if not any(beats(rival, part) for rival in rivals):
            kept.append(part)
    first, *others = sorted(kept, key=lambda part: (isinstance(part, int), str(part)))
    result = first
    for part in others:
        result = Dim((((Func(kind, result, part),), 1),))
    return result


def _flat(kind: str, size: Size) -> list[Size]:
    """What this size is the minimum (maximum) of; an added rest goes inside."""
    for monomial, c in terms_of(size):
        if len(monomial) == 1 and isinstance(monomial[0], Func) and c == 1:
            atom = monomial[0]
            if atom.kind == kind:
                rest = size - Dim(((monomial, c),))
                return [*_flat(kind, atom.a + rest), *_flat(kind, atom.b + rest)]
    return [size]


def split(a: Size, b: Size) -> tuple[Size, Size]:
    """(q, r) with a == q * b + r, moving whole multiples of the monomial b into q."""
    divisor = terms_of(b)
    if len(divisor) != 1:
        return (1, 0) if a == b else (0, a)
    (names, k), q, r = divisor[0], {}, {}
    for monomial, c in terms_of(a):
        quotient = _without(monomial, names)
        if quotient is None:
            r[monomial] = c
            continue
        whole, left = (c // k, c % k)
        q[quotient] = whole
        r[monomial] = left
    return Dim.of(q), Dim.of(r)


def _without(monomial: Monomial, names: Monomial) -> Monomial | None:
    left = list(monomial)
    for name in names:
        if name not in left:
            return None
        left.remove(name)
    return tuple(left)


FUNCTIONS: dict[str, Callable[[Size, Size], Size]] = {
    "floordiv": floordiv,
    "mod": mod,
    "min": minimum,
    "max": maximum,
}
