"""The benchmarks compare before they time, and say what they leave out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def timing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import timing

    return timing


def test_only_right_and_installed_peers_are_timed(timing) -> None:
    def missing():
        raise ImportError("No module named 'peer'")

    right = np.array([1.0, 2.0])
    peers = {
        "right": lambda: lambda: (right, 3.0),
        "wrong": lambda: lambda: (right * 1.001, 3.0),
        "missing": missing,
        "failing": lambda: lambda: 1 // 0,
    }
    case = timing.Case("W0", "test", [right, np.array(3.0)], 1e-6, peers)
    said: list[str] = []
    results = timing.run(case, 2, 1e-4, said.append)
    assert [r.peer for r in results] == ["right"]
    assert 0 < results[0].fastest <= results[0].median
    text = "\n".join(said)
    assert "wrong is WRONG by 1.0e-03; not timed" in text
    assert "missing is not measured: No module named 'peer'" in text
    assert "failing fails: ZeroDivisionError" in text


def test_a_step_is_judged_by_how_far_it_moves(timing) -> None:
    before, moved = np.array([100.0]), np.array([1e-3])
    peers = {"twice": lambda: lambda: before + 2 * moved, "once": lambda: lambda: before + moved}
    case = timing.Case("W0", "test", [moved], 1e-6, peers, [before])
    assert [r.peer for r in timing.run(case, 1, 1e-4, lambda text: None)] == ["once"]


def test_a_quick_run_writes_its_results(tmp_path: Path) -> None:
    run = [sys.executable, BENCHMARKS / "run.py", "--quick", "--only", "W1,W4", "-o", tmp_path]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert "W1 scalar loss+grad" in printed
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    measured = {(r["workload"][:2], r["peer"]) for r in results}
    assert {("W1", "graphc"), ("W1", "graphc bound"), ("W1", "NumPy"), ("W4", "graphc")} <= measured
    assert all(r["error"] < 1e-4 for r in results)
    assert "<svg" in (tmp_path / "chart.svg").read_text()
