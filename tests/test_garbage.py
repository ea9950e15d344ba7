"""While graphs are made, Python looks for cycles of garbage less often, and then as before."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from graphc.garbage import SELDOM, seldom


@pytest.fixture(autouse=True)
def threshold() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def test_afterwards_all_is_as_before(threshold: tuple[int, int, int]) -> None:
    with seldom(), seldom():
        assert gc.get_threshold()[0] == SELDOM
    assert gc.get_threshold() == threshold


def test_threads_that_overlap_leave_nothing_behind(threshold: tuple[int, int, int]) -> None:
    entered, left = threading.Event(), threading.Event()

    def other() -> None:
        with seldom():
            entered.set()
            left.wait()

    thread = threading.Thread(target=other)
    with seldom():
        thread.start()
        entered.wait()
    assert gc.get_threshold()[0] == SELDOM
    left.set()
    thread.join()
    assert gc.get_threshold() == threshold


@pytest.mark.parametrize("first", [0, SELDOM * 2])
def test_who_wants_less_keeps_it(first: int) -> None:
    gc.set_threshold(first, 10, 10)
    with seldom():
        assert gc.get_threshold() == (first, 10, 10)
