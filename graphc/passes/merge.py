"""Scans that step through the same values run once."""

from __future__ import annotations

from dataclasses import replace

from graphc.graph import Graph, Node, rebuild
from graphc.passes.loops import (
    Scan,
    body_of,
    items,
    made,
    part,
    scans_of,
    substituted,
    within,
)
from graphc.rewrite import rewrite


def merge(graph: Graph) -> Graph:
    """Scans that carry the same through the same rows become one, which gives what each gave."""
    if not scans_of(graph):
        return graph
    graph = within(graph, merge)
    while (found := _alike(graph)) is not None:
        graph, _ = substituted(graph, found)
    return graph


def _alike(graph: Graph) -> dict[Node, Node] | None:
    """What becomes of the first two scans that may be one."""
    scans = scans_of(graph)
    for k, second in enumerate(scans):
        for first in scans[:k]:
            body = _joint(first, second)
            if body is not None:
                return _merged(graph, first, second, body)
    return None


def _joint(first: Scan, second: Scan) -> Graph | None:
    """A body that gives what both give, if both carry the same."""
    c = first.carry
    same = (
        c == second.carry
        and first.starts == second.starts
        and all(first.node.params[key] == second.node.params[key] for key in ("length", "reverse"))
    )
    inputs, wanted = first.given(), second.given()
    if not same or not wanted.keys() <= inputs.keys():
        return None
    known = dict(zip(second.body.inputs[:c], first.body.inputs[:c], strict=True))
    known |= {v: inputs[key] for key, v in wanted.items()}
    # One operand may come in twice; each of its inputs is the same.
    for rows, operands, own in (
        (True, second.rows, second.row_inputs),
        (False, second.constants, second.constant_inputs),
    ):
        known |= {v: inputs[rows, x] for x, v in zip(operands, own, strict=True)}
    image = rebuild(second.body.outputs, lambda node: node, known)
    outputs = (*first.body.outputs, *(image[y] for y in second.body.outputs))
    body = rewrite(body_of(first.body, first.body.inputs, outputs), ())
    n = len(first.body.outputs)
    return body if body.outputs[:c] == body.outputs[n : n + c] else None


def _merged(graph: Graph, first: Scan, second: Scan, body: Graph) -> dict[Node, Node]:
    c, n = first.carry, len(first.body.outputs)
    kept = list(body.outputs[:n])
    places = list(range(c))
    for y in body.outputs[n + c :]:
        if y not in kept[c:]:
            kept.append(y)
        places.append(c + kept[c:].index(y))
    names = (*first.body.output_names, *("",) * (len(kept) - n))
    body = replace(body, outputs=tuple(kept), output_names=names)
    whole = made(first.node, body, first.node.operands, c, first.xs)
    known = {item: part(whole, places[k], item) for k, item in items(graph, second.node)}
    return {first.node: whole, **known}
