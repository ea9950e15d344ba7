"""graphc: a NumPy function in; its gradient, its pictures and readable C out."""

from graphc import errors
from graphc.api import Graph, compile, jit, trace
from graphc.check import Report, check
from graphc.errors import GraphcError
from graphc.kernel import Kernel
from graphc.transform import grad, jvp, value_and_grad, vjp
from graphc.types import bool_, float32, float64, int32, int64

__version__ = "0.1.0"

__all__ = [
    "Graph",
    "GraphcError",
    "Kernel",
    "Report",
    "bool_",
    "check",
    "compile",
    "errors",
    "float32",
    "float64",
    "grad",
    "int32",
    "int64",
    "jit",
    "jvp",
    "trace",
    "value_and_grad",
    "vjp",
]
