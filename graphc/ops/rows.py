"""How rows of elementwise ops are written: short constructors for what they share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc import loops
from graphc.errors import DTypeError
from graphc.graph import (
    Array,
    Derivative,
    Diagonal,
    Elementwise,
    NoDerivative,
    Op,
    Params,
    Symbol,
    Value,
)
from graphc.types import DType, TensorType, bool_, broadcast_shapes

Interval = tuple[float, float]
ANY: Interval = (-3.0, 3.0)
POSITIVE: Interval = (0.3, 3.0)
UNIT: Interval = (-0.9, 0.9)


def infer_same(kinds: str, result: DType | None = None) -> Callable[..., TensorType]:
    """Operands of one dtype, of these kinds, broadcast together; `result` if of another dtype."""

    def infer(types: tuple[TensorType, ...], params: Params) -> TensorType:
        first = types[0]
        same = types == (first,) * len(types)  # identity first
        if same and result is None and first.dtype.kind in kinds:
            return first  # one object for many nodes, which makes the next check quick too
        return checked(types)

    def checked(types: tuple[TensorType, ...]) -> TensorType:
        first = types[0].dtype
        for x in types:
            if x.dtype != first:
                raise DTypeError("operands must have one dtype")
            if x.dtype.kind not in kinds:
                raise DTypeError(f"not defined for {x.dtype}")
        shape = broadcast_shapes(*(x.shape for x in types))
        same = result is None and shape == types[0].shape
        return types[0] if same else TensorType(result or first, shape)

    return infer


def evaluate_with(fn: Callable[..., Array]) -> Callable[..., Array]:
    """NumPy's function, without its warnings."""

    def evaluate(params: Params, *arrays: Array) -> Array:
        with np.errstate(all="ignore"):
            return fn(*arrays)

    return evaluate


def row(
    name: str,
    fn: Callable[..., Array],
    derivative: Derivative,
    symbol: Symbol,
    *,
    kinds: str = "f",
    result: DType | None = None,
    functions: tuple[str, ...] | None = None,
    commutative: bool = False,
    domain: tuple[Interval, ...] = (ANY,),
) -> Op:
    """An op whose scalar function has the row's name in the loop IR."""
    scalar = loops.predicate if result is bool_ else loops.apply
    return Op(
        name,
        infer_same(kinds, result),
        evaluate_with(fn),
        Elementwise(lambda node, *args: scalar(name, *args)),
        derivative,
        symbol,
        (name,) if functions is None else functions,
        commutative,
        domain,
    )


def call_symbol(text: str, latex: str | None = None) -> Symbol:
    """Written as a function: ``erf(x)``."""
    return Symbol(text, latex or rf"\operatorname{{{text}}}")


def infix(text: str, latex: str, precedence: int) -> Symbol:
    """Written between its operands: ``a + b``."""
    return Symbol(text, latex, "infix", precedence)


def partials(*scaled: Callable[..., Value] | None) -> Diagonal:
    """For each operand fn(t, y, *operands) = t * dy/d(operand), or None where it is zero."""
    return Diagonal(scaled)


ZERO = NoDerivative()
