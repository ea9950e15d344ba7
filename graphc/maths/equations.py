"""A graph as named equations: the user's names, and u1, u2, ... where a formula would be long."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from graphc.frozen import dataclass
from graphc.graph import Graph, Node, Part, Region, walk
from graphc.maths.read import Known, element, is_uniform
from graphc.maths.tree import Expr, Indices, Item, Slope, frees

NOTHING: Known = MappingProxyType({})
LONGEST, SHARED = 10, 5
"""Leaves an unnamed intermediate may have before it gets a name: used once, used again."""


@dataclass(frozen=True, slots=True)
class Equation:
    """name = formula: a forward value in terms of the named values it is made of."""

    node: Node
    name: str
    formula: Expr
    parts: tuple[Node, ...]
    """The named nodes in the formula."""

    @property
    def item(self) -> Item:
        return Item(self.name, frees(self.node.type.rank))


def name_nodes(graph: Graph, roots: Iterable[Node]) -> dict[Node, str]:
    """Names for what the equations are about: the user's, and u1, u2, ... for long formulas."""
    roots = tuple(roots)
    nodes = tuple(walk((*graph.inputs, *roots)))
    names = {node: node.name for node in nodes if node.name and node.op.name != "constant"}
    for root, given in zip(graph.outputs, graph.output_names, strict=True):
        if root in roots:
            names.setdefault(root, given)
    uses: dict[Node, int] = {}
    for node in nodes:
        for operand in set(node.operands):
            uses[operand] = uses.get(operand, 0) + 1
    taken = set(names.values())
    fresh = (name for name in map("u{}".format, itertools.count(1)) if name not in taken)
    tables: dict[object, str] = {}
    for node in nodes:
        if node.op.name == "constant" and not is_uniform(node):
            held = node.params["value"]
            names[node] = tables.setdefault(held, _unused(f"c{len(tables) + 1}", taken))
    loops = {x for node in nodes if isinstance(node.op.element, Region) for x in node.operands}
    loops |= {node for node in nodes if isinstance(node.op.element, Part)}
    length: dict[Node, int] = {}
    for node in nodes:
        length[node] = 1 if node in names else _length(node, length)
        limit = 0 if node in loops else SHARED if uses.get(node, 0) > 1 else LONGEST
        formula = node.operands and not isinstance(node.op.element, Region)
        if node not in names and formula and node.dtype.kind == "f" and length[node] > limit:
            names[node] = next(fresh)
            length[node] = 1
    return names


def _length(node: Node, length: Mapping[Node, int]) -> int:
    """The leaves of an unnamed node's formula."""
    if node.op.name == "constant":
        return int(node.type.rank > 0)
    return sum(length[x] for x in node.operands) or 1


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def equations(
    nodes: Iterable[Node], names: Mapping[Node, str], known: Known = NOTHING
) -> dict[Node, Equation]:
    """The equation of every named value that is computed, in the user's order.

    `known` says how some nodes are written where others use them.
    """
    return {node: equation(node, names, known) for node in nodes if node in names and node.operands}


def equation(node: Node, names: Mapping[Node, str], known: Known = NOTHING) -> Equation:
    parts = named_parts(node, names)
    here = {part: known.get(part) or ItemAt(names[part]) for part in parts}
    formula = element(node, frees(node.type.rank), here)
    return Equation(node, names.get(node, node.op.name), formula, parts)


@dataclass(frozen=True, slots=True)
class ItemAt:
    """A named tensor as the reader of trees asks for it."""

    name: str

    def __call__(self, at: Indices) -> Item:
        return Item(self.name, at)


@dataclass(frozen=True, slots=True)
class SlopeAt:
    """The derivative of the loss with respect to a named tensor, likewise."""

    loss: Item
    name: str

    def __call__(self, at: Indices) -> Slope:
        return Slope(self.loss, Item(self.name, at))


def named_parts(node: Node, names: Mapping[Node, str]) -> tuple[Node, ...]:
    """The nearest named nodes above a node, in the user's order."""
    found: dict[Node, None] = {}
    stack = list(node.operands)
    while stack:
        part = stack.pop()
        if part in names:
            found[part] = None
        else:
            stack.extend(part.operands)
    return tuple(sorted(found, key=lambda part: part.serial))
