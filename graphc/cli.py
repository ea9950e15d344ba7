"""The command `graphc`: compile, draw, explain and check functions from the shell.

Exit codes: 0 done, 1 a check failed, 2 bad input (usage, a function that cannot be traced), 3 the
C or a picture could not be built.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.syntax import Syntax

from graphc import build
from graphc.api import Graph, compile, in_c, trace
from graphc.check import check as run_check
from graphc.errors import BuildError, DrawError, GraphcError
from graphc.explain import explain as run_explain
from graphc.types import DTYPES, DType, TensorType

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


class UserError(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def say(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


# --- what the user names -------------------------------------------------------------------------


def load(target: str) -> tuple[Callable[..., Any], ModuleType]:
    """The function that ``module.py:function`` names, and its module.

    Raises:
        UserError: there is no such file, module or function, or importing it fails.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UserError(f"{target!r} does not name a function; write module.py:function")
    try:
        module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"cannot import {place}: {_described(error)}") from error
    fn = getattr(module, name, None)
    if not callable(fn):
        found = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise UserError(f"{place} has no function {name!r}; it has {', '.join(found) or 'none'}")
    return fn, module


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent.resolve()))  # as when Python runs the file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, "")
    return importlib.import_module(name)


def _described(error: BaseException) -> str:
    """The error, and the line of the user's that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parent)
    places = [f for f in frames if not f.filename.startswith((own, "<frozen"))]
    place = f" at {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return f"{type(error).__name__}: {error}{place}"


def arguments(
    fn: Callable[..., Any], module: ModuleType, texts: Sequence[str]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword types from the command line, or from annotations.

    Raises:
        UserError: a text that is no type, or an argument that has none.
    """
    args: list[Any] = []
    named: dict[str, Any] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        if equals and name.strip().isidentifier():
            named[name.strip()] = parse(rest, module)
        else:
            value = parse(text, module)
            args += value if isinstance(value, tuple) else [value]
    if not texts:
        named = _annotated(fn)
    return args, named


def _annotated(fn: Callable[..., Any]) -> dict[str, Any]:
    """The types that the parameters are annotated with; those with defaults may have none."""
    found: dict[str, Any] = {}
    missing = []
    for name, parameter in inspect.signature(fn, eval_str=True).parameters.items():
        if isinstance(parameter.annotation, DType | TensorType):
            found[name] = parameter.annotation
        elif parameter.default is parameter.empty:
            missing.append(name)
    if missing:
        raise UserError(
            f"what are the types of {', '.join(missing)}? Give one for each argument, such as "
            "float64 or float32[n,784], or annotate the function: x: graphc.float64"
        )
    return found


def parse(text: str, module: ModuleType) -> Any:
    """The type or example that a text stands for.

    Raises:
        UserError: it stands for neither.
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, module)
    except (SyntaxError, ValueError, AttributeError):
        raise UserError(
            f"{text!r} is not a type; write float64 for a number, float32[n,784] for an array, "
            "{W: float32[3,4]} for a dict, or the name of a value in the module"
        ) from None


def _value(node: ast.expr, module: ModuleType) -> Any:
    match node:
        case ast.Name(id=name) if name in DTYPES or name == "bool_":
            return DTYPES[name.rstrip("_")]
        case ast.Name(id=name):
            value = getattr(module, name)
            return value() if inspect.isfunction(value) else value
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in DTYPES:
            sizes = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return DTYPES[name][tuple(map(_size, sizes))]
        case ast.Tuple(elts=parts):
            return tuple(_value(part, module) for part in parts)
        case ast.List(elts=parts):
            return [_value(part, module) for part in parts]
        case ast.Dict(keys=keys, values=values):
            return {
                _key(key): _value(value, module) for key, value in zip(keys, values, strict=True)
            }
        case _:
            return ast.literal_eval(node)


def _key(node: ast.expr | None) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant):
        return node.value
    raise ValueError(node)


def _size(node: ast.expr) -> int | str:
    size = node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
    if not isinstance(size, int | str):
        raise ValueError(size)
    return size


def traced(target: str, texts: Sequence[str] | None, grad: str | None) -> Graph:
    """The graph of what the command line names, with its gradient if asked for."""
    fn, module = load(target)
    args, named = arguments(fn, module, texts or [])
    graph = _user(lambda: trace(fn, *args, **named))
    return graph.grad(_names(grad), value=True) if grad else graph


def _user(run: Callable[[], Any]) -> Any:
    """What `run` returns; an error of the user's own code becomes a sentence."""
    try:
        return run()
    except GraphcError:
        raise
    except Exception as error:
        raise UserError(f"the function raised {_described(error)}") from error


def _names(text: str | None) -> str | list[str] | None:
    """A name, or several between commas."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    return names[0] if len(names) == 1 else names or None


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
    show: Annotated[bool, typer.Option("--show", help="Print the C as well.")] = False,
    debug: Debug = False,
) -> None:
    """Write a function as C, a .c and a .h, and see that it compiles.

    With --grad the function returns its value and then its gradient.
    """
    with sentences(debug):
        graph = traced(target, types, grad)
        if name:
            graph = graph.renamed(name)
        _, unit = in_c(graph)
        paths = build.export(out, unit)
        say(f"wrote {' and '.join(map(str, paths))}")
        if show:
            Console(soft_wrap=True).print(Syntax(unit.source, "c", background_color="default"))
        kernel = compile(graph)
        say(f"{kernel.signature}, workspace {kernel.workspace_bytes} bytes")


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
        derivation = _user(
            lambda: run_explain(fn, *args, wrt=_names(wrt), given=_names(given) or (), **named)
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
        report = _user(lambda: run_check(fn, *args, tolerance=tolerance, seed=seed, **named))
    say(str(report))
    if not report.ok:
        raise typer.Exit(EXIT_WRONG)


def main() -> NoReturn:
    """The entry point."""
    app()
    raise SystemExit(0)
