"""NumPy's reductions that skip nan, on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.trace.coverage import FUNCTIONS, METHODS
from graphc.trace.reductions import Axis, any_, max_, mean, min_, on_first_axis, prod, sum_, var
from graphc.trace.tensor import Tensor, as_tensor


def _filled(a: Any, value: float) -> tuple[Tensor, Tensor]:
    """(with nan replaced, where there was none)."""
    x = as_tensor(a)
    good = ~np.isnan(x)
    return (np.where(good, x, np.asarray(value, x.dtype)) if x.node.dtype.kind == "f" else x), good


def nansum(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False
) -> Tensor:
    """np.nansum."""
    return sum_(_filled(a, 0.0)[0], axis, dtype, out, keepdims)


def nanprod(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False
) -> Tensor:
    """np.nanprod."""
    return prod(_filled(a, 1.0)[0], axis, dtype, out, keepdims)


def _nan_extremum(reduce: Any, identity: float) -> Any:
    def extremum(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Tensor:
        filled, good = _filled(a, identity)
        found = reduce(filled, axis, out, keepdims)
        if found.node.dtype.kind != "f":
            return found
        return np.where(any_(good, axis, keepdims=keepdims), found, np.nan)

    return extremum


nanmax = _nan_extremum(max_, -np.inf)
nanmin = _nan_extremum(min_, np.inf)


def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False
) -> Tensor:
    """np.nanmean."""
    if as_tensor(a).node.dtype.kind != "f":
        return mean(a, axis, dtype, out, keepdims)
    filled, good = _filled(a, 0.0)
    counted = sum_(good, axis, keepdims=keepdims).astype(filled.dtype)
    return sum_(filled, axis, dtype, out, keepdims) / counted


def nanvar(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
) -> Tensor:
    """np.nanvar."""
    if as_tensor(a).node.dtype.kind != "f":
        return var(a, axis, dtype, out, ddof, keepdims)
    x, good = _filled(a, 0.0)
    x = x if dtype is None else x.astype(dtype)
    counted = sum_(good, axis, keepdims=True).astype(x.dtype)
    error = np.where(good, x - sum_(x, axis, keepdims=True) / counted, np.zeros((), x.dtype))
    degrees = sum_(good, axis, keepdims=keepdims).astype(x.dtype) - ddof
    total = sum_(error * error, axis, out=out, keepdims=keepdims)
    return np.where(degrees > 0, total / degrees, np.nan)


def nanstd(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
) -> Tensor:
    """np.nanstd."""
    return np.sqrt(nanvar(a, axis, dtype, out, ddof, keepdims))


def _nan_place(find: Any, worst: float) -> Any:
    def place(a: Any, axis: Any = None, out: None = None, *, keepdims: Any = False) -> Tensor:
        """Where the extremum is among what is not nan."""
        return find(_filled(a, worst)[0], axis, keepdims=bool(keepdims))

    return place


FUNCTIONS.update({
    np.nanargmax: _nan_place(np.argmax, -np.inf), np.nanargmin: _nan_place(np.argmin, np.inf),
    np.nansum: nansum, np.nanprod: nanprod, np.nanmax: nanmax, np.nanmin: nanmin,
    np.nanmean: nanmean, np.nanvar: nanvar, np.nanstd: nanstd,
})  # fmt: skip
METHODS.update({
    ("fmax", "reduce"): on_first_axis(nanmax), ("fmin", "reduce"): on_first_axis(nanmin),
})  # fmt: skip
