"""Rules applied bottom-up until none applies; equal nodes become one on the way."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from graphc.errors import VerifyError
from graphc.graph import Graph, Node, Op, apply, building, walk
from graphc.ops.shape import BROADCAST, CONSTANT, INPUT, RESHAPE
from graphc.rewrite.patterns import Match, may_fit, patterns, recall, roots
from graphc.rewrite.rule import AnyRule, Local, Rule
from graphc.trace import Tensor

MOST_STEPS = 100
"""How often rules may apply to what one node becomes before that counts as a circle."""


def rewrite(graph: Graph, rules: Sequence[AnyRule]) -> Graph:
    """The graph with the rules applied until none does.

    Names, lines and the user's order stay with what a node becomes. Inputs, and nodes captured
    from an outer trace, are never copied.

    Raises:
        VerifyError: the rules do not settle, or a right side has another dtype; naming the rule.
    """
    kept = foreign(graph)
    image = Engine(tuple(rules), kept).run(graph.nodes)
    final = _named(graph, image, kept)
    return replace(graph, outputs=tuple(final[image[x]] for x in graph.outputs))


def foreign(graph: Graph) -> frozenset[Node]:
    """Nodes captured from an outer trace: they depend on its inputs and on none of the graph's."""
    own, others = set(graph.inputs), set[Node]()
    for node in graph.nodes:
        if any(x in own for x in node.operands):
            own.add(node)
        elif node not in own and (node.op is INPUT or any(x in others for x in node.operands)):
            others.add(node)
    return frozenset(others)


class _Index:
    """The rules that may apply to a node, by its op and those of its operands."""

    def __init__(self, rules: tuple[AnyRule, ...]) -> None:
        self.by_op: dict[Op, list[AnyRule]] = {}
        self.found: dict[tuple[Op, ...], tuple[AnyRule, ...]] = {}
        with _quiet():
            recall([rule for rule in rules if isinstance(rule, Rule)])
            for rule in rules:
                for op in roots(rule):
                    self.by_op.setdefault(op, []).append(rule)

    def candidates(self, node: Node) -> tuple[AnyRule, ...]:
        """Those that the ops do not exclude, in the order of the table."""
        if node.op not in self.by_op:
            return ()
        ops = (node.op, *[x.op for x in node.operands])
        found = self.found.get(ops)
        if found is None:
            listed = self.by_op[node.op]
            found = self.found[ops] = tuple(rule for rule in listed if _may_fit(rule, ops))
        return found


_index = functools.lru_cache(maxsize=16)(_Index)


def _may_fit(rule: AnyRule, ops: tuple[Op, ...]) -> bool:
    return isinstance(rule, Local) or any(may_fit(pattern, ops) for pattern in patterns(rule))


def touches(graph: Graph, rules: tuple[AnyRule, ...]) -> bool:
    """Whether a node, or one in the body of a loop or branch, has an op that a rule looks at."""
    by_op = _index(rules).by_op
    return any(
        node.op in by_op
        or any(isinstance(v, Graph) and touches(v, rules) for v in node.params.values())
        for node in graph.nodes
    )


Key = tuple[Op, tuple[Node, ...], tuple[object, ...]]
SYMMETRIC = frozenset(("add", "multiply", "equal", "not_equal", "logical_and", "logical_or"))
"""Commutative to the last bit; maximum(0, -0) is not."""


class Engine:
    """One run of a table of rules over a graph."""

    def __init__(self, rules: tuple[AnyRule, ...], kept: frozenset[Node]) -> None:
        self.index = _index(rules)
        self.rules = rules
        self.kept = kept
        self.known: dict[Key, Node] = {}
        self.settled: dict[Node, Node] = {}
        self.steps: list[AnyRule] = []

    def run(self, nodes: Iterable[Node]) -> dict[Node, Node]:
        """What every node becomes; operands come before users."""
        image: dict[Node, Node] = {}
        with _quiet():
            for node in nodes:
                self.steps = []
                if node in self.kept or node.op is INPUT:
                    self.known.setdefault(_key(node), node)
                    image[node] = self.settled[node] = node
                else:
                    image[node] = self.settle(self.rebuilt(node, image))
        return image

    def settle(self, node: Node) -> Node:
        """What a node becomes whose operands are settled."""
        node = self.known.setdefault(_key(node), node)
        done = self.settled.get(node)
        if done is not None:
            return done
        building.part, building.cites = node.part, node.cites
        building.locate = lambda: node.source
        for rule in self.index.candidates(node):
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
        fresh = Node(
            made.op, operands, made.params, made.type, root.serial,
            made.name, made.source, made.part, made.cites,
        )  # fmt: skip
        return self.settle(fresh)

    def rebuilt(self, node: Node, image: Mapping[Node, Node]) -> Node:
        """The node on what its operands became; the bodies of loops and branches rewritten."""
        operands = tuple(image[x] for x in node.operands)
        if any(isinstance(value, Graph) for value in node.params.values()):
            params = {
                key: rewrite(value, self.rules) if isinstance(value, Graph) else value
                for key, value in node.params.items()
            }
            return replace(node, operands=operands, params=params)
        same = all(map(operator.is_, operands, node.operands))
        return node if same else node.on(operands, node.type, node.name, node.cites)

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


def _named(graph: Graph, image: Mapping[Node, Node], kept: frozenset[Node]) -> dict[Node, Node]:
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
        if node.op is INPUT or node in kept:
            final[node] = node
            continue
        operands = tuple(final[x] for x in node.operands)
        name = names.get(node) if node.op is not CONSTANT else None
        cites = image.get(node.cites, node.cites) if node.cites is not None else None
        cites = final.get(cites, cites) if cites is not None else None
        same = name == node.name and cites is node.cites
        if same and all(map(operator.is_, operands, node.operands)):
            final[node] = node
        else:
            final[node] = node.on(operands, node.type, name, cites)
    return final
