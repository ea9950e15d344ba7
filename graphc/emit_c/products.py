"""Products of matrices as calls of the functions that templates/ has for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphc.bounds import column_panel
from graphc.emit_c.expression import Printer
from graphc.emit_c.functions import SUFFIX
from graphc.matrices import MOST_TAPS, Contract, Matrix
from graphc.types import Size, maximum


def product_call(p: Printer, stmt: Contract) -> str:
    """A call of a product: in tiles, by the taps of windows, or by runs of terms."""
    left, right, into = stmt.left, stmt.right, stmt.into
    sizes, add = [p.size(x)[0] for x in (stmt.rows, stmt.columns)], str(stmt.add).lower()
    if stmt.by_dots:
        (count, left_step), (terms, _) = ((1, 0), *left.taps)[-2:]
        right_step = ((1, 0), *right.taps)[-2][1]
        a = _matrix(p, left, left.row, left_step)
        b = _matrix(p, right, right.row, right_step)
        c = _matrix(p, into, into.row, into.term)
        sizes += [p.size(x)[0] for x in (count, terms)]
        return _call(p, stmt, "contract_dots", sizes, *a, *b, *c, add)
    c = _matrix(p, into, into.row)
    if right.taps:
        return _by_taps(p, stmt, c)
    a = _matrix(p, left, left.row, left.term, stmt.row_panel)
    b = _matrix(p, right, right.term, right.row, stmt.column_panel)
    cut = stmt.zeros == "columns"
    if cut or not isinstance(stmt.columns, int) or stmt.columns % column_panel(stmt.dtype):
        p.helpers.add(("narrow", SUFFIX[str(stmt.dtype)]))
    extents = [*sizes, p.size(stmt.terms)[0]]
    if stmt.zeros:
        key = f"{stmt.zeros}_that_count", SUFFIX[str(stmt.dtype)]
        p.helpers.add(key)
        place = ("rows", "columns", "terms").index(stmt.zeros)
        extents[place] = f"{'_'.join(key)}({', '.join([*extents, *a[:3], *b[:3]])})"
    return _call(p, stmt, "contract", extents, *a, *b, *c, add)


def _by_taps(p: Printer, stmt: Contract, c: tuple[str, ...]) -> str:
    """By the taps that count: how many along each axis, and the steps of both operands."""
    left, right = stmt.left, stmt.right
    taps: list[Size] = [1, 0, 0] * (MOST_TAPS - len(right.taps))
    for k, (count, step) in enumerate(right.taps):
        low, high = stmt.counted[k] if stmt.counted else (0, count)
        along = left.term * stmt.along[k]
        left = replace(left, start=left.start + low * along)
        right = replace(right, start=right.start + low * step)
        taps += [maximum(high - low, 0), along, step]
    a = _matrix(p, left, left.row, stmt.row_panel)
    b = _matrix(p, right)
    sizes, counts = ([p.size(x)[0] for x in found] for found in ((stmt.rows, stmt.columns), taps))
    return _call(p, stmt, "contract_taps", sizes, *a, *b, *counts, *c)


def _matrix(p: Printer, side: Matrix, *steps: Size) -> tuple[str, ...]:
    """Where a matrix starts, and steps in it."""
    p.used.add(side.buffer)
    start = "" if side.start == 0 else f" + {p.size(side.start)[0]}"
    return side.buffer + start, *(p.size(step)[0] for step in steps)


def _call(p: Printer, stmt: Contract, name: str, sizes: Sequence[str], *rest: str) -> str:
    suffix = SUFFIX[str(stmt.dtype)]
    p.helpers.add((name, suffix))
    return f"{name}_{suffix}({', '.join([*sizes, *rest])});"
