"""Statements without their names: what is equal in two statements that differ in names alone."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from graphc.loops import (
    Apply,
    Assign,
    Call,
    Comment,
    Contract,
    Declare,
    Expr,
    If,
    Let,
    Literal,
    Local,
    Loop,
    Matrix,
    Position,
    Read,
    Stmt,
    Store,
    While,
    bodies,
)
from graphc.types import DType, Size, int64


@dataclass(slots=True)
class Shape:
    """What a statement is but for names, and its names, each once, as they come.

    Statements are equal but for their names if their `form` is, and then the k-th names of both
    mean the same.
    """

    form: int
    names: tuple[str, ...]
    weight: int
    """How many statements, functions, reads and literals it is made of."""
    binds: frozenset[str]
    """Names it declares for the statements after it."""
    inner: frozenset[str]
    """Names that are declared inside."""
    assigns: frozenset[str]
    """Names that it gives another value and does not declare."""
    stores: frozenset[str]
    """Arrays that it writes into."""
    scalars: dict[str, DType]
    """The other names, but for those declared inside: numbers."""
    loops: bool
    """Whether there is a loop in it, or a product."""


@dataclass(slots=True)
class Shapes:
    """The shapes of statements; those of one statement are made once."""

    fixed: Set[str]
    """Names that stand for themselves: what they mean is the same everywhere."""
    forms: dict[tuple[object, ...], int] = field(default_factory=dict)
    known: dict[int, tuple[Stmt, Shape]] = field(default_factory=dict)
    """By the statement's id; it is kept, so that no other gets the id."""

    def of(self, stmt: Stmt) -> Shape:
        found = self.known.get(id(stmt))
        if found is None:
            found = self.known[id(stmt)] = stmt, self.make(stmt)
        return found[1]

    def of_body(self, body: tuple[Stmt, ...]) -> list[Shape]:
        return [self.of(stmt) for stmt in body if not isinstance(stmt, Comment)]

    def make(self, stmt: Stmt) -> Shape:
        walk = _Walk(self.fixed)
        walk.statement(stmt)
        blocks = [self.of_body(block) for block in bodies(stmt)]
        parts = [part for block in blocks for part in block]
        for block in blocks:
            walk.form.append(len(block))
            for part in block:
                walk.form.append(part.form)
                walk.form += [walk.place(name) for name in part.names]
        form = tuple(walk.form)
        own = frozenset((stmt.var,) if isinstance(stmt, Loop) else ())
        declared = own.union(*(part.binds for part in parts))
        scalars = {name: dtype for part in parts for name, dtype in part.scalars.items()}
        scalars |= walk.scalars
        return Shape(
            self.forms.setdefault(form, len(self.forms)),
            tuple(walk.places),
            walk.weight + sum(part.weight for part in parts),
            frozenset((stmt.name,) if isinstance(stmt, Let | Declare) else ()),
            declared.union(*(part.inner for part in parts)),
            walk.assigns.union(*(part.assigns for part in parts)) - declared,
            walk.stores.union(*(part.stores for part in parts)),
            {name: dtype for name, dtype in scalars.items() if name not in declared},
            isinstance(stmt, Loop | While | Contract) or any(part.loops for part in parts),
        )


@dataclass(slots=True)
class _Walk:
    """What one statement says itself, without those inside it."""

    fixed: Set[str]
    form: list[object] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    """The names, numbered as they come."""
    weight: int = 1
    assigns: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    scalars: dict[str, DType] = field(default_factory=dict)

    def statement(self, stmt: Stmt) -> None:
        self.form.append(type(stmt))
        match stmt:
            case Let(name, value) | Declare(name, value) | Assign(name, value):
                self.name(name)
                self.expr(value)
                self.assigns = frozenset((name,) if isinstance(stmt, Assign) else ())
            case Store(buffer, index, value):
                self.name(buffer)
                self.stores = frozenset((buffer,))
                self.size(index)
                self.expr(value)
            case Contract():
                self.stores = frozenset((stmt.into.buffer,))
                self.form += (stmt.dtype, stmt.add)
                for size in (stmt.rows, stmt.columns, stmt.terms):
                    self.size(size)
                for side in (stmt.left, stmt.right, stmt.into):
                    self.matrix(side)
            case Loop(var, extent, _, shared):
                self.size(extent)
                self.name(var)
                self.form.append(shared)
            case While() | If():
                self.expr(stmt.condition)
            case Call(function, arguments):
                self.form += (function, len(arguments))
                self.form += [self.place(name) for name in arguments]
                self.stores = frozenset(stmt.stored)
                self.scalars.update(stmt.scalars)

    def name(self, name: str) -> None:
        self.form.append(name if name in self.fixed else self.place(name))

    def place(self, name: str) -> int:
        return self.places.setdefault(name, len(self.places))

    def matrix(self, side: Matrix) -> None:
        self.name(side.buffer)
        self.form.append(side.taps)
        for size in (side.start, side.row, side.term, side.panel):
            if size is None:
                self.form.append("no panel")
            else:
                self.size(size)

    def expr(self, expr: Expr) -> None:
        self.weight += 1
        match expr:
            case Literal(value, dtype):
                self.form += (repr(value), dtype)
            case Local(name, dtype):
                self.form.append(dtype)
                self.name(name)
                self.scalars[name] = dtype
            case Read(buffer, index, dtype):
                self.form.append(dtype)
                self.name(buffer)
                self.size(index)
            case Position(size, dtype):
                self.form.append(dtype)
                self.size(size)
            case Apply(function, args, dtype):
                self.form += (function, len(args), dtype)
                for arg in args:
                    self.expr(arg)

    def size(self, size: Size) -> None:
        if isinstance(size, int):
            self.form.append(size)
            return
        for monomial, coefficient in size.terms:
            self.form += (coefficient, len(monomial))
            for atom in monomial:
                if isinstance(atom, str):
                    self.name(atom)
                    self.scalars.setdefault(atom, int64)
                else:
                    self.form.append(atom.kind)
                    self.size(atom.a)
                    self.size(atom.b)
        self.form.append("end")
