"""Where a kernel spends its time: a variant of its C reads a clock around each loop nest."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from graphc import emit_c, emit_dot, loops_count
from graphc.build import caller, load
from graphc.emit_dot import Heat
from graphc.graph import Graph
from graphc.kernel.limits import Limits, limits
from graphc.loops import (
    Apply,
    Argument,
    Barrier,
    Literal,
    Once,
    Parallel,
    Program,
    Stmt,
    Store,
    statements,
    values,
)
from graphc.loops_traffic import traffic
from graphc.options import Options
from graphc.types import evaluate, float64

SECONDS = "graphc_seconds"
"""The output of the variant; no name of a user's begins so."""
BUDGET, MOST_CALLS, LEAST_CALLS = 0.3, 1000, 5
CLOCK, WIDEST = 20e-9, 40
"""Seconds: what is shorter the clock cannot tell, and it has no rate. Columns of a title."""


@dataclass(frozen=True, slots=True)
class Row:
    """A loop nest, or a straight line of code: one box of the picture of kernels."""

    number: int
    title: str
    part: str
    """forward, backward, update; several where they are fused."""
    seconds: float
    """Of one call: the median over calls."""
    share: float
    """Of the seconds of all rows."""
    flops: int
    bytes: int
    """Of arrays, each element once as read and once as written; see `graphc.loops_traffic`."""
    of_peak: float
    """flops a second, as a fraction of what the core of each thread can do in this dtype; 0 for
    what is too short to have a rate."""
    of_bandwidth: float
    """bytes a second, as a fraction of what one core can move of so much data, for each thread."""


@dataclass(frozen=True)
class Profile:
    """Time, work and traffic of each loop nest: ``print(kernel.profile(...))`` shows a table."""

    name: str
    rows: tuple[Row, ...]
    calls: int
    limits: Limits
    program: Program
    graph: Graph

    @property
    def seconds(self) -> float:
        """Of one call, without Python's part."""
        return sum(row.seconds for row in self.rows)

    def __str__(self) -> str:
        heads = ("", "kernel", "time", "share", "FLOPs", "GFLOP/s", "of peak", "bytes", "GB/s",
                 "of bandwidth")  # fmt: skip
        lines = [heads, *map(_cells, self.rows), _cells(self.total)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = ["  ".join(_aligned(k, x, widths[k]) for k, x in enumerate(x)) for x in lines]
        threads = self.program.threads
        team = f"; fractions are of {threads} such cores" if threads > 1 else ""
        peak = " and ".join(
            f"{value / 1e9:.0f} GFLOP/s of {name}" for name, value in self.limits.flops.items()
        )
        return "\n".join(
            [
                f"{self.name}: {_lap(self.seconds)} a call, median of {self.calls}",
                *(line.rstrip() for line in shown),
                f"One core does {peak}, and moves {self.limits.bandwidth[-1] / 1e9:.0f} GB/s from "
                f"memory, {self.limits.bandwidth[0] / 1e9:.0f} GB/s in its first cache{team}.",
            ]
        )

    @property
    def total(self) -> Row:
        """All rows as one."""
        seconds = self.seconds or 1e-12
        flops, moved = (sum(getattr(x, name) for x in self.rows) for name in ("flops", "bytes"))
        peak = sum(x.of_peak * x.seconds for x in self.rows) / seconds
        bandwidth = sum(x.of_bandwidth * x.seconds for x in self.rows) / seconds
        return Row(0, "all", "", self.seconds, 1.0, flops, moved, peak, bandwidth)

    def draw(self, path: str | Path) -> Path:
        """The picture of kernels, each box coloured by its time; see `Graph.draw`.

        Raises:
            DrawError: Graphviz' dot is missing, an unknown format, a bad folder.
        """
        heat = [Heat(x.share, f"{_lap(x.seconds)}, {x.share:.0%}; {_limit(x)}") for x in self.rows]
        return emit_dot.draw(self.graph, path, "kernels", self.program, heat=heat)

    def __repr__(self) -> str:
        return str(self)


def profile(
    program: Program,
    graph: object,
    options: Options,
    inputs: Sequence[np.ndarray],
    dims: Mapping[str, int],
) -> Profile:
    """Runs the variant on `inputs`, which are as the C takes them."""
    plain = graph if isinstance(graph, Graph) else Graph(program.name, (), (), ())
    sections = emit_dot.sections(program)
    timed = instrumented(program, [x.whole for x in sections])
    run = caller().Caller()
    load(emit_c.emit(timed), timed, replace(options, optimize=options.optimize or 2)).prepare(
        run, True
    )
    donated = {y.home for y in program.outputs if y.home}
    samples: list[np.ndarray] = []
    start = time.perf_counter()
    while len(samples) < LEAST_CALLS or (
        time.perf_counter() - start < BUDGET and len(samples) < MOST_CALLS
    ):
        given = [
            x.copy() if a.name in donated else x
            for a, x in zip(program.inputs, inputs, strict=True)
        ]
        result = run(*given)
        samples.append(np.diff(result[-1] if isinstance(result, tuple) else result))
    laps = np.median(samples[1:], axis=0)
    seconds = np.maximum(laps[1:] - laps[0], 0)  # the first lap has nothing in it but the clock
    titles = emit_dot.titles(program, [x.name for x in plain.nodes if x.name])
    found = limits()
    rows = [
        _row(k, program, x.body, title, " and ".join(x.parts), float(s), dims, found)
        for k, (x, title, s) in enumerate(zip(sections, titles, seconds, strict=True), 1)
    ]
    total = sum(row.seconds for row in rows) or 1.0
    shared = tuple(replace(row, share=row.seconds / total) for row in rows)
    return Profile(program.name, shared, len(samples), found, program, plain)


def instrumented(program: Program, sections: Sequence[Sequence[Stmt]]) -> Program:
    """The program with one more output: what the clock says before and after each section, when
    all its threads have come so far."""
    team = next((stmt for stmt in program.body if isinstance(stmt, Parallel)), None)

    def lap(k: int) -> tuple[Stmt, ...]:
        read = Store(SECONDS, k, Apply("clock", (), float64))
        return (read,) if team is None else (Barrier(), Once((read,)), Barrier())

    body = [*lap(0), *lap(1)]
    for k, section in enumerate(sections, 2):
        body += [*section, *lap(k)]
    if team is not None:
        body = [replace(team, body=tuple(body))]
    output = Argument(SECONDS, float64[len(sections) + 2], SECONDS)
    return replace(program, outputs=(*program.outputs, output), body=tuple(body))


def _row(
    number: int,
    program: Program,
    body: Sequence[Stmt],
    title: str,
    part: str,
    seconds: float,
    dims: Mapping[str, int],
    found: Limits,
) -> Row:
    flops = evaluate(loops_count.flops(replace(program, body=tuple(body))), dims)
    moved = traffic(program, body, dims)
    peak = found.flops["float32" if _is_narrow(body) else "float64"] * program.threads
    rate = 1 / seconds if seconds >= CLOCK else 0.0
    return Row(
        number, title, part, seconds, 0.0, flops, moved,
        flops * rate / peak, moved * rate / found.bandwidth_for(moved) / program.threads,
    )  # fmt: skip


def _is_narrow(body: Sequence[Stmt]) -> bool:
    """Whether its floats are float32."""
    found = {
        getattr(stmt, "dtype", None) or value.dtype
        for stmt in statements(tuple(body))
        for value in values(stmt)
        if not isinstance(value, Literal)
    }
    return float64 not in found


def _cells(row: Row) -> tuple[str, ...]:
    def rate(amount: float, fraction: float) -> tuple[str, str]:
        if row.seconds < CLOCK:
            return "", ""
        return f"{amount / row.seconds / 1e9:.1f}", f"{fraction:.0%}"

    title = row.title if len(row.title) <= WIDEST else row.title[: WIDEST - 1] + "…"
    works, moves = rate(row.flops, row.of_peak), rate(row.bytes, row.of_bandwidth)
    share, flops, moved = f"{row.share:.0%}", _count(row.flops), _count(row.bytes)
    return (
        str(row.number or ""),
        title,
        _lap(row.seconds),
        share,
        flops,
        *works,
        moved,
        *moves,
    )


def _limit(row: Row) -> str:
    """What it is closest to."""
    if row.seconds < CLOCK:
        return "too short for a rate"
    if row.of_peak >= row.of_bandwidth:
        return f"{row.of_peak:.0%} of peak"
    return f"{row.of_bandwidth:.0%} of bandwidth"


def _aligned(column: int, text: str, width: int) -> str:
    return text.ljust(width) if column == 1 else text.rjust(width)


def _lap(seconds: float) -> str:
    return f"< {CLOCK / 1e-9:.0f} ns" if seconds < CLOCK else seconds_text(seconds)


def seconds_text(value: float) -> str:
    """0.00000123 is 1.23 µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _count(value: float) -> str:
    """1234567 is 1.23 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return str(value)
