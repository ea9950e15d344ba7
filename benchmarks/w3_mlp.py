"""W3: one SGD step of a 784-256-256-10 network: sigmoid layers, softmax cross-entropy."""

from functools import cache, partial
from itertools import pairwise

import numpy as np
from ours import compiled
from timing import Case

import graphc

SIZES = (784, 256, 256, 10)
RATE = 0.1


def loss(params, x, labels):
    """Textbook NumPy."""
    a = x
    for i in (1, 2):
        z = a @ params[f"W{i}"] + params[f"b{i}"]
        a = np.exp(z) / (1 + np.exp(z))
    z = a @ params["W3"] + params["b3"]
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    is_label = labels[:, np.newaxis] == np.arange(10)
    return -np.mean(np.sum(np.where(is_label, np.log(p), 0), axis=1))


def step(params, x, labels, rate):
    value, gradient = graphc.value_and_grad(loss)(params, x, labels)
    return value, {name: params[name] - rate * gradient[name] for name in params}


def by_hand(params, x, labels, rate):
    """The same step as one writes it with NumPy."""
    n, hidden = len(x), [x]
    for i in (1, 2):
        hidden.append(1 / (1 + np.exp(-(hidden[-1] @ params[f"W{i}"] + params[f"b{i}"]))))
    z = hidden[-1] @ params["W3"] + params["b3"]
    z -= z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    rows = np.arange(n)
    value = (np.log(total[:, 0]) - z[rows, labels]).mean()
    d = e / total
    d[rows, labels] -= 1
    d /= n
    after = {}
    for i in (3, 2, 1):
        a = hidden[i - 1]
        after[f"W{i}"] = params[f"W{i}"] - rate * (a.T @ d)
        after[f"b{i}"] = params[f"b{i}"] - rate * d.sum(axis=0)
        if i > 1:
            d = (d @ params[f"W{i}"].T) * a * (1 - a)
    return value, after


@cache
def _kernel(dtype):
    scalar = getattr(graphc, dtype)
    types = {}
    for i in (1, 2, 3):
        types |= {f"W{i}": scalar[SIZES[i - 1], SIZES[i]], f"b{i}": scalar[SIZES[i]]}
    return compiled(step, types, scalar["n", 784], graphc.int64["n"], scalar, donate="params")


def cases(quick):
    sizes = [(32, "float32"), (128, "float32"), (1024, "float32"), (128, "float64")]
    return [partial(_case, n, dtype) for n, dtype in (sizes[:2] if quick else sizes)]


def _data(n, dtype):
    rng = np.random.default_rng(0)
    params = {}
    for i in (1, 2, 3):
        d, h = SIZES[i - 1], SIZES[i]
        params[f"W{i}"] = (rng.standard_normal((d, h)) / np.sqrt(d)).astype(dtype)
        params[f"b{i}"] = np.zeros(h, dtype)
    return params, rng.random((n, 784)).astype(dtype), rng.integers(0, 10, n)


def _flops(n):
    """Three products a layer but for the gradient of x, which nobody needs."""
    inner = [a * b for a, b in pairwise(SIZES)]
    return 2 * n * (3 * sum(inner) - inner[0])


def _copy(params):
    """Where a kernel to which they are donated keeps the parameters."""
    return {name: array.copy() for name, array in params.items()}


def _case(n, dtype):
    params, x, labels = _data(n, dtype)
    rate = np.dtype(dtype).type(RATE)
    double = {name: array.astype(np.float64) for name, array in params.items()}
    value, after = by_hand(double, x.astype(np.float64), labels, RATE)

    before = [np.zeros(()), *(double[name] for name in sorted(double))]
    moved = [np.asarray(value), *(after[name] - double[name] for name in sorted(double))]
    peers = {
        "graphc": lambda: partial(_kernel(dtype), _copy(params), x, labels, rate),
        "graphc bound": lambda: _kernel(dtype).bind(_copy(params), x, labels, rate),
        "NumPy": lambda: lambda: by_hand(params, x, labels, rate),
        "JAX": lambda: _jax(params, x, labels),
        "torch": lambda: _torch(params, x, labels, False),
        "torch.compile": lambda: _torch(params, x, labels, True),
    }
    tolerance = 2e-3 if dtype == "float32" else 1e-9
    name, flops = f"{dtype}, batch {n}", _flops(n)
    workload = "W3 MLP training step"
    return Case(workload, name, moved, tolerance, peers, before, flops=flops, dtype=dtype)


def _jax(params, x, labels):
    import jax
    import jax.numpy as jnp

    def loss(params, x, labels):
        a = x
        for i in (1, 2):
            a = jax.nn.sigmoid(a @ params[f"W{i}"] + params[f"b{i}"])
        z = a @ params["W3"] + params["b3"]
        return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(labels)), labels])

    def step(params, x, labels):
        value, gradient = jax.value_and_grad(loss)(params, x, labels)
        return value, {name: params[name] - RATE * gradient[name] for name in params}

    step = jax.jit(step, donate_argnums=0)
    state = {name: jax.device_put(array.copy()) for name, array in params.items()}
    tx, tlabels = jax.device_put(x), jax.device_put(labels)

    def call():
        nonlocal state
        value, state = step(state, tx, tlabels)
        jax.block_until_ready(value)
        return value, state

    return call


def _torch(params, x, labels, compiled):
    import torch

    functional = torch.nn.functional
    state = {name: torch.from_numpy(a.copy()).requires_grad_() for name, a in params.items()}
    tx, tlabels = torch.from_numpy(x), torch.from_numpy(labels)

    def loss(x, labels, W1, b1, W2, b2, W3, b3):
        a = torch.sigmoid(torch.addmm(b1, x, W1))
        a = torch.sigmoid(torch.addmm(b2, a, W2))
        return functional.cross_entropy(torch.addmm(b3, a, W3), labels)

    loss = torch.compile(loss, fullgraph=True, dynamic=False) if compiled else loss

    def call():
        value = loss(tx, tlabels, **state)
        gradient = torch.autograd.grad(value, list(state.values()))
        with torch.no_grad():
            torch._foreach_add_(list(state.values()), gradient, alpha=-RATE)
        return value, state

    return call
