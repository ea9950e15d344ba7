"""How a graph becomes C and a kernel: what `graphc.compile` can be asked for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from graphc.errors import ArgumentError


def default_target() -> str:
    """$GRAPHC_TARGET, else the machine at hand."""
    return os.environ.get("GRAPHC_TARGET", "") or "native"


def default_optimize() -> int:
    """$GRAPHC_OPTIMIZE, else everything."""
    text = os.environ.get("GRAPHC_OPTIMIZE", "") or "2"
    if text not in ("0", "1", "2"):
        raise ArgumentError(f"$GRAPHC_OPTIMIZE is {text!r}; set it to 0, 1 or 2, or unset it")
    return int(text)


@dataclass(frozen=True, slots=True)
class Options:
    """Each field is an argument of `graphc.compile`, where it is explained."""

    target: str = field(default_factory=default_target)
    trap_nans: bool = False
    donated: tuple[tuple[int, int], ...] = ()
    """(input, output that takes its memory), from `donate`."""
    optimize: int = field(default_factory=default_optimize)

    def __post_init__(self) -> None:
        if type(self.optimize) is not int or self.optimize not in (0, 1, 2):
            raise ArgumentError(
                f"optimize={self.optimize!r} is no level; use 0 (no C compiler: NumPy answers), "
                "1 (C that compiles quickly) or 2 (C that runs fast)"
            )
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", self.target):
            raise ArgumentError(
                f"target={self.target!r} names no machine; use 'native', 'portable', or a name "
                "that the compiler's -march= takes, such as 'x86-64-v3'"
            )
