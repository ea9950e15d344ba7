"""Random programs: compiled C, and the loop IR it is printed from, against the reference.

GRAPHC_PROGRAMS=1000 runs more of them, GRAPHC_FIRST_PROGRAM=500 others. A failure prints the
program, which can be pasted into a file and run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import c_programs
import numpy as np
import pytest
from c_tools import arrays_for, both, build, check_type, expected

from graphc import loops_run
from graphc.graph import verify
from graphc.trace import trace_function

COUNT = int(os.environ.get("GRAPHC_PROGRAMS", "60"))
FIRST = int(os.environ.get("GRAPHC_FIRST_PROGRAM", "0"))
FORMER_FAILURES = (103, 105, 138, 253, 340, 1105, 1140, 2201, 2353, 10003, 10009, 10067)
LOOPS = c_programs.FIRST_WITH_LOOPS + FIRST
SEEDS = dict.fromkeys(
    (*range(FIRST, FIRST + COUNT), *range(LOOPS, LOOPS + COUNT // 3), *FORMER_FAILURES)
)
TOLERANCE = {"float64": 1e-9, "float32": 2e-3}


def check(
    got: Sequence[np.ndarray], want: Sequence[np.ndarray], tolerance: float, about: str
) -> None:
    """Equal up to rounding, relative to the largest element."""
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        check_type(a, b, f"{about}, output {k}")
        size = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0.0))
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * size, err_msg=f"{about}, output {k}"
        )


def run(program: c_programs.Program, folder: Path) -> None:
    """As traced and optimised, through C and through the loop IR."""
    traced = trace_function(program.function, program.types)
    verify(traced.graph)
    dims = program.dims
    arrays = arrays_for(traced.graph.inputs, dims, program.seed)
    try:
        want = expected(traced.graph, arrays)
    except ValueError:  # NumPy has no maximum of nothing
        dims = {**dims, "n": 3}
        arrays = arrays_for(traced.graph.inputs, dims, program.seed)
        want = expected(traced.graph, arrays)
    tolerance = TOLERANCE[str(traced.graph.inputs[0].dtype)]
    graphs = [
        replace(graph, name=f"{graph.name}_{how}")
        for how, graph in zip(("traced", "optimized"), both(traced.graph), strict=True)
    ]
    for compiled in build(graphs, folder, ("-std=c11", "-O1", "-ffp-contract=off")):
        name = compiled.program.name
        long = [line for line in compiled.unit.source.splitlines() if len(line) > 100]
        assert not long, f"{name} has lines over 100 columns: {long}"
        check(compiled(arrays, dims), want, tolerance, f"C of {name}")
        found = loops_run.run(compiled.program, arrays, dims)
        check(found, want, tolerance, f"loops of {name}")


@pytest.mark.parametrize("seed", SEEDS)
def test_random_program(seed: int, tmp_path: Path) -> None:
    single = seed % 10 == 9 and seed < c_programs.FIRST_WITH_LOOPS
    program = c_programs.program(seed, "float32" if single else "float64")
    try:
        run(program, tmp_path)
    except Exception as error:
        error.add_note(f"program {seed}:\n{program}")
        raise


def test_programs_are_repeatable_and_cover_the_language() -> None:
    seeds = [*range(200), *range(c_programs.FIRST_WITH_LOOPS, c_programs.FIRST_WITH_LOOPS + 100)]
    texts = [str(c_programs.program(seed)) for seed in seeds]
    assert texts == [str(c_programs.program(seed)) for seed in seeds]
    everything = "\n".join(texts)
    templates = (
        *c_programs.UNARY, *c_programs.BINARY, *c_programs.REDUCE, *c_programs.BLOCKS,
        *c_programs.LOOPS, c_programs.SCAN,
    )  # fmt: skip
    for words in (*(t.split("{")[0] for t in templates), "einsum", "pad", "stack", "::-", "None",
                  "[n, m]", "gradient[", "@", "reshape", "tril", "roll"):  # fmt: skip
        assert words in everything, f"no program has {words}"


def test_a_wrong_program_is_caught() -> None:
    right = [np.ones(3)]
    with pytest.raises(AssertionError, match="output 0"):
        check([np.ones(3) * (1 + 1e-6)], right, TOLERANCE["float64"], "C")
    with pytest.raises(AssertionError, match="output 0"):
        check([np.ones((1, 3))], right, TOLERANCE["float64"], "C")
