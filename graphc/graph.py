"""The tensor IR: a pure DAG of typed tensors with NumPy's meaning.

A `Node` is one application of an `Op`; a `Graph` names inputs and outputs. Equality of nodes is
identity. The evaluator is `reference`, the table of ops is `ops`; here are the data, the
constructor `apply`, the walk, the checker and the printer.
"""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import cached_property
from typing import Self, Union

from graphc.attributes import Array as Array
from graphc.attributes import Constant as Constant
from graphc.attributes import Source as Source
from graphc.errors import GraphcError, VerifyError
from graphc.frozen import dataclass
from graphc.loops import Expr
from graphc.order import walk as walk
from graphc.types import DType, Shape, Size, TensorType

Param = Union[Size, str, float, DType, Constant, "Graph", tuple["Param", ...]]
Params = Mapping[str, Param]


# --- how an op is lowered: what element `at` of the result is, in the loop IR -----------------

Index = tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """reader(k, index) is element `index` of operand k; `bind` makes an int64 value an index."""

    read: Callable[[int, Index], Expr]
    bind: Callable[[Expr], Size]

    def __call__(self, k: int, index: Index) -> Expr:
        return self.read(k, index)


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Element i of the result from element i of each (broadcast) operand."""

    fn: Callable[..., Expr]


@dataclass(frozen=True, slots=True)
class View:
    """A bare read of operand 0: index(at, node) is where. Never stored."""

    index: Callable[[Index, Node], Index]


@dataclass(frozen=True, slots=True)
class Computed:
    """Any expression of reads: fn(at, read, node)."""

    fn: Callable[[Index, Reader, Node], Expr]


@dataclass(frozen=True, slots=True)
class Reduction:
    """Operand 0 combined over params["axes"] by a commutative, associative scalar function."""

    combine: str
    identity: Callable[[DType], float | int | bool]


@dataclass(frozen=True, slots=True)
class Contraction:
    """An einsum: sums of products over params["inputs"] -> params["output"] labels."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Operand 0, into which the elements of operand 1 go one by one, where the others say."""


@dataclass(frozen=True, slots=True)
class Running:
    """Operand 0 combined along an axis, with the result of every step kept."""


@dataclass(frozen=True, slots=True)
class Sort:
    """The order of operand 0 along an axis."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An input or a constant: nothing to compute."""


@dataclass(frozen=True, slots=True)
class Region:
    """Runs the graphs among its parameters; the result is a bundle."""


@dataclass(frozen=True, slots=True)
class Part:
    """Part params["part"] of the bundle that operand 0 is."""


Sequential = Scatter | Running | Sort
"""What has loops of its own, each step of which needs the ones before."""

Element = (
    Elementwise | View | Computed | Reduction | Contraction | Sequential | Leaf | Region | Part
)

# --- how an op is derived: stated once, read in both directions --------------------------------


class Value:
    """A node as derivative rules and rewrite rules see it; `trace.Tensor` adds NumPy's meaning."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node


@dataclass(frozen=True, slots=True)
class Diagonal:
    """An elementwise op: scaled[k](t, y, *xs) is t * dy/dx_k; None where that is zero."""

    scaled: tuple[Callable[..., Value] | None, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear in each operand: transpose(g, k, node) carries a cotangent back to operand k.

    `joint`: linear in all operands at once (concatenate) rather than in each apart (einsum).
    """

    transpose: Callable[[Value, int, Node], Value]
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Stated:
    """Both directions stated: jvp(tangents, y, node) and vjp(g, k, y, node)."""

    jvp: Callable[[tuple[Value | None, ...], Value, Node], Value]
    vjp: Callable[[Value, int, Value, Node], Value | None]


@dataclass(frozen=True, slots=True)
class NoDerivative:
    """Piecewise constant, or not a number: the derivative is zero everywhere it exists."""


@dataclass(frozen=True, slots=True)
class Nested:
    """Derived by deriving the graphs among its parameters: see `derive`."""


Derivative = Diagonal | Linear | Stated | NoDerivative | Nested

Batch = Callable[[tuple[Value, ...], tuple[bool, ...], "Node"], Value]


@dataclass(frozen=True, slots=True)
class Symbol:
    """How a person writes the op. form: infix, prefix, call, around ("|,|"), postfix or special."""

    text: str
    latex: str
    form: str = "call"
    precedence: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One row of the op table."""

    name: str
    infer: Callable[[tuple[TensorType, ...], Params], TensorType]
    evaluate: Callable[..., Array]
    """evaluate(params, *arrays): the same with NumPy."""
    element: Element
    derivative: Derivative
    symbol: Symbol
    functions: tuple[str, ...] = ()
    """The NumPy and SciPy functions this op is, by name; tracing finds the row by them."""
    commutative: bool = False
    domain: tuple[tuple[float, float], ...] = ()
    """For each operand an interval in which the op is smooth; tests sample it."""
    batch: Batch | None = None
    """batch(operands, mapped, node): the op on operands that have a batch axis first where
    `mapped` says so, at least one; so has the result. None where the class of `element` says it:
    elementwise ops broadcast, reductions and contractions leave the axis alone."""

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One application of an op. `serial` is the order in which the user's program made it."""

    op: Op
    operands: tuple[Node, ...]
    params: Params
    type: TensorType
    serial: int
    name: str | None = None
    source: Source | None = None
    part: str = "forward"
    """forward, backward (made by derive) or update."""
    cites: Node | None = None
    """The forward node whose derivative this is a step of."""

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    def on(
        self, operands: tuple[Node, ...], kind: TensorType, name: str | None, cites: Node | None
    ) -> Node:
        """The node with these in place of its own; `dataclasses.replace` takes five times as
        long."""
        return Node(
            self.op, operands, self.params, kind, self.serial, name, self.source, self.part, cites
        )

    def __repr__(self) -> str:
        return f"<{self.name or 'v'}: {self.type} = {self.op.name}>"


class Building(threading.local):
    """What `apply` writes into new nodes besides the maths; each thread has its own."""

    part: str = "forward"
    cites: Node | None = None
    locate: Callable[[], Source | None] = staticmethod(lambda: None)


building = Building()
_serial = itertools.count()


def apply(op: Op, *operands: Node, **params: Param) -> Node:
    """A new node.

    Raises:
        ShapeError, DTypeError: the operands do not fit; the message names op, types and line.
    """
    source = building.locate()
    try:
        inferred = op.infer(tuple([x.type for x in operands]), params)
    except GraphcError as error:
        types = " and ".join(f"{x.name + ': ' if x.name else ''}{x.type}" for x in operands)
        place = f" at {source}" if source else ""
        raise type(error)(f"cannot {op.name} {types}: {error}{place}") from None
    return Node(
        op, operands, params, inferred, next(_serial), None, source, building.part, building.cites
    )


def call(op: Op, *values: Value, **params: Param) -> Value:
    """`apply` on values: the result has the class of the first."""
    return type(values[0])(apply(op, *(value.node for value in values), **params))


@dataclass(frozen=True)
class Graph:
    """A function: inputs (nodes of op ``input``), outputs and their names, in the user's order."""

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    output_names: tuple[str, ...]
    doc: str = field(default="", compare=False)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node the inputs and outputs reach, operands first, in the user's order."""
        return tuple(walk((*self.inputs, *self.outputs)))

    def walked(self, nodes: tuple[Node, ...]) -> Self:
        """This graph, of which another has found these nodes already, or those they come from."""
        self.__dict__["nodes"] = nodes
        return self

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the run-time dimensions, in order of appearance in the inputs."""
        return tuple(dict.fromkeys(name for x in self.inputs for name in x.type.dims))

    def __str__(self) -> str:
        return format_graph(self)


def rebuild(
    outputs: Iterable[Node], change: Callable[[Node], Node], known: Mapping[Node, Node] = {}
) -> dict[Node, Node]:
    """Maps every node, bottom up: operands are replaced first, then `change` sees the result.

    `known` fixes the image of some nodes (inputs to substitute, say) beforehand. Names, sources
    and order stay with the nodes whose operands changed.
    """
    image: dict[Node, Node] = dict(known)
    for node in walk(outputs):
        if node in image:
            continue
        operands = tuple(image[x] for x in node.operands)
        cites = None if node.cites is None else image.get(node.cites, node.cites)
        kind = node.type
        if not all(map(operator.is_, operands, node.operands)):
            kind = node.op.infer(tuple(x.type for x in operands), node.params)
        elif cites is node.cites:
            image[node] = change(node)
            continue
        image[node] = change(node.on(operands, kind, node.name, cites))
    return image


def verify(graph: Graph) -> None:
    """Every node has the type its op infers; every leaf input is declared; names are unique.

    Raises:
        VerifyError: naming the node.
    """
    declared = set(graph.inputs)
    named: dict[str, Node] = {}
    for node in graph.nodes:
        inferred = node.op.infer(tuple(x.type for x in node.operands), node.params)
        if inferred != node.type:
            raise VerifyError(f"{node!r} says {node.type}, its op infers {inferred}")
        if node.op.name == "input" and node not in declared:
            raise VerifyError(f"{node!r} is an input the graph {graph.name!r} does not declare")
        if node.name and named.setdefault(node.name, node) is not node:
            raise VerifyError(f"two nodes are named {node.name!r} in graph {graph.name!r}")
    if (count := len(graph.outputs)) != (named_count := len(graph.output_names)):
        raise VerifyError(f"graph {graph.name!r} has {count} outputs and {named_count} names")


def labels(nodes: Iterable[Node]) -> dict[Node, str]:
    """A name for every node: its own, or v0, v1, ... in order."""
    nodes = tuple(nodes)
    taken = {node.name for node in nodes}
    fresh = (name for name in map("v{}".format, itertools.count()) if name not in taken)
    return {node: node.name or next(fresh) for node in nodes}


def format_graph(graph: Graph) -> str:
    """One line a node: ``z3: float64[] = mul(x1, w13)``."""
    nodes = graph.nodes
    label = labels(nodes)
    arguments = ", ".join(f"{label[x]}: {x.type}" for x in graph.inputs)
    lines = [f"{graph.name}({arguments}):"]
    part = "forward"
    for node in nodes:
        if node.op.name == "input":
            continue
        if node.part != part:
            part = node.part
            lines.append(f"  # {part}")
        shown = [label[x] for x in node.operands]
        shown += [f"{key}={_show(value)}" for key, value in node.params.items()]
        lines.append(f"  {label[node]}: {node.type} = {node.op.name}({', '.join(shown)})")
    results = ", ".join(
        name if label[x] == name else f"{name}={label[x]}"
        for name, x in zip(graph.output_names, graph.outputs, strict=True)
    )
    return "\n".join([*lines, f"  return {results}"])


def _show(value: Param) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_show, value))})"
    return str(value)
