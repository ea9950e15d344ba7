"""The loop IR: nothing that C cannot say.

Scalar expressions over reads of flat buffers, and statements: locals, stores, loops. A `Program`
is one C function. The data, the checker and the printer are here; `loops_run`
evaluates it without a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar

from graphc.frozen import dataclass
from graphc.matrices import Contract as Contract
from graphc.matrices import Matrix as Matrix
from graphc.packing import Packed
from graphc.sites import Site
from graphc.types import DType, Shape, Size, TensorType, bool_, int64

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; floats are kept as Python floats that hold the dtype's value exactly."""

    value: bool | int | float
    dtype: DType


@dataclass(frozen=True, slots=True)
class Local:
    """The value of a local variable or a scalar argument."""

    name: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class Read:
    """Element `index` (in elements, C order) of a buffer."""

    buffer: str
    index: Size
    dtype: DType


@dataclass(frozen=True, slots=True)
class Position:
    """An index expression as an int64 value."""

    size: Size
    dtype: DType = int64


@dataclass(frozen=True, slots=True)
class Apply:
    """A scalar function. ``select`` evaluates only the arm it takes; ``cast`` goes to `dtype`."""

    function: str
    args: tuple[Expr, ...]
    dtype: DType


Expr = Literal | Local | Read | Position | Apply


@dataclass(frozen=True, slots=True)
class Let:
    """A constant local. `note` is a comment beside it."""

    name: str
    value: Expr
    note: str = ""


@dataclass(frozen=True, slots=True)
class Declare:
    """A local that `Assign` changes: an accumulator."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Assign:
    name: str
    value: Expr
    note: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    buffer: str
    index: Size
    value: Expr
    note: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """for (var = 0; var < extent; ++var). Iterations may run in any order but for accumulation;
    those of a `shared` loop are dealt out to the threads of the `Parallel` around it: in runs, or
    `in_turn`, one to each, which levels few long ones of which the last is shorter."""

    var: str
    extent: Size
    body: tuple[Stmt, ...]
    shared: bool = False
    in_turn: bool = False


@dataclass(frozen=True, slots=True)
class Parallel:
    """Several threads run the body, each with its own locals, or one if that is not `worth` it."""

    threads: int
    worth: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Once:
    """The first thread runs the body, the others pass by."""

    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Barrier:
    """Every thread waits here for all others, and then sees what they wrote."""


@dataclass(frozen=True, slots=True)
class While:
    """for (;;) { test...; if (!condition) break; body... }"""

    test: tuple[Stmt, ...]
    condition: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class If:
    condition: Expr
    then: tuple[Stmt, ...]
    other: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """function(arguments): statements that stand once for several places, where C is written."""

    function: str
    arguments: tuple[str, ...]
    stored: tuple[str, ...]
    """The arrays among them that it writes into."""
    scalars: tuple[tuple[str, DType], ...]
    """The numbers among them."""


Line = Let | Declare | Assign | Store | Contract | Comment | Barrier | Call
Stmt = Line | Loop | While | If | Parallel | Once


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of the function: an input or output. Rank-0 inputs go by value."""

    name: str
    type: TensorType
    shown: str
    """The user's own name for it, for messages (``params['W1']``)."""
    home: str = ""
    """Of an output: the donated input whose memory it takes; C then has one parameter for both."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """An intermediate array at a byte offset of the workspace, or at the start of its `home`, an
    output or a donated input."""

    name: str
    dtype: DType
    shape: Shape
    offset: Size
    home: str = ""
    step: Size = 0
    """Bytes from the array of one thread to that of the next; 0: all have the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A constant array compiled into the program."""

    name: str
    values: npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Program(Packed):
    """One C function: inputs, run-time dimensions, outputs, then the workspace."""

    large: ClassVar[tuple[str, ...]] = ("tables", "buffers", "body")
    name: str
    doc: str
    inputs: tuple[Argument, ...]
    dims: tuple[str, ...]
    outputs: tuple[Argument, ...]
    tables: tuple[Table, ...]
    buffers: tuple[Buffer, ...]
    workspace: Size
    """Bytes the caller provides, aligned to 64; 0 when none are needed."""
    body: tuple[Stmt, ...]
    trap: str = ""
    """The parameter that tells where the first nan or infinity was made; "": none is watched."""
    sites: tuple[Site, ...] = ()
    threads: int = field(init=False)
    """How many threads may run it."""
    loops: bool = field(init=False)
    """Whether it is more than straight code."""

    def __post_init__(self) -> None:
        threads = max((s.threads for s in self.body if isinstance(s, Parallel)), default=1)
        object.__setattr__(self, "threads", threads)
        loops = any(isinstance(stmt, Loop | Parallel) for stmt in self.body)
        object.__setattr__(self, "loops", loops)

    def __str__(self) -> str:
        return format_program(self)


def apply(function: str, *args: Expr) -> Expr:
    """A scalar function whose result has its first argument's dtype."""
    return Apply(function, args, args[0].dtype)


def predicate(function: str, *args: Expr) -> Expr:
    """A scalar function whose result is a bool."""
    return Apply(function, args, bool_)


def select(condition: Expr, then: Expr, other: Expr) -> Expr:
    return Apply("select", (condition, then, other), then.dtype)


def negated(condition: Expr) -> Expr:
    """The opposite of a bool."""
    if isinstance(condition, Apply) and condition.function == "logical_not":
        return condition.args[0]
    return Apply("logical_not", (condition,), bool_)


def cast(value: Expr, dtype: DType) -> Expr:
    return value if value.dtype == dtype else Apply("cast", (value,), dtype)


def children(expr: Expr) -> tuple[Expr, ...]:
    return expr.args if isinstance(expr, Apply) else ()


def parts(expr: Expr) -> Iterator[Expr]:
    """The expression and everything below it."""
    waiting = [expr]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, Apply):
            waiting += part.args[::-1]


def replace_parts(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Top down: where change(part) is not None it takes the part's place, else its args go on."""
    changed = change(expr)
    if changed is not None:
        return changed
    if isinstance(expr, Apply):
        args = tuple(replace_parts(arg, change) for arg in expr.args)
        return Apply(expr.function, args, expr.dtype)
    return expr


def values(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions a statement evaluates itself (not those of a loop's body)."""
    if isinstance(stmt, While | If):
        return (stmt.condition,)
    if isinstance(stmt, Parallel):
        return (stmt.worth,)
    if isinstance(stmt, Contract):
        return tuple(Read(x.buffer, x.start, stmt.dtype) for x in (stmt.left, stmt.right))
    return (stmt.value,) if isinstance(stmt, Let | Declare | Assign | Store) else ()


def places(stmt: Stmt) -> Iterator[Size]:
    """The index expressions that a statement evaluates itself, those of products aside."""
    if isinstance(stmt, Store):
        yield stmt.index
    for part in (part for value in values(stmt) for part in parts(value)):
        if isinstance(part, Read | Position):
            yield part.index if isinstance(part, Read) else part.size


def bodies(stmt: Stmt) -> tuple[tuple[Stmt, ...], ...]:
    """The blocks of statements inside a statement."""
    match stmt:
        case Loop() | Parallel() | Once():
            return (stmt.body,)
        case While():
            return (stmt.test, stmt.body)
        case If():
            return (stmt.then, stmt.other)
    return ()


def statements(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """Every statement, in order, loops before what they contain."""
    waiting = [*body[::-1]]
    while waiting:
        stmt = waiting.pop()
        yield stmt
        for inner in bodies(stmt)[::-1]:
            waiting += inner[::-1]


def format_expr(expr: Expr) -> str:
    match expr:
        case Literal():
            return str(expr.value)
        case Local():
            return expr.name
        case Read():
            return f"{expr.buffer}[{expr.index}]"
        case Position():
            return f"index({expr.size})"
        case Apply():
            name = str(expr.dtype) if expr.function == "cast" else expr.function
            return f"{name}({', '.join(map(format_expr, expr.args))})"


def format_program(program: Program) -> str:
    """One line a statement, indented as the loops nest."""
    arguments = ", ".join(f"{a.name}: {a.type}" for a in (*program.inputs, *program.outputs))
    lines = [f"program {program.name}({arguments}) workspace {program.workspace}:"]
    lines += [f"  {a.name} overwrites {a.home}" for a in program.outputs if a.home]
    for b in program.buffers:
        step = f", {b.step} a thread" if b.step != 0 else ""
        lines.append(f"  buffer {b.name}: {b.dtype}{list(b.shape)} at {b.home or b.offset}{step}")

    def show(body: tuple[Stmt, ...], indent: str) -> None:
        for stmt in body:
            match stmt:
                case Let() | Declare() | Assign():
                    word = {Let: "let ", Declare: "var "}.get(type(stmt), "")
                    lines.append(f"{indent}{word}{stmt.name} = {format_expr(stmt.value)}")
                case Store():
                    lines.append(f"{indent}{stmt.buffer}[{stmt.index}] = {format_expr(stmt.value)}")
                case Comment():
                    lines.append(f"{indent}# {stmt.text}")
                case Contract():
                    shape = f"{stmt.rows} x {stmt.columns} x {stmt.terms}"
                    sign = "+=" if stmt.add else "="
                    lines.append(
                        f"{indent}{stmt.into.buffer} {sign} {stmt.left.buffer} @ "
                        f"{stmt.right.buffer} ({shape})"
                    )
                case Loop():
                    turns = " in turn" if stmt.in_turn else ""
                    head = f"shared{turns} for" if stmt.shared else "for"
                    lines.append(f"{indent}{head} {stmt.var} < {stmt.extent}:")
                    show(stmt.body, indent + "  ")
                case Parallel():
                    lines.append(f"{indent}{stmt.threads} threads if {format_expr(stmt.worth)}:")
                    show(stmt.body, indent + "  ")
                case Call():
                    lines.append(f"{indent}{stmt.function}({', '.join(stmt.arguments)})")
                case Once() | Barrier():
                    lines.append(f"{indent}{type(stmt).__name__.lower()}:")
                    show(bodies(stmt)[0] if bodies(stmt) else (), indent + "  ")
                case While():
                    lines.append(f"{indent}loop:")
                    show(stmt.test, indent + "  ")
                    lines.append(f"{indent}  break unless {format_expr(stmt.condition)}")
                    show(stmt.body, indent + "  ")
                case If():
                    lines.append(f"{indent}if {format_expr(stmt.condition)}:")
                    show(stmt.then, indent + "  ")
                    lines.append(f"{indent}else:")
                    show(stmt.other, indent + "  ")

    show(program.body, "  ")
    return "\n".join(lines)
