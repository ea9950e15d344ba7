"""The fused loops of a program: one box each, the arrays between them as edges."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from graphc.emit_dot.dot import (
    GREEN,
    GREY,
    PALE_GREEN,
    PALE_GREY,
    PARTS,
    Html,
    Picture,
    bold,
    escape,
    font,
    rows,
)
from graphc.emit_dot.sections import Section, nest_lines, sections, statement
from graphc.emit_dot.words import byte_count, kind, pretty
from graphc.graph import Graph
from graphc.loops import Declare, Let, Program, statements
from graphc.types import TensorType, dtype_of

WIDEST = 60
MOST_LINES = 12
MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Heat:
    """What was measured of one box."""

    share: float
    """Of the time of all, 0 to 1: the warmer the box."""
    text: str


def titles(program: Program, named: Collection[str]) -> list[str]:
    """A title for each section of the program, as in its picture; `named` are the user's names."""
    plan = _Plan(program, set(named))
    return [plan.title(section) for section in sections(program)]


def kernels(program: Program, graph: Graph, heat: Sequence[Heat] = ()) -> str:
    """DOT text of the program's loop nests and straight lines.

    A box says which values it computes, by which equations, in which loops; an edge is an array
    (or a scalar) that one box leaves for another, with its type and bytes.

    Args:
        graph: what the program was lowered from; its names head the boxes.
        heat: what was measured of each box, in order; the boxes are coloured by it.
    """
    return _Plan(program, {x.name for x in graph.nodes if x.name}, tuple(heat)).draw()


@dataclass
class _Plan:
    program: Program
    named: set[str]
    heat: tuple[Heat, ...] = ()
    types: dict[str, TensorType] = field(default_factory=dict)
    given: dict[str, None] = field(default_factory=dict)
    """Inputs and tables, in order."""

    def __post_init__(self) -> None:
        program = self.program
        for a in (*program.inputs, *program.outputs):
            self.types[a.name] = a.type
        self.given = dict.fromkeys([x.name for x in program.inputs])
        self.given.update(dict.fromkeys([x.name for x in program.tables]))
        for b in program.buffers:
            self.types[b.name] = TensorType(b.dtype, b.shape)
        for t in program.tables:
            self.types[t.name] = TensorType(dtype_of(t.values.dtype), t.values.shape)

    def draw(self) -> str:
        program, found = self.program, sections(self.program)
        picture = Picture(
            program.name,
            rankdir="TB",
            nodesep="0.35",
            ranksep="0.5",
            labelloc="b",
            label=self.caption(),
        )
        read = {name for section in found for name in section.reads()}
        for name in self.given:
            if name in read:
                self.draw_array(picture, name, PALE_GREY, None)
        maker = {name: name for name in self.given}
        for i, section in enumerate(found, 1):
            picture.node(f"kernel {i}", shape="plain", label=self.box(i, section))
            self.draw_reads(picture, f"kernel {i}", section, maker)
            maker.update(dict.fromkeys(section.writes(), f"kernel {i}"))
        for a in program.outputs:
            self.draw_array(picture, a.name, PALE_GREEN, GREEN)
            if a.name in maker:
                picture.edge(maker[a.name], f"{a.name} out", color=GREEN)
        return str(picture)

    # --- arrays --------------------------------------------------------------------------------

    def draw_array(self, picture: Picture, name: str, fill: str, color: str | None) -> None:
        lines = (
            bold(escape(pretty(name))),
            font(escape(self.size_text(name)), size=10, color=GREY),
        )
        picture.node(
            f"{name} out" if color else name,
            shape="box",
            style="rounded,filled",
            fillcolor=fill,
            color=color,
            label=rows(*lines),
            height="0.4",
            margin="0.12,0.06",
            fontsize=13,
        )

    def draw_reads(
        self,
        picture: Picture,
        here: str,
        section: Section,
        maker: dict[str, str],
    ) -> None:
        by_source: dict[str, list[str]] = {}
        for name in section.reads():
            if name in maker:
                by_source.setdefault(maker[name], []).append(name)
        for source, names in by_source.items():
            if source in self.given:
                picture.edge(source, here)
                continue
            texts = [f" {pretty(name)}: {self.size_text(name)} " for name in names[:MOST_NAMES]]
            texts += [f" and {len(names) - MOST_NAMES} more "] if len(names) > MOST_NAMES else []
            label = Html("".join(f'{escape(text)}<BR ALIGN="LEFT"/>' for text in texts))
            picture.edge(source, here, label=font(label, size=10))

    def size_text(self, name: str) -> str:
        """``float32[n, 32], 128·n B``; a local is a scalar that stays in a register."""
        known = self.types.get(name) or self.local_type(name)
        if known is None:
            return "scalar"
        if not known.shape:
            return kind(known)
        return f"{kind(known)}, {byte_count(known.size * known.dtype.bytes)}"

    def local_type(self, name: str) -> TensorType | None:
        for stmt in statements(self.program.body):
            if isinstance(stmt, Let | Declare) and stmt.name == name:
                return TensorType(stmt.value.dtype, ())
        return None

    # --- boxes ---------------------------------------------------------------------------------

    def box(self, number: int, section: Section) -> Html:
        color, fill = PARTS[section.parts[0]]
        title = font(bold(escape(f"{number}  {self.title(section)}")), size=13, color=color)
        fused = font(escape(f"  {' and '.join(section.parts)}"), size=10, color=GREY)
        title = Html(title + fused)
        if self.heat:
            measured = self.heat[number - 1]
            fill = warm(measured.share)
            title = Html(title + "<BR/>" + font(escape(measured.text), size=11))
        lines = [_left(escape(text), 11) for text in self.body(section)]
        loops = [
            _left(Html("&#160;" * 4 * depth + escape(f"for {text}")), 11, GREY)
            for depth, text in nest_lines(section.body)
        ]
        body = "".join(
            f'<TR><TD ALIGN="LEFT">{part}</TD></TR>'
            for part in (Html("".join(lines)), Html("".join(loops)))
            if part
        )
        return Html(
            f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="5" COLOR="{color}" '
            f'BGCOLOR="white" STYLE="ROUNDED"><TR><TD BGCOLOR="{fill}">{title}</TD></TR>'
            f"{body}</TABLE>"
        )

    def title(self, section: Section) -> str:
        """The user's names for what it computes; the arrays where it has none."""
        made = dict.fromkeys(
            name
            for stmt in statements(tuple(section.body))
            if (name := getattr(stmt, "name", None) or getattr(stmt, "buffer", None))
        )
        stated = [note.partition(" = ")[0] for note in section.notes if " = " in note]
        names = list(dict.fromkeys([*stated, *(x for x in made if x in self.named)]))
        names = names or section.writes()
        shown = ", ".join(map(pretty, names[:MOST_NAMES]))
        return shown + (", …" if len(names) > MOST_NAMES else "")

    def body(self, section: Section) -> list[str]:
        """The equations of a loop nest, or the lines of a straight one."""
        lines = section.notes or [
            text for stmt in statements(tuple(section.body)) if (text := statement(stmt))
        ]
        shown = [
            text if len(text) <= WIDEST else text[: WIDEST - 1] + "…" for text in lines[:MOST_LINES]
        ]
        left = len(lines) - MOST_LINES
        return [*shown, f"… {left} more"] if left > 0 else shown

    def caption(self) -> Html:
        space = byte_count(self.program.workspace)
        text = f"workspace {space}" if self.program.workspace != 0 else "no workspace"
        return Html(f"{bold(escape(self.program.name))}  {font(escape(text), color=GREY)}")


def warm(share: float) -> str:
    """White for none of the time, a strong orange for all of it."""
    cold, hot = (255, 255, 255), (245, 130, 32)
    mixed = (round(a + (b - a) * share**0.5) for a, b in zip(cold, hot, strict=True))
    return "#" + "".join(f"{x:02x}" for x in mixed)


def _left(text: Html, size: int, color: str | None = None) -> Html:
    return Html(font(text, size=size, color=color) + '<BR ALIGN="LEFT"/>')
