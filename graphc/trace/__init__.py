"""NumPy function -> Graph."""

from graphc.trace import (
    bessel,
    composites,
    contractions,
    dims,
    factoring,
    gathering,
    joining,
    least_squares,
    nan_quantiles,
    nan_reductions,
    ordering,
    padding,
    pointwise,
    products,
    reductions,
    scipy_functions,
    scipy_special,
    sequences,
    shapes,
    solving,
)
from graphc.trace.control import close, cond, fori_loop, items, scan, while_loop
from graphc.trace.coverage import FUNCTIONS, UFUNCS, refuse
from graphc.trace.tensor import Tensor, as_tensor, constant
from graphc.trace.tracing import Traced, abstract, called, inline, leaf_type, trace_function
from graphc.trace.updates import at

# Each fills the tables FUNCTIONS, UFUNCS, COMPOSITES and METHODS with what it covers.
COVERAGE = (
    bessel,
    composites,
    contractions,
    dims,
    factoring,
    gathering,
    joining,
    least_squares,
    nan_quantiles,
    nan_reductions,
    ordering,
    padding,
    pointwise,
    products,
    reductions,
    scipy_functions,
    scipy_special,
    sequences,
    shapes,
    solving,
)

__all__ = [
    "COVERAGE",
    "FUNCTIONS",
    "UFUNCS",
    "Tensor",
    "Traced",
    "abstract",
    "as_tensor",
    "at",
    "called",
    "close",
    "cond",
    "constant",
    "fori_loop",
    "inline",
    "items",
    "leaf_type",
    "refuse",
    "scan",
    "trace_function",
    "while_loop",
]
