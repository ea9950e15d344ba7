"""Which loops may run in several lanes, as SIMD units do, and keep their sums in them."""

from __future__ import annotations

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

SHORTEST = 16
SHORTEST_VECTOR = 8


def is_vector(loop: Loop) -> bool:
    """Whether the loop is worth vectorising: innermost, not known to be short, and
    free of traps, which take note of the first nan."""
    if isinstance(loop.extent, int) and loop.extent < SHORTEST_VECTOR:
        return False
    return not any(isinstance(s, Loop | While) or _watches(s) for s in statements(loop.body))


def lane_sums(loop: Loop) -> tuple[str, ...]:
    """The accumulators of an innermost loop that does nothing across its iterations but add
    floats to them; none if the loop is short or does anything else."""
    if isinstance(loop.extent, int) and loop.extent < SHORTEST:
        return ()
    if any(_watches(stmt) for stmt in loop.body):
        return ()  # the first nan is noted, in order
    found: dict[str, None] = {}
    inner: set[str] = set()
    for stmt in loop.body:
        match stmt:
            case Let(name):
                inner.add(name)
            case Assign(name, Apply("add", (Local(first), term), dtype)) if (
                first == name
                and dtype.kind == "f"
                and not any(isinstance(x, Local) and x.name == name for x in parts(term))
            ):
                found[name] = None
            case Store(_, index) if loop.var in names(index) and not inner & set(names(index)):
                pass
            case Comment():
                pass
            case _:
                return ()
    stored = {stmt.buffer for stmt in loop.body if isinstance(stmt, Store)}
    read = {
        part.buffer
        for stmt in loop.body
        if isinstance(stmt, Let | Assign)
        for part in parts(stmt.value)
        if isinstance(part, Read)
    }
    kept = {  # a running sum is not what its lanes hold on the way
        part.name
        for stmt in loop.body
        for value in values(stmt)
        for part in parts(
            value.args[1] if isinstance(stmt, Assign) and isinstance(value, Apply) else value
        )
        if isinstance(part, Local)
    }
    return () if stored & read or kept & found.keys() else tuple(found)


def _watches(stmt: Stmt) -> bool:
    return any(
        isinstance(part, Apply) and part.function == "trap"
        for value in values(stmt)
        for part in parts(value)
    )
