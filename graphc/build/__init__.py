"""C text to a loaded function, through the compiler and a disk cache; and to files."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from graphc.build.binding import KINDS, TOLD, Binding, Solution, bind, solve
from graphc.build.cache import (
    SUFFIX,
    CacheWarning,
    cache_folder,
    find,
    limit_bytes,
    store,
    work_folder,
)
from graphc.build.callers import begin, caller, introduce
from graphc.build.common import Common, provide, without
from graphc.build.compiler import (
    FLAGS,
    LARGE_FLAGS,
    LINK_FLAGS,
    OPENMP_FLAG,
    WRAPPER_FLAGS,
    Compiler,
    accepted_flags,
    check_openmp,
    find_compiler,
    finish,
    include_flags,
    machine,
    start,
    target_flags,
    user_flags,
)
from graphc.build.modules import load_module
from graphc.build.programs import remember
from graphc.errors import BuildError
from graphc.loops import Program
from graphc.options import Options
from graphc.types import bfloat16

__all__ = [
    "TOLD",
    "CacheWarning",
    "Loaded",
    "Solution",
    "Unit",
    "begin",
    "bind",
    "cache_folder",
    "caller",
    "export",
    "load",
    "machine",
    "maker",
    "remember",
    "solve",
    "write_atomically",
]

FORMAT = "3"
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
    @property
    def common(self) -> Sequence[Common]: ...


@dataclass(frozen=True)
class Loaded:
    """A compiled unit: a library with the kernel and what templates/caller.c calls of it."""

    unit: Unit
    binding: Binding
    options: Options
    path: Path

    def prepare(self, caller: Any, direct: bool) -> None:
        """Lets a Caller of templates/caller.c call the kernel.

        direct: each argument of a call in Python is one of the kernel, and so is each result.

        Raises:
            BuildError: the library cannot be loaded.
        """
        kinds = {kind for kind, _ in (*self.binding.inputs, *self.binding.outputs)}
        if KINDS.index("bfloat16") in kinds:
            introduce(bfloat16)
        try:
            caller._prepare(str(self.path), *self.binding.plan(), direct)
        except ImportError as error:
            raise BuildError(
                f"{self.unit.name} was compiled and cannot be loaded: {error}"
            ) from None

    @cached_property
    def cffi(self) -> ModuleType:
        """cffi's module in API mode, compiled when first asked for."""
        path = _obtain(self.unit, self.binding, self.options, _compile_cffi, "cffi")
        return load_module(_cffi_name(self.unit.name), path)

    @property
    def lib(self) -> Any:
        """The C function itself, for C pointers: ``lib.name(...)``; releases the GIL."""
        return self.cffi.lib

    @property
    def ffi(self) -> Any:
        """Makes C pointers: ``ffi.from_buffer("double[]", array)``."""
        return self.cffi.ffi


Compile = Callable[[Unit, Binding, Compiler, tuple[str, ...], Path], Path]
"""(unit, binding, compiler, flags, folder to work in) -> the library."""

_loaded: dict[tuple[str, str, str | None], Loaded] = {}
_lock = threading.Lock()
_making: dict[tuple[str, str, str | None], threading.Lock] = {}


def load(unit: Unit, program: Program, options: Options) -> Loaded:
    """The unit compiled, from the disk cache if it is there.

    Raises:
        BuildError: no compiler, or it refused the code.
    """
    if program.threads == 1:  # none that would need OpenMP
        options = replace(options, threads=None)
    binding = bind(program)
    key = (str(cache_folder()), _asked(unit, binding, options, "call"), _compiler_key())
    with _lock:
        making = _making.setdefault(key, threading.Lock())
    with making:  # once, while others compile other units
        if key not in _loaded:
            path = _obtain(unit, binding, options, _compile, "call")
            _loaded[key] = Loaded(unit, binding, options, path)
        return _loaded[key]


def maker() -> tuple[object, ...]:
    """What makes the code and runs it: compiler, flags, machine."""
    return _compiler_key(), user_flags(), machine()


def _compiler_key() -> str | None:
    """None: there is none, and what any compiler made will do."""
    try:
        return find_compiler().key
    except BuildError:
        return None


def _obtain(unit: Unit, binding: Binding, options: Options, compile: Compile, role: str) -> Path:
    """A library from the cache, or compiled and put there."""
    folder, asked = cache_folder(), _asked(unit, binding, options, role)
    found = find(folder, asked, _compiler_key())
    if found is not None:
        return found
    compiler = find_compiler()  # which now says what is missing
    limit = limit_bytes()
    with work_folder(folder) as work:
        _write(work / f"{unit.name}.h", unit.header)
        _write(work / f"{unit.name}.c", without(unit.source, unit.common))
        built = _with_known_flags(unit, binding, options, compile, compiler, work, folder)
        return store(folder, asked, compiler.key, built, limit)


def _asked(unit: Unit, binding: Binding, options: Options, role: str) -> str:
    """A digest of all that decides the machine code, except the compiler."""
    parts = (
        FORMAT,
        role,
        unit.name,
        unit.source,
        unit.header,
        unit.declarations,
        binding.key(),
        machine(),
        repr((_flags(unit, options), WRAPPER_FLAGS, LINK_FLAGS, user_flags())),
    )
    return sha256("\0".join(parts).encode()).hexdigest()[:40]


LARGE_UNIT = 1_200
"""Lines; from there on compilers need not look across a function for what gains nothing there."""
LONG_UNIT, ENDLESS_UNIT = 8_000, 20_000
"""Lines but those of tables; compilers take minutes to optimise longer functions, as of a loop
that was unrolled to 10,000 steps: -O2 takes time that grows faster than they do, and from the
second on so does -O1, because registers are chosen in time quadratic in what is live."""
TABLE = re.compile(r"^static const [^;]*^\};$", re.MULTILINE)


def _flags(unit: Unit, options: Options) -> tuple[str, ...]:
    """All that a kernel asks of a compiler."""
    level = ("-O1",) if options.optimize < 2 else ()  # of two levels the later counts
    lines = TABLE.sub("", unit.source).count("\n")
    if lines > LONG_UNIT:
        level = ("-O0",) if lines > ENDLESS_UNIT else ("-O1",)
    elif lines > LARGE_UNIT:
        level = (*LARGE_FLAGS, *level)
    openmp = () if options.threads is None else (OPENMP_FLAG,)
    return (*target_flags(options.target), *FLAGS, *level, *openmp)


def _with_known_flags(
    unit: Unit,
    binding: Binding,
    options: Options,
    compile: Compile,
    compiler: Compiler,
    work: Path,
    folder: Path,
) -> Path:
    """Compiles with the flags that the compiler knows: all, unless it refuses; then it is asked."""
    asked = _flags(unit, options)
    digest = sha256(repr(asked).encode()).hexdigest()[:16]
    note = folder / f"flags-{compiler.key}-{digest}"
    kept: tuple[str, ...] = ()
    with suppress(OSError):
        kept = tuple(note.read_text(encoding="utf-8").split())
    flags = kept if kept and set(kept) <= set(asked) else asked
    try:
        return compile(unit, binding, compiler, flags, work)
    except BuildError:
        if OPENMP_FLAG in asked:
            check_openmp(compiler, work)
        accepted = accepted_flags(compiler, work, asked)
        if accepted == flags:
            raise
        built = compile(unit, binding, compiler, accepted, work)
        with suppress(OSError):
            write_atomically(note, "\n".join(accepted))
        return built


def _objects(unit: Unit, compiler: Compiler, flags: tuple[str, ...], work: Path) -> tuple[str, ...]:
    """Of the unit's common functions, made with those of the flags that concern them."""
    own = tuple(flag for flag in flags if flag not in (*LARGE_FLAGS, OPENMP_FLAG))
    return provide(unit.common, compiler, (*own, *user_flags()), work)


def _compile(
    unit: Unit, binding: Binding, compiler: Compiler, flags: tuple[str, ...], work: Path
) -> Path:
    """The kernel and its adapter, in one run of the compiler."""
    objects = _objects(unit, compiler, flags, work)
    _write(work / "adapter.c", binding.text())
    built = work / f"kernel{SUFFIX}"
    files = ("adapter.c", *objects, "-o", built.name, "-lm")
    run = (*flags, *user_flags(), "-fPIC", *LINK_FLAGS, *files)
    finish(start(compiler, run, work), f"{unit.name}.c")
    return built


def _compile_cffi(
    unit: Unit, binding: Binding, compiler: Compiler, flags: tuple[str, ...], work: Path
) -> Path:
    """The kernel, and what ffi.emit_c_code writes (but that prints)."""
    import cffi  # its parser takes 30 ms to load, and few ask for C pointers
    from cffi.recompiler import make_c_source

    kernel = start(
        compiler,
        (*flags, *user_flags(), "-fPIC", "-c", f"{unit.name}.c", "-o", "kernel.o"),
        work,
    )
    ffi = cffi.FFI()
    ffi.cdef(unit.declarations)
    preamble = f'#include "{unit.name}.h"'
    make_c_source(ffi, _cffi_name(unit.name), preamble, str(work / "wrapper.c"))
    objects = _objects(unit, compiler, flags, work)
    finish(kernel, f"{unit.name}.c")
    built = work / f"module{SUFFIX}"
    openmp = (OPENMP_FLAG,) if OPENMP_FLAG in flags else ()
    files = ("wrapper.c", "kernel.o", *objects, "-o", built.name, *openmp, "-lm")
    run = (*WRAPPER_FLAGS, "-fPIC", *include_flags(np.get_include()), *LINK_FLAGS, *files)
    finish(start(compiler, run, work), f"the wrapper of {unit.name}")
    return built


def _cffi_name(name: str) -> str:
    return f"_cffi_{name}"


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def write_atomically(path: Path, text: str) -> None:
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
            write_atomically(path, text)
    except OSError as error:
        raise BuildError(
            f"cannot export {unit.name} to {place}: {error.strerror}; name a folder that you may "
            "write"
        ) from None
    return paths
