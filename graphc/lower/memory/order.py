"""A donated argument gets its new value as soon as that can be: right behind the gradient that it
is made of, which then need not wait for the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphc.frozen import dataclass
from graphc.loops import (
    Assign,
    Comment,
    Declare,
    Let,
    Local,
    Loop,
    Position,
    Program,
    Read,
    Stmt,
    Store,
    parts,
    statements,
    values,
)
from graphc.lower.memory.tree import Item, tree
from graphc.types import names

PARTS = ("forward", "backward", "update")


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """A statement of the outermost block with the comments above it, and under which heading."""

    heading: str
    comments: tuple[Stmt, ...]
    item: Item | None
    reads: frozenset[str]
    """Arrays, by the memory they are in, and scalars."""
    writes: frozenset[str]


def update_early(program: Program) -> Program:
    """Loops that only fill donated arguments move up to what they need last."""
    homes = {y.name: y.home for y in program.outputs if y.home}
    if not homes:
        return program
    chunks = list(_chunks(program, homes))
    donated = set(homes.values())
    for k, chunk in enumerate(chunks):
        if chunk.item is None or not isinstance(chunk.item.stmt, Loop):
            continue
        if chunk.writes and chunk.writes <= donated:
            spot = k
            while spot and _may_pass(chunk, chunks[spot - 1]):
                spot -= 1
            chunks.insert(spot, chunks.pop(k))
    return replace(program, body=tuple(_body(chunks)))


def _may_pass(chunk: _Chunk, before: _Chunk) -> bool:
    """Whether a chunk may go ahead of the one before it; it does not climb over comments alone."""
    if before.item is None:
        return False
    clash = before.writes & (chunk.reads | chunk.writes) or before.reads & chunk.writes
    return not clash


def _chunks(program: Program, homes: dict[str, str]) -> Iterator[_Chunk]:
    heading = ""
    comments: list[Stmt] = []
    for item in tree(program.body):
        stmt = item.stmt
        if isinstance(stmt, Comment):
            if _is_heading(stmt):
                heading = stmt.text
            else:
                comments.append(stmt)
            continue
        reads, writes = set(_scalars(stmt)), set(_changed(stmt))
        for array, accesses in item.accesses.items():
            place = homes.get(array, array)
            if any(not access.writes for access in accesses):
                reads.add(place)
            if any(access.writes for access in accesses):
                writes.add(place)
        yield _Chunk(heading, tuple(comments), item, frozenset(reads), frozenset(writes))
        comments = []
    if comments:
        yield _Chunk(heading, tuple(comments), None, frozenset(), frozenset())


def _is_heading(comment: Comment) -> bool:
    return all(part in PARTS for part in comment.text.split(" and "))


def _scalars(stmt: Stmt) -> Iterator[str]:
    """Names of scalars that a statement may read."""
    for inner in statements((stmt,)):
        if isinstance(inner, Store):
            yield from names(inner.index)
        if isinstance(inner, Loop):
            yield from names(inner.extent)
        for value in values(inner):
            for part in parts(value):
                match part:
                    case Local(name):
                        yield name
                    case Read(_, index):
                        yield from names(index)
                    case Position(size):
                        yield from names(size)


def _changed(stmt: Stmt) -> Iterator[str]:
    """Names of scalars that outlive the statement and that it sets."""
    if isinstance(stmt, Let | Declare):
        yield stmt.name
    inner = list(statements((stmt,)))
    own = {x.name for x in inner if isinstance(x, Let | Declare) and x is not stmt}
    yield from (x.name for x in inner if isinstance(x, Assign) and x.name not in own)


def _body(chunks: Sequence[_Chunk]) -> Iterator[Stmt]:
    heading = ""
    for chunk in chunks:
        if chunk.heading != heading:
            heading = chunk.heading
            yield Comment(heading)
        yield from chunk.comments
        if chunk.item is not None:
            yield chunk.item.stmt
