"""A written derivation set as text, as LaTeX, and as a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from graphc import resources
from graphc.explain.writing import Page, Row, Words
from graphc.maths.latex import escaped
from graphc.maths.mathml import math, op, row

INDENT = "    "


# --- text ---------------------------------------------------------------------------------------


def text(page: Page) -> str:
    """Lines of Unicode."""
    blocks = [_title(f"Derivation of {page.title}")]
    if page.given:
        blocks.append("Given\n" + _aligned(page.given))
    if page.assumed:
        blocks.append(f"With {_plain_words(page.assumed)}")
    for section in page.steps:
        blocks.append(
            f"{section.heading}\n{INDENT}{_plain_words(section.sentence)}\n"
            + _aligned(section.rows)
        )
    if len(page.results) > 1:
        blocks.append("Result\n" + _aligned(page.results))
    if page.notes:
        blocks.append("\n".join(_plain_words(note) for note in page.notes))
    return "\n\n".join(blocks) + "\n"


def _title(words: str) -> str:
    return f"{words}\n{'=' * len(words)}"


def _aligned(rows: Iterable[Row]) -> str:
    """Equations with their equals signs in one column, for each left side and what follows it."""
    lines: list[str] = []
    width = 0
    for r in rows:
        width = len(r.left) if r.left else width
        reason = f"    ({r.reason})" if r.reason else ""
        lines.append(f"{INDENT}{r.left:{width}} = {r.right}{reason}")
    return "\n".join(lines)


def _plain_words(words: Words) -> str:
    return "".join(part for _, part in words)


# --- LaTeX --------------------------------------------------------------------------------------


def latex(page: Page) -> str:
    """Paragraphs and align* blocks for a document that loads amsmath."""
    blocks = [rf"\section*{{Derivation of {escaped(page.title)}}}"]
    if page.given:
        blocks += [r"\paragraph{Given}", _align(page.given)]
    if page.assumed:
        blocks.append(f"With {_latex_words(page.assumed)}")
    for section in page.steps:
        blocks += [
            rf"\paragraph{{${section.heading}$}} {_latex_words(section.sentence)}",
            _align(section.rows),
        ]
    if len(page.results) > 1:
        blocks += [r"\paragraph{Result}", _align(page.results)]
    blocks += [f"{_latex_words(note)}" for note in page.notes]
    return "\n\n".join(blocks) + "\n"


def _align(rows: Iterable[Row]) -> str:
    lines = [f"  {r.left} &= {r.right}{_tag(r.reason)}" for r in rows]
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"


def _tag(reason: str) -> str:
    return rf" && \text{{({_reason(reason)})}}" if reason else ""


def _reason(reason: str) -> str:
    return escaped(reason.replace("·", " ")) if reason else ""


def _latex_words(words: Words) -> str:
    return "".join(
        f"${part}$" if formula else escaped(part).replace("…", r"\dots") for formula, part in words
    )


# --- HTML ---------------------------------------------------------------------------------------


def html(page: Page) -> str:
    """A whole page: MathML and its own style sheet, nothing from the network."""
    return resources.render(
        "page.html", title=escape(f"Derivation of {page.title}"), body=body(page)
    )


def body(page: Page) -> str:
    """The page's content without its frame, for notebooks."""
    parts = []
    if page.given:
        parts.append(_section("given", "Given", _table(page.given)))
    if page.assumed:
        parts.append(_section("given", "With", f"<p>{_html_words(page.assumed)}</p>"))
    for section in page.steps:
        content = f"<p>{_html_words(section.sentence)}</p>{_table(section.rows)}"
        parts.append(_section("step", math(section.heading, True), content))
    if len(page.results) > 1:
        parts.append(_section("result", "Result", _table(page.results)))
    if page.notes:
        notes = "".join(f"<li>{_html_words(note)}</li>" for note in page.notes)
        parts.append(f'<ul class="notes">{notes}</ul>')
    return "\n".join(parts)


def _section(kind: str, heading: str, content: str) -> str:
    return f'<section class="{kind}"><h2>{heading}</h2><div>{content}</div></section>'


def _table(rows: tuple[Row, ...]) -> str:
    """Equations aligned at their equals signs; the last line of a derivation stands out."""
    lines = []
    for r in rows:
        left = math(r.left, True) if r.left else ""
        right = math(row(op("=", ' form="infix"'), r.right), True)
        why = f'<span class="why">{escape(r.reason)}</span>' if r.reason else ""
        lines.append(f"<tr><td>{left}</td><td>{right}</td><td>{why}</td></tr>")
    return f'<table class="align">{"".join(lines)}</table>'


def _html_words(words: Words) -> str:
    return "".join(math(part) if formula else escape(part) for formula, part in words)
