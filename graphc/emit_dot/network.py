"""The network as a lecturer draws it: neurons, weights on the edges, layers left to right."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from graphc.emit_dot.dot import (
    BLUE,
    GREEN,
    GREY,
    LINE,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_GREY,
    PALE_PURPLE,
    PURPLE,
    Html,
    Picture,
    escape,
    font,
    rows,
)
from graphc.emit_dot.neurons import Network, Neuron, read_network
from graphc.emit_dot.roles import ROOT
from graphc.emit_dot.words import dimensions, formula, pretty, scalar
from graphc.graph import Graph, Node, walk
from graphc.types import Shape, Size

LONGEST_FORMULA = 40
SHORT = 5
"""Letters that fit into a circle of the usual size."""
FILLS = {
    "input": (BLUE, PALE_BLUE),
    "hidden": (LINE, "#ffffff"),
    "output": (GREEN, PALE_GREEN),
    "target": (PURPLE, PALE_PURPLE),
    "loss": (PURPLE, PALE_PURPLE),
}


def network(graph: Graph, weights: Collection[str] | None = None) -> str:
    """DOT text of the graph's forward part as a neural network.

    Scalars are circles (pre-activation and activation share one), arrays are boxes with their
    number of neurons; weights and biases stand on the edges. A value that fits no neuron is a
    box with its name, shape and, where it is short, its formula.

    Args:
        weights: names of the inputs that are weights; None finds them by name and use.

    Raises:
        DrawError: a name in `weights` is no input's.
    """
    return _Sketch(graph, read_network(graph, weights)).draw()


@dataclass
class _Sketch:
    graph: Graph
    net: Network
    ids: dict[Node, str] = field(default_factory=dict)
    shown: dict[Node, str] = field(default_factory=dict)
    by_node: dict[Node, Neuron] = field(default_factory=dict)
    drawn: set[Node] = field(default_factory=set)

    def __post_init__(self) -> None:
        outputs = dict(zip(self.graph.outputs, self.graph.output_names, strict=True))
        self.by_node = {x.node: x for x in self.net.neurons}
        taken: set[str] = set()
        for i, neuron in enumerate(self.net.neurons):
            name = neuron.node.name or outputs.get(neuron.node)
            self.ids[neuron.node] = name if name and name not in taken else f"v{i}"
            taken.add(self.ids[neuron.node])
            if name:
                self.shown[neuron.node] = pretty(name)
            if neuron.before is not None:
                self.ids[neuron.before] = self.ids[neuron.node]
                if neuron.before.name:
                    self.shown[neuron.before] = pretty(neuron.before.name)
        named = [x for x in self.net.roles.order if x in self.net.roles.parameters and x.name]
        for x, text in zip(named, _without_root([x.name or "" for x in named]), strict=True):
            self.shown[x] = pretty(text)

    def draw(self) -> str:
        batch = self.batch()
        note = f"each arrow carries a batch of {batch}" if batch is not None else None
        label = font(escape(note), size=11, color=GREY) if note else None
        picture = Picture(
            self.graph.name,
            rankdir="LR",
            nodesep="0.35",
            ranksep="0.75",
            label=label,
            labelloc="b",
            labeljust="l",
        )
        self.draw_inputs(picture)
        for neuron in self.net.neurons:
            if neuron.part != "input":
                picture.node(self.ids[neuron.node], **self.look(neuron))
        for neuron in self.net.neurons:
            self.draw_arrows(picture, neuron)
        return str(picture)

    def draw_inputs(self, picture: Picture) -> None:
        inputs = [x for x in self.net.neurons if x.part == "input"]
        if not inputs:
            return
        with picture.block("", rank="source"):
            for neuron in inputs:
                picture.node(self.ids[neuron.node], **self.look(neuron))

    # --- what a neuron looks like --------------------------------------------------------------

    def look(self, neuron: Neuron) -> dict[str, object]:
        color, fill = FILLS[neuron.part]
        place = neuron.node.source
        common: dict[str, object] = {
            "color": color,
            "fillcolor": fill,
            "style": "filled",
            "fontsize": 16,
            "tooltip": str(place) if place else neuron.node.name or "",
        }
        title = self.shown.get(neuron.node, "")
        first = self.shown.get(neuron.before, "") if neuron.before is not None else ""
        wide = self.features(neuron.node.shape)
        computed = neuron.part not in ("input", "target")
        plain = neuron.part != "loss" and not (computed and self.is_mere_function())
        round_ = plain and not wide and max(len(title), len(first)) <= SHORT
        if not round_:
            return common | self.box(neuron, title, wide)
        common |= {"shape": "circle", "fixedsize": "true"}
        if neuron.before is None:
            return common | {"width": "0.72", "label": escape(title)}
        if not first:
            label = [escape(title)] if title else []
            label += [font(escape(neuron.function), size=11)] if neuron.function else []
            return common | {"width": "0.86", "label": rows(*label)}
        return common | _split(first, title, neuron.function, fill)

    def box(self, neuron: Neuron, title: str, wide: Shape) -> dict[str, object]:
        lines = [escape(title)] if title else []
        if wide:
            size = font(escape(f"({dimensions(wide)})"), size=13, color=GREY)
            lines = [Html(f"{lines[0]} {size}" if lines else size)]
        if (how := self.how(neuron)) is not None:
            lines.append(font(escape(how), size=12, color=GREY if neuron.part == "loss" else None))
        return {
            "shape": "box",
            "style": "rounded,filled",
            "margin": "0.16,0.1",
            "height": "0.62",
            "label": rows(*lines),
        }

    def how(self, neuron: Neuron) -> str | None:
        """``σ(z₁)``, or a short formula where it says more than the arrows do."""
        if neuron.before is not None:
            inner = None if self.is_misnamed(neuron) else self.shown.get(neuron.before)
            if neuron.function:
                return f"{neuron.function}({inner})" if inner else neuron.function
            text = formula(neuron.node, self.name_of, LONGEST_FORMULA) if inner else None
            return text or (f"f({inner})" if inner else "f")
        if not neuron.arrows or any(arrow.weights for arrow in neuron.arrows):
            return None
        return formula(neuron.node, self.name_of, LONGEST_FORMULA)

    def is_mere_function(self) -> bool:
        """Whether nothing has a weight: then formulas say more than circles."""
        return not any(arrow.weights for x in self.net.neurons for arrow in x.arrows)

    def is_misnamed(self, neuron: Neuron) -> bool:
        """Whether the numbers of pre-activations are not those of the layers they belong to.

        A helper function's ``z`` is z, z2, z3 where the layers are a1, a2, a3 and so on.
        """
        pairs = [
            (_digits(x.node), _digits(x.before))
            for x in self.net.neurons
            if x.before is not None and x.before.name and _digits(x.node)
        ]
        return bool(_digits(neuron.node)) and any(a != b for a, b in pairs)

    def name_of(self, node: Node) -> str | None:
        if node in self.shown:
            return self.shown[node]
        if node not in self.ids:
            return None
        neuron = self.by_node.get(node)
        text = self.how(neuron) if neuron is not None and neuron.function else None
        return text if text and text.endswith(")") else "·"

    # --- shapes --------------------------------------------------------------------------------

    def batch(self) -> Size | None:
        """The run-time size that leads the shape of a data input: samples, not neurons."""
        for neuron in self.net.neurons:
            if neuron.part == "input" and neuron.node.shape:
                if not isinstance(neuron.node.shape[0], int):
                    return neuron.node.shape[0]
        return None

    def features(self, shape: Shape) -> Shape:
        """The shape without samples and without units."""
        rest = shape[1:] if shape and shape[0] == self.batch() else shape
        return tuple(size for size in rest if size != 1)

    # --- arrows --------------------------------------------------------------------------------

    def draw_arrows(self, picture: Picture, neuron: Neuron) -> None:
        target = self.ids[neuron.node]
        weighed = [arrow for arrow in neuron.arrows if arrow.weights]
        beside = neuron.added if len(weighed) == 1 and neuron.part != "loss" else ()
        beside = tuple(x for x in beside if not self.is_derived(x))
        for arrow in neuron.arrows:
            source = self.ids[arrow.source]
            if source == target:
                continue
            derived = [x for x in arrow.weights if self.is_derived(x)]
            extra = beside if arrow.weights else ()
            if derived:
                self.through_parameter(picture, source, target, arrow.weights)
                continue
            text = ", ".join(map(self.parameter_text, dict.fromkeys((*arrow.weights, *extra))))
            label = font(escape(f" {text} "), color=ORANGE) if text else None
            color = PURPLE if neuron.part == "loss" else None
            picture.edge(source, target, label=label, color=color)
        alone = [x for x in neuron.added if x not in beside]
        parameters = (leaf for x in alone for leaf in ([x] if x.name else self.leaves(x)))
        for leaf in dict.fromkeys(parameters):
            self.parameter_node(picture, leaf)
            picture.edge(self.parameter_id(leaf), target, color=ORANGE, style="dashed")

    def through_parameter(
        self, picture: Picture, source: str, target: str, weights: Iterable[Node]
    ) -> None:
        """Where a weight is computed from others, it is a node in the middle of its edge."""
        listed = tuple(weights)
        node = f"{source} to {target}"
        text = ", ".join(map(self.parameter_text, listed))
        picture.node(
            node,
            shape="plaintext",
            margin="0.04",
            height="0.3",
            width="0.1",
            label=font(escape(text), color=ORANGE),
            fontsize=14,
        )
        picture.edge(source, node, dir="none", weight=4)
        picture.edge(node, target, weight=4)
        for x in dict.fromkeys(
            leaf for w in listed if self.is_derived(w) for leaf in self.leaves(w)
        ):
            self.parameter_node(picture, x)
            picture.edge(self.parameter_id(x), node, style="dashed", color=ORANGE)

    def leaves(self, node: Node) -> list[Node]:
        """The weights that a parameter is computed from."""
        return [x for x in walk([node]) if not x.operands and x in self.net.roles.parameters]

    def is_derived(self, node: Node) -> bool:
        """Whether the parameter is computed from others, views apart."""
        while node.op.name in ("transpose", "reshape", "broadcast_to", "cast", "slice"):
            node = node.operands[0]
        return bool(node.operands)

    def parameter_id(self, node: Node) -> str:
        return f"parameter {self.parameter_text(node)}"

    def parameter_node(self, picture: Picture, node: Node) -> None:
        if node in self.drawn:
            return
        self.drawn.add(node)
        picture.node(
            self.parameter_id(node),
            shape="circle" if len(self.parameter_text(node)) <= SHORT else "box",
            style="dashed,filled",
            fillcolor="#ffffff",
            color=ORANGE,
            fontsize=14,
            width="0.5",
            height="0.5",
            margin="0.03",
            label=font(escape(self.parameter_text(node)), color=ORANGE),
        )
        for x in self.leaves(node) if self.is_derived(node) else ():
            self.parameter_node(picture, x)
            picture.edge(
                self.parameter_id(x), self.parameter_id(node), style="dashed", color=ORANGE
            )

    def parameter_text(self, node: Node) -> str:
        if node in self.shown:
            return self.shown[node]
        if node.op.name == "constant":
            return scalar(node) or f"[{dimensions(node.shape)}]"
        return formula(node, self.shown.get, 2 * LONGEST_FORMULA // 3) or "…"


def _split(first: str, second: str, function: str | None, fill: str) -> dict[str, object]:
    """A circle cut in two: pre-activation | activation."""
    half = max(34, 10 * max(len(first), len(second)) + 8, 7 * len(function or "") + 4)
    size = f' FIXEDSIZE="TRUE" WIDTH="{half}" HEIGHT="{2 * half}"'
    right = rows(escape(second), *([font(escape(function), size=10)] if function else []))
    table = (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>'
        f"<TD{size}>{escape(first)}</TD><VR/><TD{size}>{right}</TD></TR></TABLE>"
    )
    return {
        "width": f"{(2 * half + 4) / 72:.2f}",
        "label": Html(table),
        "fillcolor": f"{PALE_GREY};0.5:{fill}",
    }


def _digits(node: Node) -> str:
    name = node.name or ""
    return name[len(name.rstrip("0123456789")) :]


def _without_root(names: list[str]) -> list[str]:
    """``params_W1`` as W1 where that leaves each name different and a word."""
    cut = [
        rest if rest and ROOT.fullmatch(first) else name
        for name in names
        for first, _, rest in [name.partition("_")]
    ]
    words = all(text[:1].isalpha() for text in cut)
    return cut if words and len(set(cut)) == len(names) else names
