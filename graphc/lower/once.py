"""What threads share, for one of them: what the first one runs, or a region of one thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphc.loops import Assign, Barrier, If, Loop, Once, Read, Stmt, Store, While

__all__ = ["merged", "undealt"]


def merged(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """Neighbours that the first thread runs, together."""
    result: list[Stmt] = []
    for stmt in body:
        match stmt:
            case Once(inner) if result and isinstance(result[-1], Once):
                result[-1] = Once((*result[-1].body, *inner))
                continue
            case Loop() if not stmt.shared:
                stmt = replace(stmt, body=merged(stmt.body))
            case While():
                stmt = replace(stmt, test=merged(stmt.test), body=merged(stmt.body))
            case If():
                stmt = replace(stmt, then=merged(stmt.then), other=merged(stmt.other))
        result.append(stmt)
    return tuple(result)


def undealt(body: tuple[Stmt, ...], told: Mapping[str, str]) -> tuple[Stmt, ...]:
    """The statements of a region for one thread, which tells nobody.

    Args:
        told: of the arrays through which the first thread tells others of a local, that local.
    """
    result: list[Stmt] = []
    for stmt in body:
        match stmt:
            case Once(inner):
                result += undealt(inner, told)
                continue
            case Barrier():
                continue
            case Assign(_, Read(buffer)) if buffer in told:
                continue
            case Store(buffer, _, value) if buffer in told:
                stmt = Assign(told[buffer], value)
            case Loop():
                stmt = replace(stmt, body=undealt(stmt.body, told), shared=False, in_turn=False)
            case While():
                stmt = replace(stmt, test=undealt(stmt.test, told), body=undealt(stmt.body, told))
            case If():
                stmt = replace(
                    stmt,
                    then=undealt(stmt.then, told),
                    other=undealt(stmt.other, told),
                )
        result.append(stmt)
    return tuple(result)
