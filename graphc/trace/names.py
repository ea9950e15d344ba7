"""Names and lines travel from the user's code to the nodes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from graphc.graph import Node, Source, Value

_HERE = str(Path(__file__).parents[1])
_user_code: dict[CodeType, bool] = {}


def is_users(code: CodeType) -> bool:
    """Whether code is the user's: not graphc's, not Python's, not an installed package's."""
    known = _user_code.get(code)
    if known is None:
        file = code.co_filename
        known = _user_code[code] = not (
            file.startswith((_HERE, sys.base_prefix + "/lib", "<frozen", "<__array_function__"))
            or "site-packages" in file
            or "dist-packages" in file
        )
    return known


def locate(frame: FrameType | None) -> Source | None:
    """The innermost user line at or above this frame."""
    while frame is not None:
        if is_users(frame.f_code):
            return Source(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


class Namer:
    """Collects the local names that traced values have in the user's functions.

    A value keeps the name it has in the outermost function that holds it, and of the names it has
    there the first. A name bound again later (``a = layer(a)``) still belongs to its first value.
    """

    def __init__(self) -> None:
        self.found: dict[Node, tuple[int, str]] = {}

    def look(self, frame: FrameType, depth: int) -> None:
        """Note the names in one frame."""
        for name, value in frame.f_locals.items():
            if isinstance(value, Value):
                self.note(value.node, depth, name)
            elif type(value) in (list, tuple) and len(value) <= 64:
                for i, part in enumerate(value):
                    if isinstance(part, Value):
                        self.note(part.node, depth + 1000, f"{name}_{i}")

    def note(self, node: Node, depth: int, name: str) -> None:
        known = self.found.get(node)
        if (known is None or depth < known[0]) and not name.startswith(("_", ".")):
            self.found[node] = (depth, name)

    def names(self) -> dict[Node, str]:
        return {node: name for node, (_, name) in self.found.items()}


class _Active(threading.local):
    namer: Namer | None = None


_active = _Active()


def is_tracing() -> bool:
    """Whether a function is being traced in this thread."""
    return _active.namer is not None


@contextmanager
def naming() -> Iterator[Namer]:
    """Watches the user's functions while they run; a nested trace shares the outer one's names."""
    outer = _active.namer
    if outer is not None:
        yield outer
        return
    namer = _active.namer = Namer()
    previous = sys.gettrace()

    def depth_of(frame: FrameType) -> int:
        depth = 0
        up = frame.f_back
        while up is not None:
            depth += 1
            up = up.f_back
        return depth

    def watch(frame: FrameType, event: str, arg: Any) -> Any:
        if not is_users(frame.f_code) or frame.f_code.co_name.startswith("<"):
            return None
        depth = depth_of(frame)

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            if event in ("line", "return"):
                namer.look(frame, depth)
            return line

        return line

    sys.settrace(watch)
    try:
        yield namer
    finally:
        sys.settrace(previous)
        _active.namer = None
