"""Sums in blocks of iterations: the same ones, and so the same bits, for any number of threads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from graphc import loops
from graphc.bounds import column_panel, row_panel
from graphc.dependence import Split, Total
from graphc.frozen import dataclass
from graphc.loops import (
    Apply,
    Assign,
    Contract,
    Declare,
    Expr,
    Literal,
    Local,
    Loop,
    Read,
    Stmt,
    Store,
    While,
    statements,
)
from graphc.lower.rewriting import Rewriting
from graphc.types import Dim, Size, floordiv, minimum

FEW = 8
"""Blocks whose sum is one expression."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The iterations of a loop, `size` at a time, in a loop over `var`."""

    var: str
    size: int
    extent: Size

    @property
    def count(self) -> Size:
        return floordiv(self.extent + self.size - 1, self.size)

    @property
    def inside(self) -> Size:
        """How many iterations a block has: the last one may have fewer."""
        if isinstance(self.extent, int) and self.extent % self.size == 0:
            return self.size
        return minimum(self.size, self.extent - self.first)

    @property
    def first(self) -> Size:
        return Dim.named(self.var) * self.size


def dealt(loop: Loop) -> Loop:
    """The loop for many threads: blocks of products, the last of which may be short, in turn."""
    long = any(isinstance(stmt, Contract) for stmt in statements(loop.body))
    return replace(loop, shared=True, in_turn=long)


def blocked_sums(
    loop: Loop,
    split: Split,
    blocks: Blocks,
    parts: Mapping[str, tuple[str, str]],
    element: str,
) -> list[Stmt]:
    """A loop that accumulates, as shared blocks of it that each accumulate for themselves, and the
    sum over the blocks, in their order.

    Args:
        parts: for each local and buffer it accumulates, a name for the sum of one block and the
            array of these sums.
        element: a free variable.
    """
    block = Dim.named(blocks.var)
    alone = blocks.size == 1
    at: dict[str, Size] = {loop.var: block if alone else blocks.first + Dim.named(loop.var)}
    names = {name: parts[name][0] for name in split.sums}
    body = Rewriting(at, names).body(loop.body)
    arrays = split.arrays.items()
    body = _redirected(body, {x: (parts[x][1], block * t.count - t.first) for x, t in arrays})
    start: list[Stmt] = [Declare(parts[x][0], _identity(t)) for x, t in split.sums.items()]
    for name, total in arrays:
        place = block * total.count + Dim.named(element)
        start.append(Loop(element, total.count, (Store(parts[name][1], place, _identity(total)),)))
    inner = body if alone else (Loop(loop.var, blocks.inside, body),)
    end = [
        Store(parts[name][1], block, Local(parts[name][0], total.dtype))
        for name, total in split.sums.items()
    ]
    shared = dealt(Loop(blocks.var, blocks.count, (*start, *inner, *end)))
    return [shared, *_joined(split, blocks, parts, element)]


def _joined(
    split: Split,
    blocks: Blocks,
    parts: Mapping[str, tuple[str, str]],
    element: str,
) -> Iterator[Stmt]:
    """The sums over the blocks."""
    block = Dim.named(blocks.var)
    for name, total in split.sums.items():
        sofar = Local(name, total.dtype)
        term = Read(parts[name][1], block, total.dtype)
        add = Assign(name, loops.apply(total.function, sofar, term))
        yield Loop(blocks.var, blocks.count, (add,))
    for name, total in split.arrays.items():
        at = Dim.named(element)
        if isinstance(blocks.count, int) and blocks.count <= FEW:
            value: Expr = Read(name, total.first + at, total.dtype)
            for k in range(blocks.count):
                term = Read(parts[name][1], k * total.count + at, total.dtype)
                value = loops.apply(total.function, value, term)
            yield Loop(element, total.count, (Store(name, total.first + at, value),), shared=True)
            continue
        sofar = Local(parts[name][0], total.dtype)
        term = Read(parts[name][1], block * total.count + at, total.dtype)
        add = Assign(sofar.name, loops.apply(total.function, sofar, term))
        body = (
            Declare(sofar.name, Read(name, total.first + at, total.dtype)),
            Loop(blocks.var, blocks.count, (add,)),
            Store(name, total.first + at, sofar),
        )
        yield Loop(element, total.count, body, shared=True)


def some_rows(stmt: Contract, blocks: Blocks) -> Contract:
    """One block of the rows of a product of matrices: whole panels, where they lie in such."""
    first = blocks.first
    down = first * stmt.left.row
    if stmt.left.panel is not None:
        down = Dim.named(blocks.var) * (blocks.size // row_panel(stmt.dtype)) * stmt.left.panel
    left = replace(stmt.left, start=stmt.left.start + down)
    into = replace(stmt.into, start=stmt.into.start + first * stmt.into.row)
    return replace(stmt, rows=blocks.inside, left=left, into=into)


def blocked_rows(stmt: Contract, blocks: Blocks) -> Loop:
    """A product of matrices, some rows at a time."""
    return dealt(Loop(blocks.var, blocks.count, (some_rows(stmt, blocks),)))


def blocked_columns(stmt: Contract, blocks: Blocks) -> Loop:
    """A product of matrices, some columns at a time: whole panels, where they lie in such."""
    across = stmt.into.term if stmt.by_dots else 1
    along = blocks.first * stmt.right.row
    if stmt.right.panel is not None:
        panels = blocks.size // column_panel(stmt.dtype)
        along = Dim.named(blocks.var) * panels * stmt.right.panel
    right = replace(stmt.right, start=stmt.right.start + along)
    into = replace(stmt.into, start=stmt.into.start + blocks.first * across)
    part = replace(stmt, columns=blocks.inside, right=right, into=into)
    return dealt(Loop(blocks.var, blocks.count, (part,)))


def _identity(total: Total) -> Literal:
    """What changes nothing when it is combined."""
    dtype, floating = total.dtype, total.dtype.kind == "f"
    match total.function:
        case "add":
            value: bool | int | float = 0.0 if floating else 0
        case "multiply":
            value = 1.0 if floating else 1
        case "logical_or":
            value = False
        case "logical_and":
            value = True
        case _:
            high = total.function == "minimum"
            limits = None if floating else np.iinfo(dtype.name)
            if limits is None:
                value = math.inf if high else -math.inf
            else:
                value = int(limits.max if high else limits.min)
    return Literal(value, dtype)


# --- statements with other arrays ----------------------------------------------------------------


def _redirected(body: tuple[Stmt, ...], to: Mapping[str, tuple[str, Size]]) -> tuple[Stmt, ...]:
    """The statements with accumulations going to other arrays, from some element on."""

    def one(stmt: Stmt) -> Stmt:
        match stmt:
            case Store(buffer, index, Apply(function, (Read(), term), dtype)) if buffer in to:
                name, start = to[buffer]
                place = start + index
                value = Apply(function, (Read(name, place, dtype), term), dtype)
                return replace(stmt, buffer=name, index=place, value=value)
            case Contract(into=into) if into.buffer in to:
                name, start = to[into.buffer]
                return replace(stmt, into=replace(into, buffer=name, start=start + into.start))
            case Loop():
                return replace(stmt, body=_redirected(stmt.body, to))
            case While():
                test, inner = _redirected(stmt.test, to), _redirected(stmt.body, to)
                return replace(stmt, test=test, body=inner)
            case loops.If():
                then, other = _redirected(stmt.then, to), _redirected(stmt.other, to)
                return replace(stmt, then=then, other=other)
        return stmt

    return tuple(map(one, body))
