"""Measure graphc beside NumPy and whichever of its peers are installed.

python benchmarks/run.py [--quick] [--only W1,W3] [--threads 1,2] [-o out/bench]

Every peer is compared with a float64 NumPy reference before it is timed. Prints tables; writes
results.json and chart.svg to the folder.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import crew
import limits
import report
from timing import Result

WORKLOADS = {
    "W1": "w1_scalar",
    "W2": "w2_laplace",
    "W3": "w3_mlp",
    "W4": "w4_dense",
    "W5": "w5_gemm",
    "W6": "w6_lenet",
    "W7": "w7_gpt",
    "W8": "w8_lstm",
    "W9": "w9_latency",
    "W10": "w10_maths",
    "compile": "compile_time",
    "gradients": "gradients",
    "shapes": "shapes",
}
ALONE = ("W1", "W9", "compile", "gradients")
"""Measured on one thread only: nothing in them repays a second one."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="fewer sizes and repetitions; no peers but NumPy"
    )
    parser.add_argument("--only", default="", help=f"some of {','.join(WORKLOADS)}, such as W1,W3")
    parser.add_argument("--threads", default="", help="for every peer, such as 1,2")
    parser.add_argument("-o", "--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)  # of another run
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else list(WORKLOADS)
    for name in options.only:
        if name not in WORKLOADS:
            parser.error(f"there is no workload {name}; choose from {', '.join(WORKLOADS)}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    default = "1" if options.quick or cores < 2 else "1,2"
    options.threads = [int(part) for part in (options.threads or default).split(",")]
    return options


def measure(options, threads, tell):
    """(results, limits) on so many threads; limits the threads of this process for good."""
    crew.limit_threads(threads)
    rounds, budget = (3, 0.01) if options.quick else (7, 0.04)
    families = ("graphc", "NumPy") if options.quick else crew.FAMILIES
    found, bounds = [], limits.measure(threads, tell)
    with crew.Crew(families, threads, options.quick, tell) as workers:
        for name in options.only:
            if threads > 1 and name in ALONE:
                continue
            start = time.perf_counter()
            if name in ("W9", "compile"):
                module = importlib.import_module(WORKLOADS[name])
                found += module.results(options.quick, tell)
            else:
                found += workers.run(WORKLOADS[name], rounds, budget)
            tell(f"{name} on {threads} thread(s): {time.perf_counter() - start:.0f} s")
    return found, limits.larger(bounds, limits.measure(threads, tell))


def measure_in_child(options, threads):
    """The same in a process of its own, which leaves this one's threads alone."""
    folder = options.out / f"{threads}-threads"
    command = [sys.executable, __file__, "--only", ",".join(options.only), "-o", folder]
    command += ["--threads", str(threads), "--part", *(["--quick"] if options.quick else [])]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"the run on {threads} thread(s) failed")
    run = json.loads((folder / "results.json").read_text())
    return run["results"], {int(k): v for k, v in run["limits"].items()}, run["left_out"]


def versions():
    """Of everything that can have been measured."""
    found = {}
    for name in ("graphc", "numpy", "jax", "torch", "numba", "casadi"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor():
    """The name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    options = arguments()
    from rich.console import Console

    console = Console()
    console.width = max(console.width, 150)
    said = []

    def tell(text):
        said.append(text)
        console.print(text, style="dim", highlight=False, markup=False)

    if len(options.threads) == 1:
        (threads,) = options.threads
        results, bounds = measure(options, threads, tell)
        bounds = {threads: bounds}
    else:
        results, bounds = [], {}
        for threads in options.threads:
            found, its, its_said = measure_in_child(options, threads)
            results += [Result(**r) for r in found]
            bounds |= its
            said += its_said
    left_out = [text for text in said if not text.endswith(" s")]
    write(options.out, results, bounds, left_out)
    if options.part:
        return
    report.show(results, bounds, console)
    report.show_ratios(results, console)
    for worse, better, factor in report.cliffs(results):
        tell(
            f"cliff: {worse.workload} {worse.case} costs {factor:.1f} times as much a FLOP "
            f"as {better.case} ({worse.threads} thread(s))"
        )
    for text in left_out:
        console.print(text, style="dim", highlight=False, markup=False)
    console.print(f"wrote results.json and chart.svg to {options.out}")


def write(folder, results, bounds, left_out):
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "machine": platform.machine(),
        "processor": processor(),
        "python": platform.python_version(),
        "versions": versions(),
        "limits": bounds,
        "left_out": left_out,
        "results": [vars(r) for r in results],
    }
    (folder / "results.json").write_text(json.dumps(facts, indent=1) + "\n")
    report.chart(results, folder / "chart.svg")


if __name__ == "__main__":
    main()
