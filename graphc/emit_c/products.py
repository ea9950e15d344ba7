"""Products of matrices as calls of the functions that templates/ has for them."""

from __future__ import annotations

from graphc.emit_c.expression import Printer
from graphc.emit_c.functions import SUFFIX
from graphc.matrices import MOST_TAPS, Contract, Matrix
from graphc.types import Size


def product_call(p: Printer, stmt: Contract) -> str:
    """A call of a product: in tiles, by the taps of windows, or by runs of terms."""
    left, right, into = stmt.left, stmt.right, stmt.into
    sizes, add = (stmt.rows, stmt.columns), str(stmt.add).lower()
    if stmt.by_dots:
        (count, left_step), (terms, _) = ((1, 0), *left.taps)[-2:]
        right_step = ((1, 0), *right.taps)[-2][1]
        a = _matrix(p, left, left.row, left_step)
        b = _matrix(p, right, right.row, right_step)
        c = _matrix(p, into, into.row, into.term)
        return _call(p, stmt, "contract_dots", (*sizes, count, terms), *a, *b, *c, add)
    a = _matrix(p, left, left.row, left.term, stmt.row_panel)
    c = _matrix(p, into, into.row)
    if right.taps:
        taps = [*((1, 0),) * (MOST_TAPS - len(right.taps)), *right.taps]
        b = _matrix(p, right, *(x for tap in taps for x in tap))
        return _call(p, stmt, "contract_taps", sizes, *a, *b, *c)
    b = _matrix(p, right, right.term, right.row, stmt.column_panel)
    return _call(p, stmt, "contract", (*sizes, stmt.terms), *a, *b, *c, add)


def _matrix(p: Printer, side: Matrix, *steps: Size) -> tuple[str, ...]:
    """Where a matrix starts, and steps in it."""
    p.used.add(side.buffer)
    start = "" if side.start == 0 else f" + {p.size(side.start)[0]}"
    return side.buffer + start, *(p.size(step)[0] for step in steps)


def _call(p: Printer, stmt: Contract, name: str, sizes: tuple[Size, ...], *rest: str) -> str:
    suffix = SUFFIX[str(stmt.dtype)]
    p.helpers.add((name, suffix))
    return f"{name}_{suffix}({', '.join([*(p.size(size)[0] for size in sizes), *rest])});"
