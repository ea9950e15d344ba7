"""vmap: a function of one example becomes a function of a batch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import optree

from graphc import trees
from graphc.errors import ShapeError, TraceError
from graphc.trace import Tensor, abstract, as_tensor, leaf_type, trace_function
from graphc.trace.coverage import place
from graphc.transform.batching import Batch, run, spread
from graphc.transform.gradients import Function, apply_function
from graphc.types import Size, TensorType, normalize_axis

# mypy: disable-error-code="arg-type,return-value,call-overload,type-var,assignment,attr-defined"
# NumPy's functions of tensors give tensors.

Axis = int | None


def vmap(fn: Function, in_axes: Any = 0, out_axes: Any = 0) -> Function:
    """fn of every example along an axis of its arguments, as one function of the batch.

    Args:
        fn: any function that can be traced, with loops, branches and derivatives in it.
        in_axes: the axis of each argument that counts the examples, None for an argument that all
            examples share: one for all arguments, or a tuple with one for each, in which a pytree
            of axes may stand for an argument that is a pytree. Keyword arguments count along
            axis 0.
        out_axes: where the axis goes in the results: one for all or a pytree of them; None for a
            result that is the same for every example.

    Returns:
        A function that takes and returns batches. It is traced once, on one example; what does not
        depend on the example is computed once.

    Raises:
        TraceError: no argument is mapped; `in_axes` or `out_axes` do not fit; None for a result
            that differs between examples.
        ShapeError: an axis that an argument does not have, or two lengths (both are named).
    """
    name = getattr(fn, "__name__", type(fn).__name__)

    def inside(*args: Any, **kwargs: Any) -> Any:
        ordered = {key: kwargs[key] for key in sorted(kwargs)}
        leaves, in_tree, _, shown = abstract(fn, args, ordered)
        chosen = _in_axes(in_axes, args, ordered, name)
        types = [leaf_type(leaf, text) for leaf, text in zip(leaves, shown, strict=True)]
        found = _normalized(types, chosen, shown, name)
        size = _common_size(types, found, shown, name)
        single = [_without(kind, axis) for kind, axis in zip(types, found, strict=True)]
        one_args, one_kwargs = trees.unflatten(in_tree, single)
        traced = trace_function(fn, one_args, one_kwargs)
        batch = Batch(size)
        for node, leaf, axis in zip(traced.graph.inputs, leaves, found, strict=True):
            value = as_tensor(leaf, node.dtype)
            batch.put(node, _moved(value, axis, 0), axis is not None)
        run(traced.graph.outputs, batch)
        results = trees.unflatten(traced.out_tree, traced.graph.outputs)
        targets = _axes_of(out_axes, results, f"out_axes of vmap of {name}")
        outputs = [
            _placed(batch, node, axis, name)
            for node, axis in zip(traced.graph.outputs, targets, strict=True)
        ]
        return trees.unflatten(traced.out_tree, outputs)

    @functools.wraps(fn)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        return apply_function(inside, args, kwargs)

    return transformed


def _in_axes(spec: Any, args: Sequence[Any], kwargs: dict[str, Any], name: str) -> list[Axis]:
    """An axis for each leaf of the arguments."""
    if isinstance(spec, list | tuple):
        if len(spec) != len(args):
            raise TraceError(
                f"in_axes of vmap of {name} has {len(spec)} entries for {len(args)} positional "
                f"arguments{place()}: give one axis (or None) for each"
            )
        specs = list(spec)
    else:
        specs = [spec] * len(args)
    what = f"in_axes of vmap of {name}"
    found = [axis for s, arg in zip(specs, args, strict=True) for axis in _axes_of(s, arg, what)]
    return [*found, *(axis for arg in kwargs.values() for axis in _axes_of(0, arg, what))]


def _axes_of(spec: Any, tree: Any, what: str) -> list[Axis]:
    """The axis for each leaf of a tree, of which `spec` is a prefix."""
    leaves, structure = trees.flatten(tree)
    if spec is None or isinstance(spec, int):
        return [spec] * len(leaves)
    marked = trees.unflatten(structure, [0] * len(leaves))
    try:
        axes = optree.broadcast_prefix(spec, marked, none_is_leaf=True, namespace=trees.NAMESPACE)
    except ValueError:
        given = trees.shown(trees.flatten(spec)[1])
        raise TraceError(
            f"{what} does not fit: it is {given}, and the values are {trees.shown(structure)}"
            f"{place()}: give one axis, or one for each of them"
        ) from None
    present = optree.tree_leaves(marked, none_is_leaf=True, namespace=trees.NAMESPACE)
    found = [axis for axis, leaf in zip(axes, present, strict=True) if leaf is not None]
    wrong = [axis for axis in found if not (axis is None or isinstance(axis, int))]
    if wrong:
        raise TraceError(f"{what} holds {wrong[0]!r}{place()}: an axis is an int, or None")
    return found


def _normalized(
    types: Sequence[TensorType], axes: Sequence[Axis], shown: Sequence[str], name: str
) -> list[Axis]:
    found: list[Axis] = []
    for kind, axis, text in zip(types, axes, shown, strict=True):
        if axis is not None and not -kind.rank <= axis < kind.rank:
            raise ShapeError(
                f"vmap of {name}: {text} is {kind} and has no axis {axis}{place()}: choose another "
                "in_axes, None for what all examples share"
            )
        found.append(None if axis is None else axis % kind.rank)
    return found


def _common_size(
    types: Sequence[TensorType], axes: Sequence[Axis], shown: Sequence[str], name: str
) -> Size:
    """The size that all mapped axes have."""
    known = [
        (kind.shape[axis], axis, text)
        for kind, axis, text in zip(types, axes, shown, strict=True)
        if axis is not None
    ]
    if not known:
        raise TraceError(
            f"vmap of {name} maps none of its arguments, for in_axes are all None{place()}: give "
            "one an axis"
        )
    size, first_axis, first = known[0]
    for other, axis, text in known[1:]:
        if other != size:
            raise ShapeError(
                f"vmap of {name}: {first} has {size} examples along axis {first_axis}, "
                f"{text} has {other} along axis {axis}{place()}: slice them to one number, or give "
                "in_axes=None for what all share"
            )
    return size


def _without(kind: TensorType, axis: Axis) -> TensorType:
    """The type of one example."""
    if axis is None:
        return kind
    return kind.with_shape((*kind.shape[:axis], *kind.shape[axis + 1 :]))


def _moved(value: Tensor, source: Axis, target: int) -> Tensor:
    return value if source is None or source == target else np.moveaxis(value, source, target)


def _placed(batch: Batch, node: Any, axis: Axis, name: str) -> Tensor:
    """A result with the batch axis where it is wanted."""
    value = batch.values[node]
    if axis is None:
        if batch.mapped[node]:
            raise TraceError(
                f"out_axes of vmap of {name} is None for a result {node.type} that differs between "
                f"examples{place()}: give it an axis"
            )
        return value
    target = normalize_axis(axis, node.type.rank + 1, f"out_axes of vmap of {name}:")
    full = value if batch.mapped[node] else spread(value, batch.size)
    return _moved(full, 0, target)


__all__ = ["vmap"]
