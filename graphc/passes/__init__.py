"""Graph -> Graph. Each pass keeps what the graph computes, and promises one thing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.graph import Graph
from graphc.rewrite import rewrite
from graphc.rules import EXACT, FAST, GUARD, RELEASE, STABLE

Pass = Callable[[Graph], Graph]


def simplify(graph: Graph) -> Graph:
    """One node a value, constants folded, and no EXACT or STABLE rule left that applies."""
    return rewrite(graph, (*EXACT, *STABLE))


def guard(graph: Graph) -> Graph:
    """No branch of a `where` sends a nan into the gradient of the other."""
    return rewrite(graph, GUARD)


def release(graph: Graph) -> Graph:
    """No stop_gradient is left: no derivative will be taken any more."""
    return rewrite(graph, RELEASE)


def hasten(graph: Graph) -> Graph:
    """No FAST rule left that applies: fewer operations, other roundings."""
    return rewrite(graph, (*EXACT, *STABLE, *FAST))


PREPARE: tuple[Pass, ...] = (simplify, guard)
"""Before derivatives are taken."""

PIPELINE: tuple[Pass, ...] = (simplify, release)
"""Before lowering."""

FAST_PIPELINE: tuple[Pass, ...] = (*PIPELINE, hasten)


def prepare(graph: Graph) -> Graph:
    return run(PREPARE, graph)


def optimize(graph: Graph, fast: bool = False) -> Graph:
    return run(FAST_PIPELINE if fast else PIPELINE, graph)


def run(passes: Sequence[Pass], graph: Graph) -> Graph:
    for step in passes:
        graph = step(graph)
    return graph
