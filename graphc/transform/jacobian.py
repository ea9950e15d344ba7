"""Jacobians, Hessians and Hessian-vector products: a batch of directions through one derivative."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import trees
from graphc.derive import pull, push
from graphc.errors import TraceError
from graphc.graph import Graph, Node, apply
from graphc.ops.control import WHILE
from graphc.ops.shape import INPUT
from graphc.trace import Tensor, as_tensor, inline
from graphc.trace.coverage import place
from graphc.transform.batching import Batch, run
from graphc.transform.gradients import (
    Function,
    apply_function,
    check_pair,
    check_sequences,
    grad,
    jvp,
    leaf_slots,
    linearizable,
    split_argnums,
)
from graphc.types import at_most

# mypy: disable-error-code="arg-type,return-value,call-overload,type-var,attr-defined,assignment"
# Traced code is written with NumPy's functions, typed as giving arrays where tensors give tensors.

MODES = ("auto", "forward", "reverse")


def dense_jacobian(
    fn: Function, argnums: int | Sequence[int] = 0, mode: str = "auto", has_aux: bool = False
) -> Function:
    """All first derivatives: see `jacobian`."""
    if mode not in MODES:
        raise TraceError(f"mode of jacobian is one of {', '.join(MODES)}, not {mode!r}{place()}")

    def inside(*args: Any, **kwargs: Any) -> Any:
        chosen = split_argnums(args, argnums)
        traced = linearizable(fn, args, kwargs)
        graph = traced.graph
        numbered = trees.unflatten(traced.out_tree, range(len(graph.outputs)))
        if has_aux:
            check_pair("jacobian", fn, numbered, traced.out_tree)
        measured, structure = trees.flatten(numbered[0] if has_aux else numbered)
        slots = leaf_slots(args, chosen)
        check_floats(graph, slots, measured, traced.shown)
        arguments = [as_tensor(leaf) for leaf in trees.flatten((args, kwargs))[0]]
        rows = _blocks(graph, slots, measured, arguments, mode)
        result = trees.unflatten(structure, [by_argument(r, args, chosen, argnums) for r in rows])
        if not has_aux:
            return result
        return result, trees.unflatten(traced.out_tree, inline(graph, arguments))[1]

    @functools.wraps(fn)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        return apply_function(inside, args, kwargs)

    return transformed


def check_floats(
    graph: Graph, slots: Sequence[int], measured: Sequence[int], shown: Sequence[str]
) -> None:
    """
    Raises:
        TraceError: an argument or a result is not floating point.
    """
    for slot in slots:
        if graph.inputs[slot].dtype.kind != "f":
            raise TraceError(
                f"jacobian with respect to {shown[slot]}: {graph.inputs[slot].type}, which is not "
                "floating point; convert it, or choose other argnums"
            )
    for k in measured:
        y = graph.outputs[k]
        if y.dtype.kind != "f":
            raise TraceError(
                f"jacobian of {graph.output_names[k]}: {y.type}, which is not floating point; "
                "return it beside the rest with has_aux=True"
            )


def by_argument(
    parts: Sequence[Any], args: Sequence[Any], chosen: Sequence[int], argnums: int | Sequence[int]
) -> Any:
    """One part for each leaf of the chosen arguments, in their structures."""
    rest = iter(parts)
    found = tuple(trees.map_leaves(lambda _: next(rest), args[i]) for i in chosen)
    return found[0] if isinstance(argnums, int) else found


def is_forward(mode: str, wrt: Sequence[Node], outputs: Sequence[Node]) -> bool:
    """Whether to push forward: fewer columns than rows, or a loop that only goes that way."""
    if mode != "auto":
        return mode == "forward"
    if has_while(outputs):
        return True
    columns, rows = (sum((x.type.size for x in nodes), 0) for nodes in (wrt, outputs))
    return at_most(columns, rows) or not at_most(rows, columns)


def has_while(outputs: Sequence[Node]) -> bool:
    """Whether there is a loop without a bound, which has no reverse."""
    graph = Graph("", (), tuple(outputs), ("",) * len(outputs))
    return any(
        node.op is WHILE
        or any(isinstance(v, Graph) and has_while(v.outputs) for v in node.params.values())
        for node in graph.nodes
    )


def _blocks(
    graph: Graph,
    slots: Sequence[int],
    measured: Sequence[int],
    arguments: Sequence[Tensor],
    mode: str,
) -> list[list[Tensor]]:
    """For each measured output the derivative with respect to each chosen input."""
    wrt, outputs = [graph.inputs[s] for s in slots], [graph.outputs[k] for k in measured]
    if is_forward(mode, wrt, outputs):
        columns = [pushed(graph, [x], outputs, arguments, [basis(x)]) for x in wrt]
        return [
            [_column(column[k], y, x) for x, column in zip(wrt, columns, strict=True)]
            for k, y in enumerate(outputs)
        ]
    rows = [pulled(graph, wrt, [y], arguments, [basis(y)]) for y in outputs]
    return [
        [np.reshape(g, (*y.shape, *x.shape)) for x, g in zip(wrt, row, strict=True)]
        for y, row in zip(outputs, rows, strict=True)
    ]


def _column(tangents: Tensor, y: Node, x: Node) -> Tensor:
    return np.reshape(np.moveaxis(tangents, 0, -1), (*y.shape, *x.shape))


def basis(x: Node) -> Tensor:
    """The unit directions of an array: ``[x.size, *x.shape]``."""
    size = x.type.size
    ramp = as_tensor(0).arange(size)
    unit = np.equal(np.reshape(ramp, (size, 1)), ramp).astype(x.dtype.numpy)
    return np.reshape(unit, (size, *x.shape))


def pushed(
    graph: Graph,
    wrt: Sequence[Node],
    outputs: Sequence[Node],
    arguments: Sequence[Tensor],
    seeds: Sequence[Tensor],
) -> list[Tensor]:
    """The tangents of the outputs, ``[seed, *y.shape]``, along the seeds of the inputs together."""
    directions = [apply(INPUT, dtype=x.dtype, shape=x.shape) for x in wrt]
    found = push(outputs, wrt, [Tensor(d) for d in directions])
    return _swept(graph, arguments, directions, seeds, found, outputs)


def pulled(
    graph: Graph,
    wrt: Sequence[Node],
    outputs: Sequence[Node],
    arguments: Sequence[Tensor],
    seeds: Sequence[Tensor],
) -> list[Tensor]:
    """The cotangents of the inputs, ``[seed, *x.shape]``, of the seeds of the outputs together."""
    weights = [apply(INPUT, dtype=y.dtype, shape=y.shape) for y in outputs]
    found = pull(outputs, [Tensor(w) for w in weights], wrt)
    return _swept(graph, arguments, weights, seeds, found, wrt)


def _swept(
    graph: Graph,
    arguments: Sequence[Tensor],
    directions: Sequence[Node],
    seeds: Sequence[Tensor],
    found: Sequence[Tensor | None],
    like: Sequence[Node],
) -> list[Tensor]:
    """What was found, for all seeds in place of one direction."""
    batch = Batch(seeds[0].node.shape[0])
    for x, value in zip(graph.inputs, arguments, strict=True):
        batch.put(x, value, False)
    for d, value in zip(directions, seeds, strict=True):
        batch.put(d, value, True)
    run([x.node for x in found if x is not None], batch)
    return [
        np.broadcast_to(as_tensor(0.0).astype(y.dtype.numpy), (batch.size, *y.shape))
        if x is None
        else batch.full(x.node)
        for x, y in zip(found, like, strict=True)
    ]


def hvp(fn: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of fn, which returns a scalar, times tangents: forward over reverse.

    Args:
        primals, tangents: sequences of pytrees of equal structure, shapes and dtypes.

    Returns:
        What `grad` gives: the structure of the one primal, or a tuple with that of each.
    """
    check_sequences("hvp", primals, tangents)
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fn, argnums), primals, tangents)[1]


__all__ = [
    "MODES",
    "basis",
    "by_argument",
    "check_floats",
    "dense_jacobian",
    "has_while",
    "hvp",
    "is_forward",
    "pulled",
    "pushed",
]
