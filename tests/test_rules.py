"""Every rule keeps its promise, lowers the measure, and is found out when it does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from graphc import reference, types
from graphc.graph import Graph
from graphc.rewrite import AnyRule, Local, Rule, rewrite
from graphc.rules import DISSOLVE, EXACT, FAST, GUARD, RELEASE, STABLE, measure
from graphc.trace import trace_function

Array = np.ndarray[Any, Any]
DTYPES = (types.float32, types.float64)
TABLES = {
    "EXACT": EXACT,
    "STABLE": STABLE,
    "FAST": FAST,
    "GUARD": GUARD,
    "RELEASE": RELEASE,
    "DISSOLVE": DISSOLVE,
}
BITWISE = (*EXACT, *GUARD, *RELEASE)
REAL = (*STABLE, *FAST)


def name(rule: AnyRule) -> str:
    return rule.name


def hard(dtype: np.dtype[Any]) -> Array:
    """The floats on which obvious identities fail."""
    info = np.finfo(dtype)
    tiny, least, huge = float(info.tiny), float(info.smallest_subnormal), float(info.max)
    positive = [0.0, least, 3 * least, tiny, 1.0, 1.5, 2.0, 3.0, huge / 2, huge, np.inf]
    return np.array([*positive, *(-x for x in positive), np.nan, 0.1, 1 / 3], dtype)


def variables(rule: Rule) -> list[str]:
    return [n for n in inspect.signature(rule.left).parameters if n not in ("axis", "keepdims")]


def sides(rule: AnyRule) -> list[Callable[..., Any]]:
    """The left side as functions of arrays: one, or one a form of keepdims."""
    if isinstance(rule, Local):
        return [rule.example]
    names = inspect.signature(rule.left).parameters
    extra: dict[str, Any] = {"axis": (1,)} if "axis" in names else {}
    if "keepdims" not in names:
        return [lambda *xs: rule.left(*xs, **extra)]
    return [lambda *xs, k=k: rule.left(*xs, **extra, keepdims=k) for k in (False, True)]


def arguments(rule: AnyRule, dtype: types.DType) -> list[types.TensorType]:
    """One type a variable; in patterns with axes a scalar divisor or factor is called y."""
    if isinstance(rule, Local):
        return [dtype[2, 3]]
    reduces = "axis" in inspect.signature(rule.left).parameters
    return [
        types.bool_[2, 3]
        if n in ("p", "q")
        else types.TensorType(dtype, ())
        if reduces and n == "y"
        else dtype[2, 3]
        for n in variables(rule)
    ]


def both(rule: AnyRule, fn: Callable[..., Any], dtype: types.DType) -> tuple[Graph, Graph]:
    """The left side, and what the rule alone makes of it."""
    before = rewrite(trace_function(fn, arguments(rule, dtype)).graph, ())
    after = rewrite(before, (rule,))
    assert str(after) != str(before), f"rule {rule.name!r} does not match its own left side"
    return before, after


def samples(rule: AnyRule, kinds: Sequence[types.TensorType]) -> list[list[Array]]:
    """Hard floats in every combination of variables, six elements at a time."""
    found = [hard(x.dtype.numpy) if x.dtype.kind == "f" else np.array([True, False]) for x in kinds]
    if len(kinds) > 2:
        found = [np.unique(np.concatenate([x[::4], x[-3:]])) if x.size > 2 else x for x in found]
    grid = np.array(list(product(*found)), dtype=object)
    grid = np.resize(grid, (-(-len(grid) // 6) * 6, len(kinds)))
    return [
        [
            column.astype(x.dtype.numpy).reshape(x.shape)
            for column, x in zip(part.T, kinds, strict=True)
        ]
        for part in grid.reshape(-1, 6, len(kinds))
    ]


def check_exact(rule: AnyRule) -> None:
    """The same bits on hard floats; one nan is as good as another."""
    for dtype, fn in product(DTYPES, sides(rule)):
        before, after = both(rule, fn, dtype)
        for arrays in samples(rule, [x.type for x in before.inputs]):
            (wanted,), (found,) = reference.run(before, arrays), reference.run(after, arrays)
            same = (wanted == found) & (np.signbit(wanted) == np.signbit(found))
            same |= (wanted != wanted) & (found != found)
            assert np.all(same), f"rule {rule.name!r} on {arrays}: {found}, not {wanted}"


def check_real(rule: AnyRule) -> None:
    """The same function, to rounding, where nothing overflows; never less finite."""
    random = np.random.default_rng(0)
    for dtype, fn in product(DTYPES, sides(rule)):
        before, after = both(rule, fn, dtype)
        eps = np.finfo(dtype.numpy).eps
        for low, high in ((0.2, 1.5), (-1.5, 1.5)):
            arrays = [
                np.asarray(random.uniform(low, high, x.shape), x.dtype.numpy) for x in before.inputs
            ]
            (wanted,), (found,) = reference.run(before, arrays), reference.run(after, arrays)
            assert wanted.dtype == found.dtype
            finite = np.isfinite(wanted)
            close = np.abs(wanted - found) <= 200 * eps * np.maximum(np.abs(wanted), 1)
            assert np.all(close | ~finite), f"rule {rule.name!r} on {arrays}: {found}, not {wanted}"


def check_measure(rule: AnyRule) -> None:
    for fn in sides(rule):
        before, after = both(rule, fn, types.float64)
        was, now = measure(before.outputs), measure(after.outputs)
        assert now < was, f"rule {rule.name!r} takes the measure from {was} to {now}"


@pytest.mark.parametrize("rule", BITWISE, ids=name)
def test_exact_to_the_last_bit(rule: AnyRule) -> None:
    check_exact(rule)


@pytest.mark.parametrize("rule", [rule for rule in EXACT if isinstance(rule, Rule)], ids=name)
def test_exact_on_integers(rule: Rule) -> None:
    """Two's complement wraps: what holds for signs and halves must hold at both ends."""
    kinds = [types.bool_[3] if n in ("p", "q") else types.int32[3] for n in variables(rule)]
    try:
        before = rewrite(trace_function(rule.left, kinds).graph, ())
    except TypeError:  # a float constant beside integers promotes, so there is nothing to match
        return
    after = rewrite(before, (rule,))
    info = np.iinfo(np.int32)
    for corner in product([info.min, info.max, -1, 0, 1, 5], repeat=len(kinds)):
        arrays = [np.full(3, v).astype(x.dtype.numpy) for v, x in zip(corner, kinds, strict=True)]
        (wanted,), (found,) = reference.run(before, arrays), reference.run(after, arrays)
        assert np.array_equal(wanted, found, equal_nan=wanted.dtype.kind == "f"), rule.name


@pytest.mark.parametrize("rule", REAL, ids=name)
def test_same_function_in_the_reals(rule: AnyRule) -> None:
    check_real(rule)


@pytest.mark.parametrize("rule", [rule for table in TABLES.values() for rule in table], ids=name)
def test_lowers_the_measure(rule: AnyRule) -> None:
    check_measure(rule)


def test_names_are_used_once() -> None:
    names = [rule.name for table in TABLES.values() for rule in table]
    assert len(set(names)) == len(names)


# --- tests of the tests -------------------------------------------------------------------------

WRONG_BITS = [
    Rule("x + 0", lambda x: x + 0.0, lambda x: x),
    Rule("x * 0", lambda x: x * 0.0, lambda x: np.zeros_like(x)),
    Rule("x - x", lambda x: x - x, lambda x: np.zeros_like(x)),
    Rule("-(a - b)", lambda a, b: -(a - b), lambda a, b: b - a),
    Rule("0 - x", lambda x: 0.0 - x, lambda x: -x),
    Rule("x / x", lambda x: x / x, lambda x: np.ones_like(x)),
    Rule("halve and double", lambda x: 2.0 * (0.5 * x), lambda x: x),
    Rule("double and halve", lambda x: 0.5 * (2.0 * x), lambda x: x),
    Rule("x / 3", lambda x: x / 3.0, lambda x: x * (1 / 3)),
    Rule("not x < y", lambda x, y: ~(x < y), lambda x, y: x >= y),
    Rule("a + b - b", lambda a, b: (a + b) - b, lambda a, b: a),
    Rule("max with nan", lambda x, y: np.maximum(x, y), lambda x, y: np.where(x > y, x, y)),
]


@pytest.mark.parametrize("rule", WRONG_BITS, ids=name)
def test_a_rule_that_only_looks_exact_fails_by_name(rule: Rule) -> None:
    with pytest.raises(AssertionError, match="rule '"):
        check_exact(rule)


def test_a_rule_wrong_by_a_thousandth_fails_by_name() -> None:
    wrong = Rule("twice", lambda x: x * 2.0, lambda x: x * 2.001)
    for check in (check_exact, check_real):
        with pytest.raises(AssertionError, match="rule 'twice'"):
            check(wrong)


def test_a_rule_that_costs_more_fails_by_name() -> None:
    dear = Rule("dear", lambda x: np.sinh(x), lambda x: (np.exp(x) - np.exp(-x)) * 0.5)
    with pytest.raises(AssertionError, match="rule 'dear'"):
        check_measure(dear)


def test_a_rule_that_never_matches_fails_by_name() -> None:
    idle = Local("idle", lambda x: np.sin(x), (), lambda node: None)
    with pytest.raises(AssertionError, match="rule 'idle' does not match"):
        check_exact(idle)
