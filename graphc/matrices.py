"""Products of matrices as statements of the loop IR: where the operands lie, and how they meet."""

from __future__ import annotations

from math import prod

from graphc.bounds import column_panel, row_panel
from graphc.frozen import dataclass
from graphc.types import DType, Size

MOST_TAPS = 3


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix in a buffer: its first element, and the steps between rows and between terms (the
    elements that a product sums over); on the right, `row` is the step between columns.

    On the left, rows may lie in panels of `row_panel`; on the right, columns in panels of
    `column_panel`. Then `panel` is the step from one to the next; where it is None, the steps run
    through. Or terms lie along several axes, like the taps of a filter, at most MOST_TAPS: then
    `taps` has how many there are along each, and their step, the last axis fastest.
    """

    buffer: str
    start: Size
    row: Size
    term: Size
    panel: Size | None = None
    taps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """c = left right, or c += left right if `add`: rows x columns, summed over terms.

    Columns of c lie side by side, and are combined in vectors; those of the right, or its terms,
    best do too. Where both operands
    have taps it is terms that are: the last of them lie side by side in both, and `into.term` is
    the step between columns of c. Where only the right has taps, nothing is added to.
    """

    dtype: DType
    rows: Size
    columns: Size
    terms: Size
    left: Matrix
    right: Matrix
    into: Matrix
    add: bool
    counted: tuple[tuple[Size, Size], ...] = ()
    """Of each axis of the right's taps the first that counts and the one after the last: the others
    lie outside of the image. Empty: all do."""
    zeros: str = ""
    """What may end in zeros, which are then left out when it runs: the "terms" of the left operand,
    or its "rows", or the "columns" of the right, to which nothing is added then."""

    @property
    def by_dots(self) -> bool:
        """Whether it multiplies rows of both operands term by term."""
        return bool(self.left.taps and self.right.taps)

    @property
    def along(self) -> tuple[int, ...]:
        """How many terms of the left operand a step along each axis of taps leads past."""
        counts = [count for count, _ in self.right.taps]
        return tuple(prod(counts[k + 1 :]) for k in range(len(counts)))

    @property
    def row_panel(self) -> Size:
        """How far a panel of rows of the left operand is from the next."""
        return self.left.row * row_panel(self.dtype) if self.left.panel is None else self.left.panel

    @property
    def column_panel(self) -> Size:
        """How far a panel of columns of the right operand is from the next."""
        width = column_panel(self.dtype) * self.right.row
        return width if self.right.panel is None else self.right.panel
