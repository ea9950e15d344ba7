"""Exercise 4: a 4-6-6-6-1 network of ReLU neurons with squared error.

The gradient is computed in three ways: by the C that graphc writes, by a backward pass written by
hand, and by finite differences of the loss; the largest differences are printed.

python examples/exercise4_relu.py [folder]
"""

from itertools import pairwise

import numpy as np
from show import folder_from_arguments, show

import graphc

SIZES = (4, 6, 6, 6, 1)
LAYERS = range(1, len(SIZES))


def loss(params, x, t):
    """The mean squared error of the network on n inputs (rows of x)."""
    a = x
    for i in LAYERS:
        z = a @ params[f"W{i}"] + params[f"b{i}"]
        a = np.maximum(0, z) if i < len(LAYERS) else z
    y = a[:, 0]
    error = np.mean((y - t) ** 2)
    return error


def loss_and_gradient(params, x, t):
    """The loss and its gradient with respect to every weight and bias."""
    return graphc.value_and_grad(loss)(params, x, t)


def by_hand(params, x, t):
    """The gradient by backpropagation, written in NumPy as one would in the exercise."""
    a, zs = [x], []
    for i in LAYERS:
        zs.append(a[-1] @ params[f"W{i}"] + params[f"b{i}"])
        a.append(np.maximum(0, zs[-1]))
    gradient = {}
    dz = (2 / len(t)) * (zs[-1][:, 0] - t)[:, np.newaxis]
    for i in reversed(LAYERS):
        gradient[f"W{i}"] = a[i - 1].T @ dz
        gradient[f"b{i}"] = dz.sum(axis=0)
        if i > 1:
            dz = (dz @ params[f"W{i}"].T) * (zs[i - 2] > 0)
    return gradient


def by_differences(params, x, t, step=1e-6):
    """The gradient by central differences."""
    gradient = {}
    for name, array in params.items():
        gradient[name] = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            moved = [{**params, name: array.copy()} for _ in range(2)]
            moved[0][name][place] += step
            moved[1][name][place] -= step
            gradient[name][place] = (loss(moved[0], x, t) - loss(moved[1], x, t)) / (2 * step)
    return gradient


def start(seed=0):
    """Random parameters (He initialisation)."""
    rng = np.random.default_rng(seed)
    params = {}
    for i, (d, h) in enumerate(pairwise(SIZES), 1):
        params[f"W{i}"] = rng.normal(size=(d, h)) * np.sqrt(2 / d)
        params[f"b{i}"] = rng.normal(size=h) * 0.1
    return params


def data(n=50, seed=1):
    """n inputs and targets."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, SIZES[0]))
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2]


def types():
    """The types of the arguments; the number of points n is known when the C runs."""
    params = {name: graphc.float64[array.shape] for name, array in start().items()}
    return params, graphc.float64["n", SIZES[0]], graphc.float64["n"]


def compare():
    """(name, largest difference of the C's gradient from that gradient) for the other two."""
    params, (x, t) = start(), data()
    _, gradient = graphc.compile(loss_and_gradient, *types())(params, x, t)
    found = []
    for name, other in (("by hand", by_hand), ("by finite differences", by_differences)):
        wanted = other(params, x, t)
        found.append((name, max(np.max(np.abs(gradient[k] - wanted[k])) for k in params)))
    return found


def main(folder):
    show(loss, types(), folder, wrt="params", views=("network", "graph"))
    for name, difference in compare():
        print(f"the compiled gradient differs from the one {name} by at most {difference:.1e}")


if __name__ == "__main__":
    main(folder_from_arguments("exercise4_relu"))
