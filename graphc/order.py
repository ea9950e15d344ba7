"""The order of a DAG's nodes: operands before users, and else as they were made."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self, TypeVar


class Made(Protocol):
    """What has operands, and was made at some time; several may have been at one."""

    @property
    def serial(self) -> int: ...
    @property
    def operands(self) -> tuple[Self, ...]: ...


T = TypeVar("T", bound=Made)


def walk(outputs: Iterable[T]) -> Sequence[T]:
    """Operands before users; among the ready ones the earliest made comes first."""
    found: dict[T, None] = {}  # in the order in which they are met, which decides ties
    stack, ascending = [*outputs][::-1], True
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            serial = node.serial
            for x in node.operands[::-1]:
                stack.append(x)
                if x.serial >= serial:
                    ascending = False
    nodes = sorted(found, key=lambda node: node.serial)
    if ascending:
        return nodes  # each was made after its operands
    return list(_ordered(nodes))


def _ordered(nodes: Sequence[T]) -> Iterator[T]:
    """The same where a node may be made earlier than its operands."""
    waiting: dict[T, int] = {}
    users: dict[T, list[T]] = {}
    for node in nodes:
        operands = node.operands
        needed = set(operands) if len(operands) > 1 else operands
        waiting[node] = len(needed)
        for operand in needed:
            users.setdefault(operand, []).append(node)
    tie = itertools.count()
    ready = [(node.serial, next(tie), node) for node in nodes if not waiting[node]]
    while ready:  # in order, and so a heap
        node = heapq.heappop(ready)[2]
        yield node
        for user in users.get(node, ()):
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, (user.serial, next(tie), user))
