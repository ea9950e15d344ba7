"""A solved derivation as sentences and formulas, for `text`, `latex` and `html` to set."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.explain.chain import Line, Step
from graphc.explain.derivation import Solution
from graphc.frozen import dataclass
from graphc.maths.equations import Equation
from graphc.maths.exponentials import SIGMOID
from graphc.maths.layout import Layout, Style
from graphc.maths.matrix import matrix_form
from graphc.maths.read import EXP, negated
from graphc.maths.tree import (
    MINUS_ONE,
    ONE,
    ZERO,
    Call,
    Cases,
    Delta,
    Each,
    Expr,
    Item,
    Plus,
    Power,
    Slope,
    Turned,
    frees,
    walk,
)
from graphc.maths.words import words

TIES = "Where the two sides of a maximum or minimum are equal, each takes half of the derivative."

Words = tuple[tuple[bool, str], ...]
"""A sentence: (whether it is a formula, text) pieces."""


@dataclass(frozen=True, slots=True)
class Row:
    """left = right; an empty left continues the line above."""

    left: str
    right: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading formula, a sentence of words and formulas, and aligned rows."""

    heading: str
    sentence: Words
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A derivation in one style, ready to be set."""

    title: str
    given: tuple[Row, ...]
    assumed: Words
    steps: tuple[Section, ...]
    results: tuple[Row, ...]
    notes: tuple[Words, ...]


class Writer:
    """Writes a solution in one style."""

    def __init__(self, solution: Solution, style: Style) -> None:
        self.solution = solution
        self.problem = solution.problem
        loss = self.problem.loss.name
        names = [*dict.fromkeys([*self.problem.names.values(), loss])]
        sizes = frozenset(self.problem.graph.dims)
        self.layout = Layout(style, words(names, loss), sizes)
        self.seen: list[Expr] = []

    def page(self) -> Page:
        given = tuple(row for rows in map(self._given, self.solution.equations) for row in rows)
        steps = tuple(map(self._section, self.solution.steps))
        targets = [self.problem.names[x] for x in self.problem.targets]
        by_name = {s.variable.name: s for s in self.solution.steps}
        chosen = [by_name[name] for name in targets if name in by_name]
        results = tuple(self._result(s) for s in chosen)
        return Page(self.problem.graph.name, given, self._assumed(), steps, results, self._notes())

    def _given(self, equation: Equation) -> list[Row]:
        rank = equation.node.type.rank
        left, right = self._pair(equation.item, equation.formula, rank)
        rows = [Row(left, right)]
        apart = self.solution.rewritten.get(equation.name)
        if apart is not None:
            rows.append(
                Row("", self._pair(equation.item, apart, rank)[1], "log(a·b) = log a + log b")
            )
        return rows

    def _pair(self, left: Expr, right: Expr, rank: int, indexed: bool = False) -> tuple[str, str]:
        """Both sides in matrix form if both have one, else both with indices."""
        sides = None if indexed else [matrix_form(x, rank) for x in (left, right)]
        if sides is None or sides[0] is None or sides[1] is None:
            sides = [left, right]
        self.seen += [x for x in sides if x is not None]
        a, b = (self.layout.write(x, rank) for x in sides if x is not None)
        return a, b

    def _section(self, step: Step) -> Section:
        slope = Slope(self.problem.loss, step.variable)
        heading, _ = self._pair(slope, slope, step.rank)
        rows: list[Row] = []
        for line in step.lines:
            self._append(rows, slope, line, step)
        return Section(heading, self._sentence(step), tuple(rows))

    def _append(self, rows: list[Row], slope: Slope, line: Line, step: Step) -> None:
        left, right = self._pair(slope, line.formula, step.rank, line.indexed)
        last = next((row.left for row in reversed(rows) if row.left), "")
        if rows and left == last and rows[-1].right == right:
            return
        rows.append(Row("" if left == last else left, right, line.reason))

    def _sentence(self, step: Step) -> Words:
        """How the variable reaches the loss, and the local derivatives."""
        name = self._name
        loss = name(self.problem.loss.name)
        if not step.through:
            if not step.direct:
                return (
                    (True, loss),
                    (False, " does not depend on "),
                    (True, name(step.variable.name)),
                    (False, "."),
                )
            return (
                (True, name(step.variable.name)),
                (False, " enters "),
                (True, loss),
                (False, " directly."),
            )
        pieces: list[tuple[bool, str]] = [
            (True, name(step.variable.name)),
            (False, " enters "),
            (True, loss),
            (False, " through "),
        ]
        through = [(True, name(x)) for x in step.through]
        if step.direct:
            through.append((False, "its own term in the loss"))
        pieces += _listed(through)
        if step.local:
            pieces.append((False, ", and "))
            pieces += _listed(
                [
                    (True, self.layout.style.equals(*self._local(slope, value, step.rank)))
                    for slope, value in step.local
                ]
            )
        return (*pieces, (False, "."))

    def _local(self, slope: Slope, value: Expr, rank: int) -> tuple[str, str]:
        return self._pair(
            slope, value, rank, bool(slope.top.at) and slope.top.at != slope.bottom.at
        )

    def _name(self, name: str) -> str:
        return self.layout.write(Item(name))

    def _result(self, step: Step) -> Row:
        left, right = self._pair(Slope(self.problem.loss, step.variable), step.result, step.rank)
        return Row(left, right)

    def _assumed(self) -> Words:
        slopes = []
        for node in self.problem.given:
            item = Item(self.problem.names[node], frees(node.type.rank))
            slope = Slope(self.problem.loss, item)
            slopes.append((True, self._pair(slope, slope, node.type.rank)[0]))
        return (*_listed(slopes), (False, " taken as known.")) if slopes else ()

    def _notes(self) -> tuple[Words, ...]:
        """What a symbol means that the user did not write."""
        parts = [part for expr in self.seen for part in walk(expr)]
        write, style = self.layout.write, self.layout.style
        notes: list[Words] = []
        if any(isinstance(p, Call) and p.symbol == SIGMOID for p in parts):
            x = Item("x")
            value = Power(Plus((ONE, Call(EXP, (negated(x),)))), MINUS_ONE)
            both = style.equals(write(Call(SIGMOID, (x,))), write(value))
            notes.append(((True, both), (False, " is the logistic function.")))
        if any(isinstance(p, Each) for p in parts):
            notes.append(((True, style.elementwise), (False, " multiplies element by element.")))
        if any(isinstance(p, Turned) for p in parts):
            notes.append(((False, "A vector stands for a column."),))
        if any(isinstance(p, Delta) for p in parts):
            equal = style.equals(style.delta("i", "j"), style.number("1"))
            notes.append(((True, equal), (False, " where i and j are equal, 0 elsewhere.")))
        if any(isinstance(p, Cases) and (p.then, p.other) == (ONE, ZERO) for p in parts):
            notes.append(((False, "[…] is 1 where the condition holds and 0 elsewhere."),))
        if any(isinstance(p, Call) and p.symbol.text in ("max", "min") for p in parts) and any(
            isinstance(p, Call) and p.symbol.text in (">", "<") for p in parts
        ):
            notes.append(((False, TIES),))
        return tuple(notes)


def _listed(parts: Iterable[tuple[bool, str]]) -> list[tuple[bool, str]]:
    """a, b and c."""
    items = list(parts)
    joined: list[tuple[bool, str]] = []
    for k, item in enumerate(items):
        if k:
            joined.append((False, " and " if k == len(items) - 1 else ", "))
        joined.append(item)
    return joined
