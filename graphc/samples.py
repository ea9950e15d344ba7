"""Arguments to try a function with: those that were given, and random ones for types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.errors import ArgumentError
from graphc.graph import Graph
from graphc.trace import leaf_type
from graphc.types import DType, TensorType, evaluate

Array = np.ndarray[Any, Any]


def random_values(
    given: Sequence[Any],
    rng: np.random.Generator,
    sizes: Mapping[str, int] | None = None,
    spread: float = 1.0,
) -> list[Array]:
    """The arrays given, and random ones for types; run-time dimensions are small, or as `sizes`.

    spread: the standard deviation of random floats.
    """
    types = [leaf_type(leaf) for leaf in given]
    dims = {name: 3 + i for i, name in enumerate(dict.fromkeys(d for t in types for d in t.dims))}
    dims |= sizes or {}
    found = []
    for leaf, kind in zip(given, types, strict=True):
        if isinstance(leaf, TensorType | DType):
            shape = tuple(evaluate(size, dims) for size in kind.shape)
            leaf = spread * rng.standard_normal(shape)
            if kind.dtype.kind != "f":
                leaf = rng.integers(0, 3 if kind.dtype.kind == "i" else 2, shape)
        found.append(np.asarray(leaf, kind.dtype.numpy))
    return found


def chosen_sizes(graph: Graph, asked: Mapping[str, int], default: int) -> dict[str, int]:
    """The size of each run-time dimension.

    Raises:
        ArgumentError: the graph has no dimension of a name that is asked for.
    """
    unknown = [name for name in asked if name not in graph.dims]
    if unknown:
        known = (
            f"its run-time dimensions are {', '.join(graph.dims)}" if graph.dims else "it has none"
        )
        raise ArgumentError(f"{graph.name} has no run-time dimension {unknown[0]!r}; {known}")
    return {name: asked.get(name, default) for name in graph.dims}
