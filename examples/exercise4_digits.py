"""Exercise 4, on real data: handwritten digits, 64 pixels to 64 sigmoid neurons to 10 classes.

A step of training (loss, gradient, SGD update) is one C function. The trained network is exported
as a C program that classifies the test digits and is compared with Python.

python examples/exercise4_digits.py [folder]
"""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
from show import folder_from_arguments, relative

import graphc

HIDDEN, BATCH, RATE = 64, 32, 1.0


def layer(a, W, b):
    """Sigmoid neurons, as in Exercise 3."""
    z = a @ W + b
    return np.exp(z) / (1 + np.exp(z))


def scores(params, x):
    """One score per class for each row of x."""
    hidden = layer(x, params["W1"], params["b1"])
    return hidden @ params["W2"] + params["b2"]


def loss(params, x, labels):
    """Softmax cross-entropy, the mean over the batch; labels are the classes, 0 to 9."""
    z = scores(params, x)
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    is_label = labels[:, np.newaxis] == np.arange(10)
    return -np.mean(np.sum(np.where(is_label, np.log(p), 0), axis=1))


def train_step(params, x, labels, rate):
    """The loss, and the parameters after one step of gradient descent."""
    value, gradient = graphc.value_and_grad(loss)(params, x, labels)
    stepped = {name: params[name] - rate * gradient[name] for name in params}
    return value, stepped


def start(seed=0):
    """Random parameters."""
    rng = np.random.default_rng(seed)
    params = {
        "W1": rng.normal(size=(64, HIDDEN)) / 8,
        "b1": np.zeros(HIDDEN),
        "W2": rng.normal(size=(HIDDEN, 10)) / np.sqrt(HIDDEN),
        "b2": np.zeros(10),
    }
    return {name: array.astype(np.float32) for name, array in params.items()}


def data(seed=0):
    """((images, labels) to train on, (images, labels) to test on): 80 % and 20 %, shuffled."""
    from sklearn.datasets import load_digits  # here: what only needs the functions starts faster

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    images, labels = (images[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    cut = len(images) * 4 // 5
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


def types():
    """The types of train_step's arguments; the batch size n is known when the C runs."""
    params = {name: graphc.float32[array.shape] for name, array in start().items()}
    return params, graphc.float32["n", 64], graphc.int64["n"], graphc.float32


def train(step, params, images, labels, epochs, seed=1, done=lambda epoch, loss: None):
    """The parameters after so many epochs, and the loss of every step."""
    rng, losses = np.random.default_rng(seed), []
    rate = np.float32(RATE)
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        for i in range(0, len(order), BATCH):
            chosen = order[i : i + BATCH]
            value, params = step(params, images[chosen], labels[chosen], rate)
            losses.append(float(value))
        done(epoch, losses[-1])
    return params, losses


def train_with_bar(epochs):
    """`train` on the digits, with a progress bar."""
    from rich.progress import Progress

    step = graphc.compile(train_step, *types())
    with Progress() as bar:
        task = bar.add_task("training", total=epochs)

        def done(epoch, value):
            bar.update(task, advance=1, description=f"training, loss {value:.4f}")

        return step, *train(step, start(), *data()[0], epochs, done=done)


def predictor(params):
    """The compiled function from images to labels, with these parameters as its constants."""

    def predict(x):
        """The class of each image: a row of 64 pixels, 0 to 1."""
        return np.argmax(scores(params, x), axis=1)

    return graphc.compile(predict, graphc.float32["n", 64])


def plot(losses, path):
    """The loss of every step as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    axes.semilogy(losses, linewidth=0.5, color="0.7", label="one batch")
    steps = min(len(losses), max(1, len(losses) // 50))
    smooth = np.convolve(losses, np.ones(steps) / steps, mode="valid")
    axes.semilogy(np.arange(len(smooth)) + steps // 2, smooth, label=f"mean of {steps}")
    axes.set(xlabel="step", ylabel="cross-entropy", title="Training on the digits")
    axes.legend()
    figure.savefig(path)
    plt.close(figure)


def export(predict, images, folder):
    """A folder with a whole C program: the network, the images and a main that classifies them."""
    files = list(predict.export(folder))
    rows = [
        ", ".join(f"{x:.9g}F" if x % 1 else f"{x:.0f}" for x in row)
        for row in images.reshape(-1, 8)
    ]
    (folder / "digits.h").write_text(
        f"/* {len(images)} images of 8 x 8 pixels, a row of pixels a line */\n"
        f"#define DIGITS {len(images)}\nstatic const float digits[DIGITS * 64] = {{\n    "
        + ",\n    ".join(rows)
        + "\n};\n"
    )
    shutil.copy(Path(__file__).with_name("classify.c"), folder)
    return [*files, folder / "digits.h", folder / "classify.c"]


def run_in_c(folder):
    """The labels that the exported program prints."""
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run(
        [*compiler, "-std=c11", "-O2", "classify.c", "predict.c", "-o", "classify", "-lm"],
        cwd=folder,
        check=True,
    )
    printed = subprocess.run([folder.resolve() / "classify"], check=True, capture_output=True)
    return np.array(printed.stdout.split(), dtype=np.int64)


def main(folder, epochs=60):
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = data()[1]
    step, params, losses = train_with_bar(epochs)
    predict = predictor(params)
    found = predict(images)
    plot(losses, folder / "loss.svg")
    step.export(folder)
    export(predict, images, folder / "classify")
    in_c = run_in_c(folder / "classify")
    print(f"test accuracy: {np.mean(found == labels):.1%} of {len(labels)} digits")
    print(
        f"the C program in {relative(folder / 'classify')} gives the same answer for "
        f"{np.sum(in_c == found)} of {len(found)}"
    )
    print(
        f"loss curve: {relative(folder / 'loss.svg')}; "
        f"training step: {relative(folder / 'train_step.c')}"
    )
    return np.mean(found == labels), bool(np.array_equal(in_c, found))


if __name__ == "__main__":
    main(folder_from_arguments("exercise4_digits"))
