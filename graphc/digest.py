"""Graph -> a digest of all that its C depends on: the same graph has the same in every process."""

from __future__ import annotations

from hashlib import sha256

from graphc.graph import Constant, Graph, Node, Source
from graphc.types import Dim, DType, TensorType


class UnknownError(TypeError):
    """A parameter that has no digest."""


def digest(graph: Graph, *more: object, paths: bool = False) -> str | None:
    """A digest of the graph's structure, names, types, order and lines, and of the repr of `more`.

    A line is ``model.py:12``, as the C cites it, so that a project may move; `paths`, for a
    program that holds whole paths, tells files of one name apart.

    None: a parameter is of a class that is not known here, and so might hide something.
    """
    try:
        parts = _Writer(paths).graph(graph)
    except UnknownError:
        return None
    return sha256("\0".join((*parts, *map(repr, more))).encode()).hexdigest()[:40]


class _Writer:
    """Numbers nodes in the order in which it meets them, bodies of loops included."""

    def __init__(self, paths: bool) -> None:
        self.paths = paths
        self.number: dict[Node, int] = {}
        self.parts: list[str] = []
        self.told: dict[TensorType | Source | None, str] = {}
        """Types and lines that were written before: many nodes share them."""

    def graph(self, graph: Graph) -> list[str]:
        """What is written so far, the graph at its end."""
        nodes = [x for x in graph.nodes if x not in self.number]
        order = {serial: k for k, serial in enumerate(sorted({x.serial for x in nodes}))}
        for node in nodes:
            self.number[node] = len(self.number)
            cites = None if node.cites is None else self.number.get(node.cites)
            operands = [self.number[x] for x in node.operands]
            rank = order[node.serial]
            # An input's line is that of the call of `compile`.
            line = None if node.op.name == "input" else node.source
            if self.paths and line is not None:
                self.parts.append(line.file)
            self.parts.append(
                f"{node.op.name} {operands} {node.name} {node.part} {cites} {rank} "
                f"{self.text(node.type)} {self.text(line)}"
            )
            for key, value in node.params.items():
                self.parts.append(key)
                self.value(value)
        ends = [[self.number[x] for x in part] for part in (graph.inputs, graph.outputs)]
        self.parts.append(f"{graph.name} {ends} {graph.output_names} {graph.doc!r}")
        return self.parts

    def text(self, told: TensorType | Source | None) -> str:
        """A type or a line."""
        found = self.told.get(told)
        if found is None:
            found = self.told[told] = str(told)
        return found

    def value(self, value: object) -> None:
        """A parameter."""
        match value:
            case Graph():
                self.graph(value)
            case Constant():
                held = value.array
                self.parts.append(f"constant {held.dtype.str} {held.shape}")
                self.parts.append(sha256(held.tobytes()).hexdigest())
            case tuple():
                self.parts.append(f"tuple {len(value)}")
                for part in value:
                    self.value(part)
            case Dim() | DType():
                self.parts.append(f"{type(value).__name__} {value}")
            case bool() | int() | float() | str() | None:
                self.parts.append(repr(value))
            case _:
                raise UnknownError(f"{value!r} has no digest")
