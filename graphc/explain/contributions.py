"""How an equation passes the derivative of the loss on to what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from graphc.derive import pull
from graphc.graph import Node, apply
from graphc.maths.equations import Equation, ItemAt, SlopeAt
from graphc.maths.read import element
from graphc.maths.recognise import renamed
from graphc.maths.simplify import simplify
from graphc.maths.tree import Expr, Indices, Item, frees, size
from graphc.ops.leaves import INPUT
from graphc.trace import Tensor, as_tensor


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
