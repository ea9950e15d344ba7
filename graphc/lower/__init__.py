"""Graph -> Program: which loops, which arrays, which statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from graphc import formula, loops
from graphc.graph import Constant, Graph, Node, Param, apply, rebuild
from graphc.loops import Argument, Buffer, Comment, Expr, Literal, Local, Program, Stmt, Table
from graphc.lower.body import Writer
from graphc.lower.domain import is_computed
from graphc.lower.naming import Names
from graphc.lower.schedule import Nest, Schedule, Step, schedule, steps
from graphc.lower.storage import Array, arrays, lives, plan_offsets
from graphc.lower.unused import drop_unused
from graphc.ops.elementwise import CAST
from graphc.types import Dim, Size, substitute

LOOP_NAMES = "ijklmpqrsu"
MOST_EQUATIONS = 4

__all__ = ["lower"]


def lower(graph: Graph, shown: Sequence[str] | None = None) -> Program:
    """The C function a graph becomes.

    Args:
        graph: optimised; its inputs, run-time dimensions and outputs become the parameters.
        shown: how the user writes each input, for messages; the inputs' names by default.
    """
    names = Names()
    dims = {name: names.take(name) for name in graph.dims}
    if any(old != new for old, new in dims.items()):
        graph = _rename_dims(graph, dims)
    graph = _with_computed_outputs(graph)
    inputs = tuple(
        Argument(names.take(x.name or "x"), x.type, text) for x, text in
        zip(graph.inputs, shown or [x.name or "x" for x in graph.inputs], strict=True))
    outputs = tuple(Argument(names.take(name), x.type, name)
                    for name, x in zip(graph.output_names, graph.outputs, strict=True))
    loop_names = tuple(names.take(c) for c in LOOP_NAMES)
    plan = schedule(graph, loop_names)
    leaves, tables = _leaves(graph, inputs, names)
    by_output = {x: a.name for x, a in zip(graph.outputs, outputs, strict=True)}
    wanted = {node: names.take(node.name) if node.name else "" for node in _stored_in_workspace(
        graph, plan, by_output)}
    wanted = {node: name or names.fresh() for node, name in wanted.items()}
    stored = arrays(graph, plan, by_output, wanted)
    offsets, total = plan_offsets(lives(graph, plan, stored, by_output))
    buffers = tuple(Buffer(stored[node].name, node.dtype, stored[node].shape, offset)
                    for node, offset in sorted(offsets.items(), key=lambda kv: kv[0].serial))
    writer = Writer(graph, plan, stored, leaves, names, frozenset(by_output), _notes(graph))
    body = tuple(_sections(graph, plan, writer))
    program = drop_unused(Program(Names().take(graph.name), graph.doc, inputs, tuple(dims.values()),
                                  outputs, tables, buffers, total, body))
    loops.verify(program)
    return program


def _rename_dims(graph: Graph, dims: dict[str, str]) -> Graph:
    """The graph with dimension names that C can take."""
    sizes: dict[str, Size] = {old: Dim.named(new) for old, new in dims.items()}

    def fix(value: Param) -> Param:
        if isinstance(value, Dim):
            return substitute(value, sizes)
        return tuple(fix(v) for v in value) if isinstance(value, tuple) else value

    def change(node: Node) -> Node:
        params = {key: fix(value) for key, value in node.params.items()}
        inferred = node.op.infer(tuple(x.type for x in node.operands), params)
        return replace(node, params=params, type=inferred)

    image = rebuild((*graph.inputs, *graph.outputs), change)
    return replace(graph, inputs=tuple(image[x] for x in graph.inputs),
                   outputs=tuple(image[x] for x in graph.outputs))


def _with_computed_outputs(graph: Graph) -> Graph:
    """Outputs that are inputs, constants, views or given twice become copies of their own."""
    outputs: list[Node] = []
    for node in graph.outputs:
        if not is_computed(node) or node in outputs:
            copied = apply(CAST, node, dtype=node.dtype)
            node = replace(copied, part=node.part, cites=None, source=node.source)
        outputs.append(node)
    return replace(graph, outputs=tuple(outputs))


def _leaves(graph: Graph, inputs: Sequence[Argument], names: Names
            ) -> tuple[dict[Node, Expr | str], tuple[Table, ...]]:
    """How inputs and constants are read, and the tables that hold constant arrays."""
    leaves: dict[Node, Expr | str] = {}
    for node, argument in zip(graph.inputs, inputs, strict=True):
        leaves[node] = Local(argument.name, node.dtype) if not node.shape else argument.name
    tables: list[Table] = []
    for node in graph.nodes:
        if node.op.name != "constant":
            continue
        held = node.params["value"]
        array = held.array if isinstance(held, Constant) else np.zeros(())
        if array.size and (array == array.reshape(-1)[0]).all():
            leaves[node] = Literal(array.reshape(-1)[0].item(), node.dtype)
        elif array.size == 0:
            leaves[node] = Literal(node.dtype.numpy.type(0).item(), node.dtype)
        else:
            table = Table(names.take(node.name or f"table{len(tables)}"), array)
            leaves[node] = table.name
            tables.append(table)
    return leaves, tuple(tables)


def _stored_in_workspace(graph: Graph, plan: Schedule, outputs: dict[Node, str]) -> list[Node]:
    found: dict[Node, Array] = arrays(graph, plan, outputs, dict.fromkeys(graph.nodes, ""))
    return [node for node in found if node not in outputs]


def _notes(graph: Graph) -> Callable[[Node], str]:
    """What a backward line cites: the user's equation that it derives."""
    home: dict[Node, Node] = {}
    outputs = set(graph.outputs)
    for node in reversed([x for x in graph.nodes if x.part == "forward"]):
        home.setdefault(node, node)
        for operand in node.operands:
            lone = not operand.name and operand not in outputs
            home.setdefault(operand, home[node] if lone else operand)

    def note(node: Node) -> str:
        if node.part != "backward" or node.cites is None or not node.name:
            return ""
        cited = home.get(node.cites, node.cites)
        return formula.equation(cited) if cited.name and cited.operands else ""

    return note


def _sections(graph: Graph, plan: Schedule, writer: Writer) -> Iterator[Stmt]:
    """The statements, under one comment for the forward and one for the backward part."""
    part = _parts(graph)
    parts = {part[x] for x in plan.placed}
    current = ""
    for item in plan.root.items:
        inside = [x for x in steps(item) if writer.is_needed(x)]
        if not inside:
            continue
        found = " and ".join(p for p in ("forward", "backward", "update")
                             if any(part[x] == p for x in inside))
        if len(parts) > 1 and found != current and (
                isinstance(item, Nest) or any(x.name for x in inside) or not current):
            current = found
            yield Comment(found)
        if isinstance(item, Step):
            yield from writer.step(item.node, {})
        else:
            yield from (Comment(text) for text in _equations(inside))
            yield from writer.nest(item, {})


def _parts(graph: Graph) -> dict[Node, str]:
    """forward, backward, or update: what the user's function does with gradients."""
    found: dict[Node, str] = {}
    for node in graph.nodes:
        later = any(found[x] != "forward" for x in node.operands)
        found[node] = "update" if later and node.part == "forward" else node.part
    return found


def _equations(inside: Sequence[Node]) -> list[str]:
    """What a loop nest computes, in the user's names."""
    named = [x for x in inside if x.name and x.type.rank]
    texts = [formula.equation(x) for x in named[:MOST_EQUATIONS]]
    return [*texts, "..."] if len(named) > MOST_EQUATIONS else texts
