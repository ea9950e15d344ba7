"""Copies that turn a matrix, as calls of the function that templates/ has for them.

Such a copy jumps in memory whichever way its loops run; in squares it reads and writes neighbours.
"""

from __future__ import annotations

from graphc.emit_c.expression import Printer
from graphc.emit_c.functions import SUFFIX
from graphc.emit_c.independent import Memory
from graphc.frozen import dataclass
from graphc.loops import Loop, Read, Stmt, Store
from graphc.types import DType, Size, float32, float64, linear, names

SHORTEST, FEWEST = 4, 256
"""Iterations of either loop, and elements, that are worth a call."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """to[r, c] = source[c, r], where rows lie side by side in the source, columns in the copy."""

    dtype: DType
    rows: Size
    columns: Size
    source: str
    source_start: Size
    source_step: Size
    to: str
    start: Size
    step: Size


def turned_copies(p: Printer, memory: Memory, loop: Loop) -> list[str]:
    """The calls that do what the loop does; none where it does anything else."""
    copies = [] if loop.shared else [_copy(loop, stmt, memory) for stmt in loop.body]
    found = [copy for copy in copies if copy is not None]
    written = {copy.to for copy in found}
    apart = len(written) == len(found) and written.isdisjoint(copy.source for copy in found)
    return [_call(p, copy) for copy in found] if apart and len(found) == len(copies) else []


def _copy(outer: Loop, stmt: Stmt, memory: Memory) -> _Copy | None:
    """What one loop inside copies; None where it is no such copy."""
    match stmt:
        case Loop(_, _, (Store(to, index, Read(source, at, dtype)),), False) as inner:
            pass
        case _:
            return None
    if dtype not in (float32, float64) or to == source or memory.may_meet(to, source):
        return None
    if outer.var in names(inner.extent) or not _is_worth_it(outer.extent, inner.extent):
        return None
    for rows, columns in ((outer, inner), (inner, outer)):
        read, written = (linear(x, (rows.var, columns.var)) for x in (at, index))
        if read and written and read[1] == 1 and written[2] == 1:
            sizes = rows.extent, columns.extent
            return _Copy(dtype, *sizes, source, read[0], read[2], to, written[0], written[1])
    return None


def _is_worth_it(*extents: Size) -> bool:
    known = [extent for extent in extents if isinstance(extent, int)]
    if any(extent < SHORTEST for extent in known):
        return False
    return len(known) < 2 or known[0] * known[1] >= FEWEST


def _call(p: Printer, copy: _Copy) -> str:
    suffix = SUFFIX[str(copy.dtype)]
    p.helpers.add(("transpose", suffix))
    p.used |= {copy.source, copy.to}
    places = [
        buffer + ("" if start == 0 else f" + {p.size(start)[0]}")
        for buffer, start in ((copy.source, copy.source_start), (copy.to, copy.start))
    ]
    rows, columns, source_step, step = (
        p.size(x)[0] for x in (copy.rows, copy.columns, copy.source_step, copy.step)
    )
    terms = (rows, columns, places[0], source_step, places[1], step)
    return f"transpose_{suffix}({', '.join(terms)});"
