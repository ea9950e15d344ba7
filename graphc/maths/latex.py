r"""Formulas in LaTeX: ``\frac{\partial \ell}{\partial z_3}``. Needs amsmath."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from graphc.graph import Symbol
from graphc.maths.layout import ATOM, POWER, Piece, Style
from graphc.maths.words import COMMAND, GREEK, Word


def escaped(text: str) -> str:
    """The text with LaTeX's special characters escaped."""
    return re.sub(r"([#$%&_{}])", r"\\\1", text)


def braced(text: str) -> str:
    return text if len(text) == 1 else f"{{{text}}}"


def _base(base: str) -> str:
    if base in GREEK:
        return f"\\{COMMAND.get(base, base)}"
    return base if len(base) == 1 else rf"\mathrm{{{escaped(base)}}}"


class Latex(Style):
    """Quotients have bars."""

    elementwise = r"\odot"

    def __init__(self, sigma: str = r"\sigma") -> None:
        self.sigma = sigma

    def equals(self, left: str, right: str) -> str:
        return f"{left} = {right}"

    def name(self, word: Word, at: Sequence[str]) -> str:
        base, subscripts = word
        parts = [
            x if x.isdigit() or len(x) == 1 else rf"\mathrm{{{escaped(x)}}}" for x in subscripts
        ]
        if at:
            parts.append("".join(at) if all(len(i) == 1 for i in at) else ", ".join(at))
        return _base(base) + (f"_{braced(','.join(parts))}" if parts else "")

    def number(self, text: str) -> str:
        text = text.replace("∞", r"\infty")
        return re.sub(r"e([+-]\d+)", lambda e: rf"\cdot 10^{{{int(e[1])}}}", text)

    def ratio(self, top: int, bottom: int) -> str:
        return rf"\tfrac{{{top}}}{{{bottom}}}"

    def fraction(self, top: Piece, bottom: Piece) -> Piece:
        return Piece(rf"\frac{{{top.text}}}{{{bottom.text}}}", ATOM - 1, "fraction")

    def slope(self, top: str, bottom: str) -> Piece:
        return Piece(rf"\frac{{\partial {top}}}{{\partial {bottom}}}", ATOM - 1, "slope")

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{braced(exponent)}"

    def root(self, body: str) -> Piece:
        return Piece(rf"\sqrt{{{body}}}", ATOM, "call")

    def turned(self, base: str) -> str:
        return rf"{base}^\top"

    def group(self, body: str) -> str:
        tall = r"\frac" in body or r"\sum" in body
        return rf"\left({body}\right)" if tall else f"({body})"

    def call(self, symbol: Symbol, args: Sequence[str]) -> Piece:
        inner = ", ".join(args)
        if symbol.form == "around":
            left, right = symbol.latex.split(",")
            return Piece(rf"\left{left} {inner} \right{right}", ATOM, "call")
        text = self.sigma if symbol.text == "sigmoid" else symbol.latex
        return Piece(f"{text}{self.group(inner)}", ATOM, "call")

    def infix(self, symbol: Symbol, left: str, right: str) -> str:
        return f"{left} {symbol.latex} {right}"

    def truth(self, condition: str) -> str:
        return f"[{condition}]"

    def cases(self, then: str, condition: str, other: str) -> Piece:
        rows = rf"{then} & \text{{if }} {condition} \\ {other} & \text{{otherwise}}"
        return Piece(rf"\begin{{cases}} {rows} \end{{cases}}", POWER, "call")

    def fold(self, symbol: Symbol, over: Sequence[str], body: Piece) -> str:
        below = "".join(over) if all(len(x) == 1 for x in over) else ", ".join(over)
        return f"{symbol.latex}{f'_{{{below}}}' if below else ''} {body.text}"

    def minus(self, body: str) -> str:
        return f"-{body}"

    def plus(self, parts: Sequence[tuple[bool, str]], nested: bool) -> str:
        text = ""
        for negative, part in parts:
            text += f" {'-' if negative else '+'} {part}" if text else f"{'-' * negative}{part}"
        return text

    def times(self, pieces: Sequence[Piece]) -> str:
        text = pieces[0].text
        for before, after in pairwise(pieces):
            text += self._between(before, after) + after.text
        return text

    def _between(self, before: Piece, after: Piece) -> str:
        if before.kind == "number":
            digits = after.kind == "number" or after.text[:1].isdigit()
            return r" \cdot " if digits else r"\, "
        if before.kind == "name" and after.kind == "name":
            return r"\, "
        return r"\, " if after.kind == "sum" else r" \cdot "

    def joined(self, kind: str, pieces: Sequence[Piece]) -> str:
        if kind == "each":
            return r" \odot ".join(piece.text for piece in pieces)
        text = pieces[0].text
        for before, after in pairwise(pieces):
            text += (r"\, " if before.kind == after.kind == "name" else r" \cdot ") + after.text
        return text

    def delta(self, a: str, b: str) -> str:
        return self.name(("delta", ()), [a, b])
