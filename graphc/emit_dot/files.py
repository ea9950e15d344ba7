"""DOT text -> svg, png, pdf or DOT files, through the program ``dot`` of Graphviz."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from graphc.emit_dot.kernels import Heat, kernels
from graphc.emit_dot.network import network
from graphc.emit_dot.operations import graph_view
from graphc.errors import DrawError
from graphc.graph import Graph
from graphc.loops import Program

TEXT = ("dot", "gv")
FORMATS = ("svg", "png", "pdf", *TEXT)
VIEWS = ("graph", "network", "kernels")
INSTALL = (
    "install it with `apt install graphviz`, `brew install graphviz` or `conda install graphviz`"
)


def dot_text(
    graph: Graph,
    view: str,
    program: Program | None = None,
    weights: Collection[str] | None = None,
    heat: Sequence[Heat] = (),
) -> str:
    """The DOT text of one view of the graph.

    Args:
        view: "graph", "network" or "kernels" (which needs `program`, what the graph lowers to).
        weights: see `network`.
        heat: see `kernels`.

    Raises:
        DrawError: no such view, or no program for "kernels".
    """
    match view:
        case "graph":
            return graph_view(graph)
        case "network":
            return network(graph, weights)
        case "kernels" if program is not None:
            return kernels(program, graph, heat)
        case "kernels":
            raise DrawError(f"the view 'kernels' of {graph.name} needs the lowered program")
    raise DrawError(f"there is no view {view!r}; choose one of {', '.join(map(repr, VIEWS))}")


def render(dot_text: str, path: str | Path | None = None, format: str | None = None) -> bytes:
    """The picture of a DOT text as bytes of an svg, png, pdf or dot file, written if asked.

    Args:
        path: where to write; the file appears whole or not at all. None writes nothing.
        format: svg, png, pdf, dot or gv; None takes the suffix of the path, svg without one.

    Raises:
        DrawError: an unknown format, no ``dot`` program, a folder that cannot be written.
    """
    kind = _format(path, format)
    picture = dot_text.encode() if kind in TEXT else _run_dot(dot_text, kind)
    if path is not None:
        _write(Path(path), picture)
    return picture


def draw(
    graph: Graph,
    path: str | Path,
    view: str = "graph",
    program: Program | None = None,
    *,
    weights: Collection[str] | None = None,
    heat: Sequence[Heat] = (),
) -> Path:
    """Draw one view of a graph into a file whose suffix says the format: svg, png, pdf, dot.

    Returns:
        The path.

    Raises:
        DrawError: see `dot_text` and `render`.
    """
    _format(path, None)
    render(dot_text(graph, view, program, weights, heat), path)
    return Path(path)


def _format(path: str | Path | None, format: str | None) -> str:
    suffix = Path(path).suffix if path is not None else ".svg"
    kind = (format if format is not None else suffix).removeprefix(".").lower()
    if kind in FORMATS:
        return kind
    known = ", ".join(f".{x}" for x in FORMATS)
    if format is None:
        raise DrawError(f"cannot tell the format of {str(path)!r}: its suffix must be {known}")
    raise DrawError(f"there is no format {format!r}; choose one of {known}")


def _run_dot(dot_text: str, kind: str) -> bytes:
    import graphviz  # here, so that importing graphc does not wait for it

    piping: Callable[..., bytes] = graphviz.Source(dot_text).pipe
    try:
        return piping(format=kind, quiet=True)
    except graphviz.ExecutableNotFound:
        raise DrawError(
            f"drawing {kind} needs the program dot of Graphviz: {INSTALL}; a path that ends in "
            ".dot is written without it"
        ) from None
    except graphviz.CalledProcessError as error:
        said = error.stderr.decode(errors="replace") if error.stderr else ""
        first = said.strip().partition("\n")[0] or f"exit code {error.returncode}"
        raise DrawError(f"dot cannot draw this as {kind}: {first}") from None


def _write(path: Path, content: bytes) -> None:
    """Beside the file first, then in its place."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with beside.open("xb") as file:
                file.write(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or str(error)
        raise DrawError(f"cannot write {str(path)!r}: {why}; choose another folder") from error
