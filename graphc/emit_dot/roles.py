"""Which values of a graph are data, parameters or constants, and which the loss needs besides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from graphc.emit_dot.lanes import lanes
from graphc.errors import DrawError
from graphc.graph import Graph, Node, walk
from graphc.types import Dim

PARAMETER = re.compile(
    r"[wWbBvVuU]\d*|[wWbB]_?\w{0,3}|theta\w*|weights?\d*|bias(es)?\d*|kernels?\d*|filters?\d*|"
    r"gamma|beta|embeddings?|coef\w*|intercept|scale|shift",
)
ROOT = re.compile(r"p|params?|parameters|theta|weights|model|net(work)?|layers?|state")
DATA = re.compile(r"x\d*|X\d*|xs|inputs?|images?|t\d*|y\d*|Y|targets?|labels?|data|batch")


@dataclass(frozen=True)
class Roles:
    """The forward part of a graph, sorted by what each value is made of."""

    order: tuple[Node, ...]
    """Forward nodes, operands first."""
    ends: tuple[Node, ...]
    """What the forward part computes: outputs, or the last values of a mere gradient."""
    data: frozenset[Node]
    """Depends on a data input."""
    parameters: frozenset[Node]
    """Depends on weights only (and a constant array, which is a weight that is fixed)."""
    late: frozenset[Node]
    """Depends on a target: data that meets the network only after its last weight."""
    users: Mapping[Node, tuple[Node, ...]]


def forward_ends(graph: Graph, lane: Mapping[Node, str]) -> tuple[Node, ...]:
    """The computed outputs of the forward part; where there are none, what the rest reads of it."""
    later = [node for node, part in lane.items() if part != "forward"]
    ends = [
        node
        for name, node in zip(graph.output_names, graph.outputs, strict=True)
        if lane[node] == "forward" and node.operands and not (later and name.startswith("d_"))
    ]
    if not ends:
        read = dict.fromkeys(x for node in later for x in node.operands if lane[x] == "forward")
        below = {x for node in walk(read) for x in node.operands}
        ends = [x for x in read if x not in below and x.operands]
    return tuple(dict.fromkeys(ends or graph.outputs))


def weight_inputs(graph: Graph, given: Collection[str] | None) -> frozenset[Node]:
    """The inputs that are weights: those given, else those that are called or used like weights.

    Raises:
        DrawError: a given name is no input's.
    """
    if given is not None:
        known = {x.name for x in graph.inputs}
        if unknown := [name for name in given if name not in known]:
            listed = ", ".join(str(x.name) for x in graph.inputs)
            raise DrawError(f"weights={unknown[0]!r} is no input of {graph.name}; it has {listed}")
        return frozenset(x for x in graph.inputs if x.name in given)
    found = {x for x in graph.inputs if x.dtype.kind == "f" and called_like_weight(x.name or "")}
    found |= {
        x
        for x in graph.inputs
        if f"d_{x.name}" in graph.output_names and not DATA.fullmatch(x.name or "")
    }
    found = found or _used_like_weights(graph)
    # Where everything would be a weight, the function is no network: all inputs are its data.
    return frozenset(found if len(found) < len(graph.inputs) else ())


def called_like_weight(name: str) -> bool:
    first, _, rest = name.partition("_")
    if rest and ROOT.fullmatch(first):
        return True
    return bool(PARAMETER.fullmatch(name) or PARAMETER.fullmatch(name.rpartition("_")[2]))


def _used_like_weights(graph: Graph) -> set[Node]:
    """Inputs of fixed shape that are contracted with what has a run-time size or fewer axes."""
    batched = {x for x in graph.inputs if any(isinstance(s, Dim) for s in x.shape)}
    found: set[Node] = set()
    for node in graph.nodes:
        if node.op.name != "einsum" or node.part != "forward" or len(node.operands) != 2:
            continue
        for mine, other in (node.operands, node.operands[::-1]):
            leaf = mine.op.name == "input" and mine not in batched
            wide = any(isinstance(s, Dim) for s in other.shape) or other.type.rank < mine.type.rank
            if leaf and wide and mine.type.rank:
                found.add(mine)
    return found


def roles(graph: Graph, given: Collection[str] | None) -> Roles:
    """Sort the forward part of the graph. See `Roles`."""
    weights = weight_inputs(graph, given)
    ends = forward_ends(graph, lanes(graph.nodes))
    order = tuple(walk((*graph.inputs, *ends)))
    data: set[Node] = set()
    parameters: set[Node] = set()
    for node in order:
        fixed = node.op.name == "constant" and node.dtype.kind == "f" and node.type.size != 1
        if node in weights or fixed:
            parameters.add(node)
        elif node.op.name == "input" or any(x in data for x in node.operands):
            data.add(node)
        elif any(x in parameters for x in node.operands):
            parameters.add(node)
    users: dict[Node, dict[Node, None]] = {}
    for node in order:
        for x in node.operands:
            users.setdefault(x, {})[node] = None
    listed = {x: tuple(found) for x, found in users.items()}
    late = _late(order, ends, data, parameters)
    return Roles(order, ends, frozenset(data), frozenset(parameters), late, listed)


def is_weighing(node: Node, data: Collection[Node], parameters: Collection[Node]) -> bool:
    """Whether the node multiplies or contracts one data value with weights."""
    return (
        node.op.name in ("multiply", "einsum")
        and sum(x in data for x in node.operands) == 1
        and any(x in parameters for x in node.operands)
    )


def _late(
    order: Iterable[Node],
    ends: Collection[Node],
    data: Collection[Node],
    parameters: Collection[Node],
) -> frozenset[Node]:
    """Targets and what depends on them: data that no weight meets, that only scalars come of."""
    below: dict[Node, frozenset[Node]] = {}
    met: set[Node] = set()
    for node in order:
        if node in data:
            own = frozenset([node]) if node.op.name == "input" else frozenset()
            below[node] = own.union(*(below[x] for x in node.operands if x in data))
            if is_weighing(node, data, parameters):
                met |= below[node]
    met = met.union(*(below[end] for end in ends if end in below and end.shape)) if met else set()
    return frozenset(node for node, inputs in below.items() if met and inputs - met)
