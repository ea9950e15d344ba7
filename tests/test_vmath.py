"""The vector functions of the C: accuracy over the whole range, special values, vectorisation.

`make maths` runs every float32 and many more float64 values (tests/vector_maths.py).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_tools import COMPILERS, kernel_flags, target_flags, units, write
from vector_maths import (
    FUNCTIONS,
    WIDE,
    every_float32,
    float32,
    float64,
    kernel_of,
    many_float64,
    measured,
    special_values,
    truth,
    ulps,
)

import graphc
from graphc.passes import optimize
from graphc.trace import trace_function

STRIDE = 9973
"""Of the float32 values tried here: prime, so that all exponents and endings occur."""
COUNT = 1 << 16
DTYPES = {"float32": float32, "float64": float64}
TARGETS = ("native", "portable")


def blocks(name, dtype):
    yield special_values(dtype)
    if dtype is float32:
        yield from every_float32(STRIDE)
    else:
        yield many_float64(COUNT >> 5 * FUNCTIONS[name].slow)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, dtype, target):
    worst = measured(name, DTYPES[dtype], blocks(name, DTYPES[dtype]), target)
    assert worst.ulps <= FUNCTIONS[name].ulps, f"{name} of {dtype} for {target}: {worst}"


ENDS = {
    "exp": (np.inf, 0.0, 1.0),
    "exp2": (np.inf, 0.0, 1.0),
    "expm1": (np.inf, -1.0, 0.0),
    "sigmoid": (1.0, 0.0, 0.5),
    "tanh": (1.0, -1.0, 0.0),
    "erf": (1.0, -1.0, 0.0),
}
"""The values at inf, -inf and 0."""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ENDS)
def test_ends_are_exact(name, dtype, target):
    kernel = kernel_of(name, DTYPES[dtype], target)
    x = np.array([np.inf, -np.inf, 0.0] * 11, dtype)
    np.testing.assert_array_equal(kernel(x), np.array(ENDS[name] * 11, dtype))
    x = np.array([50.0, 100.0, 1000.0] * 11, dtype)  # past where it levels off
    if np.isfinite(ENDS[name][0]):
        np.testing.assert_array_equal(kernel(x), 1)


def pairs(name, dtype):
    """Powers of every size, and sides of every size."""
    random = np.random.default_rng(1)
    most = float(np.finfo(dtype).maxexp)
    for spread in (1.0, 20.0, most):
        x = random.normal(size=COUNT) * np.exp2(random.uniform(-spread, spread, COUNT))
        y = x * np.exp2(random.uniform(-3, 3, COUNT)) * random.choice([-1, 1], COUNT)
        if name == "power":
            x = np.abs(x)
            y = random.uniform(-1.05, 1.05, COUNT) * most / np.maximum(np.abs(np.log2(x)), 1e-6)
        yield x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["power", "hypot", "arctan2"])
def test_accuracy_of_two_arguments(name, dtype, target):
    """What is special about them, tests/test_c_ops.py compares with NumPy."""
    function = getattr(np, name)
    types = [DTYPES[dtype]["n"]] * 2
    kernel = graphc.compile(lambda x, y: function(x, y), *types, target=target)
    wide = np.longdouble if dtype == "float64" else np.float64
    with np.errstate(all="ignore"):
        for x, y in pairs(name, dtype):
            error = ulps(kernel(x, y), function(x.astype(wide), y.astype(wide)))
            k = int(np.argmax(error))
            assert error[k] <= 2 + (not WIDE), f"{name}({x[k]!r}, {y[k]!r}): {error[k]} ulp"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_lengths_and_positions_do_not_matter(name, dtype):
    """The same number gives the same bits in the body of the vector loop and in its remainder."""
    kernel = kernel_of(name, DTYPES[dtype])
    x = np.random.default_rng(3).uniform(0.1, 0.9, 67).astype(dtype)
    whole = kernel(x)
    for start, stop in ((0, 1), (1, 8), (3, 36), (66, 67), (5, 5)):
        np.testing.assert_array_equal(kernel(x[start:stop].copy()), whole[start:stop])


REMARKS = {
    "gcc": ("-fopt-info-vec-optimized", r"f\.c:(\d+):.*loop vectorized"),
    "clang": ("-Rpass=loop-vectorize", r"f\.c:(\d+):.*vectorized loop"),
}
"""The flag for telling which loops became vector loops, and what is told."""


def loops_and_vectorised(fn, types, compiler, target, folder):
    """Lines of the loops of a function, and of those that the compiler vectorises."""
    _, unit = units(optimize(trace_function(fn, types, name="f").graph))
    write(unit, folder)
    foreign = ("-march", "-DGRAPHC_PORT")
    flags = [flag for flag in kernel_flags(compiler) if not flag.startswith(foreign)]
    flags += target_flags(target)
    tell, told = REMARKS[compiler]
    command = [compiler, *flags, tell, "-c", "-o", "f.o", "f.c"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    lines = unit.source.splitlines()
    loops = [i for i, line in enumerate(lines, 1) if re.match(r" +for \(", line)]
    return loops, {int(line) for line in re.findall(told, done.stderr)}, unit.source


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("compiler", [name for name in COMPILERS if name in REMARKS])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_loop_is_vectorised(name, dtype, compiler, target, tmp_path: Path):
    function = FUNCTIONS[name].traced
    types = [DTYPES[dtype]["n"]]
    loops, vectorised, source = loops_and_vectorised(
        lambda x: function(x), types, compiler, target, tmp_path
    )
    if np.isfinite(FUNCTIONS[name].limit):
        check, _library, own = loops
        loops = [own] if target == "portable" else [check, own]  # SSE2 has no 64-bit masks
    if (name, compiler, target) == ("arccosh", "clang", "portable"):
        pytest.skip("clang reckons that pairs of roots and divisions gain nothing")
    assert vectorised >= set(loops), f"{compiler} leaves a loop of {name} scalar:\n{source}"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("compiler", [name for name in COMPILERS if name in REMARKS])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "fn",
    [np.power, np.hypot, np.arctan2, np.logaddexp, np.fmax, np.fmin, np.maximum, np.minimum],
    ids=lambda fn: fn.__name__,
)
def test_the_loop_of_two_arguments_is_vectorised(fn, dtype, compiler, target, tmp_path: Path):
    types = [DTYPES[dtype]["n"]] * 2
    loops, vectorised, source = loops_and_vectorised(
        lambda x, y: fn(x, y), types, compiler, target, tmp_path
    )
    if (fn, compiler, target) == (np.hypot, "clang", "portable"):
        pytest.skip("clang reckons that pairs of roots and divisions gain nothing")
    assert vectorised >= set(loops), f"{compiler} leaves a loop of {fn} scalar:\n{source}"


@pytest.mark.parametrize("compiler", [name for name in COMPILERS if name in REMARKS])
def test_long_functions_vectorise_their_loops_as_short_ones_do(
    compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A compiler stops putting bodies in place of calls where the caller has grown enough."""
    monkeypatch.setattr("graphc.emit_c.repeats.LEAST_SAVED", 10**9)  # each layer's loops stay

    def deep(x, w):
        for _ in range(12):
            x = np.tanh(x @ w) * np.tanh(x)
        return x

    types = [float32[64, 64], float32[64, 64]]
    loops, vectorised, source = loops_and_vectorised(deep, types, compiler, "native", tmp_path)
    lines = source.splitlines()
    maths = {i for i in loops if "tanh_f32" in lines[i]}
    assert len(maths) >= 12
    # A remark is of a loop, the pragma before it or the statement after it.
    told = {line + k for line in vectorised for k in (-1, 0, 1)}
    assert told >= maths


def test_the_library_leaves_a_loop_scalar(tmp_path: Path):
    """What the two tests above would see without polynomials."""
    compiler = next(name for name in COMPILERS if name in REMARKS)
    types = [float64["n"]]
    _, vectorised, _ = loops_and_vectorised(
        lambda x: np.cbrt(x), types, compiler, "portable", tmp_path
    )
    assert not vectorised


def test_straight_line_code_and_short_loops_call_the_library():
    scalar = graphc.compile(lambda x: np.exp(x) + np.tanh(x), graphc.float64)
    short = graphc.compile(np.exp, graphc.float64[7])
    rows = graphc.compile(lambda x: np.log(np.sum(np.exp(x), axis=1)), graphc.float64["n", "m"])
    assert "exp(x) + tanh(x)" in scalar.source
    assert "exp_f64" not in scalar.source
    assert "= exp(x[i])" in short.source
    assert "exp_f64(x[i * m + j]" in rows.source
    assert "log(" in rows.source
    assert "log_f64" not in rows.source


def test_one_large_angle_sends_the_loop_to_the_library():
    """The polynomials of sin and cos reduce their argument exactly below 2^20 only."""
    kernel = graphc.compile(lambda x: np.sin(3 * x) + np.cos(x), float64["n"])
    assert "sin_f64(3.0 * x[i]) + cos_f64(x[i])" in kernel.source
    assert "sin(3.0 * x[i]) + cos(x[i])" in kernel.source
    x = np.linspace(-9, 9, 1001)
    for large in (2.0**20, 2.0**21, 1e22, 1e300):
        x[123] = large
        np.testing.assert_allclose(kernel(x), np.sin(3 * x) + np.cos(x), rtol=0, atol=1e-15)


def test_threads_agree_on_where_the_angles_are_large():
    x = np.linspace(-9, 9, 100_003)
    kernels = [
        graphc.compile(lambda x: np.sin(3 * x) * np.cos(x), float64["n"], threads=threads)
        for threads in (1, 2)
    ]
    for large in (9.0, 1e22):
        x[77_777] = large
        np.testing.assert_array_equal(*(kernel(x) for kernel in kernels))


def test_angles_that_the_loop_itself_makes_go_to_the_library():
    def turn(steps):
        return graphc.scan(lambda angle, step: (np.sin(angle + step),) * 2, 0.0, steps)[1]

    kernel = graphc.compile(turn, float64["n"])
    assert "sin_f64" not in kernel.source
    x = np.linspace(0, 1e7, 50)
    np.testing.assert_allclose(kernel(x), turn(x), rtol=1e-12)


# --- tests of the tests -------------------------------------------------------------------------


def test_ulps_are_counted():
    x = np.array([1.0, 2.0, 0.0, np.inf, np.nan, 5e-324])
    want = x.astype(np.longdouble)
    off = np.nextafter(x, np.inf)
    np.testing.assert_array_equal(ulps(x, want), 0)
    np.testing.assert_array_equal(ulps(off, want), [1, 1, 1, 0, 0, 1])
    assert np.isinf(ulps(np.array([-0.0, np.nan, 1.0]), np.array([0.0, 1.0, np.nan]))).all()


def test_a_wrong_coefficient_is_seen():
    x = many_float64(1000)
    with np.errstate(all="ignore"):
        error = ulps(np.exp(x) * (1 + 1e-15), truth("exp", x))
    assert error.max() > FUNCTIONS["exp"].ulps
