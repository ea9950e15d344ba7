"""Which part of the program a node belongs to: forward, backward, or update."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.graph import Node


def lanes(nodes: Iterable[Node]) -> dict[Node, str]:
    """The part of each node, operands first: what the user does with gradients is the update."""
    found: dict[Node, str] = {}
    for node in nodes:
        later = any(found.get(x, x.part) != "forward" for x in node.operands)
        found[node] = "update" if later and node.part == "forward" else node.part
    return found
