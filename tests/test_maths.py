"""Formula trees: the algebra keeps the value, the printers keep the meaning."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest

from graphc import ops
from graphc.graph import Elementwise
from graphc.maths.equations import ItemAt, equations, name_nodes
from graphc.maths.latex import Latex
from graphc.maths.layout import Layout, Style
from graphc.maths.mathml import MathML
from graphc.maths.mathml import math as mathml
from graphc.maths.matrix import matrix_form
from graphc.maths.plain import Plain
from graphc.maths.read import element
from graphc.maths.recognise import logs_apart, renamed
from graphc.maths.simplify import simplify, tidy
from graphc.maths.tree import (
    Call,
    Cases,
    Delta,
    Expr,
    Fold,
    Item,
    Number,
    Place,
    Plus,
    Power,
    Slope,
    Times,
    canonical,
    frees,
    same,
)
from graphc.maths.words import word, words
from graphc.reference import run_nodes
from graphc.trace import trace_function
from graphc.types import Size, evaluate

Values = Mapping[str, Any]
FUNCTIONS = {row.symbol.text: row for row in ops.TABLE if isinstance(row.element, Elementwise)}
NONE: Values = MappingProxyType({})


def value(expr: Expr, values: Values, at: Mapping[str, int], slopes: Values = NONE) -> float:
    """The number a tree stands for, computed apart from everything in graphc.maths."""

    def size(index: Size) -> int:
        return evaluate(index, at)

    match expr:
        case Number():
            return float(expr.value)
        case Item(name="pi", at=()) if "pi" not in values:
            return math.pi
        case Item():
            return float(np.asarray(values[expr.name])[tuple(map(size, expr.at))])
        case Slope():
            return float(np.asarray(slopes[expr.bottom.name])[tuple(map(size, expr.bottom.at))])
        case Place():
            return float(size(expr.size))
        case Delta():
            return float(size(expr.a) == size(expr.b))
        case Plus():
            return math.fsum(value(x, values, at, slopes) for x in expr.terms)
        case Times():
            # [false] x is 0 even where x is not defined.
            factors = sorted(expr.factors, key=lambda x: not isinstance(x, Cases))
            result = 1.0
            for factor in factors:
                result *= value(factor, values, at, slopes)
                if result == 0 and isinstance(factor, Cases):
                    return 0.0
            return result
        case Power():
            base, exponent = (value(x, values, at, slopes) for x in (expr.base, expr.exponent))
            return float(np.float64(base) ** exponent)
        case Cases():
            chosen = expr.then if value(expr.condition, values, at, slopes) else expr.other
            return value(chosen, values, at, slopes)
        case Fold():
            ranges = [range(size(length)) for _, length in expr.over]
            names = [name for name, _ in expr.over]
            parts = [
                value(expr.body, values, {**at, **dict(zip(names, where, strict=True))}, slopes)
                for where in itertools.product(*ranges)
            ]
            fold = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}
            return float(fold[expr.symbol.text](parts))
        case Call():
            args = [np.float64(value(x, values, at, slopes)) for x in expr.args]
            row = FUNCTIONS[expr.symbol.text]
            if row.symbol.text in ("and", "or", "xor", "not "):
                args = [x != 0 for x in args]
            return float(row.evaluate({}, *args))
    raise AssertionError(expr)


def tensor(
    expr: Expr,
    shape: tuple[int, ...],
    values: Values,
    slopes: Values = NONE,
    sizes: Mapping[str, int] = NONE,
) -> Any:
    """The tree at every free index."""
    result = np.empty(shape)
    for where in np.ndindex(*shape):
        at = {**sizes, **{f"@{axis}": i for axis, i in enumerate(where)}}
        result[where] = value(expr, values, at, slopes)
    return result


def softmax(x: Any) -> Any:
    return np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)


M, V = np.linspace(0.3, 1.7, 6).reshape(2, 3), np.array([0.4, 1.1, 0.7])
READ: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda x, y: x * y / (x + y) - 2 * x**3.0 + np.sqrt(y), (1.3, 0.7)),
    (lambda x, y: np.where(x > y, x, -y) + np.maximum(x, y) * np.abs(x - y), (0.2, 0.9)),
    (lambda x, y: np.log1p(x) + np.expm1(y) + np.logaddexp(x, y), (0.2, 0.9)),
    (lambda m, v: m @ v, (M, V)),
    (lambda m, v: m.T @ m + v, (M, V)),
    (lambda m, v: np.outer(v, v), (M, V)),
    (lambda m, v: softmax(m) * v, (M, V)),
    (lambda m, v: m[::-1, 1:], (M, V)),
    (lambda m, v: np.concatenate([v, m[0], v[::-1]]), (M, V)),
    (lambda m, v: np.pad(v, 2), (M, V)),
    (lambda m, v: np.roll(v, 1) * np.flip(v), (M, V)),
    (lambda m, v: m.reshape(3, 2), (M, V)),
    (lambda m, v: np.prod(m, axis=0) + np.max(m, axis=0) - np.mean(m) + np.var(v), (M, V)),
    (lambda m, v: np.einsum("ij,j,kj->ki", m, v, m), (M, V)),
    (lambda m, v: np.arange(3) * v, (M, V)),
    (lambda m, v: (m > 0.8).astype(float) * v, (M, V)),
    (lambda m, v: np.diagonal(m.T @ m) + np.trace(m.T @ m), (M, V)),
]


@pytest.mark.parametrize(("fn", "args"), READ)
def test_a_tree_has_the_value_of_its_node(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    graph = trace_function(fn, args).graph
    output = graph.outputs[0]
    leaves = {x: name for x, name in name_nodes(graph, [output]).items() if not x.operands}
    expr = element(output, frees(output.type.rank), {x: ItemAt(n) for x, n in leaves.items()})
    values = {leaves[x]: given for x, given in run_nodes(graph, args).items() if x in leaves}
    wanted = fn(*args)
    for found in (expr, simplify(expr), tidy(expr), logs_apart(expr), canonical(expr)):
        np.testing.assert_allclose(tensor(found, np.shape(wanted), values), wanted, rtol=1e-12)


def tree(fn: Callable[..., Any], *args: Any) -> Expr:
    graph = trace_function(fn, args).graph
    known = {x: ItemAt(str(x.name)) for x in graph.inputs}
    return element(graph.outputs[0], frees(graph.outputs[0].type.rank), known)


def plain(expr: Expr, rank: int = 0) -> str:
    matrix = matrix_form(expr, rank)
    return Layout(Plain()).write(expr if matrix is None else matrix, rank)


SIMPLER: list[tuple[Callable[..., Any], str]] = [
    (lambda x, y, z: x - x, "0"),
    (lambda x, y, z: 2 * x + 3 * x, "5x"),
    (lambda x, y, z: x * y / x, "y"),
    (lambda x, y, z: x * x**3.0, "x⁴"),
    (lambda x, y, z: 0.5 * (2 * x), "x"),
    (lambda x, y, z: x * y - x * z, "x·(y−z)"),
    (lambda x, y, z: -(x - y), "y − x"),
    (lambda x, y, z: -(1 - x), "−(1−x)"),
    (lambda x, y, z: z * x - z * x * x, "z·x·(1−x)"),
    (lambda x, y, z: np.log(np.exp(x)) + np.exp(np.log(y)), "x + y"),
    (lambda x, y, z: np.exp(x) * np.exp(-x), "1"),
    (lambda x, y, z: np.exp(x) / (1 + np.exp(x)), "σ(x)"),
    (lambda x, y, z: 1 / (1 + np.exp(-x)), "σ(x)"),
    (lambda x, y, z: 1 / (1 + np.exp(x)), "σ(−x)"),
    (lambda x, y, z: np.exp(-x) / (1 + np.exp(-x)), "σ(−x)"),
    (lambda x, y, z: np.exp(x) / (1 + np.exp(x)) ** 2, "σ(x)·(1−σ(x))"),
    (lambda x, y, z: (1 + np.exp(x)) / (1 + np.exp(x)), "1"),
    (lambda x, y, z: np.sign(-x) * np.abs(-y), "−sign(x)·|y|"),
    (lambda x, y, z: np.sqrt(x) * np.sqrt(x), "x"),
    (lambda x, y, z: np.sqrt(4.0 * np.ones(())) * x, "2x"),
    (lambda x, y, z: 1 / x * y * (x / y), "1"),
    (lambda x, y, z: y * (z / y + x), "z + y·x"),
    (lambda x, y, z: np.where(x > 0, y, 0), "y·[x>0]"),
    (lambda x, y, z: np.where(x > 0, 0, y), "y·[x≤0]"),
    (lambda x, y, z: np.where(x > 0, y, y), "y"),
    (lambda x, y, z: np.tanh(-x) + np.cos(-x), "cos(x) − tanh(x)"),
    (lambda x, y, z: x / 3 + x / 6, "½x"),
    (lambda x, y, z: (x + y) - (x - y), "2y"),
    (lambda x, y, z: -x - y, "−(x+y)"),
    (lambda x, y, z: x * 0 + y, "y"),
]


@pytest.mark.parametrize(("fn", "wanted"), SIMPLER, ids=[w for _, w in SIMPLER])
def test_simplified(fn: Callable[..., Any], wanted: str) -> None:
    expr = tree(fn, 1.0, 2.0, 3.0)
    assert plain(simplify(expr)) == wanted
    for x, y, z in ((0.3, 0.8, -1.2), (1.4, -0.5, 0.6), (2.5, 0.1, 0.9)):
        here = {"x": x, "y": y if "log" not in str(expr) else abs(y), "z": z}
        found, true = (value(part, here, {}) for part in (simplify(expr), expr))
        np.testing.assert_allclose(found, true, rtol=1e-12, atol=1e-15)


def test_equal_sums_over_differently_named_indices_are_the_same() -> None:
    a, b = (tree(lambda v, w: np.sum(v * w), V, V) for _ in range(2))
    assert a != b
    assert same(a, b)
    assert simplify(Plus((a, Times((Number(-1.0), b))))) == Number(0)


def test_what_does_not_depend_on_the_index_leaves_the_sum() -> None:
    assert plain(simplify(tree(lambda v, x: np.sum(v * x), V, 2.0))) == "x·Σ v"
    assert plain(simplify(tree(lambda v, x: np.sum(0 * v + x), V, 2.0))) == "3x"


def test_a_name_stands_for_the_formula_that_defines_it() -> None:
    p = tree(lambda s, u: 1 / (2 * s) * np.exp(-u / s), 1.0, 2.0)
    pulled = tree(lambda s, u: 1 / (2 * s) * np.exp(-u / s) / s, 1.0, 2.0)
    assert plain(simplify(renamed(simplify(pulled), Item("p"), p))) == "p/s"


def test_a_name_is_not_forced_on_a_bare_product() -> None:
    half = tree(lambda z: 0.5 * z**2, 1.0)
    square = tree(lambda z: z**2 * 3, 1.0)
    assert plain(simplify(renamed(simplify(square), Item("a"), half))) == "3z²"


MATRIX: list[tuple[Callable[..., Any], str]] = [
    (lambda A, B, v, w: A @ B, "AB"),
    (lambda A, B, v, w: A.T @ B, "AᵀB"),
    (lambda A, B, v, w: A @ B.T @ A, "ABᵀA"),
    (lambda A, B, v, w: A @ v, "Av"),
    (lambda A, B, v, w: v @ A, "Aᵀv"),
    (lambda A, B, v, w: v @ w, "vᵀw"),
    (lambda A, B, v, w: v @ v, "Σ v²"),
    (lambda A, B, v, w: np.outer(v, w), "vwᵀ"),
    (lambda A, B, v, w: A @ (v * w), "A·(v⊙w)"),
    (lambda A, B, v, w: A * B, "A⊙B"),
    (lambda A, B, v, w: A * B.T, "A⊙Bᵀ"),
    (lambda A, B, v, w: A + v, "A + v"),
    (lambda A, B, v, w: 2 * A @ v - w, "2Av − w"),
    (lambda A, B, v, w: A / 3, "⅓A"),
    (lambda A, B, v, w: np.sum(A * B), "Σ A⊙B"),
    (lambda A, B, v, w: np.sum(A, axis=0), "Σⱼ Aⱼᵢ"),
    (lambda A, B, v, w: A * v[:, None], "Aᵢⱼ·vᵢ"),
    (lambda A, B, v, w: np.max(A, axis=1), "maxⱼ Aᵢⱼ"),
    (lambda A, B, v, w: (v @ w) * v, "vᵀw·v"),
]


@pytest.mark.parametrize(("fn", "wanted"), MATRIX, ids=[w for _, w in MATRIX])
def test_matrix_forms(fn: Callable[..., Any], wanted: str) -> None:
    square = np.ones((3, 3))
    expr = simplify(tree(fn, square, square, V, V))
    assert plain(expr, np.ndim(fn(square, square, V, V))) == wanted


@pytest.mark.parametrize(("name", "wanted"), [
    ("z3", ("z", ("3",))), ("w13", ("w", ("13",))), ("mu", ("mu", ())),
    ("sigma2", ("sigma", ("2",))),
    ("a_prev", ("a", ("prev",))), ("W1_2", ("W", ("1", "2"))), ("hidden", ("hidden", ())),
])  # fmt: skip
def test_words(name: str, wanted: Any) -> None:
    assert word(name) == wanted


def test_a_pytrees_root_is_left_out_where_that_is_clear() -> None:
    found = words(["params_W1", "params_b", "z", "loss"], "loss")
    assert found == {
        "params_W1": ("W", ("1",)),
        "params_b": ("b", ()),
        "z": ("z", ()),
        "loss": ("ell", ()),
    }
    clash = words(["params_z", "z"])
    assert clash["params_z"] == ("params", ("z",))
    assert clash["z"] == ("z", ())
    both = words(["left_W", "right_W"])
    assert len(set(both.values())) == 2


STYLES: list[tuple[Callable[..., Any], str, str]] = [
    (lambda x, y, z: x - (y - z), "x − (y−z)", "x - (y - z)"),
    (lambda x, y, z: x / (y * z), "x/(y·z)", r"\frac{x}{y\, z}"),
    (lambda x, y, z: x / y / z, "(x/y)/z", r"\frac{\frac{x}{y}}{z}"),
    (lambda x, y, z: (x + y) ** 2, "(x+y)²", "(x + y)^2"),
    (lambda x, y, z: np.exp(x) ** 2, "exp(x)²", r"\exp(x)^2"),
    (lambda x, y, z: (-x) ** 3.0, "(−x)³", "(-x)^3"),
    (lambda x, y, z: x**y, "x^y", "x^y"),
    (lambda x, y, z: x ** (y + z), "x^(y+z)", "x^{y + z}"),
    (lambda x, y, z: np.sqrt(x + y), "√(x+y)", r"\sqrt{x + y}"),
    (lambda x, y, z: np.abs(x) / y, "|x|/y", r"\frac{\left\lvert x \right\rvert}{y}"),
    (lambda x, y, z: 0.1 * x, "0.1x", r"0.1\, x"),
    (lambda x, y, z: np.pi * x, "π·x", r"\pi\, x"),
    (lambda x, y, z: -(x * y), "−x·y", r"-x\, y"),
    (lambda x, y, z: x * -y, "x·(−y)", r"x \cdot (-y)"),
    (lambda x, y, z: np.where(x > y, x, z), "{x if x>y, else z}",
     r"\begin{cases} x & \text{if } x > y \\ z & \text{otherwise} \end{cases}"),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "text", "latex"), STYLES, ids=[s[1] for s in STYLES])
def test_styles(fn: Callable[..., Any], text: str, latex: str) -> None:
    expr = tree(fn, 1.0, 2.0, 3.0)
    assert Layout(Plain()).write(expr) == text
    assert Layout(Latex()).write(expr) == latex


class WellFormed(HTMLParser):
    """Every element is closed in order, and every MathML operator has as many parts as it takes."""

    PARTS: ClassVar = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "msubsup": 3}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, int]] = [("", 0)]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        name, parts = self.open[-1]
        self.open[-1] = (name, parts + 1)
        self.open.append((tag, 0))

    def handle_endtag(self, tag: str) -> None:
        name, parts = self.open.pop()
        assert name == tag
        assert parts == self.PARTS.get(tag, parts), (tag, parts)


def well_formed(text: str) -> bool:
    parser = WellFormed()
    parser.feed(text)
    return len(parser.open) == 1


@pytest.mark.parametrize("fn", [*(s[0] for s in STYLES), *(s[0] for s in SIMPLER)])
def test_mathml_is_well_formed(fn: Callable[..., Any]) -> None:
    text = mathml(Layout(MathML()).write(tree(fn, 1.0, 2.0, 3.0)), True)
    assert well_formed(text)
    assert text.startswith('<math display="block">')


@pytest.mark.parametrize("style", [Plain(), Latex(), MathML()])
def test_every_op_is_written_in_every_style(style: Style) -> None:
    """A new row is written the moment it exists."""
    for row in ops.TABLE:
        if row.symbol.form == "special":
            continue
        args = tuple(Item(name) for name in "xyz"[: max(1, len(row.domain))])
        text = Layout(style).write(Call(row.symbol, args))
        assert "x" in text, row
        if isinstance(style, Latex):
            assert text.count("{") == text.count("}"), row


def test_indices_avoid_the_letters_of_sizes_and_variables() -> None:
    graph = trace_function(lambda i, j: np.sum(i[:, None] * j, axis=0), (V, M.T)).graph
    names = {x: str(x.name) for x in graph.inputs}
    found = equations(graph.nodes, {**names, graph.outputs[0]: "out"})[graph.outputs[0]]
    text = Layout(Plain(), words(names.values())).write(found.formula, 1)
    assert not re.search("[ᵢⱼ]", text)


def test_long_formulas_get_names_of_their_own() -> None:
    graph = trace_function(lambda x: sum(np.sin(x * k) for k in range(2, 30)), (1.0,)).graph
    names = name_nodes(graph, graph.outputs)
    assert {"u1", "u2"} <= set(names.values())
    values = {names[n]: v for n, v in run_nodes(graph, [0.3]).items() if n in names}
    for found in equations(graph.nodes, names).values():
        np.testing.assert_allclose(value(found.formula, values, {}), values[found.name])
