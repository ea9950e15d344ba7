"""Networks and a mixture in NumPy (for graphc), JAX and PyTorch: what shapes.py varies.

Each model is a function of (parameters, data) to a scalar; where NumPy and JAX write the same, one
function takes the module as `xp`.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def mlp(xp, params, x, labels):
    """ReLU layers, softmax cross-entropy."""
    a, last = x, len(params["W"]) - 1
    for i, (W, b) in enumerate(zip(params["W"], params["b"], strict=True)):
        z = a @ W + b
        a = z if i == last else xp.maximum(z, 0)
    z = a - xp.max(a, axis=1, keepdims=True)
    log_p = z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))
    return -xp.mean(xp.take_along_axis(log_p, labels[:, np.newaxis], axis=1))


def torch_mlp(torch, params, x, labels):
    a, last = x, len(params["W"]) - 1
    for i, (W, b) in enumerate(zip(params["W"], params["b"], strict=True)):
        z = torch.addmm(b, a, W)
        a = z if i == last else torch.relu(z)
    return torch.nn.functional.cross_entropy(a, labels)


def mlp_data(batch, widths, dtype="float32"):
    """(parameters, data, FLOPs)."""
    rng = np.random.default_rng(0)
    pairs = list(zip(widths, widths[1:], strict=False))  # noqa: RUF007 -- reads as what it is
    params = {
        "W": [(rng.standard_normal(p) / np.sqrt(p[0])).astype(dtype) for p in pairs],
        "b": [np.zeros(p[1], dtype) for p in pairs],
    }
    data = rng.standard_normal((batch, widths[0])).astype(dtype), rng.integers(0, widths[-1], batch)
    inner = [a * b for a, b in pairs]
    return params, data, 2 * batch * (3 * sum(inner) - inner[0])


def cnn(stride, params, x):
    """Two convolutions, each with ReLU: the mean square."""
    for K in params["K"]:
        windows = sliding_window_view(x, K.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
        x = np.maximum(np.einsum("nchwij,ocij->nohw", windows, K), 0)
    return np.mean(x**2)


def jax_cnn(stride, params, x):
    import jax

    for K in params["K"]:
        x = jax.nn.relu(jax.lax.conv_general_dilated(x, K, (stride, stride), "VALID"))
    return (x**2).mean()


def torch_cnn(torch, stride, params, x):
    for K in params["K"]:
        x = torch.relu(torch.nn.functional.conv2d(x, K, stride=stride))
    return (x**2).mean()


def cnn_data(batch, channels, image, size, stride=1, dtype="float32"):
    """channels of the image and of both layers; a filter is size x size."""
    rng = np.random.default_rng(0)
    kernels, flops, side = [], 0, image
    for i in (0, 1):
        shape = channels[i + 1], channels[i], size, size
        kernels.append((rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(dtype))
        side = (side - size) // stride + 1
        flops += 2 * (2 + i) * batch * side**2 * np.prod(shape)
    x = rng.standard_normal((batch, channels[0], image, image)).astype(dtype)
    return {"K": kernels}, (x,), float(flops)


def attention(xp, heads, params, x):
    """Causal self-attention over x[t, c]: the mean square."""
    t, c = x.shape
    q, k, v = (xp.swapaxes((x @ params[name]).reshape(t, heads, -1), 0, 1) for name in "QKV")
    match = q @ xp.swapaxes(k, 1, 2) / (c // heads) ** 0.5
    i = np.arange(t)
    match = xp.where(i[:, np.newaxis] >= i, match, -np.inf)
    weight = xp.exp(match - xp.max(match, axis=-1, keepdims=True))
    weight = weight / xp.sum(weight, axis=-1, keepdims=True)
    return xp.mean((weight @ v) ** 2)


def torch_attention(torch, heads, params, x):
    t = len(x)
    q, k, v = ((x @ params[name]).view(t, heads, -1).transpose(0, 1) for name in "QKV")
    y = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)
    return (y**2).mean()


def attention_data(steps, heads, size, dtype="float32"):
    """size: of each head. The masked half of attention is not counted."""
    rng, width = np.random.default_rng(0), heads * size
    params = {
        name: (rng.standard_normal((width, width)) / np.sqrt(width)).astype(dtype) for name in "QKV"
    }
    x = rng.standard_normal((steps, width)).astype(dtype)
    return params, (x,), 6 * steps**2 * width + 12 * steps * width**2


def mixture(xp, params, x):
    """Negative log-likelihood of a mixture of Gaussians with triangular inverse scales."""
    away = x[:, np.newaxis] - params["means"]
    scaled = xp.exp(params["scales"]) * away + xp.einsum("kij,nkj->nki", params["lower"], away)
    inner = params["weights"] + xp.sum(params["scales"], axis=1) - 0.5 * xp.sum(scaled**2, axis=2)
    top = xp.max(inner, axis=1, keepdims=True)
    total = top[:, 0] + xp.log(xp.sum(xp.exp(inner - top), axis=1))
    return xp.log(xp.sum(xp.exp(params["weights"]))) - xp.mean(total)


def torch_mixture(torch, params, x):
    away = x[:, None] - params["means"]
    scaled = params["scales"].exp() * away + torch.einsum("kij,nkj->nki", params["lower"], away)
    inner = params["weights"] + params["scales"].sum(1) - 0.5 * (scaled**2).sum(2)
    return params["weights"].logsumexp(0) - inner.logsumexp(1).mean()


def mixture_data(points, many, size, dtype="float64"):
    """`many` Gaussians in so many dimensions."""
    rng = np.random.default_rng(0)
    params = {
        "weights": rng.standard_normal(many),
        "means": rng.standard_normal((many, size)),
        "scales": 0.1 * rng.standard_normal((many, size)),
        "lower": np.tril(0.1 * rng.standard_normal((many, size, size)), -1),
    }
    params = {name: array.astype(dtype) for name, array in params.items()}
    x = rng.standard_normal((points, size)).astype(dtype)
    return params, (x,), 6 * points * many * size * (size + 2)
