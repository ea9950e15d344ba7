"""Other shapes than W1 to W10: odd, tiny and large sizes, float64, long sequences, a named batch.

Loss and gradient by all parameters, in sweeps over one size: what a FLOP costs must not jump from
one size to the next. The reference is NumPy's run of the traced gradient in float64; JAX and torch,
which differentiate on their own, are held to it as well.
"""

from functools import partial

import models
import numpy as np
import w7_gpt
from ours import compiled
from timing import Case
from w7_by_hand import tree_map

import graphc

ODD = (1, 2, 7, 10, 45, 46, 64, 97, 257, 1024)


def cases(quick):
    found = [*_networks(), *_convolutions(), *_sequences(), *_mixtures()]
    return found[:: len(found) // 4] if quick else found


def _networks():
    def case(sweep, size, batch, widths, dtype="float32", named=()):
        fns = partial(models.mlp, np), _with_jax(models.mlp), models.torch_mlp
        make = partial(models.mlp_data, batch, widths, dtype)
        return partial(_case, f"{sweep}, {size}", make, fns, dtype, named)

    for n in ODD:
        yield case("MLP 128-128-128-10 by batch", n, n, (128, 128, 128, 10))
    for n in ODD:
        sweep = "MLP 128-128-128-10 by batch n of any size"
        yield case(sweep, n, n, (128, 128, 128, 10), named=((0, "n"), (0, "n")))
    for width in (10, 45, 46, 64, 97, 128, 131, 256, 500):
        yield case("MLP batch 64 by width", width, 64, (width, width, width, 10))
    for width in (45, 46, 64, 97, 256):
        sweep = "MLP batch 64 float64 by width"
        yield case(sweep, width, 64, (width, width, width, 10), "float64")
    for depth in (1, 2, 4, 8):
        yield case("MLP batch 64 width 64 by depth", depth, 64, (64,) * (depth + 1))
    for classes in (1, 2, 3, 10, 17, 100):
        yield case("MLP batch 64 by classes", classes, 64, (128, 128, classes))


def _convolutions():
    def case(sweep, size, *shape, stride=1, dtype="float32"):
        fns = (
            partial(models.cnn, stride),
            partial(models.jax_cnn, stride),
            lambda torch, *rest: models.torch_cnn(torch, stride, *rest),
        )
        make = partial(models.cnn_data, *shape, stride, dtype)
        return partial(_case, f"{sweep}, {size}", make, fns, dtype)

    for c in (3, 4, 8, 13, 16, 32, 64):
        yield case("CNN 3x3 16x16 batch 8 by channels", c, 8, (3, c, c), 16, 3)
    for n, c, side in ((16, 64, 16), (8, 128, 8)):
        yield case(
            "CNN 3x3 of many channels", f"{c}, {n} images {side}x{side}", n, (3, c, c), side, 3
        )
    for side in (9, 15, 16, 17, 32):
        yield case("CNN 3x3 8 channels batch 8 by image", side, 8, (3, 8, 8), side, 3)
    for size in (1, 2, 3, 5, 7):
        yield case("CNN 8 channels batch 8 by filter", size, 8, (3, 8, 8), 20, size)
    for n in (1, 3, 10, 45, 46):
        yield case("CNN 3x3 8 channels by batch", n, n, (1, 8, 8), 16, 3)
    yield case("CNN 3x3 stride", 2, 8, (3, 16, 16), 33, 3, stride=2)
    yield case("CNN 3x3 float64", 16, 8, (3, 16, 16), 16, 3, dtype="float64")


def _sequences():
    def case(sweep, size, heads, *shape):
        fns = (
            partial(models.attention, np, heads),
            partial(_with_jax(models.attention), heads),
            lambda torch, *rest: models.torch_attention(torch, heads, *rest),
        )
        make = partial(models.attention_data, *shape)
        return partial(_case, f"{sweep}, {size}", make, fns)

    for steps in (16, 45, 46, 128, 257, 512, 1024, 2048):
        yield case("attention 4x16 by length", steps, 4, steps, 4, 16)
    for size in (5, 8, 16, 20, 32, 64, 80):
        yield case("attention 2 heads length 128 by size", size, 2, 128, 2, size)
    for width in (32, 48, 64, 100, 128):
        fns = w7_gpt.loss, _jax_gpt, _torch_gpt
        make = partial(_gpt_data, width, 32)
        yield partial(_case, f"transformer layer 2x32 by width, {width}", make, fns)


def _mixtures():
    def case(sweep, size, *shape):
        fns = partial(models.mixture, np), _with_jax(models.mixture), models.torch_mixture
        make = partial(models.mixture_data, *shape)
        return partial(_case, f"{sweep}, {size}", make, fns, "float64")

    for size in (2, 5, 10, 20, 32):
        yield case("Gaussian mixture float64 500 points 10 by dimension", size, 500, 10, size)
    for many in (5, 25, 50):
        yield case("Gaussian mixture float64 500 points in 5 by number", many, 500, many, 5)


def _with_jax(fn):
    """fn with JAX's NumPy as its first argument."""

    def with_jax(*arguments):
        import jax.numpy as jnp

        return fn(jnp, *arguments)

    return with_jax


def _gpt_data(width, steps):
    params = w7_gpt.start(1, width, steps, 64)
    tokens = np.random.default_rng(1).integers(0, 64, (2, steps))
    flops = w7_gpt.flops(1, width, steps, 2, 64)
    return params, (tokens, np.roll(tokens, -1, axis=1)), flops


def _jax_gpt(*arguments):
    return w7_gpt.jax_loss()(*arguments)


def _torch_gpt(torch, *arguments):
    return w7_gpt.torch_loss()(*arguments)


def _case(name, make, fns, dtype="float32", named=()):
    """named: (axis, dimension) of each array of the data whose size the compiler is not told."""
    params, data, flops = make()
    for_numpy, for_jax, for_torch = fns
    peers = {
        "graphc": lambda: partial(_kernel(for_numpy, params, data, named), params, *data),
        "JAX": lambda: _jax(for_jax, params, data),
        "torch": lambda: _torch(for_torch, params, data),
    }
    reference, tolerance = _reference(for_numpy, params, data), 2e-4 if dtype == "float32" else 1e-9
    return Case("other shapes", name, reference, tolerance, peers, flops=flops, dtype=dtype)


def _reference(fn, params, data):
    """Value and gradient in float64."""
    wide = [tree_map(_wide, part) for part in (params, *data)]
    graph = graphc.trace(graphc.value_and_grad(fn), *wide)
    leaves = []
    tree_map(lambda leaf: leaves.append(np.asarray(leaf)), list(_sorted(graph(*wide))))
    return leaves


def _wide(array):
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _sorted(tree):
    """Trees in the order in which results are compared."""
    match tree:
        case dict():
            return [_sorted(tree[name]) for name in sorted(tree)]
        case list() | tuple():
            return [_sorted(part) for part in tree]
    return tree


def _kernel(fn, params, data, named):
    def both(params, *data):
        return graphc.value_and_grad(fn)(params, *data)

    types = [tree_map(_type, params)]
    for i, array in enumerate(data):
        shape = list(array.shape)
        for axis, dimension in named[i : i + 1]:
            shape[axis] = dimension
        types.append(getattr(graphc, array.dtype.name)[tuple(shape)])
    return compiled(both, *types)


def _type(array):
    return getattr(graphc, array.dtype.name)[array.shape]


def _jax(fn, params, data):
    import jax

    step = jax.jit(jax.value_and_grad(fn))
    placed = jax.device_put((params, *data))
    return lambda: jax.block_until_ready(step(*placed))


def _torch(fn, params, data):
    import torch

    state = tree_map(lambda a: torch.from_numpy(a.copy()).requires_grad_(), params)
    leaves = []
    tree_map(leaves.append, _sorted(state))
    placed = [torch.from_numpy(array) for array in data]

    def call():
        value = fn(torch, state, *placed)
        return value, torch.autograd.grad(value, leaves)

    return call
