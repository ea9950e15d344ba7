"""graphc: a NumPy function in; its gradient, its pictures and readable C out."""

from graphc import errors
from graphc.api import Graph, compile, trace
from graphc.check import Report, check
from graphc.errors import GraphcError
from graphc.explain import Derivation, explain
from graphc.jit import jit
from graphc.kernel import Kernel
from graphc.trace import at, cond, fori_loop, scan, while_loop
from graphc.transform import (
    Coordinates,
    Pattern,
    checkpoint,
    custom_derivative,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from graphc.types import bfloat16, bool_, float16, float32, float64, int32, int64

__version__ = "0.1.0"

__all__ = [
    "Coordinates",
    "Derivation",
    "Graph",
    "GraphcError",
    "Kernel",
    "Pattern",
    "Report",
    "at",
    "bfloat16",
    "bool_",
    "check",
    "checkpoint",
    "compile",
    "cond",
    "custom_derivative",
    "errors",
    "explain",
    "float16",
    "float32",
    "float64",
    "fori_loop",
    "grad",
    "hessian",
    "hvp",
    "int32",
    "int64",
    "jacobian",
    "jit",
    "jvp",
    "scan",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]
