"""W4: one layer of sigmoid neurons, forward and backward (gradients of W, b and x), float32."""

from functools import cache, partial

import numpy as np
from ours import compiled
from timing import Case, threads

import graphc


def layer(x, W, b):
    """Textbook NumPy."""
    z = x @ W + b
    return np.exp(z) / (1 + np.exp(z))


def both(x, W, b, d_a):
    a, pull = graphc.vjp(layer, x, W, b)
    return a, *pull(d_a)


def by_hand(x, W, b, d_a):
    """The same as one writes it with NumPy."""
    a = 1 / (1 + np.exp(-(x @ W + b)))
    d_z = d_a * a * (1 - a)
    return a, d_z @ W.T, x.T @ d_z, d_z.sum(axis=0)


def cases(quick):
    sizes = [(n, d) for d in (8, 64, 256) for n in (1, 16, 64)]
    if quick:
        sizes = [(16, 64), (64, 256)]
    return [partial(_case, n, d) for n, d in sizes if threads() == 1 or n * d > 4000]


def _case(n, d):
    """n rows; the shapes are known to the compilers."""
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape) for shape in ((n, d), (d, d), (d,), (n, d))]
    values[1] /= np.sqrt(d)
    single = [value.astype(np.float32) for value in values]
    kernel = cache(lambda: compiled(both, *single))
    peers = {
        "graphc": lambda: partial(kernel(), *single),
        "graphc bound": lambda: kernel().bind(*single),
        "NumPy": lambda: lambda: by_hand(*single),
        "JAX": lambda: _jax(single),
        "torch": lambda: _torch(single),
    }
    reference = list(by_hand(*(value.astype(np.float64) for value in single)))
    name = f"float32, {n}x{d}"
    return Case("W4 sigmoid layer fwd+bwd", name, reference, 1e-5, peers, flops=6 * n * d * d)


def _jax(values):
    import jax

    def fn(x, W, b, d_a):
        a, pull = jax.vjp(lambda x, W, b: jax.nn.sigmoid(x @ W + b), x, W, b)
        return a, *pull(d_a)

    step = jax.jit(fn)
    placed = [jax.device_put(value) for value in values]
    return lambda: jax.block_until_ready(step(*placed))


def _torch(values):
    import torch

    x, W, b, d_a = (torch.from_numpy(value.copy()) for value in values)
    for tensor in (x, W, b):
        tensor.requires_grad_()

    def call():
        a = torch.sigmoid(torch.addmm(b, x, W))
        return a, *torch.autograd.grad(a, (x, W, b), d_a)

    return call
