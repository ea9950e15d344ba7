"""Exercise 2: a network with two weights, and the same with one shared parameter.

python examples/exercise2.py [folder]
"""

import numpy as np
from show import folder_from_arguments, show

import graphc


def prediction(x1, x2, w13, w24):
    """The prediction y."""
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    return y


def loss(x1, x2, w13, w24, t):
    """The squared error of the prediction."""
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    ell = 0.5 * (y - t) ** 2
    return ell


def shared(x1, x2, v, t):
    """The same when both weights are functions of one parameter v."""
    w13 = np.log(1 + np.exp(v))
    w24 = -np.log(1 + np.exp(-v))
    ell = loss(x1, x2, w13, w24, t)
    return ell


SCALAR = graphc.float64
PREDICTION = (SCALAR,) * 4
LOSS = (SCALAR,) * 5
SHARED = (SCALAR,) * 4


def main(folder):
    show(prediction, PREDICTION, folder, views=("network", "graph"))
    show(loss, LOSS, folder, wrt=("w13", "w24"), views=("network", "graph", "kernels"))
    show(shared, SHARED, folder, wrt="v", explain={"wrt": "v", "given": ("w13", "w24")})


if __name__ == "__main__":
    main(folder_from_arguments("exercise2"))
