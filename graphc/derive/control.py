"""Derivatives of loops and branches: those of their bodies, in loops and branches of their own.

A reverse scan keeps the carry of every step and computes the rest of a step again when it comes
back to it. `push` and `pull` of graphs are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from graphc.errors import TraceError
from graphc.graph import Graph, Node, apply
from graphc.ops.control import COND, SCAN, WHILE, count_of, graph_of
from graphc.ops.shape import INPUT
from graphc.trace import Tensor, constant, inline, items
from graphc.types import BundleType, Shape, TensorType

Some = Sequence[Tensor | None]
Push = Callable[[Sequence[Node], Sequence[Node], Sequence[Tensor]], list[Tensor | None]]
Pull = Callable[[Sequence[Node], Sequence[Tensor], Sequence[Node]], list[Tensor | None]]


def parts_of(node: Node) -> tuple[TensorType, ...]:
    """The types of a bundle's parts."""
    return node.type.parts if isinstance(node.type, BundleType) else ()


def _input(kind: TensorType) -> Tensor:
    return Tensor(apply(INPUT, dtype=kind.dtype, shape=kind.shape))


def _zeros(kind: TensorType) -> Tensor:
    return np.broadcast_to(constant(np.zeros((), kind.dtype.numpy)), kind.shape)


def _smooth(kind: TensorType) -> bool:
    return kind.dtype.kind == "f"


def _filled(values: Some, kinds: Sequence[TensorType]) -> list[Tensor]:
    """Zeros for the missing ones; only for floating-point types."""
    return [
        _zeros(kind) if value is None else value
        for value, kind in zip(values, kinds, strict=True)
        if _smooth(kind)
    ]


def _back(found: Sequence[Tensor], kinds: Sequence[TensorType]) -> list[Tensor | None]:
    """One entry a type again, None for those that are not floating point."""
    rest = iter(found)
    return [next(rest) if _smooth(kind) else None for kind in kinds]


def _graph(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Graph:
    """A body: its inputs are all it takes from outside."""
    return Graph(
        name, tuple(x.node for x in inputs), tuple(y.node for y in outputs), ("",) * len(outputs)
    )


def _fresh(graph: Graph) -> list[Tensor]:
    return [_named(_input(x.type), x.name) for x in graph.inputs]


def _named(x: Tensor, name: str | None) -> Tensor:
    return Tensor(replace(x.node, name=name))


def _adjoint(kind: TensorType, node: Node) -> Tensor:
    return _named(_input(kind), f"d_{node.name}" if node.name else None)


def push_region(node: Node, tangents: Some, push: Push) -> list[Tensor | None]:
    """The tangents of a bundle's parts."""
    pushers = {SCAN: _push_scan, WHILE: _push_while, COND: _push_cond}
    return pushers[node.op](node, tangents, push)


def pull_region(node: Node, cotangents: Some, pull: Pull) -> list[Tensor | None]:
    """The cotangents of a region's operands from those of its parts."""
    if node.op is WHILE:
        place = f" at {node.source}" if node.source else ""
        raise TraceError(
            f"while_loop{place} has no gradient, because the number of its steps is "
            "not bounded: give max_steps=, or use scan or fori_loop"
        )
    return {SCAN: _pull_scan, COND: _pull_cond}[node.op](node, cotangents, pull)


def _pushed_body(body: Graph, push: Push, outputs: Sequence[int]) -> Graph:
    """(inputs, tangents of the smooth ones) -> (outputs, tangents of the smooth ones among
    `outputs`)."""
    primals = _fresh(body)
    directions = [_adjoint(x.type, x) for x in body.inputs if _smooth(x.type)]
    results = inline(body, primals)
    wrt = [x for x in primals if _smooth(x.node.type)]
    found = push([y.node for y in results], [x.node for x in wrt], directions)
    chosen = [found[k] for k in outputs]
    kinds = [body.outputs[k].type for k in outputs]
    return _graph(body.name, [*primals, *directions], [*results, *_filled(chosen, kinds)])


def _push_scan(node: Node, tangents: Some, push: Push) -> list[Tensor | None]:
    body, c = graph_of(node.params, "body"), count_of(node.params, "carry")
    x = count_of(node.params, "xs")
    kinds = [operand.type for operand in node.operands]
    primals = [Tensor(operand) for operand in node.operands]
    groups = [(0, c), (c, c + x), (c + x, len(kinds))]
    moved = [_filled(tangents[a:b], kinds[a:b]) for a, b in groups]
    both = _pushed_body(body, push, range(len(body.outputs)))
    # The body wants carries and their tangents first, then rows and theirs, then constants.
    counts = [b - a for a, b in groups]
    inputs = _regroup(both.inputs, counts, [len(m) for m in moved])
    smooth = [_smooth(y.type) for y in body.outputs]
    outputs = _regroup(both.outputs, [c, len(body.outputs) - c], [sum(smooth[:c]), sum(smooth[c:])])
    joint = replace(both, inputs=tuple(inputs), outputs=tuple(outputs))
    operands = [v for (a, b), m in zip(groups, moved, strict=True) for v in (*primals[a:b], *m)]
    carries = c + len(moved[0])
    fresh = apply(
        SCAN,
        *(v.node for v in operands),
        **{**node.params, "body": joint, "carry": carries, "xs": x + len(moved[1])},
    )
    found = items(fresh)
    ys = len(body.outputs) - c
    tangents_found = found[c:carries] + found[carries + ys :]
    return _back(tangents_found, parts_of(node))


def _regroup(values: Sequence[Node], counts: Sequence[int], extra: Sequence[int]) -> list[Node]:
    """From all primals then all tangents to, group by group, primals then tangents."""
    total = sum(counts)
    result, at, more = [], 0, total
    for count, tail in zip(counts, extra, strict=True):
        result += [*values[at : at + count], *values[more : more + tail]]
        at, more = at + count, more + tail
    return result


def _push_while(node: Node, tangents: Some, push: Push) -> list[Tensor | None]:
    body, test = graph_of(node.params, "body"), graph_of(node.params, "test")
    c = count_of(node.params, "carry")
    kinds = [operand.type for operand in node.operands]
    both = _pushed_body(body, push, range(c))
    moved = [_filled(tangents[:c], kinds[:c]), _filled(tangents[c:], kinds[c:])]
    counts, extra = [c, len(kinds) - c], [len(m) for m in moved]
    inputs = _regroup(both.inputs, counts, extra)
    body2 = replace(both, inputs=tuple(inputs))
    again = [_input(x.type) for x in inputs]
    kept = [again[k] for k, x in enumerate(inputs) if x in both.inputs[: len(kinds)]]
    test2 = _graph("test", again, inline(test, kept))
    primals = [Tensor(x) for x in node.operands]
    operands = [*primals[:c], *moved[0], *primals[c:], *moved[1]]
    fresh = apply(
        WHILE, *(v.node for v in operands), body=body2, test=test2, carry=c + len(moved[0])
    )
    return _back(items(fresh)[c:], parts_of(node))


def _push_cond(node: Node, tangents: Some, push: Push) -> list[Tensor | None]:
    branches = [graph_of(node.params, key) for key in ("then", "other")]
    both = [_pushed_body(branch, push, range(len(branch.outputs))) for branch in branches]
    kinds = [x.type for x in node.operands[1:]]
    operands = [*(Tensor(x) for x in node.operands), *_filled(tangents[1:], kinds)]
    fresh = apply(COND, *(v.node for v in operands), then=both[0], other=both[1])
    return _back(items(fresh)[len(parts_of(node)) :], parts_of(node))


def _pulled_body(body: Graph, pull: Pull) -> Graph:
    """(inputs, cotangents of the smooth outputs) -> cotangents of the smooth inputs."""
    primals = _fresh(body)
    results = inline(body, primals)
    smooth = [y for y in results if _smooth(y.node.type)]
    cotangents = [_adjoint(y.type, y) for y in body.outputs if _smooth(y.type)]
    wrt = [x.node for x in primals if _smooth(x.node.type)]
    found = pull([y.node for y in smooth], cotangents, wrt)
    return _graph(f"d_{body.name}", [*primals, *cotangents], _filled(found, [x.type for x in wrt]))


def _pull_cond(node: Node, cotangents: Some, pull: Pull) -> list[Tensor | None]:
    branches = [_pulled_body(graph_of(node.params, key), pull) for key in ("then", "other")]
    given = _filled(cotangents, parts_of(node))
    fresh = apply(
        COND, *node.operands, *(g.node for g in given), then=branches[0], other=branches[1]
    )
    return [None, *_back(items(fresh), [x.type for x in node.operands[1:]])]


def _pull_scan(node: Node, cotangents: Some, pull: Pull) -> list[Tensor | None]:
    """The scan in the other direction. Its carry: the cotangents of the carry, and the growing
    sums of those of the constants; its rows: the kept carries, the rows, their cotangents."""
    body, c = graph_of(node.params, "body"), count_of(node.params, "carry")
    x = count_of(node.params, "xs")
    kept = replace(
        body,
        outputs=(*body.outputs, *body.inputs[:c]),
        output_names=(*body.output_names, *("",) * c),
    )
    recorded = items(apply(SCAN, *node.operands, **{**node.params, "body": kept}))
    recorded = recorded[len(body.outputs) :]
    parts = parts_of(node)
    kinds = [operand.type for operand in node.operands]
    start = _filled(cotangents[:c], parts[:c])
    d_ys = _filled(cotangents[c:], parts[c:])
    sums = [_zeros(kind) for kind in kinds[c + x :] if _smooth(kind)]
    step = _scan_step(body, c, x, len(start), [v.node.type for v in sums], _shapes(d_ys), pull)
    operands = [
        *start,
        *sums,
        *recorded,
        *(Tensor(v) for v in node.operands[c : c + x]),
        *d_ys,
        *(Tensor(v) for v in node.operands[c + x :]),
    ]
    carry = len(start) + len(sums)
    fresh = apply(
        SCAN,
        *(v.node for v in operands),
        **{
            **node.params,
            "body": step,
            "carry": carry,
            "xs": c + x + len(d_ys),
            "reverse": 1 - count_of(node.params, "reverse"),
        },
    )
    found = items(fresh)
    order = [*found[: len(start)], *found[carry:], *found[len(start) : carry]]
    return _back(order, kinds)


def _shapes(stacks: Sequence[Tensor]) -> list[tuple[TensorType, Shape]]:
    return [(s.node.type.with_shape(s.node.shape[1:]), s.node.shape) for s in stacks]


def _scan_step(
    body: Graph,
    c: int,
    x: int,
    carries: int,
    sums: Sequence[TensorType],
    rows: Sequence[tuple[TensorType, Shape]],
    pull: Pull,
) -> Graph:
    """One step back, as a body: (d_carry, sums, carry, row, d_ys, constants) -> (d_carry, sums,
    d_row)."""
    pulled = _pulled_body(body, pull)
    primals = _fresh(body)
    d_carry = [_adjoint(y.type, y) for y in body.outputs[:c] if _smooth(y.type)]
    totals = [_input(kind) for kind in sums]
    d_ys = [_input(kind) for kind, _ in rows]
    found = inline(pulled, [*primals, *d_carry, *d_ys])
    smooth_rows = sum(_smooth(v.type) for v in body.inputs[c : c + x])
    d_in, d_rows = found[:carries], found[carries : carries + smooth_rows]
    grown = [a + b for a, b in zip(totals, found[carries + smooth_rows :], strict=True)]
    inputs = [*d_carry, *totals, *primals[: c + x], *d_ys, *primals[c + x :]]
    return _graph(f"d_{body.name}", inputs, [*d_in, *grown, *d_rows])
