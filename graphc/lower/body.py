"""The schedule as statements of the loop IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from graphc import loops
from graphc.graph import (
    Contraction,
    Elementwise,
    Graph,
    Index,
    Node,
    Part,
    Region,
    Running,
    Scatter,
    Sequential,
    Sort,
)
from graphc.loops import (
    Apply,
    Assign,
    Declare,
    Expr,
    Let,
    Literal,
    Local,
    Loop,
    Position,
    Read,
    Stmt,
    Store,
)
from graphc.lower.domain import Access, axis_name, operand_indices, resolve
from graphc.lower.guards import combined, guards_of, is_placed
from graphc.lower.index import decide, in_order, replace, simplify
from graphc.lower.naming import Names
from graphc.lower.reading import is_local, operands_at
from graphc.lower.schedule import Block, Nest, Placed, Schedule, Step
from graphc.lower.storage import Array
from graphc.lower.sums import (
    combine_of,
    dtype_of_sum,
    identity_of,
    is_open,
    is_sum,
)
from graphc.lower.tiles import clear
from graphc.lower.tiling import is_tiled
from graphc.types import Dim, Size, int64, strides

LONGEST_INLINE = 6

Extents = Mapping[str, Size]
Leaf = Callable[[Index, Extents], Expr]
"""leaf(index, extents) reads an element of an input or constant, in loop variables."""


@dataclass(eq=False)
class Writer:
    """Turns a schedule into statements."""

    graph: Graph
    plan: Schedule
    stored: Mapping[Node, Array]
    leaves: Mapping[Node, Leaf]
    names: Names
    kept: frozenset[Node]
    """Scalars that whoever runs the statements reads afterwards: they become locals."""
    note: Callable[[Node], str]
    region: Callable[[Writer, Node, Mapping[str, Size]], list[Stmt]]
    """Writes a loop or branch whose body is a graph."""
    locals: dict[Node, str] = field(default_factory=dict)
    sums: dict[Node, str] = field(default_factory=dict)
    """The accumulators; those of long float32 sums are float64, their locals come after them."""
    pending: dict[Node, Expr] = field(default_factory=dict)
    """Values used once, kept back to be written where they are used."""
    uses: dict[Node, list[Placed]] = field(default_factory=dict)
    """For each node the places that read it as a local, once for each read."""
    prelude: list[Let] = field(default_factory=list)
    """Locals that the statement being written needs before it: indices read from memory. One list
    for the writers of a graph and of the bodies inside it."""

    depths: dict[str, int] = field(default_factory=dict)
    """Of each array of the workspace: how many loops lie outside, each iteration of which may
    leave its memory to others."""

    def __post_init__(self) -> None:
        inside = {x: array for x, array in self.stored.items() if x not in self.graph.outputs}
        self.depths = {array.name: array.depth for array in inside.values()}
        for node in self.kept:
            self.uses[node] = [self.plan.placed[node]] * 2
        for node, reader in reversed(self.plan.placed.items()):
            if self.is_needed(node):
                for access in reader.domain.accesses:
                    self.count(access, reader)

    def count(self, access: Access, reader: Placed) -> None:
        """Note one read; that of a value computed again reads what the value is made of."""
        spot = self.plan.placed.get(access.node)
        if spot is None:
            return
        if is_local(reader, access, spot):
            self.uses.setdefault(access.node, []).append(reader)
        elif access.node not in self.stored:
            for operand in operands_at(access.node, access.index, self.plan):
                self.count(operand, reader)

    def is_needed(self, node: Node) -> bool:
        """Whether the node has a statement: some are computed again wherever they are read."""
        return node in self.stored or node in self.uses

    # --- statements ----------------------------------------------------------------------------

    def block(self, block: Block, extents: Mapping[str, Size]) -> tuple[Stmt, ...]:
        body: list[Stmt] = []
        for item in block.items:
            body += (
                self.step(item.node, extents)
                if isinstance(item, Step)
                else self.nest(item, extents)
            )
        return tuple(body)

    def nest(self, nest: Nest, extents: Mapping[str, Size]) -> list[Stmt]:
        """A loop, between the start and the end of what it sums; nothing where all that it would
        compute is computed again by the readers."""
        summed = [node for node in self.plan.sums.get(nest, []) if self.is_needed(node)]
        body: list[Stmt] = []
        for node in summed:
            body += self.start(node, extents)
        inner = self.block(nest.body, {**extents, nest.var: nest.extent})
        if not inner:
            return []
        body.append(Loop(nest.var, nest.extent, inner))
        for node in summed:
            body += self.finish(node)
        return body

    def start(self, node: Node, extents: Mapping[str, Size]) -> list[Stmt]:
        """The accumulator of a sum at its identity: a local, or an array where axes stay open."""
        spot = self.plan.placed[node]
        zero = Literal(identity_of(node), dtype_of_sum(node, spot))
        if not is_open(spot):
            wide = zero.dtype != node.dtype
            self.sums[node] = self.names.fresh("sum") if wide else self.local_name(node)
            if not wide:
                self.locals[node] = self.sums[node]
            return [Declare(self.sums[node], zero)]
        return [clear(spot, self.stored[node], self.plan.loop_names[spot.ready :], extents, zero)]

    def finish(self, node: Node) -> list[Stmt]:
        """A finished local sum goes to its array, if it has one."""
        spot = self.plan.placed[node]
        if is_open(spot):
            return []
        body: list[Stmt] = []
        value = loops.cast(Local(self.sums[node], dtype_of_sum(node, spot)), node.dtype)
        if node not in self.locals and node in self.uses:
            self.locals[node] = self.local_name(node)
            body.append(Let(self.locals[node], value, self.note(node)))
            value = Local(self.locals[node], node.dtype)
        if node in self.stored:
            index = self.position(node, self.stored[node], spot.bound)
            body.append(Store(self.stored[node].name, index, value, self.note(node)))
        return body

    def step(self, node: Node, extents: Mapping[str, Size]) -> list[Stmt]:
        """One element of a node: a term of its sum, a local, a store, or nothing yet."""
        match node.op.element:
            case Part():
                return []
            case Region() | Scatter() | Running() | Sort():
                return self.region(self, node, extents)
            case Contraction() if is_tiled(node):
                return self.region(self, node, extents) if self.is_needed(node) else []
        if not self.is_needed(node):
            return []
        return self.computed(node, extents)

    def computed(self, node: Node, extents: Mapping[str, Size]) -> list[Stmt]:
        """The statement of a computed node."""
        spot = self.plan.placed[node]
        place = {axis_name(a): at for a, at in spot.bound.items()}
        value = self.element(node, spot, place, extents)
        body = self.flush(value)
        if spot.ready < len(spot.path):
            return [*body, self.accumulate(node, spot, value)]
        used = self.uses.get(node, [])
        array = self.stored.get(node)
        if array is None and self.may_wait(node, spot, used, value):
            self.pending[node] = value
            return body
        note = self.note(node)
        if used:
            self.locals[node] = self.local_name(node)
            body.append(Let(self.locals[node], value, note))
            value, note = Local(self.locals[node], node.dtype), ""
        if array is not None:
            index = self.position(node, array, spot.bound)
            body.append(Store(array.name, simplify(index, extents), value, note))
        return body

    def may_wait(self, node: Node, spot: Placed, used: list[Placed], value: Expr) -> bool:
        """Whether a value is written where it is used: once, in the same loop, unnamed, short."""
        if len(used) != 1 or node.name or used[0].path != spot.path:
            return False
        reader = used[0].domain.node
        if isinstance(reader.op.element, Region | Sequential) or is_tiled(reader):
            return False  # it reads it in every step
        parts = list(loops.parts(value))
        return len(parts) <= 2 * LONGEST_INLINE and not any(
            isinstance(part, Read) and self.depths.get(part.buffer, -1) >= len(spot.path)
            for part in parts  # what lies in memory there may be overwritten by then
        )

    def accumulate(self, node: Node, spot: Placed, value: Expr) -> Stmt:
        combine = combine_of(node)
        if not is_open(spot):
            total = Local(self.sums[node], dtype_of_sum(node, spot))
            term = loops.cast(value, total.dtype)
            return Assign(total.name, loops.apply(combine, total, term), self.note(node))
        array = self.stored[node]
        extents = {n.var: n.extent for n in spot.path}
        index = simplify(self.position(node, array, spot.bound), extents)
        sofar = Read(array.name, index, node.dtype)
        return Store(array.name, index, loops.apply(combine, sofar, value), self.note(node))

    # --- expressions ---------------------------------------------------------------------------

    def element(
        self, node: Node, reader: Placed, place: Mapping[str, Size], extents: Mapping[str, Size]
    ) -> Expr:
        """The node's value at one element of its domain (the term, for a sum), as read from
        `reader`. `place` gives the node's axes in loop variables."""

        def read(operand: Node, index: Index) -> Expr:
            return resolve(operand, index, meet, self.bind)

        def meet(operand: Node, index: Index) -> Expr:
            return self.value(
                operand, tuple(replace(i, place, extents) for i in index), extents, reader
            )

        indices = operand_indices(node, self.plan.placed[node].domain.extents)
        known = len(self.prelude)
        args = [
            self.placed(read(x, i), place, extents)
            for x, i in zip(node.operands, indices, strict=True)
        ]
        self.prelude[known:] = [
            Let(let.name, self.placed(let.value, place, extents)) for let in self.prelude[known:]
        ]
        match node.op.element:
            case Elementwise(fn):
                return fn(node, *args)
            case Contraction():
                product = args[0]
                for arg in args[1:]:
                    product = loops.apply("multiply", product, arg)
                return product
            case _:
                return args[0]

    def placed(self, expr: Expr, place: Mapping[str, Size], extents: Mapping[str, Size]) -> Expr:
        """Index values and guards that views and pads left in the node's axes, in loop variables.

        Guards that the loops' ranges decide are dropped.
        """

        def change(part: Expr) -> Expr | None:
            match part:
                case Position():
                    return Position(replace(part.size, place, extents))
                case Apply("select", (Apply(test, (Position(a), Position(b))), then, other)):
                    held = decide(test, replace(a - b, place, extents), extents)
                    chosen = then if held else other
                    return None if held is None else self.placed(chosen, place, extents)
            return None

        return loops.replace_parts(expr, change)

    def value(self, node: Node, index: Index, extents: Mapping[str, Size], reader: Placed) -> Expr:
        """Element `index`, in loop variables, of a leaf or computed node."""
        leaf = self.leaves.get(node)
        if leaf is not None:
            return leaf(index, extents)
        spot = self.plan.placed[node]
        if self.here(spot, index, reader):
            if node in self.pending:
                return self.pending.pop(node)
            if node in self.locals:
                return Local(self.locals[node], node.dtype)
        array = self.stored.get(node)
        if array is not None:
            at = {axis: index[d] for d, axis in enumerate(spot.domain.output)}
            return Read(array.name, simplify(self.position(node, array, at), extents), node.dtype)
        place = {axis_name(axis): index[d] for d, axis in enumerate(spot.domain.output)}
        return self.element(node, reader, place, extents)  # light: computed again

    def here(self, spot: Placed, index: Index, reader: Placed) -> bool:
        """Whether the value of this very iteration is meant, and in scope."""
        if is_open(spot) or reader.path[: spot.ready] != spot.path[: spot.ready]:
            return False
        return all(
            spot.domain.extents[axis] == 1 or index[d] == spot.bound[axis]
            for d, axis in enumerate(spot.domain.output)
        )

    def position(self, node: Node, array: Array, at: Mapping[int, Size]) -> Size:
        """The flat position in the node's array."""
        places = zip(array.axes, array.bases, strict=True)
        flat = _flat(
            tuple(at.get(axis, base) - base for axis, base in places), strides(array.shape)
        )
        return array.start + flat

    def bind(self, value: Expr) -> Size:
        """A local that holds an index."""
        match value:
            case Position(size):
                return size
            case Literal(int(i)):
                return i
        value = loops.cast(value, int64)
        for let in self.prelude:
            if let.value == value and is_placed(value):
                return Dim.named(let.name)
        name = self.names.fresh("at")
        self.prelude.append(Let(name, value))
        return Dim.named(name)

    def flush(self, *values: Expr) -> list[Stmt]:
        """The indices bound while these were made. One that is used only behind guards of a pad or
        a concatenation is read from memory only behind them: elsewhere there may be nothing."""
        readers = list(values)
        done: list[Let] = []
        for let in reversed(self.prelude):
            guards = [guard for x in readers for guard in guards_of(let.name, x)]
            if not guards:
                continue
            value = let.value
            if all(guards):
                either = combined("logical_or", [combined("logical_and", g) for g in guards])
                value = loops.select(either, value, Literal(0, int64))
            done.append(Let(let.name, value))
            readers.append(value)
        self.prelude.clear()
        return list(in_order(done[::-1]))

    def extents_of(self, spot: Placed, extents: Mapping[str, Size]) -> dict[str, Size]:
        return {**extents, **{n.var: n.extent for n in spot.path}}

    def local_name(self, node: Node) -> str:
        """The user's name; with the loop variables behind it where an array has the name."""
        spot = self.plan.placed[node]
        if not node.name:
            return self.names.fresh()
        if node in self.stored:
            tail = "".join(nest.var for nest in spot.path[: spot.ready]) or (
                "sum" if is_sum(node) else "value"
            )
            return self.names.take(f"{self.stored[node].name}_{tail}")
        return self.names.take(node.name)


def read_array(name: str, node: Node, start: Size = 0) -> Leaf:
    """A leaf that lies in an array, in C order."""
    steps = strides(node.shape)
    return lambda index, extents: Read(
        name, simplify(start + _flat(index, steps), extents), node.dtype
    )


def _flat(index: Index, steps: tuple[Size, ...]) -> Size:
    total: Size = 0
    for i, step in zip(index, steps, strict=True):
        total = total + i * step
    return total
