"""Program -> C text: one .c and one .h."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.emit_c.expression import Printer, literal
from graphc.emit_c.functions import C_TYPES
from graphc.emit_c.helpers import CALLS, COMMON, HALVES, IN_DOUBLE, Key, definitions, inlines
from graphc.emit_c.independent import FEW_PAIRS, MANY_PAIRS, memory_of
from graphc.emit_c.outlined import write_functions
from graphc.emit_c.repeats import shared
from graphc.emit_c.traps import traps
from graphc.emit_c.writer import COLUMNS, Writer, plain
from graphc.loops import Parallel, Program, Table
from graphc.loops_homes import in_place
from graphc.resources import render
from graphc.types import dtype_of
from graphc.units import Common, CUnit

RETURN = "    return ;"
LEAST_CALLS = 2
"""Of a function that is compiled apart: where there is one, it runs up to a tenth faster with its
arguments known."""
__all__ = ["CUnit", "emit"]


def emit(program: Program) -> CUnit:
    """The C of a program: byte for byte the same in every process."""
    pointers = frozenset(a.name for a in program.outputs if not a.type.shape)
    printer = Printer(pointers, watcher=program.trap)
    program = in_place(program)
    region = next((stmt for stmt in program.body if isinstance(stmt, Parallel)), None)
    pairs = MANY_PAIRS if region is None else FEW_PAIRS
    writer = Writer(printer, memory_of(program), pairs=pairs)
    writer.buffers(program)
    functions, body = shared(program, program.body if region is None else region.body)
    writer.body(body, 1)
    restrict = "restrict " if region is None else "GRAPHC_ALONE "
    outlined = write_functions(functions, program, body, writer, restrict)
    declared = _prototype(program, "")
    symbolic = not isinstance(program.workspace, int)
    sizes = ", ".join(f"int64_t {name}" for name in program.dims)
    declarations = declared + ";\n"
    watched = traps(program, printer) if program.trap else None
    if symbolic:
        declarations += f"int64_t {program.name}_workspace_bytes({sizes});\n"
    bytes_text, _ = printer.size(program.workspace)
    values = {
        "name": program.name,
        "guard": f"{program.name.upper()}_H",
        "description": _description(program),
        "declarations": declarations.rstrip("\n"),
        "signature": _prototype(program, "restrict "),
        "unused": [name for name in _numbers_and_arrays(program) if name not in printer.used],
        "body": "\n".join(writer.lines),
        "functions": outlined,
        "tables": [_table(table) for table in program.tables],
        "in_double": IN_DOUBLE,
        "halves": HALVES,
        "helpers": definitions(printer.helpers, printer.looped),
        "inline": "GRAPHC_INLINE" if inlines(printer.looped) else "inline",
        "dims": program.dims,
        "sizes": sizes,
        "symbolic": symbolic,
        "workspace": "\n        ".join(textwrap.wrap(bytes_text, COLUMNS - len(RETURN))),
        "folds": writer.folds,
        "marks": writer.marks,
        "apart": writer.apart,
        "dealt": writer.dealt,
        "call": "" if region is None else writer.call(region, program),
        "thread": _prototype(program, "GRAPHC_ALONE ", "_thread"),
        "has_workspace": program.workspace != 0,
        "has_bool": "bool" in declared,
        "trap": watched,
        "clock": ("clock", "f64") in printer.helpers,
    }
    declarations = (render("trap.h") if program.trap else "") + declarations
    source, header = render("unit.c", **values), render("unit.h", **values)
    return CUnit(program.name, declarations, source, header, _common(values, source))


def _numbers_and_arrays(program: Program) -> tuple[str, ...]:
    """The parameters but the workspace."""
    arguments = (*program.inputs, *program.outputs)
    return (*(a.name for a in arguments if not a.home), *program.dims)


def _common(values: Mapping[str, Any], source: str) -> tuple[Common, ...]:
    """Functions that stand in the source as they do in that of others."""

    def text(*helpers: Key) -> str:
        return render("helpers.c", **{**values, "helpers": helpers})

    found = []
    for helper, suffix in values["helpers"]:
        name = f"{helper}_{suffix}"
        if helper in COMMON and source.count(f"{name}(") > LEAST_CALLS:  # and its definition
            narrow = [key for key in values["helpers"] if key == ("narrow", suffix)]
            above = text(*[(callee, suffix) for callee in CALLS[helper]])
            found.append(Common(name, text(*narrow, (helper, suffix)), above))
    return tuple(found)


def _parameters(program: Program, restrict: str) -> list[str]:
    result = []
    donated = {a.home for a in program.outputs}
    for a in program.inputs:
        kind = C_TYPES[str(a.type.dtype)]
        const = "" if a.name in donated else "const "
        result.append(f"{const}{kind} *{restrict}{a.name}" if a.type.shape else f"{kind} {a.name}")
    result += [f"int64_t {name}" for name in program.dims]
    result += [
        f"{C_TYPES[str(a.type.dtype)]} *{restrict}{a.name}" for a in program.outputs if not a.home
    ]
    if program.trap:
        result.append(f"graphc_trap *{restrict}{program.trap}")
    if program.workspace != 0:
        result.append(f"void *{restrict}workspace")
    return result


def _prototype(program: Program, restrict: str, tail: str = "") -> str:
    """void name(...), its parameters wrapped under the first."""
    start = f"{'static ' if tail else ''}void {program.name}{tail}("
    lines, line = [], start
    for i, parameter in enumerate(_parameters(program, restrict) or ["void"]):
        piece = parameter if i == 0 else f", {parameter}"
        if len(line + piece) > COLUMNS - 2 and line.strip() != start.strip():
            lines.append(line + ",")
            line = " " * len(start) + parameter
        else:
            line += piece
    return "\n".join([*lines, line + ")"])


def _description(program: Program) -> list[str]:
    """The comment above the prototype: the user's words, then what each parameter is."""
    lines = [plain(line) for line in program.doc.splitlines()] or [program.name]
    result_in = {a.home: a.shown for a in program.outputs if a.home}
    arguments = [("inout" if a.name in result_in else "in", a) for a in program.inputs]
    arguments += [("out", a) for a in program.outputs if not a.home]
    width = max((len(a.name) for _, a in arguments), default=0)
    column = 5 if result_in else 3
    lines.append("")
    for direction, a in arguments:
        line = f"{direction:{column}s} {a.name:{width}s}  {a.type}"
        line += f"  {plain(a.shown)}" if a.shown != a.name else ""
        lines.append(line + (f", then {plain(result_in[a.name])}" if a.name in result_in else ""))
    return [part for line in lines for part in _wrapped(line)]


def _wrapped(line: str) -> list[str]:
    """A line of a comment, broken where it is too long, and indented as it began."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(line, COLUMNS - len(" * "), subsequent_indent=indent) or [""]


def _table(table: Table) -> str:
    dtype = dtype_of(table.values.dtype)
    values = [literal(v.item(), dtype) for v in np.ravel(table.values)]
    start = f"static const {C_TYPES[str(dtype)]} {table.name}[{len(values)}] = {{"
    body = textwrap.fill(
        ", ".join(values),
        COLUMNS,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
    )
    return f"{start}\n{body}\n}};"
