"""Graph -> Program: which loops, which arrays, which statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from graphc import formula
from graphc.graph import Constant, Graph, Node, Param
from graphc.loops import Argument, Comment, Expr, Literal, Local, Program, Stmt, Table
from graphc.loops_verify import verify
from graphc.lower.bands import band, band_leaf
from graphc.lower.body import Leaf, Writer, read_array
from graphc.lower.diagonal import split_at_diagonals
from graphc.lower.early import read_early
from graphc.lower.flat import flatten
from graphc.lower.jam import jam
from graphc.lower.masked import leave_out_zeros
from graphc.lower.memory import place
from graphc.lower.naming import Names, own_names
from graphc.lower.nearby import sum_nearby
from graphc.lower.needed import leave_out_columns
from graphc.lower.parallel import parallelise
from graphc.lower.partial import in_parts
from graphc.lower.regions import RegionWriter
from graphc.lower.schedule import Nest, Schedule, Step, steps
from graphc.lower.scope import plan_scope
from graphc.lower.segments import segment
from graphc.lower.streamed import stream
from graphc.lower.tiling import is_tiled
from graphc.lower.unroll import unroll
from graphc.lower.unused import drop_unused
from graphc.lower.written import write_out
from graphc.options import Options
from graphc.sites import Site
from graphc.types import Dim, Size, substitute

LOOP_NAMES = "ijklmpqrsu"
MOST_EQUATIONS = 4

__all__ = ["lower"]


def lower(
    graph: Graph,
    shown: Sequence[str] | None = None,
    options: Options | None = None,
    sites: tuple[Site, ...] = (),
) -> Program:
    """The C function a graph becomes.

    Args:
        graph: optimised; its inputs, run-time dimensions and outputs become the parameters.
        options, sites: what `graphc.compile` was asked for; what the traps of the graph watch.
        shown: how the user writes each input, for messages; the inputs' names by default.
    """
    options = options or Options()
    function = Names().take(graph.name)
    names = Names(own_names(function))
    dims = {name: names.take(name) for name in graph.dims}
    graph = _rename_dims(graph, dims)
    inputs, outputs = _arguments(graph, names, shown, options)
    trap = names.take("trap") if options.trap_nans else ""
    loop_names = tuple(names.take(c) for c in LOOP_NAMES)

    targets = [(a.name, 0) for a in outputs]
    scope = plan_scope(graph, targets, names, loop_names, options.tiles)
    tables: list[Table] = []

    def constants(graph: Graph) -> dict[Node, Leaf]:
        return _constants(graph, names, tables)

    writer = Writer(
        scope.graph,
        scope.plan,
        scope.stored,
        {**constants(scope.graph), **_inputs(graph, inputs)},
        names,
        frozenset(),
        _notes(scope.graph),
        RegionWriter(scope, constants),
    )
    body = tuple(_sections(scope.graph, scope.plan, writer))  # which fills the tables
    program = Program(
        function,
        graph.doc,
        inputs,
        tuple(dims.values()),
        outputs,
        tuple(tables),
        tuple(scope.buffers()),
        0,
        body,
        trap,
        _with_dims(sites, dims),
    )
    program = write_out(unroll(segment(program, loop_names), names), names)
    program = in_parts(sum_nearby(program, names), names)
    program = read_early(drop_unused(jam(program, names)), names)
    program = _placed(program, options, names, loop_names)
    verify(program)
    return program


def _placed(
    program: Program, options: Options, names: Names, loop_names: tuple[str, ...]
) -> Program:
    """The program with its memory laid out, and for threads if that was asked for."""
    # One thread tells of a trap, and copies for threads would not fit a budget.
    if options.threads is None or program.trap or options.memory is not None:
        program = leave_out_zeros(stream(program, loop_names))
        program = leave_out_columns(_split(program, names, nested=False))
        return flatten(place(program, names, loop_names, options.memory))
    program = leave_out_zeros(stream(program, loop_names, nested=True))
    program = leave_out_columns(_split(program, names, nested=True))
    return parallelise(program, options.threads, names, loop_names)


def _split(program: Program, names: Names, *, nested: bool) -> Program:
    """The program with loops split at diagonals, without what then nothing reads."""
    split = split_at_diagonals(program, names, nested=nested)
    return program if split.body == program.body else drop_unused(split)


def _arguments(
    graph: Graph, names: Names, shown: Sequence[str] | None, options: Options
) -> tuple[tuple[Argument, ...], tuple[Argument, ...]]:
    """The parameters: inputs, outputs."""
    texts = shown or [x.name or "x" for x in graph.inputs]
    inputs = tuple(
        Argument(names.take(x.name or "x"), x.type, text)
        for x, text in zip(graph.inputs, texts, strict=True)
    )
    homes = {j: inputs[i].name for i, j in options.donated}
    outputs = tuple(
        Argument(names.take(name), x.type, name, homes.get(j, ""))
        for j, (name, x) in enumerate(zip(graph.output_names, graph.outputs, strict=True))
    )
    return inputs, outputs


def _with_dims(sites: Sequence[Site], dims: dict[str, str]) -> tuple[Site, ...]:
    """The sites with the dimensions of the program."""
    sizes: dict[str, Size] = {old: Dim.named(new) for old, new in dims.items()}

    def shape(site: Site) -> tuple[Size, ...]:
        return tuple(substitute(s, sizes) if isinstance(s, Dim) else s for s in site.type.shape)

    return tuple(replace(site, type=site.type.with_shape(shape(site))) for site in sites)


def _rename_dims(graph: Graph, dims: dict[str, str]) -> Graph:
    """The graph, with the bodies of its loops, with dimension names that C can take."""
    if all(old == new for old, new in dims.items()):
        return graph
    sizes: dict[str, Size] = {old: Dim.named(new) for old, new in dims.items()}

    def fix(value: Param) -> Param:
        if isinstance(value, Graph):
            return _rename_dims(value, dims)
        if isinstance(value, Dim):
            return substitute(value, sizes)
        return tuple(fix(v) for v in value) if isinstance(value, tuple) else value

    image: dict[Node, Node] = {}
    for node in graph.nodes:
        operands = tuple(image[x] for x in node.operands)
        params = {key: fix(value) for key, value in node.params.items()}
        inferred = node.op.infer(tuple(x.type for x in operands), params)
        cites = None if node.cites is None else image.get(node.cites, node.cites)
        image[node] = replace(node, operands=operands, params=params, type=inferred, cites=cites)
    return replace(
        graph,
        inputs=tuple(image[x] for x in graph.inputs),
        outputs=tuple(image[x] for x in graph.outputs),
    )


def _inputs(graph: Graph, arguments: Sequence[Argument]) -> dict[Node, Leaf]:
    """How inputs are read: scalars by value, arrays by element."""
    leaves: dict[Node, Leaf] = {}
    for node, argument in zip(graph.inputs, arguments, strict=True):
        value = Local(argument.name, node.dtype)
        leaves[node] = read_array(argument.name, node) if node.shape else _fixed(value)
    return leaves


def _fixed(value: Expr) -> Leaf:
    return lambda index, extents: value


def _constants(graph: Graph, names: Names, tables: list[Table]) -> dict[Node, Leaf]:
    """How constants are read; arrays are added to the tables."""
    leaves: dict[Node, Leaf] = {}
    for node in graph.nodes:
        if node.op.name != "constant":
            continue
        held = node.params["value"]
        array = held.array if isinstance(held, Constant) else np.zeros(())
        if array.size and (array == array.reshape(-1)[0]).all():
            leaves[node] = _fixed(Literal(array.reshape(-1)[0].item(), node.dtype))
        elif array.size == 0:
            leaves[node] = _fixed(Literal(node.dtype.numpy.type(0).item(), node.dtype))
        elif found := band(array):
            leaves[node] = band_leaf(*found)
        else:
            table = Table(names.take(node.name or f"table{len(tables)}"), array)
            leaves[node] = read_array(table.name, node)
            tables.append(table)
    return leaves


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
        found = " and ".join(
            p for p in ("forward", "backward", "update") if any(part[x] == p for x in inside)
        )
        if (
            len(parts) > 1
            and found != current
            and (isinstance(item, Nest) or any(x.name for x in inside) or not current)
        ):
            current = found
            yield Comment(found)
        if isinstance(item, Step):
            if is_tiled(item.node):
                yield Comment(formula.equation(item.node))
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
