"""The forward pass as named equations, and how each passes a derivative to what it is made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from graphc.derive import is_smooth, pull
from graphc.graph import Graph, Node, apply, walk
from graphc.maths.read import element
from graphc.maths.recognise import renamed
from graphc.maths.simplify import simplify
from graphc.maths.tree import Expr, Indices, Item, Slope, frees, size
from graphc.ops.shape import INPUT
from graphc.trace import Tensor, as_tensor

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
    length: dict[Node, int] = {}
    for node in nodes:
        if node.op.name == "constant":
            length[node] = int(node.type.rank > 0)
        else:
            length[node] = (
                1 if node in names or not node.operands else sum(length[x] for x in node.operands)
            )
        limit = SHARED if uses.get(node, 0) > 1 else LONGEST
        if node not in names and is_smooth(node) and length[node] > limit:
            names[node] = next(fresh)
            length[node] = 1
    return names


def equations(nodes: Iterable[Node], names: Mapping[Node, str]) -> dict[Node, Equation]:
    """The equation of every named value that is computed, in the user's order."""
    return {node: equation(node, names) for node in nodes if node in names and node.operands}


def equation(node: Node, names: Mapping[Node, str]) -> Equation:
    parts = named_parts(node, names)
    known = {part: ItemAt(names[part]) for part in parts}
    formula = element(node, frees(node.type.rank), known)
    return Equation(node, names[node], formula, parts)


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


def contributions(
    equation: Equation, names: Mapping[Node, str], active: Iterable[Node], loss: Item, is_loss: bool
) -> dict[Node, Expr]:
    """What each active part of the equation adds to its own derivative: linear in ∂ℓ/∂name.

    The rows' own derivative rules are run on the equation cut out of the graph, and the result is
    read as a formula; so a new op is explained without anything here.
    """
    node = equation.node
    leaves = {part: _leaf(part, names[part]) for part in equation.parts}
    copy = _cut(node, dict(leaves))
    wanted = [part for part in equation.parts if part in set(active)]
    seed = _leaf(node, "seed")
    start = as_tensor(np.ones_like(Tensor(copy))) if is_loss else Tensor(seed)
    found = pull([copy], [start], [leaves[part] for part in wanted])
    known: dict[Node, Reading] = {leaf: ItemAt(names[part]) for part, leaf in leaves.items()}
    if not is_loss:
        known[seed] = SlopeAt(loss, equation.name)
    return {
        part: _formula(pulled.node, part.type.rank, known, None if is_loss else (equation, copy))
        for part, pulled in zip(wanted, found, strict=True)
        if pulled is not None
    }


Reading = Callable[[Indices], Expr]


def _formula(
    node: Node, rank: int, known: Mapping[Node, Reading], result: tuple[Equation, Node] | None
) -> Expr:
    """The pulled node as a formula, the shorter of two: the rule's own use of the equation's result
    by name, or written out first and recognised afterwards."""
    if result is None:
        return simplify(element(node, frees(rank), known))
    equation, copy = result
    readings: tuple[Mapping[Node, Reading], ...] = ({**known, copy: ItemAt(equation.name)}, known)
    found = [
        simplify(
            renamed(simplify(element(node, frees(rank), reading)), equation.item, equation.formula)
        )
        for reading in readings
    ]
    return min(found, key=size)


def _leaf(node: Node, name: str) -> Node:
    return replace(apply(INPUT, dtype=node.dtype, shape=node.shape), name=name)


def _cut(node: Node, image: dict[Node, Node]) -> Node:
    """The node rebuilt on the images of its named parts."""
    if node not in image:
        operands = tuple(_cut(x, image) for x in node.operands)
        image[node] = replace(node, operands=operands) if operands else node
    return image[node]
