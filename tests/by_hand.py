"""Programs and their C, written by hand: what `lower` and `emit_c` make in earnest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.loops import Argument, Program
from graphc.types import Size, TensorType, float32, float64
from graphc.units import Common


@dataclass(frozen=True, slots=True)
class Unit:
    """What the tests need of `emit_c.CUnit`."""

    name: str
    declarations: str
    source: str
    header: str
    common: tuple[Common, ...] = ()


Typed = tuple[str, TensorType]
scalar = float64[()]


def program(
    name: str,
    inputs: Sequence[Typed],
    outputs: Sequence[Typed],
    dims: Sequence[str] = (),
    workspace: Size = 0,
    doc: str = "",
) -> Program:
    ins = tuple(Argument(f"c_{n}" if n == "n" else n, t, n) for n, t in inputs)
    outs = tuple(Argument(n, t, n) for n, t in outputs)
    return Program(name, doc, ins, tuple(dims), outs, (), (), workspace, ())


def unit(declaration: str, body: str) -> Unit:
    """The C function `declaration` with this body."""
    name = declaration.partition("(")[0].split()[-1]
    header = f"#include <stdbool.h>\n#include <stdint.h>\n\n{declaration};\n"
    source = f'#include "{name}.h"\n#include <math.h>\n\n{declaration}\n{{\n{body}\n}}\n'
    return Unit(name, f"{declaration};\n", source, header)


EXERCISE = (
    program(
        "exercise",
        [(name, scalar) for name in ("x1", "x2", "w", "t")],
        [("loss", scalar), ("d_w", scalar)],
        doc="Loss and its gradient.",
    ),
    unit(
        "void exercise(double x1, double x2, double w, double t, double *loss, double *d_w)",
        "const double e = w * x1 + x2 - t; *loss = 0.5 * e * e; *d_w = e * x1;",
    ),
)

SCALE = (
    program("scale", [("x", float32["n"]), ("a", float32[()])], [("y", float32["n"])], ["n"]),
    unit(
        "void scale(const float *x, float a, int64_t n, float *y)",
        "for (int64_t i = 0; i < n; ++i) y[i] = a * x[i];",
    ),
)

_n = float64["n"].shape[0]
TWICE = (  # y = A (A x), by way of a workspace
    program(
        "twice",
        [("A", float64["n", "n"]), ("x", float64["n"])],
        [("y", float64["n"]), ("total", scalar)],
        ["n"],
        8 * _n,
    ),
    unit(
        "void twice(const double *A, const double *x, int64_t n, double *y, double *total, "
        "void *workspace)",
        """    double *z = workspace;
    *total = 0;
    for (int64_t i = 0; i < n; ++i) {
        z[i] = 0;
        for (int64_t j = 0; j < n; ++j) z[i] += A[i * n + j] * x[j];
    }
    for (int64_t i = 0; i < n; ++i) {
        y[i] = 0;
        for (int64_t j = 0; j < n; ++j) y[i] += A[i * n + j] * z[j];
        *total += y[i];
    }""",
    ),
)
