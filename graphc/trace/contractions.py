"""einsum, and NumPy's products that are einsums: matmul, dot, tensordot."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import apply
from graphc.ops.reduce import EINSUM, SUM, Labels, canonical
from graphc.ops.shape import DIAGONAL
from graphc.trace.coverage import FUNCTIONS, UFUNCS, refuse
from graphc.trace.tensor import Tensor, attach, promote
from graphc.types import Size, bool_, int64, normalize_axis


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
    """Without labels that occur twice: their diagonal is taken, and comes last."""
    while (twice := next((label for label in labels if labels.count(label) > 1), None)) is not None:
        i, j = [axis for axis, label in enumerate(labels) if label == twice][:2]
        sizes = x.node.shape[i], x.node.shape[j]
        if sizes[0] != sizes[1]:
            raise ShapeError(
                f"einsum: axes {i} and {j} of {x.node.type} share a label and differ in size"
            )
        rest = [axis for axis in range(len(labels)) if axis not in (i, j)]
        x = Tensor(apply(DIAGONAL, np.transpose(x, (*rest, i, j)).node))
        labels = (*(labels[axis] for axis in rest), twice)
    return x, labels


def _lone(x: Tensor, labels: Labels, elsewhere: set[int]) -> tuple[Tensor, Labels]:
    """With labels that are in nothing else summed."""
    lone = tuple(axis for axis, label in enumerate(labels) if label not in elsewhere)
    if not lone:
        return x, labels
    kept = tuple(label for label in labels if label in elsewhere)
    return Tensor(apply(SUM, x.node, axes=lone)), kept


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
    """np.matmul."""
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
    """np.dot."""
    x, y = promote(a, b)
    if not x.ndim or not y.ndim:
        return x * y
    return tensordot(x, y, axes=([-1], [max(y.ndim - 2, 0)]))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """np.tensordot."""
    x, y = promote(a, b)
    if isinstance(axes, int):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise ShapeError(f"tensordot over {axes} axes of {x.node.type} and {y.node.type}")
        pairs = [(x.ndim - axes + i, i) for i in range(axes)]
    else:
        lists = [[side] if isinstance(side, int) else list(side) for side in axes]
        if len(lists[0]) != len(lists[1]):
            raise ShapeError(f"tensordot: axes {axes} do not pair up")
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


FUNCTIONS.update({
    np.einsum: einsum, np.dot: dot, np.tensordot: tensordot, np.linalg.matmul: matmul,
    np.linalg.tensordot: tensordot,
})  # fmt: skip
UFUNCS["matmul"] = matmul
attach("dot", dot)
