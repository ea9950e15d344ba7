"""W2: mean Laplace negative log-likelihood of n points and its gradient by the n predictions."""

from functools import cache, partial

import numpy as np
from ours import compiled
from timing import Case, threads

import graphc

B = 0.7


def nll(mu, x, b):
    return np.mean(np.log(2 * b) + np.abs(x - mu) / b)


def both(mu, x, b):
    return graphc.value_and_grad(nll)(mu, x, b)


def by_hand(mu, x, b):
    """Value and gradient as one writes them with NumPy."""
    d = x - mu
    return np.mean(np.abs(d)) / b + np.log(2 * b), np.sign(d) * (-1 / (b * len(d)))


@cache
def _kernel():
    return compiled(both, graphc.float32["n"], graphc.float32["n"], graphc.float32)


def cases(quick):
    sizes = (1000, 100_000) if quick else (1000, 100_000, 10_000_000)
    return [partial(_case, n) for n in sizes if threads() == 1 or n > 1000]


def _case(n):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n).astype(np.float32)
    mu = (0.1 * rng.standard_normal(n)).astype(np.float32)
    b = np.float32(B)
    reference = by_hand(mu.astype(np.float64), x.astype(np.float64), float(b))
    peers = {
        "graphc": lambda: partial(_kernel(), mu, x, b),
        "graphc bound": lambda: _kernel().bind(mu, x, b),
        "NumPy": lambda: lambda: by_hand(mu, x, b),
        "numba by hand": lambda: _numba(mu, x, b),
        "JAX": lambda: _jax(mu, x, b),
        "torch": lambda: _torch(mu, x, b),
    }
    name = f"float32, n={n:g}"
    reference = [np.asarray(r) for r in reference]
    return Case("W2 Laplace NLL+grad", name, reference, 2e-5, peers, bytes=12 * n)


def _numba(mu, x, b):
    import numba

    @numba.njit(fastmath=True, parallel=threads() > 1)
    def fn(mu, x, b, out):
        n = x.size
        s = x.dtype.type(1) / (b * n)
        total = 0.0
        for i in numba.prange(n):
            d = x[i] - mu[i]
            total += abs(d)
            out[i] = -s if d > 0 else s if d < 0 else 0
        return total / (n * b) + np.log(2 * b)

    out = np.empty_like(x)
    return lambda: (fn(mu, x, b, out), out)


def _jax(mu, x, b):
    import jax
    import jax.numpy as jnp

    step = jax.jit(
        jax.value_and_grad(lambda mu, x, b: jnp.mean(jnp.log(2 * b) + jnp.abs(x - mu) / b))
    )
    values = [jax.device_put(z) for z in (mu, x, b)]
    return lambda: jax.block_until_ready(step(*values))


def _torch(mu, x, b):
    import torch

    tx, tb = torch.from_numpy(x), torch.tensor(b)
    tmu = torch.from_numpy(mu.copy()).requires_grad_()

    def call():
        value = (torch.log(2 * tb) + (tx - tmu).abs() / tb).mean()
        return value, torch.autograd.grad(value, tmu)[0]

    return call
