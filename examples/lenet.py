"""A convolutional network in the manner of LeNet-5 (LeCun et al. 1998) on handwritten digits.

A convolution is an einsum over sliding windows, a pooling is a maximum over them. A step of
training (loss, gradient, update with momentum) is one C function, in which no window is stored.

python examples/lenet.py [folder]
"""

import numpy as np
from exercise4_digits import data, plot
from numpy.lib.stride_tricks import sliding_window_view
from show import folder_from_arguments, relative

import graphc

BATCH, RATE, MOMENTUM = 32, 0.05, 0.9


def convolve(x, kernel, bias):
    """x[n, c, h, w] with kernel[o, c, 3, 3], zeros around the image: as large as x."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, kernel) + bias[:, np.newaxis, np.newaxis]


def pool(x):
    """The largest of every 2 x 2 pixels: half as high and wide."""
    return sliding_window_view(x, (2, 2), axis=(2, 3))[:, :, ::2, ::2].max(axis=(-2, -1))


def scores(params, x):
    """One score per class for each image x[n, 8, 8]."""
    image = x[:, np.newaxis]
    a1 = pool(np.maximum(convolve(image, params["K1"], params["b1"]), 0))
    a2 = pool(np.maximum(convolve(a1, params["K2"], params["b2"]), 0))
    flat = a2.reshape(x.shape[0], -1)
    a3 = np.maximum(flat @ params["W3"] + params["b3"], 0)
    return a3 @ params["W4"] + params["b4"]


def loss(params, x, labels):
    """Softmax cross-entropy, the mean over the batch."""
    z = scores(params, x)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(np.take_along_axis(log_p, labels[:, np.newaxis], axis=1))


def train_step(params, speed, x, labels, rate):
    """The loss, and parameters and their speed after a step of gradient descent with momentum."""
    value, gradient = graphc.value_and_grad(loss)(params, x, labels)
    speed = {name: MOMENTUM * speed[name] - rate * gradient[name] for name in params}
    return value, {name: params[name] + speed[name] for name in params}, speed


def start(seed=0):
    """Random parameters."""
    rng = np.random.default_rng(seed)
    shapes = {"K1": (6, 1, 3, 3), "K2": (16, 6, 3, 3), "W3": (64, 48), "W4": (48, 10)}
    params = {}
    for name, shape in shapes.items():
        inputs = np.prod(shape[1:]) if name.startswith("K") else shape[0]
        outputs = shape[0] if name.startswith("K") else shape[1]
        params[name] = (rng.normal(size=shape) * np.sqrt(2 / inputs)).astype(np.float32)
        params[f"b{name[1]}"] = np.zeros(outputs, np.float32)
    return params


def types():
    """The types of train_step's arguments; the batch size n is known when the C runs."""
    params = {name: graphc.float32[array.shape] for name, array in start().items()}
    return params, params, graphc.float32["n", 8, 8], graphc.int64["n"], graphc.float32


def train(step, epochs, seed=1, done=lambda epoch, loss: None):
    """The parameters after so many epochs, and the loss of every step."""
    images, labels = data()[0]
    images = images.reshape(-1, 8, 8)
    rng, losses, params = np.random.default_rng(seed), [], start()
    speed = {name: np.zeros_like(array) for name, array in params.items()}
    for epoch in range(epochs):
        rate = np.float32(RATE * (1 - epoch / epochs))
        order = rng.permutation(len(images))
        for i in range(0, len(order), BATCH):
            chosen = order[i : i + BATCH]
            value, params, speed = step(params, speed, images[chosen], labels[chosen], rate)
            losses.append(float(value))
        done(epoch, losses[-1])
    return params, losses


def train_with_bar(epochs):
    """`train`, with a progress bar."""
    from rich.progress import Progress

    step = graphc.compile(train_step, *types())
    with Progress() as bar:
        task = bar.add_task("training", total=epochs)

        def done(epoch, value):
            bar.update(task, advance=1, description=f"training, loss {value:.4f}")

        return step, *train(step, epochs, done=done)


def main(folder, epochs=30):
    folder.mkdir(parents=True, exist_ok=True)
    step, params, losses = train_with_bar(epochs)
    images, labels = data()[1]

    def predict(x):
        """The class of each image."""
        return np.argmax(scores(params, x), axis=1)

    compiled = graphc.compile(predict, graphc.float32["n", 8, 8])
    found = compiled(images.reshape(-1, 8, 8))
    accuracy = np.mean(found == labels)
    plot(losses, folder / "loss.svg")
    step.export(folder)
    compiled.export(folder)
    print(f"test accuracy: {accuracy:.1%} of {len(labels)} digits")
    print(
        f"loss curve: {relative(folder / 'loss.svg')}; "
        f"training step: {relative(folder / 'train_step.c')}"
    )
    return accuracy


if __name__ == "__main__":
    main(folder_from_arguments("lenet"))
