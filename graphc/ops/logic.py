"""Comparisons, logic, predicates of floats and operations on bits, one row an op."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc.graph import Array, Op, Symbol
from graphc.ops.rows import ANY, ZERO, call_symbol, infix, row
from graphc.types import bool_


def _compare(name: str, fn: Callable[..., Array], text: str, latex: str, twins: bool) -> Op:
    return row(
        name,
        fn,
        ZERO,
        infix(text, latex, 5),
        kinds="bfi",
        result=bool_,
        commutative=twins,
        domain=(ANY, ANY),
    )


PREDICATES = (
    _compare("equal", np.equal, "==", "=", True),
    _compare("not_equal", np.not_equal, "!=", r"\ne", True),
    _compare("less", np.less, "<", "<", False),
    _compare("less_equal", np.less_equal, "<=", r"\le", False),
    _compare("greater", np.greater, ">", ">", False),
    _compare("greater_equal", np.greater_equal, ">=", r"\ge", False),
    row("isnan", np.isnan, ZERO, call_symbol("isnan"), result=bool_),
    row("isinf", np.isinf, ZERO, call_symbol("isinf"), result=bool_),
    row("isfinite", np.isfinite, ZERO, call_symbol("isfinite"), result=bool_),
    row("signbit", np.signbit, ZERO, call_symbol("signbit"), result=bool_),
    row("logical_not", np.logical_not, ZERO, Symbol("not ", r"\lnot ", "prefix", 8), kinds="b"),
    row(
        "logical_and",
        np.logical_and,
        ZERO,
        infix("and", r"\land", 4),
        kinds="b",
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "logical_or",
        np.logical_or,
        ZERO,
        infix("or", r"\lor", 3),
        kinds="b",
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "logical_xor",
        np.logical_xor,
        ZERO,
        infix("xor", r"\oplus", 3),
        kinds="b",
        commutative=True,
        domain=(ANY, ANY),
    ),
)

BITS = (
    row(
        "bitwise_and",
        np.bitwise_and,
        ZERO,
        infix("&", r"\mathbin{\&}", 9),
        kinds="i",
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "bitwise_or",
        np.bitwise_or,
        ZERO,
        infix("|", r"\mid", 7),
        kinds="i",
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "bitwise_xor",
        np.bitwise_xor,
        ZERO,
        infix("^", r"\oplus", 8),
        kinds="i",
        commutative=True,
        domain=(ANY, ANY),
    ),
    row(
        "invert",
        np.invert,
        ZERO,
        Symbol("~", r"\lnot ", "prefix", 25),
        kinds="i",
        functions=("invert", "bitwise_not", "bitwise_invert"),
    ),
    row(
        "left_shift",
        np.left_shift,
        ZERO,
        infix("<<", r"\ll", 9),
        kinds="i",
        functions=("left_shift", "bitwise_left_shift"),
        domain=(ANY, ANY),
    ),
    row(
        "right_shift",
        np.right_shift,
        ZERO,
        infix(">>", r"\gg", 9),
        kinds="i",
        functions=("right_shift", "bitwise_right_shift"),
        domain=(ANY, ANY),
    ),
)
