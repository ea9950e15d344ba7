"""The op table: one row an op, with everything that is known about it."""

from __future__ import annotations

from graphc.graph import Op
from graphc.ops.control import CONTROL
from graphc.ops.elementwise import ELEMENTWISE
from graphc.ops.indexing import INDEXING
from graphc.ops.ordered import ORDERED
from graphc.ops.reduce import REDUCE
from graphc.ops.rules import RULES
from graphc.ops.shape import SHAPE
from graphc.ops.windows import WINDOWS

TABLE: tuple[Op, ...] = (
    *ELEMENTWISE,
    *REDUCE,
    *SHAPE,
    *INDEXING,
    *ORDERED,
    WINDOWS,
    *CONTROL,
    *RULES,
)
OPS: dict[str, Op] = {row.name: row for row in TABLE}
BY_FUNCTION: dict[str, Op] = {name: row for row in TABLE for name in row.functions}
"""The row that a NumPy or SciPy ufunc of this name is."""
