"""Loops whose functions have a limit: what to look at before such a loop runs."""

from __future__ import annotations

from graphc.emit_c.helpers import LIMIT, LIMITED
from graphc.loops import (
    Apply,
    Assign,
    Comment,
    Declare,
    Expr,
    Let,
    Literal,
    Local,
    Loop,
    Read,
    Stmt,
    Store,
    apply,
    cast,
    parts,
    predicate,
    values,
)
from graphc.types import DType, int32, int64


def limited_arguments(loop: Loop) -> tuple[list[Let], list[Expr]] | None:
    """The arguments of limited functions in an innermost loop, and the values that they are
    made of; None where they cannot be known before the loop has run, for it changes them."""
    if not all(isinstance(s, Let | Declare | Assign | Store | Comment) for s in loop.body):
        return None if _arguments(loop.body) else ([], [])
    lets = {s.name: s for s in loop.body if isinstance(s, Let)}
    changed = {s.name for s in loop.body if isinstance(s, Declare | Assign)}
    arguments = _arguments(loop.body)
    needed: dict[str, Let] = {}
    todo = list(arguments)
    reads: list[Read] = []
    while todo:
        for part in parts(todo.pop()):
            if isinstance(part, Local):
                if part.name in changed:
                    return None
                if part.name in lets and part.name not in needed:
                    needed[part.name] = lets[part.name]
                    todo.append(lets[part.name].value)
            elif isinstance(part, Read):
                reads.append(part)
    stores = [(s.buffer, s.index) for s in loop.body if isinstance(s, Store)]
    if any(r.buffer == b and r.index != index for r in reads for b, index in stores):
        return None
    return [let for name, let in lets.items() if name in needed], arguments


def flag_type(arguments: list[Expr]) -> DType:
    """As wide as the arguments: a vector of the one is then a vector of the other."""
    return int32 if arguments[0].dtype.bytes == 4 else int64


def looks(far: str, lets: list[Let], arguments: list[Expr]) -> tuple[Stmt, ...]:
    """The body of a loop that sets `far` where an argument is beyond the limit."""
    beyond = [
        predicate("greater", apply("absolute", x), Literal(LIMIT, x.dtype)) for x in arguments
    ]
    flag = Local(far, flag_type(arguments))
    found = [
        Assign(far, Apply("bitwise_or", (flag, cast(x, flag.dtype)), flag.dtype)) for x in beyond
    ]
    return (*lets, *found)


def _arguments(body: tuple[Stmt, ...]) -> list[Expr]:
    """Each once, in order."""
    found: dict[Expr, None] = {}
    for stmt in body:
        for value in values(stmt):
            for part in parts(value):
                if isinstance(part, Apply) and part.function in LIMITED:
                    if part.dtype.kind == "f":
                        found[part.args[0]] = None
    return list(found)
