"""NumPy function -> Graph."""

from graphc.trace import pointwise, reductions, shapes
from graphc.trace.control import close, cond, fori_loop, items, scan, while_loop
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
    "close",
    "cond",
    "constant",
    "fori_loop",
    "inline",
    "items",
    "leaf_type",
    "pointwise",
    "reductions",
    "refuse",
    "scan",
    "shapes",
    "trace_function",
    "while_loop",
]
