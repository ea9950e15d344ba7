"""Functions that units have in common, compiled once: products of matrices take gcc most of its
time, and are the same in all units.

The C of a unit stays one file. Only where Python compiles it, such a function is compiled apart,
kept as Python's bytecode is, and linked to each unit that calls it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from graphc.build.cache import OBJECT, cache_folder, find, store, work_folder
from graphc.build.compiler import Compiler, finish, machine, start
from graphc.resources import bytecode_folder, render

if TYPE_CHECKING:
    import subprocess

LIMIT = 64 << 20
"""Bytes of all that is kept."""
HIDDEN = '__attribute__((visibility("hidden"))) '


class Common(Protocol):
    """Such a function; `units.Common` is one."""

    @property
    def name(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def above(self) -> str: ...


def without(source: str, common: Iterable[Common]) -> str:
    """The source with declarations of the functions that are compiled apart."""
    for function in common:
        declaration = f"{HIDDEN}{_head(function)};\n\n"
        source = source.replace(function.text, declaration, 1)
    return source


def alone(function: Common) -> str:
    """A source of its own for it."""
    head = _head(function)
    text = function.text.replace(f"static {head}", f"{HIDDEN}{head}", 1)
    return render("common.c", above=function.above, text=text)


def _head(function: Common) -> str:
    """The function's name and parameters."""
    found = re.search(
        rf"^static (void {function.name}\([^{{;]*\))\n{{", function.text, re.MULTILINE
    )
    if found is None:
        raise ValueError(f"{function.name} is not defined where it should be")
    return found[1]


def provide(
    common: Sequence[Common], compiler: Compiler, flags: Sequence[str], work: Path
) -> tuple[str, ...]:
    """Puts the object file of each function into `work`; returns their names.

    Raises:
        BuildError: the compiler refused one.
    """
    run = (*flags, "-fPIC", "-c")
    missing: list[tuple[Path, str, subprocess.Popen[str]]] = []
    try:
        for function in common:
            source, place = alone(function), work / f"{function.name}{OBJECT}"
            told = "\0".join((source, machine(), repr(run)))
            asked = sha256(told.encode()).hexdigest()[:40]
            if not _is_copied(asked, compiler, place):
                place.with_suffix(".c").write_bytes(source.encode())
                files = (f"{function.name}.c", "-o", place.name)
                missing.append((place, asked, start(compiler, (*run, *files), work)))
        for place, asked, process in missing:
            finish(process, place.stem)
            _keep(asked, compiler, place)
    finally:
        for _, _, process in missing:
            process.kill()
            process.wait()
    return tuple(f"{function.name}{OBJECT}" for function in common)


def _folder() -> Path:
    """Where object files are kept: beside the bytecode, if we may."""
    beside = bytecode_folder()
    return cache_folder() if beside is None else beside / "common"


def _is_copied(asked: str, compiler: Compiler, place: Path) -> bool:
    """Whether it was kept, and now is in this place, too."""
    found = find(_folder(), asked, compiler.key, OBJECT)
    with suppress(OSError):  # another process made room
        if found is not None:
            shutil.copyfile(found, place)
            return True
    return False


def _keep(asked: str, compiler: Compiler, made: Path) -> None:
    folder = _folder()
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        with work_folder(folder) as work:
            shutil.copyfile(made, draft := work / made.name)
            store(folder, asked, compiler.key, draft, LIMIT)
