"""Which element of a result depends on which element of an argument, from the graph alone.

Sets of elements are bits of Python ints, one int for each element of a value, so that NumPy moves
and unites them as it moves numbers. What is not known (an index that is data) counts as all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.errors import TraceError
from graphc.graph import (
    Array,
    Contraction,
    Diagonal,
    Elementwise,
    Graph,
    Leaf,
    Node,
    NoDerivative,
    Part,
    Reduction,
    View,
)
from graphc.ops.control import COND, SCAN, WHILE, count_of, graph_of
from graphc.ops.indexing import GATHER, SCATTER
from graphc.ops.ordered import RUNNING
from graphc.ops.reduce import subscripts
from graphc.ops.rules import CHECKPOINT
from graphc.ops.shape import CONCATENATE, PAD, axes
from graphc.reference import fixed
from graphc.types import BundleType, Dim

# mypy: disable-error-code="arg-type,call-overload"
# Sizes are ints here, for `dependence` has refused others.

Bits = Array
"""An array of Python ints: bit j of element i says whether it depends on element j."""

MOST_FOLDED = 1 << 22
"""Constants of more elements are not computed to look for zeros in them."""


@dataclass(slots=True)
class Found:
    """What is known of the nodes of a graph: dependence, and the values of constants."""

    bits: dict[Node, Bits | None] = field(default_factory=dict)
    values: dict[Node, Array] = field(default_factory=dict)
    parts: dict[Node, list[Bits | None]] = field(default_factory=dict)


def dependence(graph: Graph, inputs: Sequence[Bits | None]) -> list[Bits | None]:
    """For each output an int for each element: the union of the inputs' bits it depends on
    smoothly; None where it depends on none.

    Raises:
        TraceError: a size is known only at run time.
    """
    for node in graph.nodes:
        if any(isinstance(size, Dim) for size in node.shape):
            raise TraceError(
                f"the sparsity of {graph.name} needs sizes that are known: {node!r} has none; "
                "give examples, or types with numbers"
            )
    found = Found(dict(zip(graph.inputs, inputs, strict=True)))
    for node in graph.nodes:
        if node not in found.bits:
            _visit(node, found)
    return [found.bits[y] for y in graph.outputs]


def _visit(node: Node, found: Found) -> None:
    if isinstance(node.op.element, Part):
        found.bits[node] = found.parts[node.operands[0]][count_of(node.params, "part")]
        return
    given = [found.bits.get(x) for x in node.operands]
    if isinstance(node.type, BundleType):
        found.parts[node] = _bundle(node, given)
        found.bits[node] = None
        return
    is_known = node.op.name != "input" and all(x in found.values for x in node.operands)
    if is_known and all(not isinstance(s, Dim) and s <= MOST_FOLDED for s in (node.type.size,)):
        operands = (found.values[x] for x in node.operands)
        found.values[node] = np.asarray(node.op.evaluate(fixed(node.params, {}), *operands))
    flat = node.dtype.kind != "f" or isinstance(node.op.derivative, NoDerivative)
    if flat or isinstance(node.op.element, Leaf) or all(bits is None for bits in given):
        found.bits[node] = None
        return
    bits = np.asarray(_step(node, given, found), object)  # 0-d results are bare ints
    found.bits[node] = bits if np.any(bits != 0) else None


def none(shape: Sequence[Any]) -> Bits:
    """Depends on nothing."""
    return np.zeros(tuple(shape), object)


def _filled(node: Node, bits: Bits | None) -> Bits:
    return none(node.shape) if bits is None else bits


def union(bits: Bits, over: Sequence[int]) -> Bits:
    """The unions along axes."""
    for axis in sorted(over, reverse=True):
        bits = np.bitwise_or.reduce(bits, axis=axis, initial=0)
    return np.asarray(bits, object)


def _step(node: Node, given: Sequence[Bits | None], found: Found) -> Bits:
    params = fixed(node.params, {})
    filled = [_filled(x, bits) for x, bits in zip(node.operands, given, strict=True)]
    match node.op.element:
        case Elementwise():
            return _elementwise(node, given, found)
        case Reduction():
            return union(filled[0], axes(node.params))
        case Contraction():
            return _contraction(node, given, found)
        case View():
            return np.asarray(node.op.evaluate(params, *filled[:1]), object)
    if node.op in (PAD, CONCATENATE):
        return np.asarray(node.op.evaluate(params, *filled), object)
    if node.op is RUNNING:
        (axis,) = axes(node.params)
        way = np.flip(filled[0], axis) if node.params["reverse"] else filled[0]
        summed = np.bitwise_or.accumulate(way, axis)
        return np.flip(summed, axis) if node.params["reverse"] else summed
    places = [found.values.get(x) for x in node.operands]
    if node.op is GATHER:
        return _gather(node, filled[0], places[1:])
    if node.op is SCATTER:
        return _scatter(node, filled[0], filled[1], places[2:])
    return _everywhere(node.shape, given)


def _everywhere(shape: Sequence[Any], given: Sequence[Bits | None]) -> Bits:
    """Every element depends on all that any does."""
    every = 0
    for bits in given:
        if bits is not None:
            every |= int(union(bits.reshape(-1), (0,)))
    return np.full(tuple(shape), every, object)


def _elementwise(node: Node, given: Sequence[Bits | None], found: Found) -> Bits:
    """Unions, but for a factor that is zero and a choice that is made already."""
    result = none(node.shape)
    rule = node.op.derivative
    for k, bits in enumerate(given):
        if bits is None or (isinstance(rule, Diagonal) and rule.scaled[k] is None):
            continue
        mask: Any = True
        others = [found.values.get(x) for x in node.operands]
        if node.op.name == "multiply" and others[1 - k] is not None:
            mask = others[1 - k] != 0
        elif node.op.name == "divide" and k == 1 and others[0] is not None:
            mask = others[0] != 0
        elif node.op.name == "where" and others[0] is not None:
            mask = others[0] if k == 1 else ~others[0]
        result = result | np.where(mask, bits, 0)
    return result


def _contraction(node: Node, given: Sequence[Bits | None], found: Found) -> Bits:
    """Unions over the summed labels, but for products with a zero that is known."""
    inputs, output = subscripts(node.params)
    labels = list(output) + sorted({i for x in inputs for i in x} - set(output))
    result = none(node.shape)
    spread = [
        _spread(np.asarray(found.values[x] != 0, bool), mine, labels) if x in found.values else None
        for x, mine in zip(node.operands, inputs, strict=True)
    ]
    for k, bits in enumerate(given):
        if bits is None:
            continue
        value = _spread(bits, inputs[k], labels)
        for j, mask in enumerate(spread):
            if j != k and mask is not None:
                value = np.where(mask, value, 0)
        result = result | union(value, range(len(output), len(labels)))
    return np.asarray(np.broadcast_to(result, tuple(node.shape)), object)


def _spread(x: Array, mine: Sequence[int], labels: Sequence[int]) -> Array:
    """x with one axis for each label, of size 1 where x does not have it; diagonals taken."""
    once = list(dict.fromkeys(mine))
    if len(once) != len(mine):
        grids = np.indices([x.shape[list(mine).index(i)] for i in once])
        x = x[tuple(grids[once.index(i)] for i in mine)]
    order = sorted(range(len(once)), key=lambda axis: list(labels).index(once[axis]))
    x = np.transpose(x, order)
    sizes = iter(x.shape)
    return x.reshape([next(sizes) if i in once else 1 for i in labels])


def _gather(node: Node, x: Bits, places: Sequence[Array | None]) -> Bits:
    if all(i is not None for i in places):
        return np.asarray(node.op.evaluate(fixed(node.params, {}), x, *places), object)
    every = union(x, axes(node.params))
    return np.asarray(np.broadcast_to(every, tuple(node.shape)), object)


def _scatter(node: Node, base: Bits, updates: Bits, places: Sequence[Array | None]) -> Bits:
    picked = axes(node.params)
    result = base.copy()
    front = np.moveaxis(result, picked, range(len(picked)))
    lead = updates.ndim - (base.ndim - len(picked))
    if any(i is None for i in places):
        front |= union(updates, range(lead))
        return result
    where = tuple(np.broadcast_arrays(*places)) if places else ()
    if node.params["combine"] == "set":
        front[where] = 0
    np.bitwise_or.at(front, where, updates)
    return result


def _bundle(node: Node, given: Sequence[Bits | None]) -> list[Bits | None]:
    """The parts of loops and branches: of the steps of a scan, one after the other."""
    kinds = node.type.parts if isinstance(node.type, BundleType) else ()
    if node.op is SCAN:
        return _scan(node, given)
    if node.op is COND:
        branches = [dependence(graph_of(node.params, key), given[1:]) for key in ("then", "other")]
        return [_either(a, b) for a, b in zip(*branches, strict=True)]
    if node.op is WHILE:
        return _while(node, given)
    if node.op is CHECKPOINT:
        return list(given[: len(kinds)])
    return [_everywhere(kind.shape, given) if kind.dtype.kind == "f" else None for kind in kinds]


def _either(a: Bits | None, b: Bits | None) -> Bits | None:
    return b if a is None else a if b is None else np.asarray(a | b, object)


def _scan(node: Node, given: Sequence[Bits | None]) -> list[Bits | None]:
    body, c, x = (
        graph_of(node.params, "body"),
        count_of(node.params, "carry"),
        count_of(node.params, "xs"),
    )
    length = count_of(node.params, "length")
    state, stacks, constants = list(given[:c]), given[c : c + x], given[c + x :]
    rows: list[list[Bits | None]] = [[] for _ in range(length)]
    for t in reversed(range(length)) if node.params["reverse"] else range(length):
        row = [None if s is None else np.asarray(s[t], object) for s in stacks]
        results = dependence(body, [*state, *row, *constants])
        state, rows[t] = results[:c], results[c:]
    stacked: list[Bits | None] = []
    for k, y in enumerate(body.outputs[c:]):
        filled = [_filled(y, row[k]) for row in rows]
        stacked.append(np.stack(filled) if length else none((0, *y.shape)))
    return [*state, *stacked]


def _while(node: Node, given: Sequence[Bits | None]) -> list[Bits | None]:
    """After any number of steps: until no step adds anything."""
    body, c = graph_of(node.params, "body"), count_of(node.params, "carry")
    state = list(given[:c])
    while True:
        after = dependence(body, [*state, *given[c:]])
        grown = [_either(a, b) for a, b in zip(state, after, strict=True)]
        same = all(
            (a is None and b is None) or (a is not None and b is not None and np.all(a == b))
            for a, b in zip(state, grown, strict=True)
        )
        if same:
            return state
        state = grown


def members(bits: int, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The elements of a set, ascending."""
    packed = np.frombuffer(bits.to_bytes((size + 7) // 8, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(packed, bitorder="little")).astype(np.int64)


__all__ = ["dependence", "members", "union"]
