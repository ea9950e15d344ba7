"""What a function that watches its floats has besides: its places, its arguments, its results."""

from __future__ import annotations

import re

from graphc.emit_c.expression import Printer
from graphc.emit_c.functions import SUFFIX
from graphc.frozen import dataclass
from graphc.loops import Argument, Program
from graphc.sites import Site
from graphc.types import product

COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Watched:
    """An argument or result: where it begins, how many elements it has, what it is called."""

    suffix: str
    start: str
    count: str
    name: str
    """As a C string."""
    number: int
    """How many arguments stand before it; of a result, the number of its site."""


@dataclass(frozen=True, slots=True)
class Traps:
    """All that templates/trap.c and unit.c need."""

    parameter: str
    sites: tuple[str, ...]
    watched: tuple[str, ...]
    """Suffixes of the dtypes that are watched inside."""
    enters: tuple[Watched, ...]
    leaves: tuple[Watched, ...]


def traps(program: Program, printer: Printer) -> Traps:
    """The traps of a program whose body is written."""
    numbered = [(x, k) for k, x in enumerate(program.inputs) if x.type.dtype.kind == "f"]
    results = [y for y in program.outputs if y.type.dtype.kind == "f"]
    first = len(program.sites) - len(results)
    if results:
        printer.used.update(x.name for x, _ in numbered)
    if numbered:
        printer.used.update(y.home or y.name for y in results)
    enters = [
        _watched(x, x.name if x.type.shape else f"&{x.name}", number, printer)
        for x, number in numbered
    ]
    leaves = [_watched(y, y.home or y.name, first + k, printer) for k, y in enumerate(results)]
    return Traps(
        program.trap,
        tuple(map(_site, program.sites)),
        tuple(sorted(printer.traps)),
        tuple(enters) if results else (),
        tuple(leaves) if numbered else (),
    )


def _watched(x: Argument, start: str, number: int, printer: Printer) -> Watched:
    count, _ = printer.size(product(x.type.shape))
    printer.loads(x.type.dtype)
    return Watched(SUFFIX[str(x.type.dtype)], start, count, string(x.shown), number)


def _site(site: Site) -> str:
    """A row of the table of sites."""
    what, names = string(site.what), ", ".join(map(string, site.operands))
    rest = f"{len(site.operands)}, {{{names or 'NULL'}}}}},"
    line = f"    {{{what}, {rest}"
    return line if len(line) <= COLUMNS else f"    {{{what},\n     {rest}"


def string(text: str) -> str:
    """A C string literal of printable ASCII."""
    plain = re.sub(r"[^\x20-\x7e]", "?", text)
    plain = plain.replace("\\", "\\\\").replace('"', '\\"')
    untrigraphed = re.sub(r"\?(?=\?)", '?""', plain)
    return f'"{untrigraphed}"'
