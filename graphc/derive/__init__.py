"""Graph -> Graph: forward mode (`push`) and reverse mode (`pull`) from one derivative a row.

Invariant: a tangent or cotangent has exactly the type of its primal. Broadcasts are undone here,
once, so no rule mentions them.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from graphc.derive.control import parts_of, pull_region, push_region
from graphc.derive.custom import OWN_RULES, pull_rule, push_rule
from graphc.derive.pads import is_block, side_by_side
from graphc.errors import VerifyError
from graphc.graph import (
    Diagonal,
    Linear,
    Nested,
    Node,
    NoDerivative,
    Part,
    Stated,
    apply,
    building,
    walk,
)
from graphc.ops.control import count_of
from graphc.ops.reduce import sum_to
from graphc.trace import Tensor
from graphc.trace.names import unwatched


def is_smooth(node: Node) -> bool:
    """Whether derivatives can flow through the node's type at all."""
    return node.dtype.kind == "f"


def dependents(outputs: Iterable[Node], inputs: Iterable[Node]) -> list[Node]:
    """Floating-point nodes that depend on an input through derivatives, operands first."""
    active = set(inputs)
    found: list[Node] = []
    for node in walk(outputs):
        if node in active or (
            is_smooth(node)
            and not isinstance(node.op.derivative, NoDerivative)
            and any(x in active for x in node.operands)
        ):
            active.add(node)
            found.append(node)
    return found


@unwatched
def pull(
    outputs: Sequence[Node], cotangents: Sequence[Tensor], inputs: Sequence[Node]
) -> list[Tensor | None]:
    """Reverse mode: the cotangent of each input, None where no output depends on it.

    One backward sweep in reverse order; contributions add up in the order the sweep meets them.
    """
    totals: dict[Node, Tensor] = {}
    blocks: dict[Node, list[Tensor]] = {}
    bundles: dict[Node, dict[int, Tensor]] = {}
    names: dict[Node, str] = {}

    def add(node: Node, cotangent: Tensor) -> None:
        cotangent = _fitted(cotangent, node)
        if is_block(cotangent.node):
            blocks.setdefault(node, []).append(cotangent)
            return
        known = totals.get(node)
        totals[node] = cotangent if known is None else known + cotangent

    def settle(node: Node) -> None:
        """Add what came from slices of the node, disjoint ones as one."""
        for part in side_by_side(blocks.pop(node, [])):
            known = totals.get(node)
            totals[node] = part if known is None else known + part

    with _backward():
        for node, cotangent in zip(outputs, cotangents, strict=True):
            if is_smooth(node):
                add(node, cotangent)
        active = dependents(outputs, inputs)
        reach = set(active)
        for node in reversed(active):
            settle(node)
            building.cites = node
            total = totals.get(node)
            if node in bundles:
                parts = [bundles[node].get(k) for k in range(len(parts_of(node)))]
                rule = pull_rule if node.op in OWN_RULES else pull_region
                found = rule(node, parts, pull)
            elif total is None:
                continue
            elif isinstance(node.op.element, Part):
                bundles.setdefault(node.operands[0], {})[count_of(node.params, "part")] = total
                continue
            else:
                _name_adjoint(names, total.node, node)
                found = [
                    _pull_step(node, k, total) if operand in reach else None
                    for k, operand in enumerate(node.operands)
                ]
            for operand, contribution in zip(node.operands, found, strict=True):
                if operand in reach and contribution is not None:
                    add(operand, contribution)
        for node in inputs:
            settle(node)
        building.cites = None
    return _renamed([totals.get(x) for x in inputs], names)


def _pull_step(node: Node, k: int, g: Tensor) -> Tensor | None:
    """The cotangent that operand k of one node receives."""
    y, xs = Tensor(node), [Tensor(x) for x in node.operands]
    rule = node.op.derivative
    match rule:
        case Diagonal():
            scaled = rule.scaled[k]
            return None if scaled is None else _tensor(scaled(g, y, *xs))
        case Linear():
            return _tensor(rule.transpose(g, k, node))
        case Stated():
            given = rule.vjp(g, k, y, node)
            return None if given is None else _tensor(given)
        case NoDerivative() | Nested():
            return None


@unwatched
def push(
    outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Tensor]
) -> list[Tensor | None]:
    """Forward mode: the tangent of each output, None where it depends on no input."""
    known: dict[Node, Tensor] = {
        node: tangent for node, tangent in zip(inputs, tangents, strict=True) if is_smooth(node)
    }
    bundles: dict[Node, list[Tensor | None]] = {}
    for node in dependents(outputs, inputs):
        if node in known:
            continue
        building.cites = node
        if isinstance(node.op.derivative, Nested):
            moved = [known.get(x) for x in node.operands]
            own = node.op in OWN_RULES
            bundles[node] = push_rule(node, moved, pull) if own else push_region(node, moved, push)
            continue
        if isinstance(node.op.element, Part):
            tangent = bundles[node.operands[0]][count_of(node.params, "part")]
        else:
            tangent = _push_step(node, [known.get(x) for x in node.operands])
        if tangent is not None:
            known[node] = _fitted(tangent, node)
    building.cites = None
    return [known.get(x) for x in outputs]


def _push_step(node: Node, tangents: list[Tensor | None]) -> Tensor | None:
    """The tangent of one node from those of its operands."""
    y, xs = Tensor(node), [Tensor(x) for x in node.operands]
    rule = node.op.derivative
    terms: list[Tensor] = []
    match rule:
        case Diagonal():
            terms = [
                _tensor(scaled(t, y, *xs))
                for scaled, t in zip(rule.scaled, tangents, strict=True)
                if scaled is not None and t is not None
            ]
        case Linear(joint=True):
            filled = [
                np.zeros_like(x) if t is None else t for x, t in zip(xs, tangents, strict=True)
            ]
            terms = [_again(node, filled)]
        case Linear():
            terms = [
                _again(node, [*xs[:k], t, *xs[k + 1 :]])
                for k, t in enumerate(tangents)
                if t is not None
            ]
        case Stated():
            terms = [_tensor(rule.jvp(tuple(tangents), y, node))]
        case NoDerivative() | Nested():
            return None
    total: Tensor | None = None
    for term in terms:
        term = _fitted(term, node)
        total = term if total is None else total + term
    return total


def _again(node: Node, operands: Sequence[Tensor]) -> Tensor:
    """The same op on other operands."""
    return Tensor(apply(node.op, *(x.node for x in operands), **node.params))


def _tensor(value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise VerifyError(f"a derivative rule gave {value!r}, not a tensor")
    return value


def _fitted(value: Tensor, primal: Node) -> Tensor:
    """The value with its primal's type: broadcasts summed back, missing ones filled in.

    Raises:
        VerifyError: the rule of the op in question gave another dtype.
    """
    if value.node.shape != primal.shape:
        if value.node.type.rank > primal.type.rank or any(
            a == 1 != b for a, b in zip(primal.shape[::-1], value.node.shape[::-1], strict=False)
        ):
            value = sum_to(value, primal.shape)
        if value.node.shape != primal.shape:
            value = np.broadcast_to(value, primal.shape)
    if value.node.type != primal.type:
        raise VerifyError(f"adjoint of {primal!r} has type {value.node.type}")
    return value


def _name_adjoint(names: dict[Node, str], adjoint: Node, primal: Node) -> None:
    """Call it d_z when its primal is z and it has no name; of several primals the first met."""
    leaf = adjoint.op.name in ("input", "constant")
    if primal.name and not adjoint.name and not leaf and adjoint.part == "backward":
        names.setdefault(adjoint, f"d_{primal.name}")


def _renamed(values: Sequence[Tensor | None], names: Mapping[Node, str]) -> list[Tensor | None]:
    """The values with these names on their nodes, each node still one."""
    image: dict[Node, Node] = {}
    for node in walk(value.node for value in values if value is not None):
        operands = tuple(image[x] for x in node.operands)
        name = names.get(node, node.name)
        same = name == node.name and all(map(operator.is_, operands, node.operands))
        image[node] = node if same else node.on(operands, node.type, name, node.cites)
    return [None if value is None else Tensor(image[value.node]) for value in values]


@contextmanager
def _backward() -> Iterator[None]:
    """Nodes made inside belong to the backward part, and to the line that asks for it."""
    before = (building.part, building.cites, building.locate)
    source = building.locate()
    building.part, building.locate = "backward", lambda: source
    try:
        yield
    finally:
        building.part, building.cites, building.locate = before
