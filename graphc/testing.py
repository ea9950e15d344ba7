"""For tests of your own: derivatives that pytest fails on when they are wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import trees
from graphc.check import check
from graphc.transform import vjp


def assert_derivatives(
    fn: Callable[..., Any],
    *examples: Any,
    order: int = 1,
    tolerance: float | None = None,
    seed: int = 0,
    **kwargs: Any,
) -> None:
    """Assert that a function, its C and its derivatives agree with each other, as `graphc.check`.

    Args:
        fn, examples, kwargs: as for `check`: arrays, numbers or types.
        order: of the highest derivative that is checked; 2 checks Jᵀ w as a function, too.
        tolerance, seed: as for `check`.

    Raises:
        CheckError: an AssertionError that names what differs, where, and both values.
        GraphcError: the function cannot be traced or compiled.
        ValueError: order is less than 1.
    """
    if order < 1:
        raise ValueError(f"order is that of the highest derivative, 1 or more, not {order}")
    for number in range(order):
        check(fn, *examples, tolerance=tolerance, seed=seed, **kwargs).raise_if_wrong()
        if number + 1 < order:
            fn = _pulled(fn)


def _pulled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The cotangents of the floating-point arguments, for fixed weights that all differ."""

    def pulled(*args: Any, **kwargs: Any) -> Any:
        value, pull = vjp(lambda *xs: fn(*xs, **kwargs), *args)
        cotangents = pull(trees.map_leaves(_weights, value))
        leaves, _ = trees.flatten(cotangents)
        return [leaf for leaf in leaves if leaf.dtype.kind == "f"]

    pulled.__name__ = f"pulled_{getattr(fn, '__name__', 'function')}"
    return pulled


def _weights(y: Any) -> Any:
    """1, 1/2, 1/3, ... along the last axis."""
    if y.dtype.kind != "f":
        return np.zeros_like(y)
    if not y.ndim:
        return np.ones_like(y)
    return np.ones_like(y) / (1.0 + np.cumsum(np.ones_like(y), axis=-1)).astype(y.dtype)


__all__ = ["assert_derivatives"]
