"""Derivatives of values that carry their own: see `ops.rules`. `push` and `pull` are passed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from graphc.derive.control import Pull, Some
from graphc.graph import Graph, Node, apply, building, walk
from graphc.ops.control import count_of
from graphc.ops.rules import BARRIER, CHECKPOINT, CUSTOM, graphs_of
from graphc.trace import Tensor, inline

# mypy: disable-error-code="arg-type,return-value,call-overload,list-item"
# Traced code is written with NumPy's functions, typed as giving arrays where tensors give tensors.

OWN_RULES = (CUSTOM, CHECKPOINT)


def _is_smooth(node: Node) -> bool:
    return node.dtype.kind == "f"


def _split(node: Node) -> tuple[list[Node], list[Node], list[Node]]:
    """(ys, xs, residuals)."""
    ys = count_of(node.params, "ys")
    xs = ys + count_of(node.params, "xs")
    operands = list(node.operands)
    return operands[:ys], operands[ys:xs], operands[xs:]


def _filled(values: Some, nodes: Sequence[Node]) -> list[Tensor]:
    """Those of the floating-point nodes, zeros where there is none."""
    return [
        np.zeros_like(Tensor(x)) if v is None else v
        for v, x in zip(values, nodes, strict=True)
        if _is_smooth(x)
    ]


def _spread(found: Some, nodes: Sequence[Node]) -> list[Tensor | None]:
    """One entry a node again."""
    rest = iter(found)
    return [next(rest) if _is_smooth(x) else None for x in nodes]


def push_rule(node: Node, tangents: Some, pull: Pull) -> list[Tensor | None]:
    """The tangents of the parts. What a checkpoint holds has them already."""
    ys, xs, residuals = _split(node)
    if node.op is CHECKPOINT:
        return list(tangents[: len(ys)])
    moved = _filled(tangents[len(ys) : len(ys) + len(xs)], xs)
    rules = graphs_of(node.params)
    if "jvp" in rules:
        found: Some = inline(rules["jvp"], [*(Tensor(x) for x in xs), *moved])
    else:
        found = _transposed(rules["vjp"], residuals, [y for y in ys if _is_smooth(y)], moved, pull)
    return _spread(found, ys)


def pull_rule(node: Node, cotangents: Some, pull: Pull) -> list[Tensor | None]:
    """The cotangents of the operands."""
    ys, xs, residuals = _split(node)
    given = _filled(cotangents, ys)
    rules = graphs_of(node.params)
    if node.op is CHECKPOINT:
        found = _again(rules["body"], xs, given, pull)
    elif "vjp" in rules:
        found = list(inline(rules["vjp"], [*(Tensor(r) for r in residuals), *given]))
    else:
        found = _transposed(rules["jvp"], xs, [x for x in xs if _is_smooth(x)], given, pull)
    return [*(None for _ in ys), *_spread(found, xs), *(None for _ in residuals)]


def _transposed(
    rule: Graph, at: Sequence[Node], like: Sequence[Node], given: Sequence[Tensor], pull: Pull
) -> list[Tensor | None]:
    """A rule that is linear in its last inputs, the other way round: the derivative of its outputs,
    weighted with what is given, by those inputs."""
    inputs = [np.zeros_like(Tensor(x)) for x in like]
    # Nodes of their own, even where zeros are equal: each is derived by itself.
    inputs = [Tensor(apply(BARRIER, zero.node)) for zero in inputs]
    results = inline(rule, [*(Tensor(x) for x in at), *inputs])
    found = pull([y.node for y in results], given, [x.node for x in inputs])
    return [np.zeros_like(x) if t is None else t for t, x in zip(found, inputs, strict=True)]


def _again(
    body: Graph, xs: Sequence[Node], given: Sequence[Tensor], pull: Pull
) -> list[Tensor | None]:
    """The cotangents through a body that is computed anew, when they are there."""
    after = [g.node for g in given]
    inputs = [apply(BARRIER, x, *after) for x in xs]
    image = dict(zip(body.inputs, inputs, strict=True))
    locate = building.locate
    try:
        for node in walk(body.outputs):
            if node not in image:
                building.locate = lambda source=node.source: source
                operands = (image[x] for x in node.operands)
                fresh = apply(node.op, *operands, **node.params)
                image[node] = replace(fresh, name=node.name)
    finally:
        building.locate = locate
    outputs = [image[y] for y in body.outputs if _is_smooth(y)]
    return pull(outputs, given, [x for x in inputs if _is_smooth(x)])


__all__ = ["OWN_RULES", "pull_rule", "push_rule"]
