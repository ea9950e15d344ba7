"""What is shown while something takes long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

PATIENCE = 2.0
"""Seconds after which a person wants to know."""


@contextmanager
def progress(text: str, console: Console | None = None) -> Iterator[None]:
    """A spinner with the text on stderr, once it has taken two seconds; only on a terminal."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    status = console.status(f"{text} …")
    timer = threading.Timer(PATIENCE, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()
