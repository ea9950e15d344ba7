"""graphc as the benchmarks ask for it."""

import inspect

from timing import threads

import graphc

TAKES = inspect.signature(graphc.compile).parameters


def compiled(fn, *types, donate=()):
    """fn as a kernel for the threads of this process; it may write into the donated arguments."""
    asked = {}
    if "threads" in TAKES:
        asked["threads"] = threads()
    if "donate" in TAKES and donate:
        asked["donate"] = donate
    return graphc.compile(fn, *types, **asked)


def donates():
    """Whether `compiled` heeds donate."""
    return "donate" in TAKES
