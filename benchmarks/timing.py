"""Peers are timed in turns in one process, so that noise hits all alike; medians are reported.

A peer is first compared with a float64 reference; one that is wrong or not installed is not timed.
"""

import statistics
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


@dataclass
class Result:
    """Seconds a call took: the median, and the fastest round."""

    workload: str
    case: str
    peer: str
    median: float
    fastest: float
    error: float


def run(case: Case, rounds: int, budget: float, tell: Callable[[str], None]) -> list[Result]:
    """Time every peer of the case that is installed and right; `budget` seconds a peer a round."""
    calls: dict[str, Call] = {}
    errors: dict[str, float] = {}
    for peer, make in case.peers.items():
        try:
            call = make()
            errors[peer] = _error(call(), case)
        except ImportError as error:
            tell(f"{case.workload} {case.name}: {peer} is not measured: {error}")
            continue
        except Exception as error:  # noqa: BLE001 -- a peer that fails is named and left out
            tell(
                f"{case.workload} {case.name}: {peer} fails: {type(error).__name__}: {error}"[:200]
            )
            continue
        if not errors[peer] <= case.tolerance:
            tell(f"{case.workload} {case.name}: {peer} is WRONG by {errors[peer]:.1e}; not timed")
            continue
        calls[peer] = call
    times = _rounds(calls, rounds, budget)
    return [
        Result(case.workload, case.name, peer, statistics.median(found), min(found), errors[peer])
        for peer, found in times.items()
    ]


def _error(result: object, case: Case) -> float:
    """The largest difference, relative to the largest magnitude of each reference array."""
    got = [np.asarray(x, np.float64) for x in _flat(result)]
    if len(got) != len(case.reference):
        raise ValueError(f"{len(got)} results for {len(case.reference)}")
    before = case.before or [np.zeros(())] * len(got)
    return max(
        float(np.max(np.abs(a.reshape(b.shape) - c - b)) / (np.max(np.abs(b)) or 1.0))
        for a, b, c in zip(got, case.reference, before, strict=True)
    )


def _flat(result: object) -> list[object]:
    if isinstance(result, list | tuple):
        return [part for x in result for part in _flat(x)]
    if isinstance(result, dict):
        return [part for key in sorted(result) for part in _flat(result[key])]
    return [result.detach() if hasattr(result, "detach") else result]


def _rounds(calls: dict[str, Call], rounds: int, budget: float) -> dict[str, list[float]]:
    """Seconds per call of every round, the peers in rotating order."""
    repeats = {peer: _repeats(call, budget) for peer, call in calls.items()}
    times: dict[str, list[float]] = {peer: [] for peer in calls}
    names = list(calls)
    for r in range(rounds):
        turn = r % len(names) if names else 0
        for peer in names[turn:] + names[:turn]:
            call, many = calls[peer], range(repeats[peer])
            _settle(call)
            start = time.perf_counter()
            for _ in many:
                call()
            times[peer].append((time.perf_counter() - start) / len(many))
    return times


def _repeats(call: Call, budget: float) -> int:
    call()
    start = time.perf_counter()
    call()
    return max(1, int(budget / max(time.perf_counter() - start, 1e-9)))


def _settle(call: Call, seconds: float = 0.003) -> None:
    """Calls until another peer's threads sleep and the caches hold this one's data."""
    start = time.perf_counter()
    call()
    while time.perf_counter() - start < seconds:
        call()
