"""What every rule lowers, so that none can undo another: dangers first, then work, then reads."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.graph import Node, walk
from graphc.ops import OPS
from graphc.ops.elementwise import WHERE
from graphc.ops.reduce import EINSUM, REDUCE, SUM, label_sizes, subscripts
from graphc.ops.shape import CONSTANT, INPUT, RESHAPE
from graphc.rewrite import number
from graphc.rules.guard import exposed
from graphc.rules.shift import is_stopped, is_weighted, peak
from graphc.rules.stable import hidden
from graphc.trace import Tensor
from graphc.types import Size, product

Measure = tuple[int, float, int]
"""(dangers, work, reads): compared in this order."""

WORK: dict[str, float] = {
    "input": 0,
    "dimension": 2,
    "iota": 1,
    "reshape": 0.5,
    "transpose": 0.5,
    "broadcast_to": 0.5,
    "slice": 0.5,
    "stop_gradient": 0.1,
    "pad": 1,
    "concatenate": 1,
    "negative": 0.9,
    "divide": 4,
    "sqrt": 4,
    "power": 40,
    "sigmoid": 22,
    "softplus": 30,
    "logaddexp": 40,
    "expm1": 19,
    "log1p": 20,
    "logical_not": 1,
}
CHEAP = frozenset(
    (
        "add",
        "subtract",
        "multiply",
        "negative",
        "absolute",
        "sign",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "copysign",
        "floor",
        "ceil",
        "trunc",
        "rint",
        "where",
        "cast",
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "isnan",
        "isinf",
        "isfinite",
        "signbit",
        "logical_and",
        "logical_or",
        "logical_xor",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "invert",
        "left_shift",
        "right_shift",
    )
)
FUNCTION = 20.0
"""exp, log, sin and the like, in additions."""
UNKNOWN_SIZE = 64
EXP, LOG, EXPM1, MULTIPLY, DIVIDE, POWER = (
    OPS[name] for name in ("exp", "log", "expm1", "multiply", "divide", "power")
)


def measure(outputs: Iterable[Node]) -> Measure:
    """How dangerous and how much work these values are together."""
    nodes = tuple(walk(outputs))
    reads = sum(x.op is not CONSTANT for node in nodes for x in node.operands)
    return sum(map(dangers, nodes)), sum(map(work, nodes)), reads


def dangers(node: Node) -> int:
    """Places where an intermediate may overflow or vanish though the result does not."""
    if node.op is WHERE and node.part == "forward":
        p, a, b = node.operands
        return exposed(a, p) + exposed(b, p)
    if node.op is EXP:
        return _of_exp(node)
    if node.op is LOG:
        inner = node.operands[0]
        inner = inner.operands[0] if inner.op is RESHAPE else inner
        if inner.op is SUM and inner.operands[0].op is MULTIPLY:
            return sum(_is_weight_of_exp(x) for x in inner.operands[0].operands)
        return inner.op is EXPM1 or bool(hidden(node))
    if node.op is DIVIDE:  # expm1(x) / x at 0
        top, bottom = node.operands
        return 2 if top.op is EXPM1 and top.operands[0] is bottom else 0
    if node.op is POWER:
        return 0 if number(node.operands[0]) is None else 2
    return 0


def _of_exp(node: Node) -> int:
    """2 for exp(x), 1 where x is a person's own x - max(x), 0 where the maximum is stopped."""
    x = node.operands[0]
    if is_weighted(Tensor(x)):
        return 0
    m = peak(x)
    if m is None or m.operands[0] is not x.operands[0]:
        return 2
    return 0 if is_stopped(x) else 1


def _is_weight_of_exp(x: Node) -> bool:
    x = x.operands[0] if x.op is DIVIDE else x
    return x.op is EXP and not is_weighted(Tensor(x.operands[0]))


def work(node: Node) -> float:
    """Additions' worth of time."""
    name = node.op.name
    each = WORK.get(name, 1.0 if name in CHEAP or node.op in REDUCE else FUNCTION)
    if node.op is EINSUM:
        inputs, _ = subscripts(node.params)
        return _elements(
            product(label_sizes(tuple(x.shape for x in node.operands), inputs).values())
        )
    if node.op is CONSTANT:
        return max(_elements(node.type.size) - 1, 0)
    over = node.operands[0].type.size if node.op in REDUCE else node.type.size
    return 0 if node.op is INPUT else each * _elements(over)


def _elements(size: Size) -> int:
    return size if isinstance(size, int) else UNKNOWN_SIZE
