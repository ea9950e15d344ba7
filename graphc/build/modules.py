"""Extension modules by path: several kernels may have one name, and none is in sys.modules."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType


def load_module(name: str, path: Path) -> ModuleType:
    """The extension module `name` in a shared library.

    Raises:
        ImportError: it is not there, or cannot be loaded.
    """
    loader = ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise ImportError(f"no module {name} in {path}")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
