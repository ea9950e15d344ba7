"""STABLE: the same function in the reals, finite wherever its value and gradient can be held.

Left sides are written as the other rules leave them: ``x / 2`` has become ``0.5 * x`` before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphc.graph import Node, Value, apply, call
from graphc.ops import OPS
from graphc.ops.elementwise import SIGMOID, SOFTPLUS
from graphc.ops.reduce import SUM
from graphc.ops.shape import BROADCAST, RESHAPE, SLICE, TRANSPOSE, axes
from graphc.rewrite import AnyRule, Local, Rule, is_number
from graphc.rules.powers import POWERS
from graphc.rules.products import PRODUCTS
from graphc.rules.shift import (
    Axes,
    log_mean_softmax,
    log_sum_exp,
    mean_softmax,
    softmax,
    weighted_log_sum_exp,
    weighted_softmax,
)
from graphc.trace import Tensor
from graphc.trace.tensor import dimension
from graphc.types import product

# mypy: disable-error-code="return-value,arg-type,assignment,attr-defined"
# Rules are written with NumPy's functions, typed as giving arrays where tensors give tensors.

E = float(np.e)


def _exprel(x: Tensor) -> Tensor:
    """(exp(x) - 1) / x, by its series near 0, where the quotient's derivative cancels."""
    small = np.abs(x) < 0.01
    series = 1.0 + x * (0.5 + x * (1.0 / 6 + x * (1.0 / 24 + x * (1.0 / 120 + x / 720.0))))
    return np.where(small, series, np.expm1(x) / np.where(small, 1.0, x))


def sigmoid(x: Value) -> Tensor:
    """1 / (1 + exp(-x))"""
    return Tensor(call(SIGMOID, x).node)


def softplus(x: Value) -> Tensor:
    """log(1 + exp(x))"""
    return Tensor(call(SOFTPLUS, x).node)


SOFTPLUSES: tuple[AnyRule, ...] = (
    # log(1 + e^x) = max(x, 0) + log(1 + e^-|x|): the op
    Rule("softplus", lambda x: np.log(1.0 + np.exp(x)), softplus),
    Rule("softplus, log1p", lambda x: np.log1p(np.exp(x)), softplus),
    Rule("softplus, logaddexp", lambda x: np.logaddexp(x, 0.0), softplus),
    # log σ(x) = -log(1 + e^-x)
    Rule("log sigmoid", lambda x: np.log(sigmoid(x)), lambda x: -softplus(-x)),
    # 1 - σ(x) = σ(-x) = 1 / (1 + e^x)
    Rule("log of 1 - sigmoid", lambda x: np.log(1.0 - sigmoid(x)), lambda x: -softplus(x)),
    Rule("log1p of -sigmoid", lambda x: np.log1p(-sigmoid(x)), lambda x: -softplus(x)),
)

SIGMOIDS: tuple[AnyRule, ...] = (
    # e^x / (1 + e^x) = 1 / (1 + e^-x), whose op never raises e to a positive power
    Rule("sigmoid", lambda x: np.exp(x) / (1.0 + np.exp(x)), sigmoid),
    Rule("sigmoid, 1/(1+exp(-x))", lambda x: 1.0 / (1.0 + np.exp(x)), lambda x: sigmoid(-x)),
    # e^a / (e^a + e^b) = 1 / (1 + e^(b - a))
    Rule(
        "softmax of two",
        lambda a, b: np.exp(a) / (np.exp(a) + np.exp(b)),
        lambda a, b: sigmoid(a - b),
    ),
    # e^x / (1 + e^x)^2 = σ (1 - σ)
    Rule(
        "logistic density",
        lambda x: np.exp(x) / np.square(1.0 + np.exp(x)),
        lambda x: sigmoid(x) * (1 - sigmoid(x)),
    ),
    # e^-log(1 + e^x) = 1 / (1 + e^x)
    Rule("exp of -softplus", lambda x: np.exp(-softplus(x)), lambda x: sigmoid(-x)),
    Rule("exp(x - softplus(x))", lambda x: np.exp(x - softplus(x)), sigmoid),
    # (1 + tanh(x/2)) / 2 = e^(x/2) / (e^(x/2) + e^(-x/2)) = σ(x)
    Rule("sigmoid, tanh", lambda x: 0.5 * (1.0 + np.tanh(0.5 * x)), sigmoid),
    Rule("sigmoid, tanh spread", lambda x: 0.5 + 0.5 * np.tanh(0.5 * x), sigmoid),
    # y / (1 + e^x) = y σ(-x), y e^x / (1 + e^x) = y σ(x)
    Rule(
        "y exp(x) / (1 + exp(x))",
        lambda x, y: (y * np.exp(x)) / (1.0 + np.exp(x)),
        lambda x, y: y * sigmoid(x),
    ),
    # tanh x = (e^x - e^-x) / (e^x + e^-x) = (e^2x - 1) / (e^2x + 1) = 2 σ(2x) - 1, and is odd
    Rule("tanh", lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), np.tanh),
    Rule(
        "tanh, exp(2x)",
        lambda x: np.expm1(x) / (1.0 + np.exp(x)),
        lambda x: np.tanh(0.5 * x),
    ),
    Rule(
        "tanh, exp(-2x)",
        lambda x: -np.expm1(x) / (1.0 + np.exp(x)),
        lambda x: -np.tanh(0.5 * x),
    ),
    Rule("tanh, sigmoid", lambda x: 2.0 * sigmoid(x) - 1.0, lambda x: np.tanh(0.5 * x)),
    Rule("-tanh(-x)", lambda x: -np.tanh(-x), np.tanh),
    Rule("y / (1 + exp(x))", lambda x, y: y / (1.0 + np.exp(x)), lambda x, y: y * sigmoid(-x)),
)


def _complement(node: Node) -> Tensor | None:
    """1 - σ(-x) = σ(x), but not in an adjoint, where a (1 - a) reuses a."""
    one, s = node.operands
    inner = s.operands[0] if s.op is SIGMOID else None
    if node.part != "forward" or inner is None or inner.op is not NEGATIVE:
        return None
    return sigmoid(Tensor(inner.operands[0])) if is_number(one, 1.0) else None


def _log_of_view(node: Node) -> Tensor | None:
    """log(view(exp(x) ...)) = view(log(exp(x) ...)), so that the log meets the exponential"""
    chain = hidden(node)
    if not chain:
        return None
    made = np.log(Tensor(chain[-1].operands[0]))
    for view in reversed(chain):
        made = Tensor(apply(view.op, made.node, **view.params))
    return made


def hidden(node: Node) -> list[Node]:
    """The views between a log and the exponential, sigmoid or softmax it is taken of."""
    chain: list[Node] = []
    x = node.operands[0]
    while x.op in VIEWS:
        chain.append(x)
        x = x.operands[0]
    found = x.op in (SIGMOID, EXP) or (x.op is DIVIDE and x.operands[0].op is EXP)
    return chain if found else []


LOG, EXP, DIVIDE, NEGATIVE = OPS["log"], OPS["exp"], OPS["divide"], OPS["negative"]
VIEWS = (RESHAPE, TRANSPOSE, SLICE)

LOGS: tuple[AnyRule, ...] = (
    Rule("log(exp(x))", lambda x: np.log(np.exp(x)), lambda x: x),
    Rule("exp(log(x))", lambda x: np.exp(np.log(x)), lambda x: x),
    # log(e^x / y) = x - log(y): the log of a softmax, of a density
    Rule("log(exp(x) / y)", lambda x, y: np.log(np.exp(x) / y), lambda x, y: x - np.log(y)),
    Rule("log(exp(x) * y)", lambda x, y: np.log(np.exp(x) * y), lambda x, y: x + np.log(y)),
    Rule("log(1 / x)", lambda x: np.log(1.0 / x), lambda x: -np.log(x)),
    # log(e^x - 1) = x + log(1 - e^-x)
    Rule("log(exp(x) - 1)", lambda x: np.log(np.expm1(x)), lambda x: x + np.log(-np.expm1(-x))),
    Rule("log(exp(a) + exp(b))", lambda a, b: np.log(np.exp(a) + np.exp(b)), np.logaddexp),
    Rule(
        "log(exp(a) + exp(b) + exp(c))",
        lambda a, b, c: np.log(np.exp(a) + np.exp(b) + np.exp(c)),
        lambda a, b, c: np.logaddexp(np.logaddexp(a, b), c),
    ),
    Local("log of a view", lambda x: np.log(np.exp(x).T), (LOG,), _log_of_view),
)


def _log_of_scaled(join: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor | None]:
    """log(sum(exp(x)) * y) = log(sum(exp(x))) + log(y), and likewise for a quotient."""

    def right(x: Tensor, y: Tensor, axis: Axes) -> Tensor | None:
        total = log_sum_exp(x, axis) if y.size == 1 else None
        return None if total is None else join(total, np.log(np.reshape(y, ())))

    return right


def _softplus_of_sum(x: Tensor, axis: Axes) -> Tensor | None:
    total = log_sum_exp(x, axis)
    return None if total is None else softplus(total)


SUMS_OF_EXP: tuple[AnyRule, ...] = (
    Rule(
        "softmax", lambda x, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True), softmax
    ),
    Rule(
        "t exp(x) / sum(exp(x))",
        lambda t, x, axis: (t * np.exp(x)) / np.sum(np.exp(x), axis=axis, keepdims=True),
        weighted_softmax,
    ),
    Rule(
        "exp(x) (1 / sum(exp(x)))",
        lambda x, axis: np.exp(x) * (1.0 / np.sum(np.exp(x), axis=axis, keepdims=True)),
        softmax,
    ),
    # a mean weighted by a softmax
    Rule(
        "sum(t exp(x)) / sum(exp(x))",
        lambda t, x, axis: np.sum(t * np.exp(x), axis=axis) / np.sum(np.exp(x), axis=axis),
        mean_softmax,
    ),
    Rule(
        "logsumexp",
        lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
        log_sum_exp,
    ),
    # log(sum(exp) / n) is a mean; n > 0, or both sides are nan
    Rule(
        "log(mean(exp(x)))",
        lambda x, y, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims) / y),
        _log_of_scaled(np.subtract),
    ),
    Rule(
        "log(c * sum(exp(x)))",
        lambda x, y, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims) * y),
        _log_of_scaled(np.add),
    ),
    # log(1 + sum(exp)): one more element, 0
    Rule(
        "log(1 + sum(exp(x)))",
        lambda x, axis, keepdims: np.log(1.0 + np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
        _softplus_of_sum,
    ),
    Rule(
        "log1p(sum(exp(x)))",
        lambda x, axis, keepdims: np.log1p(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
        _softplus_of_sum,
    ),
    Rule(
        "log(sum(t softmax(x)))",
        lambda t, x, axis, keepdims: np.log(
            np.sum(
                t * (np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True)),
                axis=axis,
                keepdims=keepdims,
            )
        ),
        log_mean_softmax,
    ),
    Rule(
        "log(sum(t exp(x)))",
        lambda t, x, axis, keepdims: np.log(np.sum(t * np.exp(x), axis=axis, keepdims=keepdims)),
        weighted_log_sum_exp,
    ),
)

EXPONENTIALS: tuple[AnyRule, ...] = (
    # e ** x, as some write exp(x)
    Rule("e ** x", lambda x: E**x, np.exp),
    Rule("expm1(x) / x", lambda x: np.expm1(x) / x, _exprel),
    # near 0, e^x - 1 has lost what expm1 keeps
    Rule("exp(x) - 1", lambda x: np.exp(x) - 1.0, np.expm1),
    Rule("1 - exp(x)", lambda x: 1.0 - np.exp(x), lambda x: -np.expm1(x)),
    Rule("log(1 + x)", lambda x: np.log(1.0 + x), np.log1p),
    # an e^x that overflows below would give 0 * inf in the gradient
    Rule("y / exp(x)", lambda x, y: y / np.exp(x), lambda x, y: y * np.exp(-x)),
    Local("1 - sigmoid(-x)", lambda x: 1.0 - sigmoid(-x), (OPS["subtract"],), _complement),
)


def _sum_of_broadcast(node: Node) -> Tensor | None:
    """sum of n equal numbers = n times one of them"""
    (x,) = node.operands
    if x.op is not BROADCAST:
        return None
    inner, lead = x.operands[0], x.type.rank - x.operands[0].type.rank
    summed = axes(node.params)
    wide = tuple(a for a in summed if a < lead or inner.shape[a - lead] != x.shape[a])
    if not wide:
        return None
    rest = tuple(a - lead for a in summed if a >= lead)
    total = Tensor(inner)
    if any(inner.shape[a] != 1 for a in rest):
        total = Tensor(call(SUM, total, axes=rest).node)
    else:
        total = np.reshape(total, [s for a, s in enumerate(inner.shape) if a not in rest])
    return total * dimension(product(x.shape[a] for a in wide), node.dtype)


def _quotient(x: Tensor, y: Tensor) -> Tensor | None:
    return y / x if (y / x).shape == x.shape else None


SUMS: tuple[AnyRule, ...] = (
    Local(
        "sum of a broadcast",
        lambda x: np.sum(np.broadcast_to(x, (5, 2, 3)), axis=(0, 2)),
        (SUM,),
        _sum_of_broadcast,
    ),
    # sum(-x) = -sum(x), to the sign of a zero
    Rule("sum(-x)", lambda x, axis: np.sum(-x, axis=axis), lambda x, axis: -np.sum(x, axis=axis)),
    # y (1 / x) = y / x, rounded once; for a single reciprocal, not one that many factors share
    Rule("y * (1 / x)", lambda x, y: y * (1.0 / x), _quotient),
    # sqrt(x^2) = |x|: x^2 overflows early, and the gradient at 0 is 0 / 0
    Rule("sqrt(x * x)", lambda x: np.sqrt(x * x), np.abs),
    Rule("-(a - b)", lambda a, b: -(a - b), lambda a, b: b - a),
)

STABLE: tuple[AnyRule, ...] = (
    *SOFTPLUSES,
    *SIGMOIDS,
    *SUMS_OF_EXP,
    *LOGS,
    *EXPONENTIALS,
    *SUMS,
    *PRODUCTS,
    *POWERS,
)
