"""Which activation function leads from one value to another.

It is found by running it, not by its form: ``np.maximum(z, 0)``, ``z * (z > 0)`` and
``np.where(z > 0, z, 0)`` are one function, and so are the many ways to write a sigmoid.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from graphc.errors import GraphcError
from graphc.graph import Node
from graphc.ops import special
from graphc.reference import fixed
from graphc.types import evaluate

Array = npt.NDArray[np.float64]

LARGEST = 100_000
"""Elements beyond which a value is not tried out: a picture must not take seconds."""


def _softmax(z: Array, axis: int) -> Array:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _gelu_tanh(z: Array) -> Array:
    return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _sigmoid(z: Array) -> Array:
    return np.asarray(special.sigmoid(z), np.float64)


def _softplus(z: Array) -> Array:
    return np.asarray(special.softplus(z), np.float64)


def _gelu(z: Array) -> Array:
    return 0.5 * z * (1 + np.asarray(special.erf(z / math.sqrt(2)), np.float64))


ELEMENTWISE: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("relu", lambda z: np.maximum(z, 0)),
    ("σ", _sigmoid),
    ("tanh", np.tanh),
    ("softplus", _softplus),
    ("log σ", lambda z: -_softplus(-z)),
    ("silu", lambda z: z * _sigmoid(z)),
    ("gelu", _gelu),
    ("gelu", _gelu_tanh),
    ("elu", lambda z: np.where(z > 0, z, np.expm1(z))),
    ("relu6", lambda z: np.clip(z, 0, 6)),
    ("softsign", lambda z: z / (1 + np.abs(z))),
    ("step", lambda z: np.heaviside(z, 0.0)),
    ("sign", np.sign),
    ("|·|", np.abs),
    ("exp", np.exp),
    ("sin", np.sin),
    ("cos", np.cos),
)
PLAIN = frozenset({"exp", "sign", "|·|", "sin", "cos"})
"""Functions that are activations only when nothing better follows them."""


def value_of(node: Node, z: Node, at: Array, sizes: dict[str, int]) -> Array:
    """The node's value when z is `at`; everything else below it must be constant.

    Raises:
        GraphcError: it depends on an input other than through z.
    """
    known: dict[Node, npt.NDArray[np.generic]] = {z: at.astype(z.dtype.numpy)}

    def run(x: Node) -> npt.NDArray[np.generic]:
        if x not in known:
            operands = [run(operand) for operand in x.operands]
            known[x] = x.op.evaluate(fixed(x.params, sizes), *operands)
        return known[x]

    return np.asarray(run(node), np.float64)


def activation(z: Node, a: Node) -> str | None:
    """The usual name of the function that makes a of z, both of one shape; None when it has none.

    Dimensions known only at run time are tried with three elements.
    """
    sizes = dict.fromkeys((*z.type.dims, *a.type.dims), 3)
    try:
        shape = tuple(evaluate(size, sizes) for size in z.shape)
        if not 0 < math.prod(shape) <= LARGEST or z.dtype.kind != "f" or a.dtype != z.dtype:
            return None
        lanes = -(-64 // max(math.prod(shape), 1))
        samples = [3 * np.random.default_rng(i).normal(size=shape) for i in range(lanes)]
        pairs = [(s, value_of(a, z, s, sizes)) for s in samples]
    except (GraphcError, ArithmeticError, ValueError, RecursionError):
        return None
    return _match(pairs)


def _match(pairs: list[tuple[Array, Array]]) -> str | None:
    def is_function(fn: Callable[[Array], Array]) -> bool:
        return all(y.shape == s.shape and np.allclose(y, fn(s), 1e-4, 1e-6) for s, y in pairs)

    for name, fn in ELEMENTWISE:
        if is_function(fn):
            return name
    for axis in reversed(range(pairs[0][0].ndim)):
        softmax = functools.partial(_softmax, axis=axis)
        if is_function(softmax):
            return "softmax"
        if all(y.shape == s.shape and np.allclose(np.exp(y), softmax(s), 1e-4) for s, y in pairs):
            return "log softmax"
    slopes = [(y[s < 0] / s[s < 0]) for s, y in pairs if (s < 0).any()]
    slope = float(slopes[0].flat[0]) if slopes else 0.0
    if 0 < slope < 1 and is_function(lambda z: np.where(z > 0, z, slope * z)):
        return "leaky relu"
    return None
