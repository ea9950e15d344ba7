"""Which result takes the memory of which donated argument.

An array argument that is donated gets its new value in its own memory. The result that takes it has
its type, and its place in the pytrees: ``params['W1']`` goes to a result that ends in ``['W1']``.
Of n such arguments, donated or not, and n such results the k-th goes to the k-th; else one that has
the argument's name in its own, else the first that is left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from graphc.errors import ArgumentError
from graphc.graph import Graph
from graphc.types import TensorType

Donate = str | int | Sequence[str | int]


def pairs(
    graph: Graph, in_tree: Any, out_tree: Any, shown: Sequence[str], donate: Donate
) -> tuple[tuple[int, int], ...]:
    """(input, output that takes its memory) for the arguments that `donate` names.

    Args:
        in_tree, out_tree: the pytrees of ``((args), {kwargs})`` and of the result; None where the
            inputs and outputs are the arguments and results.
        shown: how the user writes each input.
        donate: names or positions of arguments, or of arrays in them (``params['W1']``).

    Raises:
        ArgumentError: no such argument, a number, or no result fits.
    """
    wanted = [donate] if isinstance(donate, str | int) else list(donate)
    places, takers = _places(in_tree, graph), _Takers(graph, _paths(out_tree, graph), shown)
    found: dict[int, int] = {}
    for one in wanted:
        slots = _slots(graph, places, shown, one)
        arrays = [i for i in slots if graph.inputs[i].shape]
        if not arrays:
            raise ArgumentError(
                f"argument {shown[slots[0]]!r} of {graph.name} cannot be donated: it is a number, "
                "which C gets by value; donate arrays"
                if slots
                else f"argument {one!r} of {graph.name} cannot be donated: it holds no arrays"
            )
        for i in arrays:
            if i not in found:
                found[i] = takers.taker(i, set(found.values()))
    return tuple(sorted(found.items()))


def _places(in_tree: Any, graph: Graph) -> list[list[int]]:
    """The inputs of each argument."""
    if in_tree is None:
        return [[i] for i in range(len(graph.inputs))]
    found, start = [], 0
    for argument in (part for group in in_tree.children() for part in group.children()):
        found.append(list(range(start, start + argument.num_leaves)))
        start += argument.num_leaves
    return found


def _slots(
    graph: Graph, places: list[list[int]], shown: Sequence[str], wanted: str | int
) -> list[int]:
    """The inputs that a name or position means."""
    roots = [_split(shown[slots[0]])[0] for slots in places if slots]
    if isinstance(wanted, bool) or not isinstance(wanted, str | int):
        raise ArgumentError(
            f"donate={wanted!r} is no argument of {graph.name}; give names or positions"
        )
    if isinstance(wanted, int):
        if 0 <= wanted < len(places):
            return places[wanted]
        raise ArgumentError(
            f"donate={wanted} is no position of an argument of {graph.name}, which has "
            f"{len(places)} ({', '.join(roots)})"
        )
    for slots in places:
        if slots and _split(shown[slots[0]])[0] == wanted:
            return slots
    for i, node in enumerate(graph.inputs):
        if wanted in (shown[i], node.name):
            return [i]
    raise ArgumentError(
        f"{graph.name} has no argument {wanted!r} to donate; its arguments are {', '.join(roots)}"
    )


def _split(shown: str) -> tuple[str, str]:
    """(name, path): ``params['W1']`` is the argument params at ['W1']."""
    found = re.match(r"\w+", shown)
    name = found.group() if found else ""
    return name, shown[len(name) :]


def _paths(out_tree: Any, graph: Graph) -> list[str]:
    """Where each output is in the result: ``[1]['W1']``."""
    if out_tree is None:
        return [f"[{j}]" for j in range(len(graph.outputs))]
    return [accessor.codify("") for accessor in out_tree.accessors()]


class _Takers:
    """Inputs and outputs by what may bring them together."""

    def __init__(self, graph: Graph, paths: Sequence[str], shown: Sequence[str]) -> None:
        self.graph, self.paths, self.shown = graph, paths, shown
        self.typed: dict[TensorType, list[int]] = {}
        for j, y in enumerate(graph.outputs):
            self.typed.setdefault(y.type, []).append(j)
        self.rivals: dict[tuple[TensorType, str], list[int]] = {}
        for k, x in enumerate(graph.inputs):
            self.rivals.setdefault((x.type, _split(shown[k])[1]), []).append(k)

    def taker(self, i: int, taken: set[int]) -> int:
        """The output that takes the memory of input i."""
        name, path = _split(self.shown[i])

        def fits(output: str) -> bool:
            return (
                output.endswith(path) if path else re.fullmatch(r"(\[\d+\])?", output) is not None
            )

        wanted = self.graph.inputs[i].type
        typed = self.typed.get(wanted, [])
        placed = [j for j in typed if fits(self.paths[j])]
        rivals = self.rivals[wanted, path]
        if len(rivals) == len(placed) and placed[rivals.index(i)] not in taken:
            return placed[rivals.index(i)]
        for chosen in (placed, typed):
            left = [j for j in chosen if j not in taken]
            named = [j for j in left if name in re.split(r"_|\d+", self.graph.output_names[j])]
            if left:
                return (named or left)[0]
        outputs = zip(self.graph.output_names, self.graph.outputs, strict=True)
        results = ", ".join(f"{output}: {y.type}" for output, y in outputs)
        spoken_for = "no result is left that is" if typed else "no result is"
        raise ArgumentError(
            f"argument {self.shown[i]!r} of {self.graph.name} cannot be donated: {spoken_for} "
            f"{wanted} as it is, to take its memory ({results}); return its new value, or do not "
            "donate it"
        )
