"""The command `graphc`: compile, draw, explain, check and time functions from the shell.

Exit codes: 0 done, 1 a check failed, 2 bad input (usage, a function that cannot be traced), 3 the
C or a picture could not be built.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.syntax import Syntax

from graphc import build
from graphc.api import compile, in_c, options_for
from graphc.bench import bench as run_bench
from graphc.check import check as run_check
from graphc.cli.targets import UserError, arguments, load, run_users, sizes, split_names, traced
from graphc.cli.waiting import progress
from graphc.errors import BuildError, DrawError, GraphcError
from graphc.explain import explain as run_explain
from graphc.options import thread_count

EXIT_WRONG, EXIT_INPUT, EXIT_BUILD = 1, 2, 3

app = typer.Typer(
    name="graphc",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A NumPy function in; its gradient, its pictures and readable C out.\n\n"
    "Exit codes: 0 done, 1 a check failed, 2 bad input, 3 the C or a picture could not be built.",
)

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FUNCTION",
        help="`model.py:loss`, or `package.module:loss`.",
        show_default=False,
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TYPE",
        help="The type of each argument: `float64` (a number), `float32[n,784]`, "
        "`{W: float32[3,4], b: float32[4]}`, an example such as `0.5`, or the name of a value in "
        "the module (a tuple stands for several arguments); `x=float64` by name. Without any, "
        "the function's annotations are used.",
        show_default=False,
    ),
]
Grad = Annotated[
    str | None,
    typer.Option(
        "--grad",
        metavar="NAMES",
        help="With its gradient by these arguments: `w13,w24`.",
        show_default=False,
    ),
]
Sizes = Annotated[
    list[str] | None,
    typer.Option("-s", "--size", metavar="NAME=NUMBER", help="A run-time dimension: `n=1000`."),
]
Tune = Annotated[bool, typer.Option("--tune", help="Time variants of the C, and take the fastest.")]
Machine = Annotated[
    str | None,
    typer.Option(
        "--target", help="The machine: native, portable, or what -march= takes.", show_default=False
    ),
]
Threads = Annotated[
    str | None,
    typer.Option(help="How many threads a call may use: a number, or auto.", show_default=False),
]
Donated = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES", help="Arguments that results overwrite: `params`.", show_default=False
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(help="The most that the workspace may take: 256KiB.", show_default=False),
]
TrapNans = Annotated[
    bool, typer.Option("--trap-nans", help="Tell where the first nan or infinity is made.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@contextmanager
def sentences(debug: bool) -> Iterator[None]:
    """Errors become one sentence on stderr and an exit code."""
    try:
        yield
    except (GraphcError, UserError) as error:
        if debug:
            traceback.print_exc()
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"graphc: {error}", markup=False
        )
        built = isinstance(error, BuildError | DrawError)
        raise typer.Exit(EXIT_BUILD if built else EXIT_INPUT) from None


def say(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


# --- the commands --------------------------------------------------------------------------------


@app.command("compile", epilog="Example: `graphc compile model.py:loss float32[n,784] -o out/`")
def compile_command(
    target: Target,
    types: Types = None,
    grad: Grad = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.")] = Path("."),
    name: Annotated[
        str | None, typer.Option(help="The name of the C function.", show_default=False)
    ] = None,
    machine: Machine = None,
    threads: Threads = None,
    donate: Donated = None,
    memory: Memory = None,
    trap_nans: TrapNans = False,
    show: Annotated[bool, typer.Option("--show", help="Print the C as well.")] = False,
    tune: Tune = False,
    size: Sizes = None,
    debug: Debug = False,
) -> None:
    """Write a function as C, a .c and a .h, and see that it compiles.

    With --grad the function returns its value and then its gradient. With --tune run-time
    dimensions have 128 elements while it is timed, unless --size says otherwise.
    """
    with sentences(debug):
        asked: dict[str, Any] = {
            "target": machine,
            "threads": thread_count(threads) if threads else None,
            "donate": split_names(donate) or (),
            "memory": memory,
            "trap_nans": trap_nans,
        }
        with progress("tracing"):
            graph = traced(target, types, grad)
        if name:
            graph = graph.renamed(name)
        if tune:
            with progress("compiling and timing variants"):
                kernel = compile(graph, tune=sizes(size), **asked)
            unit = kernel.unit
        else:
            with progress("lowering to C"):
                _, unit = in_c(graph, options_for(graph, **asked))
        paths = build.export(out, unit)
        say(f"wrote {' and '.join(map(str, paths))}")
        if show:
            Console(soft_wrap=True).print(Syntax(unit.source, "c", background_color="default"))
        if not tune:
            with progress("compiling"):
                kernel = compile(graph, **asked)
        variant = f", variant: {kernel.variant}" if tune else ""
        say(f"{kernel.signature}, workspace {kernel.workspace_bytes} bytes{variant}")


@app.command("draw", epilog="Example: `graphc draw model.py:loss float64 float64 -o net.svg`")
def draw_command(
    target: Target,
    types: Types = None,
    grad: Grad = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The picture: .svg, .png, .pdf or .dot.")
    ] = Path("graph.svg"),
    view: Annotated[
        str,
        typer.Option(help="network (neurons), graph (operations) or kernels (loops)."),
    ] = "graph",
    debug: Debug = False,
) -> None:
    """Draw a function as a picture."""
    with sentences(debug):
        with progress("drawing"):
            traced(target, types, grad).draw(out, view=view)
        say(f"wrote {out}")


@app.command("explain", epilog="Example: `graphc explain model.py:loss float64 float64 --wrt w`")
def explain_command(
    target: Target,
    types: Types = None,
    wrt: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="The arguments to derive by: `w13,w24`.", show_default=False
        ),
    ] = None,
    given: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Values whose derivatives are known: `a_next`.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="A file: .html, .tex or .txt.", show_default=False),
    ] = None,
    debug: Debug = False,
) -> None:
    """Derive the gradient step by step, as one would on paper."""
    with sentences(debug):
        fn, module = load(target)
        args, named = arguments(fn, module, types or [])
        with progress("deriving"):
            derivation = run_users(
                lambda: run_explain(
                    fn, *args, wrt=split_names(wrt), given=split_names(given) or (), **named
                )
            )
        if out is None:
            say(str(derivation))
        else:
            say(f"wrote {derivation.save(out)}")


@app.command("check", epilog="Example: `graphc check model.py:loss float64[n] 0.5`")
def check_command(
    target: Target,
    types: Types = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="The largest relative difference that passes.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random arguments.")] = 0,
    debug: Debug = False,
) -> None:
    """Compare a function's C with NumPy, and its derivatives with finite differences."""
    with sentences(debug):
        fn, module = load(target)
        args, named = arguments(fn, module, types or [])
        with progress("comparing C with NumPy, and derivatives with differences"):
            report = run_users(
                lambda: run_check(fn, *args, tolerance=tolerance, seed=seed, **named)
            )
    say(str(report))
    if not report.ok:
        raise typer.Exit(EXIT_WRONG)


@app.command("bench", epilog="Example: `graphc bench model.py:loss float64[n,3] -s n=10000`")
def bench_command(
    target: Target,
    types: Types = None,
    size: Sizes = None,
    tune: Tune = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also show where the time of the C goes.")
    ] = False,
    draw: Annotated[
        Path | None,
        typer.Option("--draw", help="Draw the profile: .svg, .png, .pdf.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random arguments.")] = 0,
    debug: Debug = False,
) -> None:
    """Time a function and its gradient, in NumPy and in C.

    Arguments that are types get random values; run-time dimensions have 1000 elements unless
    --size says otherwise.
    """
    with sentences(debug):
        fn, module = load(target)
        args, named = arguments(fn, module, types or [])
        dims = sizes(size)
        with progress("compiling and timing"):
            found = run_users(
                lambda: run_bench(fn, *args, sizes=dims, seed=seed, tune=tune, **named)
            )
        say(str(found))
        if profile or draw:
            with progress("profiling"):
                profiled = found.profile()
            say(f"\n{profiled}")
            if draw:
                say(f"wrote {profiled.draw(draw)}")


def main() -> NoReturn:
    """The entry point."""
    app()
    raise SystemExit(0)
