"""The graph of operations: forward down one lane, adjoints up the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from graphc.emit_dot.dot import (
    GREY,
    PALE_GREY,
    PARTS,
    Html,
    Picture,
    bold,
    escape,
    font,
    rows,
)
from graphc.emit_dot.lanes import lanes
from graphc.emit_dot.words import (
    SUPERSCRIPTS,
    axes_text,
    is_matmul,
    kind,
    pretty,
    scalar,
    subscript_text,
)
from graphc.graph import Constant, Graph, Node, labels
from graphc.types import DType

SIGNS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "÷",
    "less_equal": "≤",
    "greater_equal": "≥",
    "not_equal": "≠",
    "equal": "=",
    "sum": "Σ",
    "prod": "Π",
    "sigmoid": "σ",
    "negative": "−",
    "absolute": "|·|",
    "sqrt": "√",
    "transpose": "ᵀ",
    "logical_and": "∧",
    "logical_or": "∨",
    "logical_not": "¬",
}
CROSSING = "#9aa3af"


def graph_view(graph: Graph) -> str:
    """DOT text of the graph's operations: symbol, name and type of each, and what flows where.

    Forward, backward and update operations stand in a lane of their own colour; in the backward
    lane gradients flow upwards, beside the values they belong to. Scalar constants stand inside
    the operations that use them; reshapes and broadcasts that only arrange axes are left out.
    """
    return _Lanes(graph).draw()


def is_folded(node: Node, outputs: Iterable[Node]) -> bool:
    """Whether a node has no place of its own: a scalar constant, or a mere arrangement of axes."""
    if node in outputs or node.op.name == "input":
        return False
    if scalar(node) is not None:
        return True
    if node.name:
        return False
    if node.op.name == "reshape":
        before = [s for s in node.operands[0].shape if s != 1]
        return before == [s for s in node.shape if s != 1]
    return node.op.name == "broadcast_to"


def sign(node: Node) -> str:
    """The operation as a symbol, its scalar constants in place: ``0.5 ×``, ``max(0, ·)``."""
    name, symbol = node.op.name, node.op.symbol
    fixed = [scalar(x) for x in node.operands]
    text = SIGNS.get(name, symbol.text)
    if name == "multiply" and node.operands[0] is node.operands[1]:
        return "( )²"
    if name == "power" and fixed[1] and fixed[1].isdigit():
        return "( )" + fixed[1].translate(SUPERSCRIPTS)
    if name == "einsum":
        return "@" if is_matmul(node) else product_sign(node)
    if name == "cast":
        return f"→ {node.dtype}"
    if name in ("sum", "prod", "max", "min", "any", "all"):
        return f"{text} {axes_text(node)}".strip()
    if symbol.form == "infix" and len(fixed) == 2:
        return " ".join(filter(None, (fixed[0], text, fixed[1])))
    if symbol.form == "prefix" and fixed[0]:
        return text + fixed[0]
    if any(fixed):
        return f"{text}({', '.join(x or '·' for x in fixed)})"
    return text


def product_sign(node: Node) -> str:
    """× where an einsum only scales, ⊗ where it is an outer product, else its labels."""
    text = subscript_text(node)
    given, _, result = text.partition("→")
    if given.replace(",", "") != result:
        return text
    return "×" if given.startswith(",") or given.endswith(",") else "⊗"


@dataclass
class _Lanes:
    graph: Graph
    names: dict[Node, str] = field(default_factory=dict)
    lane: dict[Node, str] = field(default_factory=dict)
    outputs: dict[Node, list[str]] = field(default_factory=dict)
    usual: DType | None = None
    """The dtype of all scalars that are computed, if there is but one: it goes without saying."""

    def draw(self) -> str:
        nodes = self.graph.nodes
        self.names, self.lane = labels(nodes), lanes(nodes)
        for node, name in zip(self.graph.outputs, self.graph.output_names, strict=True):
            self.outputs.setdefault(node, []).append(name)
        scalars = {x.dtype for x in nodes if x.operands and not x.shape and x.dtype.kind == "f"}
        self.usual = scalars.pop() if len(scalars) == 1 else None
        shown = [x for x in nodes if not is_folded(x, self.outputs)]
        parts = [part for part in PARTS if any(self.lane[x] == part for x in shown)]
        picture = Picture(
            self.graph.name,
            rankdir="TB",
            nodesep="0.3",
            ranksep="0.38",
            newrank="true",
            label=self.legend(parts),
            labelloc="b",
        )
        self.align(picture, shown)
        for part in parts:
            with self.lane_block(picture, part, len(parts) > 1):
                for node in shown:
                    if self.lane[node] == part:
                        self.draw_node(picture, node)
        for node in shown:
            for operand in dict.fromkeys(map(self.place, node.operands)):
                if operand is not None:
                    self.draw_edge(picture, operand, node)
        return str(picture)

    def place(self, node: Node) -> Node | None:
        """The node that stands for an operand in the picture; None for a scalar constant."""
        while is_folded(node, self.outputs):
            if scalar(node) is not None:
                return None
            node = node.operands[0]
        return node

    @contextmanager
    def lane_block(self, picture: Picture, part: str, several: bool) -> Iterator[None]:
        """A frame around the part; none where it is the only one."""
        if not several:
            yield
            return
        label = font(escape(part), size=13, color=PARTS[part][0])
        with picture.block(
            f"subgraph cluster_{part}",
            label=label,
            labeljust="l",
            labelloc="t",
            color="#d5dae1",
            style="rounded",
            margin=14,
        ):
            yield

    # --- nodes ---------------------------------------------------------------------------------

    def draw_node(self, picture: Picture, node: Node) -> None:
        color, fill = PARTS[self.lane[node]]
        given: dict[str, object] = {"tooltip": str(node.source or self.names[node])}
        if node.op.name == "input":
            label = rows(bold(escape(pretty(node.name or "input"))), _small(kind(node.type)))
            given |= {
                "shape": "box",
                "style": "rounded,filled",
                "fillcolor": PALE_GREY,
                "label": label,
                "height": "0.4",
                "margin": "0.12,0.06",
                "fontsize": 14,
            }
        elif node.op.name == "constant":
            label = rows(escape(_held(node)), _small(kind(node.type)))
            given |= {
                "shape": "box",
                "style": "dashed",
                "label": label,
                "height": "0.3",
                "margin": "0.1,0.05",
                "fontsize": 12,
            }
        else:
            given |= {"shape": "plain", "label": self.card(node, color, fill)}
        picture.node(self.names[node], **given)

    def card(self, node: Node, color: str, fill: str) -> Html:
        """The operation's symbol beside its value's name and type."""
        lines = [bold(escape(pretty(node.name)))] if node.name else []
        if node.name or node.shape or node.dtype != self.usual or node in self.outputs:
            lines.append(_small(kind(node.type)))
        for name in self.outputs.get(node, ()):
            text = "output" if name == node.name else f"output {pretty(name)}"
            lines.append(font(escape(text), size=10, color=color))
        value = f"<TD>{rows(*lines)}</TD>" if lines else ""
        border = 3 if node in self.outputs else 1
        return Html(
            f'<TABLE BORDER="{border}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="4" '
            f'COLOR="{color}" BGCOLOR="white" STYLE="ROUNDED"><TR>'
            f'<TD BGCOLOR="{fill}">{font(escape(sign(node)), size=14, color=color)}</TD>'
            f"{value}</TR></TABLE>"
        )

    # --- edges ---------------------------------------------------------------------------------

    def draw_edge(self, picture: Picture, operand: Node, node: Node) -> None:
        source, target = self.names[operand], self.names[node]
        here, there = self.lane[operand], self.lane[node]
        color = PARTS[there][0]
        if here != there:
            picture.edge(
                source, target, color=CROSSING, constraint="false", penwidth="0.8", arrowsize="0.5"
            )
        elif there == "backward":
            picture.edge(target, source, dir="back", color=color)
        else:
            picture.edge(source, target, color=color)

    def align(self, picture: Picture, shown: list[Node]) -> None:
        """The adjoint d_z beside its z, an update beside the gradient that it reads."""
        by_name = {x.name: x for x in shown if x.name}
        pairs = [(x, by_name[f"d_{x.name}"]) for x in shown if f"d_{x.name}" in by_name]
        for node in shown:
            read = [self.place(x) for x in node.operands] if self.lane[node] == "update" else []
            pairs += [(x, node) for x in read if x is not None and self.lane[x] == "backward"]
        for left, right in pairs:
            if self.lane[left] != self.lane[right]:
                # An edge within a rank puts its head to the right, and before the lanes it decides
                # their order: forward stands left.
                with picture.block("", rank="same"):
                    picture.edge(self.names[left], self.names[right], style="invis")

    def legend(self, parts: list[str]) -> Html:
        if len(parts) == 1:
            return font(escape(self.graph.name), size=12, color=GREY)
        marks = "".join(
            f"<TD>{font(escape('■'), color=PARTS[x][0])} {font(escape(x), color=GREY)}</TD>"
            for x in parts
        )
        crossing = font(escape("→"), color=CROSSING)
        reads = font(escape("value read from another part"), color=GREY)
        return Html(
            f'<TABLE BORDER="0" CELLSPACING="8"><TR><TD><B>{escape(self.graph.name)}</B></TD>'
            f"{marks}<TD>{crossing} {reads}</TD></TR></TABLE>"
        )


def _small(text: str) -> Html:
    return font(escape(text), size=10, color=GREY)


def _held(node: Node) -> str:
    value = node.params["value"]
    return repr(value) if isinstance(value, Constant) and value.array.size <= 4 else "constant"
