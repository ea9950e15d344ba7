"""Run a function once on tensors and keep what it did."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphc import trees
from graphc.errors import DTypeError, TraceError
from graphc.graph import Graph, Node, apply, rebuild
from graphc.ops.shape import DIMENSION, INPUT
from graphc.trace.lessons import teach
from graphc.trace.names import is_tracing, naming, unwatched
from graphc.trace.tensor import Tensor, as_tensor
from graphc.types import DType, TensorType, bool_, dtype_of, float64, int64

for _cls in (DType, TensorType, Node):
    trees.leaf_class(_cls)


@dataclass(frozen=True)
class Traced:
    """A graph with the trees of its arguments, ((args), {kwargs}), and of its result."""

    graph: Graph
    in_tree: Any
    out_tree: Any
    shown: tuple[str, ...]
    """How the user writes each input: ``params['W1']``."""


def leaf_type(leaf: Any, shown: str = "argument") -> TensorType:
    """The type of an example or of a type given as such.

    Raises:
        TraceError, DTypeError: not an array, a number or a type, or of another dtype.
    """
    if isinstance(leaf, TensorType):
        return leaf
    if isinstance(leaf, DType):
        return TensorType(leaf, ())
    if isinstance(leaf, Tensor):
        return leaf.node.type
    if isinstance(leaf, bool):
        return TensorType(bool_, ())
    if isinstance(leaf, int):
        return TensorType(int64, ())
    if isinstance(leaf, float):
        return TensorType(float64, ())
    if isinstance(leaf, np.ndarray | np.generic):
        try:
            return TensorType(dtype_of(leaf.dtype), leaf.shape)
        except DTypeError as error:
            raise DTypeError(f"{shown}: {error}") from None
    raise TraceError(
        f"{shown} is {leaf!r:.60} of type {type(leaf).__name__}; a traced argument is an array, a "
        "number, a type such as graphc.float32['n', 3], or a pytree of them: bind anything else "
        "beforehand with functools.partial"
    )


def argument_names(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[str]:
    """The parameter names that positional arguments land on, then the keyword names."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for i in range(len(args)):
        if i < len(parameters) and parameters[i].kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            names.append(parameters[i].name)
        elif parameters and any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
            star = next(
                k for k, p in enumerate(parameters) if p.kind is inspect.Parameter.VAR_POSITIONAL
            )
            names.append(f"{parameters[star].name}_{i - star}")
        else:
            names.append(f"x{i}")
    return [*names, *sorted(kwargs)]


def abstract(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], Any, list[str], list[str]]:
    """(leaves, tree, identifiers, names as the user writes them) of a call's arguments."""
    leaves: list[Any] = []
    identifiers: list[str] = []
    shown: list[str] = []
    ordered = {key: kwargs[key] for key in sorted(kwargs)}
    _, in_tree = trees.flatten((tuple(args), ordered))
    for name, argument in zip(
        argument_names(fn, args, kwargs), (*args, *ordered.values()), strict=True
    ):
        more, tree = trees.flatten(argument)
        leaves += more
        for identifier, text in trees.leaf_names(tree, name):
            identifiers.append(identifier)
            shown.append(text)
    return leaves, in_tree, list(map(_Names((), identifiers).claim, identifiers)), shown


def now() -> int:
    """A serial: nodes made before have a smaller one."""
    return apply(DIMENSION, size=0).serial


def trace_function(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] = {},
    name: str | None = None,
) -> Traced:
    """Trace fn on examples or types.

    Raises:
        TraceError: fn does what a graph cannot hold, or returns what is not an array.
    """
    leaves, in_tree, identifiers, shown = abstract(fn, args, kwargs)
    inputs = []
    for leaf, identifier, text in zip(leaves, identifiers, shown, strict=True):
        kind = leaf_type(leaf, text)
        node = apply(INPUT, dtype=kind.dtype, shape=kind.shape)
        inputs.append(replace(node, name=identifier))
    start = min((x.serial for x in inputs), default=None) or now()
    call_args, call_kwargs = trees.unflatten(in_tree, map(Tensor, inputs))
    outermost = not is_tracing()
    if outermost:
        teach()
    with naming() as namer:
        result = fn(*call_args, **call_kwargs)
    results, out_tree = trees.flatten(result)
    outputs = tuple(_output(x, fn).node for x in results)
    label = name or str(getattr(fn, "__name__", type(fn).__name__))
    graph = Graph(
        trees.identifier(label),
        tuple(inputs),
        outputs,
        ("",) * len(outputs),
        inspect.getdoc(fn) or "",
    )
    graph = named(graph, namer.names(), _output_paths(out_tree), start)
    if outermost:
        _warn_if_long(graph)
    return Traced(graph, in_tree, out_tree, tuple(shown))


LONG = 10_000
"""A graph with more nodes than this was probably unrolled from a loop."""


def _warn_if_long(graph: Graph) -> None:
    if len(graph.nodes) <= LONG:
        return
    lines = Counter(node.source for node in graph.nodes if node.source)
    if lines.total() > LONG:
        source, count = lines.most_common(1)[0]
        warnings.warn(
            f"{graph.name} has {lines.total()} nodes, {count} of them made at {source}: a Python "
            "loop is unrolled, which takes long to compile; graphc.scan keeps it a loop",
            stacklevel=2,
        )


def _output(x: Any, fn: Callable[..., Any]) -> Tensor:
    try:
        return as_tensor(x)
    except (TypeError, ValueError) as error:
        raise TraceError(
            f"{getattr(fn, '__name__', fn)} returns {x!r:.60} of type {type(x).__name__}; a traced "
            f"function returns arrays, numbers, or pytrees of them ({error})"
        ) from None


def _output_paths(out_tree: Any) -> list[str]:
    """The part of each output's path that names it: dict keys and attributes, not positions."""
    return [
        "_".join(str(e.entry) for e in accessor if not isinstance(e.entry, int))
        for accessor in out_tree.accessors()
    ]


@unwatched
def named(
    graph: Graph, found: Mapping[Node, str], paths: Sequence[str], start: int | None = None
) -> Graph:
    """The graph with the names its values have in the user's code, each used once.

    Inputs keep their argument names; then values in the user's order; a name that is taken gets a
    number. An output without a name is called by its place in the result, or ``out``. Nodes made
    before `start` (the first input, if not given) belong to an outer trace.
    """
    chosen: dict[Node, str] = {x: x.name for x in graph.inputs if x.name}
    nodes = graph.nodes
    wanted = {
        node: trees.identifier(name)
        for node in nodes
        if (name := found.get(node) or node.name) and node.op.name not in ("input", "constant")
    }
    names = _Names(chosen.values(), wanted.values())
    for node, name in wanted.items():
        chosen[node] = names.claim(name)
    first = min((x.serial for x in graph.inputs), default=0) if start is None else start
    image: dict[Node, Node] = {x: x for x in graph.inputs}
    for node in nodes:
        if node in image:
            continue
        operands = tuple(image[x] for x in node.operands)
        if node.serial < first and operands == node.operands:
            image[node] = node  # captured from an outer trace, which names it itself
            continue
        cites = image.get(node.cites, node.cites) if node.cites is not None else None
        image[node] = node.on(operands, node.type, chosen.get(node), cites)
    outputs = tuple(image[x] for x in graph.outputs)
    called_already: set[str] = set()
    output_names = []
    for node, path in zip(outputs, paths, strict=True):
        own = node.name if node.op.name not in ("input", "constant") else None
        name = (
            own
            if own and own not in called_already
            else names.claim(trees.identifier(path) if path else "out")
        )
        called_already.add(name)
        output_names.append(name)
    result = replace(graph, outputs=outputs, output_names=tuple(output_names))
    return result.walked(tuple(image[x] for x in nodes))


def called(graph: Graph, output_names: Sequence[str]) -> Graph:
    """The graph with these output names and unique node names; a taken name gets a number."""
    graph = named(graph, {}, [""] * len(graph.outputs))
    inside = {node.name: node for node in graph.nodes if node.name}
    names = _Names(inside)
    chosen: list[str] = []
    for node, wanted in zip(graph.outputs, output_names, strict=True):
        own = node.name if node.name and node.name.startswith(wanted) else None
        chosen.append(own if own and own not in chosen else names.claim(wanted))
    return replace(graph, output_names=tuple(chosen))


class _Names:
    """Names that are taken, and the next free one for each stem.

    A name that somebody wants as it is goes to nobody as a numbered one.
    """

    def __init__(self, taken: Iterable[str], wanted: Iterable[str] = ()) -> None:
        self.taken = set(taken)
        self._wanted = set(wanted)
        self._next: dict[str, int] = {}

    def claim(self, wanted: str) -> str:
        """The name, or the name with the first free number."""
        name = wanted
        if name in self.taken:
            stem = wanted + "_" if wanted[-1].isdigit() else wanted
            number = self._next.get(stem, 2)
            while (name := f"{stem}{number}") in self.taken or name in self._wanted:
                number += 1
            self._next[stem] = number + 1
        self.taken.add(name)
        return name


@unwatched
def inline(graph: Graph, arguments: Sequence[Tensor]) -> list[Tensor]:
    """The graph's outputs with its inputs replaced by these values."""
    known = {x: argument.node for x, argument in zip(graph.inputs, arguments, strict=True)}
    image = rebuild(graph.outputs, lambda node: node, known)
    return [Tensor(image[x]) for x in graph.outputs]
