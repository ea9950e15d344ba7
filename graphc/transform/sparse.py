"""Jacobians of which only what is not zero for structural reasons is computed.

Columns that share no row get one colour and one direction, or rows that share no column one
weight; a Hessian, which is symmetric, needs fewer: see `colouring`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphc import trees
from graphc.errors import ArgumentError, TraceError
from graphc.graph import Graph, Node
from graphc.ops.indexing import gather
from graphc.trace import Tensor, as_tensor, constant
from graphc.trace.coverage import place
from graphc.trace.names import is_tracing
from graphc.transform.colouring import colouring, star_colouring, star_reads
from graphc.transform.gradients import (
    Function,
    apply_function,
    leaf_slots,
    linearizable,
    split_argnums,
)
from graphc.transform.jacobian import MODES, by_argument, check_floats, has_while, pulled, pushed
from graphc.transform.structure import dependence, members
from graphc.types import DType, Shape, product

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment"
# Traced code is written with NumPy's functions, typed as giving arrays where tensors give tensors.

Ints = npt.NDArray[np.int64]


@trees.leaf_class
@dataclass(frozen=True, eq=False)
class Pattern:
    """Where a matrix of this shape may be other than zero: row by row, columns ascending."""

    rows: Ints
    cols: Ints
    shape: tuple[int, int]

    @property
    def nnz(self) -> int:
        """How many places."""
        return len(self.rows)


class Coordinates(NamedTuple):
    """A sparse matrix inside a trace, and so what its compiled function returns: three arrays."""

    values: Any
    rows: Any
    cols: Any


@dataclass(frozen=True)
class Plan:
    """A traced function, its pattern, and which directions find it."""

    graph: Graph
    slots: list[int]
    measured: list[int]
    structure: Any
    chosen: tuple[int, ...]
    whole: Pattern
    row_ends: list[int]
    col_ends: list[int]
    forward: bool
    colours: Ints
    """Of each column if forward, else of each row."""
    reads: tuple[Ints, Ints] | None = None
    """For each place of a symmetric pattern the colour and the row where its value is found; None:
    where its own colour says."""

    def block(self, k: int, i: int) -> npt.NDArray[np.bool_]:
        """Which places belong to output k and input i."""
        rows, cols = self.whole.rows, self.whole.cols
        inside = (rows >= self.row_ends[k]) & (rows < self.row_ends[k + 1])
        return inside & (cols >= self.col_ends[i]) & (cols < self.col_ends[i + 1])

    def pattern(self, k: int, i: int) -> Pattern:
        """The pattern of one block."""
        here = self.block(k, i)
        top, left = self.row_ends[k], self.col_ends[i]
        shape = (self.row_ends[k + 1] - top, self.col_ends[i + 1] - left)
        return Pattern(self.whole.rows[here] - top, self.whole.cols[here] - left, shape)


class SparseJacobian:
    """A function that returns a jacobian (or a Hessian) in sparse form, each array flattened.

    On arrays it returns a ``scipy.sparse.csr_array`` of shape ``[y.size, x.size]`` in the place of
    each dense block that `jacobian` would give. Inside a trace it gives `Coordinates`: a function
    compiled from it returns the values that are not zero, their rows and their columns.

    ``pattern(*examples)`` gives the `Pattern`s, and ``values(*args)`` the values alone in the
    pattern's order, which can be compiled, too.
    """

    def __init__(
        self,
        fn: Function,
        argnums: int | Sequence[int],
        mode: str,
        is_symmetric: Callable[..., bool] = lambda *args, **kwargs: False,
    ) -> None:
        """is_symmetric(*args): whether the outputs of fn are the derivatives of one function with
        respect to the arguments, so that the whole jacobian is symmetric."""
        if mode not in MODES:
            raise TraceError(
                f"mode of jacobian is one of {', '.join(MODES)}, not {mode!r}{place()}"
            )
        self._fn, self._argnums, self._mode = fn, argnums, mode
        self._is_symmetric = is_symmetric
        functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """
        Raises:
            TraceError: an argument or result is not floating point, or a size is not known.
            ArgumentError: SciPy is missing.
        """
        patterns: list[Any] = []

        def inside(*args: Any, **kwargs: Any) -> Any:
            values, found = self._both(args, kwargs)
            patterns.append(found)
            return values

        finish = _coordinates if is_tracing() else _in_scipy
        return trees.map_leaves(finish, apply_function(inside, args, kwargs), patterns[0])

    def values(self, *args: Any, **kwargs: Any) -> Any:
        """The values in the order of the pattern, in the structure of the blocks."""
        return apply_function(lambda *xs, **more: self._both(xs, more)[0], args, kwargs)

    def pattern(self, *examples: Any, **kwargs: Any) -> Any:
        """The `Pattern` of each block; examples or types of sizes that are known."""
        plan = self._plan(examples, kwargs)
        return self._structured(plan, examples, plan.pattern)

    def colours(self, *examples: Any, **kwargs: Any) -> int:
        """How many directions (or weights) find all values."""
        return int(self._plan(examples, kwargs).colours.max(initial=-1)) + 1

    def _plan(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Plan:
        chosen = split_argnums(args, self._argnums)
        traced = linearizable(self._fn, args, kwargs)
        graph = traced.graph
        slots, measured = leaf_slots(args, chosen), list(range(len(graph.outputs)))
        check_floats(graph, slots, measured, traced.shown)
        whole, row_ends, col_ends = detect(graph, slots)
        forward, colours = _coloured(whole, graph, self._mode)
        reads = None
        if len({graph.inputs[s].dtype for s in slots}) == 1 and self._is_symmetric(*args, **kwargs):
            stars = star_colouring(whole.rows, whole.cols, whole.shape[1])
            if stars.max(initial=-1) < colours.max(initial=-1):
                forward, colours = True, stars
                reads = star_reads(stars, whole.rows, whole.cols)
        return Plan(graph, slots, measured, traced.out_tree, chosen, whole, row_ends, col_ends,
                    forward, colours, reads)  # fmt: skip

    def _both(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """Values and patterns of the blocks."""
        plan = self._plan(args, kwargs)
        arguments = [as_tensor(leaf) for leaf in trees.flatten((tuple(args), kwargs))[0]]
        found = _compressed(plan, arguments)
        return (
            self._structured(plan, args, lambda k, i: _picked(plan, found, k, i)),
            self._structured(plan, args, plan.pattern),
        )

    def _structured(self, plan: Plan, args: Sequence[Any], block: Any) -> Any:
        rows = [
            by_argument(
                [block(k, i) for i in range(len(plan.slots))], args, plan.chosen, self._argnums
            )
            for k in plan.measured
        ]
        return trees.unflatten(plan.structure, rows)


def _coordinates(values: Any, pattern: Pattern) -> Coordinates:
    return Coordinates(values, constant(pattern.rows), constant(pattern.cols))


def _in_scipy(values: Any, pattern: Pattern) -> Any:
    try:
        import scipy.sparse
    except ImportError:
        raise ArgumentError(
            "a sparse jacobian of arrays is a scipy.sparse array, and SciPy is not installed: "
            "pip install scipy, or take .values(...) and .pattern(...)"
        ) from None
    return scipy.sparse.csr_array((values, (pattern.rows, pattern.cols)), shape=pattern.shape)


def detect(graph: Graph, slots: Sequence[int]) -> tuple[Pattern, list[int], list[int]]:
    """(the pattern of all outputs over all chosen inputs, where each begins and ends)."""
    wrt = [graph.inputs[s] for s in slots]
    col_ends, row_ends = _ends(wrt, graph.name), _ends(graph.outputs, graph.name)
    total = col_ends[-1]
    given: list[Any] = [None] * len(graph.inputs)
    for x, s, start, end in zip(wrt, slots, col_ends, col_ends[1:], strict=False):
        bits = np.array([1 << j for j in range(start, end)], object)
        given[s] = bits.reshape(x.shape)
    rows, cols = [], []
    for found, start in zip(dependence(graph, given), row_ends, strict=False):
        for r, bits in enumerate([] if found is None else found.reshape(-1)):
            if bits:
                inside = members(int(bits), total)
                rows.append(np.full(len(inside), start + r, np.int64))
                cols.append(inside)
    empty = np.zeros(0, np.int64)
    pattern = Pattern(
        np.concatenate([empty, *rows]), np.concatenate([empty, *cols]), (row_ends[-1], total)
    )
    return pattern, row_ends, col_ends


def _ends(nodes: Sequence[Node], name: str) -> list[int]:
    ends = [0]
    for x in nodes:
        if not isinstance(x.type.size, int):
            raise TraceError(
                f"the sparsity of {name} needs sizes that are known: {x!r} has none; give "
                "examples, or types with numbers"
            )
        ends.append(ends[-1] + x.type.size)
    return ends


def _coloured(pattern: Pattern, graph: Graph, mode: str) -> tuple[bool, Ints]:
    """Whether forward, and the colours of the columns (or rows) it takes."""
    by_column = colouring(pattern.rows, pattern.cols, pattern.shape)
    if mode == "forward" or (mode == "auto" and has_while(graph.outputs)):
        return True, by_column
    by_row = colouring(pattern.cols, pattern.rows, pattern.shape[::-1])
    if mode == "auto" and by_column.max(initial=-1) <= by_row.max(initial=-1):
        return True, by_column
    return False, by_row


def _seeds(colours: Ints, count: int, shape: Shape, dtype: DType) -> Tensor:
    """A direction for each colour: one in the columns that have it."""
    ramp = as_tensor(0).arange(count)
    own = constant(colours.reshape(shape))
    return np.equal(np.reshape(ramp, (count, *(1,) * len(shape))), own).astype(dtype.numpy)


def _compressed(plan: Plan, arguments: Sequence[Tensor]) -> list[Tensor]:
    """The products with all seeds: ``[colour, *y.shape]`` for each output, or with weights
    ``[colour, *x.shape]`` for each input."""
    wrt = [plan.graph.inputs[s] for s in plan.slots]
    outputs = list(plan.graph.outputs)
    seeded, ends = (wrt, plan.col_ends) if plan.forward else (outputs, plan.row_ends)
    count = int(plan.colours.max(initial=-1)) + 1
    seeds = [
        _seeds(plan.colours[start:end], count, x.shape, x.dtype)
        for x, start, end in zip(seeded, ends, ends[1:], strict=False)
    ]
    sweep = pushed if plan.forward else pulled
    return sweep(plan.graph, wrt, outputs, arguments, seeds)


def _picked(plan: Plan, found: Sequence[Tensor], k: int, i: int) -> Tensor:
    """The values of one block, in the order of its pattern."""
    here = plan.block(k, i)
    rows, cols = plan.whole.rows[here], plan.whole.cols[here]
    if plan.reads is not None:
        whole = np.concatenate([np.reshape(x, (x.node.shape[0], -1)) for x in found], axis=1)
        return gather(whole, [constant(index[here]) for index in plan.reads], (0, 1))
    if plan.forward:
        table, colour, place = found[k], plan.colours[cols], rows - plan.row_ends[k]
    else:
        table, colour, place = found[i], plan.colours[rows], cols - plan.col_ends[i]
    count, *shape = table.node.shape
    flat = np.reshape(table, (count, product(tuple(shape))))
    return gather(flat, [constant(colour), constant(place)], (0, 1))


__all__ = ["Coordinates", "Pattern", "SparseJacobian"]
