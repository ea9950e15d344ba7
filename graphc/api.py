"""What a user calls: `trace` a function and look at its `Graph`; `compile` it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphc import (
    build,
    donation,
    passes,
    reference,
    resources,
    transform,
    trees,
)
from graphc import graph as core
from graphc.digest import digest
from graphc.donation import Donate
from graphc.errors import ArgumentError, DrawError, TraceError
from graphc.garbage import seldom
from graphc.interpreted import Interpreted
from graphc.kernel import Flatten, Kernel, Unflatten
from graphc.later import Later
from graphc.loops import Argument, Program
from graphc.options import Options, bytes_of, thread_count
from graphc.trace import trace_function
from graphc.tune import tuned
from graphc.units import CUnit

if TYPE_CHECKING:
    from graphc import emit_c, emit_dot, emit_tex, lower
else:  # a kernel of the disk cache needs neither of them
    emit_c, emit_dot = Later("graphc.emit_c"), Later("graphc.emit_dot")
    emit_tex, lower = Later("graphc.emit_tex"), Later("graphc.lower")


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
        results = reference.run(self, self.leaves(args, kwargs))
        return trees.unflatten(self.out_tree, [x[()] for x in results])

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The arguments of a call as one flat list in the order of `inputs`.

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

    def draw(
        self, path: str | Path, view: str = "graph", *, weights: Collection[str] | None = None
    ) -> Path:
        """Draw the graph into a file whose suffix says the format: svg, png, pdf, dot.

        Args:
            view: "graph" shows operations, the forward and the backward part in two colours;
                "network" neurons as a lecturer draws them; "kernels" the loops of the C.
            weights: for "network", the names of the inputs that are weights; None finds them.

        Returns:
            The path.

        Raises:
            DrawError: Graphviz' dot is missing, an unknown view or format, a bad folder.
        """
        if view == "kernels":
            program, _ = in_c(self)
            return emit_dot.draw(passes.optimize(self.plain), path, view, program)
        return emit_dot.draw(self.plain, path, view, weights=weights)

    def _repr_svg_(self) -> str | None:
        """The picture in a notebook; without dot the notebook shows the text instead."""
        try:
            return emit_dot.render(emit_dot.dot_text(self.plain, "graph"), format="svg").decode()
        except DrawError:
            return None

    def latex(self) -> str:
        """The equations between the named values, as a LaTeX align* block (amsmath)."""
        return emit_tex.latex(self.plain)

    def renamed(self, name: str) -> Graph:
        """The same graph called `name`, which is also the name of its C function."""
        return replace(self, name=trees.identifier(name))

    def optimized(self) -> Graph:
        """The graph after all passes, as it is when C is made of it."""
        return self._with(passes.optimize(self.plain), self.out_tree)

    @property
    def plain(self) -> core.Graph:
        """The same without trees, for functions that make graphs of graphs."""
        told = (self.name, self.inputs, self.outputs, self.output_names, self.doc)
        return core.Graph(*told).walked(self.nodes)

    def _with(self, graph: core.Graph, out_tree: Any) -> Graph:
        return public(graph, self.in_tree, out_tree, self.shown)

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


def public(graph: core.Graph, in_tree: Any, out_tree: Any, shown: tuple[str, ...]) -> Graph:
    """The graph with the trees of its arguments and result."""
    told = (graph.name, graph.inputs, graph.outputs, graph.output_names, graph.doc)
    return Graph(*told, in_tree, out_tree, shown).walked(graph.nodes)


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
    traced = trace_function(fn, args, kwargs, name)
    return public(traced.graph, traced.in_tree, traced.out_tree, traced.shown)


def in_c(graph: core.Graph, options: Options | None = None) -> tuple[Program, CUnit]:
    """The loops that a graph becomes, and their text in C."""
    shown = _shown(graph)
    best = passes.optimize(graph.plain if isinstance(graph, Graph) else graph)
    watched, sites = passes.trapped(best) if options and options.trap_nans else (best, ())
    program = lower.lower(watched, shown, options, sites)
    return program, emit_c.emit(program)


def compile(
    fn: Callable[..., Any] | core.Graph,
    *args: Any,
    name: str | None = None,
    target: str | None = None,
    trap_nans: bool = False,
    donate: Donate = (),
    optimize: int | None = None,
    memory: int | str | None = None,
    threads: int | Literal["auto"] | None = None,
    tune: bool | Mapping[str, int] = False,
    **kwargs: Any,
) -> Kernel:
    """A function or a graph as compiled C.

    Args:
        fn: a NumPy function, or a graph.
        args, kwargs: for a function, examples or types of its arguments, as for `trace`.
        name: the name of the C function; fn's own if None.
        target: the machine that compiles it for: "native", this one; "portable", any of its
            family, in plain C11; or what the compiler's -march= takes ("x86-64-v3"). None:
            $GRAPHC_TARGET, else native. The C is the same for all.
        trap_nans: also watch every float: a call raises NonFiniteError where the first nan or
            infinity is made, and the C function takes a `graphc_trap *` that tells. Slower.
        donate: names or positions of arguments, arrays or pytrees of arrays, whose memory the
            results take: ``donate="params"`` for a step that returns new params. They are
            overwritten, and returned. Which result goes where: see `graphc.donation`.
        optimize: 2, C that runs fast; 1, the same C, compiled three times as quickly, that runs a
            little slower; 0, no compiler: NumPy computes the optimised graph, which is ready at
            once, and the C is made when somebody asks for it. Results agree to rounding. None:
            $GRAPHC_OPTIMIZE, else 2. With `trap_nans`, `donate` or `memory`, which only C has,
            0 is 1.
        memory: the most bytes that the workspace may take (262144, "256KiB"): values are computed
            again, the same to the last bit, until it fits.
        threads: how many threads a call may use, where the work repays them; "auto" is the number
            of CPUs this process may use. The results are the same bits for any number from 1 on.
            None: $GRAPHC_THREADS, else C without any thought of threads. With `memory` or
            `trap_nans` there is one.
        tune: also compile two or three variants of the C, time them, and take the fastest, here
            and in later processes on this machine; `kernel.variant` names it. They are called with
            copies of the examples, random values for types, and run-time dimensions of 128 or of
            the sizes given (``tune={"n": 1000}``). Results agree to rounding. Not with 0.

    Returns:
        A kernel that is called as fn is: the same structure of arguments and result.

    Raises:
        TraceError, ShapeError, DTypeError: as `trace`.
        BuildError: there is no C compiler.
        ArgumentError: no result can take the memory of a donated argument, or the workspace does
            not fit.
    """
    options = _options(target, trap_nans, optimize, bytes_of(memory), threads)
    if options.optimize:
        build.begin()
    with seldom():
        graph = _graph_of(fn, args, kwargs, name)
        options = replace(options, donated=_donated(graph, donate))
        return _kernel(graph, _tuned(graph, options, (args, kwargs), tune))


def options_for(
    graph: core.Graph,
    donate: Donate = (),
    target: str | None = None,
    trap_nans: bool = False,
    memory: int | str | None = None,
    threads: int | Literal["auto"] | None = None,
) -> Options:
    """What `compile` is asked for with these arguments."""
    options = _options(target, trap_nans, None, bytes_of(memory), threads)
    return replace(options, donated=_donated(graph, donate))


def _options(
    target: str | None,
    trap_nans: bool,
    optimize: int | None,
    memory: int | None,
    threads: int | Literal["auto"] | None,
) -> Options:
    asked: dict[str, Any] = {
        "target": target,
        "trap_nans": trap_nans,
        "optimize": optimize,
        "memory": memory,
        "threads": None if threads is None else thread_count(threads),
    }
    return Options(**{name: x for name, x in asked.items() if x is not None})


def _tuned(
    graph: core.Graph,
    options: Options,
    given: tuple[tuple[Any, ...], dict[str, Any]],
    tune: bool | Mapping[str, int],
) -> Options:
    """The options with the variant that is fastest on the examples; a graph has types alone."""
    if tune is False or not options.optimize:
        return options
    args, kwargs = given
    leaves, _ = trees.flatten((args, {key: kwargs[key] for key in sorted(kwargs)}))
    types, sizes = leaves or [x.type for x in graph.inputs], {} if tune is True else tune
    return tuned(graph, _shown(graph), options, functools.partial(_made, graph), types, sizes)


def _graph_of(
    fn: Callable[..., Any] | core.Graph,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str | None,
) -> core.Graph:
    """What is to be compiled, under its name."""
    if not isinstance(fn, core.Graph):
        graph: core.Graph = trace(fn, *args, **kwargs)
    elif args or kwargs:
        raise TraceError(f"the graph {fn.name} has types already; compile it without examples")
    else:
        graph = fn
    return replace(graph, name=trees.identifier(name)) if name else graph


def _donated(graph: core.Graph, donate: Donate) -> tuple[tuple[int, int], ...]:
    if isinstance(graph, Graph):
        return donation.pairs(graph, graph.in_tree, graph.out_tree, graph.shown, donate)
    return donation.pairs(graph, None, None, [x.name or "x" for x in graph.inputs], donate)


def _shown(graph: core.Graph) -> tuple[str, ...] | None:
    return graph.shown if isinstance(graph, Graph) else None


def _made(graph: core.Graph, options: Options) -> tuple[Program, CUnit]:
    """As `in_c`, or from the disk cache."""
    paths = options.trap_nans  # whose errors name the file
    key = digest(graph, _shown(graph), options, resources.fingerprint(), paths=paths)
    return build.remember(key, lambda: in_c(graph, options))


def _kernel(graph: core.Graph, options: Options) -> Kernel:
    make = functools.partial(_made, graph, options)
    flatten, unflatten = _trees(graph) if isinstance(graph, Graph) else (None, None)
    only_c = options.trap_nans or options.donated or options.memory is not None
    if options.optimize == 0 and not only_c:
        plain = graph.plain if isinstance(graph, Graph) else graph
        signature = without_body(plain, _shown(graph))
        run = functools.partial(reference.run, passes.optimize(plain))
        return Interpreted(signature, run, make, flatten, unflatten, graph, options)
    return Kernel(*make(), flatten=flatten, unflatten=unflatten, graph=graph, options=options)


def _trees(graph: Graph) -> tuple[Flatten | None, Unflatten | None]:
    """How arguments become leaves, and leaves the result; None where they are the same."""
    leaves, results = len(graph.inputs), len(graph.outputs)
    flat = graph.in_tree == trees.flatten(((0,) * leaves, {}))[1]
    plain = graph.out_tree == trees.flatten((0,) * results if results != 1 else 0)[1]
    unflatten = functools.partial(trees.unflatten, graph.out_tree)
    return None if flat else graph.leaves, None if plain else unflatten


def without_body(graph: core.Graph, shown: Sequence[str] | None) -> Program:
    """What can be said of a graph's program before it is lowered: its arguments."""
    names = shown or [x.name or "x" for x in graph.inputs]
    inputs = tuple(
        Argument(x.name or "x", x.type, text) for x, text in zip(graph.inputs, names, strict=True)
    )
    outputs = tuple(
        Argument(name, x.type, name)
        for name, x in zip(graph.output_names, graph.outputs, strict=True)
    )
    return Program(graph.name, graph.doc, inputs, graph.dims, outputs, (), (), 0, ())
