"""Calls timed in turns, so that the machine's noise hits all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

ROUNDS, BUDGET = 7, 0.02
"""How often each call is timed, and seconds of calls each time."""

K = TypeVar("K")
Call = Callable[[], object]
Clock = Callable[[], float]


def medians(
    calls: Mapping[K, Call], most: float = math.inf, clock: Clock = time.perf_counter
) -> dict[K, float]:
    """Seconds a call, every way in its turn; after `most` seconds no round begins but the first."""
    start = clock()
    repeats = {key: _repeats(call) for key, call in calls.items()}
    samples: dict[K, list[float]] = {key: [] for key in calls}
    for done in range(ROUNDS):
        if done and clock() - start > most:
            break
        for key, call in calls.items():
            samples[key].append(_seconds(call, repeats[key], clock))
    return {key: float(np.median(found)) for key, found in samples.items()}


def _seconds(call: Call, repeats: int, clock: Clock) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


def _repeats(call: Call) -> int:
    call()
    return max(1, min(100_000, int(BUDGET / max(_seconds(call, 1, time.perf_counter), 1e-9))))
