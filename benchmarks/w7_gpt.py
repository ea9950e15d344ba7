"""W7: a training step of a tiny GPT-2 with AdamW: 4 layers, 4 heads, width 128, float32.

Batch 4, context 64, an alphabet of 256, tied embeddings. Judged by how far the losses of four
steps come from the first. The reference's gradient is written by hand in w7_by_hand.py.
"""

from functools import partial

import numpy as np
from ours import compiled
from timing import Case
from w7_by_hand import BETA1, BETA2, DECAY, RATE, by_hand, tree_map

import graphc

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, ALPHABET = 4, 4, 128, 64, 4, 256
STEPS = 4


def norm(x, gain, bias):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(x.dtype) * (x + 0.044715 * x**3)))


def attention(x, p, heads):
    """Causal self-attention of x[n, t, c]."""
    n, t, c = x.shape
    parts = np.split(x @ p["Wqkv"] + p["bqkv"], 3, axis=-1)
    q, k, v = (np.swapaxes(part.reshape(n, t, heads, c // heads), 1, 2) for part in parts)
    match = q @ np.swapaxes(k, -1, -2) / (c // heads) ** 0.5
    i = np.arange(t)
    match = np.where(i[:, np.newaxis] >= i, match, -np.inf)
    weight = np.exp(match - np.max(match, axis=-1, keepdims=True))
    weight = weight / np.sum(weight, axis=-1, keepdims=True)
    y = np.swapaxes(weight @ v, 1, 2).reshape(n, t, c)
    return y @ p["Wo"] + p["bo"]


def loss(params, tokens, targets, heads=HEADS):
    """Textbook NumPy: cross-entropy in nats a token."""
    x = params["token"][tokens] + params["place"]
    for p in params["layers"]:
        x = x + attention(norm(x, p["g1"], p["b1"]), p, heads)
        hidden = gelu(norm(x, p["g2"], p["b2"]) @ p["W1"] + p["c1"])
        x = x + hidden @ p["W2"] + p["c2"]
    z = norm(x, params["g"], params["b"]) @ params["token"].T
    z = z - np.max(z, axis=-1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True))
    return -np.mean(np.take_along_axis(log_p, targets[..., np.newaxis], axis=-1))


def step(params, mean, square, count, tokens, targets):
    """A step of AdamW (Loshchilov and Hutter 2019): (parameters, moments, loss)."""
    value, gradient = graphc.value_and_grad(loss)(params, tokens, targets)
    mean = tree_map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, gradient)
    square = tree_map(lambda s, g: BETA2 * s + (1 - BETA2) * g**2, square, gradient)

    def moved(p, m, s):
        direction = m / (1 - BETA1**count) / (np.sqrt(s / (1 - BETA2**count)) + 1e-8)
        return p - RATE * (direction + DECAY * p)

    return tree_map(moved, params, mean, square), mean, square, value


def start(layers=LAYERS, width=WIDTH, context=CONTEXT, alphabet=ALPHABET):
    """Random parameters."""
    rng = np.random.default_rng(0)
    sizes = {
        "Wqkv": (width, 3 * width),
        "Wo": (width, width),
        "W1": (width, 4 * width),
        "W2": (4 * width, width),
    }

    def random(*shape):
        return (0.05 * rng.standard_normal(shape)).astype(np.float32)

    def layer():
        zeros = {"bqkv": 3 * width, "bo": width, "c1": 4 * width}
        zeros |= dict.fromkeys(("c2", "b1", "b2"), width)
        return {
            **{name: random(*shape) for name, shape in sizes.items()},
            **{name: np.zeros(size, np.float32) for name, size in zeros.items()},
            **{name: np.ones(width, np.float32) for name in ("g1", "g2")},
        }

    return {
        "token": random(alphabet, width),
        "place": random(context, width),
        "layers": [layer() for _ in range(layers)],
        "g": np.ones(width, np.float32),
        "b": np.zeros(width, np.float32),
    }


def flops(layers=LAYERS, width=WIDTH, context=CONTEXT, batch=BATCH, alphabet=ALPHABET):
    """Three products for each of the forward pass; half of attention is masked, yet counted."""
    weights = layers * 12 * width**2 + alphabet * width
    return 6 * batch * context * (weights + layers * 2 * context * width)


def cases(quick):
    return [partial(_case, 1 if quick else LAYERS)]


def _case(layers):
    params = start(layers)
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, ALPHABET, (BATCH, CONTEXT))
    targets = np.roll(tokens, -1, axis=1)
    state = tree_map(lambda a: a.astype(np.float64), params)
    losses = _losses(by_hand(state, tokens, targets, HEADS))
    peers = {
        "graphc": lambda: _graphc(params, tokens, targets),
        "NumPy": lambda: by_hand(params, tokens, targets, HEADS),
        "JAX": lambda: _jax(params, tokens, targets),
        "torch": lambda: _torch(params, tokens, targets, False),
        "torch.compile": lambda: _torch(params, tokens, targets, True),
    }
    return Case(
        "W7 tiny GPT-2 step",
        f"float32, {layers} layer{'s' if layers > 1 else ''}",
        [loss - losses[0] for loss in losses[1:]],
        1e-3,
        {peer: partial(_from_first, make, losses[0]) for peer, make in peers.items()},
        judged=STEPS - 1,
        flops=flops(layers),
    )


def _losses(call):
    return [np.asarray(call(), np.float64) for _ in range(STEPS)]


def _from_first(make, first):
    """The call after its first step, whose loss is compared at once; less the loss then."""
    call = make()
    got = float(call())
    if not abs(got - first) < 1e-4:
        raise ValueError(f"the first loss is {got}, not {first}")
    return lambda: float(call()) - first


def _graphc(params, tokens, targets):
    tree = tree_map(lambda a: graphc.float32[a.shape], params)
    shape = tokens.shape
    types = (tree, tree, tree, graphc.float32, graphc.int64[shape], graphc.int64[shape])
    kernel = compiled(step, *types, donate=("params", "mean", "square"))
    state = [tree_map(np.copy, params), *(tree_map(np.zeros_like, params) for _ in range(2))]
    count = 0

    def call():
        nonlocal state, count
        count += 1
        *state, value = kernel(*state, np.float32(count), tokens, targets)
        return value

    return call


def jax_loss(heads=HEADS):
    """The loss as one writes it with JAX."""
    import jax
    import jax.numpy as jnp

    def norm(x, gain, bias):
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + bias

    def attention(x, p):
        n, t, c = x.shape
        parts = jnp.split(x @ p["Wqkv"] + p["bqkv"], 3, axis=-1)
        q, k, v = (part.reshape(n, t, heads, -1).swapaxes(1, 2) for part in parts)
        match = q @ k.swapaxes(-1, -2) / (c // heads) ** 0.5
        weight = jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((t, t), bool)), match, -jnp.inf))
        return (weight @ v).swapaxes(1, 2).reshape(n, t, c) @ p["Wo"] + p["bo"]

    def loss(params, tokens, targets):
        x = params["token"][tokens] + params["place"]
        for p in params["layers"]:
            x = x + attention(norm(x, p["g1"], p["b1"]), p)
            hidden = jax.nn.gelu(norm(x, p["g2"], p["b2"]) @ p["W1"] + p["c1"], approximate=True)
            x = x + hidden @ p["W2"] + p["c2"]
        z = norm(x, params["g"], params["b"]) @ params["token"].T
        return -jnp.take_along_axis(jax.nn.log_softmax(z), targets[..., None], -1).mean()

    return loss


def _jax(params, tokens, targets):
    import jax
    import jax.numpy as jnp

    tree, loss = jax.tree_util.tree_map, jax_loss()

    def step(params, mean, square, count):
        value, gradient = jax.value_and_grad(loss)(params, tokens, targets)
        mean = tree(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, gradient)
        square = tree(lambda s, g: BETA2 * s + (1 - BETA2) * g * g, square, gradient)
        a, b = 1 - BETA1**count, 1 - BETA2**count

        def moved(p, m, s):
            return p - RATE * ((m / a) / (jnp.sqrt(s / b) + 1e-8) + DECAY * p)

        return tree(moved, params, mean, square), mean, square, value

    step = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [jax.device_put(tree(np.copy, params))]
    state += [jax.device_put(tree(np.zeros_like, params)) for _ in range(2)]
    count = 0

    def call():
        nonlocal state, count
        count += 1
        *state, value = step(*state, np.float32(count))
        return jax.block_until_ready(value)

    return call


def torch_loss(heads=HEADS):
    """The loss as one writes it with PyTorch."""
    import torch

    functional = torch.nn.functional

    def norm(x, gain, bias):
        return functional.layer_norm(x, x.shape[-1:], gain, bias)

    def attention(x, p):
        parts = torch.matmul(x, p["Wqkv"]).add(p["bqkv"]).chunk(3, 2)
        q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in parts)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return y.transpose(1, 2).flatten(2) @ p["Wo"] + p["bo"]

    def loss(params, tokens, targets):
        x = functional.embedding(tokens, params["token"]) + params["place"]
        for p in params["layers"]:
            x = x + attention(norm(x, p["g1"], p["b1"]), p)
            hidden = norm(x, p["g2"], p["b2"]) @ p["W1"] + p["c1"]
            x = x + functional.gelu(hidden, approximate="tanh") @ p["W2"] + p["c2"]
        z = norm(x, params["g"], params["b"]) @ params["token"].T
        return functional.cross_entropy(z.flatten(0, 1), targets.flatten())

    return loss


def _torch(params, tokens, targets, compiled):
    import torch

    state = tree_map(lambda a: torch.from_numpy(a.copy()).requires_grad_(), params)
    leaves = []
    tree_map(leaves.append, state)
    x_tokens, x_targets = torch.from_numpy(tokens), torch.from_numpy(targets)
    optimiser = torch.optim.AdamW(
        leaves, lr=RATE, betas=(BETA1, BETA2), eps=1e-8, weight_decay=DECAY, fused=True
    )
    loss = torch_loss()
    loss = torch.compile(loss, fullgraph=True, dynamic=False) if compiled else loss

    def call():
        value = loss(state, x_tokens, x_targets)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        return value.detach()

    return call
