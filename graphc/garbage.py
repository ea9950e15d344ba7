"""Python's search for cycles of garbage, while graphs are made."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 200_000
"""So many new objects, until Python looks for cycles among them; its own number is 700."""

_lock = threading.Lock()
_before: list[tuple[int, int, int]] = []
"""What was set before the first of those who are inside."""
_inside = 0


@contextmanager
def seldom() -> Iterator[None]:
    """Looks for cycles seldom. Making a graph and its C takes hundreds of thousands of objects that
    stay, or that go without being looked for: a sixth of the time went there."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _before.append(gc.get_threshold())
            first, *others = _before[0]
            gc.set_threshold(first and max(first, SELDOM), *others)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                gc.set_threshold(*_before.pop())
