"""Loops and branches whose bodies are graphs, as statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from graphc.graph import Graph, Index, Node, Sequential
from graphc.loops import Assign, Declare, Expr, If, Literal, Local, Loop, Stmt, Store, While
from graphc.lower.body import Leaf, Writer, read_array
from graphc.lower.domain import resolve
from graphc.lower.index import simplify
from graphc.lower.scope import RegionPlan, Scope, items_of, length_of, row_of
from graphc.lower.sequential import copy, write_sequential
from graphc.lower.tiles import write_tiled
from graphc.lower.tiling import is_tiled
from graphc.ops.control import COND, SCAN, WHILE, count_of, graph_of
from graphc.types import Size

Extents = Mapping[str, Size]
Constants = Callable[[Graph], dict[Node, Leaf]]
"""How the constants of a graph are read."""


class RegionWriter:
    """Writes the regions of one scope, and those inside them."""

    def __init__(self, scope: Scope, constants: Constants) -> None:
        self.scope = scope
        self.constants = constants

    def __call__(self, writer: Writer, node: Node, extents: Extents) -> list[Stmt]:
        names = self.scope.loop_names
        outer = [_through(writer, node, x) for x in node.operands]
        if is_tiled(node):
            spot = writer.plan.placed[node]
            inner = names[len(spot.path) :]
            return write_tiled(node, spot, self.scope.stored[node], outer, inner, extents)
        found = self.scope.regions[node]
        if isinstance(node.op.element, Sequential):
            scratch = found.own[0].name if found.own else ""
            return write_sequential(writer, node, scratch, outer, names, extents)
        writers = {SCAN: self.scan, WHILE: self.repeat, COND: self.branch}
        stmts = writers[node.op](writer, node, found, outer, extents)
        for k, item in items_of(self.scope.graph, node).items():
            if item not in self.scope.stored:
                writer.locals[item] = found.states[k][0]
        return stmts

    def body(
        self, writer: Writer, scope: Scope, leaves: dict[Node, Leaf], extents: Extents
    ) -> tuple[tuple[Stmt, ...], Writer]:
        """The statements of a body, and their writer, which knows the scalars they leave."""
        leaves = {**leaves, **self.constants(scope.graph)}
        kept = frozenset(y for y in scope.graph.outputs if y not in scope.stored)
        inner = Writer(
            scope.graph,
            scope.plan,
            scope.stored,
            leaves,
            writer.names,
            kept,
            lambda node: "",
            RegionWriter(scope, self.constants),
            prelude=writer.prelude,
        )
        return inner.block(scope.plan.root, extents), inner

    def start(
        self,
        writer: Writer,
        found: RegionPlan,
        carries: Sequence[Node],
        outer: Sequence[Leaf],
        extents: Extents,
    ) -> list[Stmt]:
        """The state at its first value."""
        result: list[Stmt] = []
        for target, kind, leaf in zip(found.states, carries, outer, strict=False):
            if kind.shape:
                result += copy(writer, *target, kind, leaf, self.scope.loop_names, extents)
            else:
                value = leaf((), extents)
                result += writer.flush(value)
                result.append(_set(target, kind, value, self.is_local(found, target)))
        return result

    def is_local(self, found: RegionPlan, target: tuple[str, Size]) -> bool:
        """Whether a scalar state is a local rather than an output."""
        return all(array.name != target[0] for array in self.scope.stored.values())

    def scan(
        self, writer: Writer, node: Node, found: RegionPlan, outer: Sequence[Leaf], extents: Extents
    ) -> list[Stmt]:
        body, c = graph_of(node.params, "body"), count_of(node.params, "carry")
        x, length = count_of(node.params, "xs"), length_of(node)
        row = row_of(found, node)
        leaves = self.states(found, body.inputs[:c])
        for kind, leaf in zip(body.inputs[c : c + x], outer[c : c + x], strict=True):
            leaves[kind] = _row(leaf, row)
        leaves.update(zip(body.inputs[c + x :], outer[c + x :], strict=True))
        inside = {**extents, found.var: length}
        stmts, inner = self.body(writer, found.scopes[0], leaves, inside)
        step = (*stmts, *self.advance(found, found.scopes[0].graph, inner, c, inside))
        return [
            *self.start(writer, found, body.inputs[:c], outer, extents),
            Loop(found.var, length, step),
        ]

    def repeat(
        self, writer: Writer, node: Node, found: RegionPlan, outer: Sequence[Leaf], extents: Extents
    ) -> list[Stmt]:
        body, test = graph_of(node.params, "body"), graph_of(node.params, "test")
        c = count_of(node.params, "carry")
        blocks = []
        for graph, scope in zip((test, body), found.scopes, strict=True):
            leaves = self.states(found, graph.inputs[:c])
            leaves.update(zip(graph.inputs[c:], outer[c:], strict=True))
            blocks.append(self.body(writer, scope, leaves, extents))
        (tests, tester), (stmts, inner) = blocks
        held = found.scopes[0].graph.outputs[0]
        condition = Local(tester.locals[held], held.dtype)
        step = (*stmts, *self.advance(found, found.scopes[1].graph, inner, c, extents))
        return [
            *self.start(writer, found, body.inputs[:c], outer, extents),
            While(tests, condition, step),
        ]

    def branch(
        self, writer: Writer, node: Node, found: RegionPlan, outer: Sequence[Leaf], extents: Extents
    ) -> list[Stmt]:
        result: list[Stmt] = []
        blocks: list[tuple[Stmt, ...]] = []
        for key, scope in zip(("then", "other"), found.scopes, strict=True):
            graph = graph_of(node.params, key)
            leaves = dict(zip(graph.inputs, outer[1:], strict=True))
            stmts, inner = self.body(writer, scope, leaves, extents)
            ends: list[Stmt] = []
            for name, y in zip(scope.graph.output_names, scope.graph.outputs, strict=True):
                target = found.states[int(name)]
                if y.shape:
                    continue
                if not blocks and self.is_local(found, target):
                    zero = Literal(0.0 if y.dtype.kind == "f" else 0, y.dtype)
                    result.append(Declare(target[0], zero))
                ends.append(self.assign(found, target, y, Local(inner.locals[y], y.dtype)))
            blocks.append((*stmts, *ends))
        test = outer[0]((), extents)
        return [*result, *writer.flush(test), If(test, blocks[0], blocks[1])]

    def states(self, found: RegionPlan, carries: Sequence[Node]) -> dict[Node, Leaf]:
        """How a body reads the state."""
        leaves: dict[Node, Leaf] = {}
        for (name, start), kind in zip(found.states, carries, strict=True):
            local = not kind.shape and self.is_local(found, (name, start))
            leaves[kind] = (
                _constant(Local(name, kind.dtype)) if local else read_array(name, kind, start)
            )
        return leaves

    def advance(
        self, found: RegionPlan, graph: Graph, inner: Writer, carry: int, extents: Extents
    ) -> list[Stmt]:
        """The end of a step: results become the state."""
        result: list[Stmt] = []
        for name, y in zip(graph.output_names, graph.outputs, strict=True):
            k = int(name)
            if k >= carry:
                continue
            if not y.shape:
                value = Local(inner.locals[y], y.dtype)
                result.append(self.assign(found, found.states[k], y, value))
            elif found.results[k]:
                source = read_array(found.results[k] or "", y)
                inside = self.scope.loop_names[1:]
                result += copy(inner, *found.states[k], y, source, inside, extents)
        return result

    def assign(self, found: RegionPlan, target: tuple[str, Size], kind: Node, value: Expr) -> Stmt:
        if self.is_local(found, target):
            return Assign(target[0], value)
        return Store(target[0], target[1], value)


def _constant(value: Expr) -> Leaf:
    return lambda index, extents: value


def _row(leaf: Leaf, row: Size) -> Leaf:
    """One row of a stacked operand."""
    return lambda index, extents: leaf((row, *index), extents)


def _through(writer: Writer, region: Node, operand: Node) -> Leaf:
    """An operand of a region, read from inside it, through views."""
    place = writer.plan.placed[region]

    def leaf(index: Index, extents: Extents) -> Expr:
        def meet(node: Node, at: Index) -> Expr:
            return writer.value(node, tuple(simplify(i, extents) for i in at), extents, place)

        return writer.placed(resolve(operand, index, meet, writer.bind), {}, extents)

    return leaf


def _set(target: tuple[str, Size], kind: Node, value: Expr, local: bool) -> Stmt:
    if local:
        return Declare(target[0], value)
    return Store(target[0], target[1], value)
