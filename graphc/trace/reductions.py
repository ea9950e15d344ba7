"""NumPy's reductions and contractions on tensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.reduce import ALL, ANY, EINSUM, MAX, MIN, PROD, SUM, Labels, canonical
from graphc.trace.tensor import (
    FUNCTIONS,
    METHODS,
    UFUNCS,
    Tensor,
    as_tensor,
    dimension,
    promote,
    refuse,
)
from graphc.types import Size, bool_, float64, int64, normalize_axis, product

Axis = int | Sequence[int] | None


def axes_of(axis: Axis, rank: int) -> tuple[int, ...]:
    """The axes an `axis` argument names, each once.

    Raises:
        ShapeError: out of range, or named twice.
    """
    if axis is None:
        return tuple(range(rank))
    given = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    found = tuple(normalize_axis(int(a), rank) for a in given)
    if len(set(found)) != len(found):
        raise ShapeError(f"axis {axis} names one axis twice")
    return tuple(sorted(found))


def _finish(result: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if not keepdims:
        return result
    return np.reshape(result, tuple(1 if a in axes else s for a, s in enumerate(x.shape)))


def _reduction(op: ops.Op, widen: bool, needs_elements: bool) -> Any:
    """sum and prod widen small ints to int64 as NumPy does; max and min refuse empty axes."""

    def reduce(
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Tensor:
        if out is not None or where is not True:
            refuse(f"np.{op.name} with out= or where=", "use np.where on the operand")
        x = as_tensor(a)
        if dtype is not None:
            x = x.astype(dtype)
        elif widen and x.node.dtype.kind in "bi":
            x = x.astype(int64)
        if op in (ANY, ALL):
            x = x if x.node.dtype is bool_ else x != 0
        logical = op in (MAX, MIN) and x.node.dtype is bool_
        axes = axes_of(axis, x.ndim)
        if (
            needs_elements
            and initial is None
            and any(x.shape[a] == 0 for a in axes if isinstance(x.shape[a], int))
        ):
            raise ShapeError(f"np.{op.name} of an empty axis has no value; give initial=")
        row = (ANY if op is MAX else ALL) if logical else op
        result = Tensor(apply(row, x.node, axes=axes)) if axes else x
        if initial is not None:
            join = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
            result = join[op.name](result, initial)
        return _finish(result, x, axes, keepdims)

    return reduce


sum_ = _reduction(SUM, True, False)
prod = _reduction(PROD, True, False)
max_ = _reduction(MAX, False, True)
min_ = _reduction(MIN, False, True)
any_ = _reduction(ANY, False, False)
all_ = _reduction(ALL, False, False)


def _count(x: Tensor, axes: tuple[int, ...]) -> Size:
    return product(x.node.shape[a] for a in axes)


def _floating(a: Any) -> Tensor:
    x = as_tensor(a)
    return x if x.node.dtype.kind == "f" else x.astype(float64)


def mean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    where: Any = True,
) -> Tensor:
    x = _floating(a) if dtype is None else as_tensor(a).astype(dtype)
    axes = axes_of(axis, x.ndim)
    total = sum_(x, axes, out=out, keepdims=keepdims, where=where)
    return total / dimension(_count(x, axes), x.node.dtype)


def average(a: Any, axis: Axis = None, weights: Any = None, *, keepdims: bool = False) -> Tensor:
    if weights is None:
        return mean(a, axis, keepdims=keepdims)
    x, w = promote(a, weights)
    if w.ndim == 1 and x.ndim > 1 and isinstance(axis, int):
        w = np.reshape(w, tuple(-1 if i == axis % x.ndim else 1 for i in range(x.ndim)))
    total = np.broadcast_to(w, x.shape)
    return sum_(x * w, axis, keepdims=keepdims) / sum_(total, axis, keepdims=keepdims)


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Tensor:
    x = _floating(a) if dtype is None else as_tensor(a).astype(dtype)
    axes = axes_of(axis, x.ndim)
    center = FUNCTIONS[np.mean](x, axes, keepdims=True) if mean is None else mean
    error = x - center
    count = dimension(_count(x, axes), x.node.dtype)
    shift = ddof if correction is None else correction
    degrees = np.maximum(count - shift, 0) if shift else count
    return sum_(error * error, axes, out=out, keepdims=keepdims, where=where) / degrees


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    **kwargs: Any,
) -> Tensor:
    return np.sqrt(var(a, axis, dtype, out, ddof, keepdims, **kwargs))


def _arg_extremum(extremum: Any) -> Any:
    def find(
        a: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False
    ) -> Tensor:
        """The first place of the extremum; a nan counts as extreme, as in NumPy."""
        x = as_tensor(a)
        x = x.astype(int64) if x.node.dtype is bool_ else x
        if axis is None:
            flat = np.reshape(x, (-1,))
            found = find(flat, 0)
            return np.reshape(found, (1,) * x.ndim) if keepdims else found
        axis = normalize_axis(axis, x.ndim)
        hit = x == extremum(x, axis, keepdims=True)
        if x.node.dtype.kind == "f":
            hit = hit | np.isnan(x)
        place = np.reshape(
            x.arange(x.node.shape[axis]), tuple(-1 if i == axis else 1 for i in range(x.ndim))
        )
        beyond = np.iinfo(np.int64).max
        return min_(np.where(hit, place, beyond), axis, keepdims=keepdims)

    return find


argmax = _arg_extremum(max_)
argmin = _arg_extremum(min_)


def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    x = as_tensor(a)
    return sum_(x if x.node.dtype is bool_ else x != 0, axis, keepdims=keepdims)


def ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Tensor:
    return max_(a, axis, out=out, keepdims=keepdims) - min_(a, axis, keepdims=keepdims)


def nansum(a: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    x = as_tensor(a)
    return sum_(np.where(np.isnan(x), 0, x), axis, keepdims=keepdims)


def nanmean(a: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    x = as_tensor(a)
    counted = sum_(~np.isnan(x), axis, keepdims=keepdims).astype(x.dtype)
    return nansum(x, axis, keepdims) / counted


# --- contractions -------------------------------------------------------------------------------


def contract(x: Tensor, y: Tensor, x_labels: Labels, y_labels: Labels, output: Labels) -> Tensor:
    """A two-operand einsum, normalised: diagonals and lone sums first, so that every label is in
    at least two of x, y and the result."""
    x, x_labels = _lone(*_diagonals(x, x_labels), {*y_labels, *output})
    y, y_labels = _lone(*_diagonals(y, y_labels), {*x_labels, *output})
    x, x_labels, y, y_labels = _match_units(x, x_labels, y, y_labels)
    inputs, output = canonical((x_labels, y_labels), output)
    return Tensor(apply(EINSUM, x.node, y.node, inputs=inputs, output=output))


def _match_units(x: Tensor, x_labels: Labels, y: Tensor, y_labels: Labels) -> Any:
    """einsum lets a size 1 meet any size: broadcast it."""
    sizes: dict[int, Size] = {}
    for value, labels in ((x, x_labels), (y, y_labels)):
        for label, size in zip(labels, value.node.shape, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = size
    wide = [
        np.broadcast_to(
            value,
            tuple(
                sizes[label] if size == 1 else size
                for label, size in zip(labels, value.node.shape, strict=True)
            ),
        )
        if any(
            size == 1 != sizes[label] for label, size in zip(labels, value.node.shape, strict=True)
        )
        else value
        for value, labels in ((x, x_labels), (y, y_labels))
    ]
    return wide[0], x_labels, wide[1], y_labels


def _diagonals(x: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    once = tuple(dict.fromkeys(labels))
    if once == labels:
        return x, labels
    inputs, output = canonical((labels,), once)
    return Tensor(apply(EINSUM, x.node, inputs=inputs, output=output)), once


def _lone(x: Tensor, labels: Labels, elsewhere: set[int]) -> tuple[Tensor, Labels]:
    lone = tuple(axis for axis, label in enumerate(labels) if label not in elsewhere)
    if not lone:
        return x, labels
    return sum_(x, lone), tuple(label for label in labels if label in elsewhere)


def _logical(fn: Any) -> Any:
    """Contractions of bools are `any` of `and`: computed on integers."""

    def wrapped(*operands: Any, **kwargs: Any) -> Any:
        tensors = promote(*operands)
        if tensors[0].node.dtype is bool_:
            return fn(*(x.astype(int64) for x in tensors), **kwargs) != 0
        return fn(*tensors, **kwargs)

    return wrapped


def einsum(*args: Any, out: None = None, optimize: Any = True, **kwargs: Any) -> Tensor:
    """np.einsum, subscripts as a string or as lists of ints; ellipsis allowed."""
    if out is not None or kwargs:
        refuse(f"np.einsum with {', '.join(['out', *kwargs])}", "use the value it returns")
    operands, inputs, output = _parse_einsum(args)
    return _logical(_einsum)(*operands, inputs=inputs, output=output)


def _einsum(*tensors: Tensor, inputs: tuple[Labels, ...], output: Labels) -> Tensor:
    stack = list(zip(tensors, inputs, strict=True))
    while len(stack) > 1:
        pair = _cheapest(stack)
        (x, x_labels), (y, y_labels) = (stack[i] for i in pair)
        rest = [item for i, item in enumerate(stack) if i not in pair]
        needed = {*output, *itertools.chain.from_iterable(labels for _, labels in rest)}
        kept = (
            output
            if not rest
            else tuple(label for label in dict.fromkeys((*x_labels, *y_labels)) if label in needed)
        )
        stack = [*rest, (contract(x, y, x_labels, y_labels, kept), kept)]
    x, labels = _lone(*_diagonals(*stack[0]), set(output))
    return x if labels == output else np.transpose(x, [labels.index(i) for i in output])


def _cheapest(stack: list[tuple[Tensor, Labels]]) -> tuple[int, int]:
    """The pair whose contraction loops over the fewest elements; unknown sizes count 64."""

    def cost(pair: tuple[int, int]) -> int:
        sizes = {
            label: size if isinstance(size, int) else 64
            for i in pair
            for label, size in zip(stack[i][1], stack[i][0].node.shape, strict=True)
        }
        return int(np.prod(list(sizes.values()), dtype=object))

    return min(itertools.combinations(range(len(stack)), 2), key=cost)


def _parse_einsum(args: tuple[Any, ...]) -> tuple[list[Any], tuple[Labels, ...], Labels]:
    if not isinstance(args[0], str):
        pairs = len(args) // 2
        operands = list(args[0 : 2 * pairs : 2])
        texts = [_spell(labels) for labels in args[1 : 2 * pairs : 2]]
        written = ",".join(texts) + ("->" + _spell(args[-1]) if len(args) % 2 else "")
    else:
        written, operands = args[0], list(args[1:])
    written = written.replace(" ", "")
    left, arrow, right = written.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise ShapeError(f"einsum {written!r} names {len(terms)} operands, {len(operands)} given")
    ranks = [np.ndim(x) for x in operands]
    wide = max(
        (
            rank - len(t.replace("...", ""))
            for t, rank in zip(terms, ranks, strict=True)
            if "..." in t
        ),
        default=0,
    )
    expanded = []
    for term, rank in zip(terms, ranks, strict=True):
        count = rank - len(term.replace("...", ""))
        if count < 0 or (count and "..." not in term):
            raise ShapeError(f"einsum term {term!r} does not fit an operand of {rank} axes")
        expanded.append(_expand(term, wide, count))
    if arrow:
        output = _expand(right, wide, wide)
    else:
        letters = [label for labels in expanded for label in labels if label >= 0]
        output = (*range(-wide, 0), *sorted(i for i in set(letters) if letters.count(i) == 1))
    for label in output:
        if not any(label in labels for labels in expanded):
            raise ShapeError(f"einsum {written!r}: output label {chr(label)!r} is in no operand")
    return operands, tuple(expanded), output


def _expand(term: str, wide: int, count: int) -> Labels:
    head, dots, tail = term.partition("...")
    middle = range(-count, 0) if dots else ()
    return (*map(ord, head), *middle, *map(ord, tail))


def _spell(labels: Any) -> str:
    return "".join("..." if i is Ellipsis else chr(ord("A") + i) for i in labels)


@_logical
def matmul(x: Tensor, y: Tensor) -> Tensor:
    if not x.ndim or not y.ndim:
        raise ShapeError(f"matmul needs arrays, not {x.node.type} and {y.node.type}")
    row, inner, column = 1, 2, 3
    x_tail = (inner,) if x.ndim == 1 else (row, inner)
    y_tail = (inner,) if y.ndim == 1 else (inner, column)
    if x.node.shape[-1] != y.node.shape[-len(y_tail)]:
        raise ShapeError(
            f"cannot multiply {x.node.type} by {y.node.type}: {x.node.shape[-1]} "
            f"columns against {y.node.shape[-len(y_tail)]} rows"
        )
    wide = max(x.ndim - len(x_tail), y.ndim - len(y_tail))
    batch = tuple(range(-wide, 0))
    x_labels = (*batch[len(batch) - (x.ndim - len(x_tail)) :], *x_tail)
    y_labels = (*batch[len(batch) - (y.ndim - len(y_tail)) :], *y_tail)
    output = (*batch, *((row,) if x.ndim > 1 else ()), *((column,) if y.ndim > 1 else ()))
    return contract(x, y, x_labels, y_labels, output)


def dot(a: Any, b: Any, out: None = None) -> Tensor:
    x, y = promote(a, b)
    if not x.ndim or not y.ndim:
        return x * y
    return tensordot(x, y, axes=([-1], [max(y.ndim - 2, 0)]))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    x, y = promote(a, b)
    if isinstance(axes, int):
        pairs = [(x.ndim - axes + i, i) for i in range(axes)]
    else:
        lists = [[side] if isinstance(side, int) else list(side) for side in axes]
        pairs = [
            (normalize_axis(i, x.ndim), normalize_axis(j, y.ndim))
            for i, j in zip(*lists, strict=True)
        ]
    for i, j in pairs:
        if x.node.shape[i] != y.node.shape[j]:
            raise ShapeError(
                f"tensordot: axis {i} of {x.node.type} against axis {j} of "
                f"{y.node.type}: {x.node.shape[i]} and {y.node.shape[j]}"
            )
    x_labels = tuple(range(x.ndim))
    partner = {j: i for i, j in pairs}
    y_labels = tuple(partner.get(j, x.ndim + j) for j in range(y.ndim))
    summed = set(partner.values())
    output = tuple(i for i in (*x_labels, *y_labels) if i not in summed)
    return _logical(_einsum)(x, y, inputs=(x_labels, y_labels), output=output)


def inner(a: Any, b: Any) -> Tensor:
    x, y = promote(a, b)
    if not x.ndim or not y.ndim:
        return x * y
    return tensordot(x, y, axes=([-1], [-1]))


def outer(a: Any, b: Any, out: None = None) -> Tensor:
    x, y = (np.reshape(v, (-1,)) for v in promote(a, b))
    return x[:, None] * y[None, :]


def vdot(a: Any, b: Any) -> Tensor:
    x, y = promote(a, b)
    return dot(np.reshape(x, (-1,)), np.reshape(y, (-1,)))


def vecdot(a: Any, b: Any, axis: int = -1) -> Tensor:
    x, y = promote(a, b)
    return sum_(np.moveaxis(x, axis, -1) * np.moveaxis(y, axis, -1), -1)


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None
) -> Tensor:
    return sum_(FUNCTIONS[np.diagonal](a, offset, axis1, axis2), -1, dtype=dtype)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """numpy.linalg.norm for vectors, and the Frobenius norm of anything."""
    value = _floating(x)
    if axis is None and ord in (None, "fro"):
        axis = tuple(range(value.ndim))
    elif axis is None:
        axis = 0 if value.ndim == 1 else (0, 1)
    if ord in (None, "fro") or (ord == 2 and isinstance(axis, int)):
        return np.sqrt(sum_(value * value, axis, keepdims=keepdims))
    if not isinstance(axis, int):
        refuse(
            f"np.linalg.norm of a matrix with ord={ord!r} is not covered",
            "the Frobenius norm is (ord=None)",
        )
    if ord == 1:
        return sum_(np.abs(value), axis, keepdims=keepdims)
    if ord in (np.inf, -np.inf):
        return (max_ if ord > 0 else min_)(np.abs(value), axis, keepdims=keepdims)
    if ord == 0:
        return sum_((value != 0).astype(value.dtype), axis, keepdims=keepdims)
    return sum_(np.abs(value) ** ord, axis, keepdims=keepdims) ** (1.0 / ord)


FUNCTIONS.update(
    {
        np.sum: sum_,
        np.prod: prod,
        np.max: max_,
        np.amax: max_,
        np.min: min_,
        np.amin: min_,
        np.any: any_,
        np.all: all_,
        np.mean: mean,
        np.average: average,
        np.var: var,
        np.std: std,
        np.argmax: argmax,
        np.argmin: argmin,
        np.count_nonzero: count_nonzero,
        np.ptp: ptp,
        np.nansum: nansum,
        np.nanmean: nanmean,
        np.einsum: einsum,
        np.dot: dot,
        np.tensordot: tensordot,
        np.inner: inner,
        np.outer: outer,
        np.vdot: vdot,
        np.trace: trace,
        np.linalg.norm: norm,
        np.linalg.matmul: matmul,
        np.linalg.tensordot: tensordot,
        np.linalg.outer: outer,
    }
)
UFUNCS.update({"matmul": matmul, "vecdot": vecdot})


def _reduce_method(fn: Any) -> Any:
    def reduce(a: Any, axis: Axis = 0, **kwargs: Any) -> Tensor:
        return fn(a, axis, **kwargs)

    return reduce


METHODS.update(
    {
        ("add", "reduce"): _reduce_method(sum_),
        ("multiply", "reduce"): _reduce_method(prod),
        ("maximum", "reduce"): _reduce_method(max_),
        ("minimum", "reduce"): _reduce_method(min_),
        ("logical_and", "reduce"): _reduce_method(all_),
        ("logical_or", "reduce"): _reduce_method(any_),
        ("multiply", "outer"): outer,
    }
)
for _name, _fn in (
    ("sum", sum_),
    ("prod", prod),
    ("max", max_),
    ("min", min_),
    ("any", any_),
    ("all", all_),
    ("mean", mean),
    ("var", var),
    ("std", std),
    ("argmax", argmax),
    ("argmin", argmin),
    ("dot", dot),
    ("trace", trace),
):
    setattr(Tensor, _name, _fn)
