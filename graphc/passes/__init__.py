"""Graph -> Graph. Each pass keeps what the graph computes, and promises one thing more.

``GRAPHC_DUMP=simplify`` (or another pass, or ``all``) prints the graph after that pass on stderr;
``GRAPHC_VERIFY=1`` checks the graph around every pass.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graphc.graph import Graph, verify
from graphc.later import Later
from graphc.passes.merge import merge
from graphc.passes.postpone import postpone
from graphc.passes.record import record
from graphc.passes.widen import widen
from graphc.rewrite import foreign, rewrite, touches
from graphc.rules import DISSOLVE, EXACT, FAST, GUARD, RELEASE, STABLE
from graphc.sites import Site
from graphc.trace.names import unwatched

if TYPE_CHECKING:
    from graphc.passes import traps
else:  # few ask for them
    traps = Later("graphc.passes.traps")

Pass = Callable[[Graph], Graph]

SIMPLIFY = (*EXACT, *STABLE)
HASTEN = (*SIMPLIFY, *FAST)


def share(graph: Graph) -> Graph:
    """Equal nodes become one: same op, operands and parameters."""
    return rewrite(graph, ())


def simplify(graph: Graph) -> Graph:
    """Textbook formulas become finite, constants meet, what changes nothing goes; and share."""
    return rewrite(graph, SIMPLIFY)


def guard(graph: Graph) -> Graph:
    """The branch that a `where` does not take sends no nan into the gradient of the other."""
    return rewrite(graph, GUARD) if touches(graph, GUARD) else graph


def dissolve(graph: Graph) -> Graph:
    """No value carries a derivative of its own, for no derivative will be taken any more."""
    return rewrite(graph, DISSOLVE) if touches(graph, DISSOLVE) else graph


def release(graph: Graph) -> Graph:
    """No stop_gradient is left, for no derivative will be taken any more."""
    return rewrite(graph, RELEASE) if touches(graph, RELEASE) else graph


def hasten(graph: Graph) -> Graph:
    """Fewer operations with other roundings: the FAST rules."""
    return rewrite(graph, HASTEN)


PREPARE: tuple[Pass, ...] = (widen, simplify, guard)
"""Before derivatives are taken."""

PIPELINE: tuple[Pass, ...] = (dissolve, widen, simplify, release, merge, record, postpone)
"""Before lowering. Release comes after the rules that take a maximum out: they would stop it again.
Scans come last, when equal values are one."""

FAST_PIPELINE: tuple[Pass, ...] = (dissolve, widen, hasten, release, merge, record, postpone)


def prepare(graph: Graph) -> Graph:
    """The graph as derivatives should see it.

    Raises:
        VerifyError: a rule or a pass is wrong.
    """
    return run(PREPARE, graph)


def optimize(graph: Graph, fast: bool = False) -> Graph:
    """The graph, with its derivatives, as it is lowered; `fast` allows other roundings.

    Raises:
        VerifyError: a rule or a pass is wrong.
    """
    return run(FAST_PIPELINE if fast else PIPELINE, graph)


def trapped(graph: Graph) -> tuple[Graph, tuple[Site, ...]]:
    """An optimised graph that notes where its first nan or infinity is made, and the places that
    are watched."""
    watched, sites = traps.watch(graph)
    return run((share,), watched), sites


@unwatched
def run(passes: Sequence[Pass], graph: Graph) -> Graph:
    """The passes, one after the other, with dumps and checks as the environment asks."""
    shown = os.environ.get("GRAPHC_DUMP", "")
    checked = os.environ.get("GRAPHC_VERIFY", "") not in ("", "0")
    if checked:
        check(graph)
    for step in passes:
        graph = step(graph)
        if shown in (step.__name__, "all"):
            sys.stderr.write(f"# after {step.__name__}\n{graph}\n")
        if checked:
            check(graph)
    return graph


def check(graph: Graph) -> None:
    """`verify`, for a graph that may have captured values of an outer trace.

    Raises:
        VerifyError: naming the node.
    """
    if not foreign(graph):  # the outer trace declares, and names, what the inner one captures
        verify(graph)
