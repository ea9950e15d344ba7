"""Halves, float16 and bfloat16, only store numbers: what is computed of them is float32.

A value is rounded to a half where the user asks for one, in a result, and in what a loop carries
from step to step; not between two operations (as XLA does: "excess precision").
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from graphc.graph import Graph, Node, Param, Part, Region, View, apply, rebuild
from graphc.ops.elementwise import CAST
from graphc.types import DType, float32

SAME = ("input", "constant")
"""Leaves that hold halves as they are."""


def widen(graph: Graph) -> Graph:
    """No op computes in float16 or bfloat16; only casts, views and loops have such operands."""
    return _Widening().graph(graph) if _has_halves(graph) else graph


def _has_halves(graph: Graph) -> bool:
    return any(
        node.dtype.is_half or any(_has_halves(p) for p in node.params.values() if type(p) is Graph)
        for node in graph.nodes
    )


@dataclass(slots=True)
class _Widening:
    wide: dict[Node, Node] = field(default_factory=dict)
    """The float32 of which a half is made that no one asked to round."""

    def graph(self, graph: Graph) -> Graph:
        image = rebuild(graph.outputs, self.change, {x: x for x in graph.inputs})
        return replace(graph, outputs=tuple(image[x] for x in graph.outputs))

    def change(self, node: Node) -> Node:
        element = node.op.element
        if isinstance(element, Region):
            params = {key: self.inside(value) for key, value in node.params.items()}
            return replace(node, params=params)
        if isinstance(element, Part) or node.op.name in SAME:
            return node
        if isinstance(element, View) and not any(x in self.wide for x in node.operands):
            return node
        if node.op is CAST:
            return self.cast(node)
        if not node.dtype.is_half and not any(x.dtype.is_half for x in node.operands):
            return node
        params = dict(node.params)
        if params.get("dtype") == node.dtype:
            params["dtype"] = float32
        operands = tuple(map(self.single, node.operands))
        kind = node.op.infer(tuple(x.type for x in operands), params)
        made = replace(node, operands=operands, params=params, type=kind)
        return self.half(made, node.dtype) if node.dtype.is_half else made

    def inside(self, value: Param) -> Param:
        return _Widening().graph(value) if isinstance(value, Graph) else value

    def cast(self, node: Node) -> Node:
        """Through float32, which holds every half, but from float64 to a half: that rounds once."""
        (x,) = node.operands
        if x.dtype.is_half:
            x = self.single(x)
            return x if node.dtype == float32 else self.cast(_on(node, x))
        if node.dtype.is_half and x.dtype.kind != "f":
            return self.half(_like(apply(CAST, x, dtype=float32), node), node.dtype)
        if node.dtype.is_half and x.dtype == float32 and node.part == "backward":
            return self.half(x, node.dtype)  # a derivative's dtype follows; no one asked to round
        return _on(node, x)

    def single(self, x: Node) -> Node:
        """The float32 of a half; anything else as it is."""
        if not x.dtype.is_half:
            return x
        return self.wide.get(x) or _like(apply(CAST, x, dtype=float32), x)

    def half(self, made: Node, dtype: DType) -> Node:
        found = _like(apply(CAST, made, dtype=dtype), made)
        self.wide[found] = made
        return found


def _on(node: Node, x: Node) -> Node:
    return node if node.operands == (x,) else replace(node, operands=(x,))


def _like(made: Node, node: Node) -> Node:
    """An unnamed node of the same part and place."""
    return replace(made, part=node.part, cites=node.cites, source=node.source)
