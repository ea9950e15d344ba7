"""What compares windows of an array with another value is made where it is first read, not before:
so many comparisons cost more to store than to make of what lies there in any case.

The gradient of a pooling asks, after everything between, where the maximum of each window was.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

from graphc.graph import Elementwise, Node, Reduction
from graphc.lower.domain import Access, Domain, axis_name
from graphc.lower.rewriting import COMPARISONS
from graphc.types import Dim, names, substitute

CHEAP = COMPARISONS | frozenset(
    (
        "add",
        "subtract",
        "multiply",
        "negative",
        "where",
        "cast",
        "logical_and",
        "logical_or",
        "logical_not",
        "absolute",
        "maximum",
        "minimum",
        "sign",
    )
)
"""Ops that cost less to compute again than to store and load."""


def is_late(work: Domain, late: Mapping[Node, Domain]) -> bool:
    """Whether a node waits for its reader: a comparison of windows, or what is made of such ones
    alone."""
    node = work.node
    element = node.op.element
    if isinstance(element, Elementwise) and node.op.name in COMPARISONS:
        if work.tile and node.operands[0].dtype.bytes > node.dtype.bytes:
            return True
    if not (isinstance(element, Elementwise) and node.op.name in CHEAP):
        if not isinstance(element, Reduction):
            return False
    return bool(work.accesses) and all(
        access.node in late for access in work.accesses if access.node.op.name != "constant"
    )


def with_readers(
    reader: Domain, late: dict[Node, Domain], placed: Container[Node]
) -> Iterator[Domain]:
    """What the reader needs of the nodes that wait, in order, with what else it reads beside them:
    of that, what is placed. They wait no longer."""
    beside = [a for a in (*reader.accesses, *reader.beside) if a.node in placed]
    for access in reader.accesses:
        if access.node in late:
            work = late.pop(access.node)
            places = {
                next(iter(names(at))): Dim.named(axis_name(axis))
                for at, axis in zip(access.index, work.output, strict=True)
                if isinstance(at, Dim) and at == Dim.named(next(iter(names(at))))
            }
            seen = tuple(
                Access(a.node, tuple(substitute(i, places) for i in a.index))
                for a in beside
                if all(name in places for i in a.index for name in names(i))
            )
            work = replace(work, beside=seen)
            yield from with_readers(work, late, placed)
            yield work
