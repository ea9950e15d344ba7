"""What a kernel raises when the C tells of a nan or an infinity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.build import TOLD, Solution
from graphc.errors import NonFiniteError
from graphc.kernel.arguments import convert, dimensions
from graphc.loops import Program
from graphc.types import Shape, evaluate

Solutions = tuple[Solution, ...]


def told_by(program: Program) -> tuple[np.ndarray, ...]:
    """The output beside the program's own into which a trap tells."""
    return (np.zeros(TOLD),) if program.trap else ()


def untrapped(program: Program, solutions: Solutions, leaves: Sequence[Any], result: Any) -> Any:
    """The result of a call with these arguments, without what a trap tells.

    Raises:
        NonFiniteError: it tells of a nan or an infinity.
    """
    if not program.trap:
        return result
    *results, told = result if isinstance(result, tuple) else (result,)
    if told[0]:
        raise error_of(program, solutions, leaves, told)
    return results[0] if len(results) == 1 else tuple(results)


def error_of(
    program: Program, solutions: Solutions, leaves: Sequence[Any], told: np.ndarray
) -> NonFiniteError:
    """The error for what a trap tells of a call with these arguments."""
    _, number, value, element, count, *values, argument, argument_value, spot = told.tolist()
    dims = dimensions(program, solutions, convert(program, solutions, leaves)) if solutions else {}
    site = program.sites[int(number)]

    def index(shape: Shape, flat: float) -> tuple[int, ...]:
        known = tuple(evaluate(size, dims) for size in shape)
        return tuple(int(i) for i in np.unravel_index(int(flat), known)) if known else ()

    where = index(site.type.shape, element)
    made = int(number) < len(program.sites) - sum(y.type.dtype.kind == "f" for y in program.outputs)
    operands = len(site.operands) - site.steps if count else 0
    shown = dict(zip(site.operands[:operands], values, strict=False))
    steps = tuple(int(step) for step in values[operands : int(count)])
    text = f"{program.name}: {site.what} is {value}{_at(where)}{_within(steps)}"
    if shown:
        text += ", where " + " and ".join(f"{name} is {x!r}" for name, x in shown.items())
    error = NonFiniteError(text)
    error.argument = error.argument_index = error.argument_value = None
    if argument >= 0:
        x = program.inputs[int(argument)]
        error.argument, error.argument_value = x.shown, argument_value
        error.argument_index = index(x.type.shape, spot)
        brought = f"argument {x.shown!r} is {argument_value}{_at(error.argument_index)}"
        error.args = (f"{text}; {brought}" if made else f"{text}: it came in, {brought}",)
    error.node, error.equation, error.what = site.node, site.equation, site.what
    error.source, error.index, error.value = site.source, where, value
    error.operands, error.steps = shown, steps
    return error


def _within(steps: tuple[int, ...]) -> str:
    if len(steps) > 1:
        return f", at steps {', '.join(map(str, steps))} of its loops, the outer one first"
    return f", at step {steps[0]} of its loop" if steps else ""


def _at(index: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, index))}]" if index else ""
