"""What the machine can do: measured once, and kept beside the kernels."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from graphc.build import cache_folder, caller, load, machine, write_atomically
from graphc.frozen import dataclass
from graphc.loops import Argument, Program
from graphc.options import Options
from graphc.resources import render, template_folder
from graphc.types import float64, int64
from graphc.units import CUnit

NAME = "graphc_machine"
BYTES = (24 << 10, 192 << 10, 1536 << 10, 12 << 20, 96 << 20)
"""Sizes of data for which the bandwidth is measured: the caches, and memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """One core: operations a second, and bytes a second for data of each of `BYTES`."""

    flops: dict[str, float]
    """For float32 and float64."""
    bandwidth: tuple[float, ...]

    def bandwidth_for(self, size: float) -> float:
        """Bytes a second at which so many bytes can be read and written again and again."""
        return float(np.interp(np.log(max(size, 1)), np.log(BYTES), self.bandwidth))


def unit() -> CUnit:
    """The C that measures."""
    declared = (
        f"void {NAME}(const int64_t *bytes, double *flops, double *bandwidth, void *workspace);"
    )
    source = render("machine.c", sizes=len(BYTES))
    return CUnit(NAME, declared, source, f"#include <stdint.h>\n{declared}\n")


def program() -> Program:
    outputs = (("flops", 2), ("bandwidth", len(BYTES)))
    return Program(
        NAME,
        "",
        (Argument("bytes", int64[len(BYTES)], "bytes"),),
        (),
        tuple(Argument(name, float64[size], name) for name, size in outputs),
        (),
        (),
        BYTES[-1],
        (),
    )


@cache
def limits() -> Limits:
    """Measured in a third of a second, once a machine.

    Raises:
        BuildError: no compiler.
    """
    text = (template_folder() / "machine.c").read_bytes()
    key = sha256(text + machine().encode()).hexdigest()[:16]
    return _kept(cache_folder() / f"limits-{key}.json")


def _kept(path: Path) -> Limits:
    with suppress(OSError, ValueError, TypeError, KeyError):
        held = json.loads(path.read_text(encoding="utf-8"))
        return Limits(
            {name: float(held["flops"][name]) for name in ("float32", "float64")},
            tuple(map(float, held["bandwidth"])),
        )
    made = caller().Caller()
    load(unit(), program(), Options("native", optimize=2)).prepare(made, True)
    flops, bandwidth = made(np.array(BYTES, np.int64))
    found = Limits(
        dict(zip(("float32", "float64"), map(float, flops), strict=True)),
        tuple(map(float, bandwidth)),
    )
    with suppress(OSError):
        write_atomically(path, json.dumps(asdict(found)) + "\n")
    return found
