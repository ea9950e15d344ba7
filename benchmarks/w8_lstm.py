"""W8: an LSTM over 100 steps (64 in, 64 hidden, batch 16): mean square of all states, gradients."""

from functools import cache, partial

import numpy as np
from ours import compiled
from timing import Case

import graphc

T, H, B = 100, 64, 16


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(W, U, b, x):
    """Textbook NumPy; only the loop over time is graphc's."""

    def cell(carry, inputs):
        h, c = carry
        z = inputs + h @ U
        i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return (h, c), h

    start = np.zeros((x.shape[1], H), x.dtype)
    _, states = graphc.scan(cell, (start, start), x @ W + b)
    return np.mean(states**2)


def both(W, U, b, x):
    value, gradient = graphc.value_and_grad(loss, argnums=(0, 1, 2))(W, U, b, x)
    return value, *gradient


def by_hand(W, U, b, x):
    """The same as one writes it with NumPy."""
    steps, n, _ = x.shape
    z = (x.reshape(steps * n, -1) @ W + b).reshape(steps, n, 4 * H)
    h, c, tape, value = np.zeros((n, H), x.dtype), np.zeros((n, H), x.dtype), [], 0.0
    for t in range(steps):
        gates = z[t] + h @ U
        i, f, o = (sigmoid(gates[:, k * H : (k + 1) * H]) for k in (0, 1, 3))
        g = np.tanh(gates[:, 2 * H : 3 * H])
        before, c = c, f * c + i * g
        tanh_c = np.tanh(c)
        tape.append((i, f, g, o, before, tanh_c, h))
        h = o * tanh_c
        value += np.vdot(h, h)
    d_z, d_U, d_h, d_c = np.empty_like(z), np.zeros_like(U), 0.0, 0.0
    for t in reversed(range(steps)):
        i, f, g, o, before, tanh_c, h = tape[t]
        d_h = d_h + 2 / (steps * n * H) * o * tanh_c
        d_c = d_c + d_h * o * (1 - tanh_c**2)
        d_z[t, :, :H] = d_c * g * i * (1 - i)
        d_z[t, :, H : 2 * H] = d_c * before * f * (1 - f)
        d_z[t, :, 2 * H : 3 * H] = d_c * i * (1 - g**2)
        d_z[t, :, 3 * H :] = d_h * tanh_c * o * (1 - o)
        d_c, d_h = d_c * f, d_z[t] @ U.T
        d_U += h.T @ d_z[t]
    flat = d_z.reshape(steps * n, 4 * H)
    d_W = x.reshape(steps * n, -1).T @ flat
    return value / (steps * n * H), d_W, d_U, flat.sum(axis=0)


@cache
def _kernel():
    f32 = graphc.float32
    return compiled(both, f32[H, 4 * H], f32[H, 4 * H], f32[4 * H], f32[T, B, H])


def cases(quick):
    return [_case]


def _case():
    rng = np.random.default_rng(0)
    W, U = (rng.standard_normal((H, 4 * H)) / np.sqrt(H) for _ in range(2))
    values = W, U, np.zeros(4 * H), rng.standard_normal((T, B, H))
    single = [value.astype(np.float32) for value in values]
    peers = {
        "graphc": lambda: partial(_kernel(), *single),
        "graphc bound": lambda: _kernel().bind(*single),
        "NumPy": lambda: lambda: by_hand(*single),
        "JAX": lambda: _jax(single),
        "torch": lambda: _torch(*single),
        "torch nn.LSTM": lambda: _torch_layer(*single),
    }
    reference = [np.asarray(x) for x in by_hand(*(value.astype(np.float64) for value in single))]
    name = f"float32, T={T}, H={H}, batch {B}"
    flops = 2 * T * B * H * 4 * H * 5  # W and U, forward; their gradients; that of h
    return Case("W8 LSTM loss+grad", name, reference, 2e-4, peers, flops=flops)


def _jax(values):
    import jax
    import jax.numpy as jnp

    def loss(weights, x):
        W, U, b = weights

        def cell(carry, z):
            h, c = carry
            i, f, g, o = jnp.split(z + h @ U, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((B, H), x.dtype)
        _, states = jax.lax.scan(cell, (start, start), x @ W + b)
        return jnp.mean(states**2)

    step = jax.jit(jax.value_and_grad(loss))
    *weights, x = (jax.device_put(value) for value in values)
    return lambda: jax.block_until_ready(step(weights, x))


def _torch(W, U, b, x):
    import torch

    weights = [torch.from_numpy(a.copy()).requires_grad_() for a in (W, U, b)]
    inputs = torch.from_numpy(x)

    def call():
        W, U, b = weights
        z, total = inputs @ W + b, 0.0
        h = c = torch.zeros(B, H)
        for t in range(T):
            i, f, g, o = (z[t] + h @ U).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            total = total + (h * h).sum()
        value = total / (T * B * H)
        return value, *torch.autograd.grad(value, weights)

    return call


def _torch_layer(W, U, b, x):
    """The layer that torch has for it; it keeps its weights turned, and two biases."""
    import torch

    layer = torch.nn.LSTM(W.shape[0], H)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [getattr(layer, name) for name in names]
    with torch.no_grad():
        for weight, value in zip(weights, (W.T, U.T, b, 0 * b), strict=True):
            weight.copy_(torch.from_numpy(value.copy()))
    inputs = torch.from_numpy(x)

    def call():
        states, _ = layer(inputs)
        value = (states * states).mean()
        d_W, d_U, d_b, _ = torch.autograd.grad(value, weights)
        return value, d_W.T, d_U.T, d_b

    return call
