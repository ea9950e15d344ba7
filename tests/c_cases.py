"""A representative set of functions: the exercises, training, views, integers, every helper."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import expit, gammaln

from graphc import ops
from graphc.emit_c.helpers import VECTOR
from graphc.graph import Graph, apply
from graphc.ops.bessel import BESSEL
from graphc.passes import optimize
from graphc.trace import Tensor, at, trace_function
from graphc.transform import grad, value_and_grad
from graphc.types import bfloat16, bool_, float16, float32, float64, int32, int64

F = float64
f = float32


@dataclass(frozen=True)
class Case:
    fn: Callable[..., Any]
    types: tuple[Any, ...]

    def graph(self, name: str) -> Graph:
        """Traced and fully optimised."""
        return optimize(trace_function(self.fn, self.types, name=name).graph)


# --- the exercise sheet ---------------------------------------------------------------------------


def laplace(mu: Any, t: Any, sigma: Any) -> Any:
    """Negative log-likelihood of a Laplacian."""
    p = 1 / (2 * sigma) * np.exp(-np.abs(t - mu) / sigma)
    loss = -np.log(p)
    return loss


def laplace_linear(w: Any, x: Any, t: Any, sigma: Any) -> Any:
    mu = x @ w
    return np.mean(laplace(mu, t, sigma))


def network(x1: Any, x2: Any, w13: Any, w24: Any, t: Any) -> Any:
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    loss = 0.5 * (y - t) ** 2
    return loss


def shared(v: Any, x1: Any, x2: Any, t: Any) -> Any:
    w13 = np.log(1 + np.exp(v))
    w24 = -np.log(1 + np.exp(-v))
    return network(x1, x2, w13, w24, t)


def layer(a: Any, w: Any, b: Any) -> Any:
    z = a @ w + b
    a = np.exp(z) / (1 + np.exp(z))
    return a


def cross_entropy(params: Any, x: Any, labels: Any) -> Any:
    a1 = layer(x, params["W1"], params["b1"])
    z = a1 @ params["W2"] + params["b2"]
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return -np.mean(np.sum(np.log(p) * labels, axis=1))


def train(params: Any, x: Any, labels: Any, rate: Any) -> Any:
    """One step of gradient descent."""
    loss, slope = value_and_grad(cross_entropy)(params, x, labels)
    return loss, {key: params[key] - rate * slope[key] for key in params}


def predict(params: Any, x: Any) -> Any:
    a1 = layer(x, params["W1"], params["b1"])
    z = a1 @ params["W2"] + params["b2"]
    return np.argmax(z, axis=1), z


# --- shapes, rows, integers -----------------------------------------------------------------------


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def layer_norm(x: Any, g: Any, b: Any) -> Any:
    mean = x.mean(axis=-1, keepdims=True)
    var = x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * g + b


def norm_of_norm(x: Any, g: Any, b: Any) -> Any:
    return np.sum(layer_norm(x, g, b) ** 2)


def views(x: Any, y: Any) -> Any:
    return (
        x.T[::-1], x[1:4, ::-2], np.roll(x, 2, axis=0), x.reshape(2, -1), np.flip(x),
        np.pad(x, ((1, 2), (0, 1))), np.concatenate([x, y], axis=1), np.stack([x, y], axis=1),
        np.tril(x), x[:, None, 2], x, x, np.repeat(x, 2, axis=0),
        np.sum(x.T[::-1].reshape(4, 3, 2), axis=(0, 2)),
    )  # fmt: skip


def views_of_n(x: Any, y: Any) -> Any:
    return (
        x.T[::-1], np.roll(x, 2, axis=0), x.reshape(-1), np.pad(x, ((1, 2), (0, 1))), x[::-1, 1],
        np.concatenate([x, y], axis=0), np.stack([x, y], axis=1), np.triu(x),
        np.repeat(x, 2, axis=0), (x * y).reshape(-1).sum(), np.einsum("ij,kj->ik", x, y),
        x[:, ::-2],
    )  # fmt: skip


def integers(x: Any, y: Any) -> Any:
    return (
        x + y, x - y, x * y, x // y, x % y, np.fmod(x, y), -x, abs(x), np.sign(x), x**2, x << 2,
        x >> 1, x & y, x | y, x ^ y, ~x, np.maximum(x, y), np.minimum(x, y), x < y, x / y,
        x.sum(axis=0), np.prod(x), x.max(axis=1), np.argmin(x, axis=1),
        np.einsum("ij,kj->ik", x, y), np.power(x, abs(y)),
    )  # fmt: skip


def casts(b: Any, i: Any, k: Any, x: Any, y: Any) -> Any:
    values = (b, i, k, x, y)
    return tuple(
        v.astype(d) for v in values for d in ("bool", "int32", "int64", "float32", "float64")
    )


def helpers(x: Any, y: Any) -> Any:
    """Every floating-point function that C or its library does not have."""
    rows = [Tensor(apply(ops.OPS[name], x.node)) for name in ("sigmoid", "softplus", "sign")]
    rows += [Tensor(apply(ops.OPS["polygamma"], x.node, order=k)) for k in range(4)]
    rows += [Tensor(apply(ops.OPS[name], x.node)) for name in ("ndtri", "erfinv", "erfcinv")]
    rows += [Tensor(apply(row, x.node, order=k)) for row in BESSEL for k in (0, 3)]
    pairs = (np.maximum, np.minimum, np.remainder, np.floor_divide, np.logaddexp)
    return (*rows, *(fn(x, y) for fn in pairs), x.astype(np.int32), x.astype(np.int64))


def maths(x: Any) -> Any:
    """Every function that loops call by a polynomial of the unit's own."""
    rows = [ops.OPS[name] for name in sorted(VECTOR)]
    return tuple(Tensor(apply(op, *(x.node, (x + 0.5).node)[: len(op.domain)])) for op in rows)


def wrapped(x: Any, i: Any) -> Any:
    """Elements at places that are data."""
    at = Tensor(apply(ops.OPS["wrap_index"], (i % 2 - 1).node, size=x.shape[0]))
    return at + x.shape[0]


def special(x: Any) -> Any:
    return np.sum(gammaln(np.abs(x) + 0.3) * expit(x) + np.logaddexp(x, 0.5))


def tables(x: Any) -> Any:
    return x @ np.linspace(-1, 1, 12).reshape(4, 3), x * np.array([1e-300, np.pi, np.inf, -np.nan])


def places(e: Any, ids: Any, v: Any) -> Any:
    """Gathers behind guards, scatters, a sort, running sums, windows of a padded array."""
    picked = np.take(e, ids, axis=0, mode="wrap")
    joined = np.concatenate([v, picked * v, e], axis=0)
    changed = at(e)[np.abs(ids) % 4].add(np.cumsum(np.sort(joined[3:10], axis=0), axis=1))
    seen = sliding_window_view(np.pad(changed, 1, mode="reflect"), (2, 3))[::2]
    return np.sum(seen.max(axis=(2, 3)) ** 2) + np.sum(np.maximum.accumulate(joined, axis=0) ** 2)


def halves(a: Any, b: Any, x: Any, n: Any) -> Any:
    """Every conversion from and to halves, in loops and of numbers."""
    both = a * b.astype(np.float32) + n.astype(bool).astype(np.float16)
    table = np.array([0.5, -1.25, 3.0], np.float16)
    narrow = (x.astype(np.float16) * 2, np.mean(x).astype(np.float16), n.astype(np.float16))
    return both.astype(np.float16), (x - 1).astype(b.dtype), a.astype(np.int32), table, narrow


PARAMS = {"W1": f[4, 5], "b1": f[5], "W2": f[5, 3], "b2": f[3]}
CASES: dict[str, Case] = {
    "laplace": Case(value_and_grad(laplace), (F, F, F)),
    "laplace_linear": Case(value_and_grad(laplace_linear), (F[3], F["n", 3], F["n"], F)),
    "network": Case(value_and_grad(network, (2, 3)), (F,) * 5),
    "shared": Case(value_and_grad(shared), (F,) * 4),
    "hessian": Case(grad(grad(shared)), (F,) * 4),
    "layer": Case(layer, (f["n", 4], f[4, 5], f[5])),
    "train": Case(train, (PARAMS, f["n", 4], f["n", 3], f)),
    "train_static": Case(train, (PARAMS, f[8, 4], f[8, 3], f)),
    "predict": Case(predict, (PARAMS, f["n", 4])),
    "softmax": Case(softmax, (F["n", 7],)),
    "softmax_grad": Case(grad(lambda x, c: np.sum(softmax(x) * c)), (F["n", 7], F["n", 7])),
    "layer_norm": Case(layer_norm, (f["n", 16], f[16], f[16])),
    "layer_norm_grad": Case(grad(norm_of_norm, (0, 1, 2)), (f["n", 16], f[16], f[16])),
    "views": Case(views, (F[6, 4], F[6, 4])),
    "views_of_n": Case(views_of_n, (F["n", 4], F["n", 4])),
    "integers": Case(integers, (int64[3, 4], int64[3, 4])),
    "integers32": Case(integers, (int32["n", 4], int32["n", 4])),
    "casts": Case(casts, (bool_[6], int32[6], int64[6], f[6], F[6])),
    "special": Case(grad(special), (F[9],)),
    "special32": Case(grad(special), (f["n"],)),
    "helpers": Case(helpers, (F[9], F[9])),
    "helpers32": Case(helpers, (f["n"], f["n"])),
    "halves": Case(halves, (float16["n"], bfloat16["n"], F["n"], int32)),
    "maths": Case(maths, (F[9],)),
    "maths32": Case(maths, (f["n"],)),
    "wrapped": Case(wrapped, (F["n"], int64[4])),
    "hardly": Case(lambda x, y: (x, np.zeros((2, 3)), np.ones((0, 4))), (F, F["n"])),
    "places": Case(value_and_grad(places, (0, 2)), (F["n", 4], int64[7], F[7, 4])),
    "places32": Case(value_and_grad(places, (0, 2)), (f["n", 4], int32[7], f[7, 4])),
    "tables": Case(tables, (F["n", 4],)),
}
