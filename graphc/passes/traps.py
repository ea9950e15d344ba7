"""Graph -> Graph that watches its floats: the first nan or infinity is noted as it is made.

A value is made nan when none of its operands is nan, and made infinite when all are finite. What
arguments and constants bring along (a mask of -inf, missing data) is made by nobody. An element
that only the branch not taken of a `where` reads is excused, and so is one that only `isnan`,
`isinf` or `isfinite` look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graphc import formula
from graphc.graph import Constant, Elementwise, Graph, Node, Params, Running, Scatter, apply
from graphc.ops.control import COND, SCAN, WHILE, count_of, graph_of
from graphc.ops.elementwise import CAST
from graphc.ops.reduce import EINSUM, PROD, SUM, subscripts
from graphc.ops.shape import CONSTANT, INPUT, axes
from graphc.ops.traps import TRAP
from graphc.passes.demand import FINITENESS, Demands, demanded
from graphc.sites import Site
from graphc.trace import Tensor
from graphc.trace.tensor import as_tensor
from graphc.types import int64, product

# mypy: disable-error-code="arg-type,assignment,attr-defined,return-value,union-attr"
# Conditions are written with NumPy's functions, typed as giving arrays where tensors give tensors.

HARMLESS = frozenset(
    (
        *("where", "maximum", "minimum", "fmax", "fmin", "absolute", "negative", "sign"),
        *("floor", "ceil", "trunc", "rint", "copysign", "stop_gradient"),
        *("sigmoid", "tanh", "arctan", "erf", "erfc"),
    )
)
"""Elementwise ops that give nan only for nan, and infinity only for infinity."""
MOST_OPERANDS = 3
MOST_STEPS = 3


def watch(graph: Graph) -> tuple[Graph, tuple[Site, ...]]:
    """The graph with a trap behind every op that may make a nan or an infinity, and what the
    traps watch; behind these sites stands one for each floating-point output."""
    watcher = _Watcher([])
    watched = watcher.graph(graph, ())
    ends = [_site(y, (), ()) for y in graph.outputs if y.dtype.kind == "f"]
    return watched, (*watcher.sites, *ends)


@dataclass(slots=True)
class _Watcher:
    """All sites of a program, in the order of its nodes."""

    sites: list[Site]

    def graph(self, graph: Graph, steps: tuple[Node, ...]) -> Graph:
        """The graph watched; `steps` are the counters of the loops around it, the inmost last."""
        one = _GraphWatcher(self, graph, steps, demanded(graph))
        for node in graph.nodes:
            one.visit(node)
        return replace(graph, outputs=tuple(one.image[y] for y in graph.outputs))


@dataclass(slots=True)
class _GraphWatcher:
    parent: _Watcher
    source: Graph
    steps: tuple[Node, ...]
    demands: Demands
    image: dict[Node, Node] = field(default_factory=dict)
    """What each node becomes: behind its trap, where it has one."""
    raw: dict[Node, Node] = field(default_factory=dict)
    """The same in front of its trap."""
    known: set[Node] = field(default_factory=set)

    def visit(self, node: Node) -> None:
        seen = self.raw if node.op.name in FINITENESS else self.image
        cites = None if node.cites is None else self.image.get(node.cites, node.cites)
        raw = node
        if node.operands:
            raw = replace(node, operands=tuple(seen[x] for x in node.operands), cites=cites)
        if node.op in (SCAN, WHILE, COND):
            raw = self.region(raw)
        if not self.may_make(node):
            self.image[node] = self.raw[node] = raw
            self.known.add(raw)
            return
        raw = self.raw[node] = replace(raw, name=None)
        self.known.add(raw)
        self.image[node] = self.trap(node, raw, self.excuse(node, raw))
        self.known.add(self.image[node])

    def trap(self, node: Node, raw: Node, excused: Tensor) -> Node:
        """The value behind its trap."""
        shown, values = _noted(node, raw)
        steps = self.steps[-MOST_STEPS:]
        site = _site(node, shown, steps)
        value = Tensor(raw)
        place = as_tensor(np.int64(0))
        if raw.shape:
            place = np.reshape(value.arange(product(raw.shape)), raw.shape)
        made = apply(
            TRAP, raw, place.node, excused.node, *values, *steps, site=len(self.parent.sites)
        )
        self.parent.sites.append(site)
        made = replace(made, name=node.name, source=node.source, part=node.part, cites=raw.cites)
        return self.stamped(made, raw)

    def stamped(self, made: Node, beside: Node) -> Node:
        """The new nodes at the place of the node that they watch, in the user's order."""
        if made in self.known or made.op is INPUT:
            return made
        operands = tuple(self.stamped(x, beside) for x in made.operands)
        return replace(made, operands=operands, serial=beside.serial, part=beside.part)

    # --- who is excused ------------------------------------------------------------------------

    def may_make(self, node: Node) -> bool:
        return (
            node.dtype.kind == "f"
            and bool(node.operands)
            and self.demands[node] is not False
            and _may_make(node)
        )

    def excuse(self, node: Node, raw: Node) -> Tensor:
        """Where a nan or infinity of the node is none that it made."""
        wanted, excused = self.demands[node], _came_in(raw)
        if isinstance(wanted, Node):
            known = self.settle(wanted, node, raw, {})
            if known is not None:
                spared = np.logical_not(Tensor(known))
                excused = spared if excused is None else np.logical_or(excused, spared)
        return as_tensor(np.False_) if excused is None else excused

    def settle(self, x: Node, node: Node, raw: Node, done: dict[Node, Node | None]) -> Node | None:
        """A condition in terms of what stands before the trap of `node`; None if it needs more
        than a few operations on that."""
        if x is node:
            return raw
        if x in self.image:
            return self.image[x]
        if x not in done:
            operands = [self.settle(y, node, raw, done) for y in x.operands]
            known = [y for y in operands if y is not None]
            cheap = not isinstance(x.op.element, Running | Scatter) and x.op not in _COSTLY
            fits = cheap and len(known) == len(operands) and len(done) < 60
            done[x] = replace(x, operands=tuple(known), name=None) if fits else None
        return done[x]

    # --- loops and branches --------------------------------------------------------------------

    def region(self, node: Node) -> Node:
        """The node with watched bodies, which are told the step they are in."""
        count = len(self.parent.sites)
        operands, params = {SCAN: self.scan, WHILE: self.repeat, COND: self.branch}[node.op](node)
        if len(self.parent.sites) == count:
            return node
        kind = node.op.infer(tuple(x.type for x in operands), params)
        return replace(node, operands=tuple(operands), params=params, type=kind)

    def scan(self, node: Node) -> tuple[list[Node], Params]:
        operands, body = list(node.operands), graph_of(node.params, "body")
        carry, xs = count_of(node.params, "carry"), count_of(node.params, "xs")
        outer, step = [_counter() for _ in self.steps], _counter()
        length = node.params["length"]
        at = carry + xs
        inputs = (*body.inputs[:at], step, *body.inputs[at:], *outer)
        watched = replace(self.inside(body, (*outer, step)), inputs=inputs)
        ramp = as_tensor(np.int64(0)).arange(length)
        operands = [*operands[:at], ramp.node, *operands[at:], *self.steps]
        return operands, {**node.params, "body": watched, "xs": xs + 1}

    def repeat(self, node: Node) -> tuple[list[Node], Params]:
        operands, carry = list(node.operands), count_of(node.params, "carry")
        outer = [_counter() for _ in self.steps]
        params = dict(node.params)
        for key in ("test", "body"):
            graph, step = graph_of(node.params, key), _counter()
            inner = [_counter() for _ in outer]
            watched = self.inside(graph, (*inner, step))
            outputs, names = watched.outputs, watched.output_names
            if key == "body":
                outputs, names = (*outputs, (Tensor(step) + 1).node), (*names, "step")
            inputs = (*graph.inputs[:carry], step, *graph.inputs[carry:], *inner)
            params[key] = replace(watched, inputs=inputs, outputs=outputs, output_names=names)
        zero = as_tensor(np.int64(0)).node
        operands = [*operands[:carry], zero, *operands[carry:], *self.steps]
        return operands, {**params, "carry": carry + 1}

    def branch(self, node: Node) -> tuple[list[Node], Params]:
        params = dict(node.params)
        for key in ("then", "other"):
            graph, inner = graph_of(node.params, key), [_counter() for _ in self.steps]
            watched = self.inside(graph, tuple(inner))
            params[key] = replace(watched, inputs=(*graph.inputs, *inner))
        return [*node.operands, *self.steps], params

    def inside(self, graph: Graph, steps: tuple[Node, ...]) -> Graph:
        return self.parent.graph(graph, steps)


_COSTLY = (SCAN, WHILE, COND, EINSUM)


def _counter() -> Node:
    return apply(INPUT, dtype=int64, shape=())


def _may_make(node: Node) -> bool:
    """Whether the op may give nan or infinity for finite operands, or nan for infinite ones."""
    match node.op.element:
        case Elementwise() if node.op is CAST:
            wide = node.operands[0].dtype
            return node.dtype.kind == wide.kind == "f" and node.dtype.bytes < wide.bytes
        case Elementwise():
            return node.op.name not in HARMLESS
        case Running() | Scatter():
            return node.params["combine"] in ("add", "multiply")
    return node.op in (SUM, PROD, EINSUM)


def _noted(node: Node, raw: Node) -> tuple[tuple[str, ...], list[Node]]:
    """The operands whose values tell what was made of them, and how the user writes them."""
    if not isinstance(node.op.element, Elementwise):
        return (), []
    pairs = [
        (formula.expression(x) if not x.name else x.name, made)
        for x, made in zip(node.operands, raw.operands, strict=True)
        if x.dtype.kind != "b" and not _is_finite(x)
    ]
    pairs = list(dict.fromkeys(pairs))[:MOST_OPERANDS]
    return tuple(formula.shortened(text, 40) for text, _ in pairs), [made for _, made in pairs]


def _is_finite(x: Node) -> bool:
    held = x.params.get("value") if x.op is CONSTANT else None
    return isinstance(held, Constant) and bool(np.isfinite(held.array).all())


def _site(node: Node, shown: tuple[str, ...], steps: Sequence[Node]) -> Site:
    equation = formula.equation(node)
    source, more = node.source, ""
    if node.part == "backward" and node.cites is not None:
        source = node.cites.source or source
        more = f", a step to the gradient of {formula.equation(node.cites)}"
    what = equation + (f" at {source}" if source else "") + more
    labels = (*shown, *("step" for _ in steps))
    return Site(what, node.name or "", equation, source, node.type, labels, len(steps))


def _came_in(raw: Node) -> Tensor | None:
    """For each element of a sum, a product or a running one: whether an operand was nan, or the
    result is infinite and an operand was. Traps see for themselves what elementwise ops read."""
    if isinstance(raw.op.element, Elementwise):
        return None
    nan = bad = None
    for k, x in enumerate(map(Tensor, raw.operands)):
        if x.node.dtype.kind == "f":
            here = [_spread(raw, k, found) for found in (np.isnan(x), ~np.isfinite(x))]
            nan = here[0] if nan is None else np.logical_or(nan, here[0])
            bad = here[1] if bad is None else np.logical_or(bad, here[1])
    return np.logical_or(nan, np.logical_and(bad, ~np.isnan(Tensor(raw))))


def _spread(raw: Node, k: int, found: Tensor) -> Tensor:
    """Which elements of the result a property of the elements of operand k reaches."""
    if raw.op in (SUM, PROD):
        return np.any(found, axis=axes(raw.params))
    if isinstance(raw.op.element, Running):
        return np.broadcast_to(np.any(found, axis=axes(raw.params), keepdims=True), raw.shape)
    inputs, output = subscripts(raw.params) if raw.op is EINSUM else ((), ())
    labels = inputs[k] if inputs else ()
    if not labels or len(set(labels)) != len(labels):
        return np.broadcast_to(np.any(found), raw.shape)
    gone = tuple(a for a, label in enumerate(labels) if label not in output)
    left = [label for label in labels if label in output]
    kept = np.any(found, axis=gone) if gone else found
    kept = np.transpose(kept, [left.index(label) for label in output if label in left])
    shape = tuple(s if label in left else 1 for label, s in zip(output, raw.shape, strict=True))
    return np.broadcast_to(np.reshape(kept, shape), raw.shape)
