"""Places where `trap_nans` watches a program."""

from __future__ import annotations

from graphc.attributes import Source
from graphc.frozen import dataclass
from graphc.types import TensorType


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a float is made and watched; ``Apply("trap", (value, number of the site,
    element, excused, operands...))`` watches it."""

    what: str
    """``z = log(x) at model.py:12``"""
    node: str
    """Its name, or "" where the user gave none."""
    equation: str
    source: Source | None
    type: TensorType
    operands: tuple[str, ...]
    """How the user writes the operands whose values are noted; then "step" for each loop."""
    steps: int
    """How many loops of steps are around it."""
