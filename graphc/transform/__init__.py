"""Functions in, functions out. They compose in any order and depth.

On arrays a transformed function computes with NumPy; inside a trace it adds to the graph.
"""

from graphc.transform.custom import (
    CustomDerivative,
    checkpoint,
    custom_derivative,
    stop_gradient,
)
from graphc.transform.derivatives import hessian, jacobian
from graphc.transform.gradients import apply_function, grad, grad_graph, jvp, value_and_grad, vjp
from graphc.transform.jacobian import hvp
from graphc.transform.sparse import Coordinates, Pattern
from graphc.transform.vmap import vmap

__all__ = [
    "Coordinates",
    "CustomDerivative",
    "Pattern",
    "apply_function",
    "checkpoint",
    "custom_derivative",
    "grad",
    "grad_graph",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]
