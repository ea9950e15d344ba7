"""NumPy's elementwise functions that are composites of ops, on tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import TraceError
from graphc.graph import apply
from graphc.ops.elementwise import POLYGAMMA, SOFTPLUS, WHERE
from graphc.trace.tensor import (
    FUNCTIONS,
    UFUNCS,
    Tensor,
    as_tensor,
    elementwise,
    operand_dtype,
    promote,
    refuse,
)
from graphc.types import bool_, dtype_of, float64


def where(condition: Any, x: Any = None, y: Any = None, /) -> Tensor:
    if x is None or y is None:
        refuse("np.where(condition) has a shape that depends on data", "give both choices")
    test = as_tensor(condition)
    test = test if test.node.dtype is bool_ else test != 0
    a, b = promote(x, y)
    return Tensor(apply(WHERE, test.node, a.node, b.node))


def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: None = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Tensor:
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    value = as_tensor(a)
    if low is not None:
        value = np.maximum(value, low)
    return value if high is None else np.minimum(value, high)


def _power(x: Any, y: Any) -> Tensor:
    """x ** y; the exponents that NumPy itself computes without pow are spelled out."""
    kind = operand_dtype(x)
    exponent = _scalar(y)
    floating = isinstance(kind, np.dtype) and kind.kind == "f"
    if (
        isinstance(x, Tensor)
        and floating
        and exponent is not None
        and operand_dtype(y) in (int, float, kind)
    ):
        plain = {
            0.0: lambda: np.ones_like(x),
            0.5: lambda: np.sqrt(x),
            1.0: lambda: x,
            2.0: lambda: x * x,
            -1.0: lambda: 1 / x,
        }.get(exponent)
        if plain is not None:
            return plain()
    if isinstance(x, Tensor) and not floating and exponent is not None:
        if exponent == 2 and operand_dtype(y) is int and kind != np.dtype(bool):
            return x * x
        if exponent < 0 and operand_dtype(y) is int:
            raise ValueError("Integers to negative integer powers are not allowed.")
    return elementwise(ops.OPS["power"], np.power, (x, y))


def _scalar(y: Any) -> float | None:
    if isinstance(y, Tensor):
        node = y.node
        held = node.params["value"].array if node.op.name == "constant" else None
        return float(held) if held is not None and held.ndim == 0 else None
    return float(y) if isinstance(y, int | float | np.number) and not isinstance(y, bool) else None


def _float_power(x: Any, y: Any) -> Tensor:
    return _power(as_tensor(x, float64).astype(float64), as_tensor(y, float64).astype(float64))


def _square(x: Any) -> Tensor:
    return as_tensor(x) * as_tensor(x)


def _reciprocal(x: Any) -> Tensor:
    value = as_tensor(x)
    return 1 / value if value.node.dtype.kind == "f" else np.floor_divide(1, value)


def _heaviside(x: Any, h: Any) -> Tensor:
    value, half = (v.astype(float64) if v.node.dtype.kind != "f" else v for v in promote(x, h))
    step = np.where(value < 0, 0, np.where(value > 0, 1, half)).astype(value.dtype)
    return np.where(np.isnan(value), value, step)


def _floating(x: Any) -> Tensor:
    value = as_tensor(x)
    return value if value.node.dtype.kind == "f" else value.astype(float64)


def _degrees(x: Any) -> Tensor:
    return _floating(x) * (180.0 / math.pi)


def _radians(x: Any) -> Tensor:
    return _floating(x) * (math.pi / 180.0)


def _logaddexp2(x: Any, y: Any) -> Tensor:
    a, b = (_floating(v) for v in promote(x, y))
    return np.logaddexp(a * math.log(2.0), b * math.log(2.0)) / math.log(2.0)


def _divmod(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    return np.floor_divide(x, y), np.remainder(x, y)


def _modf(x: Any) -> tuple[Tensor, Tensor]:
    value = _floating(x)
    whole = np.trunc(value)
    part = np.where(np.isinf(value), 0, value - whole).astype(value.dtype)
    return np.copysign(part, value), whole


def _positive(x: Any) -> Tensor:
    if as_tensor(x).node.dtype is bool_:
        raise TraceError("np.positive is not defined for bool; use .astype(np.int64)")
    return as_tensor(x)


def _ldexp(x: Any, k: Any) -> Tensor:
    value = _floating(x)
    return value * np.exp2(as_tensor(k).astype(value.dtype))


# scipy.special


def _log_expit(x: Any) -> Tensor:
    return -_softplus(-_floating(x))


def _softplus(x: Any) -> Tensor:
    return Tensor(apply(SOFTPLUS, _floating(x).node))


def _logit(x: Any) -> Tensor:
    value = _floating(x)
    return np.log(value / (1 - value))


def _xlogy(x: Any, y: Any) -> Tensor:
    a, b = (_floating(v) for v in promote(x, y))
    still = (a == 0) & ~np.isnan(b)
    return np.where(still, 0, a * np.log(np.where(still, 1, b)))


def _xlog1py(x: Any, y: Any) -> Tensor:
    a, b = (_floating(v) for v in promote(x, y))
    still = (a == 0) & ~np.isnan(b)
    return np.where(still, 0, a * np.log1p(np.where(still, 0, b)))


def _entr(x: Any) -> Tensor:
    value = _floating(x)
    return np.where(value < 0, -math.inf, -_xlogy(value, value))


def _psi(x: Any) -> Tensor:
    return Tensor(apply(POLYGAMMA, _floating(x).node, order=0))


def _normal_cdf(x: Any) -> Tensor:
    erfc = ops.OPS["erfc"]
    value = _floating(x)
    return 0.5 * Tensor(apply(erfc, (value * -math.sqrt(0.5)).node))


UFUNCS.update(
    {
        "power": _power,
        "float_power": _float_power,
        "square": _square,
        "reciprocal": _reciprocal,
        "heaviside": _heaviside,
        "degrees": _degrees,
        "rad2deg": _degrees,
        "radians": _radians,
        "deg2rad": _radians,
        "logaddexp2": _logaddexp2,
        "divmod": _divmod,
        "modf": _modf,
        "positive": _positive,
        "conjugate": _positive,
        "ldexp": _ldexp,
        "clip": lambda x, low, high: clip(x, low, high),
        "log_expit": _log_expit,
        "logit": _logit,
        "xlogy": _xlogy,
        "xlog1py": _xlog1py,
        "entr": _entr,
        "psi": _psi,
        "ndtr": _normal_cdf,
    }
)


def round_(a: Any, decimals: int = 0, out: None = None) -> Tensor:
    x = as_tensor(a)
    if x.node.dtype.kind != "f":
        return x
    if decimals == 0:
        return np.rint(x)
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
    info = np.finfo(value.dtype)
    high = float(info.max) if posinf is None else posinf
    low = float(info.min) if neginf is None else neginf
    value = np.where(np.isnan(value), nan, value)
    return np.where(value == math.inf, high, np.where(value == -math.inf, low, value))


def isclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    x, y = (_floating(v) for v in promote(a, b))
    close = (np.abs(x - y) <= atol + rtol * np.abs(y)) & np.isfinite(y) | (x == y)
    return close | (np.isnan(x) & np.isnan(y)) if equal_nan else close


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    value = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        value = where(condition, choice, value)
    return value


def sinc(x: Any) -> Tensor:
    angle = math.pi * _floating(x)
    safe = np.where(angle == 0, 1, angle)
    return np.where(angle == 0, 1, np.sin(safe) / safe)


def result_type(*operands: Any) -> np.dtype[Any]:
    kinds = [operand_dtype(x) if not isinstance(x, np.dtype | type | str) else x for x in operands]
    return np.result_type(*(k() if k in (int, float) else k for k in kinds))


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    return as_tensor(x).astype(dtype)


def array_equal(a: Any, b: Any, equal_nan: bool = False) -> Any:
    x, y = as_tensor(a), as_tensor(b)
    if x.node.shape != y.node.shape:
        return False
    return np.all((x == y) | (np.isnan(x) & np.isnan(y)) if equal_nan else x == y)


def copy(a: Any, *args: Any, **kwargs: Any) -> Tensor:
    return as_tensor(a)


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
        np.isreal: lambda x: np.ones_like(x, dtype=bool),
    }
)
for _name, _fn in (("clip", clip), ("round", round_), ("copy", copy), ("conj", copy)):
    setattr(Tensor, _name, _fn)
