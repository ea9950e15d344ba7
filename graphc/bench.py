"""How long a function and its gradient take, in NumPy and in C."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import trees
from graphc.api import compile, trace
from graphc.errors import TraceError
from graphc.kernel import Kernel
from graphc.kernel.profiling import Profile, seconds_text
from graphc.samples import chosen_sizes, random_values
from graphc.timing import Call, medians

DEFAULT_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Timing:
    """One way to compute one thing, and its seconds a call: the median over rounds."""

    what: str
    how: str
    seconds: float


@dataclass(frozen=True)
class Benchmark:
    """What was timed, in turns, so that the machine's noise hits all alike."""

    name: str
    rows: tuple[Timing, ...]
    arguments: str
    kernel: Kernel
    """Of the value and the gradient, or of the function where it has none."""
    values: tuple[Any, ...]
    note: str = ""

    def profile(self) -> Profile:
        """Where the time of `kernel` goes."""
        return self.kernel.profile(*self.values)

    def seconds(self, what: str, how: str) -> float:
        return next(x.seconds for x in self.rows if (x.what, x.how) == (what, how))

    def __str__(self) -> str:
        lines: list[tuple[str, ...]] = [("", "NumPy", "C", "C, bound", "NumPy / C")]
        for what in dict.fromkeys(x.what for x in self.rows):
            numpy, plain, bound = (self.seconds(what, how) for how in ("NumPy", "C", "C, bound"))
            cells = (*map(seconds_text, (numpy, plain, bound)), f"{numpy / plain:.1f}")
            lines.append((what, *cells))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        shown = [
            "  ".join([x[0].ljust(widths[0]), *map(str.rjust, x[1:], widths[1:])]) for x in lines
        ]
        return "\n".join([f"{self.name}({self.arguments})", *shown, *filter(None, [self.note])])


def bench(
    fn: Callable[..., Any],
    *examples: Any,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    tune: bool = False,
    **kwargs: Any,
) -> Benchmark:
    """Time a function, and its value with its gradient where it is a floating-point scalar.

    Args:
        fn: as for `trace`.
        examples, kwargs: arrays and numbers, or types, for which random values are drawn.
        sizes: of run-time dimensions; 1000 for those that are not named.
        seed: of the random values.
        tune: also try variants of the C, at these sizes; see `compile`.

    Raises:
        ArgumentError: a size of a dimension that fn has not.
        GraphcError: the function cannot be traced or compiled.
    """
    graph = trace(fn, *examples, **kwargs)
    dims = chosen_sizes(graph, sizes or {}, DEFAULT_SIZE)
    given, tree = trees.flatten((examples, {key: kwargs[key] for key in sorted(kwargs)}))
    leaves = random_values(given, np.random.default_rng(seed), dims)
    args, named = trees.unflatten(tree, [x if x.ndim else x[()] for x in leaves])
    kernel = compile(graph, tune=dims if tune else False)
    calls: dict[tuple[str, str], Call] = {
        ("function", "NumPy"): lambda: fn(*args, **named),
        **_calls("function", kernel, args, named),
    }
    note, variants = "", [f"{kernel.variant} of the function"]
    try:
        derived = graph.grad(value=True)
    except TraceError as error:
        note = f"no gradient was timed: {error}"
    else:
        kernel = compile(derived, tune=dims if tune else False)
        variants.append(f"{kernel.variant} with its gradient")
        calls["value and gradient", "NumPy"] = lambda: derived(*args, **named)
        calls |= _calls("value and gradient", kernel, args, named)
    with np.errstate(all="ignore"):
        rows = medians(calls)
    if not note:
        ratio = rows["value and gradient", "C, bound"] / rows["function", "C, bound"]
        note = f"value and gradient take {ratio:.1f} times as long as the function"
    if tune:
        note += f"; variants: {', '.join(variants)}"
    shown = ", ".join(
        f"{name}: {x.dtype}{list(x.shape) if x.ndim else ''}"
        for name, x in zip(graph.shown, leaves, strict=True)
    )
    found = tuple(Timing(what, how, seconds) for (what, how), seconds in rows.items())
    return Benchmark(graph.name, found, shown, kernel, (*args, *named.values()), note)


def _calls(
    what: str, kernel: Kernel, args: Sequence[Any], named: Mapping[str, Any]
) -> dict[tuple[str, str], Call]:
    bound = kernel.bind(*args, **named)
    plain: Call = (lambda: kernel(*args, **named)) if named else (lambda: kernel(*args))
    return {(what, "C"): plain, (what, "C, bound"): bound}
