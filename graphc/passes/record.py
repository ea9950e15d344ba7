"""What a step back needs of the step forward is kept, where computing it again costs more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.graph import (
    Contraction,
    Graph,
    Node,
    Part,
    Reduction,
    Region,
    Sequential,
    rebuild,
    walk,
)
from graphc.ops.control import SCAN, count_of
from graphc.passes.loops import (
    Scan,
    body_of,
    fresh_input,
    made,
    part,
    scan_of,
    scans_of,
    substituted,
    within,
)
from graphc.rewrite import rewrite
from graphc.rules.cost import FUNCTION, work
from graphc.types import BundleType


def record(graph: Graph) -> Graph:
    """What a scan computes again of an earlier one's steps, the earlier one keeps if it costs."""
    if not scans_of(graph):
        return graph
    graph = within(graph, record)
    while (found := _first(graph)) is not None:
        graph = found
    return graph


def _first(graph: Graph) -> Graph | None:
    """The graph with one more scan that reads what another one kept for it."""
    for later in scans_of(graph):
        if later.is_blocked:
            continue
        earlier = dict.fromkeys(
            x.operands[0]
            for x in later.rows
            if isinstance(x.op.element, Part) and x.operands[0].op is SCAN
        )
        for node in earlier:
            first = scan_of(node)
            if first.node.params["length"] == later.node.params["length"]:
                found = _recorded(graph, first, later)
                if found is not None:
                    return found
    return None


def _recorded(graph: Graph, first: Scan, later: Scan) -> Graph | None:
    """The graph in which `later` reads what it computed again; None where there is nothing."""
    known = _shared_values(first, later)
    image = rebuild(later.body.outputs, lambda node: node, known)
    own = [x for x in later.body.inputs if x not in known]
    n = len(first.body.outputs)
    outputs = (*first.body.outputs, *(image[y] for y in later.body.outputs), *known.values())
    joint = rewrite(body_of(first.body, (*first.body.inputs, *own), outputs), ())
    forward, back = joint.outputs[:n], joint.outputs[n : n + len(later.body.outputs)]
    held = dict(zip(joint.outputs[n + len(back) :], known, strict=True))
    found = _kept(held, forward, back)
    if not found or not first.fits(found):
        return None
    kept = list(forward)
    places = []
    for x in found:
        if x not in kept[first.carry :]:
            kept.append(x)
        places.append(first.carry + kept[first.carry :].index(x))
    body = body_of(first.body, first.body.inputs, kept)
    whole = made(first.node, body, first.node.operands, first.carry, first.xs)
    rows = [fresh_input(x) for x in found]
    again = rebuild(back, lambda node: node, {**held, **dict(zip(found, rows, strict=True))})
    inputs = _with_rows(later, later.body.inputs, rows)
    body = body_of(later.body, inputs, [again[y] for y in back])
    graph, became = substituted(graph, {first.node: whole})
    last = became[later.node]
    operands = _with_rows(later, last.operands, [part(whole, k) for k in places])
    fresh = made(last, body, operands, later.carry, later.xs + len(rows))
    return substituted(graph, {last: fresh})[0]


def _with_rows(scan: Scan, values: Sequence[Node], rows: Iterable[Node]) -> tuple[Node, ...]:
    at = scan.carry + scan.xs
    return (*values[:at], *rows, *values[at:])


def _shared_values(first: Scan, later: Scan) -> dict[Node, Node]:
    """Inputs of the later body that have, in each step, a value of the first body's same step."""
    given = first.given()
    found: dict[Node, Node] = {}
    for (is_row, x), v in later.given().items():
        if (is_row, x) in given:
            found[v] = given[is_row, x]
        elif is_row and isinstance(x.op.element, Part) and x.operands[0] is first.node:
            k = count_of(x.params, "part")
            if k >= first.carry:
                found[v] = first.body.outputs[k]
    return found


def _kept(held: Mapping[Node, Node], forward: Sequence[Node], back: Sequence[Node]) -> list[Node]:
    """What to keep of a step, for `back`. What is held is there already; what follows from that by
    a few cheap operations is not kept."""
    dear: dict[Node, bool] = {}
    for node in walk(forward):
        dear[node] = node not in held and (_costs(node) or any(dear[x] for x in node.operands))
    found: dict[Node, None] = {}
    seen, stack = set[Node](), list(back)
    while stack:
        node = stack.pop()
        if node in seen or node in held or not dear.get(node, True):
            continue
        seen.add(node)
        if node in dear and _is_kept(node):
            found[node] = None
        else:
            stack += node.operands
    return sorted(found, key=lambda x: x.serial)


def _is_kept(node: Node) -> bool:
    """Whether it is the node itself that is kept, rather than what it follows from."""
    if isinstance(node.type, BundleType):
        return False
    return _costs(node) or isinstance(node.op.element, Part)


def _costs(node: Node) -> bool:
    if isinstance(node.op.element, Contraction | Reduction | Region | Sequential):
        return True
    size = node.type.size if not isinstance(node.type, BundleType) else 1
    many = size if isinstance(size, int) else 1
    return bool(node.operands) and work(node) >= FUNCTION * max(many, 1)
