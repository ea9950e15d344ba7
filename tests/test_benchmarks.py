"""The benchmarks compare before they time, and say what they leave out."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_only_right_and_installed_peers_are_timed() -> None:
    timing = importlib.import_module("timing")

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
    judged = timing.Judged(case, list(peers))
    assert list(judged.calls) == ["right"]
    assert judged.seconds("right", 1e-4) > 0
    text = "\n".join(judged.problems)
    assert "wrong is WRONG by 1.0e-03; not timed" in text
    assert "missing is not measured: No module named 'peer'" in text
    assert "failing fails: ZeroDivisionError" in text


def test_a_step_is_judged_by_how_far_it_moves() -> None:
    timing = importlib.import_module("timing")
    before, moved = np.array([100.0]), np.array([1e-3])
    peers = {"twice": lambda: lambda: before + 2 * moved, "once": lambda: lambda: before + moved}
    case = timing.Case("W0", "test", [moved], 1e-6, peers, [before])
    assert list(timing.Judged(case, list(peers)).calls) == ["once"]


def test_steps_that_go_on_are_judged_one_after_the_other() -> None:
    timing = importlib.import_module("timing")

    def counter():
        values = iter(range(1, 100))
        return lambda: next(values)

    reference = [np.asarray(1.0), np.asarray(2.0)]
    peers = {"goes on": counter, "stays": lambda: lambda: 1}
    case = timing.Case("W0", "test", reference, 1e-6, peers, judged=2)
    assert list(timing.Judged(case, list(peers)).calls) == ["goes on"]


def test_every_peer_has_its_turn_in_rotating_order() -> None:
    turns = importlib.import_module("timing").turns
    assert turns(["a", "b", "c"], 2) == ["a", "b", "c", "b", "c", "a"]
    assert turns([], 3) == []


@pytest.mark.parametrize(
    "module",
    [
        *("w1_scalar", "w2_laplace", "w3_mlp", "w4_dense", "w5_gemm", "w6_lenet", "w7_gpt"),
        *("w8_lstm", "w10_maths", "gradients", "shapes"),
    ],
)
def test_graphc_and_numpy_agree_with_the_reference(module: str) -> None:
    timing = importlib.import_module("timing")
    for make in importlib.import_module(module).cases(quick=True):
        case = make()
        judged = timing.Judged(case, [p for p in case.peers if p.startswith(("graphc", "NumPy"))])
        assert not judged.problems
        assert judged.calls.keys() >= {"graphc"}


def test_what_a_flop_costs_must_not_jump_between_neighbours() -> None:
    timing, report = importlib.import_module("timing"), importlib.import_module("report")

    def result(case, median, flops, threads=1):
        return timing.Result("W0", case, "graphc", median, median, 0.0, threads, flops)

    cheap, dear = result("sweep, 45", 1.0, 1e9), result("sweep, 46", 2.5, 1e9)
    assert report.cliffs([cheap, dear]) == [(dear, cheap, 2.5)]
    assert report.cliffs([dear, cheap]) == [(dear, cheap, 2.5)]
    assert report.cliffs([cheap, result("sweep, 90", 3.9, 2e9)]) == []
    assert report.cliffs([cheap, result("other, 46", 2.5, 1e9)]) == []
    assert report.cliffs([cheap, result("sweep, 46", 2.5, 1e9, threads=2)]) == []


def test_gradients_are_set_beside_their_functions() -> None:
    timing, report = importlib.import_module("timing"), importlib.import_module("report")
    results = [
        timing.Result("gradients", f"{name}, {what}", "graphc", median, median, 0.0)
        for name, what, median in (
            ("f, n=2", "value", 1.0),
            ("f, n=2", "value and gradient", 3.0),
            ("g", "value and gradient", 3.0),
        )
    ]
    assert list(report.ratios(results)) == [["f, n=2", "graphc", 3.0]]


def test_the_limit_is_that_of_the_slower_road() -> None:
    timing, limits = importlib.import_module("timing"), importlib.import_module("limits")
    bounds = {"float32": 1e9, "float64": 5e8, "bandwidth": [[100, 1e9], [1000, 1e8]]}

    def seconds(**work):
        return limits.seconds(timing.Result("W0", "test", "graphc", 1.0, 1.0, 0.0, **work), bounds)

    assert seconds(flops=1e9) == 1.0
    assert seconds(flops=1e9, dtype="float64") == 2.0
    assert seconds(flops=10.0, bytes=100.0) == 100 / 1e9
    assert seconds(bytes=1e6) == 1e6 / 1e8
    assert seconds() == 0.0
    busy = {"float32": 2e9, "float64": 1e8, "bandwidth": [[100, 5e8], [1000, 2e8]]}
    assert limits.larger(bounds, busy) == {
        "float32": 2e9,
        "float64": 5e8,
        "bandwidth": [[100, 1e9], [1000, 2e8]],
    }
    assert limits.larger(bounds, {}) == bounds


def test_the_documentation_shows_what_was_measured() -> None:
    timing, page = importlib.import_module("timing"), importlib.import_module("page")

    def result(workload, case, peer, median, threads=1, flops=0.0):
        return vars(timing.Result(workload, case, peer, median, median, 0.0, threads, flops))

    limits = {"float32": 1e9, "float64": 5e8, "bandwidth": [[1024, 1e9]]}
    run = {
        "processor": "a machine",
        "versions": {"graphc": "0.1", "numpy": "2.0"},
        "limits": {"1": limits, "2": limits},
        "left_out": ["W0 x: JAX is not measured: No module named 'jax'"],
        "results": [
            result("W5 matrix product", "float32, NN, 256", "graphc", 2e-3, 1, 1e6),
            result("W5 matrix product", "float32, NN, 256", "graphc bound", 1e-3, 1, 1e6),
            result("W5 matrix product", "float32, NN, 256", "NumPy", 3e-3, 1, 1e6),
            result("W5 matrix product", "float32, NN, 256", "graphc", 5e-4, 2, 1e6),
            result("W5 matrix product", "float32, NT, 256", "graphc", 2e-3, 1, 1e6),
            result("gradients", "f, value", "graphc", 1e-6),
            result("gradients", "f, value and gradient", "graphc", 2.5e-6),
            result("other shapes", "sweep, 45", "graphc", 1e-6, 1, 1e3),
            result("other shapes", "sweep, 46", "graphc", 4e-6, 1, 1e3),
        ],
    }
    brief = page.brief(run).splitlines()
    assert brief[2:] == [
        "| W5 matrix product, float32, NN, 256 | 1 ms | 3 ms NumPy | 3.00 | 500 µs |  |  |"
    ]
    text = page.page(run)
    row = "| float32, NN, 256 | 1 | 2 ms | 1 ms | 3 ms | 3.00x NumPy | 100% | 1 ns/FLOP |"
    assert row in text.splitlines()
    assert "| f | 2.50 |" in text
    assert "sweep, 46 beside sweep, 45 (4.0x, 1 thread(s))" in text
    assert "- W0 x: JAX is not measured" in text
    assert "a machine; graphc 0.1, numpy 2.0" in text


def test_a_quick_run_writes_its_results(tmp_path: Path) -> None:
    run = [sys.executable, BENCHMARKS / "run.py", "--quick", "--only", "W1,W4", "-o", tmp_path]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert "loss+grad" in printed
    facts = json.loads((tmp_path / "results.json").read_text())
    results = facts["results"]
    measured = {(r["workload"][:2], r["peer"]) for r in results}
    assert {("W1", "graphc"), ("W1", "graphc bound"), ("W1", "NumPy"), ("W4", "graphc")} <= measured
    assert all(r["error"] < 1e-4 for r in results)
    limits = facts["limits"]["1"]
    assert limits["float32"] > 1e8
    assert limits["float64"] > 1e8
    assert all(rate > 1e7 for _, rate in limits["bandwidth"])
    assert "<svg" in (tmp_path / "chart.svg").read_text()


def test_a_process_that_crashes_is_named_and_others_go_on(tmp_path: Path) -> None:
    """A workload whose numba peer ends its process."""
    (tmp_path / "w0.py").write_text(
        "import os, numpy as np\n"
        "from timing import Case\n"
        "def cases(quick):\n"
        "    peers = {'NumPy': lambda: lambda: 1.0, 'numba': lambda: lambda: os._exit(3)}\n"
        "    return [lambda: Case('W0', str(i), [np.asarray(1.0)], 0, peers) for i in range(2)]\n"
    )
    program = (
        "import sys\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(BENCHMARKS)!r}]\n"
        "import crew\n"
        "if __name__ == '__main__':\n"
        "    with crew.Crew(('NumPy', 'numba'), 1, True, print) as workers:\n"
        "        print([r.peer for r in workers.run('w0', 2, 1e-3)])\n"
    )
    (tmp_path / "main.py").write_text(program)
    run = subprocess.run(
        [sys.executable, tmp_path / "main.py"], capture_output=True, text=True, check=True
    )
    assert run.stdout.count("the process of numba has crashed") == 2
    assert "['NumPy', 'NumPy']" in run.stdout
