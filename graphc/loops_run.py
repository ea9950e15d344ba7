"""Loop IR -> NumPy: every statement by its meaning, one element at a time.

A second road from a lowered program to its numbers, without a compiler, and a stricter one: an
index outside its buffer, a read of workspace that was never written or that another array has
taken, a misaligned buffer, and two threads that touch an element without a barrier between are
errors here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from graphc import ops
from graphc.bounds import column_panel, row_panel
from graphc.errors import VerifyError
from graphc.graph import Array
from graphc.loops import (
    Apply,
    Assign,
    Barrier,
    Buffer,
    Contract,
    Declare,
    Expr,
    If,
    Let,
    Literal,
    Local,
    Loop,
    Once,
    Parallel,
    Position,
    Program,
    Read,
    Stmt,
    Store,
    While,
)
from graphc.ops.bessel import BESSEL
from graphc.types import FUNCTIONS, Dim, Size, evaluate

Scalar = np.generic
OF_ORDER = frozenset(("polygamma", *(row.name for row in BESSEL)))


def run(program: Program, arrays: Sequence[Array], dims: Mapping[str, int] = {}) -> list[Array]:
    """The program's outputs on these arrays, which have the dtypes and shapes it declares.

    Args:
        dims: a value for each of program.dims.

    Raises:
        VerifyError: the program reads or writes where it must not; the message names the
            statement.
    """
    machine = _Machine(dict(dims))
    for argument, array in zip(program.inputs, arrays, strict=True):
        flat = np.asarray(array, argument.type.dtype.numpy).reshape(-1)
        if argument.type.shape:
            machine.memory[argument.name] = flat
        else:
            machine.scalars[argument.name] = flat[0]
    for table in program.tables:
        machine.memory[table.name] = table.values.reshape(-1)
    total = evaluate(program.workspace, dims)
    outputs = [
        np.zeros([evaluate(size, dims) for size in y.type.shape], y.type.dtype.numpy)
        for y in program.outputs
    ]
    for argument, output in zip(program.outputs, outputs, strict=True):
        machine.memory[argument.name] = output.reshape(-1)
        if argument.home:
            machine.donate(argument.home)
        machine.lay(argument.name, argument.home or argument.name, argument.type.dtype.bytes)
    for buffer in program.buffers:
        machine.place(buffer, total)
    with np.errstate(all="ignore"):
        machine.body(program.body)
    for argument, output in zip(program.outputs, outputs, strict=True):
        last = list(machine.writers[argument.name].values())
        if last.count(argument.name) != output.nbytes:
            raise VerifyError(f"{program.name} leaves elements of {argument.name} unwritten")
    return outputs


@dataclass(slots=True)
class _Team:
    """Threads that run a region: who touched which element since the last barrier."""

    size: int
    barrier: threading.Barrier
    touched: dict[tuple[int, int], tuple[int, set[int], set[int]]] = field(default_factory=dict)
    """For each byte: how many barriers came before, and its readers and writers since."""
    fault: BaseException | None = None

    def touch(self, machine: _Machine, buffer: str, byte: int, write: bool) -> None:
        key = id(machine.writers[buffer]), byte
        phase, readers, writers = self.touched.get(key, (-1, set(), set()))
        if phase != machine.phase:
            phase, readers, writers = machine.phase, set(), set()
            self.touched[key] = phase, readers, writers
        (writers if write else readers).add(machine.thread)
        if writers and len(readers | writers) > 1:
            raise VerifyError(
                f"threads {sorted(readers | writers)} touch byte {byte} of where {buffer} lies at "
                f"once, where {machine.sizes}"
            )


@dataclass(slots=True)
class _Machine:
    """The state of a run, or of one thread of a region."""

    sizes: dict[str, int]
    """Run-time dimensions and loop variables."""
    scalars: dict[str, Scalar] = field(default_factory=dict)
    memory: dict[str, Array] = field(default_factory=dict)
    writers: dict[str, dict[int, str]] = field(default_factory=dict)
    """For each array that the program fills, who wrote each byte of the memory it lies in."""
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each such array: where it starts in that memory, and the bytes of an element."""
    workspace: dict[int, str] = field(default_factory=dict)
    buffers: list[tuple[Buffer, int]] = field(default_factory=list)
    """The arrays of which each thread has its own, and the bytes of all workspace."""
    team: _Team | None = None
    thread: int = 0
    phase: int = 0
    """Barriers so far."""

    def donate(self, name: str) -> None:
        """An input's memory, which an output will take: until then it holds the input."""
        array = self.memory[name]
        self.offsets[name] = (0, array.itemsize)
        self.writers[name] = dict.fromkeys(range(array.nbytes), name)

    def lay(self, name: str, home: str, width: int) -> None:
        """An array at the start of memory that is not the workspace."""
        self.offsets[name] = (0, width)
        self.writers[name] = self.writers.setdefault(home, {})

    def place(self, buffer: Buffer, total: int) -> None:
        """A buffer of its own; `workspace` notes which bytes it has in common with others."""
        count = int(np.prod([evaluate(size, self.sizes) for size in buffer.shape]))
        if buffer.home:
            self.memory[buffer.name] = np.zeros(count, buffer.dtype.numpy)
            self.lay(buffer.name, buffer.home, buffer.dtype.bytes)
            return
        start = evaluate(buffer.offset, self.sizes)
        if buffer.step != 0:
            start += self.thread * evaluate(buffer.step, self.sizes)
            self.buffers.append((buffer, total))
        if start % 64 or start + count * buffer.dtype.bytes > max(total, 0):
            raise VerifyError(f"{buffer} lies at {start} in a workspace of {total} bytes")
        self.memory[buffer.name] = np.zeros(count, buffer.dtype.numpy)
        self.offsets[buffer.name] = (start, buffer.dtype.bytes)
        self.writers[buffer.name] = self.workspace

    def body(self, body: tuple[Stmt, ...]) -> None:
        for stmt in body:
            match stmt:
                case Let(name, value) | Declare(name, value) | Assign(name, value):
                    self.scalars[name] = self.value(value)
                    if value.dtype.kind == "i":
                        self.sizes[name] = int(self.scalars[name])
                case Store(buffer, index, value):
                    self.store(buffer, self.index(buffer, index), self.value(value))
                case Loop(var, extent, inner):
                    for i in self.share(self.size(extent), stmt):
                        self.sizes[var] = i
                        self.body(inner)
                    self.sizes.pop(var, None)
                case While(test, condition, inner):
                    self.body(test)
                    while self.value(condition):
                        self.body(inner)
                        self.body(test)
                case Contract():
                    self.contract(stmt)
                case If(condition, then, other):
                    self.body(then if self.value(condition) else other)
                case Parallel(threads, worth, inner):
                    self.region(threads if self.value(worth) else 1, inner)
                case Once(inner) if self.thread == 0:
                    self.body(inner)
                case Barrier() if self.team is not None:
                    self.team.barrier.wait()
                    self.phase += 1

    def share(self, count: int, loop: Loop) -> range:
        """The iterations of a loop that this thread runs."""
        if self.team is None or not loop.shared:
            return range(count)
        if loop.in_turn:
            return range(self.thread, count, self.team.size)
        each, more = divmod(max(count, 0), self.team.size)
        first = self.thread * each + min(self.thread, more)
        return range(first, first + each + (self.thread < more))

    def region(self, threads: int, body: tuple[Stmt, ...]) -> None:
        """The body run by a team.

        Raises:
            VerifyError: two threads touch an element, and one of them writes it.
        """
        team = _Team(threads, threading.Barrier(threads))

        def run(thread: int) -> None:
            machine = replace(
                self,
                team=team,
                thread=thread,
                sizes=dict(self.sizes),
                scalars=dict(self.scalars),
                memory=dict(self.memory),
                offsets=dict(self.offsets),
                buffers=[],
            )
            for buffer, total in self.buffers:
                machine.place(buffer, total)
            try:
                with np.errstate(all="ignore"):
                    machine.body(body)
            except threading.BrokenBarrierError:
                pass  # another thread has found the fault
            except BaseException as fault:  # noqa: BLE001  # raised again by the thread that waits
                team.fault = fault
                team.barrier.abort()

        workers = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if team.fault is not None:
            raise team.fault

    def contract(self, stmt: Contract) -> None:
        """A matrix product, one element at a time."""
        rows, columns, terms = (self.size(s) for s in (stmt.rows, stmt.columns, stmt.terms))
        left, right, into = (
            (m.buffer, self.size(m.start), self.size(m.row), self.size(m.term))
            for m in (stmt.left, stmt.right, stmt.into)
        )
        row_step, column_step = self.size(stmt.row_panel), self.size(stmt.column_panel)
        for i, j in np.ndindex(rows, columns):
            spot = into[1] + i * into[2] + j * (into[3] if stmt.by_dots else 1)
            total = self.read(into[0], spot) if stmt.add else stmt.dtype.numpy.type(0)
            across, down = divmod(i, row_panel(stmt.dtype)), divmod(j, column_panel(stmt.dtype))
            for p in filter(self.counted(stmt), range(terms)):
                at = left[1] + across[0] * row_step + across[1] * left[2]
                at += _tap(stmt.left.taps, p) if stmt.left.taps else p * left[3]
                beside = right[1] + down[0] * column_step + down[1] * right[2]
                beside += _tap(stmt.right.taps, p) if stmt.right.taps else p * right[3]
                product = np.multiply(self.read(left[0], at), self.read(right[0], beside))
                total = np.add(total, product)
            self.store(into[0], spot, total)

    def counted(self, stmt: Contract) -> Callable[[int], bool]:
        """Whether a term counts."""
        if not stmt.counted:
            return lambda term: True
        within = [range(self.size(a), self.size(b)) for a, b in stmt.counted]
        counts = tuple(count for count, _ in stmt.right.taps)

        def counts_in(term: int) -> bool:
            place = np.unravel_index(term, counts)
            return all(int(i) in inside for i, inside in zip(place, within, strict=True))

        return counts_in

    def value(self, expr: Expr) -> Scalar:
        match expr:
            case Literal(value, dtype):
                return dtype.numpy.type(value)
            case Local(name):
                return self.scalars[name]
            case Read(buffer, index):
                return self.read(buffer, self.index(buffer, index))
            case Position(size):
                return np.int64(self.size(size))
            case Apply("select", (test, then, other)):
                return self.value(then if self.value(test) else other)
            case Apply("cast", (inner,), dtype):
                return self.value(inner).astype(dtype.numpy)
            case Apply("wrap_index", (i, n)):
                at, size = int(self.value(i)), int(self.value(n))
                return np.int64(min(max(at + size if at < 0 else at, 0), size - 1))
            case Apply("trap", (inner, *_)):
                return self.value(inner)
            case Apply(function, (order, x)) if function in OF_ORDER:
                return self.scalar(function, {"order": int(self.value(order))}, x)
            case Apply(function):
                return self.scalar(function, {}, *expr.args)

    def scalar(self, function: str, params: dict[str, int], *args: Expr) -> Scalar:
        """A function by its row in the op table."""
        values = (np.asarray(self.value(arg)) for arg in args)
        return ops.OPS[function].evaluate(params, *values).reshape(-1)[0]

    def read(self, buffer: str, index: int) -> Scalar:
        writers = self.writers.get(buffer)
        if writers is not None:
            for byte in self.bytes(buffer, index):
                self.touch(buffer, byte, False)
                if writers.get(byte) != buffer:
                    raise VerifyError(f"{buffer}[{index}] was last written by {writers.get(byte)}")
        return self.memory[buffer][index]

    def store(self, buffer: str, index: int, value: Scalar) -> None:
        for byte in self.bytes(buffer, index):
            self.touch(buffer, byte, True)
            self.writers[buffer][byte] = buffer
        self.memory[buffer][index] = value

    def touch(self, buffer: str, key: int, write: bool) -> None:
        if self.team is not None:
            self.team.touch(self, buffer, key, write)

    def bytes(self, buffer: str, index: int) -> range:
        """The keys of an element among the writers: its bytes."""
        start, width = self.offsets[buffer]
        return range(start + index * width, start + (index + 1) * width)

    def index(self, buffer: str, index: Size) -> int:
        found = self.size(index)
        if not 0 <= found < len(self.memory[buffer]):
            raise VerifyError(
                f"{buffer}[{index}] is element {found} of {len(self.memory[buffer])} "
                f"where {self.sizes}"
            )
        return found

    def size(self, size: Size) -> int:
        if not isinstance(size, Dim):
            return size
        total = 0
        for monomial, coefficient in size.terms:
            part = coefficient
            for atom in monomial:
                if isinstance(atom, str):
                    part *= self.sizes[atom]
                    continue
                a, b = self.size(atom.a), self.size(atom.b)
                part *= evaluate(FUNCTIONS[atom.kind](a, b), {})
            total += part
        return total


def _tap(taps: tuple[tuple[int, int], ...], term: int) -> int:
    """How far a term is from the first."""
    place = np.unravel_index(term, tuple(count for count, _ in taps))
    return sum(int(i) * step for i, (_, step) in zip(place, taps, strict=True))
