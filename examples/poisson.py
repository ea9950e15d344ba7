"""A network that solves a differential equation: -u'' = f on [0, 1] with u(0) = u(1) = 0.

The network's own second derivative is in the loss, so that its training differentiates it three
times. A step of training (u, u', u'', loss, gradient, Adam) is one C function.

python examples/poisson.py [folder]
"""

import numpy as np
from show import folder_from_arguments, relative

import graphc

HIDDEN, POINTS, STEPS, RATE = 24, 64, 4000, 5e-3


def u(params, x):
    """The trial solution at one x: a tanh network times what vanishes at both ends."""
    a = np.tanh(params["w1"] * x + params["b1"])
    a = np.tanh(params["W2"] @ a + params["b2"])
    return x * (1 - x) * (params["w3"] @ a + params["b3"])


def second_derivative(params, x):
    """d²u/dx² at one x: the derivative along x, twice."""

    def slope(x):
        return graphc.jvp(lambda x: u(params, x), (x,), (1.0,))[1]

    return graphc.jvp(slope, (x,), (1.0,))[1]


def exact(x):
    """The solution that the network does not know."""
    return np.sin(2 * np.pi * x) + 0.3 * np.sin(5 * np.pi * x)


def source(x):
    """f = -u''."""
    low, high = (2 * np.pi) ** 2, 0.3 * (5 * np.pi) ** 2
    return low * np.sin(2 * np.pi * x) + high * np.sin(5 * np.pi * x)


def loss(params, xs):
    """The mean square of -u'' - f over the points, in units of f."""
    bend = graphc.vmap(second_derivative, (None, 0))(params, xs)
    return np.mean((bend + source(xs)) ** 2) / np.mean(source(xs) ** 2)


def train_step(params, mean, square, t, xs):
    """The loss, and the parameters and moments after step t of Adam (Kingma, Ba 2015)."""
    value, gradient = graphc.value_and_grad(loss)(params, xs)
    rate = RATE * 0.5 * (1 + np.cos(np.pi * t / STEPS))
    mean = {k: 0.9 * mean[k] + 0.1 * gradient[k] for k in params}
    square = {k: 0.999 * square[k] + 0.001 * gradient[k] ** 2 for k in params}
    stepped = {}
    for k in params:
        m, v = mean[k] / (1 - 0.9**t), square[k] / (1 - 0.999**t)
        stepped[k] = params[k] - rate * m / (np.sqrt(v) + 1e-8)
    return value, stepped, mean, square


def start(seed=0):
    """Random parameters."""
    rng = np.random.default_rng(seed)
    return {
        "w1": rng.normal(size=HIDDEN) * 6,
        "b1": rng.normal(size=HIDDEN) * 3,
        "W2": rng.normal(size=(HIDDEN, HIDDEN)) / np.sqrt(HIDDEN),
        "b2": np.zeros(HIDDEN),
        "w3": rng.normal(size=HIDDEN) / np.sqrt(HIDDEN),
        "b3": 0.0,
    }


def train(steps=STEPS, seed=0):
    """(trained parameters, the loss of every step)."""
    params = start(seed)
    mean = {k: np.zeros_like(v) for k, v in params.items()}
    square = {k: np.zeros_like(v) for k, v in params.items()}
    xs = (np.arange(POINTS) + 0.5) / POINTS
    step = graphc.compile(train_step, params, mean, square, 1.0, xs)
    losses = []
    for t in range(1, steps + 1):
        value, params, mean, square = step(params, mean, square, float(t), xs)
        losses.append(float(value))
    return params, losses


def error(params, count=501):
    """The largest distance from the solution."""
    x = np.linspace(0, 1, count)
    return float(np.max(np.abs(solution(params, x) - exact(x))))


def solution(params, x):
    """u at every x."""
    return graphc.vmap(u, (None, 0))(params, x)


def plot(params, losses, path):
    """The solution, what is left of the equation, and the loss."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = np.linspace(0, 1, 501)
    bend = graphc.vmap(second_derivative, (None, 0))(params, x)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    left.plot(x, exact(x), color="0.7", linewidth=5, label="solution")
    left.plot(x, solution(params, x), label="network")
    left.set(title="u", xlabel="x")
    left.legend()
    middle.plot(x, source(x), color="0.7", linewidth=5, label="f")
    middle.plot(x, -bend, label="-u'' of the network")
    middle.set(title="the equation", xlabel="x")
    middle.legend()
    right.semilogy(losses)
    right.set(title="loss", xlabel="step")
    figure.savefig(path)
    plt.close(figure)


def main(folder, steps=STEPS):
    folder.mkdir(parents=True, exist_ok=True)
    params, losses = train(steps)
    apart = error(params)
    picture = folder / "poisson.svg"
    plot(params, losses, picture)
    print(f"loss {losses[0]:.2g} -> {losses[-1]:.2g} in {len(losses)} steps")
    print(f"largest distance from the solution: {apart:.1e}; picture: {relative(picture)}")
    return apart


if __name__ == "__main__":
    main(folder_from_arguments("poisson"))
