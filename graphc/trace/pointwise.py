"""NumPy's elementwise functions that are composites of ops, on tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.graph import apply
from graphc.ops.elementwise import WHERE
from graphc.trace import promotion
from graphc.trace.coverage import COMPOSITES, FUNCTIONS, UFUNCS, refuse
from graphc.trace.tensor import (
    Tensor,
    as_tensor,
    attach,
    elementwise,
    operand_dtype,
    promote,
    promotion_example,
    scalar_constant,
)
from graphc.types import bool_, broadcast_shapes, dtype_of, float16, float64


def where(condition: Any, x: Any = None, y: Any = None, /) -> Tensor:
    """np.where with both choices; a condition known while tracing chooses then."""
    if x is None or y is None:
        refuse("np.where(condition) has a shape that depends on data", "give both choices")
    test = as_tensor(condition)
    test = test if test.node.dtype is bool_ else test != 0
    a, b = promote(x, y)
    known = scalar_constant(test)
    if known is not None:
        chosen = a if known else b
        shape = broadcast_shapes(a.node.shape, b.node.shape)
        return chosen if shape == chosen.node.shape else np.broadcast_to(chosen, shape)
    return Tensor(apply(WHERE, test.node, a.node, b.node))


def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: None = None,
    *,
    min: Any = None,
    max: Any = None,
    dtype: Any = None,
) -> Tensor:
    """np.clip; either bound may be missing."""
    if out is not None:
        refuse("np.clip with out= writes into an array", "use the value it returns")
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    value, *bounds = promote(a, *(bound for bound in (low, high) if bound is not None))
    if low is not None:
        value = np.maximum(value, bounds[0])
    return value if high is None else np.minimum(value, bounds[-1])


def _power(x: Any, y: Any) -> Tensor:
    """x ** y; the exponents that NumPy itself computes without pow are spelled out."""
    kind = operand_dtype(x)
    exponent = _scalar(y)
    if exponent is None or not isinstance(kind, np.dtype) or not isinstance(x, Tensor):
        return elementwise(ops.OPS["power"], np.power, (x, y))
    own = operand_dtype(y)
    if kind.kind == "f" and (own is int or own is float or own == kind):
        match exponent:
            case 0.0:
                return np.ones_like(x)
            case 0.5:
                return np.sqrt(x)
            case 1.0:
                return x
            case 2.0:
                return x * x
            case -1.0:
                return 1 / x
    if kind.kind == "i" and own is int:
        if exponent == 2:
            return x * x
        if exponent < 0 and x.node.type.size != 0:
            raise ValueError("Integers to negative integer powers are not allowed.")
    return elementwise(ops.OPS["power"], np.power, (x, y))


def _scalar(y: Any) -> float | None:
    if isinstance(y, Tensor):
        held = scalar_constant(y)
        return None if held is None else float(held)
    return float(y) if isinstance(y, int | float | np.number) and not isinstance(y, bool) else None


def _float_power(x: Any, y: Any) -> Tensor:
    return _power(as_tensor(x, float64).astype(float64), as_tensor(y, float64).astype(float64))


def _divmod(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    return np.floor_divide(x, y), np.remainder(x, y)


UFUNCS.update({
    "power": _power, "float_power": _float_power, "divmod": _divmod,
    "clip": lambda x, low, high: clip(x, low, high),
})  # fmt: skip


# --- composites: their operands have the dtypes of NumPy's own loop already ---------------------


def _reciprocal(x: Tensor) -> Tensor:
    if x.node.dtype.kind == "f":
        return 1 / x
    # NumPy divides 1 by the integer as C does: only 1 and -1 leave something.
    return np.where(x == 0, np.iinfo(x.dtype).min, np.where(np.abs(x) == 1, x, 0)).astype(x.dtype)


def _heaviside(x: Tensor, half: Tensor) -> Tensor:
    step = np.where(x < 0, 0, np.where(x > 0, 1, half)).astype(x.dtype)
    return np.where(np.isnan(x), x, step)


def _logaddexp2(x: Tensor, y: Tensor) -> Tensor:
    return np.logaddexp(x * math.log(2.0), y * math.log(2.0)) / math.log(2.0)


def _modf(x: Tensor) -> tuple[Tensor, Tensor]:
    whole = np.trunc(x)
    part = np.where(np.isinf(x), 0, x - whole).astype(x.dtype)
    return np.copysign(part, x), whole


def _ldexp(x: Tensor, k: Tensor) -> Tensor:
    """In two steps, so that 2**k alone need not be representable."""
    half = k // 2
    return x * np.exp2(half.astype(x.dtype)) * np.exp2((k - half).astype(x.dtype))


COMPOSITES.update({
    "square": lambda x: x * x, "reciprocal": _reciprocal, "heaviside": _heaviside,
    "degrees": lambda x: x * (180.0 / math.pi), "rad2deg": lambda x: x * (180.0 / math.pi),
    "radians": lambda x: x * (math.pi / 180.0), "deg2rad": lambda x: x * (math.pi / 180.0),
    "logaddexp2": _logaddexp2, "modf": _modf, "ldexp": _ldexp,
    "positive": lambda x: x, "conjugate": lambda x: x,
})  # fmt: skip


def round_(a: Any, decimals: int = 0, out: None = None) -> Tensor:
    """np.round to any number of decimals, half to even."""
    x = as_tensor(a)
    if x.node.dtype is bool_ and decimals:
        raise DTypeError("a bool has no decimals to round to; convert with astype")
    if x.node.dtype is bool_:
        x = x.astype(float16)
    if decimals == 0:
        return np.rint(x) if x.node.dtype.kind == "f" else x
    if x.node.dtype.kind == "i":
        if decimals > 0:
            return x
        return (np.rint(x / 10.0**-decimals) * 10.0**-decimals).astype(x.dtype)
    scale = 10.0 ** abs(decimals)
    return np.rint(x * scale) / scale if decimals > 0 else np.rint(x / scale) * scale


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    device: Any = None,
) -> Tensor:
    x = as_tensor(a)
    target = dtype_of(dtype) if dtype is not None else x.node.dtype
    value = as_tensor(fill_value, target).astype(target)
    return np.broadcast_to(value, x.node.shape if shape is None else shape)


def zeros_like(a: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Tensor:
    return full_like(a, 0, dtype, *args, **kwargs)


def ones_like(a: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Tensor:
    return full_like(a, 1, dtype, *args, **kwargs)


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    value = as_tensor(x)
    if value.node.dtype.kind != "f":
        return value
    info = value.node.dtype.limits
    high = float(info.max) if posinf is None else posinf
    low = float(info.min) if neginf is None else neginf
    value = np.where(np.isnan(value), nan, value)
    return np.where(value == math.inf, high, np.where(value == -math.inf, low, value))


def isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    x, y = (v if v.node.dtype.kind == "f" else v.astype(float64) for v in promote(a, b))
    close = (np.abs(x - y) <= atol + rtol * np.abs(y)) & np.isfinite(y) | (x == y)
    return close | (np.isnan(x) & np.isnan(y)) if equal_nan else close


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """np.select."""
    if len(condlist) != len(choicelist):
        raise ShapeError(f"select: {len(condlist)} conditions and {len(choicelist)} choices")
    *choices, value = promote(*choicelist, default)
    for condition, choice in reversed(list(zip(condlist, choices, strict=True))):
        value = where(condition, choice, value)
    return value


def sinc(x: Any) -> Tensor:
    value = as_tensor(x)
    angle = math.pi * (value if value.node.dtype.kind == "f" else value.astype(float64))
    safe = np.where(angle == 0, 1, angle)
    return np.where(angle == 0, 1, np.sin(safe) / safe)


def result_type(*operands: Any) -> np.dtype[Any]:
    """np.result_type of tensors, arrays, numbers and dtypes."""
    return promotion.result_type(
        *(x if isinstance(x, np.dtype | type | str) else promotion_example(x) for x in operands)
    )


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    return as_tensor(x).astype(dtype)


def array_equal(a: Any, b: Any, equal_nan: bool = False) -> Any:
    x, y = as_tensor(a), as_tensor(b)
    if x.node.shape != y.node.shape:
        return False
    return np.all((x == y) | (np.isnan(x) & np.isnan(y)) if equal_nan else x == y)


def copy(a: Any, *args: Any, **kwargs: Any) -> Tensor:
    return as_tensor(a)


def _infinite(x: Any, sign: int) -> Tensor:
    """Where x is infinite with this sign."""
    return as_tensor(x) == sign * math.inf


def angle(z: Any, deg: bool = False) -> Tensor:
    """np.angle of real numbers: 0, or half a turn for negative ones."""
    x = as_tensor(z)
    x = x if x.node.dtype.kind == "f" else x.astype(float64)
    found = np.arctan2(np.zeros_like(x), x)
    return found * (180 / math.pi) if deg else found


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False,
    *, kind: Any = None,
) -> Tensor:  # fmt: skip
    """np.isin: each element compared with each of the others."""
    x, among = promote(element, np.ravel(as_tensor(test_elements)))
    found = np.any(np.reshape(x, (*x.shape, 1)) == among, axis=-1)
    return ~found if invert else found


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Tensor:
    """np.piecewise; each function is traced on all of x."""
    value = as_tensor(x)
    conditions = list(condlist) if isinstance(condlist, list | tuple) else [condlist]
    choices = [f(value, *args, **kwargs) if callable(f) else f for f in funclist]
    if len(choices) not in (len(conditions), len(conditions) + 1):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or "
            f"{len(conditions) + 1} functions are expected"
        )
    rest = choices[len(conditions)] if len(choices) > len(conditions) else 0
    found = np.broadcast_to(as_tensor(rest).astype(value.dtype), value.node.shape)
    for condition, choice in zip(conditions, choices, strict=False):
        found = where(condition, as_tensor(choice).astype(value.dtype), found)
    return found


FUNCTIONS.update(
    {
        np.where: where,
        np.clip: clip,
        np.round: round_,
        np.around: round_,
        np.fix: np.trunc,
        np.zeros_like: zeros_like,
        np.ones_like: ones_like,
        np.full_like: full_like,
        np.empty_like: zeros_like,
        np.nan_to_num: nan_to_num,
        np.isclose: isclose,
        np.allclose: lambda a, b, **k: np.all(isclose(a, b, **k)),
        np.select: select,
        np.sinc: sinc,
        np.result_type: result_type,
        np.astype: astype,
        np.copy: copy,
        np.array_equal: array_equal,
        np.real: copy,
        np.imag: zeros_like,
        np.iscomplexobj: lambda x: False,
        np.isrealobj: lambda x: True,
        np.iscomplex: lambda x: np.zeros_like(x, dtype=bool),
        np.isposinf: lambda x: _infinite(x, 1),
        np.isneginf: lambda x: _infinite(x, -1),
        np.isreal: lambda x: np.ones_like(x, dtype=bool),
        np.real_if_close: lambda a, tol=100: as_tensor(a),
        np.angle: angle,
        np.isin: isin,
        np.piecewise: piecewise,
    }
)
for _name, _fn in (("clip", clip), ("round", round_), ("copy", copy), ("conj", copy)):
    attach(_name, _fn)
