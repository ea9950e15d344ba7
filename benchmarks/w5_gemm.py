"""W5: matrix products A B, A Bᵀ and Aᵀ B of square and of narrow matrices, into a given array."""

from functools import cache, partial

import numpy as np
from ours import compiled
from timing import Case, threads

import graphc

PRODUCTS = {
    "NN": lambda a, b: a @ b,
    "NT": lambda a, b: a @ b.T,
    "TN": lambda a, b: a.T @ b,
}
SIZES = (32, 64, 128, 256, 512, 1024)
NARROW = (1, 3, 8, 10, 15)


def cases(quick):
    square = (64, 256) if quick else SIZES if threads() == 1 else SIZES[2:]
    narrow = (10,) if quick else NARROW if threads() == 1 else ()
    return [
        partial(_case, kind, (n, n, n), dtype)
        for dtype in ("float32", "float64")
        for kind in PRODUCTS
        for n in square
    ] + [
        partial(_case, "NN", (256, 256, n), dtype)
        for dtype in ("float32", "float64")
        for n in narrow
    ]


def _case(kind, sizes, dtype):
    m, k, n = sizes
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if kind[0] == "T" else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if kind[1] == "T" else (k, n)).astype(dtype)
    product = PRODUCTS[kind]
    peers = {
        "graphc": lambda: partial(_kernel(kind, sizes, dtype), a, b),
        "graphc bound": lambda: _kernel(kind, sizes, dtype).bind(a, b),
        "NumPy": lambda: _numpy(kind, a, b),
        "JAX": lambda: _jax(product, a, b),
        "torch": lambda: _torch(kind, a, b),
    }
    reference = [product(a.astype(np.float64), b.astype(np.float64))]
    size = f"{n}" if m == n else f"{m}x{k}x{n}"
    return Case(
        "W5 matrix product",
        f"{dtype}, {kind}, {size}",
        reference,
        1e-5 if dtype == "float32" else 1e-13,
        peers,
        flops=2 * m * k * n,
        bytes=np.dtype(dtype).itemsize * (m * k + k * n + m * n),
        dtype=dtype,
    )


@cache
def _kernel(kind, sizes, dtype):
    m, k, n = sizes
    scalar = getattr(graphc, dtype)
    left = scalar[(k, m) if kind[0] == "T" else (m, k)]
    return compiled(PRODUCTS[kind], left, scalar[(n, k) if kind[1] == "T" else (k, n)])


def _turned(kind, a, b):
    """Views whose product it is."""
    return a.T if kind[0] == "T" else a, b.T if kind[1] == "T" else b


def _numpy(kind, a, b):
    left, right = _turned(kind, a, b)
    out = left @ right
    return lambda: np.matmul(left, right, out=out)


def _jax(product, a, b):
    import jax

    step = jax.jit(product)
    x, y = jax.device_put(a), jax.device_put(b)
    return lambda: jax.block_until_ready(step(x, y))


def _torch(kind, a, b):
    import torch

    left, right = _turned(kind, torch.from_numpy(a), torch.from_numpy(b))
    out = left @ right
    return lambda: torch.mm(left, right, out=out)
