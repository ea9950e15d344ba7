"""Measure graphc beside NumPy and whichever of its peers are installed.

python benchmarks/run.py [--quick] [--only W1,W3] [--threads 1] [-o out/bench]

Every peer is compared with a float64 NumPy reference before it is timed. Prints a table; writes
results.json and chart.svg to the folder.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repetitions")
    parser.add_argument("--only", default="", help="workloads, such as W1,W3")
    parser.add_argument("--threads", type=int, default=1, help="for every peer; 1 pins to a core")
    parser.add_argument("-o", "--out", type=Path, default=Path("out/bench"))
    return parser.parse_args()


def limit_threads(threads):
    """Before the peers are imported: they read these once."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if threads == 1:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def measure(options, tell):
    """The results of all workloads asked for."""
    import timing
    import w1_scalar
    import w2_laplace
    import w3_mlp
    import w4_dense
    import w9_latency

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(options.threads)
    workloads = {"W1": w1_scalar, "W2": w2_laplace, "W3": w3_mlp, "W4": w4_dense}
    chosen = options.only.split(",") if options.only else [*workloads, "W9"]
    rounds, budget = (3, 0.01) if options.quick else (9, 0.05)
    found = []
    for name in chosen:
        if name == "W9":
            found += w9_latency.results(options.quick, tell)
        elif name in workloads:
            for case in workloads[name].cases(options.quick):
                found += timing.run(case, rounds, budget, tell)
        else:
            sys.exit(f"there is no workload {name}; choose from {', '.join(workloads)}, W9")
    return found


def grouped(results):
    """{(workload, case): results, fastest first}."""
    groups = {}
    for result in results:
        groups.setdefault((result.workload, result.case), []).append(result)
    return {key: sorted(group, key=lambda r: r.median) for key, group in groups.items()}


def seconds(value):
    """0.00000123 is 1.23 µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def ours(group):
    """What the others are compared with: a plain call of graphc."""
    return next((r for r in group if r.peer == "graphc"), group[0])


def show(results, console):
    from rich.table import Table

    for (workload, case), group in grouped(results).items():
        table = Table(title=f"{workload}: {case}", title_justify="left", min_width=64)
        for heading in ("peer", "median", "fastest", "to graphc"):
            table.add_column(heading, justify="left" if heading == "peer" else "right")
        for r in group:
            ratio = f"{r.median / ours(group).median:.2f}"
            table.add_row(r.peer, seconds(r.median), seconds(r.fastest), ratio)
        console.print(table)


def chart(results, path):
    """A panel a case: how long each peer takes; graphc's bars are coloured."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "graphc"}  # text stays text

    groups = grouped(results)
    heights = [len(group) + 1.5 for group in groups.values()]
    figure, panels = plt.subplots(
        len(groups),
        1,
        squeeze=False,
        layout="constrained",
        figsize=(7, 0.24 * sum(heights)),
        height_ratios=heights,
    )
    for axes, ((workload, case), group) in zip(panels[:, 0], groups.items(), strict=True):
        colours = ["tab:blue" if r.peer.startswith("graphc") else "0.7" for r in group]
        bars = axes.barh([r.peer for r in group], [r.median for r in group], color=colours)
        axes.bar_label(bars, [seconds(r.median) for r in group], padding=3, fontsize=8)
        axes.set_title(f"{workload}: {case}", loc="left", fontsize=9)
        axes.set_xscale("log")
        axes.set_xlim(group[0].median / 2, group[-1].median * 4)
        axes.invert_yaxis()
        axes.xaxis.set_visible(False)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def versions():
    """Of everything that was measured."""
    names = ("graphc", "numpy", "jax", "torch", "numba", "casadi")
    return {name: sys.modules[name].__version__ for name in names if name in sys.modules}


def main():
    options = arguments()
    limit_threads(options.threads)
    from rich.console import Console

    console = Console()
    sys.path.insert(0, str(Path(__file__).parent))
    results = measure(options, console.print)
    show(results, console)
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "threads": options.threads,
        "versions": versions(),
        "results": [vars(r) for r in results],
    }
    (options.out / "results.json").write_text(json.dumps(facts, indent=1) + "\n")
    chart(results, options.out / "chart.svg")
    console.print(f"wrote results.json and chart.svg to {options.out}")


if __name__ == "__main__":
    main()
