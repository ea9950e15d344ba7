"""graphc as the benchmarks ask for it."""

from timing import threads

import graphc


def compiled(fn, *types, donate=()):
    """fn as a kernel for the threads of this process; it may write into the donated arguments.

    For one thread nothing is said, as users do: `threads=1` is bit for bit what more threads give,
    with sums and products cut for them.
    """
    asked = {"threads": threads()} if threads() > 1 else {}
    return graphc.compile(fn, *types, donate=donate, **asked)
