"""Products of what blocks of rows made, added up block by block while it is in the cache.

Where a loop makes some rows of an array at a time, and products after it sum over all its rows, as
the gradients of keys and values do over the weights of attention, each block adds its part right
away, and the array shrinks to one block. (Loop fusion with array contraction: Gao, Olsen, Sarkar,
Thekkath, 1992.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from math import inf, prod

from graphc.accesses import Access, accesses, arms, joined, step_of
from graphc.bounds import largest, smallest
from graphc.frozen import dataclass
from graphc.loops import Buffer, Comment, Contract, Literal, Loop, Matrix, Program, Stmt, Store
from graphc.lower.parallel import has_many
from graphc.lower.rewriting import Rewriting
from graphc.types import Dim, Size, at_most, below, floordiv, minimum, names, product

LARGE = 1 << 20
"""Bytes of an array that leave the second cache before they are read again."""
MOST_RESULTS = 2
"""So many times as many elements in the results as in the block that is added to them."""


def stream(program: Program, loop_names: Sequence[str], *, nested: bool = False) -> Program:
    """The program with such products.

    Args:
        loop_names: free identifiers.
        nested: only within loops that then are dealt out to threads.
    """
    buffers = {b.name: b for b in program.buffers if not b.home}
    if not any(map(_is_large, buffers.values())):
        return program
    own = {*buffers, *(a.name for a in program.outputs if not a.home)}
    touched = Counter(access.buffer for access in accesses(program.body))
    streamer = _Streamer(tuple(loop_names), buffers, frozenset(own), touched, nested)
    body = streamer.body(program.body, frozenset())
    kept = tuple(streamer.buffers.get(b.name, b) for b in program.buffers)
    return replace(program, body=body, buffers=kept)


@dataclass(frozen=True, slots=True)
class _Product:
    """A product, and the loops around it, outermost first."""

    loops: tuple[Loop, ...]
    stmt: Contract

    def renamed(self, variables: Sequence[str]) -> _Product:
        """The same with these variables of its loops, the first of them."""
        at: dict[str, Size] = {
            loop.var: Dim.named(var) for loop, var in zip(self.loops, variables, strict=False)
        }
        rewriting = Rewriting(at)
        loops = tuple(
            replace(loop, var=var, extent=rewriting.size(loop.extent))
            for loop, var in zip(self.loops, variables, strict=False)
        )
        stmt = rewriting.statement(self.stmt)
        return _Product(loops, stmt) if isinstance(stmt, Contract) else self

    def around(self, body: tuple[Stmt, ...]) -> Stmt:
        """Statements in its loops."""
        for loop in reversed(self.loops):
            body = (replace(loop, body=body),)
        (stmt,) = body
        return stmt


def _product(stmt: Stmt) -> _Product | None:
    """A statement that is one product, maybe in loops; None where it is another."""
    loops: list[Loop] = []
    while isinstance(stmt, Loop) and len(stmt.body) == 1:
        loops.append(stmt)
        (stmt,) = stmt.body
    if not isinstance(stmt, Contract) or stmt.left.taps or stmt.right.taps:
        return None
    whole = _whole(loops[0], stmt) if len(loops) == 1 else None
    return _Product(tuple(loops), stmt) if whole is None else _Product((), whole)


def _whole(loop: Loop, stmt: Contract) -> Contract | None:
    """All rows at once, where the loop makes min(n - 72 i, 72) of them at a time."""
    block: Size = Dim.named(loop.var)
    for size in arms(stmt.rows):
        rows = next(arm for arm in arms(stmt.rows) if arm != size) + block * size
        if loop.var in names(rows) or loop.extent != floordiv(rows + size - 1, size):
            continue
        left, into = (
            replace(x, start=x.start - block * size * x.row) for x in (stmt.left, stmt.into)
        )
        whole = replace(stmt, rows=rows, left=left, into=into)
        moving = (whole.columns, whole.terms, left.start, whole.right.start, into.start)
        if left.panel is None and all(loop.var not in names(x) for x in moving):
            return whole
    return None


@dataclass(frozen=True, slots=True)
class _Streamer:
    loop_names: tuple[str, ...]
    buffers: dict[str, Buffer]
    """Arrays of the workspace, as they have shrunk so far."""
    own: frozenset[str]
    """Arrays that share their memory with no other."""
    touched: Mapping[str, int]
    """How often the program touches each array."""
    nested: bool
    known: dict[int, tuple[Stmt, Counter[str]]] = field(default_factory=dict)
    """How often a statement does, by its id; it is kept, so that no other gets the id."""

    def touches(self, stmt: Stmt) -> Counter[str]:
        """How often a statement touches each array."""
        if id(stmt) not in self.known:
            self.known[id(stmt)] = stmt, Counter(a.buffer for a in accesses((stmt,)))
        return self.known[id(stmt)][1]

    def body(self, body: tuple[Stmt, ...], around: frozenset[str]) -> tuple[Stmt, ...]:
        """The statements; `around` are the variables of the loops around them."""
        found: list[Stmt] = []
        waiting = list(body)
        while waiting:
            stmt = waiting.pop(0)
            if isinstance(stmt, Loop):
                written = dict.fromkeys(a.buffer for a in accesses((stmt,)) if a.write)
                for array in [x for x in written if x in self.buffers]:
                    users = [x for x in waiting if array in self.touches(x)]
                    streamed = self.streamed(stmt, array, users, waiting, around)
                    if streamed is not None:
                        cleared, stmt = streamed
                        found += cleared
                        gone = [*users, *(c for x in users for c in _comments(waiting, x))]
                        waiting = [x for x in waiting if x not in gone]
                if around or not self.nested or has_many(stmt):
                    stmt = replace(stmt, body=self.body(stmt.body, around | {stmt.var}))
            found.append(stmt)
        return tuple(found)

    def streamed(
        self,
        loop: Loop,
        array: str,
        users: Sequence[Stmt],
        after: Sequence[Stmt],
        around: frozenset[str],
    ) -> tuple[list[Stmt], Loop] | None:
        """What clears the results, and the loop with the products in it that use the array; None
        where that cannot be, or does not pay."""
        buffer = self.buffers[array]
        if not users or not _is_large(buffer) or (self.nested and not around):
            return None
        everywhere = sum(self.touches(x)[array] for x in (loop, *users))
        window = _window(loop, array) if everywhere == self.touched[array] else None
        if window is None:
            return None
        products = [_product(user) for user in users]
        if not _are_apart(products):
            return None
        free = [x for x in self.loop_names if x not in around and x != loop.var]
        cleared: list[Stmt] = []
        added: list[Stmt] = []
        for user, found in zip(users, products, strict=True):
            before = [x for x in after[: after.index(user)] if x not in users]
            if found is None or not self.is_free(found.stmt, loop, before):
                return None
            found = found.renamed(free)
            part = _rows(found, loop)
            if part is None:
                part = _terms(found, loop)
                if part is None or _results(found) > MOST_RESULTS * window:
                    return None
                if not found.stmt.add:
                    cleared.append(_clear(found, free[len(found.loops) :]))
            added += [*_comments(after, user), part]
        row = product(buffer.shape[1:])
        whole = isinstance(row, int) and window % row == 0
        shape = (window // row, *buffer.shape[1:]) if whole else (window,)
        self.buffers[array] = replace(buffer, shape=shape)
        block = Rewriting({}, starts={array: window * Dim.named(loop.var)})
        return cleared, replace(loop, body=block.body((*loop.body, *added)))

    def is_free(self, stmt: Contract, loop: Loop, before: Sequence[Stmt]) -> bool:
        """Whether the product may be made in the loop, before these statements."""
        into = stmt.into.buffer
        read = {stmt.left.buffer, stmt.right.buffer}
        if into not in self.own or into in read or into in self.touches(loop):
            return False
        written = {a.buffer for a in accesses(before) if a.write}
        return written.isdisjoint(read) and not any(into in self.touches(x) for x in before)


def _are_apart(products: Sequence[_Product | None]) -> bool:
    """Whether no product touches what another makes, which is whole after the last block only."""
    stmts = [found.stmt for found in products if found is not None]
    results = {x.into.buffer for x in stmts}
    read = {side.buffer for x in stmts for side in (x.left, x.right)}
    return len(results) == len(stmts) and results.isdisjoint(read)


def _comments(body: Sequence[Stmt], stmt: Stmt) -> list[Stmt]:
    """What stands above a statement and says what it computes."""
    found: list[Stmt] = []
    for above in reversed(body[: body.index(stmt)]):
        if not isinstance(above, Comment) or ("=" not in above.text and "@" not in above.text):
            break
        found.insert(0, above)
    return found


# --- which elements -----------------------------------------------------------------------------


def _is_large(buffer: Buffer) -> bool:
    size = product(buffer.shape)
    return not isinstance(size, int) or size * buffer.dtype.bytes >= LARGE


def _window(loop: Loop, array: str) -> int | None:
    """How many elements of the array each iteration has for itself, one after the other; None where
    it is not so."""
    found: set[int] = set()
    for access in accesses(loop.body):
        if access.buffer == array:
            step = step_of(access, loop.var)
            if step is None or not isinstance(step[0], int):
                return None
            found.add(step[0])
            if not _lies_within(access, access.index - step[0] * Dim.named(loop.var), step[0]):
                return None
    return found.pop() if len(found) == 1 else None


def _lies_within(access: Access, index: Size, window: int) -> bool:
    """Whether 0 <= index < window."""
    if set(names(index)) & access.wild:
        return False
    low, high = smallest(index, access.extents), largest(index, access.extents)
    return low is not None and high is not None and at_most(0, low) and below(high, window)


def _rows(found: _Product, loop: Loop) -> Stmt | None:
    """The rows of the product that are an iteration's own; None where they are not."""
    stmt, made = found.stmt, _made_in(loop, found.stmt)
    if found.loops or made != [stmt.left] or stmt.left.panel is not None:
        return None
    rows = _at_once(loop, stmt.left, stmt.left.row, stmt.rows)
    if rows is None or not _is_own(replace(found, stmt=replace(stmt, rows=rows)), loop):
        return None
    first = rows * Dim.named(loop.var)
    left, into = (replace(x, start=x.start + first * x.row) for x in (stmt.left, stmt.into))
    return replace(stmt, rows=_least(stmt.rows, first, rows), left=left, into=into)


def _terms(found: _Product, loop: Loop) -> Stmt | None:
    """The product of the terms that are an iteration's own; None where they are not."""
    stmt = found.stmt
    sizes = {_at_once(loop, x, x.term, stmt.terms) for x in _made_in(loop, stmt)}
    rows = sizes.pop() if len(sizes) == 1 else None
    if rows is None or not _is_own(replace(found, stmt=replace(stmt, terms=rows)), loop):
        return None
    first = rows * Dim.named(loop.var)
    left, right = (replace(x, start=x.start + first * x.term) for x in (stmt.left, stmt.right))
    terms = _least(stmt.terms, first, rows)
    return found.around((replace(stmt, terms=terms, left=left, right=right, add=True),))


def _at_once(loop: Loop, side: Matrix, step: Size, total: Size) -> int | None:
    """How many rows, or terms, `step` apart, an iteration has for itself of so many."""
    window = _window(loop, side.buffer)
    if window is None or not isinstance(step, int) or step < 1 or window % step:
        return None
    rows = window // step
    return rows if loop.extent == floordiv(total + rows - 1, rows) else None


def _is_own(found: _Product, loop: Loop) -> bool:
    """Whether what the product reads of the loop's arrays is what its first iteration wrote."""
    windows = {x.buffer: _window(loop, x.buffer) for x in _made_in(loop, found.stmt)}
    for access in accesses((found.around((found.stmt,)),)):
        window = None if access.write else windows.get(access.buffer)
        if window is not None:
            whole = joined(access)
            if not _lies_within(whole, whole.index, window):
                return False
    return True


def _least(total: Size, first: Size, rows: int) -> Size:
    """How many of them are left from the first on, at most so many."""
    whole = isinstance(total, int) and total % rows == 0
    return rows if whole else minimum(total - first, rows)


def _made_in(loop: Loop, stmt: Contract) -> list[Matrix]:
    """The operands that the loop writes."""
    written = {a.buffer for a in accesses((loop,)) if a.write}
    return [x for x in (stmt.left, stmt.right) if x.buffer in written]


def _results(found: _Product) -> float:
    """How many elements the product adds to, at most; infinity where that is not known."""
    for access in accesses((found.around((found.stmt,)),)):
        if access.write:
            moving = set(names(access.index))
            sizes = [access.extents.get(var) for var, _ in access.exact if var in moving]
            return prod(x if isinstance(x, int) else inf for x in sizes)
    return inf


# --- the new statements -------------------------------------------------------------------------


def _clear(found: _Product, variables: Sequence[str]) -> Stmt:
    """Zeros where the product will add."""
    stmt, (row, column) = found.stmt, variables[:2]
    index = stmt.into.start + stmt.into.row * Dim.named(row) + Dim.named(column)
    store = Store(stmt.into.buffer, index, Literal(0.0, stmt.dtype))
    return found.around((Loop(row, stmt.rows, (Loop(column, stmt.columns, (store,)),)),))
