"""A node as a person writes it in one line of ASCII: ``a3 = 1/2 z3^2``.

Named operands appear by name, unnamed ones are expanded in place. The text is fit for a C comment:
one line, no ``*/``, no backslash, no trigraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from graphc.frozen import dataclass
from graphc.graph import Constant, Node, Param
from graphc.types import Dim, Size, product

LONGEST = 60
DEEPEST = 12
ATOM, POWER, MINUS, TIMES, NEGATED, PLUS = 100, 30, 25, 20, 15, 10
FRACTION_BELOW = 16
LETTERS = "ijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of formula and how tightly it binds."""

    text: str
    precedence: int = ATOM

    def inside(self, precedence: int) -> str:
        """The text where an operand must bind at least this tightly."""
        return self.text if self.precedence >= precedence else f"({self.text})"


def equation(node: Node) -> str:
    """``z3 = x1 w13``: the node's name and its formula, shorter than 60 characters.

    A node without a name gives the formula alone; an input or a constant its name or value.
    """
    formula = expression(node)
    name = f"{node.name} = " if node.name and node.op.name != "input" else ""
    return shortened(printable(name + formula), LONGEST - 1)


def expression(node: Node, depth: int = DEEPEST) -> str:
    """The node's formula in its nearest named operands.

    Unnamed operands are expanded `depth` ops deep and written ``...`` below.
    """
    return printable(_expand(node, depth).text)


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning up to a whole word, and ``...``."""
    if len(text) <= longest:
        return text
    kept = text[: longest - 4].rstrip()
    whole = re.sub(r"[\s(*/+,=-]+[^\s(*/+,=-]*$", "", kept)
    return (whole if len(whole) >= longest // 2 else kept).rstrip(" *+/-,") + " ..."


def printable(text: str) -> str:
    """The text without anything that could end or splice a C comment."""
    text = text.encode("ascii", "replace").decode("ascii")
    text = re.sub(r"[\x00-\x1f\x7f\\]", " ", text)
    text = re.sub(r"\?(?=\?)", "? ", text)
    return text.replace("*/", "* /").replace("/*", "/ *")


def number(value: float, fraction: bool = False) -> Text:
    """A short number: ``2``, ``0.1``, ``3.14159``; ``1/2`` where a fraction may stand."""
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return Text(str(float(value)), MINUS if value < 0 else ATOM)
    if float(value) == int(value) and abs(value) < 1e15:
        return Text(str(int(value)), MINUS if value < 0 else ATOM)
    near = Fraction(float(value)).limit_denominator(FRACTION_BELOW)
    if fraction and near.denominator % 5 and near and float(near) == float(value):
        return Text(f"{near.numerator}/{near.denominator}", MINUS if value < 0 else TIMES)
    return Text(f"{float(value):.6g}", MINUS if value < 0 else ATOM)


def operand(node: Node, depth: int) -> Text:
    """An operand: by name if it has one, else expanded."""
    if node.name and node.op.name != "constant":
        return Text(node.name)
    if depth <= 0 and node.operands:
        return Text("...")
    return _expand(node, depth - 1)


def _expand(node: Node, depth: int) -> Text:
    special = SPECIAL.get(node.op.name)
    if special is not None:
        return special(node, depth)
    symbol = node.op.symbol
    if symbol.form == "infix":
        return _infix(node, depth)
    parts = [operand(x, depth) for x in node.operands]
    first = parts[0] if parts else Text("")
    if symbol.form == "prefix":
        return Text(symbol.text + first.inside(symbol.precedence + 1), symbol.precedence)
    if symbol.form == "around":
        left, right = symbol.text.split(",")
        return Text(left + first.text + right)
    return _call(symbol.text, [part.text for part in parts], node.params.items())


def _call(name: str, operands: Iterable[str], params: Iterable[tuple[str, Param]]) -> Text:
    """``sum(x, axis=1)``; what is neither int nor size (dtypes, labels) is left out."""
    shown = list(operands)
    for key, value in params:
        if key == "axes" and isinstance(value, tuple):
            shown.append(f"axis={value[0] if len(value) == 1 else _tuple(value)}")
        elif isinstance(value, tuple):
            shown.append(f"{key}={_tuple(value)}")
        elif isinstance(value, int | float | Dim):
            shown.append(f"{key}={value}")
    return Text(f"{name}({', '.join(shown)})")


def _tuple(values: tuple[Param, ...]) -> str:
    inner = ", ".join(map(str, values))
    return f"({inner},)" if len(values) == 1 else f"({inner})"


def _infix(node: Node, depth: int) -> Text:
    """A right operand of equal precedence keeps its parentheses, but for a sum added to a sum."""
    symbol = node.op.symbol
    left, right = (operand(x, depth) for x in node.operands)
    level = symbol.precedence
    tight = level if node.op.name == "add" and right.precedence == PLUS else level + 1
    if right.text.startswith("-"):
        tight = ATOM
    return Text(f"{left.inside(level)} {symbol.text} {right.inside(tight)}", level)


def _add(node: Node, depth: int) -> Text:
    left, right = (operand(x, depth) for x in node.operands)
    if right.precedence in (MINUS, NEGATED) and right.text.startswith("-"):
        return Text(f"{left.inside(PLUS)} - {right.text[1:]}", PLUS)
    return _infix(node, depth)


def _negative(node: Node, depth: int) -> Text:
    inner = operand(node.operands[0], depth)
    if inner.precedence == TIMES:
        return Text(f"-{inner.text}", NEGATED)
    return Text(f"-{inner.inside(MINUS + 1)}", MINUS)


def _multiply(node: Node, depth: int) -> Text:
    """Factors side by side, a square as ``x^2``; a star where a factor could be read as a call."""
    a, b = node.operands
    if a is b:
        return Text(f"{operand(a, depth).inside(POWER + 1)}^2", POWER)
    if (
        node.type.rank == a.type.rank == b.type.rank == 2
        and _unshaped(a).type.rank == _unshaped(b).type.rank == 1
        and (a.shape[1] == 1 == b.shape[0])
    ):
        return Text(f"outer({operand(a, depth).text}, {operand(b, depth).text})")
    left, right = _factor(a, depth, True), _factor(b, depth, False)
    if _scalar(b) is not None and _scalar(a) is None:
        left, right = right, left
    before, after = left.inside(TIMES), right.inside(MINUS + 1)
    if before == "-1":
        return Text(f"-{after}", MINUS)
    could_be_call = after.startswith("(") and re.search(r"[A-Za-z_]\w*$", before)
    numbers = before[-1:].isdigit() and after[:1].isdigit() and not before[:1].isalpha()
    return Text(f"{before}{' * ' if could_be_call or numbers else ' '}{after}", TIMES)


def _factor(node: Node, depth: int, first: bool) -> Text:
    value = _scalar(node)
    if value is not None:
        return number(value, fraction=True)
    part = operand(node, depth)
    if part.precedence == TIMES and (node.op.name != "multiply" or not first):
        return Text(part.text, TIMES - 1)
    return part


def _divide(node: Node, depth: int) -> Text:
    a, b = node.operands
    summed = _unshaped(a)
    if summed.op.name == "sum" and not summed.name and _counts(b, summed):
        inner = operand(summed.operands[0], depth)
        if len(_ints(summed, "axes")) == summed.operands[0].type.rank:
            return Text(f"mean({inner.text})")
        return _call("mean", [inner.text], summed.params.items())
    left, right = operand(a, depth), operand(b, depth)
    return Text(f"{left.inside(TIMES)} / {right.inside(MINUS + 1)}", TIMES)


def _counts(node: Node, summed: Node) -> bool:
    """Whether the node is the number of elements that each of `summed` adds up."""
    shape = summed.operands[0].shape
    count = product(shape[axis] for axis in _ints(summed, "axes"))
    node = _uncast(node)
    if node.op.name == "dimension":
        return bool(node.params["size"] == count)
    return isinstance(count, int) and _scalar(node) == count


def _power(node: Node, depth: int) -> Text:
    base, exponent = (operand(x, depth) for x in node.operands)
    return Text(f"{base.inside(POWER + 1)}^{exponent.inside(POWER + 1)}", POWER)


def _reduce(node: Node, depth: int) -> Text:
    inner = operand(node.operands[0], depth).text
    if len(_ints(node, "axes")) == node.operands[0].type.rank:
        return Text(f"{node.op.symbol.text}({inner})")
    return _call(node.op.symbol.text, [inner], node.params.items())


def _einsum(node: Node, depth: int) -> Text:
    inputs, output = node.params["inputs"], node.params["output"]
    if not isinstance(inputs, tuple) or not isinstance(output, tuple):
        return Text("einsum(...)")
    if len(inputs) == 2:
        pair = _contraction(node, inputs, output, depth)
        if pair is not None:
            return pair
    letter = dict(zip(dict.fromkeys([*_flat(inputs), *output]), LETTERS, strict=False))
    spec = ",".join("".join(letter.get(x, "?") for x in _flat((part,))) for part in inputs)
    spec += "->" + "".join(letter.get(x, "?") for x in output)
    return Text(f"einsum('{spec}', {', '.join(operand(x, depth).text for x in node.operands)})")


def _contraction(
    node: Node, inputs: tuple[Param, ...], output: tuple[Param, ...], depth: int
) -> Text | None:
    """``a @ W``, ``W.T @ a``, ``outer(a, b)``, ``x y``; None when it is none of them."""
    (a, b), (x, y) = node.operands, (_flat((part,)) for part in inputs)
    shared = set(x) & set(y)
    if len(set(x)) != len(x) or len(set(y)) != len(y) or max(len(x), len(y)) > 2:
        return None
    left, right = operand(a, depth), operand(b, depth)
    if not shared and output == (*x, *y):
        if x and y:
            return Text(f"outer({left.text}, {right.text})")
        return Text(f"{left.inside(TIMES)} * {right.inside(TIMES + 1)}", TIMES)
    rest = [[label for label in labels if label not in shared] for labels in (x, y)]
    if len(shared) != 1 or sorted(map(str, [*rest[0], *rest[1]])) != sorted(map(str, output)):
        return None
    if output != (*rest[0], *rest[1]):
        (left, x), (right, y) = (right, y), (left, x)
    (k,) = shared
    before, after = left.inside(TIMES), right.inside(TIMES + 1)
    before = _turned(left) if len(x) == 2 and x[0] == k else before
    after = _turned(right) if len(y) == 2 and y[1] == k else after
    return Text(f"{before} @ {after}", TIMES)


def _flat(parts: tuple[Param, ...]) -> tuple[Param, ...]:
    return tuple(x for part in parts for x in (part if isinstance(part, tuple) else (part,)))


def _reshape(node: Node, depth: int) -> Text:
    """Invisible where only axes of size 1 come or go."""
    before, after = node.operands[0], node
    if [s for s in before.shape if s != 1] == [s for s in after.shape if s != 1]:
        return operand(before, depth)
    return _call("reshape", [operand(before, depth).text], node.params.items())


def _through(node: Node, depth: int) -> Text:
    return operand(node.operands[0], depth)


def _turned(inner: Text) -> str:
    """The transpose; of a transpose, what is turned back."""
    text = inner.inside(ATOM)
    return text.removesuffix(".T") if text.endswith(".T") else f"{text}.T"


def _transpose(node: Node, depth: int) -> Text:
    inner = operand(node.operands[0], depth)
    if _ints(node, "axes") == (1, 0):
        return Text(_turned(inner))
    return _call("transpose", [inner.text], node.params.items())


def _slice(node: Node, depth: int) -> Text:
    """``x[0]``, ``x[1:, ::2]``."""
    params, whole, parts = node.params, node.operands[0].shape, []
    starts, steps, sizes = (_values(params[key]) for key in ("start", "step", "shape"))
    for start, step, size, full in zip(starts, steps, sizes, whole, strict=True):
        if start == 0 and step == 1 and size == full:
            parts.append(":")
        elif size == 1:
            parts.append(str(start))
        elif step == -1:
            parts.append("::-1" if size == full else f"{start}::-1")
        else:
            stop = _sum_of(start, size, step)
            last = "" if stop == full or _passes(stop, full) else str(stop)
            first = "" if start == 0 else start
            parts.append(f"{first}:{last}" + ("" if step == 1 else f":{step}"))
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return Text(f"{operand(node.operands[0], depth).inside(ATOM)}[{', '.join(parts)}]")


def _passes(stop: Size, full: Size) -> bool:
    return isinstance(stop, int) and isinstance(full, int) and stop >= full


def _sum_of(start: Param, size: Param, step: Param) -> Size:
    """start + size * step."""
    if isinstance(start, int | Dim) and isinstance(size, int | Dim) and isinstance(step, int | Dim):
        return start + size * step
    return 0


def _pad(node: Node, depth: int) -> Text:
    return Text(f"pad({operand(node.operands[0], depth).text})")


def _constant(node: Node, depth: int) -> Text:
    held = node.params["value"]
    value = _scalar(node)
    if value is not None:
        return number(value)
    if isinstance(held, Constant) and held.array.size <= 3 and held.array.ndim == 1:
        return Text(f"[{', '.join(number(float(x)).text for x in held.array)}]")
    return Text("constant")


def _scalar(node: Node) -> float | None:
    """The one number a constant holds, seen through reshapes, broadcasts and casts."""
    while node.op.name in ("reshape", "broadcast_to", "cast") and not node.name:
        node = node.operands[0]
    held = node.params.get("value")
    if node.op.name != "constant" or not isinstance(held, Constant) or not held.array.size:
        return None
    values = held.array.ravel()
    if (values != values[0]).any():
        return None
    return int(values[0]) if values.dtype.kind in "ib" else float(values[0])


def _uncast(node: Node) -> Node:
    while node.op.name == "cast" and not node.name:
        node = node.operands[0]
    return node


def _unshaped(node: Node) -> Node:
    while node.op.name == "reshape" and not node.name:
        node = node.operands[0]
    return node


def _ints(node: Node, key: str) -> tuple[int, ...]:
    return tuple(x for x in _values(node.params[key]) if isinstance(x, int))


def _values(value: Param) -> tuple[Param, ...]:
    return value if isinstance(value, tuple) else (value,)


SPECIAL = {
    "input": lambda node, depth: Text(node.name or "input"),
    "constant": _constant,
    "dimension": lambda node, depth: Text(
        str(node.params["size"]), ATOM if str(node.params["size"]).isidentifier() else PLUS
    ),
    "iota": lambda node, depth: Text(f"arange({node.shape[0]})"),
    "add": _add,
    "negative": _negative,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "sum": _reduce,
    "prod": _reduce,
    "max": _reduce,
    "min": _reduce,
    "any": _reduce,
    "all": _reduce,
    "einsum": _einsum,
    "reshape": _reshape,
    "broadcast_to": _through,
    "cast": _through,
    "barrier": _through,
    "trap": _through,
    "copy": _through,
    "pack": _through,
    "unpack": lambda node, depth: operand(node.operands[0].operands[0], depth),
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
}
"""What infix, call, prefix and around cannot say."""

__all__ = ["equation", "expression", "number"]
