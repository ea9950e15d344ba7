"""The C compiler: which one, what it accepts, and running it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.errors import BuildError
from graphc.frozen import dataclass
from graphc.later import Later

if TYPE_CHECKING:
    import subprocess
else:
    subprocess = Later("subprocess")

FLAGS = (
    "-std=c11",
    "-O2",  # with the next two as fast as -O3, and compiled in a third of the time
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-mprefer-vector-width=512",  # gcc and clang stay at 256 bits otherwise
    "-fno-math-errno",  # nobody reads errno, and it keeps sqrt from being one instruction
    "-fno-trapping-math",  # nobody unmasks floating-point traps, and they keep loops scalar
    "-ffp-contract=off",  # a*b + c rounds twice, as it does in NumPy
    "-DGRAPHC_SIMD",  # sums marked GRAPHC_SIMD_SUM run in lanes
    "-fopenmp-simd",  # reads "#pragma omp simd"; starts no threads
)
"""For kernels, after `target_flags`. Never -ffast-math: NaN, infinity and the order of rounding
keep their meaning."""

LARGE_FLAGS = (
    "-fira-region=one",  # gcc chooses registers for a function at once, not loop by loop
    "-fno-tree-pre",
    "-fno-gcse",
)
"""For large kernels beside those: a third less time to compile, and they run as fast. Small ones of
products in tiles would lose some percent."""

WRAPPER_FLAGS = (
    "-O1",  # most of its time is spent reading headers; -O2 adds a third and gains nothing
    "-w",  # cffi's code is not ours to mend
)
LINK_FLAGS = (
    ("-bundle", "-undefined", "dynamic_lookup")
    if sys.platform == "darwin"
    # A kernel named like a function of the process must still be called itself.
    else ("-shared", "-Wl,-Bsymbolic")
)
OPENMP_FLAG = "-fopenmp"
"""For kernels that threads share, to compile and to link."""
REMEDY = (
    "install gcc or clang (Debian, Ubuntu: apt install gcc; Fedora: dnf install gcc; "
    "macOS: xcode-select --install), or name one in $GRAPHC_CC"
)
ERROR_LINES = 6


def target_flags(target: str) -> tuple[str, ...]:
    """For which machine: a kernel runs where it is compiled; an exported .c names none."""
    if target == "portable":  # any machine of this family, and no extensions of C
        return ("-DGRAPHC_PORTABLE",)
    return (f"-march={target}",)


@dataclass(frozen=True, slots=True)
class Compiler:
    """A command, and a key that changes when the program behind it does."""

    command: tuple[str, ...]
    key: str

    @property
    def name(self) -> str:
        return Path(self.command[0]).name


def find_compiler() -> Compiler:
    """$GRAPHC_CC, else $CC, else the first of cc, gcc and clang on PATH.

    Raises:
        BuildError: there is none.
    """
    for variable in ("GRAPHC_CC", "CC"):
        if words := shlex.split(os.environ.get(variable, "")):
            if path := shutil.which(words[0]):
                return Compiler((path, *words[1:]), _identity((path, *words[1:])))
            raise BuildError(
                f"${variable} names the C compiler {words[0]!r}, which is not on PATH; "
                f"correct or unset it, or {REMEDY}"
            )
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return Compiler((path,), _identity((path,)))
    raise BuildError(f"no C compiler found: none of cc, gcc and clang is on PATH; {REMEDY}")


def _identity(command: Sequence[str]) -> str:
    """Path, time and size of each program in the command: no process is started to ask."""
    digest = sha256(repr(command).encode())
    for word in command:
        if path := shutil.which(word):
            real = os.path.realpath(path)
            stat = os.stat(real)
            digest.update(f"{real} {stat.st_mtime_ns} {stat.st_size}".encode())
    return digest.hexdigest()[:16]


@cache
def machine() -> str:
    """What -march=native means here."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read(16384).split("\n\n", 1)[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = [line for line in first if line.startswith(("model name", "flags", "Features", "CPU"))]
    return "\n".join([platform.machine(), *told])


def user_flags() -> tuple[str, ...]:
    """$GRAPHC_CFLAGS, which come last and so win."""
    return tuple(shlex.split(os.environ.get("GRAPHC_CFLAGS", "")))


def accepted_flags(compiler: Compiler, folder: Path, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the flags asked for that the compiler knows."""
    source = folder / "flags.c"
    source.write_text("int graphc_flags;\n", encoding="utf-8")

    def accepts(flags: Iterable[str]) -> bool:
        # clang only warns of flags it ignores.
        command = (*compiler.command, "-Werror", *flags, "-c", source.name, "-o", "flags.o")
        with _start(command, folder) as process:
            process.communicate()
        return process.returncode == 0

    if accepts(asked):
        return asked
    return tuple(flag for flag in asked if accepts((flag,)))


def check_openmp(compiler: Compiler, folder: Path) -> None:
    """Whether the compiler has OpenMP.

    Raises:
        BuildError: it has not, or not its library.
    """
    source = folder / "openmp.c"
    source.write_text(
        "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n", encoding="utf-8"
    )
    command = (*compiler.command, OPENMP_FLAG, source.name, "-o", "openmp.out")
    with _start(command, folder) as process:
        process.communicate()
    if process.returncode:
        raise BuildError(
            f"{compiler.name} cannot make code for threads: it lacks OpenMP, or the library and "
            "the header of it; install them (Debian, Ubuntu: apt install libomp-dev for clang; "
            "macOS: brew install libomp), name another compiler in $GRAPHC_CC, or compile "
            "without threads="
        )


def include_flags(numpy_include: str) -> tuple[str, ...]:
    """Where Python.h and NumPy's headers are.

    Raises:
        BuildError: Python.h is missing.
    """
    folders = dict.fromkeys(sysconfig.get_path(key) for key in ("include", "platinclude"))
    if not any((Path(folder) / "Python.h").is_file() for folder in folders):
        version = "{}.{}".format(*sys.version_info)
        raise BuildError(
            f"Python.h is not in {next(iter(folders))}, so a kernel cannot be made callable; "
            f"install the headers of this Python (Debian, Ubuntu: apt install python{version}-dev)"
        )
    return tuple(f"-I{folder}" for folder in (*folders, numpy_include))


def start(compiler: Compiler, flags: Iterable[str], folder: Path) -> subprocess.Popen[str]:
    """The compiler at work in `folder`; `finish` waits for it."""
    return _start((*compiler.command, *flags), folder)


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
    )


def finish(process: subprocess.Popen[str], what: str) -> None:
    """Waits.

    Raises:
        BuildError: the compiler refused; the message has its first errors.
    """
    _, told = process.communicate()
    if process.returncode == 0:
        return
    lines = [line for line in told.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if "error" in line.lower()), 0)
    shown = "\n".join(lines[first : first + ERROR_LINES]) or f"exit status {process.returncode}"
    flags = shlex.join(user_flags())
    cause = f"$GRAPHC_CFLAGS ({flags}) or the code is wrong" if flags else "the code is wrong"
    raise BuildError(f"the C compiler refused {what}; {cause}. It says:\n{shown}")
