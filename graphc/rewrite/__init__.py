"""The matching engine: rules are written in plain NumPy, and applied bottom-up until none applies.

A `Rule` gives both sides as functions of the same variables; the left one is traced once into a
pattern. A `Local` rule, for what NumPy on variables cannot say (which axes, which shape, which
constant), is a function of one node. The engine also shares: what it makes twice becomes one node.
"""

from graphc.rewrite.engine import MOST_STEPS, foreign, rewrite, touches
from graphc.rewrite.patterns import array_of, is_number, number, patterns, roots
from graphc.rewrite.rule import AnyRule, Local, Rule

__all__ = [
    "MOST_STEPS",
    "AnyRule",
    "Local",
    "Rule",
    "array_of",
    "foreign",
    "is_number",
    "number",
    "patterns",
    "rewrite",
    "roots",
    "touches",
]
