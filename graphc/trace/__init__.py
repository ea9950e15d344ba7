"""NumPy function -> Graph."""

from graphc.trace import pointwise, reductions, shapes
from graphc.trace.tensor import FUNCTIONS, UFUNCS, Tensor, as_tensor, constant, refuse
from graphc.trace.tracing import Traced, abstract, called, inline, leaf_type, trace_function

__all__ = [
    "FUNCTIONS",
    "UFUNCS",
    "Tensor",
    "Traced",
    "abstract",
    "as_tensor",
    "called",
    "constant",
    "inline",
    "leaf_type",
    "pointwise",
    "reductions",
    "refuse",
    "shapes",
    "trace_function",
]
