"""The checker of the loop IR."""

from __future__ import annotations

from itertools import chain

from graphc.barriers import lacking
from graphc.dependence import Memory, split_of
from graphc.errors import VerifyError
from graphc.frozen import dataclass
from graphc.loops import (
    Assign,
    Barrier,
    Call,
    Contract,
    Declare,
    Expr,
    If,
    Let,
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
    bodies,
    parts,
    statements,
    values,
)
from graphc.types import DType, Size, int64, names

Scope = dict[str, DType]


def verify(program: Program) -> None:
    """Every name is known before it is used, has one dtype, and stores hit writable buffers.

    Raises:
        VerifyError: naming the statement.
    """
    arrays = {a.name: a.type.dtype for a in (*program.inputs, *program.outputs)}
    arrays.update({b.name: b.dtype for b in program.buffers})
    writable = frozenset((*(a.name for a in program.outputs), *(b.name for b in program.buffers)))
    tables = {table.name: str(table.values.dtype) for table in program.tables}
    _Checker(frozenset(program.dims), arrays, writable, tables).body(program.body, {})
    memory = Memory.of(program)
    for stmt in program.body:
        if isinstance(stmt, Parallel):
            verify_region(stmt, memory)


def verify_region(region: Parallel, memory: Memory) -> None:
    """The threads of a region agree on every local, and none touches an element that another one
    writes, unless a barrier lies between.

    Raises:
        VerifyError: naming the statement.
    """
    _agree(region.body)
    for stmt in statements(region.body):
        if isinstance(stmt, Loop) and stmt.shared:
            own = {name for name, buffer in memory.buffers.items() if buffer.step != 0}
            split = split_of(stmt, memory)
            if split is None or split.sums or split.arrays or not own.issuperset(split.private):
                raise VerifyError(f"iterations of a shared loop touch the same elements: {stmt}")
    missing = lacking(region, memory)
    if missing:
        raise VerifyError(f"a region lacks {missing} barriers: {region}")


def _agree(body: tuple[Stmt, ...]) -> None:
    """What all threads run stores nothing, and what some run is one level deep and changes no
    local of all."""
    for stmt in body:
        if isinstance(stmt, Store | Contract | Parallel):
            raise VerifyError(f"every thread of a region would run {stmt}")
        if not isinstance(stmt, Once) and not (isinstance(stmt, Loop) and stmt.shared):
            for block in bodies(stmt):
                _agree(block)
            continue
        inner = list(statements(stmt.body))
        own = {s.name for s in inner if isinstance(s, Let | Declare)}
        for s in inner:
            if isinstance(s, Parallel | Once | Barrier) or (isinstance(s, Loop) and s.shared):
                raise VerifyError(f"not all threads would come to {s} in {stmt}")
            if isinstance(s, Assign) and s.name not in own:
                raise VerifyError(f"the threads would differ in {s.name}: {stmt}")


@dataclass(frozen=True, slots=True)
class _Checker:
    dims: frozenset[str]
    arrays: dict[str, DType]
    writable: frozenset[str]
    tables: dict[str, str]

    def size(self, size: Size, scope: Scope, stmt: Stmt) -> None:
        for name in names(size):
            if name not in self.dims and name not in scope:
                raise VerifyError(f"index {size} uses {name!r}, which is not in scope: {stmt}")

    def expr(self, expr: Expr, scope: Scope, stmt: Stmt) -> None:
        for part in parts(expr):
            match part:
                case Local(name, dtype):
                    known = scope.get(name) or self.arrays.get(name)
                    if known != dtype:
                        raise VerifyError(f"{part} is {known} where it is used: {stmt}")
                case Read(buffer, index, dtype):
                    if self.arrays.get(buffer) != dtype and self.tables.get(buffer) != str(dtype):
                        raise VerifyError(f"{part} reads an unknown buffer: {stmt}")
                    self.size(index, scope, stmt)
                case Position(size):
                    self.size(size, scope, stmt)

    def contract(self, stmt: Contract, scope: Scope) -> None:
        for size in (stmt.rows, stmt.columns, stmt.terms, *chain(*stmt.counted)):
            self.size(size, scope, stmt)
        for side in (stmt.left, stmt.right, stmt.into):
            self.expr(Read(side.buffer, side.start, stmt.dtype), scope, stmt)
            self.size(side.row, scope, stmt)
            self.size(side.term, scope, stmt)
            self.size(0 if side.panel is None else side.panel, scope, stmt)
        if stmt.right.taps and not stmt.left.taps and stmt.add:
            raise VerifyError(f"a product by the taps of windows adds to nothing: {stmt}")
        if stmt.into.buffer not in self.writable:
            raise VerifyError(f"{stmt.into.buffer!r} cannot be written: {stmt}")

    def body(self, body: tuple[Stmt, ...], scope: Scope) -> Scope:
        """The names a block leaves in scope."""
        scope = dict(scope)
        for stmt in body:
            if isinstance(stmt, While):
                self.expr(stmt.condition, self.body(stmt.test, scope), stmt)
                self.body(stmt.body, scope)
                continue
            for value in values(stmt):
                self.expr(value, scope, stmt)
            self.statement(stmt, scope)
        return scope

    def statement(self, stmt: Stmt, scope: Scope) -> None:
        match stmt:
            case Let() | Declare():
                if stmt.name in scope or stmt.name in self.arrays:
                    raise VerifyError(f"{stmt.name!r} is declared twice: {stmt}")
                scope[stmt.name] = stmt.value.dtype
            case Assign(name, value) if scope.get(name) != value.dtype:
                raise VerifyError(f"{name!r} is not a declared {value.dtype}: {stmt}")
            case Store(buffer, index, value):
                if buffer not in self.writable or self.arrays[buffer] != value.dtype:
                    raise VerifyError(f"{buffer!r} cannot take {value.dtype}: {stmt}")
                self.size(index, scope, stmt)
            case Loop(var, extent, inner):
                self.size(extent, scope, stmt)
                self.body(inner, {**scope, var: int64})
            case Contract():
                self.contract(stmt, scope)
            case If(_, then, other):
                self.body(then, scope)
                self.body(other, scope)
            case Parallel(_, _, inner) | Once(inner):
                self.body(inner, scope)
            case Call():
                raise VerifyError(f"only what is written as C calls functions: {stmt}")
