"""Programs for several threads: the same bits for any number, and no two threads in one place."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import c_programs
import numpy as np
import pytest
from c_cases import CASES
from c_tools import COMPILERS, STRICT, arrays_for, compile_or_fail, expected

import graphc
from graphc import loops_run, loops_verify
from graphc.api import in_c
from graphc.emit_c import emit
from graphc.errors import ArgumentError, BuildError, VerifyError
from graphc.graph import Graph
from graphc.loops import (
    Argument,
    Assign,
    Barrier,
    Buffer,
    Contract,
    Declare,
    Literal,
    Local,
    Loop,
    Once,
    Parallel,
    Program,
    Read,
    Stmt,
    Store,
    apply,
    statements,
)
from graphc.lower import lower, parallel
from graphc.options import Options
from graphc.passes import optimize
from graphc.trace import scan, trace_function
from graphc.transform import value_and_grad
from graphc.types import Dim, TensorType, bool_, evaluate, float32, float64

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # tests start more threads than there are CPUs

LOOPS = c_programs.FIRST_WITH_LOOPS
SEEDS = (*range(20), 28, 420, *range(LOOPS, LOOPS + 10))
WITHOUT_LOOPS = (17, LOOPS + 4)
C_SEEDS = (*range(40, 55), *range(LOOPS + 20, LOOPS + 28))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loop counts as worth it, and blocks are small."""
    for name in ("LEAST_REGION", "LEAST_LOOP", "LEAST_ROUND", "PART_WORK"):
        monkeypatch.setattr(parallel, name, 0)
    for name, value in {
        "BLOCK_WORK": 1, "SHORTEST_BLOCK": 2, "FEWEST": 1, "ROWS": 2, "COLUMNS": 4,
    }.items():  # fmt: skip
        monkeypatch.setattr(parallel, name, value)


def for_threads(graph: Graph, threads: int) -> Program:
    return lower(graph, None, Options(threads=threads))


def random_program(seed: int) -> tuple[Graph, list[np.ndarray], dict[str, int]]:
    """An optimised graph, arguments, dimensions."""
    single = seed % 10 == 9 and seed < LOOPS
    program = c_programs.program(seed, "float32" if single else "float64")
    graph = trace_function(program.function, program.types).graph
    dims = program.dims
    arrays = arrays_for(graph.inputs, dims, seed)
    try:
        expected(graph, arrays)
    except ValueError:  # NumPy has no maximum of nothing
        dims = {**dims, "n": 3}
        arrays = arrays_for(graph.inputs, dims, seed)
    return optimize(graph), arrays, dims


def step(w: Any, b: Any, x: Any, t: Any, rate: Any) -> Any:
    """A layer's parameters a step downhill: products of matrices, and what is fused with them."""

    def loss(w: Any, b: Any) -> Any:
        return np.sum((np.maximum(x @ w + b, 0) - t) ** 2)

    value, (d_w, d_b) = value_and_grad(loss, (0, 1))(w, b)
    return value, w - rate * d_w, b - rate * d_b


def products(name: str, rows: int | str) -> Graph:
    types = (float64[24, 40], float64[40], float64[rows, 24], float64[rows, 40], float64)
    return optimize(replace(trace_function(step, types).graph, name=name))


def close(got: Sequence[np.ndarray], want: Sequence[np.ndarray]) -> None:
    for a, b in zip(got, want, strict=True):
        tolerance = 2e-3 if b.dtype == np.float32 else 1e-9
        size = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0.0)) if b.dtype.kind == "f" else 1
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * size)


# --- the loop IR ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("eager")
def test_no_two_threads_meet_and_the_result_is_the_same(seed: int) -> None:
    graph, arrays, dims = random_program(seed)
    alone = loops_run.run(for_threads(graph, 1), arrays, dims)
    close(alone, expected(graph, arrays))
    for threads in (2, 3):
        program = for_threads(graph, threads)
        assert program.threads == (1 if seed in WITHOUT_LOOPS else threads)
        for a, b in zip(alone, loops_run.run(program, arrays, dims), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rows", [30, "n"])
@pytest.mark.usefixtures("eager")
def test_products_of_matrices(rows: int | str) -> None:
    graph = products("step", rows)
    arrays = arrays_for(graph.inputs, {"n": 30}, 1)
    dims = {"n": 30} if rows == "n" else {}
    alone, *others = (loops_run.run(for_threads(graph, k), arrays, dims) for k in (1, 3))
    close(alone, expected(graph, arrays))
    for found in others:
        for a, b in zip(alone, found, strict=True):
            np.testing.assert_array_equal(a, b)


F = float64


def hand_written(*body: Stmt, step: int = 0) -> Program:
    """x[8] -> y[8], with a workspace array t[8]."""
    row = TensorType(F, (8,))
    return Program(
        "f",
        "",
        (Argument("x", row, "x"),),
        (),
        (Argument("y", row, "y"),),
        (),
        (Buffer("t", F, (8,), 0, step=step),),
        64 + 2 * step,
        (Parallel(2, Literal(True, bool_), body),),
    )


def i(step: int = 1, plus: int = 0) -> Any:
    return Dim.named("i") * step + plus


def copy(source: str, target: str, at: Any = None, to: Any = None, *, shared: bool = True) -> Loop:
    value = Read(source, i() if at is None else at, F)
    return Loop("i", 8, (Store(target, i() if to is None else to, value),), shared)


SUM = apply("add", Local("s", F), Read("x", i(), F))
WRONG: dict[str, tuple[tuple[Stmt, ...], str]] = {
    "one element of all": ((copy("x", "y", to=0),), "touch the same elements"),
    "two for each": ((copy("x", "t"), copy("t", "y", at=i(-1, 7))), "lacks 1 barriers"),
    "a neighbour's": (
        (Loop("i", 7, (Store("y", i(), Read("y", i(1, 1), F)),), True),),
        "touch the same elements",
    ),
    "a sum of all": (
        (Declare("s", Literal(0.0, F)), Loop("i", 8, (Assign("s", SUM),), True)),
        "differ in s|touch the same",
    ),
    "stores of all": ((copy("x", "y", shared=False),), "every thread of a region would run"),
    "a shared loop for some": ((Once((copy("x", "y"),)),), "not all threads would come to"),
    "a barrier for some": ((Once((Barrier(),)),), "not all threads would come to"),
    "what the first wrote": (
        (Once((Store("t", 0, Literal(1.0, F)),)), copy("t", "y", at=0)),
        "lacks 1 barriers",
    ),
    "the round before": (
        (Loop("k", 2, (copy("t", "y", at=i(-1, 7)), copy("x", "t"))),),
        "lacks [12] barriers",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_checker_refuses_a_race(name: str) -> None:
    body, fault = WRONG[name]
    with pytest.raises(VerifyError, match=fault):
        loops_verify.verify(hand_written(*body))


RACES = ("one element of all", "two for each", "a neighbour's", "stores of all",
         "what the first wrote", "the round before")  # fmt: skip


@pytest.mark.parametrize("name", RACES)
def test_the_evaluator_sees_a_race(name: str) -> None:
    filled = tuple(copy("x", name, shared=False) for name in "ty")
    body = (Once(filled), Barrier(), *WRONG[name][0])
    with pytest.raises(VerifyError, match=r"threads \[0, 1\] touch byte"):
        loops_run.run(hand_written(*body), [np.arange(8.0)])


def test_the_checker_admits_what_is_apart() -> None:
    swapped = (copy("x", "t"), Barrier(), copy("t", "y", at=i(-1, 7)))
    aligned = (copy("x", "t"), copy("t", "y"))
    for body in (swapped, aligned):
        program = hand_written(*body)
        loops_verify.verify(program)
        x = np.arange(8.0)
        want = x[::-1] if body is swapped else x
        np.testing.assert_array_equal(loops_run.run(program, [x])[0], want)


def test_an_array_of_each_thread() -> None:
    """Each iteration fills it: fine with one for each thread, a race in one for all."""
    row = (
        Loop("j", 8, (Store("t", Dim.named("j"), Read("x", i(), F)),)),
        Store("y", i(), Read("t", 3, F)),
    )
    apart, together = (hand_written(Loop("i", 8, row, True), step=step) for step in (64, 0))
    loops_verify.verify(apart)
    x = np.arange(8.0)
    np.testing.assert_array_equal(loops_run.run(apart, [x])[0], x)
    with pytest.raises(VerifyError, match="touch the same elements"):
        loops_verify.verify(together)
    with pytest.raises(VerifyError, match="touch byte"):
        loops_run.run(together, [x])


# --- which loops ----------------------------------------------------------------------------------


def nll(mu: Any, t: Any, sigma: Any) -> Any:
    return np.mean(np.log(2 * sigma) + np.abs(t - mu) / sigma)


def program_of(fn: Callable[..., Any], *types: TensorType, threads: int = 2) -> Program:
    return in_c(graphc.trace(fn, *types), Options(threads=threads))[0]


def shared_loops(program: Program) -> list[Loop]:
    return [s for s in statements(program.body) if isinstance(s, Loop) and s.shared]


def count(program: Program, kind: type) -> int:
    return sum(isinstance(s, kind) for s in statements(program.body))


def test_a_loss_and_its_gradient_are_one_shared_loop() -> None:
    program = program_of(value_and_grad(nll), float32["n"], float32["n"], float32)
    assert (len(shared_loops(program)), count(program, Barrier), count(program, Once)) == (1, 1, 1)


def test_rows_need_no_barrier_between_loops() -> None:
    def two(x: Any) -> Any:
        y = np.tanh(x)
        return y, np.sum(y * y[:, ::-1], axis=1)

    program = program_of(two, float64[512, 512])
    assert len(shared_loops(program)) >= 1
    assert count(program, Barrier) == 0


def test_little_work_has_no_region() -> None:
    assert program_of(lambda x: np.sum(np.exp(x)), float64[100]).threads == 1
    assert program_of(lambda x: np.sum(np.exp(x)), float64[100_000]).threads == 2


def test_steps_of_a_scan_share_their_loops() -> None:
    def many(h: Any, xs: Any) -> Any:
        return scan(lambda c, x: (np.tanh(c * x), np.sum(c)), h, xs)

    program = program_of(many, float64[20_000], float64[10, 20_000])
    (region,) = program.body
    (steps,) = [s for s in region.body if isinstance(s, Loop) and not s.shared and s.extent == 10]
    assert len([s for s in statements(steps.body) if isinstance(s, Loop) and s.shared]) >= 1


def recurrent(w: Any, xs: Any) -> Any:
    """The last state of a recurrent network of 16 units and the slope of its square."""

    def loss(w: Any) -> Any:
        h = np.zeros_like(xs[0])
        h, _ = scan(lambda h, x: (np.tanh(h @ w * 0.1 + x), np.sum(h, axis=1)), h, xs)
        return np.mean(h * h)

    return value_and_grad(loss)(w)


@pytest.mark.parametrize("rows", [18, "n"])
@pytest.mark.usefixtures("eager")
def test_rows_of_a_batch_go_through_a_scan_on_one_thread_each(rows: int | str) -> None:
    graph = optimize(trace_function(recurrent, (float64[16, 16], float64[6, rows, 16])).graph)
    arrays = arrays_for(graph.inputs, {"n": 18}, 3)
    dims = {"n": 18} if rows == "n" else {}
    program = for_threads(graph, 3)
    scans = [
        loop
        for loop in shared_loops(program)
        if any(isinstance(s, Loop) and s.extent == 6 for s in loop.body)
    ]
    assert len(scans) == 2  # forward and backward, and no thread waits for another in them
    alone, *others = (loops_run.run(for_threads(graph, k), arrays, dims) for k in (1, 2, 3))
    close(alone, expected(graph, arrays))
    for found in others:
        for a, b in zip(alone, found, strict=True):
            np.testing.assert_array_equal(a, b)


def test_columns_of_a_scan_that_others_read_make_threads_meet() -> None:
    def ring(h: Any, xs: Any) -> Any:
        return scan(lambda h, x: (np.tanh(np.roll(h, 1, axis=0) * x), np.float64(0)), h, xs)[0]

    program = program_of(ring, float64[64, 256], float64[10])
    assert not any(isinstance(s, Loop) and s.extent == 10 for s in shared_loops(program))
    assert count(program, Barrier) >= 1


def test_a_temporary_row_is_one_of_each_thread() -> None:
    def softmax(x: Any) -> Any:
        e = np.exp(x - np.max(x, axis=1, keepdims=True))
        return e / np.sum(e, axis=1, keepdims=True) + np.sort(x, axis=1)[:, ::-1][:, :1]

    program = program_of(lambda x: softmax(x) @ np.ones((300, 20)), float64["n", 300])
    one, two = (program_of(softmax, float64["n", 300], threads=k) for k in (2, 3))
    assert program.workspace != 0
    assert [b.step for b in one.buffers] == [b.step for b in two.buffers]


# --- C --------------------------------------------------------------------------------------------


def openmp_works(compiler: str) -> bool:
    done = subprocess.run(
        [compiler, "-fopenmp", "-x", "c", "-", "-o", os.devnull],
        input="#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def library(
    programs: Sequence[Program], folder: Path, flags: Sequence[str], compiler: str = "gcc"
) -> ctypes.CDLL:
    names = []
    for program in programs:
        unit = emit(program)
        (folder / f"{unit.name}.c").write_text(unit.source)
        (folder / f"{unit.name}.h").write_text(unit.header)
        names.append(f"{unit.name}.c")
    built = folder / f"all{abs(hash((*flags, compiler)))}.so"
    command = [compiler, *flags, "-fPIC", "-shared", "-Wl,-Bsymbolic", "-o", built.name]
    compile_or_fail([*command, *names, "-lm"], folder)
    return ctypes.CDLL(str(built))


def call(
    found: ctypes.CDLL, program: Program, arrays: Sequence[np.ndarray], dims: dict[str, int]
) -> list[bytes]:
    """The bytes of the outputs."""
    from c_tools import Compiled

    function = found[program.name]
    function.restype = None
    outputs = Compiled(program, emit(program), function)(arrays, dims)
    return [np.ascontiguousarray(y).tobytes() for y in outputs]


def named(program: Program, name: str) -> Program:
    return replace(program, name=name)


def versions(graph: Graph, counts: Sequence[int]) -> list[Program]:
    return [named(for_threads(graph, k), f"{graph.name}_k{k}") for k in counts]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.usefixtures("eager")
def test_c_gives_the_same_bits_for_any_number_of_threads(compiler: str, tmp_path: Path) -> None:
    """Every case and some random programs, as 1 to 4 threads, with OpenMP and without."""
    cases: list[tuple[list[Program], list[np.ndarray], dict[str, int]]] = []
    all_counts = compiler == COMPILERS[0]
    for k, name in enumerate(CASES):
        counts = (1, 2, 3, 4) if all_counts and k % 4 == 0 else (1, 3)
        graph = CASES[name].graph(name)
        arrays = arrays_for(graph.inputs, {"n": 5}, 1)
        cases.append((versions(optimize(graph), counts), arrays, {"n": 5} if graph.dims else {}))
    for graph in (products("known", 150), products("unknown", "n")):
        arrays = arrays_for(graph.inputs, {"n": 150}, 1)
        cases.append((versions(graph, (1, 2, 3)), arrays, {"n": 150}))
    for seed in C_SEEDS:
        counts = (1, 2, 4) if all_counts and seed % 4 == 0 else (1, 3)
        graph, arrays, dims = random_program(seed)
        cases.append((versions(graph, counts), arrays, dims))
    programs = [program for case in cases for program in case[0]]
    flags = (
        "-std=c11",
        "-O1",
        "-ftree-vectorize",
        "-ffp-contract=off",
        "-DGRAPHC_SIMD",
        "-fopenmp-simd",
    )
    found = [library(programs, tmp_path, flags, compiler)]
    if openmp_works(compiler):
        found.append(library(programs, tmp_path, (*flags, "-fopenmp"), compiler))
    for same, arrays, dims in cases:
        want = call(found[0], same[0], arrays, {name: dims[name] for name in same[0].dims})
        for program in same:
            for one in found:
                got = call(one, program, arrays, {name: dims[name] for name in program.dims})
                assert got == want, f"{program.name} differs: {program}"


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.usefixtures("eager")
def test_c_is_clean_with_openmp_and_without(compiler: str, tmp_path: Path) -> None:
    units = [emit(for_threads(optimize(CASES[name].graph(name)), 4)) for name in CASES]
    units += [emit(for_threads(products(f"step{rows}", rows), 4)) for rows in (150, "n")]
    for seed in C_SEEDS[::3]:
        units.append(emit(for_threads(random_program(seed)[0], 4)))
    for unit in units:
        (tmp_path / f"{unit.name}.c").write_text(unit.source)
        (tmp_path / f"{unit.name}.h").write_text(unit.header)
        assert all(len(line) <= 100 for line in unit.source.splitlines()), unit.source
    assert any("GRAPHC_BARRIER\n" in unit.source for unit in units)
    names = [f"{unit.name}.c" for unit in units]
    strict = (*STRICT, "-Wunknown-pragmas", "-Wvla", "-O1", "-fsyntax-only")
    compile_or_fail([compiler, *strict, *names], tmp_path)
    if openmp_works(compiler):
        compile_or_fail([compiler, *strict, "-fopenmp", *names], tmp_path)


SHIM = Path(__file__).parent / "openmp_by_pthreads.c"


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("gcc"), reason="gcc's OpenMP calls")
@pytest.mark.usefixtures("eager")
def test_the_thread_sanitizer_sees_no_race(tmp_path: Path) -> None:
    """GCC's OpenMP calls on pthreads, which the sanitizer knows; a missing barrier is seen."""
    graphs = {seed: random_program(seed) for seed in C_SEEDS}
    programs = [named(for_threads(g, 3), f"seed{seed}") for seed, (g, _, _) in graphs.items()]
    parts = [main_part(p, a, d) for p, (_, a, d) in zip(programs, graphs.values(), strict=True)]
    told = run_sanitized(programs, parts, tmp_path)
    if "unexpected memory mapping" in told:
        pytest.skip("the thread sanitizer does not run on this kernel")
    assert "ThreadSanitizer" not in told, told[:3000]
    wrong = hand_written(copy("x", "t"), copy("t", "y", at=i(-1, 7)))
    arrays = [np.arange(8.0)]
    told = run_sanitized([wrong], [main_part(wrong, arrays, {})], tmp_path)
    assert "ThreadSanitizer: data race" in told


def main_part(program: Program, arrays: Sequence[np.ndarray], dims: dict[str, int]) -> str:
    """A call of the program on these arrays, in C."""
    lines, given = [], []
    types = {"bool": "bool", "int32": "int32_t", "int64": "int64_t", "float32": "float"}
    for k, (x, array) in enumerate(zip(program.inputs, arrays, strict=True)):
        kind = types.get(str(x.type.dtype), "double")
        values = ", ".join(str(v.item()).lower() for v in array.reshape(-1)) or "0"
        lines.append(f"static {kind} in{k}[] = {{{values}}};")
        given.append(f"in{k}" if x.type.shape else f"in{k}[0]")
    given += [str(dims[name]) for name in program.dims]
    for k, y in enumerate(program.outputs):
        kind = types.get(str(y.type.dtype), "double")
        size = max(1, evaluate(y.type.size, dims))
        lines.append(f"static {kind} out{k}[{size}];")
        given.append(f"out{k}")
    if program.workspace != 0:
        size = evaluate(program.workspace, dims)
        lines.append(f"static _Alignas(64) char space[{size}];")
        given.append("space")
    body = "\n        ".join([*lines, f"{program.name}({', '.join(given)});"])
    return f"    {{\n        {body}\n    }}"


def run_sanitized(programs: Sequence[Program], parts: Sequence[str], folder: Path) -> str:
    """What the thread sanitizer says of the calls."""
    names = []
    for program in programs:
        unit = emit(program)
        (folder / f"{unit.name}.c").write_text(unit.source)
        (folder / f"{unit.name}.h").write_text(unit.header)
        names.append(unit.name)
    head = "".join(f'#include "{name}.h"\n' for name in names)
    main = f"#include <stdbool.h>\n{head}\nint main(void)\n{{\n" + "\n".join(parts)
    (folder / "main.c").write_text(f"{main}\n    return 0;\n}}\n")
    shutil.copy(SHIM, folder)
    sanitize = ("-std=gnu11", "-g", "-O1", "-fsanitize=thread", "-w")
    sources = ("main.c", *(f"{name}.c" for name in names))
    compile_or_fail(["gcc", *sanitize, "-fopenmp", "-c", *sources], folder)
    objects = [f"{Path(name).stem}.o" for name in sources]
    compile_or_fail(["gcc", *sanitize, SHIM.name, *objects, "-o", "run", "-lm"], folder)
    done = subprocess.run(
        [str(folder / "run")], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in (0, 66), done.stderr[:3000]
    return done.stderr


# --- kernels --------------------------------------------------------------------------------------


def kernels(*counts: int | None) -> list[Any]:
    types = (float32["n"], float32["n"], float32)
    return [graphc.compile(value_and_grad(nll), *types, threads=k) for k in counts]


def sample(size: int) -> tuple[np.ndarray, np.ndarray, np.float32]:
    random = np.random.default_rng(size)
    a, b = random.normal(size=(2, size)).astype(np.float32)
    return a, b, np.float32(1.3)


@pytest.mark.parametrize("size", [0, 1, 7, 2048, 2049, 100_003])
def test_kernels_give_the_same_bits(size: int) -> None:
    serial, *others = kernels(None, 1, 2, 3, 4)
    arguments = sample(size)
    want = others[0](*arguments)
    for kernel in others[1:]:
        got = kernel(*arguments)
        assert [np.asarray(x).tobytes() for x in got] == [np.asarray(x).tobytes() for x in want]
    with np.errstate(all="ignore"):
        plain = serial(*arguments)
    np.testing.assert_allclose(want[0], plain[0], rtol=1e-5)
    np.testing.assert_array_equal(want[1], plain[1])


def test_python_threads_call_at_once() -> None:
    (kernel,) = kernels(2)
    arguments = [sample(size) for size in (60_000, 70_001, 80_002)]
    want = [kernel(*x) for x in arguments]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(10):
            got = kernel(*arguments[k])
            if got[0] != want[k][0] or (got[1] != want[k][1]).any():
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


SCRIPT = """
import os, sys
import numpy as np
import graphc

def nll(mu, t, sigma):
    return np.mean(np.log(2 * sigma) + np.abs(t - mu) / sigma)

types = (graphc.float32["n"], graphc.float32["n"], graphc.float32)
kernel = graphc.compile(graphc.value_and_grad(nll), *types, threads=2)
a, b = np.random.default_rng(0).normal(size=(2, 100_000)).astype(np.float32)
x = a, b, np.float32(1.3)
want = kernel(*x)
bound = kernel.bind(*x)
if "fork" in sys.argv:
    if os.fork() == 0:
        got, again = kernel(*x), bound()
        same = got[0] == want[0] == again[0] and (got[1] == want[1]).all()
        os._exit(0 if same else 1)
    _, status = os.wait()
    assert status == 0, status
print(want[0].tobytes().hex(), want[1].tobytes()[:64].hex())
"""


def run_script(*words: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        env={**os.environ, "PYTHONPATH": str(Path(graphc.__file__).parents[1]), **env},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_environment_of_openmp_changes_nothing() -> None:
    want = run_script()
    for env in ({"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "4"}, {"OMP_THREAD_LIMIT": "1"},
                {"OMP_DYNAMIC": "true"}, {"OMP_SCHEDULE": "dynamic,1"}):  # fmt: skip
        assert run_script(**env) == want, env


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_can_call_what_its_parent_called() -> None:
    assert run_script("fork") == run_script()


@pytest.mark.parametrize("threads", [0, -1, 2000, "many", True, 1.5])
def test_what_is_no_number_of_threads(threads: Any) -> None:
    with pytest.raises(ArgumentError, match=r"threads=.* is no number of threads; use 1 to 1024"):
        graphc.compile(nll, float32[8], float32[8], float32, threads=threads)


def test_the_environment_gives_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    types = (float64[100_000],)
    monkeypatch.setenv("GRAPHC_THREADS", "3")
    assert graphc.compile(lambda x: np.sum(np.exp(x)), *types).program.threads == 3
    assert graphc.compile(lambda x: np.sum(np.exp(x)), *types, threads=2).program.threads == 2
    monkeypatch.setenv("GRAPHC_THREADS", "auto")
    assert Options().threads == len(os.sched_getaffinity(0))
    monkeypatch.setenv("GRAPHC_THREADS", "lots")
    with pytest.raises(ArgumentError, match=r"\$GRAPHC_THREADS='lots' is no number of threads"):
        graphc.compile(lambda x: x + 1, float64)


def test_a_compiler_without_openmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poor = tmp_path / "poorcc"
    real = shutil.which("cc") or shutil.which("gcc") or "cc"
    poor.write_text(
        '#!/bin/sh\nfor word in "$@"; do\n'
        "  if [ \"$word\" = -fopenmp ]; then echo 'error: no omp.h' >&2; exit 1; fi\n"
        f'done\nexec {real} "$@"\n'
    )
    poor.chmod(0o755)
    monkeypatch.setenv("GRAPHC_CC", str(poor))
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    kernel = graphc.compile(lambda x: np.sum(np.cosh(x)), float64[100_000], threads=1)
    assert np.isfinite(kernel(np.zeros(100_000)))
    with pytest.raises(BuildError, match=r"poorcc cannot make code for threads: it lacks OpenMP"):
        graphc.compile(lambda x: np.sum(np.cosh(x)), float64[100_000], threads=2)


def training_step(dtype: Any, threads: int | None) -> Any:
    """Of two layers of sigmoids and a run-time number of rows."""

    def loss(params: Any, x: Any, t: Any) -> Any:
        for k in range(2):
            x = 1 / (1 + np.exp(-(x @ params[f"W{k}"] + params[f"b{k}"])))
        return np.mean((x - t) ** 2)

    def step(params: Any, x: Any, t: Any) -> Any:
        slopes = graphc.grad(loss)(params, x, t)
        return {name: params[name] - 0.1 * slopes[name] for name in params}

    params = {"W0": dtype[784, 256], "b0": dtype[256], "W1": dtype[256, 256], "b1": dtype[256]}
    return graphc.compile(step, params, dtype["n", 784], dtype["n", 256], threads=threads)


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_a_training_step_is_shared(dtype: Any) -> None:
    """Panels of a run-time number of rows, filled in blocks of blocks that end early."""
    assert training_step(dtype, 2).program.threads == 2


def products_done(body: Sequence[Stmt], sizes: dict[str, int], thread: int) -> int:
    """How many products of matrices' elements one of two threads makes."""
    total = 0
    for stmt in body:
        match stmt:
            case Contract():
                dims = (stmt.rows, stmt.columns, stmt.terms)
                total += math.prod(max(evaluate(size, sizes), 0) for size in dims)
            case Loop(var, extent):
                count = evaluate(extent, sizes)
                mine = range(count)
                if stmt.shared:
                    half = (count + 1) // 2
                    runs = range(thread * half, count if thread else half)
                    mine = range(thread, count, 2) if stmt.in_turn else runs
                total += sum(products_done(stmt.body, {**sizes, var: i}, thread) for i in mine)
            case Once(inner) if thread == 0:
                total += products_done(inner, sizes, thread)
    return total


@pytest.mark.parametrize("rows", [32, 128, 1000])
def test_threads_have_about_the_same_to_do_however_many_rows_there_are(rows: int) -> None:
    (region,) = training_step(float32, 2).program.body
    first, second = (products_done(region.body, {"n": rows}, k) for k in range(2))
    assert first + second > 2 * rows * 784 * 256
    assert 0.8 < first / second < 1.25


@pytest.mark.parametrize("rows", [1, 128, 1000])
def test_blocks_for_threads_count_the_operations_of_all_rows(rows: int) -> None:
    kernels = (training_step(float32, 2), training_step(float32, None))
    shared, alone = (evaluate(kernel.flops, {"n": rows}) for kernel in kernels)
    assert 0.99 * alone < shared < 1.01 * alone


def test_no_thread_looks_for_large_arguments_before_all_have_written_them():
    def fn(x):
        start = np.int64(0), x * 2
        return graphc.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, np.sin(c[1])), start)[1]

    kernel = graphc.compile(fn, float64[5000], threads=2)
    before = kernel.source.split("/* whether an argument")[:-1]
    assert before
    assert all(part.rstrip().endswith("GRAPHC_BARRIER") for part in before)
    x = np.random.default_rng(0).normal(size=5000)
    x[[7, 4000]] = 2.0**30
    np.testing.assert_array_equal(kernel(x), graphc.compile(fn, float64[5000], threads=1)(x))
