"""Which loops may run in several lanes, as SIMD units do, and keep sums and extremes in them."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.bounds import SHORTEST_VECTOR
from graphc.loops import (
    Apply,
    Assign,
    Comment,
    Let,
    Local,
    Loop,
    Read,
    Stmt,
    Store,
    While,
    parts,
    statements,
    values,
)
from graphc.types import names

FOLDS = {"add": "+", "maximum": "maximum", "minimum": "minimum"}
"""Functions that accumulate in lanes, and what OpenMP calls them."""
SHORTEST = 16


def is_vector(loop: Loop) -> bool:
    """Whether the loop is worth vectorising: innermost, not known to be short, and
    free of traps, which take note of the first nan."""
    if isinstance(loop.extent, int) and loop.extent < SHORTEST_VECTOR:
        return False
    return not any(isinstance(s, Loop | While) or _watches(s) for s in statements(loop.body))


def lane_folds(loop: Loop) -> dict[str, Apply]:
    """What the accumulators become, of an innermost loop that does nothing across its iterations
    but add floats up, or seek the largest or the smallest; none if the loop is short or does
    anything else."""
    if isinstance(loop.extent, int) and loop.extent < SHORTEST:
        return {}
    if any(_watches(stmt) for stmt in loop.body):
        return {}  # the first nan is noted, in order
    found: dict[str, Apply] = {}
    inner: set[str] = set()
    for stmt in loop.body:
        match stmt:
            case Let(name):
                inner.add(name)
            case Assign(name, Apply(function, (Local(first), term), dtype) as value) if (
                function in FOLDS
                and first == name
                and dtype.kind == "f"
                and not any(isinstance(x, Local) and x.name == name for x in parts(term))
            ):
                found[name] = value
            case Store(_, index) if loop.var in names(index) and not inner & set(names(index)):
                pass
            case Comment():
                pass
            case _:
                return {}
    stored = {stmt.buffer for stmt in loop.body if isinstance(stmt, Store)}
    read = {
        part.buffer
        for stmt in loop.body
        if isinstance(stmt, Let | Assign)
        for part in parts(stmt.value)
        if isinstance(part, Read)
    }
    kept = {  # what a fold has come to is not what its lanes hold on the way
        part.name
        for stmt in loop.body
        for value in values(stmt)
        for part in parts(
            value.args[1] if isinstance(stmt, Assign) and isinstance(value, Apply) else value
        )
        if isinstance(part, Local)
    }
    return {} if stored & read or kept & found.keys() else found


def fold_mark(folds: Mapping[str, Apply]) -> str:
    """The macro of templates/unit.c that marks such a loop."""
    groups: dict[str, list[str]] = {}
    for name, value in folds.items():
        groups.setdefault(FOLDS[value.function], []).append(name)
    if list(groups) == ["+"]:
        return f"GRAPHC_SIMD_SUM({', '.join(folds)})"
    clauses = (f"reduction({by} : {', '.join(names)})" for by, names in groups.items())
    return f"GRAPHC_SIMD_FOLD({' '.join(clauses)})"


def _watches(stmt: Stmt) -> bool:
    return any(
        isinstance(part, Apply) and part.function == "trap"
        for value in values(stmt)
        for part in parts(value)
    )
