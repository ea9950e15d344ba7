"""kernel.profile: which nest does how much, in how much time."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_tools import STRICT

import graphc
from graphc import emit_c, emit_dot, loops_verify
from graphc.build.compiler import find_compiler
from graphc.emit_dot import Heat
from graphc.emit_dot.kernels import warm
from graphc.errors import ArgumentError
from graphc.kernel import limits as machine
from graphc.kernel.limits import BYTES, Limits
from graphc.kernel.profiling import SECONDS, Profile, Row, instrumented
from graphc.loops import Barrier, Once, Parallel, Stmt, Store
from graphc.loops_run import run
from graphc.loops_traffic import traffic

LIMITS = Limits({"float32": 100e9, "float64": 50e9}, (80e9, 60e9, 40e9, 30e9, 20e9))


def step(w, x, t):
    def loss(w):
        y = np.tanh(x @ w)
        return np.mean((y - t) ** 2)

    value, d_w = graphc.value_and_grad(loss)(w)
    return value, w - 0.1 * d_w


TYPES = (graphc.float64[40, 30], graphc.float64["n", 40], graphc.float64["n", 30])


def given(n: int = 50) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 30)), rng.normal(size=(n, 40)), rng.normal(size=(n, 30))


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of round numbers, and few calls."""
    monkeypatch.setattr("graphc.kernel.profiling.limits", lambda: LIMITS)
    monkeypatch.setattr("graphc.kernel.profiling.BUDGET", 0.0)


@pytest.mark.usefixtures("fixed")
def test_each_nest_has_a_row() -> None:
    kernel = graphc.compile(step, *TYPES)
    found = kernel.profile(*given())
    sections = emit_dot.sections(kernel.program)
    assert isinstance(found, Profile)
    assert [row.number for row in found.rows] == list(range(1, len(sections) + 1))
    assert any("d_w" in row.title for row in found.rows)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    assert found.seconds == sum(row.seconds for row in found.rows) > 0
    assert found.calls == 5
    for row in found.rows:
        assert row.seconds >= 0
        assert row.part in ("forward", "backward", "forward and backward", "backward and update",
                            "update", "forward and backward and update")  # fmt: skip


@pytest.mark.usefixtures("fixed")
def test_flops_are_those_of_the_kernel() -> None:
    kernel = graphc.compile(step, TYPES[0], graphc.float64[50, 40], graphc.float64[50, 30])
    rows = kernel.profile(*given()).rows
    assert sum(row.flops for row in rows) == kernel.flops


def test_the_variant_computes_the_same() -> None:
    kernel = graphc.compile(step, *TYPES)
    sections = emit_dot.sections(kernel.program)
    timed = instrumented(kernel.program, [x.whole for x in sections])
    assert [a.name for a in timed.outputs][:-1] == [a.name for a in kernel.program.outputs]
    assert timed.outputs[-1].name == SECONDS
    source = emit_c.emit(timed).source
    assert source.count(f"{SECONDS}[") == source.count("clock_f64()") == len(sections) + 2
    assert "clock" not in kernel.source


def test_the_variant_is_clean(tmp_path: Path) -> None:
    kernel = graphc.compile(step, *TYPES)
    timed = instrumented(kernel.program, [x.whole for x in emit_dot.sections(kernel.program)])
    unit = emit_c.emit(timed)
    (tmp_path / f"{unit.name}.h").write_text(unit.header)
    (tmp_path / f"{unit.name}.c").write_text(unit.source)
    command = [*find_compiler().command, *STRICT, "-c", f"{unit.name}.c", "-o", "unit.o"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.usefixtures("fixed")
def test_profiling_leaves_the_arguments_as_they_were() -> None:
    kernel = graphc.compile(step, *TYPES, donate="w")
    w, x, t = given()
    before = w.copy()
    kernel.profile(w, x, t)
    np.testing.assert_array_equal(w, before)


@pytest.mark.usefixtures("fixed")
def test_pytrees_numbers_and_levels() -> None:
    def fn(p, rate):
        return {"a": rate * p["x"]}

    for level in (0, 1, 2):
        kernel = graphc.compile(fn, {"x": graphc.float32["n"]}, graphc.float32, optimize=level)
        (row,) = kernel.profile({"x": np.ones(1000, np.float32)}, 0.5).rows
        assert (row.flops, row.bytes, row.part) == (1000, 8000, "forward")


@pytest.mark.usefixtures("fixed")
def test_threads_meet_before_each_reading() -> None:
    types = (TYPES[0], *(graphc.float64[9000, k] for k in (40, 30)))
    one, two = (graphc.compile(step, *types, threads=k) for k in (1, 2))
    sections = emit_dot.sections(two.program)
    timed = instrumented(two.program, [x.whole for x in sections])
    loops_verify.verify(timed)
    (region,) = timed.body
    assert isinstance(region, Parallel)
    readings = [
        k for k, s in enumerate(region.body) if isinstance(s, Once) and s.body[0] in clocks(s)
    ]
    assert len(readings) == len(sections) + 2 > 4
    assert all(isinstance(region.body[k - 1], Barrier) for k in readings)
    found = two.profile(*given(9000))
    assert [row.number for row in found.rows] == list(range(1, len(sections) + 1))
    assert any("d_w" in row.title for row in found.rows)
    assert sum(row.flops for row in found.rows) == two.flops
    assert str(found).endswith("first cache; fractions are of 2 such cores.")
    for row in found.rows:
        if row.seconds > 1e-6:
            assert row.of_peak == pytest.approx(row.flops / row.seconds / (2 * 50e9))
    assert "such cores" not in str(one.profile(*given(9000)))


def clocks(stmt: Once) -> list[Stmt]:
    return [s for s in stmt.body if isinstance(s, Store) and s.buffer == SECONDS]


def test_the_picture_of_kernels_for_threads_shows_their_loops() -> None:
    types = (TYPES[0], *(graphc.float64[9000, k] for k in (40, 30)))
    one, two = (graphc.compile(step, *types, threads=k) for k in (1, 2))
    titles = [emit_dot.titles(x.program, ["d_w", "y"]) for x in (one, two)]
    assert titles[0] == titles[1]
    assert len(titles[0]) > 2


def test_what_cannot_be_profiled() -> None:
    kernel = graphc.compile(lambda x: np.log(x), graphc.float64, trap_nans=True, name="watched")
    with pytest.raises(ArgumentError, match=r"watched watches for nans, .* without trap_nans"):
        kernel.profile(1.0)
    plain = graphc.compile(lambda x: np.log(x), graphc.float64[3], name="plain")
    with pytest.raises(ArgumentError, match="of plain has 2 elements, not the 3 of its type"):
        plain.profile(np.ones(2))


# --- bytes ---------------------------------------------------------------------------------------


def moved(fn: Any, *types: Any, **dims: int) -> int:
    program = graphc.compile(fn, *types, optimize=0).program
    return traffic(program, program.body, dims)


def test_bytes_of_what_is_read_and_written() -> None:
    vector, matrix = graphc.float64["n"], graphc.float32[6, 7]
    assert moved(lambda x: 2 * x, vector, n=100) == 1600
    assert moved(lambda x, y: x + y, vector, vector, n=100) == 2400
    assert moved(lambda x: x + x[::-1], vector, n=100) == 1600  # once, however often it is read
    assert moved(lambda x: np.sum(x), vector, n=100) == 800 + 8
    assert moved(lambda x: x.T, matrix) == 2 * 4 * 42
    assert moved(lambda x, b: x + b, matrix, graphc.float32[7]) == 4 * (42 + 42 + 7)
    assert moved(lambda x: x[:2], vector, n=100) == 32  # of a part, the part
    assert moved(lambda x, i: x[i], vector, graphc.int64[5], n=3) == 8 * (5 + 3 + 5)
    assert moved(lambda x: 2 * x, vector, n=0) == 0


def test_bytes_of_a_product() -> None:
    left, right = graphc.float64["n", 64], graphc.float64[64, 32]
    found = moved(lambda a, b: a @ b, left, right, n=128)
    once = 8 * (128 * 64 + 64 * 32 + 128 * 32)
    assert once <= found <= once + 2 * 8 * 128 * 32  # and perhaps the sums again


# --- the machine ---------------------------------------------------------------------------------


def test_the_machine_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "limits.json"
    first = machine._kept(path)
    assert set(first.flops) == {"float32", "float64"}
    assert len(first.bandwidth) == len(BYTES)
    assert min(*first.flops.values(), *first.bandwidth) > 1e6
    held = json.loads(path.read_text())
    held["flops"]["float32"] = 7.0
    path.write_text(json.dumps(held))
    assert machine._kept(path).flops["float32"] == 7.0
    path.write_text("{}")  # of an older version, or damaged
    assert machine._kept(path).flops["float32"] > 1e6


def test_bandwidth_is_that_of_the_cache_that_holds_it() -> None:
    assert [LIMITS.bandwidth_for(size) for size in BYTES] == list(LIMITS.bandwidth)
    assert LIMITS.bandwidth_for(0) == LIMITS.bandwidth_for(100) == 80e9
    assert LIMITS.bandwidth_for(1e12) == 20e9
    assert 60e9 < LIMITS.bandwidth_for(80_000) < 80e9


# --- what is shown -------------------------------------------------------------------------------

ROWS = (
    Row(1, "z, a", "forward", 2e-3, 0.8, 123_000_000, 4_000_000, 0.615, 0.05),
    Row(2, "a title that is far too long for a column of a table", "backward", 5e-4, 0.2, 0,
        900, 0.0, 0.00009),
    Row(3, "value", "forward", 0.0, 0.0, 2, 8, 0.0, 0.0),
)  # fmt: skip
TABLE = """\
step: 2.5 ms a call, median of 7
   kernel                                       time  share  FLOPs  GFLOP/s  of peak  bytes  GB/s  \
of bandwidth
1  z, a                                         2 ms    80%  123 M     61.5      62%    4 M   2.0  \
          5%
2  a title that is far too long for a colu…   500 µs    20%      0      0.0       0%    900   0.0  \
          0%
3  value                                     < 20 ns     0%      2                        8
   all                                        2.5 ms   100%  123 M     49.2      49%    4 M   1.6  \
          4%
One core does 100 GFLOP/s of float32 and 50 GFLOP/s of float64, and moves 20 GB/s from memory, \
80 GB/s in its first cache."""


def test_the_table() -> None:
    kernel = graphc.compile(step, *TYPES, optimize=0)
    found = Profile("step", ROWS, 7, LIMITS, kernel.program, kernel.graph)  # type: ignore[arg-type]
    assert str(found) == repr(found) == TABLE


def test_the_picture_is_coloured_by_time(tmp_path: Path) -> None:
    kernel = graphc.compile(step, *TYPES, optimize=0)
    count = len(emit_dot.sections(kernel.program))
    rows = tuple(replace(ROWS[0], number=k + 1, share=1.0 if k == 1 else 0.0) for k in range(count))
    found = Profile("step", rows, 7, LIMITS, kernel.program, kernel.graph)  # type: ignore[arg-type]
    text = found.draw(tmp_path / "profile.dot").read_text()
    assert text.count("2 ms, 100%; 62% of peak") == 1
    assert text.count("2 ms, 0%; 62% of peak") == count - 1
    assert warm(1.0) in text
    assert warm(0.0) == "#ffffff"
    greens = [int(warm(share)[3:5], 16) for share in (0.0, 0.1, 0.5, 1.0)]
    assert greens == sorted(greens, reverse=True)
    assert len(set(greens)) == 4
    assert Heat(0.5, "x").share == 0.5
    assert "%;" not in emit_dot.kernels(kernel.program, kernel.graph)  # type: ignore[arg-type]


def test_a_clock_is_no_mathematics() -> None:
    """The evaluator of loops has no clock: an instrumented program is only ever C."""
    program = graphc.compile(lambda x: 2 * x, graphc.float64[2], optimize=0).program
    timed = instrumented(program, [x.body for x in emit_dot.sections(program)])
    with pytest.raises(KeyError, match="clock"):
        run(timed, [np.ones(2)])
