"""templates/caller.c as a module: compiled once for this Python, and kept as its bytecode is."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from graphc.build.cache import cache_folder, make_work_folder
from graphc.build.compiler import (
    LINK_FLAGS,
    Compiler,
    find_compiler,
    finish,
    include_flags,
    start,
)
from graphc.build.modules import load_module
from graphc.errors import BuildError
from graphc.options import bytes_of
from graphc.resources import PACKAGE, bytecode_folder, template_folder
from graphc.types import DType

if TYPE_CHECKING:
    import subprocess

SOURCE = "caller.c"
NAME = "_caller"
FLAGS = ("-O2", "-w", "-fno-strict-aliasing", "-fPIC")
"""Neither Python's nor NumPy's headers are ours to mend."""


@dataclass(slots=True)
class _Making:
    """The compiler at work on the caller."""

    process: subprocess.Popen[str]
    work: Path
    place: Path

    def wait(self) -> None:
        """Puts the finished module in its place.

        Raises:
            BuildError: the compiler refused it.
        """
        try:
            finish(self.process, SOURCE)
            os.replace(self.work / NAME, self.place)
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    def stop(self) -> None:
        self.process.kill()
        with self.process:
            pass
        shutil.rmtree(self.work, ignore_errors=True)


_lock = threading.RLock()
_making: list[_Making] = []


def begin() -> None:
    """Starts to compile the caller, unless it is there; what fails is told by `caller`."""
    with _lock, suppress(BuildError, OSError):
        if not _making and _existing() is None:
            _making.append(_start(find_compiler()))


@cache
def caller() -> ModuleType:
    """The module with the classes Caller and BoundCaller.

    Raises:
        BuildError: no compiler, or no Python.h.
        ArgumentError: $GRAPHC_SPARE_MEMORY is no number of bytes.
    """
    with _lock:
        path = _existing()
        if path is not None:
            with suppress(ImportError, OSError):  # damaged since
                return _loaded(path)
        if not _making:
            _making.append(_start(find_compiler()))
        making = _making.pop()
        making.wait()
        try:
            return _loaded(making.place)
        except ImportError as error:
            raise BuildError(f"{SOURCE} was compiled and cannot be loaded: {error}") from None


def introduce(dtype: DType) -> None:
    """Tells the caller the number by which NumPy knows a dtype that is not its own: bfloat16."""
    caller().bfloat16(dtype.numpy.num)


def _loaded(path: Path) -> ModuleType:
    """The module, told how much memory of dead results it may keep."""
    limit = bytes_of(os.environ.get("GRAPHC_SPARE_MEMORY") or None, "GRAPHC_SPARE_MEMORY")
    module = load_module(NAME, path)
    if limit is not None:
        module.keep(limit)
    return module


def _start(compiler: Compiler) -> _Making:
    includes = include_flags(np.get_include())
    place = _places()[0]
    work = make_work_folder(place.parent)
    source = template_folder() / SOURCE
    libraries = () if sys.platform == "darwin" else ("-ldl",)
    flags = (*FLAGS, *includes, str(source), *LINK_FLAGS, "-o", NAME, *libraries)
    return _Making(start(compiler, flags, work), work, place)


def _existing() -> Path | None:
    return next((path for path in _places() if path.exists()), None)


def _places() -> list[Path]:
    """Where the caller may be; the first is where it is put: beside the bytecode, if we may."""
    name = f"caller-{_digest()}{EXTENSION_SUFFIXES[0]}"
    beside = bytecode_folder()
    if beside is not None:
        return [beside / name]
    return [cache_folder() / name, PACKAGE / "__pycache__" / name]


@cache
def _digest() -> str:
    """Of all that decides the module, except the compiler."""
    source = (template_folder() / SOURCE).read_bytes()
    facts = repr((sys.version, np.__version__, FLAGS, LINK_FLAGS))
    return sha256(source + facts.encode()).hexdigest()[:16]


@atexit.register
def _stop() -> None:
    while _making:
        _making.pop().stop()
