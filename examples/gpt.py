"""A small GPT (Radford et al. 2018) in plain NumPy learns the Zen of Python, letter by letter.

The network is written as on paper: pre-norm blocks of causal attention and a ReLU network. A step
of training (loss, gradient, AdamW) is one C function; another one gives the next letter.

python examples/gpt.py [folder]
"""

import codecs
import contextlib
import io
import time

import numpy as np
from show import folder_from_arguments, relative

import graphc

CONTEXT, WIDTH, HEADS, LAYERS = 32, 64, 4, 2
BATCH, STEPS, RATE, DECAY = 16, 500, 3e-3, 0.01
BETA1, BETA2 = 0.9, 0.99


def zen():
    """The Zen of Python, by Tim Peters: 856 letters, the same in every Python."""
    with contextlib.redirect_stdout(io.StringIO()):  # the module prints itself
        import this
    return codecs.decode(this.s, "rot13")


def norm(x, gain, bias):
    """Layer norm (Ba et al. 2016) over the last axis."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * gain + bias


def attention(x, Q, K, V, O):  # noqa: E741 -- as in Vaswani et al. 2017
    """Causal self-attention of x[n, t, c]; Q, K, V[h, c, d] and O[h, d, c] hold a head each."""
    q, k, v = (np.einsum("ntc,hcd->nhtd", x, W) for W in (Q, K, V))
    match = np.einsum("nhtd,nhsd->nhts", q, k) / Q.shape[2] ** 0.5
    i = np.arange(x.shape[1])
    match = np.where(i[:, np.newaxis] >= i, match, -np.inf)
    weight = np.exp(match)
    weight = weight / np.sum(weight, axis=-1, keepdims=True)
    return np.einsum("nhts,nhsd,hdc->ntc", weight, v, O)


def block(x, p):
    """A layer: attention, then a network of two layers, each added to what it reads."""
    x = x + attention(norm(x, p["g1"], p["b1"]), p["Q"], p["K"], p["V"], p["O"])
    hidden = np.maximum(norm(x, p["g2"], p["b2"]) @ p["W1"] + p["c1"], 0)
    return x + hidden @ p["W2"] + p["c2"]


def scores(params, letters):
    """One score per letter of the alphabet for what follows each of letters[n, context]."""
    x = params["letter"][letters] + params["place"]
    for p in params["layers"]:
        x = block(x, p)
    return norm(x, params["g"], params["b"]) @ params["letter"].T


def loss(params, text):
    """Cross-entropy in nats a letter; each of text[n, t + 1] is predicted from those before it."""
    z = scores(params, text[:, :-1])
    p = np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)
    return -np.mean(np.log(np.take_along_axis(p, text[:, 1:, np.newaxis], axis=-1)))


def tree_map(fn, tree, *others):
    """fn of every array in trees of the same form."""
    match tree:
        case dict():
            return {name: tree_map(fn, tree[name], *(o[name] for o in others)) for name in tree}
        case list():
            return [tree_map(fn, *items) for items in zip(tree, *others, strict=True)]
    return fn(tree, *others)


def train_step(params, mean, square, text, step, rate):
    """The loss, and the parameters and both moments after a step of AdamW.

    Loshchilov and Hutter 2019; step counts from 1.
    """
    value, gradient = graphc.value_and_grad(loss)(params, text)
    mean = tree_map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, gradient)
    square = tree_map(lambda s, g: BETA2 * s + (1 - BETA2) * g**2, square, gradient)

    def moved(p, m, s):
        direction = m / (1 - BETA1**step) / (np.sqrt(s / (1 - BETA2**step)) + 1e-8)
        return p - rate * (direction + DECAY * p)

    return value, tree_map(moved, params, mean, square), mean, square


def start(alphabet, context=CONTEXT, width=WIDTH, heads=HEADS, layers=LAYERS, seed=0):
    """Random parameters for an alphabet of so many letters."""
    rng = np.random.default_rng(seed)

    def random(*shape, inputs):
        return (rng.normal(size=shape) / np.sqrt(inputs)).astype(np.float32)

    def layer():
        head, hidden = width // heads, 4 * width
        weights = {
            **{name: random(heads, width, head, inputs=width) for name in "QKV"},
            "O": random(heads, head, width, inputs=width * 2 * layers),
            "W1": random(width, hidden, inputs=width / 2),
            "W2": random(hidden, width, inputs=hidden * 2 * layers),
        }
        zeros = {"c1": hidden, "c2": width, "b1": width, "b2": width}
        ones = {"g1": width, "g2": width}
        return (
            weights
            | {name: np.zeros(size, np.float32) for name, size in zeros.items()}
            | {name: np.ones(size, np.float32) for name, size in ones.items()}
        )

    return {
        "letter": random(alphabet, width, inputs=width),
        "place": random(context, width, inputs=width),
        "layers": [layer() for _ in range(layers)],
        "g": np.ones(width, np.float32),
        "b": np.zeros(width, np.float32),
    }


def types(params, batch=BATCH):
    """The types of train_step's arguments for a batch of so many texts."""
    tree = tree_map(lambda array: graphc.float32[array.shape], params)
    context = params["place"].shape[0]
    text = graphc.int64[batch, context + 1]
    return tree, tree, tree, text, graphc.float32, graphc.float32


def train(step, params, numbers, steps, seed=1, done=lambda value: None):
    """The parameters after so many steps, and the loss of each; numbers are the text."""
    rng, losses = np.random.default_rng(seed), []
    mean = square = tree_map(np.zeros_like, params)
    length = params["place"].shape[0] + 1
    windows = np.lib.stride_tricks.sliding_window_view(numbers, length)
    for i in range(steps):
        text = windows[rng.integers(len(windows), size=BATCH)]
        rate = np.float32(RATE * min(1, (i + 1) / 20) * (1 - i / steps))
        value, params, mean, square = step(params, mean, square, text, np.float32(i + 1), rate)
        losses.append(float(value))
        done(losses[-1])
    return params, losses


def train_with_bar(params, numbers, steps):
    """The compiled step, what `train` makes of params, and the seconds that a step took."""
    from rich.progress import Progress

    step = graphc.compile(train_step, *types(params))
    with Progress() as bar:
        task = bar.add_task("training", total=steps)

        def done(value):
            bar.update(task, advance=1, description=f"training, loss {value:.4f}")

        before = time.perf_counter()
        params, losses = train(step, params, numbers, steps, done=done)
        return step, params, losses, (time.perf_counter() - before) / steps


def next_letter(params, text, last):
    """The chance of each letter of the alphabet to follow text[last]; what comes after is unread.

    text is as long as the context, so its end may be anything.
    """
    p = np.exp(scores(params, text[np.newaxis])[0, last])
    return p / np.sum(p)


def predictor(params):
    """`next_letter`, compiled."""
    text = graphc.int64[params["place"].shape[0]]
    return graphc.compile(next_letter, types(params)[0], text, graphc.int64)


def write(predict, params, alphabet, beginning, length, seed=0):
    """The beginning and so many letters, each drawn by its chance."""
    rng, text = np.random.default_rng(seed), [alphabet.index(letter) for letter in beginning]
    context = params["place"].shape[0]
    for _ in range(length):
        seen = text[-context:]
        padded = np.array(seen + [0] * (context - len(seen)))
        chances = predict(params, padded, len(seen) - 1).astype(np.float64)
        text.append(int(rng.choice(len(alphabet), p=chances / chances.sum())))
    return "".join(alphabet[i] for i in text)


def plot(losses, path):
    """The loss of every step as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.semilogy(np.arange(len(losses)) + 1, losses, linewidth=1)
    axes.set(xlabel="step", ylabel="nats a letter", title="Learning the Zen of Python")
    figure.savefig(path)
    plt.close(figure)


def main(folder, steps=STEPS, **size):
    """The loss of every step; size: other sizes of the network, as in `start`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = zen()
    alphabet = "".join(sorted(set(text)))
    numbers = np.array([alphabet.index(letter) for letter in text])
    params = start(len(alphabet), **size)
    step, params, losses, seconds = train_with_bar(params, numbers, steps)
    predict = predictor(params)
    for seed, beginning in enumerate(("Beautiful", "Although", "Now is")):
        print(f"--- {write(predict, params, alphabet, beginning, 160, seed)}")
    plot(losses, folder / "loss.svg")
    step.export(folder)
    predict.export(folder)
    final = np.mean(losses[-20:])
    print(f"loss: {losses[0]:.2f} to {final:.2f} nats a letter; {seconds * 1e3:.0f} ms a step")
    print(
        f"loss curve: {relative(folder / 'loss.svg')}; "
        f"training step: {relative(folder / 'train_step.c')}"
    )
    return losses


if __name__ == "__main__":
    main(folder_from_arguments("gpt"))
