"""Pictures in Graphviz' DOT language: a network, a graph of operations, fused loops."""

from graphc.emit_dot.files import FORMATS, VIEWS, dot_text, draw, render
from graphc.emit_dot.kernels import Heat, kernels, titles
from graphc.emit_dot.network import network
from graphc.emit_dot.operations import graph_view
from graphc.emit_dot.sections import sections

__all__ = [
    "FORMATS",
    "VIEWS",
    "Heat",
    "dot_text",
    "draw",
    "graph_view",
    "kernels",
    "network",
    "render",
    "sections",
    "titles",
]
