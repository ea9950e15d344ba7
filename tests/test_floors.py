"""The shape of the house: imports go down, files and functions stay short."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "graphc"

# A unit is the first path component below graphc/: a file, or a folder. No exceptions.
FLOORS = (
    ("errors", "order", "later", "units", "timing", "packing", "frozen", "garbage"),
    ("sizes", "attributes", "options"),
    ("substitution",),
    ("types", "trees", "resources"),
    ("sites", "bounds"),
    ("matrices",),
    ("loops",),
    ("accesses",),
    ("dependence",),
    ("barriers",),
    ("graph", "loops_verify", "loops_homes", "loops_count", "loops_traffic"),
    ("reference", "digest"),
    ("maths",),
    ("ops",),
    ("trace", "loops_run", "formula", "donation"),
    ("derive", "rewrite", "samples"),
    ("rules",),
    ("passes", "lower"),
    ("emit_c", "emit_tex", "emit_dot"),
    ("build",),
    ("kernel",),
    ("transform", "interpreted", "tune"),
    ("explain",),
    ("api",),
    ("check", "jit"),
    ("testing", "bench"),
    ("cli", "__init__"),
    ("__main__",),
)
FLOOR = {unit: floor for floor, units in enumerate(FLOORS) for unit in units}

MAX_LINES, MAX_FUNCTION, MAX_COLUMNS = 400, 60, 100


def modules(package: Path) -> dict[str, ast.Module]:
    """Every module of the package by its dotted name, `graphc.ops.__init__` for a folder."""
    return {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): ast.parse(
            path.read_text(encoding="utf-8"), filename=str(path)
        )
        for path in sorted(package.rglob("*.py"))
    }


def unit(module: str) -> str:
    return module.split(".")[1]


def imports(
    name: str, tree: ast.AST, known: dict[str, ast.Module], *, inside: bool = False
) -> Iterator[tuple[str, int, bool]]:
    """(imported module of ours, line, whether a function holds the import), wherever it stands."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(name.split(".")[: -node.level]) if node.level else ""
            base = ".".join(filter(None, (base, node.module)))
            longer = (f"{base}.{alias.name}" for alias in node.names)
            targets = [t if {t, f"{t}.__init__"} & known.keys() else base for t in longer]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Later":
            targets = [str(ast.literal_eval(node.args[0]))]
        else:
            targets = []
            deeper = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports(name, node, known, inside=deeper)
        for target in targets:
            if target.split(".")[0] == name.split(".")[0]:
                is_folder = f"{target}.__init__" in known
                yield f"{target}.__init__" if is_folder else target, node.lineno, inside


def violations(package: Path) -> list[str]:
    """A sentence for each import that does not go down."""
    known, found = modules(package), []
    siblings: dict[str, set[str]] = {name: set() for name in known}
    for name, tree in known.items():
        for target, line, inside in imports(name, tree, known):
            place, here, there = f"{name}:{line}", unit(name), unit(target)
            if inside:
                found.append(f"{place} imports {target} inside a function; import it at the top")
            if missing := [u for u in (here, there) if u not in FLOOR]:
                found.append(f"{place}: no floor for {missing[0]}; add it to FLOORS in {__name__}")
            elif here == there:
                siblings[name].add(target)
            elif FLOOR[there] >= FLOOR[here]:
                found.append(
                    f"{place}: {here} (floor {FLOOR[here]}) imports {target} "
                    f"(floor {FLOOR[there]}); imports go to a strictly lower floor"
                )
    units = {unit(name) for name in known}
    found += [f"no floor for {u}; add it to FLOORS in {__name__}" for u in units - FLOOR.keys()]
    try:
        TopologicalSorter(siblings).prepare()
    except CycleError as error:
        found.append(f"modules of one folder import in a circle: {' -> '.join(error.args[1])}")
    return found


def house(root: Path, files: dict[str, str]) -> Path:
    """A fake package whose modules are given by path."""
    for name, text in {"__init__": "", **files}.items():
        path = root / "graphc" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "graphc"


def test_imports_go_down() -> None:
    assert not violations(PACKAGE), "\n".join(violations(PACKAGE))


@pytest.mark.parametrize(
    ("files", "culprit"),
    [
        ({"types": "import graphc.graph", "graph": ""}, r"types:1: types \(floor \d+\) imports"),
        ({"types": "from .graph import Node", "graph": ""}, r"types:1: types \(floor \d+\)"),
        ({"types": "from . import graph", "graph": ""}, r"types:1: types \(floor \d+\)"),
        (
            {
                "types": "from graphc.later import Later\nx = Later('graphc.graph')",
                "graph": "",
                "later": "",
            },
            r"types:2: types \(floor \d+\) imports",
        ),
        ({"graph": "import graphc"}, r"graph:1: graph \(floor \d+\) imports graphc"),
        ({"loops": "from graphc import graph", "graph": ""}, r"loops:1: .* \(floor \d+\) imports"),
        ({"ops/__init__": "", "ops/a": "from ..cli import main", "cli": ""}, r"ops\.a:1: ops"),
        ({"types": "if TYPE_CHECKING:\n    import graphc.graph", "graph": ""}, r"types:2: types"),
        ({"graph": "def f():\n    from graphc import types", "types": ""}, "graph:2 .* inside"),
        ({"graph": "class A:\n  def f(self):\n    import graphc.types"}, "graph:3 .* inside"),
        ({"ops/__init__": "from ..cli import main", "cli": ""}, r"ops\.__init__:1: ops"),
        ({"types": "import graphc.cellar"}, "no floor for cellar; add it to FLOORS"),
        ({"attic": ""}, "no floor for attic; add it to FLOORS"),
        (
            {"ops/__init__": "", "ops/a": "from .b import x", "ops/b": "from . import a"},
            r"circle: .*graphc\.ops\.a",
        ),
        ({"ops/__init__": "from .a import x", "ops/a": "from graphc.ops import y"}, "circle"),
    ],
)
def test_an_import_that_does_not_go_down_is_named(
    tmp_path: Path, files: dict[str, str], culprit: str
) -> None:
    assert re.search(culprit, "\n".join(violations(house(tmp_path, files))))


def test_an_import_that_goes_down_passes(tmp_path: Path) -> None:
    files = {
        "__init__": "from graphc.types import Dim",
        "types": "import math",
        "graph": "from graphc.types import Dim\nfrom . import types",
        "ops/__init__": "from graphc.ops.table import OPS",
        "ops/table": "from .. import graph\nfrom ..types import Dim",
        "cli": "def main():\n    import rich",
    }
    assert not violations(house(tmp_path, files))


def sources() -> list[tuple[str, str]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(str(p.relative_to(PACKAGE.parent)), p.read_text(encoding="utf-8")) for p in paths]


def test_files_are_short() -> None:
    long = [f"{name}: {n} lines" for name, text in sources() if (n := text.count("\n")) > MAX_LINES]
    assert not long, f"split these (at most {MAX_LINES} lines a file): {long}"


def test_functions_are_short() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}: {length} lines"
        for name, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION
    ]
    assert not long, f"split these (at most {MAX_FUNCTION} lines a function): {long}"


def test_lines_are_short_and_nothing_is_left_undone() -> None:
    found = [
        f"{name}:{number} {fault}"
        for name, text in sources()
        for number, line in enumerate(text.splitlines(), 1)
        for fault, wrong in (
            (f"has over {MAX_COLUMNS} columns", len(line) > MAX_COLUMNS),
            ("leaves work undone", re.search("TODO|FIXME", line)),
        )
        if wrong
    ]
    assert not found, "\n".join(found)
