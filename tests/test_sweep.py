"""Many functions along every axis, kept or not, broadcast or not: value and gradient."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc

SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (2, 3), (1, 3, 2))
REDUCED = [
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "ptp",
    "median",
    "nansum",
    "nanmean",
    "nanmax",
    "nanprod",
    "nanmedian",
    "var",
    "std",
    "nanvar",
]
ALONG = [
    "cumsum",
    "cumprod",
    "sort",
    "flip",
    "diff",
    "nancumsum",
    "cumulative_sum",
    "cumulative_prod",
]
WHOLE = [
    "ravel",
    "squeeze",
    "transpose",
    "atleast_2d",
    "atleast_3d",
    "tril",
    "triu",
    "diag",
    "nan_to_num",
    "square",
    "trapezoid",
    "fliplr",
    "rot90",
    "gradient",
    "ediff1d",
    "unwrap",
    "sinc",
    "average",
    "vander",
]
PAIRS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 1, 3), (4, 1)),
    ((), (2, 3)), ((4, 2, 3), (4, 3, 2)),
)  # fmt: skip
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "maximum",
    "minimum",
    "arctan2",
    "hypot",
    "logaddexp",
    "fmax",
    "remainder",
    "copysign",
    "float_power",
    "dot",
    "matmul",
    "inner",
    "outer",
    "kron",
    "vdot",
    "convolve",
]

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]


def cases(kind: str) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x, rank = rng.normal(size=shape), len(shape)
        axes: list[Any] = [None, *range(-rank, rank), *([(0, -1)] if rank > 1 else [])]
        if kind == "reduced":
            for name, axis, kept in itertools.product(REDUCED, axes, (False, True)):
                f = getattr(np, name)
                yield (
                    f"{name} of {shape} along {axis}, kept: {kept}",
                    lambda x, f=f, axis=axis, kept=kept: f(x, axis=axis, keepdims=kept),
                    (x,),
                )
        if kind == "along":
            for name, axis in itertools.product(ALONG, axes[: 1 + 2 * rank]):
                f = getattr(np, name)
                yield f"{name} of {shape} along {axis}", lambda x, f=f, a=axis: f(x, axis=a), (x,)
        if kind == "whole":
            for name in WHOLE:
                yield f"{name} of {shape}", getattr(np, name), (x,)
    if kind == "binary":
        for (a, b), name in itertools.product(PAIRS, BINARY):
            x, y = np.abs(rng.normal(size=a)) + 0.1, rng.normal(size=b) + 2.5
            yield f"{name} of {a} and {b}", getattr(np, name), (x, y)


def outputs(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple | list) else [y]


@pytest.mark.parametrize("kind", ["reduced", "along", "whole", "binary"])
def test_values_and_gradients(kind: str) -> None:
    wrong, count = [], 0
    for name, f, xs in cases(kind):
        try:
            wanted = outputs(f(*xs))
        except (ValueError, TypeError, IndexError):  # NumPy refuses it, too
            continue
        count += 1
        found = outputs(graphc.trace(f, *xs)(*xs))
        for a, b in zip(wanted, found, strict=True):
            alike = np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
            if not (alike and np.allclose(a, b, rtol=1e-10, atol=1e-12, equal_nan=True)):
                wrong.append(f"{name}: {b} for {a}")
        if not wanted or any(np.asarray(a).dtype.kind != "f" for a in wanted):
            continue
        weights = [np.cos(np.arange(np.size(a))).reshape(np.shape(a)) for a in wanted]

        def total(*xs: Any, f: Any = f, weights: Any = weights) -> Any:
            return sum(np.sum(y * w) for y, w in zip(outputs(f(*xs)), weights, strict=True))

        h, rng = 1e-6, np.random.default_rng(1)
        v = [rng.normal(size=np.shape(x)) for x in xs]
        gradient = graphc.grad(total, tuple(range(len(xs))))(*xs)
        slope = sum(np.sum(g * d) for g, d in zip(gradient, v, strict=True))
        ahead, behind = (total(*(x + s * d for x, d in zip(xs, v, strict=True))) for s in (h, -h))
        if not np.allclose(slope, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-7):
            wrong.append(f"{name}: a slope of {slope} for {(ahead - behind) / (2 * h)}")
    assert not wrong, "\n".join(wrong)
    assert count > 40
