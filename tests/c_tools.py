"""What the tests of lowering and C share: programs as shared libraries, called with guarded arrays.

A compile through `Kernel` builds a Python extension; here only the emitted C is compiled, in some
ten milliseconds, with any compiler and flags.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphc import loops_verify, reference
from graphc.build.compiler import FLAGS, Compiler, accepted_flags, find_compiler, target_flags
from graphc.emit_c import CUnit, emit
from graphc.graph import Graph, Node, verify
from graphc.loops import Argument, Program
from graphc.lower import lower
from graphc.options import Options
from graphc.passes import optimize
from graphc.types import evaluate

STRICT = (
    "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
    "-Wdouble-promotion", "-Werror",
)  # fmt: skip
STRICT_CXX = ("-x", "c++", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
GUARD = 64
"""Bytes before and behind each array that the C must leave alone."""
PATTERN = 0xA5

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)] or ["cc"]

_C_TYPES = {
    "bool": ctypes.c_bool, "int32": ctypes.c_int32, "int64": ctypes.c_int64,
    "float32": ctypes.c_float, "float64": ctypes.c_double,
}  # fmt: skip


@functools.cache
def kernel_flags(command: str = "") -> tuple[str, ...]:
    """The flags that kernels are compiled with on this machine, or by this compiler."""
    with tempfile.TemporaryDirectory() as folder:
        asked = (*target_flags(Options().target), *FLAGS)
        compiler = Compiler((command,), "") if command else find_compiler()
        return accepted_flags(compiler, Path(folder), asked)


def units(graph: Graph, options: Options | None = None) -> tuple[Program, CUnit]:
    """A graph lowered and printed, with everything verified on the way."""
    verify(graph)
    program = lower(graph, options=options)
    loops_verify.verify(program)
    return program, emit(program)


def both(graph: Graph) -> list[Graph]:
    """The graph as it is, and optimised."""
    optimized = optimize(graph)
    verify(optimized)
    return [graph, optimized]


@dataclass(frozen=True)
class Compiled:
    """A program whose C is loaded."""

    program: Program
    unit: CUnit
    function: Any

    def __call__(self, arrays: Sequence[np.ndarray], dims: Mapping[str, int] = {}) -> list[Any]:
        """The outputs; arrays and workspace have exactly their size, between guards.

        Raises:
            AssertionError: a guard was written to.
        """
        program = self.program
        held: list[np.ndarray] = []
        passed: list[Any] = []
        places: dict[str, np.ndarray] = {}
        for argument, array in zip(program.inputs, arrays, strict=True):
            dtype = argument.type.dtype
            if argument.type.shape:
                held.append(guarded(np.asarray(array, dtype.numpy).tobytes()))
                passed.append(ctypes.c_void_p(held[-1].ctypes.data + GUARD))
                places[argument.name] = held[-1]
            else:
                passed.append(_C_TYPES[str(dtype)](np.asarray(array).item()))
        passed += [ctypes.c_int64(dims[name]) for name in program.dims]
        outputs = []
        for argument in program.outputs:
            shape = [evaluate(size, dims) for size in argument.type.shape]
            count = int(np.prod(shape)) * argument.type.dtype.bytes
            if not argument.home:
                held.append(guarded(bytes([PATTERN]) * count))
                passed.append(ctypes.c_void_p(held[-1].ctypes.data + GUARD))
            block = places[argument.home] if argument.home else held[-1]
            outputs.append(block[GUARD : GUARD + count].view(argument.type.dtype.numpy))
            outputs[-1] = outputs[-1].reshape(shape)
        if program.workspace != 0:
            held.append(guarded(bytes([0xFF]) * evaluate(program.workspace, dims)))
            passed.append(ctypes.c_void_p(held[-1].ctypes.data + GUARD))
        self.function(*passed)
        for block in held:
            fences = np.concatenate([block[:GUARD], block[-GUARD:]])
            assert (fences == PATTERN).all(), f"{program.name} writes outside its arrays"
        return outputs


def guarded(content: bytes) -> np.ndarray:
    """The bytes between guards; the content starts at a multiple of 64."""
    space = np.full(len(content) + 2 * GUARD + 64, PATTERN, np.uint8)
    first = -space.ctypes.data % 64
    block = space[first : first + len(content) + 2 * GUARD]
    block[GUARD : GUARD + len(content)] = np.frombuffer(content, np.uint8)
    return block


def build(
    graphs: Sequence[Graph],
    folder: Path,
    flags: Sequence[str] | None = None,
    compiler: str | None = None,
    options: Sequence[Options | None] | None = None,
) -> list[Compiled]:
    """Every graph as C, compiled in one command."""
    asked = options or [None] * len(graphs)
    printed = [units(graph, one) for graph, one in zip(graphs, asked, strict=True)]
    names = [unit.name for _, unit in printed]
    assert len(set(names)) == len(names), f"two functions have one name: {names}"
    for _, unit in printed:
        write(unit, folder)
    command = [
        *([compiler] if compiler else find_compiler().command),
        *(kernel_flags() if flags is None else flags),
        "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-Wl,-Bsymbolic", "-o", "all.so",
        *(f"{name}.c" for name in names), "-lm",
    ]  # fmt: skip
    compile_or_fail(command, folder)
    library = ctypes.CDLL(str(folder / "all.so"))
    return [Compiled(program, unit, _function(library, program)) for program, unit in printed]


def _function(library: ctypes.CDLL, program: Program) -> Any:
    function = library[program.name]
    function.restype = None
    return function


def write(unit: CUnit, folder: Path) -> None:
    (folder / f"{unit.name}.c").write_text(unit.source, encoding="utf-8")
    (folder / f"{unit.name}.h").write_text(unit.header, encoding="utf-8")


def compile_or_fail(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr[:4000]}"


def arrays_for(
    arguments: Sequence[Argument | Node], dims: Mapping[str, int], seed: int = 0
) -> list[np.ndarray]:
    """Numbers around 1, a few of them negative; small integers; bools."""
    random = np.random.default_rng(seed)
    found = []
    for argument in arguments:
        shape = [evaluate(size, dims) for size in argument.type.shape]
        kind = argument.type.dtype.kind
        if kind == "f":
            array = random.normal(size=shape)
        elif kind == "i":
            array = random.integers(-5, 6, size=shape)
        else:
            array = random.uniform(size=shape) < 0.5
        found.append(np.asarray(array).astype(argument.type.dtype.numpy))
    return found


def check_type(got: np.ndarray, want: np.ndarray, about: str) -> None:
    assert (got.dtype, got.shape) == (want.dtype, want.shape), about


def expected(graph: Graph, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        return reference.run(graph, arrays)


__all__ = [
    "COMPILERS", "FLAGS", "STRICT", "STRICT_CXX", "Compiled", "arrays_for", "both", "build",
    "check_type", "compile_or_fail", "expected", "guarded", "kernel_flags", "target_flags",
    "units", "write",
]  # fmt: skip
