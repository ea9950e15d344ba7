"""Modules that are loaded when something of them is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """The module of this name, once an attribute of it is read: ``emit_dot.draw`` loads it.

    Importing graphc takes a third of the time so. A type checker, and the test of the floors, is
    told of the module by an import under TYPE_CHECKING.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
