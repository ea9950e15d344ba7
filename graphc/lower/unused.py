"""Statements whose values nobody reads: what guards that the loops decide leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphc.loops import (
    Assign,
    Comment,
    Contract,
    Declare,
    If,
    Let,
    Local,
    Loop,
    Position,
    Program,
    Read,
    Stmt,
    Store,
    While,
    parts,
    statements,
    values,
)
from graphc.types import names


def drop_unused(program: Program) -> Program:
    """The program without locals and workspace arrays that are never read, and empty loops."""
    outputs = {argument.name for argument in program.outputs}
    body, used = program.body, set[str]()
    while used != (found := outputs | set(_read(body))):
        used = found
        body = _kept(body, used)
    buffers = tuple(b for b in program.buffers if b.name in used)
    return replace(
        program,
        body=body,
        buffers=buffers,
        workspace=program.workspace if buffers else 0,
        tables=tuple(t for t in program.tables if t.name in used),
    )


def slice_of(body: tuple[Stmt, ...], wanted: str) -> tuple[Stmt, ...]:
    """The statements that one array needs of those that make it."""
    used, found = {wanted}, body
    while True:
        found = _kept(body, used)
        more = used | set(_read(found))
        if more == used:
            return tuple(stmt for stmt in found if not isinstance(stmt, Comment))
        used = more


def _read(body: tuple[Stmt, ...]) -> Iterator[str]:
    """Names that are read, but for what a local or an array reads to change itself."""
    for stmt in statements(body):
        own = stmt.name if isinstance(stmt, Assign) else ""
        own = stmt.buffer if isinstance(stmt, Store) else own
        if isinstance(stmt, Store):
            yield from names(stmt.index)
        if isinstance(stmt, Loop):
            yield from names(stmt.extent)
        if isinstance(stmt, Contract):
            for side in (stmt.left, stmt.right, stmt.into):
                for size in (
                    side.start,
                    side.row,
                    side.term,
                    0 if side.panel is None else side.panel,
                ):
                    yield from names(size)
            for size in (size for pair in stmt.counted for size in pair):
                yield from names(size)
        for value in values(stmt):
            for part in parts(value):
                match part:
                    case Local(name) if name != own:
                        yield name
                    case Read(name, index):
                        yield from names(index)
                        if name != own:
                            yield name
                    case Position(size):
                        yield from names(size)


def _read_later(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """A block without locals that nothing behind them reads: others may have the same name."""
    kept: list[Stmt] = []
    later: set[str] = set()
    for stmt in reversed(body):
        if not isinstance(stmt, Let) or stmt.name in later:
            kept.append(stmt)
            later.update(_read((stmt,)))
    return tuple(reversed(kept))


def _kept(body: tuple[Stmt, ...], used: set[str]) -> tuple[Stmt, ...]:
    kept: list[Stmt] = []
    for stmt in body:
        match stmt:
            case Let(name) | Declare(name) | Assign(name) | Store(name):
                wanted = name in used
            case Loop():
                stmt = replace(stmt, body=_read_later(_kept(stmt.body, used)))
                filled = any(not isinstance(s, Comment) for s in stmt.body)
                wanted = filled and stmt.extent != 0
            case While():
                stmt = replace(stmt, test=_kept(stmt.test, used), body=_kept(stmt.body, used))
                wanted = True
            case If():
                stmt = replace(stmt, then=_kept(stmt.then, used), other=_kept(stmt.other, used))
                wanted = bool(stmt.then or stmt.other)
            case Contract():
                wanted = stmt.into.buffer in used
            case Comment():
                wanted = True
        if wanted:
            kept.append(stmt)
    return tuple(kept)
