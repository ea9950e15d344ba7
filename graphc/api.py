"""What a user calls: `trace` a function, look at its `Graph`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from graphc import graph as core
from graphc import passes, reference, transform, trees
from graphc.errors import ArgumentError, TraceError
from graphc.trace import Traced, trace_function


@dataclass(frozen=True, repr=False, eq=False)
class Graph(core.Graph):
    """A traced function: ``str(graph)`` lists its nodes, ``graph(*arrays)`` runs it with NumPy.

    `inputs` and `outputs` are flat; `in_tree` and `out_tree` are the pytrees of the arguments,
    ``((args), {kwargs})``, and of the result; `shown` says how the user writes each input
    (``params['W1']``).
    """

    in_tree: Any = None
    out_tree: Any = None
    shown: tuple[str, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result on these arrays, computed by NumPy node by node.

        Args:
            args, kwargs: arrays and numbers in the structure, shapes and dtypes that were traced.

        Returns:
            What the function returns: the same structure, of arrays and NumPy scalars.

        Raises:
            ArgumentError: another structure, or an array that does not fit.
        """
        results = reference.run(self, self.leaves(*args, **kwargs))
        return trees.unflatten(self.out_tree, [x[()] for x in results])

    def leaves(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The arguments as one flat list in the order of `inputs`.

        Raises:
            ArgumentError: the arguments have another structure than the traced ones.
        """
        found, tree = trees.flatten((args, {key: kwargs[key] for key in sorted(kwargs)}))
        if tree != self.in_tree:
            raise ArgumentError(
                f"{self.name} was traced with arguments ({', '.join(self.shown)}) and is called "
                f"with {len(args) + len(kwargs)} arguments of {len(found)} arrays in another "
                "structure; pass the same dicts, lists and tuples"
            )
        return found

    def grad(self, wrt: str | Sequence[str] | None = None, *, value: bool = False) -> Graph:
        """The graph of the gradient of this graph's one output, a floating-point scalar.

        Args:
            wrt: an input's name (``"w13"``, ``"params_W1"``, ``"params['W1']"``), the name of an
                argument that is a pytree (``"params"``), or a sequence of such names; None means
                all floating-point inputs, as a tuple.
            value: also return the output itself, before the gradient.

        Returns:
            A graph that returns the gradient in the structure of `wrt`: one array for a name, a
            tuple for a sequence, a pytree for an argument that is one; with `value` the pair
            (output, gradient). It can be derived again.

        Raises:
            TraceError: the output is not one scalar, or a name is not that of such an input.
        """
        chosen = self._floating() if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
        found = [self._resolve(name) for name in chosen]
        slots = [slot for one, _ in found for slot in one]
        derived = transform.grad_graph(self.plain, [self.inputs[slot] for slot in slots], value)
        parts = iter(range(value, value + len(slots)))
        shapes = [trees.unflatten(tree, [next(parts) for _ in one]) for one, tree in found]
        gradient = shapes[0] if isinstance(wrt, str) else tuple(shapes)
        _, out_tree = trees.flatten((0, gradient) if value else gradient)
        return self._with(derived, out_tree)

    def optimized(self) -> Graph:
        """The graph after all passes, as it is when C is made of it."""
        return self._with(passes.optimize(self.plain), self.out_tree)

    @property
    def plain(self) -> core.Graph:
        """The same without trees, for functions that make graphs of graphs."""
        return core.Graph(*(getattr(self, field.name) for field in fields(core.Graph)))

    def _with(self, graph: core.Graph, out_tree: Any) -> Graph:
        return Graph(
            *(getattr(graph, field.name) for field in fields(core.Graph)),
            self.in_tree,
            out_tree,
            self.shown,
        )

    def _floating(self) -> list[str]:
        return [x.name for x in self.inputs if x.dtype.kind == "f" and x.name]

    def _resolve(self, name: str) -> tuple[list[int], Any]:
        """(positions among the inputs, structure) of what `name` names."""
        start = 0
        for argument in (part for group in self.in_tree.children() for part in group.children()):
            slots = list(range(start, start + argument.num_leaves))
            start += argument.num_leaves
            if slots and _root(self.shown[slots[0]]) == name:
                return slots, argument
        for slot, (node, shown) in enumerate(zip(self.inputs, self.shown, strict=True)):
            if name in (node.name, shown):
                return [slot], trees.flatten(0)[1]
        raise TraceError(
            f"{self.name} has no input {name!r}; its inputs are {', '.join(self.shown)}"
        )

    def __repr__(self) -> str:
        return str(self)


def _root(shown: str) -> str:
    """The argument's name in ``params['W1']`` or ``params.W1``."""
    return shown.partition("[")[0].partition(".")[0]


def of_traced(traced: Traced) -> Graph:
    """The public graph of what `trace_function` returns."""
    graph = traced.graph
    return Graph(
        graph.name,
        graph.inputs,
        graph.outputs,
        graph.output_names,
        graph.doc,
        traced.in_tree,
        traced.out_tree,
        traced.shown,
    )


def trace(fn: Callable[..., Any], *args: Any, name: str | None = None, **kwargs: Any) -> Graph:
    """The graph of a NumPy function.

    Args:
        fn: a function of arrays and numbers, or of pytrees of them (dicts, lists, tuples,
            namedtuples, dataclasses), that returns such.
        args, kwargs: an example of each argument (an array, a Python number) or its type
            (``graphc.float32["n", 784]``, ``graphc.float64`` for a scalar). Python numbers are
            float64, int64 and bool scalars. Arguments left out keep their defaults as constants.
        name: the graph's name; fn's own if None.

    Raises:
        TraceError: fn does with a traced value what a graph cannot hold; the message has the line
            and the way out.
        ShapeError, DTypeError: shapes or dtypes that do not fit, as in NumPy.
    """
    graph = of_traced(trace_function(fn, args, kwargs, name))
    return replace(graph, name=trees.identifier(name)) if name else graph
