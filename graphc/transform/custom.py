"""Derivatives that are not those of the function: stopped, the user's own, or computed again."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc import trees
from graphc.errors import CheckError, TraceError
from graphc.graph import Graph, apply
from graphc.ops.elementwise import STOP_GRADIENT
from graphc.ops.rules import CHECKPOINT, CUSTOM
from graphc.trace import Tensor, Traced, as_tensor, close, inline, items, trace_function
from graphc.trace.names import is_tracing
from graphc.transform.gradients import Function, jvp
from graphc.types import TensorType

# mypy: disable-error-code="arg-type,return-value,call-overload,assignment"
# Traced code is written with NumPy's functions, typed as giving arrays where tensors give tensors.


def stop_gradient(x: Any) -> Any:
    """x, constant to every derivative; x is an array, a traced value or a pytree of them."""

    def stopped(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or leaf.node.dtype.kind != "f":
            return leaf
        return Tensor(apply(STOP_GRADIENT, leaf.node))

    return trees.map_leaves(stopped, x)


def checkpoint(fn: Function) -> Function:
    """fn, of which derivatives keep the arguments only and compute what is inside again.

    The workspace of a gradient is smaller, its time longer by that of fn. Around the body of a
    scan, ``scan(checkpoint(step), ...)``, it makes the reverse scan keep about the square root of
    the number of carries (of a length that is known; else every 32nd), and run every step once
    more. (A. Griewank, A. Walther, Revolve, 2000, with one level.)

    A decorator. On arrays it is fn.
    """

    @functools.wraps(fn)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        return _checkpointed(fn, args, kwargs) if is_tracing() else fn(*args, **kwargs)

    transformed.recomputed = fn
    return transformed


def _checkpointed(fn: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    ordered = {key: kwargs[key] for key in sorted(kwargs)}
    traced = trace_function(fn, args, ordered)
    body, outside = close(traced.graph)
    xs = [*_tensors((args, ordered), traced.graph), *map(Tensor, outside)]
    ys = inline(body, xs)
    node = apply(CHECKPOINT, *(v.node for v in (*ys, *xs)), body=body, ys=len(ys), xs=len(xs))
    return trees.unflatten(traced.out_tree, items(node))


def _tensors(tree: Any, graph: Graph) -> list[Tensor]:
    """The leaves as values of the types of the graph's first inputs."""
    leaves, _ = trees.flatten(tree)
    return [as_tensor(leaf, x.dtype) for leaf, x in zip(leaves, graph.inputs, strict=False)]


MOST_NESTED = 2
"""A rule that calls its own function has the function's rule in it, and that again the rule: so
often; below, the function is derived as it is written."""


class _Depth(threading.local):
    """In how many of its own rules a function is being traced."""

    depth: int = 0


class CustomDerivative:
    """A function whose derivatives are the user's; made by `custom_derivative`."""

    def __init__(self, fn: Function) -> None:
        self._fn = fn
        self._vjp: tuple[Function, Function] | None = None
        self._jvp: Function | None = None
        self._inside = _Depth()
        self._name = getattr(fn, "__name__", type(fn).__name__)
        functools.update_wrapper(self, fn)

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> CustomDerivative:
        """The reverse rule.

        Args:
            fwd: takes what the function takes, returns (its result, residuals: any pytree).
            bwd: (residuals, cotangent of the result) -> a tuple with the cotangent of each
                argument: the argument's structure, or None for zero.
        """
        self._vjp = (fwd, bwd)
        return self

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """The forward rule, also as a decorator.

        Args:
            rule: (tuple of arguments, tuple of their tangents) -> (result, its tangent). The
                tangents of integers and bools are zeros of their dtypes.
        """
        self._jvp = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """
        Raises:
            TraceError: no rule is defined; a rule returns other structures, shapes or dtypes than
                those of the function; the function or a rule takes a traced value from outside.
        """
        values = self._positional(args, kwargs)
        if not is_tracing() or self._inside.depth > MOST_NESTED:
            return self._fn(*values)
        if self._vjp is None and self._jvp is None:
            raise TraceError(
                f"{self._name} has no derivative yet: define it with {self._name}.defvjp(fwd, bwd) "
                f"or {self._name}.defjvp(rule)"
            )
        traced = self._traced(self._fn, values, self._name)
        xs = _tensors((values, {}), traced.graph)
        ys = inline(traced.graph, [stop_gradient(x) for x in xs])
        rules: dict[str, Graph] = {}
        residuals: list[Tensor] = []
        self._inside.depth += 1
        try:
            if self._vjp is not None:
                rules["vjp"], residuals = self._reverse(traced, xs)
            if self._jvp is not None:
                rules["jvp"] = self._forward(traced, values)
        finally:
            self._inside.depth -= 1
        operands = (v.node for v in (*ys, *xs, *residuals))
        node = apply(CUSTOM, *operands, ys=len(ys), xs=len(xs), **rules)
        return trees.unflatten(traced.out_tree, items(node))

    def check(self, *examples: Any, tolerance: float = 1e-5, seed: int = 0) -> None:
        """Compare the rules with the function they replace, at examples in float64.

        The value that a rule gives must be the function's, and the derivative along a random
        direction that of central differences, relative to the largest magnitude.

        Raises:
            CheckError: they differ; naming what, where and by how much.
        """
        rng = np.random.default_rng(seed)
        values = tuple(trees.map_leaves(np.asarray, x) for x in examples)
        along = trees.map_leaves(lambda x: _direction(x, rng), values)
        wanted = self._fn(*values)
        if self._vjp is not None:
            _compare(
                f"the value of {self._name}'s fwd", self._vjp[0](*values)[0], wanted, tolerance
            )
        if self._jvp is not None:
            zeros = trees.map_leaves(np.zeros_like, values)
            _compare(f"the value of {self._name}'s rule", self._jvp(values, zeros)[0], wanted,
                     tolerance)  # fmt: skip
        step = 1e-6
        ahead, behind = (
            self._fn(*trees.map_leaves(lambda x, v, t=t: x + t * v, values, along))
            for t in (step, -step)
        )
        found = jvp(self, values, along)[1]
        rate = trees.map_leaves(
            lambda a, b: (np.asarray(a, float) - np.asarray(b, float)) / (2 * step), ahead, behind
        )
        _compare(f"the derivative of {self._name}", found, rate, tolerance)

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, defaults filled in, as the rules take them."""
        bound = inspect.signature(self._fn).bind(*args, **kwargs)
        if bound.kwargs:
            raise TraceError(
                f"{self._name} has rules for its positional arguments and cannot take "
                f"{', '.join(bound.kwargs)} by name only"
            )
        bound.apply_defaults()
        return bound.args

    def _traced(self, fn: Function, args: Sequence[Any], what: str) -> Traced:
        """
        Raises:
            TraceError: fn takes a traced value from outside.
        """
        traced = trace_function(fn, args, name=trees.identifier(what))
        _, outside = close(traced.graph)
        if outside:
            taken = ", ".join(x.name or str(x.type) for x in outside)
            raise TraceError(
                f"{what} uses a traced value from outside ({taken}), which its rules cannot "
                "derive; make it an argument"
            )
        return traced

    def _reverse(self, traced: Traced, xs: Sequence[Tensor]) -> tuple[Graph, list[Tensor]]:
        """The graph (residuals, cotangents) -> cotangents, and the residuals here."""
        fwd, bwd = self._vjp
        values, _ = trees.unflatten(traced.in_tree, [x.type for x in traced.graph.inputs])
        both = self._traced(fwd, values, f"{self._name}'s fwd")
        result = trees.unflatten(both.out_tree, both.graph.outputs)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TraceError(f"{self._name}'s fwd returns a pair (result, residuals)")
        self._same("fwd", result[0], traced)
        residuals = inline(both.graph, xs)[len(traced.graph.outputs) :]
        held = trees.map_leaves(lambda x: x.type, result[1])

        def pull(residuals: Any, weights: Any) -> Any:
            given = _with_zeros(weights, traced.graph.outputs, traced.out_tree)
            return self._cotangents(bwd(residuals, given), traced)

        graph = self._traced(
            pull, (held, _smooth_types(traced.graph.outputs)), f"{self._name}'s bwd"
        )
        return graph.graph, residuals

    def _cotangents(self, found: Any, traced: Traced) -> list[Any]:
        """One for each floating-point leaf of the arguments."""
        arguments, _ = trees.unflatten(traced.in_tree, traced.graph.inputs)
        if not isinstance(found, tuple | list) or len(found) != len(arguments):
            raise TraceError(
                f"{self._name}'s bwd returns a tuple of {len(arguments)} cotangents, one for each "
                f"argument, not {found!r:.60}"
            )
        result: list[Any] = []
        for cotangent, argument in zip(found, arguments, strict=True):
            leaves, structure = trees.flatten(argument)
            given, shape = trees.flatten(cotangent)
            if cotangent is None:
                given = [np.zeros_like(Tensor(x)) for x in leaves]
            elif shape != structure:
                raise TraceError(
                    f"{self._name}'s bwd returns a cotangent {shape} for an argument {structure}"
                )
            result += [
                self._fitted("bwd", g, x)
                for g, x in zip(given, leaves, strict=True)
                if x.dtype.kind == "f"
            ]
        return result

    def _forward(self, traced: Traced, values: Sequence[Any]) -> Graph:
        """The graph (arguments, tangents) -> tangents."""
        inputs = traced.graph.inputs

        def push(values: Any, moved: Any) -> Any:
            _, structure = trees.flatten(values)
            tangents = _with_zeros(moved, inputs, structure)
            result = self._jvp(tuple(values), tuple(tangents))
            if not (isinstance(result, tuple) and len(result) == 2):
                raise TraceError(f"{self._name}'s rule returns a pair (result, tangent)")
            self._same("rule", trees.map_leaves(lambda x: as_tensor(x).node, result[0]), traced)
            found, shape = trees.flatten(result[1])
            if shape != traced.out_tree:
                raise TraceError(
                    f"{self._name}'s rule returns a tangent {shape} for a result {traced.out_tree}"
                )
            outputs = traced.graph.outputs
            return [
                self._fitted("rule", t, y)
                for t, y in zip(found, outputs, strict=True)
                if y.dtype.kind == "f"
            ]

        types, _ = trees.unflatten(traced.in_tree, [x.type for x in inputs])
        return self._traced(push, (types, _smooth_types(inputs)), f"{self._name}'s rule").graph

    def _same(self, rule: str, result: Any, traced: Traced) -> None:
        """
        Raises:
            TraceError: a rule's value has not the types of the function's.
        """
        leaves, structure = trees.flatten(result)
        given, wanted = [x.type for x in leaves], [y.type for y in traced.graph.outputs]
        if structure != traced.out_tree or given != wanted:
            raise TraceError(
                f"{self._name}'s {rule} gives a result ({', '.join(map(str, given))}), "
                f"the function ({', '.join(map(str, wanted))})"
            )

    def _fitted(self, rule: str, value: Any, like: Any) -> Tensor:
        """
        Raises:
            TraceError: a derivative has not the type of what it is the derivative of.
        """
        tensor = as_tensor(value, like.dtype)
        if tensor.node.type != like.type:
            raise TraceError(
                f"{self._name}'s {rule} gives a derivative {tensor.node.type} for "
                f"{like.name or 'a value'}: {like.type}"
            )
        return tensor


def custom_derivative(fn: Function) -> CustomDerivative:
    """A function whose derivatives the user states, in one direction or in both; a decorator.

    A rule that is stated in one direction gives the other by transposition. Rules are traced, so
    they can be derived again, mapped and compiled::

        @graphc.custom_derivative
        def clipped(x):
            return x

        clipped.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1, 1),))

    Arguments are arrays, numbers and pytrees of them.
    """
    return CustomDerivative(fn)


def _smooth_types(nodes: Sequence[Any]) -> list[TensorType]:
    return [x.type for x in nodes if x.dtype.kind == "f"]


def _with_zeros(given: Sequence[Any], nodes: Sequence[Any], structure: Any) -> Any:
    """The structure with what is given for floating-point leaves and zeros for others."""
    rest = iter(given)
    return trees.unflatten(
        structure,
        [next(rest) if x.dtype.kind == "f" else _zeros(x.type) for x in nodes],
    )


def _zeros(kind: TensorType) -> Any:
    return np.broadcast_to(as_tensor(np.zeros((), kind.dtype.numpy)), kind.shape)


def _direction(x: Any, rng: np.random.Generator) -> Any:
    return rng.standard_normal(x.shape).astype(x.dtype) if x.dtype.kind == "f" else np.zeros_like(x)


def _compare(what: str, found: Any, wanted: Any, tolerance: float) -> None:
    """
    Raises:
        CheckError: they differ by more than the tolerance.
    """
    pairs = zip(trees.flatten(found)[0], trees.flatten(wanted)[0], strict=True)
    for a, b in pairs:
        a, b = np.asarray(a, float), np.asarray(b, float)
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        apart = np.abs(a - b)
        if a.shape != b.shape or not np.all(apart <= tolerance * scale):
            at = np.unravel_index(int(np.argmax(apart)), apart.shape)
            place = f" at {list(map(int, at))}" if at else ""
            raise CheckError(f"{what} is {a[at]:.8g}{place}, where the function gives {b[at]:.8g}")


__all__ = ["CustomDerivative", "checkpoint", "custom_derivative", "stop_gradient"]
