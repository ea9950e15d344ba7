"""The disk cache of compiled kernels: owner-only, safe between processes, bounded in size.

    <cache>/kernels/<what was asked>/<compiler>-<digest of the bytes>.so
    <cache>/kernels/<graph>/graphc-<digest of the bytes>.program

What was asked is everything but the compiler, so that a machine without one still finds what was
compiled for it. The digest in the name tells a damaged file from a whole one.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from graphc.errors import BuildError
from graphc.later import Later

if TYPE_CHECKING:
    import tempfile
else:
    tempfile = Later("tempfile")

SUFFIX, PROGRAM, OBJECT = ".so", ".program", ".o"
KINDS = (SUFFIX, PROGRAM, OBJECT)
DEFAULT_BYTES = 512 << 20
ABANDONED = 3600.0
"""Seconds after which a temporary folder belongs to nobody."""


class CacheWarning(RuntimeWarning):
    """The disk cache cannot be used; kernels are compiled anew in each process."""


def cache_folder() -> Path:
    """The folder of the cache, ready to be written.

    When it cannot be, a CacheWarning says why and a folder of this process takes its place.
    """
    wanted = os.environ.get("GRAPHC_CACHE_DIR")
    return _usable(Path(wanted).expanduser() if wanted else _user_folder())


@cache
def _user_folder() -> Path:
    import platformdirs  # here, so that importing graphc does not wait for it

    return Path(platformdirs.user_cache_dir("graphc", appauthor=False))


def _usable(root: Path) -> Path:
    folder = root / "kernels"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            problem = "it belongs to another user, whose code would run"
        elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            problem = "others may write there, and their code would run"
        elif not os.access(folder, os.W_OK | os.X_OK):
            problem = "it is not writable"
        else:
            return folder
    except OSError as error:
        problem = error.strerror or str(error)
    return _private(str(root), problem)


@cache
def _private(root: str, problem: str) -> Path:
    """A temporary folder instead of `root`; the warning comes once."""
    folder = Path(tempfile.mkdtemp(prefix="graphc-"))
    import atexit

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    warnings.warn(
        f"the cache folder {root} cannot be used ({problem}), so kernels are compiled anew in "
        f"each process, in {folder}; set $GRAPHC_CACHE_DIR to a folder that is yours alone",
        CacheWarning,
        stacklevel=2,
    )
    return folder


def limit_bytes() -> int:
    """$GRAPHC_CACHE_BYTES, or half a GiB.

    Raises:
        BuildError: it is not a whole number.
    """
    text = os.environ.get("GRAPHC_CACHE_BYTES", "")
    if not text:
        return DEFAULT_BYTES
    if not re.fullmatch(r"\d+", text):
        raise BuildError(
            f"$GRAPHC_CACHE_BYTES is {text!r}; give the size of the cache as a whole number of "
            f"bytes, such as {DEFAULT_BYTES}, or unset it"
        )
    return int(text)


def find(folder: Path, asked: str, compiler: str | None, suffix: str = SUFFIX) -> Path | None:
    """The whole, undamaged library made for what was asked, by this compiler (None: by any)."""
    try:
        entries = sorted((folder / asked).iterdir(), reverse=True)
    except OSError:
        return None
    for path in entries:
        made_by, _, rest = path.name.partition("-")
        if compiler not in (None, made_by):
            continue
        with suppress(OSError):
            if rest == _digest(path) + suffix:
                os.utime(path)  # the least recently used go first
                return path
            path.unlink()
    return None


def store(folder: Path, asked: str, compiler: str, built: Path, limit: int) -> Path:
    """Moves a finished library into the cache; the least recently used make room."""
    place = folder / asked / f"{compiler}-{_digest(built)}{built.suffix}"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        os.replace(built, place)
    except FileNotFoundError:  # another process made room and took the empty folder with it
        place.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(built, place)
    make_room(folder, limit, place)
    return place


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:32]


def make_room(folder: Path, limit: int, kept: Path) -> None:
    """Removes what was used longest ago until at most `limit` bytes are left; never `kept`."""
    files = []
    for path in modules(folder):
        with suppress(OSError):  # another process was faster
            info = path.stat()
            files.append((info.st_mtime_ns, info.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= limit:
            break
        if path != kept:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()
            total -= size


def modules(folder: Path) -> Iterator[Path]:
    """Every finished file. Folders of other processes may vanish meanwhile."""
    for place in list(folder.iterdir()):
        if not place.name.startswith("tmp-"):
            with suppress(OSError):
                yield from [path for path in place.iterdir() if path.suffix in KINDS]


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """A folder to compile in, on the disk of the cache, so that a rename is atomic."""
    work = make_work_folder(folder)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def make_work_folder(folder: Path) -> Path:
    """The same for whoever removes it; what was left by processes that died goes first."""
    for old in folder.glob("tmp-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix="tmp-", dir=folder))
