"""A whole derivation: what is given, a chain-rule step for each variable, the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.derive import dependents
from graphc.errors import TraceError
from graphc.explain.chain import (
    Line,
    Path,
    Step,
    definition,
    mentioned,
    step,
    written_out,
)
from graphc.explain.contributions import contributions
from graphc.frozen import dataclass
from graphc.graph import Graph, Node, walk
from graphc.maths import tree
from graphc.maths.equations import Equation, equations, name_nodes, named_parts
from graphc.maths.recognise import logs_apart
from graphc.maths.simplify import simplify
from graphc.maths.tree import ONE, ZERO, Expr, Item, Slope, frees, same, size

CLOSED_LONGEST = 12
"""Leaves of a result in the given quantities alone that is still worth a line."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is asked: the loss, the variables wanted, the derivatives taken as known."""

    graph: Graph
    names: Mapping[Node, str]
    loss: Item
    roots: tuple[Node, ...]
    """Where the chain starts: the loss itself, or values whose derivatives are given."""
    given: tuple[Node, ...]
    targets: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Solution:
    """The data of a derivation, before it is written."""

    problem: Problem
    equations: tuple[Equation, ...]
    rewritten: Mapping[str, Expr]
    """Formulas after log(a exp(b)) = log(a) + b, by name, where that applies."""
    steps: tuple[Step, ...]


def pose(
    graph: Graph, shown: Sequence[str], wrt: Sequence[str] | None, given: Sequence[str]
) -> Problem:
    """The problem these names pose.

    Raises:
        TraceError: a name that no value has, a value that is not floating point, no scalar loss.
    """
    outputs = tuple(graph.outputs)
    names = name_nodes(graph, outputs)
    known = tuple(_resolve(name, graph, names, shown, "given")[0] for name in given)
    scalar = len(outputs) == 1 and not outputs[0].shape and outputs[0].dtype.kind == "f"
    if not scalar and not known:
        types = ", ".join(str(x.type) for x in outputs) or "nothing"
        raise TraceError(
            f"{graph.name} returns {types}; a derivation starts from one floating-point scalar, "
            "the loss: return that alone, or name values whose derivatives are given: "
            f"given={_listed(names.values())}"
        )
    loss = Item(names[outputs[0]] if scalar else "loss")
    if scalar and outputs[0] in graph.inputs:
        loss = Item("loss")
    roots = (*known, *([outputs[0]] if scalar and outputs[0] not in known else []))
    if wrt is None:
        targets = tuple(x for x in graph.inputs if x.dtype.kind == "f")
    else:
        targets = tuple(
            dict.fromkeys(
                node for name in wrt for node in _resolve(name, graph, names, shown, "wrt")
            )
        )
    return Problem(graph, names, loss, roots, known, targets)


def _resolve(
    name: str, graph: Graph, names: Mapping[Node, str], shown: Sequence[str], key: str
) -> list[Node]:
    """The nodes a user's name means: a value's, a leaf's as Python writes it, a whole pytree's."""
    found = [node for node, known in names.items() if known == name]
    found = found or [x for x, text in zip(graph.inputs, shown, strict=True) if text == name]
    found = found or [
        x
        for x, text in zip(graph.inputs, shown, strict=True)
        if text.startswith((f"{name}[", f"{name}."))
    ]
    if not found:
        raise TraceError(
            f"{key}={name!r} is no value of {graph.name}; its values are {_listed(names.values())}"
        )
    for node in found:
        if node.dtype.kind != "f":
            raise TraceError(
                f"{key}={name!r} is {node.type}, which is not floating point and has no derivative"
            )
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def solve(problem: Problem) -> Solution:
    """Every derivative on the way from the loss to the targets, in the order of the chain rule."""
    names, loss = problem.names, problem.loss
    known = equations(walk(problem.roots), names)
    active = _active(problem)
    arriving: dict[Node, list[tuple[Node, Expr]]] = {}
    results: dict[str, Expr] = {}
    steps: list[Step] = []
    for node in _order(active, names):
        is_loss = names.get(node) == loss.name and node in problem.roots
        received = arriving.get(node, [])
        if not is_loss and node not in problem.given:
            made = _step(problem, node, received, results)
            made = _closed(problem, made, known) if node in problem.targets else made
            steps.append(made)
            results[names[node]] = made.result
        if node in known and (is_loss or node in problem.given or received):
            parts = contributions(known[node], names, active, loss, is_loss)
            for part, formula in parts.items():
                arriving.setdefault(part, []).append((node, formula))
    steps += [
        _nothing(problem, x) for x in problem.targets if x not in active and x not in problem.given
    ]
    used = tuple(known[x] for x in walk(problem.roots) if x in known)
    rewritten = {
        e.name: apart
        for e in used
        if not same(apart := simplify(logs_apart(e.formula)), simplify(e.formula))
    }
    return Solution(problem, used, rewritten, tuple(steps))


def _active(problem: Problem) -> set[Node]:
    """The named values between targets and roots, on ways that pass no given derivative."""
    reached: set[Node] = set()
    for node in dependents(problem.roots, problem.targets):
        if node in problem.targets or any(
            x in reached and x not in problem.given for x in node.operands
        ):
            reached.add(node)
    return {x for x in reached if x in problem.names}


def _order(active: set[Node], names: Mapping[Node, str]) -> list[Node]:
    """From the loss backwards by distance, the user's order among equals."""
    distance = dict.fromkeys(active, 0)
    for node in sorted(active, key=lambda x: x.serial, reverse=True):
        for part in named_parts(node, names):
            if part in active:
                distance[part] = max(distance[part], distance[node] + 1)
    return sorted(active, key=lambda x: (distance[x], x.serial))


def _step(
    problem: Problem, node: Node, received: list[tuple[Node, Expr]], results: Mapping[str, Expr]
) -> Step:
    names, loss = problem.names, problem.loss
    paths = []
    direct: Expr | None = None
    for user, formula in sorted(received, key=lambda pair: pair[0].serial):
        if names[user] == loss.name and user in problem.roots:
            direct = formula
        elif formula != ZERO:
            paths.append(Path(names[user], user.type.rank, user.shape, formula))
    variable = Item(names[node], frees(node.type.rank))
    if not paths and direct is None:
        return _nothing(problem, node)
    return step(variable, paths, direct, loss, results)


def _nothing(problem: Problem, node: Node) -> Step:
    """The step of a value that the loss does not depend on, or is."""
    variable = Item(problem.names[node], frees(node.type.rank))
    value = ONE if node in problem.roots else ZERO
    return Step(variable, node.type.rank, (), False, (), (Line(value),), value)


def _closed(problem: Problem, made: Step, known: Mapping[Node, Equation]) -> Step:
    """The step with its result in the given quantities alone, where one short insertion does it."""
    inputs = {problem.names[x] for x in problem.graph.inputs}
    by_name = {e.name: e for e in known.values()}
    inner = mentioned(made.result) - inputs
    slopes = any(isinstance(x, Slope) for x in tree.walk(made.result))
    if slopes or not inner or not inner <= set(by_name):
        return made
    if any(not mentioned(by_name[name].formula) <= inputs for name in inner):
        return made
    closed = written_out(made.result, {name: definition(by_name[name].formula) for name in inner})
    if size(closed) > CLOSED_LONGEST:
        return made
    return Step(
        made.variable,
        made.rank,
        made.through,
        made.direct,
        made.local,
        (*made.lines, Line(closed, "in the given quantities")),
        closed,
    )
