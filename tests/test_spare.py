"""Large results live in memory of dead ones: reused only when nothing can see it any more."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.build import caller

LIMIT = 256 << 20
N = 300_000
"""Elements of more than 1 MiB of float64."""


@pytest.fixture(scope="module")
def kernel() -> graphc.Kernel:
    return graphc.compile(lambda x: x + 1, graphc.float64["n"], name="plus_one")


@pytest.fixture(autouse=True)
def none_kept() -> Iterator[None]:
    caller().keep(0)
    caller().keep(LIMIT)
    yield
    caller().keep(0)
    caller().keep(LIMIT)


def kept() -> int:
    """Bytes of memory that wait for the next result."""
    return int(caller().keep(LIMIT))


def at(array: Any) -> int:
    return int(array.ctypes.data)


def test_memory_of_a_dead_result_is_used_again(kernel: graphc.Kernel) -> None:
    x = np.zeros(N)
    first = kernel(x)
    place = at(first)
    assert kept() == 0
    del first
    assert N * 8 <= kept() <= N * 8 + 65536
    second = kernel(x)
    assert at(second) == place
    assert kept() == 0
    np.testing.assert_array_equal(second, 1)


def test_live_results_keep_theirs(kernel: graphc.Kernel) -> None:
    first = kernel(np.zeros(N))
    second = kernel(np.ones(N))
    assert at(first) != at(second)
    np.testing.assert_array_equal(first, 1)
    np.testing.assert_array_equal(second, 2)


def test_a_view_keeps_the_memory(kernel: graphc.Kernel) -> None:
    view = kernel(np.zeros(N))[10:20]
    memory = memoryview(view)
    del view
    for i in range(3):
        kernel(np.full(N, float(i)))
    np.testing.assert_array_equal(np.asarray(memory), 1)


def test_results_are_ordinary_arrays(kernel: graphc.Kernel) -> None:
    result = kernel(np.zeros(N))
    assert type(result) is np.ndarray
    assert result.flags.owndata
    assert result.flags.writeable
    assert at(result) % 64 == 0
    result = result.copy()
    result[0] = 5
    large = kernel(np.zeros(N))
    large.resize(2 * N, refcheck=False)
    np.testing.assert_array_equal(large[:N], 1)
    large[:] = 3
    large.resize(10, refcheck=False)
    np.testing.assert_array_equal(large, 3)
    del large
    grown = kernel(np.zeros(N))
    grown.resize(3 * N, refcheck=False)
    del grown
    assert kept() >= 3 * N * 8
    again = kernel(np.zeros(3 * N))
    np.testing.assert_array_equal(again, 1)


def test_small_results_are_left_to_numpy(kernel: graphc.Kernel) -> None:
    del_me = kernel(np.zeros(100))
    del del_me
    assert kept() == 0


def test_little_is_kept(kernel: graphc.Kernel) -> None:
    results = [kernel(np.zeros(N + 10_000 * i)) for i in range(40)]
    largest = results[-1].nbytes
    results.clear()
    assert 0 < kept() <= 17 * largest
    caller().keep(5 * 1024 * 1024)
    assert kept() <= 5 * 1024 * 1024
    caller().keep(5 * 1024 * 1024)
    results = [kernel(np.zeros(N)) for i in range(4)]
    results.clear()
    assert kept() <= 5 * 1024 * 1024
    caller().keep(0)
    result = kernel(np.zeros(N))
    np.testing.assert_array_equal(result, 1)
    del result
    assert kept() == 0


def test_many_threads(kernel: graphc.Kernel) -> None:
    wrong: list[object] = []

    def work(value: float) -> None:
        x = np.full(N, value)
        for _ in range(20):
            result = kernel(x)
            if not (result == value + 1).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("text", "said"),
    [("2MiB", "2097152"), ("much", "GRAPHC_SPARE_MEMORY='much' is no number of bytes")],
)
def test_the_environment_sets_the_limit(text: str, said: str) -> None:
    program = (
        "from graphc.build import caller\n"
        "try: print(caller().limit())\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "GRAPHC_SPARE_MEMORY": text},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said in done.stdout, done.stderr
