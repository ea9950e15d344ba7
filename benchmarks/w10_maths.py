"""W10: elementwise functions over 100 000 elements, into a given array: exp, log, sin, tanh, ..."""

from functools import cache, partial

import numpy as np
from ours import compiled
from timing import Case

import graphc

N = 100_000
RANGES = {
    "exp": (-10, 10),
    "log": (1e-3, 100),
    "log1p": (-0.9, 10),
    "expm1": (-5, 5),
    "sin": (-10, 10),
    "cos": (-10, 10),
    "tanh": (-5, 5),
    "sigmoid": (-10, 10),
    "erf": (-4, 4),
}


def function(name):
    """The function as one writes it with NumPy."""
    if name == "sigmoid":
        return lambda x: 1 / (1 + np.exp(-x))
    if name == "erf":
        import scipy.special

        return scipy.special.erf
    return getattr(np, name)


def cases(quick):
    names = ("exp", "tanh") if quick else RANGES
    return [partial(_case, name, dtype) for dtype in ("float32", "float64") for name in names]


def _case(name, dtype):
    rng = np.random.default_rng(0)
    x = rng.uniform(*RANGES[name], N)
    x[: N // 4] = np.clip(0.1 * rng.standard_normal(N // 4), *RANGES[name])
    x = x.astype(dtype)
    # The reference has more digits than what is judged where the machine has them.
    wide = np.float64 if name == "erf" else np.longdouble
    reference = [np.asarray(function(name)(x.astype(wide)), np.float64)]
    peers = {
        "graphc": lambda: partial(_kernel(name, dtype), x),
        "graphc bound": lambda: _kernel(name, dtype).bind(x),
        "NumPy": lambda: _numpy(name, x),
        "JAX": lambda: _jax(name, x),
        "torch": lambda: _torch(name, x),
    }
    return Case(
        "W10 elementwise functions",
        f"{dtype}, {name}",
        reference,
        64 * float(np.finfo(dtype).eps),
        peers,
        bytes=2 * x.nbytes,
        dtype=dtype,
        elements=N,
    )


@cache
def _kernel(name, dtype):
    fn = function(name)

    def apply(x):
        return fn(x)

    return compiled(apply, getattr(graphc, dtype)["n"])


def _numpy(name, x):
    out = np.empty_like(x)
    if name == "erf":
        return lambda: function(name)(x, out=out)
    if name != "sigmoid":
        fn = getattr(np, name)
        return lambda: fn(x, out=out)

    def call():
        np.negative(x, out=out)
        np.exp(out, out=out)
        np.add(out, 1, out=out)
        return np.reciprocal(out, out=out)

    return call


def _jax(name, x):
    import jax

    fn = {"sigmoid": jax.nn.sigmoid, "erf": jax.scipy.special.erf}.get(name)
    step = jax.jit(fn or getattr(jax.numpy, name))
    placed = jax.device_put(x)
    return lambda: jax.block_until_ready(step(placed))


def _torch(name, x):
    import torch

    fn, placed = getattr(torch, name), torch.from_numpy(x)
    out = torch.empty_like(placed)
    return lambda: fn(placed, out=out)
