"""Everything about a graph's loops that is settled before a statement is written: which arrays
there are and where they lie, for the graph and for the bodies of its regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from graphc.graph import Graph, Node, Part, Region, Sequential, Sort, rebuild
from graphc.loops import Buffer
from graphc.lower.batch_last import batches_last
from graphc.lower.invariant import hoist
from graphc.lower.layout import lay_out
from graphc.lower.merging import merge_last
from graphc.lower.naming import Names
from graphc.lower.ones import without_ones
from graphc.lower.outputs import computed_outputs
from graphc.lower.schedule import Schedule, schedule
from graphc.lower.storage import Array, Target, wanted
from graphc.lower.turning import turn_round
from graphc.ops.control import COND, SCAN, WHILE, count_of, graph_of
from graphc.ops.shape import axes
from graphc.options import Tiles
from graphc.types import Dim, Shape, Size, product


@dataclass(slots=True, eq=False)
class Scope:
    """A graph with its schedule and storage."""

    graph: Graph
    plan: Schedule
    stored: dict[Node, Array]
    regions: dict[Node, RegionPlan]
    loop_names: tuple[str, ...]
    given: frozenset[str]
    """Arrays that are there already."""

    def buffers(self) -> Iterator[Buffer]:
        """Every array of the workspace; where in it they lie is settled last, by `memory`."""
        for node in sorted({**self.stored, **self.regions}, key=lambda node: node.serial):
            array = self.stored.get(node)
            if array is not None and array.name not in self.given:
                yield Buffer(array.name, node.dtype, array.shape, 0)
            if node in self.regions:
                yield from self.regions[node].buffers()


@dataclass(slots=True, eq=False)
class RegionPlan:
    """Storage of a loop or branch: where its state lives between steps, and its bodies' scopes.

    The state of carry k is the local or array `states[k]`; an array that is not an item of the
    region is one of `own`. A body's result k that may not overwrite the state at once goes to
    `results[k]` first; None: it goes there directly, or needs no storage.
    """

    states: list[Target] = field(default_factory=list)
    results: list[str | None] = field(default_factory=list)
    own: list[Buffer] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    var: str = ""

    def add(self, name: str, node: Node, shape: Shape | None = None) -> None:
        """An array of the region's own, of the node's type, or of another shape."""
        shape = node.shape if shape is None else shape
        self.own.append(Buffer(name, node.dtype, shape, 0))

    def buffers(self) -> Iterator[Buffer]:
        yield from self.own
        for scope in self.scopes:
            yield from scope.buffers()


def with_single_items(graph: Graph) -> Graph:
    """Each part of a bundle is taken once."""
    known: dict[tuple[Node, int], Node] = {}

    def change(node: Node) -> Node:
        if not isinstance(node.op.element, Part):
            return node
        return known.setdefault((node.operands[0], count_of(node.params, "part")), node)

    image = rebuild(graph.outputs, change, {x: x for x in graph.inputs})
    return replace(graph, outputs=tuple(image[x] for x in graph.outputs))


def plan_scope(
    graph: Graph,
    targets: Sequence[Target | None],
    names: Names,
    loop_names: Sequence[str],
    tiles: Tiles,
    whole: int = 0,
) -> Scope:
    """Settle a graph's loops and arrays. `targets` says which outputs lie in given arrays; the
    first `whole` outputs are not made of pieces."""
    graph, pieces = computed_outputs(with_single_items(without_ones(graph)), whole)
    graph = merge_last(batches_last(hoist(graph, tiles)))
    graph = lay_out(turn_round(graph) if tiles.turned else graph, tiles)
    outputs = {}
    for node, (k, start) in zip(graph.outputs, pieces, strict=True):
        home = targets[k]
        if home is not None:
            outputs[node] = home[0], home[1] + start
    plan = schedule(graph, tuple(loop_names))
    needed = wanted(plan, outputs)
    inside = [node for node in needed.depths if node not in outputs]
    called = {node: names.take(node.name) if node.name else "" for node in inside}
    called = {node: name or names.fresh() for node, name in called.items()}
    stored = needed.arrays(plan, outputs, called)
    regions = {
        node: _plan_region(node, graph, stored, names, loop_names, tiles)
        for node in plan.placed
        if isinstance(node.op.element, Region | Sequential)
    }
    given = frozenset(name for name, _ in outputs.values())
    return Scope(graph, plan, stored, regions, tuple(loop_names), given)


def items_of(graph: Graph, region: Node) -> dict[int, Node]:
    """The parts of a region that the graph uses."""
    return {
        count_of(node.params, "part"): node
        for node in graph.nodes
        if isinstance(node.op.element, Part) and node.operands[0] is region
    }


def _plan_region(
    region: Node,
    graph: Graph,
    stored: Mapping[Node, Array],
    names: Names,
    loop_names: Sequence[str],
    tiles: Tiles,
) -> RegionPlan:
    found = RegionPlan()
    if isinstance(region.op.element, Sequential):
        if isinstance(region.op.element, Sort):  # merges a row into an array beside it
            (axis,) = axes(region.params)
            found.add(names.take("merged"), region, (region.shape[axis],))
        return found
    items = items_of(graph, region)
    planner = {SCAN: _plan_scan, WHILE: _plan_while, COND: _plan_cond}[region.op]
    planner(found, region, items, stored, names, loop_names, tiles)
    return found


def _home(
    found: RegionPlan,
    k: int,
    kind: Node,
    items: Mapping[int, Node],
    stored: Mapping[Node, Array],
    names: Names,
) -> Target:
    """Where part k lives: its item's array, an array of the region's own, or a local."""
    item = items.get(k)
    if item is not None and item in stored:
        return stored[item].name, stored[item].start
    name = names.take((item.name if item is not None else None) or kind.name or "state")
    if kind.shape:
        found.add(name, kind)
    return name, 0


def _plan_carry(
    found: RegionPlan,
    body: Graph,
    carry: int,
    items: Mapping[int, Node],
    stored: Mapping[Node, Array],
    names: Names,
) -> None:
    for k in range(carry):
        found.states.append(_home(found, k, body.inputs[k], items, stored, names))
        result = body.outputs[k]
        unchanged = result is body.inputs[k]
        if unchanged or not result.shape or overwrites(body, k):
            found.results.append(None)
        else:
            found.results.append(names.take(f"{found.states[k][0]}_next"))
            found.add(found.results[k] or "", result)


def overwrites(body: Graph, k: int) -> bool:
    """Whether result k may go straight into the state: nothing but the elementwise op that makes
    it reads the old state, and each element only for its own successor."""
    state, result = body.inputs[k], body.outputs[k]
    users = [node for node in body.nodes if state in node.operands]
    taken = [y for j, y in enumerate(body.outputs) if y is state or (y is result and j != k)]
    return (
        not taken
        and users == [result]
        and result.op.name in ("add", "subtract", "multiply")
        and result.operands.count(state) == 1
        and result.shape == state.shape
    )


def _plan_scan(
    found: RegionPlan,
    region: Node,
    items: Mapping[int, Node],
    stored: Mapping[Node, Array],
    names: Names,
    loop_names: Sequence[str],
    tiles: Tiles,
) -> None:
    body, carry = graph_of(region.params, "body"), count_of(region.params, "carry")
    _plan_carry(found, body, carry, items, stored, names)
    found.var = loop_names[0]
    rows = {
        k: (stored[node].name, stored[node].start)
        for k, node in items.items()
        if k >= carry and node in stored
    }
    alive = live(body, carry, rows)
    targets = _targets(alive, found, region, carry, rows)
    carried = sum(int(name) < carry for name in alive.output_names)
    found.scopes.append(plan_scope(alive, targets, names, loop_names[1:], tiles.inside, carried))


def live(body: Graph, carry: int, rows: Mapping[int, Target]) -> Graph:
    """The body without outputs that nobody takes; unchanged carries are no outputs either."""
    chosen = [
        k
        for k, y in enumerate(body.outputs)
        if (k < carry and y is not body.inputs[k]) or k in rows
    ]
    return replace(
        body,
        outputs=tuple(body.outputs[k] for k in chosen),
        output_names=tuple(str(k) for k in chosen),
    )


def _targets(
    graph: Graph, found: RegionPlan, region: Node, carry: int, rows: Mapping[int, Target]
) -> list[Target | None]:
    """Where a body's outputs go (their names are their places in the bundle)."""
    result: list[Target | None] = []
    for name, node in zip(graph.output_names, graph.outputs, strict=True):
        k = int(name)
        if k >= carry:
            array, start = rows[k]
            result.append((array, start + product(node.shape) * row_of(found, region)))
        elif node.shape:
            result.append((found.results[k] or "", 0) if found.results[k] else found.states[k])
        else:
            result.append(None)
    return result


def row_of(found: RegionPlan, region: Node) -> Size:
    """The row that a step of a scan works on, in its loop variable."""
    from_start = Dim.named(found.var)
    if not count_of(region.params, "reverse"):
        return from_start
    return length_of(region) - 1 - from_start


def _plan_while(
    found: RegionPlan,
    region: Node,
    items: Mapping[int, Node],
    stored: Mapping[Node, Array],
    names: Names,
    loop_names: Sequence[str],
    tiles: Tiles,
) -> None:
    body, carry = graph_of(region.params, "body"), count_of(region.params, "carry")
    _plan_carry(found, body, carry, items, stored, names)
    test = graph_of(region.params, "test")
    found.scopes.append(plan_scope(test, [None], names, loop_names, tiles))
    alive = live(body, carry, {})
    targets = _targets(alive, found, region, carry, {})
    found.scopes.append(plan_scope(alive, targets, names, loop_names, tiles, len(targets)))


def _plan_cond(
    found: RegionPlan,
    region: Node,
    items: Mapping[int, Node],
    stored: Mapping[Node, Array],
    names: Names,
    loop_names: Sequence[str],
    tiles: Tiles,
) -> None:
    for key in ("then", "other"):
        branch = graph_of(region.params, key)
        if not found.states:
            for k, kind in enumerate(branch.outputs):
                needed = k in items
                found.states.append(
                    _home(found, k, kind, items, stored, names) if needed else ("", 0)
                )
        kept = [k for k in range(len(branch.outputs)) if k in items]
        chosen = replace(
            branch,
            outputs=tuple(branch.outputs[k] for k in kept),
            output_names=tuple(map(str, kept)),
        )
        targets = [
            found.states[k] if node.shape else None
            for k, node in zip(kept, chosen.outputs, strict=True)
        ]
        found.scopes.append(plan_scope(chosen, targets, names, loop_names, tiles))


def length_of(region: Node) -> Size:
    """The number of steps of a scan."""
    length = region.params["length"]
    if not isinstance(length, int | Dim):
        raise TypeError(f"the length of a scan is a size, not {length!r}")
    return length
