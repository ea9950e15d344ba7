"""Left sides as patterns: traced once, then compared with nodes."""

from __future__ import annotations

import inspect
import io
import itertools
import pickle
from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np

from graphc.errors import VerifyError
from graphc.frozen import dataclass
from graphc.graph import Array, Constant, Node, Op, Params, apply
from graphc.ops import OPS
from graphc.ops.reduce import REDUCE, kept
from graphc.ops.shape import BROADCAST, CONSTANT, INPUT, RESHAPE
from graphc.resources import PACKAGE
from graphc.resources import kept as kept_beside
from graphc.rewrite.rule import AnyRule, Local, Rule
from graphc.trace import Tensor
from graphc.types import bool_, float64


@dataclass(frozen=True, slots=True)
class Variable:
    index: int


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Applied:
    """An op on patterns; `params` must be equal."""

    op: Op
    operands: tuple[Pattern, ...]
    params: Params


@dataclass(frozen=True, slots=True)
class Reduced:
    """A reduction over the axes the pattern binds; `shape` says what may follow it.

    "bare": nothing. "kept": whatever makes it broadcast against its operand as keepdims does.
    "free": any reshape.
    """

    op: Op
    operand: Pattern
    shape: str


Pattern = Variable | Number | Applied | Reduced
PATTERN_AXES = (1,)
PATTERN_SHAPE = (3, 3)  # square, so that what is reduced still broadcasts against a variable


_known: dict[Rule, tuple[Pattern, ...]] = {}


def patterns(rule: Rule) -> tuple[Pattern, ...]:
    """The left side as patterns: both orders of each commutative op, each form of keepdims."""
    found = _known.get(rule)
    if found is None:
        found = _known[rule] = _traced(rule)
    return found


def recall(rules: Sequence[Rule]) -> None:
    """Lets `patterns` know those of a table of graphc's own, which are traced once a version."""
    own = [rule for rule in rules if rule.left.__code__.co_filename.startswith(str(PACKAGE))]
    if len(own) < len(rules) or all(rule in _known for rule in rules):
        return
    table = sha256(repr([rule.name for rule in rules]).encode()).hexdigest()[:8]
    data = kept_beside(f"rules-{table}", lambda: _written([patterns(rule) for rule in rules]))
    _known.update(zip(rules, _read(data), strict=True))


class _Pickler(pickle.Pickler):
    """Writes ops by their names."""

    def persistent_id(self, obj: object) -> str | None:
        return obj.name if isinstance(obj, Op) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: str) -> Op:
        return OPS[pid]


def _written(found: list[tuple[Pattern, ...]]) -> bytes:
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(found)
    return file.getvalue()


def _read(data: bytes) -> list[tuple[Pattern, ...]]:
    found: list[tuple[Pattern, ...]] = _Unpickler(io.BytesIO(data)).load()
    return found


def _traced(rule: Rule) -> tuple[Pattern, ...]:
    names = tuple(inspect.signature(rule.left).parameters)
    variables = tuple(name for name in names if name not in ("axis", "keepdims"))
    shape = PATTERN_SHAPE if "axis" in names else ()
    inputs = [
        apply(INPUT, dtype=bool_ if name in ("p", "q") else float64, shape=shape)
        for name in variables
    ]
    known = {node: Variable(i) for i, node in enumerate(inputs)}
    extra: dict[str, object] = {"axis": PATTERN_AXES} if "axis" in names else {}
    found: dict[Pattern, None] = {}
    for keepdims in (False, True) if "keepdims" in names else (None,):
        given = extra if keepdims is None else {**extra, "keepdims": keepdims}
        made = rule.left(*map(Tensor, inputs), **given)
        if not isinstance(made, Tensor):
            raise VerifyError(f"the left side of rule {rule.name!r} is no tensor")
        found.update(dict.fromkeys(_variants(made.node, known, keepdims is True)))
    return tuple(found)


def _variants(node: Node, known: Mapping[Node, Variable], free: bool) -> list[Pattern]:
    """Every pattern a traced left side stands for."""
    if node in known:
        return [known[node]]
    if node.op is CONSTANT:
        return [Number(float(array_of(node)))]
    if node.op is RESHAPE and node.operands[0].op in REDUCE:
        inner = node.operands[0]
        return [
            Reduced(inner.op, p, "free" if free else "kept")
            for p in _variants(inner.operands[0], known, free)
        ]
    if node.op in REDUCE:
        return [Reduced(node.op, p, "bare") for p in _variants(node.operands[0], known, free)]
    choices = list(itertools.product(*(_variants(x, known, free) for x in node.operands)))
    if node.op.commutative:
        choices += [choice[::-1] for choice in choices]
    frozen = HashableParams(node.params)
    return [Applied(node.op, choice, frozen) for choice in choices]


class HashableParams(dict):
    """Parameters that may be part of a pattern, which is hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def roots(rule: AnyRule) -> tuple[Op, ...]:
    """The ops a rule's left side may end in.

    Raises:
        VerifyError: the left side is a bare variable or number, which would match everything.
    """
    if isinstance(rule, Local):
        return rule.roots
    found: dict[Op, None] = {}
    for pattern in patterns(rule):
        if isinstance(pattern, Variable | Number):
            raise VerifyError(f"rule {rule.name!r} has no op on its left side")
        if isinstance(pattern, Reduced) and pattern.shape != "bare":
            found[RESHAPE] = found[BROADCAST] = None
        found[pattern.op] = None
    return tuple(found)


def may_fit(pattern: Pattern, ops: Sequence[Op]) -> bool:
    """Whether a node of the first op, its operands of the others, may be an instance."""
    if not isinstance(pattern, Applied):
        return True
    return pattern.op is ops[0] and all(map(_may_be, pattern.operands, ops[1:]))


def _may_be(pattern: Pattern, op: Op) -> bool:
    match pattern:
        case Variable():
            return True
        case Number():
            return op in (CONSTANT, BROADCAST, RESHAPE)
        case Applied():
            return op is pattern.op
        case Reduced():
            return op in (pattern.op, RESHAPE, BROADCAST)


class Match:
    """What the variables and the axes stand for."""

    __slots__ = ("axes", "bound")

    def __init__(self) -> None:
        self.bound: dict[int, Node] = {}
        self.axes: tuple[int, ...] | None = None

    def fits(self, pattern: Pattern, node: Node) -> bool:
        """Whether node is an instance of pattern, given what is bound already."""
        if type(pattern) is Variable:
            return self.bound.setdefault(pattern.index, node) is node
        if type(pattern) is Applied:
            return (
                node.op is pattern.op
                and (not pattern.params or pattern.params == node.params)
                and all(map(self.fits, pattern.operands, node.operands))
            )
        if type(pattern) is Number:
            return is_number(node, pattern.value)
        return type(pattern) is Reduced and self._fits_reduction(pattern, node)

    def _fits_reduction(self, pattern: Reduced, node: Node) -> bool:
        inner = node
        if pattern.shape != "bare" and _is_reshaped(node):
            inner = node.operands[0]
        if inner.op is not pattern.op or (pattern.shape == "free" and inner is node):
            return False
        axes: tuple[int, ...] = inner.params["axes"]  # type: ignore[assignment]
        if self.axes is None:
            self.axes = axes
        if self.axes != axes:
            return False
        if pattern.shape == "kept":
            source = inner.operands[0].shape
            lead = (1,) * (len(source) - len(node.shape))
            if (*lead, *node.shape) != kept(source, axes):
                return False
        return self.fits(pattern.operand, inner.operands[0])


def _is_reshaped(node: Node) -> bool:
    """Whether it is its operand in another shape; of one element a broadcast is that too."""
    return node.op is RESHAPE or (node.op is BROADCAST and node.type.size == 1)


def array_of(node: Node) -> Array:
    """What a constant holds."""
    value = node.params["value"]
    if not isinstance(value, Constant):
        raise VerifyError(f"{node!r} holds no array")
    return value.array


def number(node: Node) -> float | int | bool | None:
    """The value of a scalar constant, broadcast or not; None for anything else."""
    while node.op is BROADCAST or node.op is RESHAPE:
        node = node.operands[0]
    if node.op is not CONSTANT or node.type.size != 1:
        return None
    return array_of(node).item()


def is_number(node: Node, value: float) -> bool:
    """Whether node is this constant, to the sign of a zero, in its own dtype."""
    held = number(node)
    if held is None or isinstance(held, bool):
        return False
    mine = node.dtype.numpy.type(value).item()
    return held == mine and (held != 0 or np.signbit(held) == np.signbit(mine))
