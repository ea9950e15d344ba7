"""What lies beside the code: templates, and what is made of the code and kept as bytecode is.

The folder `templates/` stands beside the package in a checkout; a wheel carries it inside. This is
the only place that knows.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jinja2

PACKAGE = Path(__file__).resolve().parent


def template_folder(package: Path = PACKAGE) -> Path:
    """The folder of templates that belongs to the package in `package`.

    The package's own copy goes first: beside an installed package lie other people's folders.
    Raises FileNotFoundError when neither place has one.
    """
    inside, beside = package / "templates", package.parent / "templates"
    for folder in (inside, beside):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"graphc's templates are missing: neither {inside} (an installed package) nor {beside} "
        "(a checkout) is a folder; install graphc again, or restore the checkout."
    )


def code_files(package: Path = PACKAGE) -> Iterator[os.DirEntry[str]]:
    """The package's modules and templates."""
    folders = [str(package), str(template_folder(package))]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    folders += [entry.path] if entry.name != "__pycache__" else []
                elif entry.name.endswith((".py", ".c", ".h", ".html")):
                    yield entry


@cache
def fingerprint() -> str:
    """Changes whenever graphc's code, Python or NumPy does."""
    digest = sha256(f"{sys.version}\0{np.__version__}".encode())
    for entry in code_files():
        info = entry.stat()
        digest.update(f"{entry.path}\0{info.st_mtime_ns}\0{info.st_size}\0".encode())
    return digest.hexdigest()[:16]


def bytecode_folder() -> Path | None:
    """Where Python keeps the package's bytecode, if we may write there."""
    folder = PACKAGE / "__pycache__"
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """make(), which depends on graphc's code alone: made once, and kept beside the bytecode.

    A file of an older graphc goes when it is made anew.
    """
    folder = bytecode_folder()
    if folder is None:
        return make()
    path = folder / f"{name}-{fingerprint()}"
    with suppress(OSError):
        return path.read_bytes()
    made = make()
    draft = folder / f".{name}.{os.getpid()}-{threading.get_ident()}"
    with suppress(OSError):
        for old in folder.glob(f"{name}-*"):
            old.unlink(missing_ok=True)
        draft.write_bytes(made)
        os.replace(draft, path)
    return made


@cache
def environment() -> jinja2.Environment:
    """The Jinja environment of all templates: delimiters shaped like C, no name left undefined.

    Nothing is escaped here: whoever fills a template hands over text that is right for its file.
    """
    import jinja2  # here, so that importing graphc does not wait for it

    folder = bytecode_folder()
    compiled = None
    if folder is not None:
        compiled = jinja2.FileSystemBytecodeCache(str(folder), "template-%s")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        bytecode_cache=compiled,
        variable_start_string="${",
        variable_end_string="}",
        block_start_string="/*%",
        block_end_string="%*/",
        comment_start_string="/*#",
        comment_end_string="#*/",
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(name: str, /, **values: object) -> str:
    """The text of template `name` filled with `values`.

    Raises jinja2.TemplateNotFound for an unknown name, jinja2.UndefinedError for a missing value.
    """
    return environment().get_template(name).render(**values)
