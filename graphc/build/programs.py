"""What lowering and emission made of a graph, kept on disk: the second time, neither runs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from graphc.build.cache import PROGRAM, cache_folder, find, limit_bytes, store, work_folder

T = TypeVar("T")
MAKER = "graphc"
LARGEST = 16 << 20
"""Bytes; more, of large constants say, is not kept."""


def remember(key: str | None, make: Callable[[], T]) -> T:
    """make(), or what it made before under this key, which tells all that it depends on.

    Nothing is kept without a key, nor where somebody wants to see the passes at work.
    """
    if key is None or os.environ.get("GRAPHC_DUMP") or os.environ.get("GRAPHC_VERIFY"):
        return make()
    folder = cache_folder()
    found = find(folder, key, MAKER, PROGRAM)
    if found is not None:
        with suppress(OSError):
            held: T = pickle.loads(found.read_bytes())
            return held
    made = make()
    data = pickle.dumps(made, pickle.HIGHEST_PROTOCOL)
    if len(data) <= LARGEST:
        with work_folder(folder) as work:
            draft = work / f"program{PROGRAM}"
            draft.write_bytes(data)
            store(folder, key, MAKER, draft, limit_bytes())
    return made
