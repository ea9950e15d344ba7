"""The matching engine: rules are written in plain NumPy, and applied bottom-up until none applies.

A `Rule` gives both sides as functions of the same variables; the left one is traced once into a
pattern. A `Local` rule, for what NumPy on variables cannot say (which axes, which shape, which
constant), is a function of one node. The engine also shares: what it makes twice becomes one node.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from graphc.errors import VerifyError
from graphc.graph import Array, Constant, Graph, Node, Op, Params, apply, building, walk
from graphc.ops.reduce import REDUCE, kept
from graphc.ops.shape import BROADCAST, CONSTANT, INPUT, RESHAPE
from graphc.trace import Tensor
from graphc.types import bool_, float64

MOST_STEPS = 100
"""How often rules may apply to what one node becomes before that counts as a circle."""


@dataclass(frozen=True, slots=True)
class Rule:
    """left(*variables) becomes right(*variables), in NumPy's own words.

    A variable stands for any value; twice the same, for the same node. ``p`` and ``q`` are bools.
    A Python number matches a scalar of that value, broadcast or not; commutative ops match in both
    orders. ``axis`` matches the axes of every reduction in the pattern, and the right side gets
    them. A left side that takes ``keepdims`` also matches when the reduction is reshaped before
    the rest; its right side is made without, and reshaped. A right side may decline: None.
    """

    name: str
    left: Callable[..., object]
    right: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Local:
    """A rule on one node of the ops `roots`: what it becomes, or None.

    `example` is a function of arrays whose trace the rule changes; every test of rules runs it.
    """

    name: str
    example: Callable[..., object]
    roots: tuple[Op, ...]
    change: Callable[[Node], Tensor | None]


AnyRule = Rule | Local


# --- patterns -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variable:
    index: int


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Applied:
    """An op on patterns; `params` must be equal."""

    op: Op
    operands: tuple[Pattern, ...]
    params: Params


@dataclass(frozen=True, slots=True)
class Reduced:
    """A reduction over the axes the pattern binds; `shape` says what may follow it.

    "bare": nothing. "kept": whatever makes it broadcast against its operand as keepdims does.
    "free": any reshape.
    """

    op: Op
    operand: Pattern
    shape: str


Pattern = Variable | Number | Applied | Reduced
PATTERN_AXES = (1,)
PATTERN_SHAPE = (3, 3)  # square, so that what is reduced still broadcasts against a variable


@functools.cache
def patterns(rule: Rule) -> tuple[Pattern, ...]:
    """The left side as patterns: both orders of each commutative op, each form of keepdims."""
    names = tuple(inspect.signature(rule.left).parameters)
    variables = tuple(name for name in names if name not in ("axis", "keepdims"))
    shape = PATTERN_SHAPE if "axis" in names else ()
    inputs = [
        apply(INPUT, dtype=bool_ if name in ("p", "q") else float64, shape=shape)
        for name in variables
    ]
    known = {node: Variable(i) for i, node in enumerate(inputs)}
    extra: dict[str, object] = {"axis": PATTERN_AXES} if "axis" in names else {}
    found: dict[Pattern, None] = {}
    for keepdims in (False, True) if "keepdims" in names else (None,):
        given = extra if keepdims is None else {**extra, "keepdims": keepdims}
        made = rule.left(*map(Tensor, inputs), **given)
        if not isinstance(made, Tensor):
            raise VerifyError(f"the left side of rule {rule.name!r} is no tensor")
        found.update(dict.fromkeys(_variants(made.node, known, keepdims is True)))
    return tuple(found)


def _variants(node: Node, known: Mapping[Node, Variable], free: bool) -> list[Pattern]:
    """Every pattern a traced left side stands for."""
    if node in known:
        return [known[node]]
    if node.op is CONSTANT:
        return [Number(float(array_of(node)))]
    if node.op is RESHAPE and node.operands[0].op in REDUCE:
        inner = node.operands[0]
        return [
            Reduced(inner.op, p, "free" if free else "kept")
            for p in _variants(inner.operands[0], known, free)
        ]
    if node.op in REDUCE:
        return [Reduced(node.op, p, "bare") for p in _variants(node.operands[0], known, free)]
    choices = list(itertools.product(*(_variants(x, known, free) for x in node.operands)))
    if node.op.commutative:
        choices += [choice[::-1] for choice in choices]
    frozen = HashableParams(node.params)
    return [Applied(node.op, choice, frozen) for choice in choices]


class HashableParams(dict):
    """Parameters that may be part of a pattern, which is hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


class Match:
    """What the variables and the axes stand for."""

    __slots__ = ("axes", "bound")

    def __init__(self) -> None:
        self.bound: dict[int, Node] = {}
        self.axes: tuple[int, ...] | None = None

    def fits(self, pattern: Pattern, node: Node) -> bool:
        """Whether node is an instance of pattern, given what is bound already."""
        if type(pattern) is Variable:
            return self.bound.setdefault(pattern.index, node) is node
        if type(pattern) is Applied:
            return (
                node.op is pattern.op
                and (not pattern.params or pattern.params == node.params)
                and all(map(self.fits, pattern.operands, node.operands))
            )
        if type(pattern) is Number:
            return is_number(node, pattern.value)
        return type(pattern) is Reduced and self._fits_reduction(pattern, node)

    def _fits_reduction(self, pattern: Reduced, node: Node) -> bool:
        inner = node
        if pattern.shape != "bare" and node.op is RESHAPE:
            inner = node.operands[0]
        if inner.op is not pattern.op or (pattern.shape == "free" and inner is node):
            return False
        axes: tuple[int, ...] = inner.params["axes"]  # type: ignore[assignment]
        if self.axes is None:
            self.axes = axes
        if self.axes != axes:
            return False
        if pattern.shape == "kept":
            source = inner.operands[0].shape
            lead = (1,) * (len(source) - len(node.shape))
            if (*lead, *node.shape) != kept(source, axes):
                return False
        return self.fits(pattern.operand, inner.operands[0])


def array_of(node: Node) -> Array:
    """What a constant holds."""
    value = node.params["value"]
    if not isinstance(value, Constant):
        raise VerifyError(f"{node!r} holds no array")
    return value.array


def number(node: Node) -> float | int | bool | None:
    """The value of a scalar constant, broadcast or not; None for anything else."""
    while node.op is BROADCAST or node.op is RESHAPE:
        node = node.operands[0]
    if node.op is not CONSTANT or node.type.size != 1:
        return None
    return array_of(node).item()


def is_number(node: Node, value: float) -> bool:
    """Whether node is this constant, to the sign of a zero, in its own dtype."""
    held = number(node)
    if held is None or isinstance(held, bool):
        return False
    mine = node.dtype.numpy.type(value).item()
    return held == mine and (held != 0 or np.signbit(held) == np.signbit(mine))


# --- the engine ---------------------------------------------------------------------------------


def rewrite(graph: Graph, rules: Sequence[AnyRule]) -> Graph:
    """The graph with the rules applied until none does.

    Names, lines and the user's order stay with what a node becomes. Inputs, and nodes captured
    from an outer trace, are never copied.

    Raises:
        VerifyError: the rules do not settle, or a right side has another dtype; naming the rule.
    """
    engine = Engine(tuple(rules), min((x.serial for x in graph.inputs), default=0))
    image = engine.run((*graph.inputs, *graph.outputs))
    final = _named(graph, image, engine.first)
    return replace(graph, outputs=tuple(final[image[x]] for x in graph.outputs))


@functools.lru_cache(maxsize=16)
def _index(rules: tuple[AnyRule, ...]) -> dict[Op, tuple[AnyRule, ...]]:
    """The rules by the op of the node they look at, in the order of the table."""
    found: dict[Op, list[AnyRule]] = {}
    with _quiet():
        for rule in rules:
            for op in roots(rule):
                found.setdefault(op, []).append(rule)
    return {op: tuple(listed) for op, listed in found.items()}


def roots(rule: AnyRule) -> tuple[Op, ...]:
    """The ops a rule's left side may end in.

    Raises:
        VerifyError: the left side is a bare variable or number, which would match everything.
    """
    if isinstance(rule, Local):
        return rule.roots
    found: dict[Op, None] = {}
    for pattern in patterns(rule):
        if isinstance(pattern, Variable | Number):
            raise VerifyError(f"rule {rule.name!r} has no op on its left side")
        if isinstance(pattern, Reduced) and pattern.shape != "bare":
            found[RESHAPE] = None
        found[pattern.op] = None
    return tuple(found)


Key = tuple[Op, tuple[Node, ...], tuple[object, ...]]
SYMMETRIC = frozenset(("add", "multiply", "equal", "not_equal", "logical_and", "logical_or"))
"""Commutative to the last bit; maximum(0, -0) is not."""


class Engine:
    """One run of a table of rules over a graph."""

    def __init__(self, rules: tuple[AnyRule, ...], first: int) -> None:
        self.by_op = _index(rules)
        self.first = first
        self.known: dict[Key, Node] = {}
        self.settled: dict[Node, Node] = {}
        self.steps: list[AnyRule] = []

    def run(self, outputs: Iterable[Node]) -> dict[Node, Node]:
        """What every node becomes."""
        image: dict[Node, Node] = {}
        with _quiet():
            for node in walk(outputs):
                self.steps = []
                if node.serial < self.first or node.op is INPUT:
                    self.known.setdefault(_key(node), node)
                    image[node] = self.settled[node] = node
                else:
                    image[node] = self.settle(_with_operands(node, image))
        return image

    def settle(self, node: Node) -> Node:
        """What a node becomes whose operands are settled."""
        node = self.known.setdefault(_key(node), node)
        done = self.settled.get(node)
        if done is not None:
            return done
        building.part, building.cites = node.part, node.cites
        building.locate = lambda: node.source
        for rule in self.by_op.get(node.op, ()):
            made = attempt(rule, node)
            if made is not None and made is not node:
                self.count(rule, node)
                result = self.settled[node] = self.adopt(made, node)
                return result
        self.settled[node] = node
        return node

    def adopt(self, made: Node, root: Node) -> Node:
        """What a right side becomes: its new nodes settled, operands first."""
        done = self.settled.get(made)
        if done is not None:
            return done
        operands = tuple(self.adopt(x, root) for x in made.operands)
        if made.serial > root.serial:
            made = replace(made, operands=operands, serial=root.serial)
        return self.settle(made)

    def count(self, rule: AnyRule, node: Node) -> None:
        self.steps.append(rule)
        if len(self.steps) > MOST_STEPS:
            recent = dict.fromkeys(repr(step.name) for step in self.steps[-10:])
            raise VerifyError(
                f"the rules do not settle at {node!r}: after {MOST_STEPS} steps "
                f"{' and '.join(recent)} still apply"
            )


def _key(node: Node) -> Key:
    operands = node.operands
    if node.op is INPUT:
        return (node.op, (node,), ())
    if (
        len(operands) == 2
        and node.op.name in SYMMETRIC
        and (operands[1].serial, id(operands[1])) < (operands[0].serial, id(operands[0]))
    ):
        operands = operands[::-1]
    return (node.op, operands, tuple(node.params.items()))


def _with_operands(node: Node, image: Mapping[Node, Node]) -> Node:
    for operand in node.operands:
        if image[operand] is not operand:
            return replace(node, operands=tuple(image[x] for x in node.operands))
    return node


def attempt(rule: AnyRule, node: Node) -> Node | None:
    """What one rule makes of one node, of the node's type; None when it does not apply.

    Raises:
        VerifyError: the right side is no tensor, or has another dtype.
    """
    made = rule.change(node) if isinstance(rule, Local) else _substitute(rule, node)
    if made is None:
        return None
    if made.node.dtype != node.dtype:
        raise VerifyError(f"rule {rule.name!r} makes {made.node.type} of {node!r}")
    if made.node.shape == node.shape:
        return made.node
    op = RESHAPE if made.node.type.size == node.type.size else BROADCAST
    return apply(op, made.node, shape=node.shape)


def _substitute(rule: Rule, node: Node) -> Tensor | None:
    for pattern in patterns(rule):
        match = Match()
        if match.fits(pattern, node):
            values = [Tensor(x) for _, x in sorted(match.bound.items())]
            more = {} if match.axes is None else {"axis": match.axes}
            made = rule.right(*values, **more)
            if isinstance(made, Tensor):
                return made
            if made is not None:
                raise VerifyError(f"rule {rule.name!r} makes {made!r}, which is not a tensor")
    return None


@contextmanager
def _quiet() -> Iterator[None]:
    """New nodes get their line and part from the node they replace, not from the caller."""
    before = (building.part, building.cites, building.locate)
    building.locate = lambda: None
    try:
        yield
    finally:
        building.part, building.cites, building.locate = before


# --- names --------------------------------------------------------------------------------------


def _named(graph: Graph, image: Mapping[Node, Node], first: int) -> dict[Node, Node]:
    """Each node of the result with its final name, and with what it cites in the result.

    Of the names that meet in one node the forward part's wins, then the earliest.
    """
    names: dict[Node, str] = {}
    originals = sorted(image, key=lambda x: (x.part != "forward", x.serial))
    for node in originals:
        if node.name:
            names.setdefault(image[node], node.name)
    final: dict[Node, Node] = {}
    for node in walk((*graph.inputs, *(image[x] for x in graph.outputs))):
        if node.op is INPUT or node.serial < first:
            final[node] = node
            continue
        operands = tuple(final[x] for x in node.operands)
        name = names.get(node) if node.op is not CONSTANT else None
        cites = image.get(node.cites, node.cites) if node.cites is not None else None
        cites = final.get(cites, cites) if cites is not None else None
        same = all(a is b for a, b in zip(operands, node.operands, strict=True))
        final[node] = (
            node
            if same and name == node.name and cites is node.cites
            else replace(node, operands=operands, name=name, cites=cites)
        )
    return final
