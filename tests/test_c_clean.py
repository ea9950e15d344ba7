"""The emitted C as a careful reviewer would have it: no warning, no surprise, the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_cases import CASES
from c_tools import (
    COMPILERS,
    STRICT,
    STRICT_CXX,
    arrays_for,
    build,
    compile_or_fail,
    expected,
    units,
    write,
)

from graphc.emit_c import CUnit
from graphc.emit_c.expression import literal
from graphc.emit_c.functions import C_TYPES, HELPERS, INTEGER_HELPERS
from graphc.emit_c.helpers import VECTOR
from graphc.graph import Graph
from graphc.loops import Program
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.types import dtype_of, evaluate, float64

TESTS = Path(__file__).parent
DIMS = {"n": 5}
SANITIZE = ("-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FORBIDDEN = {
    "malloc": r"\b(malloc|calloc|realloc|alloca|free)\b",
    "goto": r"\bgoto\b",
    "mutable static": r"^\s*static (?!inline\b|GRAPHC_INLINE\b|const\b|void\b)",
    "mutable global": r"^(?!static const\b)[a-z_0-9 ]+\w(\[\d*\])?( = [^;]*)?;$",
    "trailing blanks": r"[ \t]+$",
    "a tab": r"\t",
    "a character outside ASCII": r"[^\x00-\x7f]",
}
_units: dict[str, tuple[Graph, Program, CUnit]] = {}


def unit(name: str) -> tuple[Graph, Program, CUnit]:
    if name not in _units:
        graph = CASES[name].graph(name)
        _units[name] = (graph, *units(graph))
    return _units[name]


# --- compilers ------------------------------------------------------------------------------------


def check_strict(emitted: CUnit, compiler: str, folder: Path) -> None:
    """The .c and the header alone, as C and as C++."""
    write(emitted, folder)
    source = f"{emitted.name}.c"
    command = [compiler, *STRICT, "-Wvla", "-O2", "-c", source, "-o", os.devnull]
    compile_or_fail(command, folder)
    (folder / "use.cc").write_text(f'#include "{emitted.name}.h"\nint main() {{ return 0; }}\n')
    compile_or_fail([compiler, *STRICT_CXX, "-c", "use.cc", "-o", os.devnull], folder)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", CASES)
def test_compiles_without_a_warning(name: str, compiler: str, tmp_path: Path) -> None:
    check_strict(unit(name)[2], compiler, tmp_path)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_warning_is_an_error(compiler: str, tmp_path: Path) -> None:
    source = "void bad(double x, float *y);\nvoid bad(double x, float *y)\n{\n    *y = x;\n}\n"
    emitted = CUnit("bad", "", source, "int f(class);\n")
    with pytest.raises(AssertionError, match=r"bad\.c:4"):
        check_strict(emitted, compiler, tmp_path)


# --- sanitizers -----------------------------------------------------------------------------------


def c_array(name: str, array: np.ndarray) -> str:
    dtype = dtype_of(array.dtype)
    values = [literal(v.item(), dtype) for v in array.reshape(-1)] or ["0"]
    return f"static const {C_TYPES[str(dtype)]} {name}[] = {{{', '.join(values)}}};"


def c_check(
    program: Program, arrays: Sequence[np.ndarray], want: Sequence[np.ndarray]
) -> tuple[str, str]:
    """(constants, statements): a call with blocks of exactly their size, its results checked."""
    name = program.name
    constants, lines, passed = [], [], []
    for k, (x, array) in enumerate(zip(program.inputs, arrays, strict=True)):
        constants.append(c_array(f"{name}_in{k}", array))
        if x.type.shape:
            kind = C_TYPES[str(x.type.dtype)]
            lines.append(f"{kind} *in{k} = malloc({array.nbytes});")
            lines.append(f"memcpy(in{k}, {name}_in{k}, {array.nbytes});")
            passed.append(f"in{k}")
        else:
            passed.append(f"{name}_in{k}[0]")
    passed += [str(DIMS[dim]) for dim in program.dims]
    for k, array in enumerate(want):
        constants.append(c_array(f"{name}_want{k}", array))
        lines.append(f"{C_TYPES[str(array.dtype)]} *out{k} = malloc({array.nbytes});")
        passed.append(f"out{k}")
    if program.workspace != 0:
        size = evaluate(program.workspace, DIMS)
        known = f"{name}_workspace_bytes({', '.join(str(DIMS[d]) for d in program.dims)})"
        known = known if not isinstance(program.workspace, int) else (
            f"{name.upper()}_WORKSPACE_BYTES")  # fmt: skip
        lines.append(f"if ({known} != {size}) return 1;")
        lines.append(f"void *space = aligned_alloc(64, {-(-size // 64) * 64});")
        passed.append("space")
    lines.append(f"{name}({', '.join(passed)});")
    for k, array in enumerate(want):
        close = 1e-3 if array.dtype == np.float32 else 1e-9 if array.dtype.kind == "f" else 0
        lines.append(f"for (int i = 0; i < {array.size}; ++i)")
        lines.append(f"    if (far((double)out{k}[i], (double){name}_want{k}[i], {close}))")
        lines.append(
            f'        return fprintf(stderr, "{name}: output {k}[%d] is %.17g, not %.17g\\n", i,'
        )
        lines.append(f"            (double)out{k}[i], (double){name}_want{k}[i]);")
    freed = [f"in{k}" for k, x in enumerate(program.inputs) if x.type.shape]
    freed += [f"out{k}" for k in range(len(want))] + ["space"] * (program.workspace != 0)
    lines += [f"free({block});" for block in freed]
    return "\n".join(constants), "\n".join(f"    {line}" for line in lines)


def c_main(parts: Sequence[tuple[str, str, str]]) -> str:
    """A program that runs every (name, constants, statements)."""
    includes = "\n".join(f'#include "{name}.h"' for name, _, _ in parts)
    functions = "\n\n".join(
        f"{constants}\n\nstatic int run_{name}(void)\n{{\n{body}\n    return 0;\n}}"
        for name, constants, body in parts
    )
    calls = "\n".join(f"    if (run_{name}()) return 1;" for name, _, _ in parts)
    return f"""#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
{includes}

static int far(double a, double b, double close)
{{
    if (isnan(a) || isnan(b))
        return isnan(a) != isnan(b);
    return a != b && !(fabs(a - b) <= close * (1 + fabs(b)));
}}

{functions}

int main(void)
{{
{calls}
    return 0;
}}
"""


def run_sanitized(names: Sequence[str], compiler: str, folder: Path) -> str:
    parts = []
    for name in names:
        graph, program, emitted = unit(name)
        arrays = arrays_for(program.inputs, DIMS)
        write(emitted, folder)
        parts.append((name, *c_check(program, arrays, expected(graph, arrays))))
    (folder / "main.c").write_text(c_main(parts), encoding="utf-8")
    sources = [f"{name}.c" for name in names]
    command = [compiler, *SANITIZE, "main.c", *sources, "-o", "main", "-lm"]
    compile_or_fail(command, folder)
    done = subprocess.run(["./main"], cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}\n{done.stderr[:3000]}"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_runs_clean_under_sanitizers(compiler: str, tmp_path: Path) -> None:
    """Every block has exactly its size, so that one element too far is seen."""
    assert not run_sanitized(list(CASES), compiler, tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("for (int64_t i = 0; i <= 9; ++i) y0[i] = x[i];", "heap-buffer-overflow"),
        (
            "int32_t k = INT32_MAX - 8; for (int i = 0; i < 9; ++i) k += x[i] < 99; y0[0] = k;",
            "signed integer overflow",
        ),
        ("for (int64_t i = 0; i < 9; ++i) y0[i] = 0;", "output 0"),
    ],
)
def test_sanitizers_see_wrong_c(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = optimize(trace_function(lambda x: np.exp(x) - 1, (float64[9],), name="wrong").graph)
    program, emitted = units(graph)
    body = emitted.source[: emitted.source.index("{\n", emitted.source.index("void wrong(")) + 2]
    output = program.outputs[0].name
    source = body + line.replace("y0", output) + "\n}\n"
    broken = CUnit(emitted.name, emitted.declarations, source, emitted.header)
    monkeypatch.setitem(_units, "wrong", (graph, program, broken))
    assert said in run_sanitized(["wrong"], COMPILERS[0], tmp_path)


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_text(name: str) -> None:
    _, _, emitted = unit(name)
    for text in (emitted.source, emitted.header):
        long = [line for line in text.splitlines() if len(line) > 100]
        assert not long, f"{name} has lines over 100 columns: {long}"
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        for what, pattern in FORBIDDEN.items():
            code = text if what in ("trailing blanks", "a tab") else without_comments(text)
            found = [line for line in code.splitlines() if re.search(pattern, line)]
            found = [
                line for line in found if not line.startswith(("    ", "void", "int64_t", " "))
            ]
            assert not found, f"{name} has {what}: {found}"


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def test_every_helper_is_exercised() -> None:
    text = "\n".join(unit(name)[2].source for name in CASES)
    defined = set(re.findall(r"^static (?:inline|GRAPHC_INLINE) \w+ (\w+)\(", text, re.MULTILINE))
    wanted = {f"{helper}_{suffix}" for helper in HELPERS | VECTOR for suffix in ("f32", "f64")}
    wanted |= {f"{helper}_{suffix}" for helper in INTEGER_HELPERS for suffix in ("i32", "i64")}
    wanted -= {"wrap_index_i32"}  # indices are int64
    wanted |= {f"to_{a}_{b}" for a in ("i32", "i64") for b in ("f32", "f64")}
    assert not wanted - defined, f"no case uses {sorted(wanted - defined)}"


def test_same_bytes_in_two_processes() -> None:
    program = (
        "from c_cases import CASES; from c_tools import units\n"
        "for name, case in CASES.items():\n"
        "    unit = units(case.graph(name))[1]; print(unit.source, unit.header)\n"
    )
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "4242")
    ]
    first, second = (process.communicate()[0] for process in processes)
    assert len(first) > 10_000
    assert first == second


# --- names and words from outside -----------------------------------------------------------------

NAMES = """
int double char struct static register unsigned void float short I complex y0 y1 j0 jn gamma
index time exp expf sin sinf log pow fabs fmaf isnan signbit main NULL true NAN INFINITY
HUGE_VAL M_PI EOF errno stdin linux unix int64_t uint8_t size_t bool_ inline restrict typeof
namespace template this new delete operator export i j k l v0 v1 table0 workspace
maximum_f64 minimum_f64 sigmoid_f64 to_i32_f64 floor_divide_i64 F_H F_WORKSPACE_BYTES
f_workspace_bytes __x _Bool _ µ μ_ σ ẋ é 変数 x̂ Ω ℓ d_x x_2 x2 aligned_alloc INT64_C
INT32_MIN INT64_MIN INT64_MAX UINT8_MAX isless math_errhandling FP_NAN asm near far
""".split()  # noqa: SIM905  # one word a name reads better than quotes


def function_of(names: Sequence[str], name: str = "f") -> Any:
    """def f(a, b, ...): uses every argument, and has locals of the same kind of names."""
    lines = [f"def {name}({', '.join(names)}):"]
    lines += [f"    d_{n} = {n} * 2.5" for n in names]
    lines += ["    total = " + " + ".join(f"np.tanh(np.maximum(d_{n}, {n}) % 3.0)" for n in names)]
    lines += [f"    {n} = np.exp(np.minimum(d_{n}, 1.0)) // 0.3" for n in names]
    lines += [f"    return total, {', '.join(f'np.sum({n} * total) + {n}' for n in names[:7])}"]
    scope: dict[str, Any] = {"np": np}
    exec("\n".join(lines), scope)
    return scope[name]


def check_function(fn: Any, types: Sequence[Any], name: str, folder: Path) -> None:
    graph = trace_function(fn, types, name=name).graph
    for how, each in enumerate((graph, optimize(graph))):
        place = folder / str(how)
        place.mkdir()
        for compiler in COMPILERS:
            check_strict(units(each)[1], compiler, place)
        (compiled,) = build([each], place, ("-std=c11", "-O1"))
        arrays = arrays_for(compiled.program.inputs, dict.fromkeys(compiled.program.dims, 3))
        dims = dict.fromkeys(compiled.program.dims, 3)
        for got, want in zip(compiled(arrays, dims), expected(graph, arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("start", range(0, len(NAMES), 20))
def test_names_that_are_not_free_in_c(start: int, tmp_path: Path) -> None:
    names = list(dict.fromkeys(NAMES[start : start + 20]))
    check_function(function_of(names), [float64[4]] * len(names), "f", tmp_path)


@pytest.mark.parametrize("start", range(0, len(NAMES), 20))
def test_dimensions_whose_names_are_not_free_in_c(start: int, tmp_path: Path) -> None:
    names = [n for n in dict.fromkeys(NAMES[start : start + 20]) if n != "_"]
    arguments = [f"x{k}" for k in range(len(names))]
    lines = [f"def f({', '.join(arguments)}):"]
    lines += [f"    {n} = {x}[::-1]" for n, x in zip(names, arguments, strict=True)]
    lines += [f"    return {', '.join(f'np.cos({n}), np.sum({n} * {n})' for n in names)}"]
    scope: dict[str, Any] = {"np": np}
    exec("\n".join(lines), scope)
    check_function(scope["f"], [float64[n] for n in names], "f", tmp_path)


def test_a_name_that_is_a_dimension_and_an_argument(tmp_path: Path) -> None:
    check_function(function_of(["n", "m"]), [float64["n"], float64["n"]], "f", tmp_path)


@pytest.mark.parametrize("name", ["main", "exp", "double", "σ", "graphc_x", "_f", "x", "n", "i"])
def test_names_of_functions(name: str, tmp_path: Path) -> None:
    fn = function_of(["x", "n"], "f")
    check_function(fn, [float64["n"], float64["n"]], name, tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        "Closes here */ int x; /* and opens",
        "/* nested */ /*/ **/ //* /",
        "a trigraph ??/ ends ??? the line ??/",
        "ends in a backslash \\",
        "*\\ closes *\\/ or opens \\* a comment",
        "many ????/ marks ???/ of ?σ/ questions σσ/",
        "    indented " * 12,
        "\\\\ \\n %*/ ${ name } /*% raw %*/ /*# x #*/",
        "σ µ ẋ 変数 \t tabs \x0b \x00 and \r returns \u2028 of \x85 all \x0c kinds",
        "one very long line " * 20,
        "\n\n\nmany\n\n\nlines\n\n",
        '#include "nothing.h"\n#define double float',
    ],
)
def test_docstrings(words: str, tmp_path: Path) -> None:
    fn = function_of(["x"])
    fn.__doc__ = words
    graph = optimize(trace_function(fn, [float64[4]], name="f").graph)
    _, emitted = units(graph)
    for compiler in COMPILERS:
        check_strict(emitted, compiler, tmp_path)
    assert all(len(line) <= 100 for line in emitted.header.splitlines())
    assert emitted.header.isascii()
