"""Functions in, functions out: grad, value_and_grad, vjp, jvp. They compose in any order.

On arrays a transformed function computes with NumPy; inside a trace it adds to the graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import reference, trees
from graphc.derive import pull, push
from graphc.errors import GraphcError, TraceError
from graphc.graph import Graph, Node
from graphc.passes import prepare
from graphc.trace import Tensor, Traced, as_tensor, called, inline, trace_function
from graphc.trace.coverage import place, with_place
from graphc.trace.names import is_tracing

Function = Callable[..., Any]


def linearizable(fn: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> Traced:
    """fn traced at these arguments and rewritten so that its derivative is finite where it is."""
    traced = trace_function(fn, args, kwargs)
    return Traced(prepare(traced.graph), traced.in_tree, traced.out_tree, traced.shown)


def apply_function(fn: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """fn itself inside a trace; elsewhere by tracing it and running the graph with NumPy.

    What is refused without a line of the user's gets that of the call.
    """
    try:
        if is_tracing():
            return fn(*args, **kwargs)
        traced = trace_function(fn, args, kwargs)
    except GraphcError as error:
        raise with_place(error) from None
    leaves, _ = trees.flatten((tuple(args), kwargs))
    results = reference.run(prepare(traced.graph), leaves)
    return trees.unflatten(traced.out_tree, [x[()] for x in results])


def split_argnums(args: Sequence[Any], argnums: int | Sequence[int]) -> tuple[int, ...]:
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for i in chosen:
        if not isinstance(i, int | np.integer):
            raise TraceError(f"argnums {argnums!r} holds {i!r}: it is an int, or a tuple of ints")
        if not -len(args) <= i < len(args):
            raise TraceError(f"argnums {argnums} names argument {i} of a call with {len(args)}")
    return tuple(i % len(args) for i in chosen)


def value_and_grad(
    fn: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Function:
    """A function that returns (fn(...), gradient).

    Args:
        fn: returns a floating-point scalar, or (scalar, anything) with has_aux.
        argnums: the positional argument(s) to derive with respect to; each may be a pytree. The
            gradient has the structure of the argument (a tuple of them for a sequence).

    Raises:
        TraceError: fn does not return a scalar, or an argument is not floating point.
    """

    @functools.wraps(fn)  # the arguments keep their names
    def inside(*args: Any, **kwargs: Any) -> Any:
        chosen = split_argnums(args, argnums)
        traced = linearizable(fn, args, kwargs)
        graph, leaves = traced.graph, trees.flatten((args, kwargs))[0]
        result = trees.unflatten(traced.out_tree, graph.outputs)
        if has_aux:
            check_pair("the gradient", fn, result, traced.out_tree)
        value = result[0] if has_aux else result
        _check_scalar(value, getattr(fn, "__name__", "the function"))
        slots = leaf_slots(args, chosen)
        for slot in slots:
            if graph.inputs[slot].dtype.kind != "f":
                raise TraceError(
                    f"grad with respect to {traced.shown[slot]}: {graph.inputs[slot].type}, which "
                    "is not floating point; convert it, or choose other argnums"
                )
        wrt = [graph.inputs[slot] for slot in slots]
        grads = _gradients(value, wrt)
        names = [x.name for x in wrt]
        joint = Graph(
            graph.name,
            graph.inputs,
            (*graph.outputs, *(g.node for g in grads)),
            (*graph.output_names, *(f"d_{name}" for name in names)),
        )
        values = inline(joint, [as_tensor(leaf) for leaf in leaves])
        primal = trees.unflatten(traced.out_tree, values[: len(graph.outputs)])
        parts = iter(values[len(graph.outputs) :])
        by_argument = tuple(trees.map_leaves(lambda _: next(parts), args[i]) for i in chosen)
        return primal, by_argument[0] if isinstance(argnums, int) else by_argument

    @functools.wraps(fn)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        return apply_function(inside, args, kwargs)

    return transformed


def grad(fn: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of fn: see `value_and_grad`. With has_aux, the gradient
    and the auxiliary output."""
    both = value_and_grad(fn, argnums, has_aux)

    @functools.wraps(fn)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def _gradients(value: Node, wrt: Sequence[Node]) -> list[Tensor]:
    """The gradient of a scalar with respect to each input, zeros where it does not depend on it."""
    found = pull([value], [np.ones_like(Tensor(value))], wrt)
    return [np.zeros_like(Tensor(x)) if g is None else g for g, x in zip(found, wrt, strict=True)]


def grad_graph(
    graph: Graph, wrt: str | Sequence[str | Node] | None = None, value: bool = False
) -> Graph:
    """The gradient of a graph with one output, a floating-point scalar, as a graph.

    Args:
        wrt: inputs, or their names; None means all that are floating point.
        value: whether the graph's own output comes first.

    Returns:
        A graph with the same inputs whose outputs are called ``d_<input>``.

    Raises:
        TraceError: the output is not one scalar, or `wrt` names what is no floating-point input.
    """
    if len(graph.outputs) != 1:
        raise TraceError(
            f"{graph.name} has {len(graph.outputs)} outputs; its gradient needs one, "
            "a floating-point scalar"
        )
    slots = _slots_of(graph, wrt)
    linear = prepare(graph)
    (output,) = linear.outputs
    _check_scalar(output, graph.name)
    inputs = [linear.inputs[slot] for slot in slots]
    grads = [g.node for g in _gradients(output, inputs)]
    wanted = [*(graph.output_names if value else ()), *(f"d_{x.name}" for x in inputs)]
    outputs = (*((output,) if value else ()), *grads)
    derived = Graph(f"{graph.name}_grad", linear.inputs, outputs, ("",) * len(outputs), graph.doc)
    return called(derived, wanted)


def _slots_of(graph: Graph, wrt: str | Sequence[str | Node] | None) -> list[int]:
    """Positions of the inputs that `wrt` names."""
    if wrt is None:
        return [slot for slot, x in enumerate(graph.inputs) if x.dtype.kind == "f"]
    slots = []
    for key in [wrt] if isinstance(wrt, str) else wrt:
        slot = next((i for i, x in enumerate(graph.inputs) if key is x or key == x.name), None)
        if slot is None:
            listed = ", ".join(f"{x.name}: {x.type}" for x in graph.inputs)
            raise TraceError(f"{graph.name} has no input {key!r}; its inputs are {listed}")
        if graph.inputs[slot].dtype.kind != "f":
            raise TraceError(
                f"the input {graph.inputs[slot].name}: {graph.inputs[slot].type} is "
                "not floating point, so there is no gradient with respect to it"
            )
        slots.append(slot)
    return slots


def check_pair(what: str, fn: Function, result: Any, structure: Any) -> None:
    """
    Raises:
        TraceError: with has_aux fn returns no (value, aux).
    """
    if not (isinstance(result, tuple | list) and len(result) == 2):
        raise TraceError(
            f"{what} of {getattr(fn, '__name__', 'the function')} with has_aux=True: it returns "
            f"{trees.shown(structure)}, not a pair (value, aux)"
        )


def _check_scalar(value: Any, name: str) -> None:
    if not hasattr(value, "type"):
        raise TraceError(
            f"{name} returns several values; its gradient needs one scalar "
            "(has_aux=True for a scalar and anything else)"
        )
    if value.type.shape or value.dtype.kind != "f":
        raise TraceError(
            f"{name} returns {value.type}; a gradient needs a floating-point scalar: "
            "sum or average it, or use vjp or jacobian"
        )


def leaf_slots(args: Sequence[Any], chosen: tuple[int, ...]) -> list[int]:
    """Positions among all leaves of the leaves of the chosen arguments."""
    slots: list[int] = []
    counts = [len(trees.flatten(argument)[0]) for argument in args]
    for i in chosen:
        start = sum(counts[:i])
        slots += range(start, start + counts[i])
    return slots


def jvp(fn: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(fn(*primals), the directional derivative along tangents).

    Args:
        primals, tangents: sequences of pytrees of equal structure, shapes and dtypes.

    Raises:
        TraceError: they are no sequences, or tangents have another structure, shape or dtype.
    """
    check_sequences("jvp", primals, tangents)

    def inside(primals: Any, tangents: Any) -> Any:
        traced = linearizable(fn, primals, {})
        graph = traced.graph
        leaves, _ = trees.flatten((tuple(primals), {}))
        given, shape = trees.flatten(tuple(tangents))
        if shape != trees.flatten(tuple(primals))[1]:
            raise TraceError(
                f"jvp: tangents have the structure {trees.shown(shape)}, primals "
                f"{trees.shown(trees.flatten(tuple(primals))[1])}; give a tangent for each primal"
            )
        directions = [as_tensor(t, x.dtype) for t, x in zip(given, graph.inputs, strict=True)]
        _check_types("jvp: tangent of", directions, graph.inputs)
        values = _with_inputs(graph, directions, leaves)
        return (
            trees.unflatten(traced.out_tree, values[: len(graph.outputs)]),
            trees.unflatten(traced.out_tree, values[len(graph.outputs) :]),
        )

    return apply_function(inside, (tuple(primals), tuple(tangents)), {})


def check_sequences(name: str, primals: Any, tangents: Any) -> None:
    """
    Raises:
        TraceError: primals or tangents are no list or tuple, an array for instance.
    """
    if not isinstance(primals, list | tuple) or not isinstance(tangents, list | tuple):
        raise TraceError(
            f"{name} takes sequences of primals and tangents: {name}(fn, (x,), (v,)), not "
            f"{type(primals).__name__} and {type(tangents).__name__}{place()}"
        )


def _with_inputs(graph: Graph, directions: Sequence[Tensor], leaves: Sequence[Any]) -> list[Tensor]:
    """Outputs and their tangents. The directions are values of the outer trace already."""
    pushed = push(graph.outputs, graph.inputs, directions)
    tangents = [
        np.zeros_like(Tensor(y)) if t is None else t
        for t, y in zip(pushed, graph.outputs, strict=True)
    ]
    outputs = (*graph.outputs, *(t.node for t in tangents))
    joint = Graph(graph.name, graph.inputs, outputs, ("",) * len(outputs))
    return inline(joint, [as_tensor(leaf) for leaf in leaves])


def _check_types(what: str, given: Sequence[Tensor], wanted: Sequence[Any]) -> None:
    for tensor, node in zip(given, wanted, strict=True):
        if tensor.node.type != node.type:
            raise TraceError(
                f"{what} {node.name or 'an output'} must be {node.type}, not {tensor.node.type}"
            )


def vjp(fn: Function, *primals: Any, has_aux: bool = False) -> Any:
    """(fn(*primals), pullback): pullback(cotangent) is the tuple of cotangents of the primals.

    With has_aux fn returns (value, aux) and so does vjp: (value, pullback, aux).
    """
    value = apply_function(fn, primals, {})
    if has_aux:
        check_pair("vjp", fn, value, trees.flatten(value)[1])

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        return apply_function(inside, (primals, cotangent), {})

    def inside(primals: Any, cotangent: Any) -> Any:
        traced = linearizable(fn, primals, {})
        graph = traced.graph
        result = trees.unflatten(traced.out_tree, graph.outputs)
        outputs, structure = trees.flatten(result[0] if has_aux else result)
        given, shape = trees.flatten(cotangent)
        if shape != structure:
            raise TraceError(
                f"vjp: the cotangent has the structure {trees.shown(shape)}, the result "
                f"{trees.shown(structure)}; give a cotangent for each output"
            )
        cotangents = [as_tensor(g, y.dtype) for g, y in zip(given, outputs, strict=True)]
        _check_types("vjp: cotangent of", cotangents, outputs)
        found = pull(outputs, cotangents, graph.inputs)
        grads = [
            np.zeros_like(Tensor(x)) if g is None else g
            for g, x in zip(found, graph.inputs, strict=True)
        ]
        joint = Graph(graph.name, graph.inputs, tuple(g.node for g in grads), ("",) * len(grads))
        leaves, _ = trees.flatten((tuple(primals), {}))
        values = iter(inline(joint, [as_tensor(leaf) for leaf in leaves]))
        return tuple(trees.map_leaves(lambda _: next(values), p) for p in primals)

    return (value[0], pullback, value[1]) if has_aux else (value, pullback)


__all__ = ["apply_function", "grad", "grad_graph", "jvp", "value_and_grad", "vjp"]
