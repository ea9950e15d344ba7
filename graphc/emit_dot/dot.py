"""DOT text: escaping, a writer that indents, and the one palette all pictures share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

FONT = "Helvetica,Arial,sans-serif"
INK, GREY, LINE = "#1c2330", "#5c6675", "#3d4654"
# Blue, orange, green and purple of Okabe and Ito, darkened for lines and paled for fills: they
# stay apart in grey print and for every kind of colour blindness.
BLUE, PALE_BLUE = "#1f5f99", "#e7f0f9"
ORANGE, PALE_ORANGE = "#b04a00", "#fdeedd"
GREEN, PALE_GREEN = "#00724f", "#e2f3ec"
PURPLE, PALE_PURPLE = "#7b3f8c", "#f3eaf6"
PALE_GREY = "#f3f4f6"
PARTS = {
    "forward": (BLUE, PALE_BLUE),
    "backward": (ORANGE, PALE_ORANGE),
    "update": (GREEN, PALE_GREEN),
}
"""Line and fill of the parts a program has."""


class Html(str):
    """Markup of an HTML-like label, escaped already."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Any text as it must stand inside an HTML-like label."""
    clean = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", str(text))
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        clean = clean.replace(sign, entity)
    return Html(clean)


def quote(text: object) -> str:
    """Any text as a quoted DOT string."""
    clean = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "\ufffd", str(text))
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def font(text: Html, *, size: int | None = None, color: str | None = None) -> Html:
    given = (f' POINT-SIZE="{size}"' if size else "") + (f' COLOR="{color}"' if color else "")
    return Html(f"<FONT{given}>{text}</FONT>")


def bold(text: Html) -> Html:
    return Html(f"<B>{text}</B>")


def rows(*lines: Html) -> Html:
    """Lines one below the other, centred."""
    return Html("<BR/>".join(lines))


def attributes(**given: object) -> str:
    """``[color="#fff", label=<...>]``; None leaves an attribute out."""
    shown = [
        f"{name.rstrip('_')}=" + (f"<{value}>" if isinstance(value, Html) else quote(value))
        for name, value in given.items()
        if value is not None
    ]
    return f" [{', '.join(shown)}]" if shown else ""


class Picture:
    """Collects the lines of one directed graph."""

    def __init__(self, name: str, **given: object) -> None:
        self._lines = [f"digraph {quote(name)} {{"]
        self._depth = 1
        defaults = {
            "charset": "UTF-8",
            "bgcolor": "white",
            "fontname": FONT,
            "fontcolor": INK,
            "fontsize": 12,
            "pad": 0.2,
        }
        self.line("graph" + attributes(**{**defaults, **given}))
        self.line("node" + attributes(fontname=FONT, fontcolor=INK, color=LINE, penwidth=1.3))
        self.line(
            "edge"
            + attributes(fontname=FONT, fontcolor=INK, color=LINE, arrowsize=0.7, fontsize=13)
        )

    def line(self, text: str) -> None:
        self._lines.append("  " * self._depth + text)

    def node(self, name: str, **given: object) -> None:
        self.line(quote(name) + attributes(**given))

    def edge(self, source: str, target: str, **given: object) -> None:
        self.line(f"{quote(source)} -> {quote(target)}" + attributes(**given))

    @contextmanager
    def block(self, head: str, **given: object) -> Iterator[None]:
        """A subgraph, or any other braces."""
        self.line(f"{head} {{")
        self._depth += 1
        if given:
            self.line("graph" + attributes(**given))
        yield
        self._depth -= 1
        self.line("}")

    def __str__(self) -> str:
        return "\n".join([*self._lines, "}", ""])
