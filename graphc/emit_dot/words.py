"""How pictures write names, numbers, shapes, types and short formulas: as on paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from graphc.graph import Constant, Node
from graphc.types import Shape, Size, TensorType, product

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "nu": "ν",
    "xi": "ξ",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
    "Gamma": "Γ",
    "Delta": "Δ",
    "Theta": "Θ",
    "Lambda": "Λ",
    "Sigma": "Σ",
    "Phi": "Φ",
    "Psi": "Ψ",
    "Omega": "Ω",
}
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
VIEWS = frozenset({"reshape", "broadcast_to", "cast"})
"""Ops that a formula does not mention."""


def pretty(name: str) -> str:
    """``z3`` as z₃, ``w_13`` as w₁₃, ``mu`` as μ, ``d_sigma2`` as d_σ₂; other names as they are."""
    if name.startswith("d_") and len(name) > 2:
        return "d_" + pretty(name[2:])
    found = re.fullmatch(r"([^\W\d_]+)_?([0-9]+)", name)
    stem, digits = found.groups() if found else (name, "")
    head, bar, tail = stem.partition("_")
    return GREEK.get(head, head) + bar + tail + digits.translate(SUBSCRIPTS)


def number(value: object) -> str:
    """A scalar constant as a person writes it: 0.5, 2, −1."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:.4g}"
        value = short if float(short) == value or len(repr(value)) > 8 else repr(value)
        value = value.removesuffix(".0")
    return str(value).replace("-", "−").replace("inf", "∞")


def dimensions(shape: Shape) -> str:
    return " × ".join(str(size) for size in shape)


def kind(node_type: TensorType) -> str:
    """``float64``, ``float32[n, 64]``."""
    return str(node_type).removesuffix("[]")


def scalar(node: Node) -> str | None:
    """A scalar constant or a size, through casts and views; None for anything else."""
    while node.op.name in VIEWS:
        node = node.operands[0]
    if node.op.name == "dimension":
        size = node.params["size"]
        return f"({size})" if " " in str(size) else str(size)
    if node.op.name == "constant":
        value = node.params["value"]
        if isinstance(value, Constant) and value.array.size == 1:
            return number(value.array.reshape(()).item())
    return None


LETTERS = "ijklmpqrstuvwxyz"


def subscript_text(node: Node) -> str:
    """The labels of an einsum: ``ij,jk→ik``."""
    inputs, output = node.params["inputs"], node.params["output"]
    letters: dict[object, str] = {}

    def spell(labels: object) -> str:
        given = labels if isinstance(labels, tuple) else ()
        return "".join(letters.setdefault(x, LETTERS[len(letters) % 16]) for x in given)

    return ",".join(map(spell, inputs if isinstance(inputs, tuple) else ())) + "→" + spell(output)


def is_matmul(node: Node) -> bool:
    """Whether an einsum is ``a @ b`` of two operands of at most two axes."""
    given, output = node.params["inputs"], node.params["output"]
    if not isinstance(given, tuple) or len(given) != 2 or not isinstance(output, tuple):
        return False
    a, b = given
    if not isinstance(a, tuple) or not isinstance(b, tuple) or not a or not b:
        return False
    if max(len(a), len(b)) > 2 or len({*a}) + len({*b}) != len(a) + len(b):
        return False
    return a[-1] == b[0] and output == (*a[:-1], *b[1:]) and len({*a, *b}) == len(a) + len(b) - 1


def axes_text(node: Node) -> str:
    """Which axes a reduction runs over; empty for all of them."""
    axes = node.params.get("axes")
    if not isinstance(axes, tuple) or len(axes) == node.operands[0].type.rank:
        return ""
    return "axis " + ", ".join(map(str, axes))


Namer = Callable[[Node], str | None]


def formula(node: Node, name_of: Namer, limit: int) -> str | None:
    """The node in terms of what `name_of` names, on one line; None when it is longer than limit."""
    try:
        text = _Formula(name_of, 4 * limit).write(node, 0, top=True)
    except _TooLong:
        return None
    return text if len(text) <= limit else None


class _TooLong(Exception):
    """The formula outgrew its limit while it was written."""


_INFIX: Mapping[str, tuple[str, int, bool]] = {
    "add": (" + ", 10, True),
    "subtract": (" − ", 10, False),
    "multiply": (" · ", 20, True),
    "divide": (" / ", 20, False),
}


HALVES = {"0.5": "½", "0.25": "¼", "−0.5": "−½"}


def _picked(node: Node) -> str:
    """The index of a slice that takes one element of each axis; dots for others."""
    start = node.params["start"]
    one = node.type.size == 1 and isinstance(start, tuple)
    return ", ".join(map(str, start)) if one and isinstance(start, tuple) else "…"


def _averaged(node: Node) -> Node | None:
    """x where the node is a sum over some axes of x, divided by how many elements that sums."""
    total, count = node.operands
    while total.op.name in VIEWS:
        total = total.operands[0]
    axes = total.params.get("axes")
    if total.op.name != "sum" or not isinstance(axes, tuple):
        return None
    x = total.operands[0]
    summed = product(x.shape[axis] for axis in axes if isinstance(axis, int))
    return x if scalar(count) == (f"({summed})" if " " in str(summed) else str(summed)) else None


class _Formula:
    def __init__(self, name_of: Namer, budget: int) -> None:
        self.name_of, self.budget = name_of, budget

    def write(self, node: Node, outer: int, *, top: bool = False) -> str:
        """The node as an operand of something that binds as strongly as `outer`."""
        self.budget -= 1
        if self.budget < 0:
            raise _TooLong
        known = None if top else self.name_of(node)
        if known is not None:
            return known
        text, own = self.parts(node)
        return f"({text})" if own < outer else text

    def parts(self, node: Node) -> tuple[str, int]:
        """(text, how strongly it binds)."""
        name, xs, symbol = node.op.name, node.operands, node.op.symbol
        value = scalar(node)
        if value is not None:
            return value, 100 if not value.startswith("−") else 15
        if name in VIEWS:
            return self.parts_of_operand(xs[0])
        if name == "constant":
            return f"[{dimensions(node.shape)}]", 100
        if name == "multiply" and xs[0] is xs[1]:
            return self.write(xs[0], 40) + "²", 35
        if name == "power" and (exponent := scalar(xs[1])) and re.fullmatch(r"−?\d+", exponent):
            signs = exponent.replace("−", "-").translate(SUPERSCRIPTS)
            return self.write(xs[0], 40) + signs, 35
        if name == "multiply" and (factor := scalar(xs[0]) or scalar(xs[1])):
            other = xs[1] if scalar(xs[0]) else xs[0]
            return f"{HALVES.get(factor, factor)} {self.write(other, 20)}", 20
        if name == "divide" and (averaged := _averaged(node)) is not None:
            return f"mean({self.write(averaged, 0)})", 100
        if name in _INFIX:
            sign, own, twins = _INFIX[name]
            left, right = self.write(xs[0], own), self.write(xs[1], own if twins else own + 1)
            return left + sign + right, own
        if name == "negative":
            return "−" + self.write(xs[0], 20), 15
        if name == "einsum" and is_matmul(node):
            return f"{self.write(xs[0], 20)} {self.write(xs[1], 21)}", 20
        if symbol.form == "around" and len(xs) == 1:
            return "|" + self.write(xs[0], 0) + "|", 100
        if symbol.form == "infix" and len(xs) == 2:
            own = symbol.precedence
            return f"{self.write(xs[0], own)} {symbol.text} {self.write(xs[1], own + 1)}", own
        if name == "slice":
            return self.write(xs[0], 40) + f"[{_picked(node)}]", 100
        if name == "transpose":
            return self.write(xs[0], 40) + "ᵀ", 40
        called = {"sum": "Σ", "prod": "Π", "sigmoid": "σ", "sqrt": "√"}.get(name, symbol.text)
        return f"{called}({', '.join(self.write(x, 0) for x in xs)})", 100

    def parts_of_operand(self, node: Node) -> tuple[str, int]:
        known = self.name_of(node)
        return (known, 100) if known is not None else self.parts(node)


def byte_count(size: Size) -> str:
    """``512 B``, ``2 KiB``, ``256·n B``."""
    if not isinstance(size, int):
        return f"{size} B".replace("*", "·")
    for unit, step in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= step:
            return f"{size / step:.4g} {unit}"
    return f"{size} B"
