"""Program -> Program: one parallel region, its loops dealt out to threads.

The result is the same, bit for bit, for any number of threads: loops whose iterations are apart
are dealt out as they are; what others accumulate is summed in blocks that do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from graphc.barriers import with_barriers
from graphc.bounds import TALL, Extents, column_panel, largest, row_panel
from graphc.dependence import Memory, Split, split_of
from graphc.errors import VerifyError
from graphc.loops import (
    Assign,
    Buffer,
    Comment,
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
    predicate,
    statements,
)
from graphc.loops_verify import verify_region
from graphc.lower.blocks import Blocks, blocked_columns, blocked_rows, blocked_sums, dealt
from graphc.lower.interchange import by_rows, fewest_rows, row_count
from graphc.lower.memory import align, laid, prepared
from graphc.lower.naming import Names
from graphc.lower.once import merged, undealt
from graphc.lower.rewriting import Rewriting
from graphc.lower.work import work
from graphc.types import Dim, Size, bool_, interval, maximum, names, product

LEAST_REGION = 200_000
"""Operations (see `work`) that repay waking threads: some ten microseconds."""
LEAST_LOOP = 4_000
"""Operations that repay dealing out a loop."""
LEAST_ROUND = 40_000
"""Operations of one iteration that repay meeting in each."""
BLOCK_WORK = 16_000
"""Operations of a block of iterations that sums for itself."""
LEAST_PART = 1000
"""Operations of an iteration, a loop itself, that may be a block alone."""
PART_WORK = 16
"""Operations of a block for each element of an array of its own."""
SHORTEST_BLOCK, LONGEST_BLOCK = 16, 4096
ROWS, COLUMNS = 48, 128
"""Of a product of matrices, at a time."""
GATHERING = 128
"""So many rows surely repay gathering the columns they are multiplied by."""
ENOUGH_PANELS = 2
"""Of columns, which threads then share rather than the rows, for which each would gather all."""
SHARES = 8
"""Into how many parts a product of few rows is cut."""
SOME_ROWS = 8
"""Of a number known only at run time, for a thread at a time."""
FEWEST = 4
"""A loop with fewer iterations looks for more of them inside."""

Blocked = Callable[[Contract, Blocks], Loop]


def parallelise(program: Program, threads: int, free: Names, loop_names: Sequence[str]) -> Program:
    """The program for `threads` threads; as it is where they would not repay their cost.

    With one thread it has no region, and the sums in the blocks that more threads would share.
    """
    program = prepared(program, free, loop_names)
    total = work(program.body, set(program.dims))
    if isinstance(total, int) and total < LEAST_REGION:
        return laid(program)
    sharer = _Sharer(program, threads, Memory.of(program, is_laid=False), free)
    body = sharer.body(program.body, {})
    if not _is_shared(body):
        return laid(program)
    stored = {x.buffer for x in statements(body) if isinstance(x, Store)}
    sharer.parts = [x for x in sharer.parts if x.name in stored]  # not of what was tried in vain
    parts = [x for x in sharer.parts if x.name not in sharer.told]
    for_one = replace(program, body=undealt(body, sharer.told), buffers=(*program.buffers, *parts))
    if threads == 1:
        return laid(for_one)
    shared = sharer.laid(merged(body), threads)
    worth: Expr = Literal(True, bool_)
    if not isinstance(total, int):
        worth = predicate("greater_equal", Position(total), Position(LEAST_REGION))
    placed = with_barriers(shared.body, Memory.of(shared))
    region = Parallel(threads, worth, placed)
    try:
        verify_region(region, Memory.of(shared))
    except VerifyError:  # what cannot be proved once all arrays have their places
        return laid(for_one)
    return replace(shared, body=(region,))


def has_many(loop: Loop) -> bool:
    """Whether its iterations are enough to be dealt out, rather than those of loops inside."""
    return not isinstance(loop.extent, int) or loop.extent >= FEWEST


@dataclass(slots=True)
class _Sharer:
    program: Program
    threads: int
    memory: Memory
    free: Names
    parts: list[Buffer] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    """Where the first thread leaves locals for the others: the local of each array."""
    private: list[tuple[str, ...]] = field(default_factory=list)
    """The arrays of which each thread needs its own, for each shared loop."""
    variables: dict[str, str] = field(default_factory=dict)

    def variable(self, wanted: str) -> str:
        """A loop variable for what is wanted, the same everywhere."""
        if wanted not in self.variables:
            self.variables[wanted] = self.free.take(wanted)
        return self.variables[wanted]

    def cost(self, body: tuple[Stmt, ...], extents: Extents) -> Size:
        return work(body, set(self.program.dims), extents)

    # --- statements ------------------------------------------------------------------------------

    def body(self, body: tuple[Stmt, ...], extents: Extents) -> tuple[Stmt, ...]:
        """Statements that all threads run."""
        result: list[Stmt] = []
        for stmt in body:
            match stmt:
                case Let() | Declare() | Assign() | Comment():
                    result.append(stmt)
                case Store():
                    result.append(Once((stmt,)))
                case Contract():
                    result.append(self.contract(stmt, extents))
                case Loop():
                    result += self.loop(stmt, extents)
                case _:
                    inner = self.inside(stmt, extents)
                    result += [inner] if _is_shared((inner,)) else self.alone(stmt)
        return tuple(result)

    def inside(self, stmt: Stmt, extents: Extents) -> Stmt:
        """A loop or branch that all threads run, meeting in each iteration."""
        match stmt:
            case Loop(var, extent):
                bound = largest(extent, extents)
                if bound is None:
                    return stmt
                return replace(stmt, body=self.body(stmt.body, {**extents, var: bound}))
            case While():
                test, inner = self.body(stmt.test, extents), self.body(stmt.body, extents)
                return replace(stmt, test=test, body=inner)
            case If():
                then, other = self.body(stmt.then, extents), self.body(stmt.other, extents)
                return replace(stmt, then=then, other=other)
        return stmt

    def loop(self, loop: Loop, extents: Extents) -> list[Stmt]:
        cost = self.cost((loop,), extents)
        if isinstance(cost, int) and cost < LEAST_LOOP:
            return self.alone(loop)
        ways = (self.across, self.inside_out, self.within)
        if not has_many(loop):
            ways = (self.inside_out, self.within, self.across)
        for way in ways:
            found = way(loop, extents)
            if found is not None:
                return found
        return self.alone(loop)

    def within(self, loop: Loop, extents: Extents) -> list[Stmt] | None:
        """The loop as it is, with shared loops inside."""
        bound = largest(loop.extent, extents)
        if bound is None:
            return None
        cost = self.cost(loop.body, {**extents, loop.var: bound})
        if isinstance(cost, int) and cost < LEAST_ROUND:
            return None
        inner = self.inside(loop, extents)
        return [inner] if _is_shared((inner,)) else None

    def across(self, loop: Loop, extents: Extents) -> list[Stmt] | None:
        """The iterations of the loop dealt out."""
        split = split_of(loop, self.memory)
        if split is None:
            return None
        if split.sums or split.arrays:
            found = self.sums(loop, split, extents)
            if found is None:
                return None
        else:
            found = [dealt(loop)]
        self.private.append(split.private)
        return found

    def inside_out(self, loop: Loop, extents: Extents) -> list[Stmt] | None:
        """The rows that all iterations go over dealt out, each through all iterations."""
        rows = row_count(loop)
        if rows is None or set(names(rows)) - set(self.program.dims):
            return None
        fewest = fewest_rows(loop)
        each = -(-rows // self.threads) if isinstance(rows, int) else SOME_ROWS
        blocks = Blocks(self.variable("block"), -(-each // fewest) * fewest, rows)
        if blocks.count == 1:
            return None
        found = by_rows(loop, blocks)
        split = split_of(found, self.memory)
        if split is None or split.sums or split.arrays:
            return None
        self.private.append(split.private)
        return [found]

    def sums(self, loop: Loop, split: Split, extents: Extents) -> list[Stmt] | None:
        sizes = [total.count for total in split.arrays.values()]
        blocks = self.blocks(loop, sizes, extents)
        count = largest(blocks.count, extents)
        if count is None or count == 1:
            return None
        if {x for size in (count, *sizes) for x in names(size)} - set(self.program.dims):
            return None
        parts: dict[str, tuple[str, str]] = {}
        for name, total in (*split.sums.items(), *split.arrays.items()):
            parts[name] = self.free.take(f"{name}_part"), self.free.take(f"{name}_parts")
            shape = (count, total.count) if name in split.arrays else (count,)
            self.parts.append(Buffer(parts[name][1], total.dtype, shape, 0))
        found = blocked_sums(loop, split, blocks, parts, self.variable("element"))
        return [x if _is_worthwhile(x, self) else _unshared(x) for x in found]

    def blocks(self, loop: Loop, sizes: Sequence[Size], extents: Extents) -> Blocks:
        """Blocks that repay their sums."""
        each = self.cost(loop.body, {**extents, loop.var: 1})
        most = interval(each)[1]  # a part of a loop is as long as its last one may not be
        each = int(most) if isfinite(most) else BLOCK_WORK // SHORTEST_BLOCK
        wanted = BLOCK_WORK + PART_WORK * sum(x for x in sizes if isinstance(x, int))
        if each >= wanted:
            return Blocks(self.variable("block"), 1, loop.extent)
        size = SHORTEST_BLOCK if not sizes else 4 * SHORTEST_BLOCK
        size = 1 if each >= LEAST_PART else size
        while size < LONGEST_BLOCK and size * max(each, 1) < wanted:
            size *= 2
        return Blocks(self.variable("block"), size, loop.extent)

    def contract(self, stmt: Contract, extents: Extents) -> Stmt:
        """A product of matrices, its rows or columns dealt out."""
        cost = self.cost((stmt,), extents)
        if isinstance(cost, int) and cost < LEAST_LOOP:
            return Once((stmt,))
        for make, blocks in self.blocked(stmt, extents):
            found = make(stmt, blocks)
            if blocks.count != 1 and split_of(found, self.memory) == Split():
                return found
        return Once((stmt,))

    def blocked(self, stmt: Contract, extents: Extents) -> list[tuple[Blocked, Blocks]]:
        """How rows and columns may be divided, the better way first."""
        found: list[tuple[Blocked, Blocks]] = []
        most, block = largest(stmt.rows, extents), self.variable("block")
        rows = _at_once(most, ROWS, TALL)
        if stmt.left.panel is None or rows % row_panel(stmt.dtype) == 0:
            found.append((blocked_rows, Blocks(block, rows, stmt.rows)))
        panel = column_panel(stmt.dtype)
        wide = _at_once(largest(stmt.columns, extents), COLUMNS, panel)
        whole = stmt.right.panel is None or wide % panel == 0
        if whole and (stmt.by_dots or not stmt.right.taps):
            # Of rows that nobody has counted, the last thread may have few.
            first = not isinstance(most, int) or _gathers(stmt, extents, SHARES * wide)
            way = blocked_columns, Blocks(block, wide, stmt.columns)
            found.insert(0 if first else len(found), way)
        return found

    def alone(self, stmt: Stmt) -> list[Stmt]:
        """What is not dealt out: the first thread stores, all know the locals that it changes."""
        inner = list(statements((stmt,)))
        own = {x.name for x in inner if isinstance(x, Let | Declare)}
        if not any(isinstance(x, Store | Contract) for x in inner):
            return [stmt]
        changed = {x.name: x for x in inner if isinstance(x, Assign) and x.name not in own}
        start, end, rest = list[Stmt](), list[Stmt](), list[Stmt]()
        mine = {name: self.free.take(f"{name}_first") for name in changed}
        for name, last in changed.items():  # it tells the others, through memory
            dtype = last.value.dtype
            told = Buffer(self.free.take(f"{name}_told"), dtype, (1,), 0)
            self.parts.append(told)
            self.told[told.name] = name
            start.append(Declare(mine[name], Local(name, dtype)))
            end.append(Store(told.name, 0, Local(mine[name], dtype)))
            rest.append(Assign(name, Read(told.name, 0, dtype)))
        indices = {name: Dim.named(own) for name, own in mine.items()}
        inside = Rewriting(indices, mine).body((stmt,))
        return [Once((*start, *inside, *end)), *rest]

    # --- arrays ----------------------------------------------------------------------------------

    def laid(self, body: tuple[Stmt, ...], threads: int) -> Program:
        """The program with its arrays in their places, those of each thread behind the others."""
        offsets: dict[str, Size] = {}
        step: Size = 0
        for group in self.private:
            end: Size = 0
            for name in group:
                offsets[name] = end
                buffer = self.memory.buffers[name]
                end = end + align(product(buffer.shape) * buffer.dtype.bytes)
            step = maximum(step, end)
        common = tuple(b for b in self.program.buffers if b.name not in offsets)
        found = laid(replace(self.program, body=body, buffers=(*common, *self.parts)))
        start = found.workspace
        own = (
            replace(b, offset=start + offsets[b.name], step=step)
            for b in self.program.buffers
            if b.name in offsets
        )
        return replace(found, buffers=(*found.buffers, *own), workspace=start + threads * step)


def _at_once(size: Size | None, most: int, panel: int) -> int:
    """So many rows, or columns, that few threads have nearly the same to do: whole panels."""
    if not isinstance(size, int):
        return most
    return min(most, panel * -(-size // (SHARES * panel)))


def _gathers(stmt: Contract, extents: Extents, least: int) -> bool:
    """Whether the product gathers columns, at least so many or more than there are rows: each
    thread should gather others."""
    rows, columns = (largest(size, extents) for size in (stmt.rows, stmt.columns))
    if stmt.by_dots or not isinstance(rows, int) or not isinstance(columns, int):
        return False
    gathered = stmt.right.panel is None and columns >= ENOUGH_PANELS * column_panel(stmt.dtype)
    if gathered and rows <= columns:
        return True
    return columns >= least and (rows >= GATHERING or stmt.right.row != 1)


def _is_shared(body: tuple[Stmt, ...]) -> bool:
    return any(isinstance(stmt, Loop) and stmt.shared for stmt in statements(body))


def _is_worthwhile(stmt: Stmt, sharer: _Sharer) -> bool:
    cost = sharer.cost((stmt,), {})
    return not isinstance(cost, int) or cost >= LEAST_LOOP


def _unshared(stmt: Stmt) -> Stmt:
    """A loop over the elements of a small array, for the first thread."""
    if not isinstance(stmt, Loop) or not stmt.shared:
        return stmt
    return Once((replace(stmt, shared=False, in_turn=False),))
