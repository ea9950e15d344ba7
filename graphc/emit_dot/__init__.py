"""Pictures in Graphviz' DOT language: a network, a graph of operations, fused loops."""

from graphc.emit_dot.files import FORMATS, VIEWS, dot_text, draw, render
from graphc.emit_dot.kernels import kernels
from graphc.emit_dot.network import network
from graphc.emit_dot.operations import graph_view

__all__ = [
    "FORMATS",
    "VIEWS",
    "dot_text",
    "draw",
    "graph_view",
    "kernels",
    "network",
    "render",
]
