"""A rule, as data: what becomes what."""

from __future__ import annotations

from collections.abc import Callable

from graphc.frozen import dataclass
from graphc.graph import Node, Op
from graphc.trace import Tensor


@dataclass(frozen=True, slots=True)
class Rule:
    """left(*variables) becomes right(*variables), in NumPy's own words.

    A variable stands for any value; twice the same, for the same node. ``p`` and ``q`` are bools.
    A Python number matches a scalar of that value, broadcast or not; commutative ops match in both
    orders. ``axis`` matches the axes of every reduction in the pattern, and the right side gets
    them. A left side that takes ``keepdims`` also matches when the reduction is reshaped before
    the rest; its right side is made without, and reshaped. A right side may decline: None.
    """

    name: str
    left: Callable[..., object]
    right: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Local:
    """A rule on one node of the ops `roots`: what it becomes, or None.

    `example` is a function of arrays whose trace the rule changes; every test of rules runs it.
    """

    name: str
    example: Callable[..., object]
    roots: tuple[Op, ...]
    change: Callable[[Node], Tensor | None]


AnyRule = Rule | Local
