"""The measurements as a page of the documentation and as the table of the README."""

import report
from timing import Result

PAGE = """# Measurements

Written by `docs/make.py --bench` from what `make bench` measured; [the same as a chart]({chart}).

{machine}.

Every family of peers runs in a process of its own, on as many cores as it has threads; all are
timed in turns, and the medians are shown. A peer was compared with a float64 NumPy reference before
it was timed. "bound" is `kernel.bind(...)`, which checks the arguments once. "lead" is how many
times as long the fastest peer takes as graphc; "of limit" sets graphc beside what the machine's
peak or bandwidth allows at most; "cost" is graphc's, on all threads together.

{limits}

{tables}

## Value and gradient, to the value alone

{ratios}

## Costs that jump

A FLOP that costs over {cliff} times what it costs at the neighbouring size: {cliffs}.

## Left out

{left_out}
"""


def loaded(run):
    """(results, limits by the number of threads) of results.json."""
    bounds = {int(threads): limit for threads, limit in run["limits"].items()}
    return [Result(**entry) for entry in run["results"]], bounds


def machine(run):
    """What was measured, and on what."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return f"{run['processor']}; {versions}"


def brief(run):
    """A row for each case of the numbered workloads that stands for others."""
    results, _ = loaded(run)
    groups, kept = report.grouped(results), {}
    for (workload, case, threads), group in groups.items():
        if workload.startswith("W") and not _stands_for_itself(workload, case):
            kept.setdefault((workload, case), {})[threads] = group
    many = sorted({threads for *_, threads in groups})
    headings = [""]
    for threads in many:
        headings += [f"graphc, {threads} thread{'s' * (threads > 1)}", "best peer", "lead"]
    rows = []
    for (workload, case), by_threads in kept.items():
        row = [f"{workload}, {case}"]
        for threads in many:
            group = by_threads.get(threads, {})
            mine, other = report.ours(group), report.best_peer(group)
            row.append(report.seconds(mine.median) if mine else "")
            row.append(f"{report.seconds(other.median)} {other.peer}" if other else "")
            row.append(f"{other.median / mine.median:.2f}" if mine and other else "")
        rows.append(row)
    return _table(headings, rows)


def _stands_for_itself(workload, case):
    """Shown only in docs/benchmarks.md."""
    shown = {"W4": ("16x64", "64x256"), "W5": ("NN, 256", "NN, 1024"), "W10": ("exp", "tanh")}
    chosen = shown.get(workload.split()[0])
    return chosen is not None and not case.endswith(chosen)


def _table(headings, rows):
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(run):
    """The text of docs/benchmarks.md."""
    results, bounds = loaded(run)
    tables = [
        f"## {head[0]}\n\n{_table(['', *head[1:]], rows)}"
        for head, rows in report.rows(results, bounds)
    ]
    found = {}
    for function, peer, ratio in report.ratios(results):
        found.setdefault(function, {})[peer] = f"{ratio:.2f}"
    peers = list(dict.fromkeys(peer for row in found.values() for peer in row))
    ratios = [[name, *(row.get(peer, "") for peer in peers)] for name, row in found.items()]
    jumps = [
        f"{worse.case} beside {better.case} ({factor:.1f}x, {worse.threads} thread(s))"
        for worse, better, factor in report.cliffs(results)
    ]
    peaks = [
        [str(threads), *(f"{limit[dtype] / 1e9:.0f} GFLOP/s" for dtype in ("float32", "float64"))]
        + [f"{rate / 1e9:.0f} GB/s" for _, rate in limit["bandwidth"]]
        for threads, limit in bounds.items()
        if limit
    ]
    sizes = [f"{size >> 10} KiB" for size, _ in next(iter(bounds.values()))["bandwidth"]]
    return PAGE.format(
        chart="benchmarks.svg",
        machine=machine(run),
        limits=_table(["threads", "float32", "float64", *sizes], peaks),
        tables="\n\n".join(tables),
        ratios=_table(["", *peers], ratios),
        cliff=report.CLIFF,
        cliffs="; ".join(jumps) or "none",
        left_out="\n".join(f"- {text}" for text in run["left_out"]) or "Nothing.",
    )
