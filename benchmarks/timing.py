"""One workload at one size: what must come out, and the peers that compute it.

A peer is first compared with a float64 reference; one that is wrong or not installed is not timed.
"""

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Call = Callable[[], object]


@dataclass
class Case:
    """One workload at one size."""

    workload: str
    name: str
    reference: list[np.ndarray]
    """What every call must return, flat, in float64."""
    tolerance: float
    """Largest difference from the reference, relative to the largest magnitude of each array."""
    peers: dict[str, Callable[[], Call]]
    """make() -> call; make raises ImportError where the peer is not installed."""
    before: list[np.ndarray] = field(default_factory=list)
    """Subtracted from the results first: a step of training is judged by how far it moves."""
    judged: int = 1
    """So many calls are compared, one after the other: steps that go on where the last ended."""
    flops: float = 0.0
    """Additions and multiplications that no implementation can do without; 0: not counted."""
    bytes: float = 0.0
    """Read and written at least once, whatever the implementation; 0: not counted."""
    dtype: str = "float32"
    elements: float = 0.0
    """What the cost is stated by where it is not FLOPs."""


@dataclass
class Result:
    """Seconds a call took: the median, and the fastest round."""

    workload: str
    case: str
    peer: str
    median: float
    fastest: float
    error: float
    threads: int = 1
    flops: float = 0.0
    bytes: float = 0.0
    dtype: str = "float32"
    elements: float = 0.0


def threads() -> int:
    """How many every peer may use in this process."""
    return int(os.environ.get("BENCH_THREADS", "1"))


class Judged:
    """The calls of some peers of a case that are installed and right, and why others are not."""

    def __init__(self, case: Case, names: list[str]) -> None:
        self.calls: dict[str, Call] = {}
        self.errors: dict[str, float] = {}
        self.problems: list[str] = []
        self._repeats: dict[str, int] = {}
        for name in names:
            problem = self._judge(case, name)
            if problem:
                self.problems.append(f"{case.workload} {case.name}: {name} {problem}")

    def _judge(self, case: Case, name: str) -> str:
        """What is wrong with the peer; "" if it is to be timed."""
        try:
            call = case.peers[name]()
            error = difference([call() for _ in range(case.judged)], case)
        except ImportError as problem:
            return f"is not measured: {problem}"
        except Exception as problem:  # noqa: BLE001 -- a peer that fails is named and left out
            return f"fails: {type(problem).__name__}: {problem}"[:300]
        if not error <= case.tolerance:
            return f"is WRONG by {error:.1e}; not timed"
        self.calls[name], self.errors[name] = call, error
        return ""

    def seconds(self, name: str, budget: float) -> float:
        """Seconds per call, the mean over `budget` seconds of calls."""
        call = self.calls[name]
        if name not in self._repeats:
            self._repeats[name] = _repeats(call, budget)
        many = range(self._repeats[name])
        _settle(call)
        start, worked = time.perf_counter(), time.process_time()
        for _ in many:
            call()
        taken, worked = time.perf_counter() - start, time.process_time() - worked
        # One core at work shows the same on both clocks, but for what other programs take of it.
        return (min(taken, worked) if threads() == 1 else taken) / len(many)


def turns(names: list[str], rounds: int) -> list[str]:
    """Every peer once a round, in rotating order, so that noise hits all alike."""
    order = []
    for r in range(rounds):
        turn = r % len(names) if names else 0
        order += names[turn:] + names[:turn]
    return order


def difference(result: object, case: Case) -> float:
    """The largest difference, relative to the largest magnitude of each reference array."""
    got = [np.asarray(x, np.float64) for x in _flat(result)]
    if len(got) != len(case.reference):
        raise ValueError(f"{len(got)} results for {len(case.reference)}")
    before = case.before or [np.zeros(())] * len(got)
    return max(
        float(np.max(np.abs(a.reshape(b.shape) - c - b), initial=0.0))
        / float(np.max(np.abs(b), initial=0.0) or 1.0)
        for a, b, c in zip(got, case.reference, before, strict=True)
    )


def _flat(result: object) -> list[object]:
    if isinstance(result, list | tuple):
        return [part for x in result for part in _flat(x)]
    if isinstance(result, dict):
        return [part for key in sorted(result) for part in _flat(result[key])]
    return [result.detach() if hasattr(result, "detach") else result]


def _repeats(call: Call, budget: float) -> int:
    call()
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    if first > budget / 10:
        return max(1, int(budget / first))
    gc.collect()
    start, many = time.perf_counter(), 0
    while time.perf_counter() - start < budget / 10:
        call()
        many += 1
    return max(1, 10 * many)


def _settle(call: Call, seconds: float = 0.003) -> None:
    """Calls until another peer's threads sleep and the caches hold this one's data."""
    start = time.perf_counter()
    call()
    while time.perf_counter() - start < seconds:
        call()
