"""Copies for tiles of what no step of a scan changes, made once before the scan."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from graphc.graph import Graph, Node, Part, apply, rebuild
from graphc.lower.layout import is_made_of, lay_out
from graphc.lower.panels import COPY, PACK
from graphc.ops.control import SCAN, count_of, graph_of
from graphc.ops.shape import INPUT
from graphc.options import Tiles


def hoist(graph: Graph, tiles: Tiles) -> Graph:
    """The graph with copies of weights that its scans multiply by outside of the scans."""
    if not any(node.op is SCAN for node in graph.nodes):
        return graph
    taken = {(x.operands[0], count_of(x.params, "part")) for x in graph.nodes if _is_part(x)}

    parts: dict[Node, set[int]] = {}
    for whole, k in taken:
        parts.setdefault(whole, set()).add(k)
    known: dict[Node, Node] = {x: x for x in graph.inputs}
    for scan in (node for node in graph.nodes if node.op is SCAN):
        image = rebuild([scan], lambda node: node, known)
        known = {**image, scan: _hoisted(image[scan], parts.get(scan, set()), tiles)}
    image = rebuild(graph.outputs, lambda node: node, known)
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs))


def _is_part(node: Node) -> bool:
    return isinstance(node.op.element, Part)


def _hoisted(scan: Node, taken: Collection[int], tiles: Tiles) -> Node:
    """The scan, with copies of its constants among its constants."""
    body, carry = graph_of(scan.params, "body"), count_of(scan.params, "carry")
    fixed = carry + count_of(scan.params, "xs")
    laid = lay_out(hoist(body, tiles.inside), tiles.inside, body.inputs[fixed:])
    held = dict(zip(body.inputs[fixed:], scan.operands[fixed:], strict=True))
    wanted = [y for k, y in enumerate(laid.outputs) if k < carry or k in taken]
    copies = [x for x in replace(laid, outputs=tuple(wanted)).nodes if _is_copy(x, held)]
    if not copies:
        return scan
    inputs = {x: _input(x) for x in copies}
    before = rebuild(copies, lambda node: _placed(node, scan), held)
    image = rebuild(laid.outputs, lambda node: node, {x: x for x in body.inputs} | inputs)
    body = replace(
        laid,
        inputs=(*body.inputs, *inputs.values()),
        outputs=tuple(image[y] for y in laid.outputs),
    )
    operands = (*scan.operands, *(before[x] for x in copies))
    return replace(scan, operands=operands, params={**scan.params, "body": body})


def _is_copy(node: Node, held: Collection[Node]) -> bool:
    """Whether it is a copy of what the constants give."""
    return node.op in (PACK, COPY) and is_made_of(node, held)


def _input(like: Node) -> Node:
    fresh = apply(INPUT, dtype=like.dtype, shape=like.shape)
    return replace(fresh, name=like.name, serial=like.serial, part=like.part)


def _placed(node: Node, scan: Node) -> Node:
    """Right before the scan."""
    params = {key: 0 if key == "early" else value for key, value in node.params.items()}
    return replace(node, serial=scan.serial, part=scan.part, params=params)
