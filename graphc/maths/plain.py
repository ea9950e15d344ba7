"""Formulas in one line of Unicode: ``∂ℓ/∂z₃ = (y−t)·z₃``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from graphc.graph import Symbol
from graphc.maths.layout import ATOM, POWER, TIMES, Piece, Style
from graphc.maths.words import GREEK, Word

SUBSCRIPT = dict(
    zip("0123456789aehijklmnoprstuvx+-−()", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₊₋₋₍₎", strict=True)
)
SUPERSCRIPT = dict(zip("0123456789+-−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ", strict=True))
RATIOS = {(1, 2): "½", (1, 3): "⅓", (2, 3): "⅔", (1, 4): "¼", (3, 4): "¾", (1, 6): "⅙", (1, 8): "⅛",
          (3, 8): "⅜"}  # fmt: skip
SIGNS = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "and": "∧", "or": "∨", "xor": "⊕", "*": "·"}
FOLDS = {"sum": "Σ", "prod": "Π", "any": "∃", "all": "∀"}
CALLS = {"sigmoid": "σ", "psi": "ψ", "not ": "¬", "lgamma": "logΓ"}


def _script(text: str, table: dict[str, str]) -> str | None:
    return "".join(table[x] for x in text) if all(x in table for x in text) else None


class Plain(Style):
    """Quotients have no bar, so parentheses say how far they reach."""

    spaced = False

    elementwise = "⊙"

    def __init__(self, sigma: str = "σ") -> None:
        self.sigma = sigma

    def equals(self, left: str, right: str) -> str:
        return f"{left} = {right}"

    def name(self, word: Word, at: Sequence[str]) -> str:
        base, subscripts = word
        text = GREEK.get(base, base)
        for subscript in subscripts:
            small = _script(subscript, SUBSCRIPT) if subscript.isdigit() else None
            text += small if small is not None else f"_{subscript}"
        if not at:
            return text
        small = _script("".join(at), SUBSCRIPT) if all(len(i) == 1 for i in at) else None
        if small is None:
            return f"{text}[{', '.join(at)}]"
        return f"({text}){small}" if subscripts else text + small

    def number(self, text: str) -> str:
        return text.replace("-", "−")

    def ratio(self, top: int, bottom: int) -> str:
        return RATIOS.get((top, bottom), f"{top}/{bottom}")

    def fraction(self, top: Piece, bottom: Piece) -> Piece:
        above = Piece(self.group(top.text)) if top.kind in ("slope", "fraction") else top
        if top.kind == "number" and top.text in RATIOS.values():
            above = top
        below = self.inside(bottom, POWER)
        return Piece(f"{self.inside(above, TIMES).text}/{below.text}", TIMES, "fraction")

    def slope(self, top: str, bottom: str) -> Piece:
        return Piece(f"∂{top}/∂{bottom}", TIMES + 1, "slope")

    def power(self, base: str, exponent: str) -> str:
        small = _script(exponent, SUPERSCRIPT)
        if small is not None:
            return base + small
        return f"{base}^{exponent}" if exponent.isalnum() else f"{base}^({exponent})"

    def root(self, body: str) -> Piece:
        simple = re.fullmatch(r"\w+", body)
        return Piece(f"√{body}" if simple else f"√({body})", POWER, "call")

    def turned(self, base: str) -> str:
        return f"{base}ᵀ"

    def group(self, body: str) -> str:
        return f"({body})"

    def call(self, symbol: Symbol, args: Sequence[str]) -> Piece:
        inner = ", ".join(args)
        if symbol.form == "around":
            left, right = symbol.text.split(",")
            return Piece(f"{left}{inner}{right}", ATOM, "call")
        text = self.sigma if symbol.text == "sigmoid" else CALLS.get(symbol.text, symbol.text)
        return Piece(f"{text}({inner})", ATOM, "call")

    def infix(self, symbol: Symbol, left: str, right: str) -> str:
        return f"{left}{SIGNS.get(symbol.text, symbol.text)}{right}"

    def truth(self, condition: str) -> str:
        return f"[{condition}]"

    def cases(self, then: str, condition: str, other: str) -> Piece:
        return Piece(f"{{{then} if {condition}, else {other}}}", ATOM, "call")

    def fold(self, symbol: Symbol, over: Sequence[str], body: Piece) -> str:
        sign = FOLDS.get(symbol.text, symbol.text)
        small = _script("".join(over), SUBSCRIPT) if over else ""
        sign += small if small is not None else f"_{','.join(over)}"
        return f"{sign} {body.text}"

    def minus(self, body: str) -> str:
        return f"−{body}"

    def plus(self, parts: Sequence[tuple[bool, str]], nested: bool) -> str:
        gap = "" if nested and not any("Σ" in part for _, part in parts) else " "
        text = ""
        for negative, part in parts:
            sign = "−" if negative else "+"
            text += f"{gap}{sign}{gap}{part}" if text else ("−" if negative else "") + part
        return text

    def times(self, pieces: Sequence[Piece]) -> str:
        slopes = sum(piece.kind == "slope" for piece in pieces)
        wide = slopes > 1 or any(piece.kind == "fraction" for piece in pieces[:-1])
        text = pieces[0].text
        for before, after in pairwise(pieces):
            side_by_side = (
                before.kind == "number"
                and after.kind in ("name", "group", "call")
                and (not after.text[0].isdigit())
            )
            text += ("" if side_by_side and not wide else " · " if wide else "·") + after.text
        return text

    def joined(self, kind: str, pieces: Sequence[Piece]) -> str:
        if kind == "each":
            wide = sum(piece.kind == "slope" for piece in pieces) > 1
            return (" ⊙ " if wide else "⊙").join(piece.text for piece in pieces)
        text = pieces[0].text
        for before, after in pairwise(pieces):
            plain = all(
                len(re.findall(r"[^\W\d_]", re.sub("[ᵀ₀-ₜᵢ-ᵥⱼ]", "", p.text))) == 1
                for p in (before, after)
            )
            text += ("" if plain else "·") + after.text
        return text

    def delta(self, a: str, b: str) -> str:
        return self.name(("δ", ()), [a, b])
