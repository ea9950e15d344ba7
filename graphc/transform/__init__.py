"""Functions in, functions out. They compose in any order and depth.

On arrays a transformed function computes with NumPy; inside a trace it adds to the graph.
"""

from graphc.transform.gradients import apply_function, grad, grad_graph, jvp, value_and_grad, vjp
from graphc.transform.vmap import vmap

__all__ = [
    "apply_function",
    "grad",
    "grad_graph",
    "jvp",
    "value_and_grad",
    "vjp",
    "vmap",
]
