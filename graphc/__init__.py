"""graphc: a NumPy function in; its gradient, its pictures and readable C out."""

from graphc import errors
from graphc.api import Graph, compile, jit, trace
from graphc.check import Report, check
from graphc.errors import GraphcError
from graphc.explain import Derivation, explain
from graphc.kernel import Kernel
from graphc.trace import at, cond, fori_loop, scan, while_loop
from graphc.transform import grad, jvp, value_and_grad, vjp
from graphc.types import bool_, float32, float64, int32, int64

__version__ = "0.1.0"

__all__ = [
    "Derivation",
    "Graph",
    "GraphcError",
    "Kernel",
    "Report",
    "at",
    "bool_",
    "check",
    "compile",
    "cond",
    "errors",
    "explain",
    "float32",
    "float64",
    "fori_loop",
    "grad",
    "int32",
    "int64",
    "jit",
    "jvp",
    "scan",
    "trace",
    "value_and_grad",
    "vjp",
    "while_loop",
]
