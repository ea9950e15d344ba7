"""A loop whose iterations need one another, turned inside out: rows that never meet go to threads
whole, each through all iterations, where they would else meet in every one.

The steps of a scan over a batch are such a loop. (Loop interchange after distribution: Allen and
Kennedy, Optimizing Compilers for Modern Architectures, 2001, chapter 5.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphc.bounds import SHORTEST_VECTOR, TALL
from graphc.loops import Comment, Contract, Let, Loop, Stmt, While, statements
from graphc.lower.blocks import Blocks, dealt, some_rows
from graphc.lower.rewriting import Rewriting
from graphc.types import Dim, Size, names

FEWEST_ROWS = 4
"""At a time: with fewer a product of matrices is mostly loads."""


def row_count(loop: Loop) -> Size | None:
    """How many rows all statements of a loop's body go over; None if they do not agree."""
    counts = set(_counts(loop))
    if len(counts) != 1:
        return None
    (count,) = counts
    return None if count is None or loop.var in names(count) else count


def _counts(loop: Loop) -> Iterator[Size | None]:
    for stmt in loop.body:
        match stmt:
            case Loop(_, extent):
                yield extent
            case Contract():
                yield None if stmt.by_dots else stmt.rows
            case Comment() | Let():  # which every thread may know
                pass
            case _:
                yield None


def fewest_rows(loop: Loop) -> int:
    """At a time: what were loops for vectors stay such, and panels stay whole."""
    inner = (x for x in loop.body if isinstance(x, Loop))
    if any(not any(isinstance(x, Loop | While) for x in statements(row.body)) for row in inner):
        return SHORTEST_VECTOR
    panels = any(isinstance(x, Contract) and x.left.panel is not None for x in loop.body)
    return TALL if panels else FEWEST_ROWS


def by_rows(loop: Loop, blocks: Blocks) -> Loop:
    """The loop for some rows at a time, as a loop over the blocks of them.

    Args:
        blocks: of as many rows as `row_count` says.
    """

    def some(stmt: Stmt) -> Stmt:
        match stmt:
            case Loop(var):
                to: dict[str, Size] = {var: blocks.first + Dim.named(var)}
                return Loop(var, blocks.inside, Rewriting(to).body(stmt.body))
            case Contract():
                return some_rows(stmt, blocks)
        return stmt

    body = tuple(map(some, loop.body))
    return dealt(Loop(blocks.var, blocks.count, (replace(loop, body=body),)))
