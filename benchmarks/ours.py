"""graphc as the benchmarks ask for it."""

import inspect

from timing import threads

import graphc

TAKES = inspect.signature(graphc.compile).parameters


def compiled(fn, *types, donate=()):
    """fn as a kernel for the threads of this process; it may write into the donated arguments."""
    asked = {"threads": threads()} if "threads" in TAKES else {}
    return graphc.compile(fn, *types, donate=donate, **asked)
