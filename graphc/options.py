"""How a graph becomes C and a kernel: what `graphc.compile` can be asked for."""

from __future__ import annotations

import os
import re
from dataclasses import field, replace

from graphc.errors import ArgumentError
from graphc.frozen import dataclass

MOST_THREADS = 1024


def default_target() -> str:
    """$GRAPHC_TARGET, else the machine at hand."""
    return os.environ.get("GRAPHC_TARGET", "") or "native"


def default_threads() -> int | None:
    """$GRAPHC_THREADS, else no thought of threads."""
    text = os.environ.get("GRAPHC_THREADS", "")
    return thread_count(text, "$GRAPHC_THREADS") if text else None


def thread_count(threads: int | str, source: str = "threads") -> int:
    """The number of threads that is asked for; "auto" is the number of CPUs for this process.

    Raises:
        ArgumentError: it is no number of threads.
    """
    if threads == "auto":
        try:
            return min(len(os.sched_getaffinity(0)), MOST_THREADS)
        except AttributeError:  # macOS and Windows have no affinity to ask for
            return min(os.cpu_count() or 1, MOST_THREADS)
    text = str(threads)
    if isinstance(threads, bool) or not re.fullmatch(r"[1-9][0-9]*", text):
        text = "0"
    if not 1 <= int(text) <= MOST_THREADS:
        raise ArgumentError(
            f"{source}={threads!r} is no number of threads; use 1 to {MOST_THREADS}, 'auto' for "
            "as many as there are CPUs for this process, or nothing for C without threads"
        )
    return int(text)


def default_optimize() -> int:
    """$GRAPHC_OPTIMIZE, else everything."""
    text = os.environ.get("GRAPHC_OPTIMIZE", "") or "2"
    if text not in ("0", "1", "2"):
        raise ArgumentError(f"$GRAPHC_OPTIMIZE is {text!r}; set it to 0, 1 or 2, or unset it")
    return int(text)


UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def bytes_of(memory: int | str | None, what: str = "memory") -> int | None:
    """Bytes: of 262144, "256KiB" or "1.5 MB". `what` is what they were given as.

    Raises:
        ArgumentError: it is no such size.
    """
    if memory is None or (type(memory) is int and memory >= 0):
        return memory
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(memory).strip())
    if type(memory) is str and found and found[2].upper() in UNITS:
        return int(float(found[1]) * UNITS[found[2].upper()])
    raise ArgumentError(
        f"{what}={memory!r} is no number of bytes; pass one, such as 262144, or a text with a "
        'unit, such as "256KiB" or "1MB"'
    )


@dataclass(frozen=True, slots=True)
class Tiles:
    """What a model of costs settles for products of matrices in tiles, and `tune` by trying."""

    blocks: int = 2
    """Rows that are made at a time, in halves of what the model says; 0: all at once."""
    turned: bool = True
    """Whether c = a b may be computed as its transpose."""

    @property
    def inside(self) -> Tiles:
        """In the body of a scan: its rows are made all at once, so that threads may take some of
        them through all steps (see `graphc.lower.interchange`)."""
        return replace(self, blocks=0)


MODEL = "model"
VARIANTS = {
    MODEL: Tiles(),
    "small blocks": Tiles(blocks=1),
    "no blocks": Tiles(blocks=0),
    "not turned": Tiles(turned=False),
}
"""What `graphc.compile(..., tune=True)` tries; without it the model decides."""


@dataclass(frozen=True, slots=True)
class Options:
    """Each field is an argument of `graphc.compile`, where it is explained."""

    target: str = field(default_factory=default_target)
    trap_nans: bool = False
    donated: tuple[tuple[int, int], ...] = ()
    """(input, output that takes its memory), from `donate`."""
    optimize: int = field(default_factory=default_optimize)
    memory: int | None = None
    """Bytes of workspace."""

    threads: int | None = field(default_factory=default_threads)
    """None: no thought of threads."""

    variant: str = MODEL
    """One of `VARIANTS`, which `tune` chooses."""

    @property
    def tiles(self) -> Tiles:
        return VARIANTS[self.variant]

    def __post_init__(self) -> None:
        if type(self.optimize) is not int or self.optimize not in (0, 1, 2):
            raise ArgumentError(
                f"optimize={self.optimize!r} is no level; use 0 (no C compiler: NumPy answers), "
                "1 (C that compiles quickly) or 2 (C that runs fast)"
            )
        if self.threads is not None:
            thread_count(self.threads)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", self.target):
            raise ArgumentError(
                f"target={self.target!r} names no machine; use 'native', 'portable', or a name "
                "that the compiler's -march= takes, such as 'x86-64-v3'"
            )
