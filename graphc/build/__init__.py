"""C text to a loaded extension module, through the compiler and a disk cache; and to files."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from graphc.build.binding import Binding, Solution, bind, solve
from graphc.build.cache import (
    SUFFIX,
    CacheWarning,
    cache_folder,
    find,
    limit_bytes,
    store,
    work_folder,
)
from graphc.build.compiler import (
    FLAGS,
    LINK_FLAGS,
    WRAPPER_FLAGS,
    Compiler,
    accepted_flags,
    find_compiler,
    finish,
    include_flags,
    machine,
    start,
    target_flags,
    user_flags,
)
from graphc.errors import BuildError
from graphc.loops import Program
from graphc.options import Options

__all__ = [
    "CacheWarning",
    "Function",
    "Loaded",
    "Solution",
    "Unit",
    "bind",
    "export",
    "load",
    "solve",
]

Function = Callable[..., Any]
FORMAT = "1"
"""Part of every key: a change of what this file does with its inputs raises it."""


class Unit(Protocol):
    """A printed C function; `emit_c.CUnit` is one."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def header(self) -> str: ...
    @property
    def declarations(self) -> str: ...


@dataclass(frozen=True)
class Loaded:
    """A compiled unit. One file holds two modules: cffi's, and the fast road's."""

    name: str
    path: Path
    fast: ModuleType
    """functions() -> (call, call_into, bind) of templates/fastcall.c."""

    @cached_property
    def cffi(self) -> ModuleType:
        """cffi's module in API mode, loaded when first asked for."""
        return _module(_cffi_name(self.name), self.path)

    @property
    def lib(self) -> Any:
        """The C function itself, for C pointers: ``lib.name(...)``; releases the GIL."""
        return self.cffi.lib

    @property
    def ffi(self) -> Any:
        """Makes C pointers: ``ffi.from_buffer("double[]", array)``."""
        return self.cffi.ffi


_loaded: dict[tuple[str, str], Loaded] = {}
_lock = threading.Lock()


def load(unit: Unit, program: Program, options: Options) -> Loaded:
    """The unit compiled, from the disk cache if it is there.

    Raises:
        BuildError: no compiler, or it refused the code.
    """
    binding = bind(program)
    asked = _asked(unit, binding, options)
    folder = cache_folder()
    try:
        compiler: Compiler | None = find_compiler()
    except BuildError:
        compiler = None
    known = (str(folder), asked if compiler is None else asked + compiler.key)
    with _lock:
        if known not in _loaded:
            _loaded[known] = _load(unit, binding, options, folder, asked, compiler)
        return _loaded[known]


def _load(
    unit: Unit,
    binding: Binding,
    options: Options,
    folder: Path,
    asked: str,
    compiler: Compiler | None,
) -> Loaded:
    found = find(folder, asked, None if compiler is None else compiler.key)
    if found is not None:
        with suppress(ImportError, OSError):  # removed or damaged since: compiled again
            return Loaded(unit.name, found, _module(binding.module, found))
    compiler = compiler or find_compiler()  # which now says what is missing
    limit = limit_bytes()
    with work_folder(folder) as work:
        built = _compile(unit, binding, options, compiler, work, folder)
        placed = store(folder, asked, compiler.key, built, limit)
    try:
        return Loaded(unit.name, placed, _module(binding.module, placed))
    except ImportError as error:
        raise BuildError(f"{unit.name} was compiled and cannot be loaded: {error}") from None


def _asked(unit: Unit, binding: Binding, options: Options) -> str:
    """A digest of all that decides the machine code, except the compiler."""
    import cffi  # here, so that importing graphc does not wait for it

    parts = (
        FORMAT,
        unit.name,
        unit.source,
        unit.header,
        unit.declarations,
        binding.key(),
        cffi.__version__,
        np.__version__,
        sys.version,
        SUFFIX,
        machine(),
        repr((target_flags(options.target), FLAGS, WRAPPER_FLAGS, LINK_FLAGS, user_flags())),
    )
    return sha256("\0".join(parts).encode()).hexdigest()[:40]


def _compile(
    unit: Unit, binding: Binding, options: Options, compiler: Compiler, work: Path, folder: Path
) -> Path:
    """The kernel and its wrapper, compiled side by side, and linked to one module."""
    includes = include_flags(np.get_include())
    flags = (*_flags(compiler, options.target, work, folder), *user_flags())
    _write(work / f"{unit.name}.h", unit.header)
    _write(work / f"{unit.name}.c", unit.source)
    with _Jobs(compiler, work) as jobs:
        jobs.start(f"{unit.name}.c", (*flags, "-fPIC", "-c", f"{unit.name}.c", "-o", "kernel.o"))
        _write_wrapper(unit, binding, work / "wrapper.c")
        glue = (*WRAPPER_FLAGS, "-fPIC", *includes, "-c", "wrapper.c", "-o", "wrapper.o")
        jobs.start(f"the wrapper of {unit.name}", glue)
        jobs.finish()
        linked = work / f"module{SUFFIX}"
        objects = ("kernel.o", "wrapper.o", "-o", linked.name)
        jobs.start(f"to link {unit.name}", (*LINK_FLAGS, *user_flags(), *objects, "-lm"))
        jobs.finish()
    return linked


class _Jobs:
    """Compilers at work side by side; none outlives the block."""

    def __init__(self, compiler: Compiler, folder: Path) -> None:
        self.compiler, self.folder = compiler, folder
        self.running: list[tuple[str, subprocess.Popen[str]]] = []

    def start(self, what: str, flags: tuple[str, ...]) -> None:
        self.running.append((what, start(self.compiler, flags, self.folder)))

    def finish(self) -> None:
        while self.running:
            what, process = self.running.pop(0)
            finish(process, what)

    def __enter__(self) -> _Jobs:
        return self

    def __exit__(self, *_: object) -> None:
        for _what, process in self.running:
            process.kill()
            with process:  # closes its pipe unread: a child of the compiler may hold it yet
                pass


def _flags(compiler: Compiler, target: str, work: Path, folder: Path) -> tuple[str, ...]:
    """The flags that the compiler knows; asked once a compiler, kept beside the kernels."""
    asked = (*target_flags(target), *FLAGS)
    digest = sha256(repr(asked).encode()).hexdigest()[:16]
    note = folder / f"flags-{compiler.key}-{digest}"
    with suppress(OSError):
        kept = tuple(note.read_text(encoding="utf-8").split())
        if kept and set(kept) <= set(asked):
            return kept
    accepted = accepted_flags(compiler, work, asked)
    with suppress(OSError):
        _write_atomically(note, "\n".join(accepted))
    return accepted


def _cffi_name(name: str) -> str:
    return f"_cffi_{name}"


def _write_wrapper(unit: Unit, binding: Binding, path: Path) -> None:
    """What ffi.emit_c_code writes (but that prints), with the fast road as its preamble."""
    import cffi  # its parser takes 30 ms to load, and a cache hit needs none
    from cffi.recompiler import make_c_source

    ffi = cffi.FFI()
    ffi.cdef(unit.declarations)
    make_c_source(ffi, _cffi_name(unit.name), binding.text(), str(path))


def _module(name: str, path: Path) -> ModuleType:
    """The extension module `name` of a shared library that may hold several."""
    loader = ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise ImportError(f"no module {name} in {path}")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def _write_atomically(path: Path, text: str) -> None:
    """The whole text or none of it, whatever happens."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        _write(draft, text)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def export(folder: str | os.PathLike[str], unit: Unit) -> tuple[Path, Path]:
    """Writes ``name.c`` and ``name.h`` into `folder`, made if need be; returns their paths.

    Raises:
        BuildError: the folder is a file, or cannot be written.
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise BuildError(f"cannot export {unit.name} to {place}: it is a file; name a folder")
    try:
        place.mkdir(parents=True, exist_ok=True)
        paths = place / f"{unit.name}.c", place / f"{unit.name}.h"
        for path, text in zip(paths, (unit.source, unit.header), strict=True):
            _write_atomically(path, text)
    except OSError as error:
        raise BuildError(
            f"cannot export {unit.name} to {place}: {error.strerror}; name a folder that you may "
            "write"
        ) from None
    return paths
