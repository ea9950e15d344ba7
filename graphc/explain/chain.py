"""The chain rule for one variable, in symbols and applied, as a lecturer writes it on the board."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphc.frozen import dataclass
from graphc.maths.matrix import matrix_form
from graphc.maths.simplify import simplify, tidy
from graphc.maths.tree import (
    ONE,
    SUM,
    ZERO,
    Call,
    Cases,
    Delta,
    Expr,
    Fold,
    Indices,
    Item,
    Plus,
    Power,
    Slope,
    Times,
    at_indices,
    children,
    free,
    frees,
    fresh,
    rewrite,
    size,
    walk,
)
from graphc.types import Dim, Size, substitute

SCALAR_LONGEST, TENSOR_LONGEST = 12, 8
"""Leaves of a result into which what is known already is still inserted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a derivation: an equals sign, a formula over the variable's indices, a reason."""

    formula: Expr
    reason: str = ""
    indexed: bool = False
    """Written with indices even where a matrix form exists: it belongs to a line that has none."""


@dataclass(frozen=True, slots=True)
class Step:
    """The derivative with respect to one variable."""

    variable: Item
    rank: int
    through: tuple[str, ...]
    """The values by which the variable reaches the loss; empty when only directly."""
    direct: bool
    local: tuple[tuple[Slope, Expr], ...]
    lines: tuple[Line, ...]
    result: Expr


@dataclass(frozen=True, slots=True)
class Path:
    """One value through which a variable reaches the loss, and what arrives there."""

    name: str
    rank: int
    shape: tuple[Size, ...]
    arriving: Expr
    """Linear in the slope of the loss in `name`."""


def step(
    variable: Item,
    paths: list[Path],
    direct: Expr | None,
    loss: Item,
    results: Mapping[str, Expr],
) -> Step:
    """The chain rule for one variable.

    Args:
        variable: the name at its free indices.
        paths: what it reaches the loss through, in the user's order.
        direct: what the loss's own equation contributes, None if the variable is not in it.
        results: the derivatives found so far, by name, at free indices.
    """
    rank = len(variable.at)
    links = [_link(path, variable, loss) for path in paths]
    own = [] if direct is None else [direct]
    hidden = any(link.factor is None for link in links)
    stated = _plus([*(link.stated for link in links), *own])
    applied = _plus([*(link.applied for link in links), *own])
    short = simplify(applied)
    if any(isinstance(part, Delta) for part in walk(short)):
        short = simplify(_plus([*(path.arriving for path in paths), *own]))
    lines: list[Line] = []
    if paths:
        reason = "chain rule" if len(paths) + len(own) == 1 else "chain rule, a term for each path"
        indexed = matrix_form(stated, rank) is None
        lines.append(Line(stated, reason, indexed))
        lines += [] if hidden else [Line(tidy(applied), "", indexed)]
    lines.append(Line(short, "the loop, run backwards" if hidden else ""))
    contracted = any(link.over for link in links)
    full = None if hidden else _inserted(short, results, paths, loss, rank, contracted)
    if full is not None:
        lines += [Line(tidy(_substituted(short, results, loss))), Line(full)]
    local = [link.local(rank) for link in links if link.factor is not None]
    through = tuple(path.name for path in paths)
    return Step(variable, rank, through, bool(own), tuple(local), tuple(lines), lines[-1].formula)


def _plus(terms: list[Expr]) -> Expr:
    return terms[0] if len(terms) == 1 else Plus(tuple(terms))


Over = tuple[tuple[str, Size], ...]


@dataclass(frozen=True, slots=True)
class Link:
    """The chain rule along one path: the sum over `over` of arriving times slope."""

    arriving: Slope
    """∂ℓ/∂u"""
    slope: Slope
    """∂u/∂v"""
    factor: Expr | None
    """The value of the slope; None where a loop hides it."""
    over: Over
    """The indices of u that the variable does not have."""
    whole: Expr
    """The same as the derivative rules give it."""

    @property
    def stated(self) -> Expr:
        return _summed(Times((self.arriving, self.slope)), self.over)

    @property
    def applied(self) -> Expr:
        if self.factor is None:
            return self.whole
        return _summed(Times((self.arriving, self.factor)), self.over)

    def local(self, rank: int) -> tuple[Slope, Expr]:
        """The slope and its value with the summed indices named as further free ones."""
        further = {name: Dim.named(free(rank + k)) for k, (name, _) in enumerate(self.over)}
        top = Item(self.slope.top.name, tuple(substitute(i, further) for i in self.slope.top.at))
        return Slope(top, self.slope.bottom), at_indices(self.factor or ZERO, further)


def _summed(expr: Expr, over: Over) -> Expr:
    return Fold(SUM, over, expr) if over else expr


def _link(path: Path, variable: Item, loss: Item) -> Link:
    at, over = _reached(path, variable, loss)
    mine = Item(path.name, at)
    parts = tuple(walk(path.arriving))
    factor: Expr | None = None
    if not any(isinstance(part, Call) and _mentions(part, mine, loss) for part in parts):
        factor = simplify(_coefficient(path.arriving, Item(path.name), loss, at))
    return Link(Slope(loss, mine), Slope(mine, variable), factor, over, path.arriving)


def _reached(path: Path, variable: Item, loss: Item) -> tuple[Indices, Over]:
    """The indices of u in the chain rule: the variable's own where u has it at no other."""
    seen = [
        part.bottom.at
        for part in walk(path.arriving)
        if isinstance(part, Slope) and part.top == loss and part.bottom.name == path.name
    ]
    at: list[Size] = []
    over: list[tuple[str, Size]] = []
    for axis, length in enumerate(path.shape):
        here = {where[axis] for where in seen}
        only = next(iter(here)) if len(here) == 1 else None
        if only is not None and only in variable.at and only not in at:
            at.append(only)
        elif only == 0 and length == 1:
            at.append(0)
        else:
            name = fresh()
            at.append(Dim.named(name))
            over.append((name, length))
    return tuple(at), tuple(over)


def _coefficient(expr: Expr, of: Item, loss: Item, at: Indices) -> Expr:
    """The factor of ∂ℓ/∂of[at] in a formula that is linear in it."""
    match expr:
        case Slope() if expr.top == loss and expr.bottom.name == of.name:
            deltas = [Delta(a, b) for a, b in zip(expr.bottom.at, at, strict=True) if a != b]
            return Times(tuple(deltas)) if deltas else ONE
        case Plus():
            return Plus(tuple(_coefficient(term, of, loss, at) for term in expr.terms))
        case Times():
            for k, factor in enumerate(expr.factors):
                if _mentions(factor, of, loss):
                    inner = _coefficient(factor, of, loss, at)
                    return Times((*expr.factors[:k], inner, *expr.factors[k + 1 :]))
            return ZERO
        case Fold():
            return Fold(expr.symbol, expr.over, _coefficient(expr.body, of, loss, at))
        case Cases():
            return Cases(
                expr.condition,
                _coefficient(expr.then, of, loss, at),
                _coefficient(expr.other, of, loss, at),
            )
        case Power():
            return ZERO
    return ZERO


def _mentions(expr: Expr, of: Item, loss: Item) -> bool:
    return any(
        isinstance(part, Slope) and part.top == loss and part.bottom.name == of.name
        for part in walk(expr)
    )


# --- inserting what is known ---------------------------------------------------------------------


def _substituted(expr: Expr, results: Mapping[str, Expr], loss: Item) -> Expr:
    """The formula with every known ∂ℓ/∂u written out."""

    def change(part: Expr) -> Expr | None:
        if isinstance(part, Slope) and part.top == loss and part.bottom.name in results:
            values = {free(axis): at for axis, at in enumerate(part.bottom.at)}
            return at_indices(results[part.bottom.name], values)
        return None

    return rewrite(expr, change)


def _inserted(
    short: Expr,
    results: Mapping[str, Expr],
    paths: list[Path],
    loss: Item,
    rank: int,
    contracted: bool,
) -> Expr | None:
    """The formula with the derivatives it rests on written out; None where that tells less.

    Between numbers a single path is followed to the loss. A sum over several paths, and a step
    from tensor to tensor element by element, keep the derivatives they are stated in, unless the
    formula gets no longer. A contraction takes one layer in: its formula is that of the layer.
    """
    if not any(path.name in results for path in paths):
        return None
    full = simplify(_substituted(short, results, loss))
    if matrix_form(full, rank) is None and matrix_form(short, rank) is not None:
        return None
    if size(full) <= size(short):
        return full
    if all(path.rank == 0 for path in paths):
        return full if len(paths) == 1 and size(full) <= SCALAR_LONGEST else None
    layer = contracted or isinstance(short, Slope) or _crosses(short, loss)
    return full if layer and len(paths) == 1 and size(full) <= TENSOR_LONGEST else None


def _crosses(expr: Expr, loss: Item) -> bool:
    """Whether a derivative is taken at other indices than the variable's: an outer product."""
    found = [part.bottom.at for part in walk(expr) if isinstance(part, Slope) and part.top == loss]
    return any(at != frees(len(at)) for at in found)


def written_out(expr: Expr, definitions: Mapping[str, Callable[[Indices], Expr]]) -> Expr:
    """The formula with intermediate values replaced by their definitions."""

    def change(part: Expr) -> Expr | None:
        if isinstance(part, Item) and part.name in definitions:
            return definitions[part.name](part.at)
        return None

    return simplify(rewrite(expr, change))


def definition(formula: Expr) -> Callable[[Indices], Expr]:
    """A formula at free indices, as a function of the indices."""
    return lambda at: at_indices(formula, {free(axis): i for axis, i in enumerate(at)})


def mentioned(expr: Expr) -> set[str]:
    """The names of the values in a formula, those under a derivative aside."""
    if isinstance(expr, Item):
        return {expr.name}
    if isinstance(expr, Slope):
        return set()
    return {name for child in children(expr) for name in mentioned(child)}
