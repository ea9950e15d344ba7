"""The derivation of a gradient as a worked solution: text, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphc.errors import ArgumentError
from graphc.later import Later
from graphc.trace import trace_function

if TYPE_CHECKING:
    from graphc.explain import derivation, pages, writing
    from graphc.explain.derivation import Solution
    from graphc.explain.writing import Page
    from graphc.maths import latex, layout, mathml, plain
else:
    derivation, pages = Later("graphc.explain.derivation"), Later("graphc.explain.pages")
    writing, latex = Later("graphc.explain.writing"), Later("graphc.maths.latex")
    mathml, plain = Later("graphc.maths.mathml"), Later("graphc.maths.plain")


class Derivation:
    """A derivation, one chain-rule step a line. `str` gives its text, notebooks show its page."""

    def __init__(self, solution: Solution) -> None:
        self._solution = solution

    @property
    def text(self) -> str:
        """Unicode for a terminal."""
        return pages.text(self._written(plain.Plain, "sigmoid"))

    @property
    def latex(self) -> str:
        """A section for a document that loads amsmath."""
        return pages.latex(self._written(latex.Latex, r"\operatorname{sigmoid}"))

    @property
    def html(self) -> str:
        """A page that needs no network: MathML and its own style sheet."""
        return pages.html(self._written(mathml.MathML, "sigmoid"))

    def save(self, path: str | Path) -> Path:
        """Write the derivation; the suffix says as what: .html, .tex, or .txt and .md for text.

        Raises:
            ArgumentError: another suffix.
        """
        path = Path(path)
        makers = {".html": "html", ".tex": "latex", ".txt": "text", ".md": "text"}
        if path.suffix not in makers:
            raise ArgumentError(
                f"a derivation cannot be saved as {path.name!r}; end the name in "
                f"{', '.join(makers)}"
            )
        path.write_text(getattr(self, makers[path.suffix]), encoding="utf-8")
        return path

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        wanted = ", ".join(self._solution.problem.names[x] for x in self._solution.problem.targets)
        return f"<derivation of {self._solution.problem.graph.name} with respect to {wanted}>"

    def _repr_html_(self) -> str:
        return pages.body(self._written(mathml.MathML, "sigmoid"))

    def _repr_latex_(self) -> str:
        return self.latex

    def _written(self, style: Callable[..., layout.Style], spelled: str) -> Page:
        """The page in one style; a variable called sigma keeps σ for itself."""
        taken = "sigma" in self._solution.problem.names.values()
        return writing.Writer(self._solution, style(spelled) if taken else style()).page()


def explain(
    fn: Callable[..., Any],
    *examples: Any,
    wrt: str | Sequence[str] | None = None,
    given: str | Sequence[str] = (),
    **keywords: Any,
) -> Derivation:
    """The derivation of fn's gradient, in the user's names, one chain-rule step a line.

    The formulas are the user's as written, before any rewriting for floating point.

    Args:
        fn: returns a floating-point scalar, the loss.
        examples, keywords: its arguments as for `trace`: arrays, numbers, types, pytrees of them.
        wrt: the name, or names, of what to derive with respect to: an argument (``"w"``,
            ``"params_W1"``, ``"params['W1']"``; ``"params"`` for all of a pytree) or any named
            intermediate value (``"mu"``). None means every floating-point argument.
        given: names of values whose derivative counts as known: the chain starts there, and fn
            may then return anything, for ``given="a"`` stands for the derivative of some loss.

    Raises:
        TraceError: fn returns no scalar and nothing is given, or a name is none of its values.
    """
    traced = trace_function(fn, examples, keywords)
    wanted = [wrt] if isinstance(wrt, str) else wrt
    known = [given] if isinstance(given, str) else list(given)
    return Derivation(derivation.solve(derivation.pose(traced.graph, traced.shown, wanted, known)))


__all__ = ["Derivation", "explain"]
