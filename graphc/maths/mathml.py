"""Formulas in MathML Core, which browsers render without help."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from graphc.graph import Symbol
from graphc.maths.layout import ATOM, POWER, Piece, Style
from graphc.maths.plain import CALLS, FOLDS, SIGNS
from graphc.maths.words import GREEK, Word

DOT, ODOT, MINUS, APPLY, INVISIBLE = "⋅", "⊙", "−", "\u2061", "\u2062"


def op(sign: str, attributes: str = "") -> str:
    return f"<mo{attributes}>{escape(sign)}</mo>"


def row(*parts: str) -> str:
    inner = "".join(parts)
    return f"<mrow>{inner}</mrow>"


def identifier(text: str) -> str:
    """One letter is set in italics, a word upright."""
    return f"<mi>{escape(GREEK.get(text, text))}</mi>"


def math(body: str, display: bool = False) -> str:
    """A whole formula as an element of a page."""
    block = ' display="block"' if display else ""
    return f"<math{block}>{body}</math>"


def _raised(base: str, exponent: str) -> str:
    """A superscript stands above a subscript, not beside it."""
    if base.startswith("<msub>") and base.endswith("</msub>") and base.count("<msub>") == 1:
        return f"<msubsup>{base[6:-7]}{exponent}</msubsup>"
    return f"<msup>{row(base)}{exponent}</msup>"


class MathML(Style):
    """Quotients have bars."""

    elementwise = op("⊙")

    def __init__(self, sigma: str = "σ") -> None:
        self.sigma = sigma

    def equals(self, left: str, right: str) -> str:
        return row(left, op("="), right)

    def name(self, word: Word, at: Sequence[str]) -> str:
        base, subscripts = word
        groups = [
            f"<mn>{x}</mn>" if x.isdigit() else f"<mtext>{escape(x)}</mtext>" for x in subscripts
        ]
        if at:
            wide = any(len(i) > 1 for i in at)
            indices = [self._index(i) for i in at]
            groups.append((op(",") if wide else "").join(indices))
        if not groups:
            return identifier(base)
        return f"<msub>{identifier(base)}{row(op(',', NARROW).join(groups))}</msub>"

    def _index(self, text: str) -> str:
        if text.isdigit():
            return f"<mn>{text}</mn>"
        return f"<mi>{text}</mi>" if text.isalpha() else f"<mtext>{escape(text)}</mtext>"

    def number(self, text: str) -> str:
        return f"<mn>{escape(text)}</mn>"

    def ratio(self, top: int, bottom: int) -> str:
        return (
            f'<mstyle displaystyle="false"><mfrac><mn>{top}</mn><mn>{bottom}</mn></mfrac></mstyle>'
        )

    def fraction(self, top: Piece, bottom: Piece) -> Piece:
        return Piece(f"<mfrac>{row(top.text)}{row(bottom.text)}</mfrac>", ATOM - 1, "fraction")

    def slope(self, top: str, bottom: str) -> Piece:
        above, below = (row(op("∂", CLOSE), x) for x in (top, bottom))
        return Piece(f"<mfrac>{above}{below}</mfrac>", ATOM - 1, "slope")

    def power(self, base: str, exponent: str) -> str:
        return _raised(base, row(exponent))

    def root(self, body: str) -> Piece:
        return Piece(f"<msqrt>{body}</msqrt>", ATOM, "call")

    def turned(self, base: str) -> str:
        return _raised(base, "<mo>⊤</mo>")

    def group(self, body: str) -> str:
        tall = any(tag in body for tag in ("<mfrac", "<munder", "<mtable"))
        return row(
            *(body if x is None else op(x, FENCE if tall else SHORT) for x in ("(", None, ")"))
        )

    def call(self, symbol: Symbol, args: Sequence[str]) -> Piece:
        inner = op(",").join(args)
        if symbol.form == "around":
            left, right = (op(x, FENCE) for x in symbol.text.split(","))
            return Piece(row(left, inner, right), ATOM, "call")
        text = self.sigma if symbol.text == "sigmoid" else CALLS.get(symbol.text, symbol.text)
        return Piece(row(f"<mi>{escape(text)}</mi>", op(APPLY), self.group(inner)), ATOM, "call")

    def infix(self, symbol: Symbol, left: str, right: str) -> str:
        return row(left, op(SIGNS.get(symbol.text, symbol.text)), right)

    def truth(self, condition: str) -> str:
        return row(op("["), condition, op("]"))

    def cases(self, then: str, condition: str, other: str) -> Piece:
        rows = "".join(
            f"<mtr><mtd>{row(value)}</mtd><mtd>{row(f'<mtext>{word}</mtext>', when)}</mtd></mtr>"
            for value, word, when in ((then, "if\u00a0", condition), (other, "otherwise", ""))
        )
        return Piece(row(op("{"), f'<mtable columnalign="left">{rows}</mtable>'), POWER, "call")

    def fold(self, symbol: Symbol, over: Sequence[str], body: Piece) -> str:
        sign = {"sum": "∑", "prod": "∏"}.get(symbol.text)
        written = op(sign) if sign else op(FOLDS.get(symbol.text, symbol.text))
        if over:
            wide = any(len(i) > 1 for i in over)
            below = row((op(",") if wide else "").join(map(self._index, over)))
            written = f"<munder>{written}{below}</munder>"
        return row(written, body.text)

    def minus(self, body: str) -> str:
        return row(op(MINUS, ' form="prefix"'), body)

    def plus(self, parts: Sequence[tuple[bool, str]], nested: bool) -> str:
        text = ""
        for negative, part in parts:
            if text:
                text += op(MINUS if negative else "+") + part
            else:
                text = (op(MINUS, ' form="prefix"') if negative else "") + part
        return row(text)

    def times(self, pieces: Sequence[Piece]) -> str:
        text = pieces[0].text
        for before, after in pairwise(pieces):
            side_by_side = (
                (before.kind in ("number", "name") and after.kind == "name")
                or (before.kind == "number" and after.kind in ("group", "call"))
                or after.kind == "sum"
            )
            text += op(INVISIBLE if side_by_side else DOT) + after.text
        return row(text)

    def joined(self, kind: str, pieces: Sequence[Piece]) -> str:
        if kind == "each":
            return row(op(ODOT).join(piece.text for piece in pieces))
        text = pieces[0].text
        for before, after in pairwise(pieces):
            text += op(INVISIBLE if before.kind == after.kind == "name" else DOT) + after.text
        return row(text)

    def delta(self, a: str, b: str) -> str:
        return self.name(("δ", ()), [a, b])


NARROW = ' rspace="0" lspace="0"'
CLOSE = ' rspace="0" lspace="0"'
FENCE = ' fence="true" stretchy="true" lspace="0" rspace="0"'
SHORT = ' fence="true" stretchy="false" lspace="0" rspace="0"'
