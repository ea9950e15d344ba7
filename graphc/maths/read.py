"""Node -> tree, by each row's own `element`: what element `at` of the result is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from graphc import loops
from graphc.graph import (
    Computed,
    Constant,
    Contraction,
    Elementwise,
    Node,
    Part,
    Reader,
    Reduction,
    Symbol,
    View,
)
from graphc.maths.tree import (
    HALF,
    MINUS_ONE,
    ONE,
    SUM,
    ZERO,
    Call,
    Cases,
    Expr,
    Fold,
    Indices,
    Item,
    Number,
    Place,
    Plus,
    Power,
    Times,
    fresh,
    walk,
)
from graphc.types import Dim, DType, Size, bool_

Known = Mapping[Node, Callable[[Indices], Expr]]
"""Nodes that stand for themselves: element `at` of each as a tree."""

EXP = Symbol("exp", r"\exp")
LOG = Symbol("log", r"\log")

FAMOUS: tuple[tuple[float, Expr], ...] = (
    (math.pi, Item("pi")),
    (math.pi / 2, Times((HALF, Item("pi")))),
    (2 * math.pi, Times((Number(Fraction(2)), Item("pi")))),
    (math.sqrt(math.pi), Power(Item("pi"), HALF)),
    (math.sqrt(2 * math.pi), Power(Times((Number(Fraction(2)), Item("pi"))), HALF)),
    (math.sqrt(2), Power(Number(Fraction(2)), HALF)),
    (2 / math.sqrt(math.pi),
     Times((Number(Fraction(2)), Power(Power(Item("pi"), HALF), MINUS_ONE)))),
    (math.log(2), Call(LOG, (Number(Fraction(2)),))),
    (math.log(10), Call(LOG, (Number(Fraction(10)),))),
    (math.log(2 * math.pi), Call(LOG, (Times((Number(Fraction(2)), Item("pi"))),))),
)  # fmt: skip


def number(value: float | int | bool, dtype: DType) -> Expr:
    """A constant as a person knows it: 1/3 and not 0.3333333333333333, π and not 3.14159."""
    if isinstance(value, int):
        return Number(Fraction(int(value)))
    if not math.isfinite(value):
        return Number(value)
    if float(value) == int(value):
        return Number(Fraction(int(value)))
    kind = dtype.numpy.type
    for famous, expr in FAMOUS:
        if kind(famous) == kind(value):
            return expr
    near = Fraction(float(value)).limit_denominator(64)
    if kind(float(near)) == kind(value):
        return Number(near)
    text = str(kind(value))
    return Number(Fraction(text) if len(text) <= 8 else float(value))


def element(node: Node, at: Indices, known: Known) -> Expr:
    """Element `at` of a node as a tree over the known nodes; others are expanded.

    An op's `element` says what it reads and how it combines, so a new row needs nothing here.
    """
    if node in known:
        return known[node](at)
    if node.op.name == "constant":
        return _constant(node, at)
    if node.op.name == "dimension":
        return _sized(node.params["size"])
    rule = node.op.element

    def read(k: int, where: Indices) -> Expr:
        return element(node.operands[k], where, known)

    def broadcast(k: int) -> Expr:
        shape = node.operands[k].shape
        lead = len(at) - len(shape)
        pairs = zip(at[lead:], shape, node.shape[lead:], strict=True)
        return read(k, tuple(0 if mine == 1 != whole else i for i, mine, whole in pairs))

    match rule:
        case Elementwise():
            return _elementwise(node, [broadcast(k) for k in range(len(node.operands))])
        case View():
            return read(0, rule.index(at, node))
        case Reduction():
            return _reduction(node, at, read)
        case Contraction():
            return _contraction(node, at, read)
        case Computed():
            return _computed(node, at, rule, read)
        case Part():
            return _part(node, known)
    return Item(node.name or node.op.name, at)


def _constant(node: Node, at: Indices) -> Expr:
    held = node.params["value"]
    if isinstance(held, Constant) and held.array.size:
        array = held.array
        if is_uniform(node):
            return number(array.flat[0].item(), node.dtype)
        if all(isinstance(i, int) for i in at):
            return number(array[at].item(), node.dtype)
    return Item(f"c{node.serial}", at)


def is_uniform(node: Node) -> bool:
    """Whether a constant holds one number, so that it needs no name."""
    held = node.params["value"]
    array = held.array if isinstance(held, Constant) else None
    return array is not None and array.size > 0 and bool((array == array.flat[0]).all())


def _part(node: Node, known: Known) -> Expr:
    """One result of a loop or a branch, as a function of all that goes in."""
    bundle, place = node.operands[0], node.params.get("part")
    symbol = bundle.op.symbol
    name = f"{symbol.text}{place or ''}"
    args = []
    for x in bundle.operands:
        if x in known:
            args.append(known[x](()))
        else:
            args.append(Item("\u2026") if x.type.rank else element(x, (), known))
    return Call(Symbol(name, rf"\operatorname{{{name}}}"), tuple(args))


def _sized(size: object) -> Expr:
    if isinstance(size, int):
        return Number(Fraction(size))
    return Place(size) if isinstance(size, Dim) else Item(str(size))


def negated(expr: Expr) -> Expr:
    return Times((MINUS_ONE, expr))


def _elementwise(node: Node, args: list[Expr]) -> Expr:
    name = node.op.name
    if name in COMBINE:
        return COMBINE[name](*args)
    if name == "cast":
        was, now = node.operands[0].dtype, node.dtype
        if was is bool_ and now is not bool_:
            return Cases(args[0], ONE, ZERO)
        return (
            Call(Symbol("trunc", r"\operatorname{trunc}"), tuple(args))
            if (was.kind == "f" and now.kind == "i")
            else args[0]
        )
    if name == "polygamma":
        order = node.params["order"]
        return Call(
            Symbol(f"psi{order or ''}", rf"\psi^{{({order})}}" if order else r"\psi"), tuple(args)
        )
    return Call(node.op.symbol, tuple(args))


COMBINE: dict[str, Callable[..., Expr]] = {
    "add": lambda a, b: Plus((a, b)),
    "subtract": lambda a, b: Plus((a, negated(b))),
    "multiply": lambda a, b: Power(a, Number(Fraction(2))) if a == b else Times((a, b)),
    "divide": lambda a, b: Power(b, MINUS_ONE) if a == ONE else Times((a, Power(b, MINUS_ONE))),
    "negative": negated,
    "power": Power,
    "sqrt": lambda a: Power(a, HALF),
    "exp": lambda a: Call(EXP, (a,)),
    "log": lambda a: Call(LOG, (a,)),
    "expm1": lambda a: Plus((Call(EXP, (a,)), MINUS_ONE)),
    "log1p": lambda a: Call(LOG, (Plus((ONE, a)),)),
    "logaddexp": lambda a, b: Call(LOG, (Plus((Call(EXP, (a,)), Call(EXP, (b,)))),)),
    "softplus": lambda a: Call(LOG, (Plus((ONE, Call(EXP, (a,)))),)),
    "where": Cases,
}
"""Ops that have a tree of their own; all others are written by their symbol."""


def _folded(symbol: Symbol, over: list[tuple[str, Size]], body: Expr) -> Expr:
    return Fold(symbol, tuple(over), body) if over else body


def _reduction(node: Node, at: Indices, read: Callable[[int, Indices], Expr]) -> Expr:
    axes, shape = node.params["axes"], node.operands[0].shape
    chosen = [axis for axis in axes if isinstance(axis, int)] if isinstance(axes, tuple) else []
    bound = {axis: fresh() for axis in chosen}
    kept = iter(at)
    where = tuple(
        Dim.named(bound[axis]) if axis in bound else next(kept) for axis in range(len(shape))
    )
    symbol = SUM if node.op.name == "sum" else node.op.symbol
    return _folded(symbol, [(bound[a], shape[a]) for a in chosen], read(0, where))


def _contraction(node: Node, at: Indices, read: Callable[[int, Indices], Expr]) -> Expr:
    inputs, output = node.params["inputs"], node.params["output"]
    if not isinstance(inputs, tuple) or not isinstance(output, tuple):
        return Item(node.name or node.op.name, at)
    index: dict[object, Size] = dict(zip(output, at, strict=True))
    over: list[tuple[str, Size]] = []
    factors = []
    for k, labels in enumerate(inputs):
        wanted = labels if isinstance(labels, tuple) else ()
        for label, length in zip(wanted, node.operands[k].shape, strict=True):
            if label not in index:
                name = fresh()
                index[label] = Dim.named(name)
                over.append((name, length))
        factors.append(read(k, tuple(index[label] for label in wanted)))
    body = factors[0] if len(factors) == 1 else Times(tuple(factors))
    return _folded(SUM, over, body)


def _computed(
    node: Node, at: Indices, rule: Computed, read: Callable[[int, Indices], Expr]
) -> Expr:
    """The op's loop expression, with the operands' trees where it reads them."""
    reads: dict[str, Expr] = {}

    def placeholder(k: int, where: Indices) -> loops.Expr:
        name = f"read{len(reads)}"
        reads[name] = read(k, where)
        return loops.Local(name, node.operands[k].dtype)

    def bind(value: loops.Expr) -> Size:
        """An index that is a value: named by its formula's first name."""
        named = [x.name for x in walk(_loop_expr(value, reads)) if isinstance(x, Item)]
        return Dim.named(named[0] if named else "index")

    return _loop_expr(rule.fn(at, Reader(placeholder, bind), node), reads)


def _loop_expr(expr: loops.Expr, reads: Mapping[str, Expr]) -> Expr:
    match expr:
        case loops.Literal():
            return number(expr.value, expr.dtype)
        case loops.Local():
            return reads.get(expr.name, Item(expr.name))
        case loops.Position():
            return _sized(expr.size)
        case loops.Apply(function="cast"):
            return _loop_expr(expr.args[0], reads)
        case loops.Apply():
            args = [_loop_expr(x, reads) for x in expr.args]
            if expr.function == "select":
                return Cases(*args)
            if expr.function in COMBINE:
                return COMBINE[expr.function](*args)
            latex = rf"\operatorname{{{expr.function}}}"
            symbol = COMPARE.get(expr.function, Symbol(expr.function, latex))
            return Call(symbol, tuple(args))
    return Item("read")


COMPARE = {
    "equal": Symbol("==", "=", "infix", 5),
    "less": Symbol("<", "<", "infix", 5),
    "less_equal": Symbol("<=", r"\le", "infix", 5),
    "greater": Symbol(">", ">", "infix", 5),
    "greater_equal": Symbol(">=", r"\ge", "infix", 5),
    "logical_and": Symbol("and", r"\land", "infix", 4),
    "logical_or": Symbol("or", r"\lor", "infix", 3),
}
"""How the loop IR's own predicates are written."""

__all__ = ["EXP", "LOG", "Known", "element", "negated", "number"]
