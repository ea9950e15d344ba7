"""Exercise 1: the negative log-likelihood of a Laplace distribution, and a linear layer under it.

python examples/exercise1.py [folder]
"""

import numpy as np
from show import folder_from_arguments, show

import graphc


def nll(mu, t, sigma):
    """-log p(t; mu) of a Laplace distribution, written as in the sheet."""
    p = np.exp(-np.abs(t - mu) / sigma) / (2 * sigma)
    ell = -np.log(p)
    return ell


def linear(w, x, t, sigma):
    """The same for the prediction of one linear layer, mu = w . x."""
    mu = w @ x
    ell = nll(mu, t, sigma)
    return ell


def dataset(w, X, t, sigma):
    """The mean over a dataset of n points (rows of X)."""
    mu = X @ w
    mean = np.mean(nll(mu, t, sigma))
    return mean


SCALAR = graphc.float64
NLL = (SCALAR, SCALAR, SCALAR)
LINEAR = (graphc.float64["d"], graphc.float64["d"], SCALAR, SCALAR)
DATASET = (graphc.float64["d"], graphc.float64["n", "d"], graphc.float64["n"], SCALAR)


def main(folder):
    show(nll, NLL, folder, wrt="mu")
    show(linear, LINEAR, folder, wrt="w")
    show(dataset, DATASET, folder, wrt="w")


if __name__ == "__main__":
    main(folder_from_arguments("exercise1"))
