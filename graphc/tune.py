"""Which of a few variants of the C runs fastest on this machine: a clock says, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphc import build, resources
from graphc.digest import digest
from graphc.errors import ArgumentError
from graphc.graph import Graph
from graphc.kernel import Kernel
from graphc.loops import Program
from graphc.options import MODEL, VARIANTS, Options
from graphc.samples import chosen_sizes, random_values
from graphc.timing import Call, medians

DEFAULT_SIZE = 128
"""Of run-time dimensions that nobody named a size for."""
MOST = 2.0
"""Seconds of calls; a round that has begun is ended."""
SPREAD = 0.1
"""Of random values: small, as weights are, so that fewer sums and exponentials overflow."""
WORTH = 0.97
"""A variant must take at most so much of the model's time; less is noise."""

Made = tuple[Program, build.Unit]
Make = Callable[[Options], Made]


def tuned(
    graph: Graph,
    shown: Sequence[str] | None,
    options: Options,
    make: Make,
    given: Sequence[Any],
    sizes: Mapping[str, int],
) -> Options:
    """The options with the variant that takes least time: the model's, unless another clearly does.

    It is kept in the disk cache, for this graph, these sizes, this compiler and machine.

    Args:
        shown: how the user writes each input.
        make: lowers and prints, as the options say.
        given: an example or a type of each input. No example is changed.
        sizes: of run-time dimensions.

    Raises:
        BuildError: no compiler.
        ArgumentError: the graph has no such dimension; or as `make`, of the model's variant.
    """
    dims = chosen_sizes(graph, sizes, DEFAULT_SIZE)
    plain = replace(options, trap_nans=False)  # random values might set traps off

    def fastest() -> str:
        made = _variants(plain, make)
        if len(made) == 1:
            return MODEL
        values = random_values(given, np.random.default_rng(0), dims, SPREAD)
        # Of one thread its own time counts, whatever else the machine does.
        clock = time.thread_time if plain.threads is None else time.perf_counter
        calls = {x.variant: _call(unit, x, values) for x, unit in made.items()}
        seconds = medians(calls, MOST, clock)
        best = min(seconds, key=lambda name: seconds[name])
        return best if seconds[best] <= WORTH * seconds[MODEL] else MODEL

    key = digest(graph, shown, plain, resources.fingerprint(), dims, build.maker())
    return replace(options, variant=build.remember(key, fastest))


def _variants(options: Options, make: Make) -> dict[Options, Made]:
    """The variants that differ, compiled side by side."""
    from concurrent.futures import ThreadPoolExecutor  # here: importing graphc goes without

    made: dict[Options, Made] = {}
    with ThreadPoolExecutor() as pool:
        waiting = []
        for name in VARIANTS:
            asked = replace(options, variant=name)
            try:
                program, unit = make(asked)
            except ArgumentError:
                if name == MODEL:
                    raise
                continue  # the workspace of this one does not fit the budget
            if all(unit.source != other.source for _, other in made.values()):
                made[asked] = program, unit
                waiting.append(pool.submit(build.load, unit, program, asked))
        for one in waiting:
            one.result()
    return made


def _call(made: Made, options: Options, values: Sequence[np.ndarray]) -> Call:
    """A call on these values, each time: those that it overwrites are copied before."""
    donated = [home for home, _ in options.donated]
    own: list[Any] = [x.copy() if k in donated else x for k, x in enumerate(values)]
    bound = Kernel(*made, options=options).bind(*own)
    if not donated:
        return bound

    def call() -> object:
        for home in donated:
            bound.inputs[home][...] = values[home]
        return bound()

    return call
