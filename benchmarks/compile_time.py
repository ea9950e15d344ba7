"""Compile time for each node: tracing, passes, lowering and C, for graphs of 10 to 10,000 nodes.

Flat rows mean that the time is linear in the number of nodes. Tracing and passes should stay under
100 µs a node. Nodes are those of the graph that is compiled, as it was traced: with a gradient, of
the function and its gradient together; how many the function alone has is said beside. Seconds are
those of the processor, the fastest of a few runs; the C compiler's own time is not counted.
"""

import itertools
import time
import warnings

import numpy as np
from timing import Result

SIZES = (10, 100, 1000, 10_000)
BUDGET = 100e-6
"""Seconds a node for tracing and passes together."""


def chain(steps):
    """A long scalar formula, as a Python loop over its steps writes it: four nodes a step."""

    def loss(x, y):
        for _ in range(max(steps, 1)):
            x = np.sin(x) * y + 0.5
        return x

    return loss


def stages(nodes, derived):
    """({stage: seconds a node}, nodes, nodes of the function alone) of one compilation."""
    import graphc
    from graphc.emit_c import emit
    from graphc.lower import lower
    from graphc.passes import optimize
    from graphc.trace import trace_function

    alone = fn = chain(nodes // (8 if derived else 4))
    if derived:
        fn = graphc.value_and_grad(alone, (0, 1))
    types = (graphc.float64, graphc.float64)
    marks = [time.process_time()]
    graph = trace_function(fn, types, name="loss").graph
    marks.append(time.process_time())
    optimized = optimize(graph)
    marks.append(time.process_time())
    program = lower(optimized)
    marks.append(time.process_time())
    emit(program)
    marks.append(time.process_time())
    count = len(graph.nodes)
    names = ("tracing", "passes", "lowering", "C")
    spent = (b - a for a, b in itertools.pairwise(marks))
    own = len(trace_function(alone, types).graph.nodes) if derived else count
    return {name: t / count for name, t in zip(names, spent, strict=True)}, count, own


def results(quick, tell):
    """Seconds a node of every stage, forward alone and with the gradient."""
    found = []
    for derived in (False, True):
        for nodes in SIZES[:-1] if quick else SIZES:
            runs = 1 if nodes >= 10_000 else 3
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a Python loop is unrolled is the point
                measured = [stages(nodes, derived) for _ in range(runs)]
            best = {k: min(run[k] for run, *_ in measured) for k in measured[0][0]}
            _, count, own = measured[0]
            case = f"{'with gradient' if derived else 'forward'}, {count} nodes"
            case += f" ({own} of the function)" if derived else ""
            for stage, seconds in best.items():
                found.append(Result("compile time a node", case, stage, seconds, seconds, 0.0))
            both = best["tracing"] + best["passes"]
            if count >= 1000 and both > BUDGET:
                tell(f"compile time, {case}: tracing and passes take {both * 1e6:.0f} µs a node")
    return found


if __name__ == "__main__":
    for result in results(False, print):
        print(f"{result.case:52} {result.peer:10} {result.median * 1e6:8.1f} µs")
