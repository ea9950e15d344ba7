"""Arrays that lie in one place: a program with one name for the place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphc.loops import (
    Assign,
    Contract,
    Declare,
    Expr,
    If,
    Let,
    Loop,
    Matrix,
    Once,
    Parallel,
    Program,
    Read,
    Stmt,
    Store,
    While,
    replace_parts,
)
from graphc.types import Size


def in_place(program: Program) -> Program:
    """The program as C says it: an output in a donated argument has the argument's name, and
    nothing is copied to where it lies already."""
    names = {y.name: y.home for y in program.outputs if y.home}
    if not names:
        return program
    return replace(program, body=renamed(program.body, names))


def renamed(body: tuple[Stmt, ...], names: Mapping[str, str]) -> tuple[Stmt, ...]:
    """The statements with other names for arrays, and without copies of a place to itself."""

    def array(name: str) -> str:
        return names.get(name, name)

    def change(part: Expr) -> Expr | None:
        return replace(part, buffer=array(part.buffer)) if isinstance(part, Read) else None

    def fix(expr: Expr) -> Expr:
        return replace_parts(expr, change)

    def matrix(side: Matrix) -> Matrix:
        return replace(side, buffer=array(side.buffer))

    found: list[Stmt] = []
    for stmt in body:
        match stmt:
            case Let() | Declare() | Assign():
                stmt = replace(stmt, value=fix(stmt.value))
            case Store():
                stmt = replace(stmt, buffer=array(stmt.buffer), value=fix(stmt.value))
                value = stmt.value
                if isinstance(value, Read) and (value.buffer, value.index) == (
                    stmt.buffer,
                    stmt.index,
                ):
                    continue
            case Contract():
                stmt = replace(
                    stmt,
                    left=matrix(stmt.left),
                    right=matrix(stmt.right),
                    into=matrix(stmt.into),
                )
            case Loop():
                stmt = replace(stmt, body=renamed(stmt.body, names))
                if not stmt.body:
                    continue
            case Parallel() | Once():
                stmt = replace(stmt, body=renamed(stmt.body, names))
            case While():
                stmt = replace(
                    stmt,
                    test=renamed(stmt.test, names),
                    condition=fix(stmt.condition),
                    body=renamed(stmt.body, names),
                )
            case If():
                stmt = replace(
                    stmt,
                    condition=fix(stmt.condition),
                    then=renamed(stmt.then, names),
                    other=renamed(stmt.other, names),
                )
        found.append(stmt)
    return tuple(found)


def copy_of(stmt: Stmt) -> tuple[str, str, Size] | None:
    """(target, source, elements) of loops that copy one array to another, place by place."""
    count: Size = 1
    while isinstance(stmt, Loop) and len(stmt.body) == 1:
        count = count * stmt.extent
        stmt = stmt.body[0]
    if isinstance(stmt, Store) and isinstance(stmt.value, Read):
        if stmt.value.index == stmt.index and stmt.value.buffer != stmt.buffer:
            return stmt.buffer, stmt.value.buffer, count
    return None
