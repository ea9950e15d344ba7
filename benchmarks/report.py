"""What was measured, as tables and as charts."""

import limits

PEERS = (
    "graphc",
    "graphc bound",
    "graphc jit",
    "NumPy",
    "numba by hand",
    "CasADi C",
    "JAX",
    "torch",
    "torch.compile",
)
UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
CLIFF = 2.0
"""How much more a FLOP may cost than with the neighbouring size."""


def seconds(value):
    """0.00000123 is 1.23 µs."""
    for unit, size in UNITS:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def grouped(results):
    """{(workload, case, threads): {peer: result}}, in the order of measurement."""
    groups = {}
    for result in results:
        key = result.workload, result.case, result.threads
        groups.setdefault(key, {})[result.peer] = result
    return groups


def ours(group):
    """The fastest way into the C that was measured."""
    mine = [r for peer, r in group.items() if peer.startswith("graphc")]
    return min(mine, key=lambda r: r.median, default=None)


def best_peer(group):
    """The fastest that is not graphc."""
    others = [r for peer, r in group.items() if not peer.startswith("graphc")]
    return min(others, key=lambda r: r.median, default=None)


def of_limit(group, bounds):
    """How much of what the machine could do graphc does, such as "87 %"; "" if not known."""
    mine = ours(group)
    limit = limits.seconds(mine, bounds) if mine else 0.0
    return f"{limit / mine.median:.0%}" if limit else ""


def cost(result):
    """What a FLOP or an element costs; "" where neither is counted."""
    units = result.flops or result.elements
    if not units:
        return ""
    return f"{result.median / units * 1e9:.3g} ns/{'FLOP' if result.flops else 'element'}"


def lead(group):
    """How many times as long the best peer takes, such as "1.3x JAX"; "" without peers."""
    mine, other = ours(group), best_peer(group)
    return f"{other.median / mine.median:.2f}x {other.peer}" if mine and other else ""


def rows(results, bounds):
    """(headings, rows) for each workload: a row a case and number of threads, a column a peer."""
    tables = {}
    for (workload, case, threads), group in grouped(results).items():
        tables.setdefault(workload, []).append((case, threads, group))
    for workload, entries in tables.items():
        found = {peer for _, _, group in entries for peer in group}
        peers = [peer for peer in PEERS if peer in found] + sorted(found - set(PEERS))
        headings = [workload, "threads", *peers, "lead", "of limit", "cost"]
        lines = []
        for case, threads, group in entries:
            mine = ours(group)
            times = [seconds(group[p].median) if p in group else "" for p in peers]
            spent = cost(mine) if mine else ""
            tail = [lead(group), of_limit(group, bounds.get(threads)), spent]
            lines.append([case, str(threads), *times, *tail])
        kept = [i for i, _ in enumerate(headings) if any(line[i] for line in lines)]
        yield [headings[i] for i in kept], [[line[i] for i in kept] for line in lines]


def show(results, bounds, console):
    from rich.table import Table

    for headings, lines in rows(results, bounds):
        table = Table(title_justify="left")
        for i, heading in enumerate(headings):
            table.add_column(heading, justify="left" if i == 0 else "right", overflow="fold")
        for line in lines:
            table.add_row(*line)
        console.print(table)


def cliffs(results):
    """(result, neighbour, factor): FLOPs that cost over CLIFF times those of the next size.

    A case is the neighbour of the one before it in the same sweep: its name up to the last comma.
    """
    found, last = [], None
    for (workload, case, threads), group in grouped(results).items():
        mine, sweep = ours(group), (workload, case.rpartition(",")[0], threads)
        if mine is None or not mine.flops or "," not in case:
            last = None
            continue
        if last and last[0] == sweep:
            a, b = last[1].median / last[1].flops, mine.median / mine.flops
            worse, better = (mine, last[1]) if b > a else (last[1], mine)
            if max(a, b) / min(a, b) > CLIFF:
                found.append((worse, better, max(a, b) / min(a, b)))
        last = sweep, mine
    return found


def ratios(results):
    """[function, peer, ratio]: how many times as long value and gradient take as the value."""
    found = {}
    for (workload, case, _), group in grouped(results).items():
        function, _, what = case.rpartition(", ")
        if workload.startswith("gradient") and what == "value":
            found[function] = group
        elif function in found:
            for peer, r in group.items():
                if peer in found[function]:
                    yield [function, peer, r.median / found[function][peer].median]


def show_ratios(results, console):
    from rich.table import Table

    found = {}
    for function, peer, ratio in ratios(results):
        found.setdefault(function, {})[peer] = f"{ratio:.2f}"
    if not found:
        return
    peers = list(dict.fromkeys(peer for row in found.values() for peer in row))
    table = Table("value and gradient / value", *peers)
    for function, row in found.items():
        table.add_row(function, *(row.get(peer, "") for peer in peers))
    console.print(table)


MARKS = {"NumPy": "s", "numba by hand": "P", "CasADi C": "X", "JAX": "^", "torch": "v"}


def chart(results, path):
    """A line a case: how many times as long as graphc each peer takes; a panel a workload."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "graphc"}  # text stays text
    panels = {}
    for (workload, case, threads), group in grouped(results).items():
        if ours(group) and best_peer(group):
            panels.setdefault((workload, threads), {})[case] = group
    if not panels:
        return
    heights = [len(cases) + 2.5 for cases in panels.values()]
    figure, all_axes = plt.subplots(
        len(panels),
        1,
        squeeze=False,
        layout="constrained",
        figsize=(8, 1 + 0.19 * sum(heights)),
        height_ratios=heights,
        sharex=True,
    )
    for axes, ((workload, threads), cases) in zip(all_axes[:, 0], panels.items(), strict=True):
        _panel(axes, cases)
        plural = "" if threads == 1 else "s"
        axes.set_title(f"{workload}, {threads} thread{plural}", loc="left", fontsize=9)
    figure.legend(*_legend(all_axes[:, 0]), loc="outside upper left", ncols=6, fontsize=8)
    figure.supxlabel("times as long as graphc takes; left of 1 is faster than graphc", fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _panel(axes, cases):
    names = list(cases)
    for peer in dict.fromkeys(peer for group in cases.values() for peer in group):
        if peer.startswith("graphc"):
            continue
        points = [
            (group[peer].median / ours(group).median, y)
            for y, group in enumerate(cases.values())
            if peer in group
        ]
        mark = MARKS.get(peer, "o")
        axes.plot(*zip(*points, strict=True), mark, label=peer, markersize=5, alpha=0.8)
        axes.lines[-1].set_color(f"C{(list(MARKS).index(peer) if peer in MARKS else 5) + 1}")
    axes.axvline(1, color="tab:blue")
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", alpha=0.3)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(all_axes):
    entries = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)
