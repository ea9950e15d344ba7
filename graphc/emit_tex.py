"""Graph -> LaTeX: the named values as aligned equations, in the names of the user.

The adjoint of z, ``d_z``, is written as the derivative of the loss with respect to z.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphc.graph import Graph, Node, walk
from graphc.maths.equations import Equation, SlopeAt, equation, equations, name_nodes
from graphc.maths.latex import Latex
from graphc.maths.layout import Layout
from graphc.maths.matrix import matrix_form
from graphc.maths.read import Known
from graphc.maths.simplify import simplify
from graphc.maths.tree import Expr, Item, frees
from graphc.maths.words import LOSSES, words


def latex(graph: Graph) -> str:
    """An ``align*`` block for a document that loads amsmath: a line for each named value.

    Forward formulas stand as the user wrote them, those of derivatives are simplified. A formula
    without a matrix form is written for one element, with indices.
    """
    names = name_nodes(graph, graph.outputs)
    loss = _loss(graph, names.values())
    adjoints = _adjoints(names, loss)
    layout = Layout(
        _style(names.values()),
        words([*names.values(), loss.name], loss.name),
        frozenset(graph.dims),
    )
    lines = []
    for node, found in equations(walk(graph.outputs), names, adjoints).items():
        item = adjoints[node](frees(node.type.rank)) if node in adjoints else found.item
        lines.append(_line(layout, item, found))
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n"


def expression_tex(node: Node) -> str:
    r"""The node's formula in its nearest named operands, for maths mode: ``x_1\, w_{13}``."""
    nodes = tuple(walk((node,)))
    names = {x: x.name for x in nodes if x.name and x.op.name != "constant"}
    found = equation(node, names)
    layout = Layout(_style(names.values()), words(names.values()), frozenset(node.type.dims))
    rank = node.type.rank
    matrix = matrix_form(found.formula, rank)
    return layout.write(found.formula if matrix is None else matrix, rank)


def _line(layout: Layout, item: Expr, found: Equation) -> str:
    rank = found.node.type.rank
    formula = simplify(found.formula) if found.node.part == "backward" else found.formula
    sides: list[Expr] = [item, formula]
    matrices = [x for x in (matrix_form(side, rank) for side in sides) if x is not None]
    left, right = (layout.write(x, rank) for x in (matrices if len(matrices) == 2 else sides))
    return f"  {left} &= {right}"


def _loss(graph: Graph, names: Iterable[str]) -> Item:
    """What the derivatives are of: the first output that is no derivative, ℓ when all are."""
    forward = [
        name
        for node, name in zip(graph.outputs, graph.output_names, strict=True)
        if node.part == "forward"
    ]
    named = [name for name in names if name in LOSSES]
    return Item((*forward, *named, "loss")[0])


def _adjoints(names: dict[Node, str], loss: Item) -> Known:
    """The nodes that derive named ``d_z`` for a forward value z, as derivatives."""
    known = set(names.values())
    return {
        node: SlopeAt(loss, name[2:])
        for node, name in names.items()
        if node.part == "backward" and name.startswith("d_") and name[2:] in known
    }


def _style(names: Iterable[str]) -> Latex:
    """A variable called sigma keeps σ for itself."""
    return Latex(r"\operatorname{sigmoid}") if "sigma" in set(names) else Latex()
