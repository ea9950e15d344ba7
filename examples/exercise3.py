"""Exercise 3: a layer of sigmoid neurons, and how a gradient passes back through it.

python examples/exercise3.py [folder]
"""

import numpy as np
from show import folder_from_arguments, show

import graphc


def layer(a, W, b):
    """The activations of the next layer; the sigmoid is written as in the sheet."""
    z = a @ W + b
    a_next = np.exp(z) / (1 + np.exp(z))
    return a_next


def loss(a, W, b, t):
    """A loss on top of the layer: half the squared distance to t."""
    z = a @ W + b
    a_next = np.exp(z) / (1 + np.exp(z))
    ell = 0.5 * np.sum((a_next - t) ** 2)
    return ell


def backward(a, W, b, d_next):
    """For any loss: its gradients by a, W and b, from d_next, its gradient by the activations."""
    _, pull = graphc.vjp(layer, a, W, b)
    d_a, d_W, d_b = pull(d_next)
    return d_a, d_W, d_b


f64 = graphc.float64
LAYER = (f64["d"], f64["d", "h"], f64["h"])
LOSS = (*LAYER, f64["h"])
BACKWARD = (*LAYER, f64["h"])


def main(folder):
    relations = {"wrt": ("z", "a"), "given": "a_next"}
    show(layer, LAYER, folder, explain=relations, views=("network", "graph"))
    show(loss, LOSS, folder, wrt=("a", "W", "b"), views=("graph", "kernels"))
    show(backward, BACKWARD, folder, views=("graph", "kernels"))


if __name__ == "__main__":
    main(folder_from_arguments("exercise3"))
