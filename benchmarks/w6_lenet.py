"""W6: one SGD step of a LeNet-like network on 28 x 28 images, batch 64, float32.

Two convolutions (5 x 5: 6 channels with padding 2, then 16), each with ReLU and 2 x 2 pooling; then
400-120-84-10; softmax cross-entropy.
"""

from functools import cache, partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from ours import compiled
from timing import Case

import graphc

N, RATE = 64, 0.05
SHAPES = {
    "K1": (6, 1, 5, 5),
    "K2": (16, 6, 5, 5),
    "W3": (400, 120),
    "W4": (120, 84),
    "W5": (84, 10),
}


def convolve(x, kernel, bias):
    windows = sliding_window_view(x, kernel.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, kernel) + bias[:, np.newaxis, np.newaxis]


def pool(x):
    """The largest of every 2 x 2 pixels."""
    return sliding_window_view(x, (2, 2), axis=(2, 3))[:, :, ::2, ::2].max(axis=(-2, -1))


def loss(params, x, labels):
    """Textbook NumPy."""
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    a1 = pool(np.maximum(convolve(padded, params["K1"], params["b1"]), 0))
    a2 = pool(np.maximum(convolve(a1, params["K2"], params["b2"]), 0))
    a3 = np.maximum(a2.reshape(x.shape[0], -1) @ params["W3"] + params["b3"], 0)
    a4 = np.maximum(a3 @ params["W4"] + params["b4"], 0)
    z = a4 @ params["W5"] + params["b5"]
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(np.take_along_axis(log_p, labels[:, np.newaxis], axis=1))


def step(params, x, labels, rate):
    value, gradient = graphc.value_and_grad(loss)(params, x, labels)
    return {name: params[name] - rate * gradient[name] for name in params}, value


def by_hand(params, x, labels, rate):
    """The same step as one writes it with NumPy: convolutions as products with all windows."""
    hidden, tape = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2))), []
    for i in (1, 2):
        K, b = params[f"K{i}"], params[f"b{i}"]
        windows = sliding_window_view(hidden, (5, 5), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
        n, h, w = windows.shape[:3]
        columns = windows.reshape(n * h * w, -1)
        z = columns @ K.reshape(len(K), -1).T + b
        quads = np.maximum(z, 0).reshape(n, h // 2, 2, w // 2, 2, -1).transpose(0, 5, 1, 3, 2, 4)
        quads = quads.reshape(n, len(K), h // 2, w // 2, 4)
        chosen = quads.argmax(-1)[..., np.newaxis]
        hidden = np.take_along_axis(quads, chosen, -1)[..., 0]
        tape.append((columns, z, chosen))
    after, value, d = _dense_by_hand(params, hidden.reshape(len(x), -1), labels, rate)
    d = d.reshape(hidden.shape)
    for i in (2, 1):
        K, (columns, z, chosen) = params[f"K{i}"], tape[i - 1]
        n, o, h, w, _ = chosen.shape
        quads = np.zeros((n, o, h, w, 4), d.dtype)
        np.put_along_axis(quads, chosen, d[..., np.newaxis], -1)
        d_z = quads.reshape(n, o, h, w, 2, 2).transpose(0, 2, 4, 3, 5, 1).reshape(-1, o) * (z > 0)
        after[f"K{i}"] = K - rate * (d_z.T @ columns).reshape(K.shape)
        after[f"b{i}"] = params[f"b{i}"] - rate * d_z.sum(axis=0)
        if i == 2:
            around = d_z.reshape(n, 2 * h, 2 * w, o)
            around = np.pad(around, ((0, 0), (4, 4), (4, 4), (0, 0)))
            windows = sliding_window_view(around, (5, 5), axis=(1, 2)).reshape(n * 14 * 14, -1)
            turned = K[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(-1, K.shape[1])
            d = (windows @ turned).reshape(n, 14, 14, -1).transpose(0, 3, 1, 2)
    return after, value


def _dense_by_hand(params, flat, labels, rate):
    """The layers 3 to 5: (updated parameters, loss, gradient of the input)."""
    hidden, rows = [flat], np.arange(len(flat))
    for i in (3, 4):
        hidden.append(np.maximum(hidden[-1] @ params[f"W{i}"] + params[f"b{i}"], 0))
    z = hidden[-1] @ params["W5"] + params["b5"]
    z -= z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    value = (np.log(total[:, 0]) - z[rows, labels]).mean()
    d = e / total
    d[rows, labels] -= 1
    d /= len(flat)
    after = {}
    for i in (5, 4, 3):
        a = hidden[i - 3]
        after[f"W{i}"] = params[f"W{i}"] - rate * (a.T @ d)
        after[f"b{i}"] = params[f"b{i}"] - rate * d.sum(axis=0)
        d = d @ params[f"W{i}"].T
        if i > 3:
            d = d * (a > 0)
    return after, value, d


@cache
def _kernel():
    f32 = graphc.float32
    types = {name: f32[array.shape] for name, array in _data()[0].items()}
    arguments = (types, f32[N, 1, 28, 28], graphc.int64[N], f32)
    return compiled(step, *arguments, donate="params")


def cases(quick):
    return [_case]


def _data():
    rng, params = np.random.default_rng(0), {}
    for name, shape in SHAPES.items():
        inputs = np.prod(shape[1:]) if name[0] == "K" else shape[0]
        params[name] = (rng.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32)
        params[f"b{name[1]}"] = np.zeros(shape[0 if name[0] == "K" else 1], np.float32)
    x = rng.random((N, 1, 28, 28)).astype(np.float32)
    return params, x, rng.integers(0, 10, N)


def _flops():
    """Three products a layer but for the gradient of x, which nobody needs."""
    first, second = 28 * 28 * 6 * 25, 10 * 10 * 16 * 150
    dense = sum(np.prod(SHAPES[name]) for name in ("W3", "W4", "W5"))
    return float(2 * N * (2 * first + 3 * second + 3 * dense))


def _copy(params):
    """Where a kernel to which they are donated keeps the parameters."""
    return {name: array.copy() for name, array in params.items()}


def _case():
    params, x, labels = _data()
    rate = np.float32(RATE)
    double = {name: array.astype(np.float64) for name, array in params.items()}
    after, value = by_hand(double, x.astype(np.float64), labels, RATE)
    before = [*(double[name] for name in sorted(double)), np.zeros(())]
    moved = [*(after[name] - double[name] for name in sorted(double)), np.asarray(value)]
    peers = {
        "graphc": lambda: partial(_kernel(), _copy(params), x, labels, rate),
        "graphc bound": lambda: _kernel().bind(_copy(params), x, labels, rate),
        "NumPy": lambda: lambda: by_hand(params, x, labels, rate),
        "JAX": lambda: _jax(params, x, labels),
        "torch": lambda: _torch(params, x, labels, False),
        "torch.compile": lambda: _torch(params, x, labels, True),
    }
    name = f"float32, batch {N}"
    return Case("W6 LeNet training step", name, moved, 2e-3, peers, before, flops=_flops())


def _jax(params, x, labels):
    import jax
    import jax.numpy as jnp
    from jax import lax

    def layer(x, kernel, bias, padding):
        z = lax.conv_general_dilated(x, kernel, (1, 1), [(padding, padding)] * 2)
        a = jax.nn.relu(z + bias[:, None, None])
        return lax.reduce_window(a, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss(p, x, labels):
        a = layer(layer(x, p["K1"], p["b1"], 2), p["K2"], p["b2"], 0).reshape(N, -1)
        a = jax.nn.relu(a @ p["W3"] + p["b3"])
        a = jax.nn.relu(a @ p["W4"] + p["b4"])
        log_p = jax.nn.log_softmax(a @ p["W5"] + p["b5"])
        return -jnp.mean(log_p[jnp.arange(N), labels])

    def step(params, x, labels):
        value, gradient = jax.value_and_grad(loss)(params, x, labels)
        return {name: params[name] - RATE * gradient[name] for name in params}, value

    step = jax.jit(step, donate_argnums=0)
    state = {name: jax.device_put(array.copy()) for name, array in params.items()}
    tx, tlabels = jax.device_put(x), jax.device_put(labels)

    def call():
        nonlocal state
        state, value = step(state, tx, tlabels)
        jax.block_until_ready(value)
        return state, value

    return call


def _torch(params, x, labels, compiled):
    import torch

    functional = torch.nn.functional
    state = {name: torch.from_numpy(a.copy()).requires_grad_() for name, a in params.items()}
    tx, tlabels = torch.from_numpy(x), torch.from_numpy(labels)

    def loss(x, labels, K1, b1, K2, b2, W3, b3, W4, b4, W5, b5):
        a = functional.max_pool2d(functional.relu(functional.conv2d(x, K1, b1, padding=2)), 2)
        a = functional.max_pool2d(functional.relu(functional.conv2d(a, K2, b2)), 2).flatten(1)
        a = functional.relu(torch.addmm(b3, a, W3))
        a = functional.relu(torch.addmm(b4, a, W4))
        return functional.cross_entropy(torch.addmm(b5, a, W5), labels)

    loss = torch.compile(loss, fullgraph=True, dynamic=False) if compiled else loss

    def call():
        value = loss(tx, tlabels, **state)
        gradient = torch.autograd.grad(value, list(state.values()))
        with torch.no_grad():
            torch._foreach_add_(list(state.values()), gradient, alpha=-RATE)
        return state, value

    return call
