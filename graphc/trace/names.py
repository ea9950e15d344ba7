"""Names and lines travel from the user's code to the nodes."""

from __future__ import annotations

import ast
import dataclasses
import dis
import functools
import itertools
import linecache
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ParamSpec, TypeVar

from graphc.graph import Node, Source, Value

P = ParamSpec("P")
R = TypeVar("R")

_HERE = str(Path(__file__).parents[1])
_FOREIGN = (_HERE, sys.base_prefix + "/lib", "<frozen", "<__array_function__")
_LARGEST = 64
"""A container of more values than this names none of them."""


@functools.cache
def _is_users_file(file: str) -> bool:
    return not (file.startswith(_FOREIGN) or "site-packages" in file or "dist-packages" in file)


def is_users(code: CodeType) -> bool:
    """Whether code is the user's: not graphc's, not Python's, not an installed package's."""
    return _is_users_file(code.co_filename)


def locate(frame: FrameType | None) -> Source | None:
    """The innermost user line at or above this frame."""
    while frame is not None:
        if _is_users_file(frame.f_code.co_filename):
            return Source(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def called(frame: FrameType | None) -> str:
    """What the innermost user line at or above this frame is calling, as it is written there
    (``np.random.normal``); "" if it calls nothing, or its text is not at hand."""
    while frame is not None and not _is_users_file(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    spot = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
    if spot is None or None in spot:
        return ""
    first, last, start, end = (int(x or 0) for x in spot)
    lines = [
        linecache.getline(frame.f_code.co_filename, k, frame.f_globals).encode()
        for k in range(first, last + 1)
    ]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        tree = ast.parse(b"".join(lines).decode().strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return ""
    return ast.unparse(tree.func) if isinstance(tree, ast.Call) else ""


@functools.lru_cache(4096)
def _stores(code: CodeType) -> Mapping[int, tuple[str, ...]]:
    """The local names that each line of a function binds."""
    found: dict[int, list[str]] = {}
    line = code.co_firstlineno
    starts = dict(dis.findlinestarts(code))
    for instruction in dis.get_instructions(code):
        line = starts.get(instruction.offset) or line
        if instruction.opname.startswith("STORE_") and instruction.opname not in (
            "STORE_ATTR",
            "STORE_SUBSCR",
            "STORE_GLOBAL",
            "STORE_SLICE",
        ):
            bound = instruction.argval
            found.setdefault(line, []).extend((bound,) if isinstance(bound, str) else bound)
    return {number: tuple(names) for number, names in found.items()}


class Namer:
    """Collects the local names that traced values have in the user's functions.

    A value keeps the name it has in the outermost function that holds it, and of the names it has
    there the first. A name bound again later (``a = layer(a)``) still belongs to its first value.
    """

    def __init__(self) -> None:
        self.found: dict[Node, tuple[int, str]] = {}

    def look(self, values: Mapping[str, Any], names: tuple[str, ...], depth: int) -> None:
        """Note these of the local names of a function, `depth` calls down."""
        for name in names:
            value = values.get(name)
            if isinstance(value, Value):
                self.note(value.node, depth, name)
            elif value is not None:
                for key, part in _parts(value):
                    if isinstance(part, Value) and not part.node.name:
                        self.note(part.node, depth + 1000, f"{name}_{key}")

    def note(self, node: Node, depth: int, name: str) -> None:
        known = self.found.get(node)
        if (known is None or depth < known[0]) and not name.startswith(("_", ".")):
            self.found[node] = (depth, name)

    def names(self) -> dict[Node, str]:
        return {node: name for node, (_, name) in self.found.items()}


def _parts(value: Any) -> list[tuple[object, Any]]:
    """The values in a small container, with what they are called in it."""
    if isinstance(value, list | tuple | dict) and len(value) > _LARGEST:
        return []
    if isinstance(value, dict):
        return [(key, part) for key, part in value.items() if isinstance(key, str)]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=False))
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name, None)) for f in dataclasses.fields(value)]
    return []


class _Active(threading.local):
    namer: Namer | None = None
    watch: Any = None
    """Our trace function where it is the only one."""


_active = _Active()


def unwatched(method: Callable[P, R]) -> Callable[P, R]:
    """The method with its own calls unwatched: they bind no name of the user's."""
    if sys.version_info >= (3, 12):
        return method  # there, to stop and start watching costs more than it saves

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        watch = _active.watch
        if watch is None or sys.gettrace() is not watch:
            return method(*args, **kwargs)
        sys.settrace(None)
        try:
            return method(*args, **kwargs)
        finally:
            sys.settrace(watch)

    return call


def is_tracing() -> bool:
    """Whether a function is being traced in this thread."""
    return _active.namer is not None


@contextmanager
def naming() -> Iterator[Namer]:
    """Watches the user's functions while they run; a nested trace shares the outer one's names.

    A debugger or a coverage tool that watches already goes on watching.
    """
    outer = _active.namer
    if outer is not None:
        yield outer
        return
    namer = _active.namer = Namer()
    previous = sys.gettrace()
    watch = _watcher(namer, previous)
    _active.watch = watch if previous is None else None
    sys.settrace(watch)
    try:
        yield namer
    finally:
        sys.settrace(previous)
        _active.namer = _active.watch = None


def _watcher(namer: Namer, previous: Any) -> Any:
    """A trace function that reads the names each line bound once the next one is reached."""

    def watch(frame: FrameType, event: str, arg: Any) -> Any:
        local = None
        if previous is not None:
            local = previous(frame, event, arg)
            if sys.gettrace() is not watch:
                sys.settrace(watch)  # coverage's tracer puts itself back when it is called
        code = frame.f_code
        if not _is_users_file(code.co_filename) or code.co_name.startswith(("<", "__init__")):
            return local
        stores = _stores(code)
        depth = _depth(frame)
        namer.look(frame.f_locals, code.co_varnames[: _argument_count(code)], depth)
        last = -1

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last, local
            if local is not None:
                local = local(frame, event, arg)
            if event in ("line", "return"):
                names = stores.get(last)
                if names:
                    namer.look(frame.f_locals, names, depth)
                last = frame.f_lineno
            return line

        return line

    return watch


def _argument_count(code: CodeType) -> int:
    stars = bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    return code.co_argcount + code.co_kwonlyargcount + stars


def _depth(frame: FrameType | None) -> int:
    depth = 0
    while frame is not None:
        depth += 1
        frame = frame.f_back
    return depth
