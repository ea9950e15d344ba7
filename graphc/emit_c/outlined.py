"""The text of functions that `repeats` makes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from graphc.emit_c.functions import C_TYPES
from graphc.emit_c.independent import Memory
from graphc.emit_c.repeats import Body, Function, calls_in
from graphc.emit_c.writer import COLUMNS, Writer
from graphc.loops import Call, Program
from graphc.types import DType


def write_functions(
    functions: Sequence[Function], program: Program, body: Body, main: Writer, restrict: str
) -> list[dict[str, str]]:
    """What templates/unit.c says of each.

    Args:
        functions, body: as `repeats.shared` gives them.
        main: the writer of the body; it learns what the functions need.
        restrict: how to say that what an array has is reached through no other.
    """
    arguments = (*program.inputs, *program.outputs)
    dtypes = {a.name: a.type.dtype for a in arguments} | {b.name: b.dtype for b in program.buffers}
    memories = _memories(functions, body, main.memory)
    return [_written(f, dtypes, memories[f.name], main, restrict) for f in functions]


def _memories(functions: Sequence[Function], body: Body, memory: Memory) -> dict[str, Memory]:
    """Where the arrays of each function lie: apart only if they are so wherever it is called."""
    calls: dict[str, list[tuple[Call, Memory]]] = {f.name: [] for f in functions}
    found: dict[str, Memory] = {}

    def note(text: Body, outer: Memory) -> None:
        for call in calls_in(text):
            calls[call.function].append((call, outer))

    note(body, memory)
    for function in reversed(functions):  # callers first
        near: set[tuple[str, str]] = set()
        met: set[tuple[str, str]] = set()
        for call, outer in calls[function.name]:
            names = dict(zip(function.parameters, call.arguments, strict=True))
            for a, b in combinations(function.arrays, 2):
                if outer.are_apart(names[a], names[b]):
                    continue
                near |= {(a, b), (b, a)}
                if outer.may_meet(names[a], names[b]):
                    met |= {(a, b), (b, a)}
        found[function.name] = Memory({}, frozenset(near), frozenset(met))
        note(function.body, found[function.name])
    return found


def _written(
    function: Function, dtypes: Mapping[str, DType], memory: Memory, main: Writer, restrict: str
) -> dict[str, str]:
    outside = main.printer
    printer = replace(outside, used=set(), outside={}, extents=dict(function.extents))
    writer = Writer(printer, memory, pairs=main.pairs)
    writer.body(function.body, 1)
    main.folds |= writer.folds
    main.marks |= writer.marks
    main.dealt |= writer.dealt
    main.apart |= writer.apart
    scalars = dict(function.scalars)

    def parameter(name: str) -> str:
        if name in scalars:
            return f"{C_TYPES[str(scalars[name])]} {name}"
        const = "" if name in function.stored else "const "
        alone = restrict if _is_alone(name, function, memory) else ""
        return f"{const}{C_TYPES[str(dtypes[name])]} *{alone}{name}"

    return {
        "name": function.name,
        "parameters": textwrap.fill(
            ", ".join(parameter(name) for name in function.parameters),
            COLUMNS - 1,
            initial_indent="    ",
            subsequent_indent="    ",
            break_long_words=False,
        ),
        "body": "\n".join(writer.lines),
        "places": str(function.places),
    }


def _is_alone(name: str, function: Function, memory: Memory) -> bool:
    """Whether what is written of the array, or of another one, is never a part of both."""
    return all(
        memory.are_apart(name, other)
        for other in function.arrays
        if other != name and (name in function.stored or other in function.stored)
    )
