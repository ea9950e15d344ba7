"""The step of w7_gpt.py as one writes it with NumPy, every derivative by hand."""

import numpy as np

RATE, BETA1, BETA2, DECAY = 1e-3, 0.9, 0.999, 0.01
ROOT = float(np.sqrt(2 / np.pi))


def tree_map(fn, tree, *others):
    """fn of every array in trees of the same form."""
    match tree:
        case dict():
            return {name: tree_map(fn, tree[name], *(o[name] for o in others)) for name in tree}
        case list():
            return [tree_map(fn, *items) for items in zip(tree, *others, strict=True)]
    return fn(tree, *others)


def by_hand(params, tokens, targets, heads):
    """A call that does a step of AdamW and returns the loss before it."""
    state = [params, *(tree_map(np.zeros_like, params) for _ in range(2))]
    count = 0

    def call():
        nonlocal state, count
        count += 1
        value, gradient = loss_and_gradient(state[0], tokens, targets, heads)
        mean = tree_map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state[1], gradient)
        square = tree_map(lambda s, g: BETA2 * s + (1 - BETA2) * g**2, state[2], gradient)
        a, b = 1 - BETA1**count, 1 - BETA2**count

        def moved(p, m, s):
            return p - RATE * (m / a / (np.sqrt(s / b) + 1e-8) + DECAY * p)

        state = [tree_map(moved, state[0], mean, square), mean, square]
        return value

    return call


def loss_and_gradient(params, tokens, targets, heads):
    x = params["token"][tokens] + params["place"]
    tapes = []
    for p in params["layers"]:
        x, tape = layer(x, p, heads)
        tapes.append(tape)
    last, tape = norm(x, params["g"], params["b"])
    z = last @ params["token"].T
    z -= z.max(axis=-1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=-1, keepdims=True)
    of_target = np.take_along_axis(z, targets[..., np.newaxis], -1)
    value = (np.log(total) - of_target).mean()
    d_z = e / total
    at = (*np.indices(targets.shape), targets)
    d_z[at] -= 1
    d_z /= targets.size
    d_token = flat(d_z).T @ flat(last)
    d_x, d_g, d_b = norm_back(d_z @ params["token"], tape)
    d_layers = []
    for p, tape in zip(reversed(params["layers"]), reversed(tapes), strict=True):
        d_x, d_p = layer_back(d_x, p, tape, heads)
        d_layers.insert(0, d_p)
    np.add.at(d_token, tokens, d_x)
    d_place = d_x.sum(axis=0)
    return value, {"token": d_token, "place": d_place, "layers": d_layers, "g": d_g, "b": d_b}


def flat(x):
    """A matrix of all rows."""
    return x.reshape(-1, x.shape[-1])


def norm(x, gain, bias):
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    unit = centred * scale
    return unit * gain + bias, (unit, scale, gain)


def norm_back(d, tape):
    unit, scale, gain = tape
    d_unit = d * gain
    d_x = d_unit - d_unit.mean(axis=-1, keepdims=True)
    d_x -= unit * (d_unit * unit).mean(axis=-1, keepdims=True)
    return d_x * scale, flat(d * unit).sum(axis=0), flat(d).sum(axis=0)


def split(x, heads):
    """[n, t, c] as [n, heads, t, c / heads]."""
    n, t, c = x.shape
    return x.reshape(n, t, heads, c // heads).swapaxes(1, 2)


def join(x):
    n, heads, t, d = x.shape
    return x.swapaxes(1, 2).reshape(n, t, heads * d)


def layer(x, p, heads):
    h1, tape1 = norm(x, p["g1"], p["b1"])
    q, k, v = (split(part, heads) for part in np.split(h1 @ p["Wqkv"] + p["bqkv"], 3, axis=-1))
    match = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    t = x.shape[1]
    match[..., np.triu(np.ones((t, t), bool), 1)] = -np.inf
    weight = np.exp(match - match.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    y = join(weight @ v)
    x = x + y @ p["Wo"] + p["bo"]
    h2, tape2 = norm(x, p["g2"], p["b2"])
    u = h2 @ p["W1"] + p["c1"]
    bent = np.tanh(ROOT * (u + 0.044715 * u**3))
    hidden = 0.5 * u * (1 + bent)
    tape = h1, tape1, q, k, v, weight, y, h2, tape2, u, bent, hidden
    return x + hidden @ p["W2"] + p["c2"], tape


def layer_back(d_x, p, tape, heads):
    """The gradient of the layer's input, and of its parameters."""
    h1, tape1, q, k, v, weight, y, h2, tape2, u, bent, hidden = tape
    d_p = {"W2": flat(hidden).T @ flat(d_x), "c2": flat(d_x).sum(axis=0)}
    slope = 0.5 * (1 + bent) + 0.5 * u * (1 - bent**2) * ROOT * (1 + 3 * 0.044715 * u**2)
    d_u = d_x @ p["W2"].T * slope
    d_p |= {"W1": flat(h2).T @ flat(d_u), "c1": flat(d_u).sum(axis=0)}
    d_h2, d_p["g2"], d_p["b2"] = norm_back(d_u @ p["W1"].T, tape2)
    d_x = d_x + d_h2
    d_p |= {"Wo": flat(y).T @ flat(d_x), "bo": flat(d_x).sum(axis=0)}
    d_y = split(d_x @ p["Wo"].T, heads)
    d_weight = d_y @ v.swapaxes(-1, -2)
    d_match = weight * (d_weight - (d_weight * weight).sum(axis=-1, keepdims=True))
    d_match /= q.shape[-1] ** 0.5
    parts = d_match @ k, d_match.swapaxes(-1, -2) @ q, weight.swapaxes(-1, -2) @ d_y
    d_qkv = np.concatenate([join(part) for part in parts], axis=-1)
    d_p |= {"Wqkv": flat(h1).T @ flat(d_qkv), "bqkv": flat(d_qkv).sum(axis=0)}
    d_h1, d_p["g1"], d_p["b1"] = norm_back(d_qkv @ p["Wqkv"].T, tape1)
    return d_x + d_h1, d_p
