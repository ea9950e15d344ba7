"""The order of a DAG's nodes: operands before users, and else as they were made."""

from __future__ import annotations

import heapq
import math
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
    """The same where a node may be made earlier than its operands: few are, and they wait."""
    done: dict[T, int] = {}  # in the order in which they come
    missing: dict[T, int] = {}
    users: dict[T, list[tuple[int, T]]] = {}  # those that wait
    # Of what was made at one time that comes first which was ready first.
    ready: list[tuple[int, int, int, T]] = []

    def finish(node: T) -> None:
        done[node] = len(done)
        for place, user in users.pop(node, ()):
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, (user.serial, done[node], place, user))

    def finish_before(serial: float) -> Iterator[T]:
        while ready and ready[0][0] < serial:
            node = heapq.heappop(ready)[3]
            finish(node)
            yield node

    for place, node in enumerate(nodes):
        serial, operands = node.serial, node.operands
        if ready:
            yield from finish_before(serial)
        late = [x for x in operands if x not in done]
        if late:
            late = [*dict.fromkeys(late)]
            missing[node] = len(late)
            for x in late:
                users.setdefault(x, []).append((place, node))
        elif ready or (place + 1 < len(nodes) and nodes[place + 1].serial == serial):
            heapq.heappush(
                ready, (serial, max([done[x] for x in operands], default=-1), place, node)
            )
        else:
            finish(node)
            yield node
    yield from finish_before(math.inf)
