"""Graph -> Graph."""

from graphc.graph import Graph


def prepare(graph: Graph) -> Graph:
    return graph


def optimize(graph: Graph) -> Graph:
    return graph
