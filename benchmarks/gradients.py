"""What value and gradient of a scalar function cost, beside the value alone; float64.

The reference is NumPy; its gradients are complex steps (Squire and Trapp 1998), so the functions
are written without abs and max.
"""

from functools import cache, partial

import numpy as np
from ours import compiled
from timing import Case

import graphc


def rosenbrock(xp, x):
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def ackley(xp, x):
    root = xp.sqrt(xp.mean(x**2))
    return 20 - 20 * xp.exp(-0.2 * root) + np.e - xp.exp(xp.mean(xp.cos(2 * np.pi * x)))


def beale(xp, x):
    a, b = x[::2], x[1::2]
    return xp.sum((1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2)


def product(xp, x):
    """Speelpenning 1980."""
    return xp.prod(x)


def log_sum_exp(xp, x):
    return xp.log(xp.sum(xp.exp(x)))


def quadratic(xp, x, A):
    return x @ (A @ x)


def logistic(xp, w, X, y):
    """Negative log-likelihood of labels y in -1, 1."""
    return xp.mean(xp.log(1 + xp.exp(-y * (X @ w))))


def mixture(xp, p, x):
    """Negative log-likelihood of 5 Gaussians in the plane, each with a scale an axis."""
    means, scales, weights = p[:10].reshape(5, 2), p[10:20].reshape(5, 2), p[20:]
    away = (x[:, np.newaxis] - means) * xp.exp(scales)
    inner = weights + xp.sum(scales, axis=1) - 0.5 * xp.sum(away**2, axis=2)
    total = xp.log(xp.sum(xp.exp(inner), axis=1)) - xp.log(xp.sum(xp.exp(weights)))
    return -xp.mean(total)


def network(xp, p, x):
    """Mean square of a tanh network 20-20-1."""
    W, v = p[:400].reshape(20, 20), p[400:]
    return xp.mean(xp.tanh(xp.tanh(x @ W) @ v) ** 2)


def _problems():
    """{name: (function, where, data)}."""
    rng = np.random.default_rng(0)
    labels = rng.choice([-1.0, 1.0], 1000)
    near_one = 1 + 0.01 * rng.standard_normal(1000)
    return {
        "Rosenbrock, n=2000": (rosenbrock, rng.standard_normal(2000), ()),
        "Ackley, n=2000": (ackley, rng.standard_normal(2000), ()),
        "Beale, 1000 points": (beale, rng.standard_normal(2000), ()),
        "product, n=1000": (product, near_one, ()),
        "log-sum-exp, n=2000": (log_sum_exp, rng.standard_normal(2000), ()),
        "quadratic form, n=150": (
            quadratic,
            rng.standard_normal(150),
            (rng.standard_normal((150, 150)),),
        ),
        "logistic regression, 1000x50": (
            logistic,
            0.1 * rng.standard_normal(50),
            (rng.standard_normal((1000, 50)), labels),
        ),
        "Gaussian mixture, 500x2, 5": (
            mixture,
            0.3 * rng.standard_normal(25),
            (rng.standard_normal((500, 2)),),
        ),
        "tanh network, 100x20": (
            network,
            rng.standard_normal(420) / 4,
            (rng.standard_normal((100, 20)),),
        ),
    }


def cases(quick):
    names = list(_problems())
    return [
        partial(_case, name, gradient)
        for name in (names[:2] if quick else names)
        for gradient in (False, True)
    ]


def complex_steps(fn, x, data):
    """The gradient, exact to rounding: no difference is taken."""
    found = np.empty(len(x))
    for i in range(len(x)):
        there = x.astype(complex)
        there[i] += 1e-30j
        found[i] = fn(np, there, *data).imag / 1e-30
    return found


def _case(name, gradient):
    fn, x, data = _problems()[name]
    reference = [np.asarray(fn(np, x, *data))]
    if gradient:
        reference.append(complex_steps(fn, x, data))
    peers = {
        "graphc": lambda: partial(_kernel(name, gradient), x, *data),
        "graphc bound": lambda: _kernel(name, gradient).bind(x, *data),
        "JAX": lambda: _jax(fn, gradient, x, data),
    }
    if not gradient:
        peers["NumPy"] = lambda: partial(fn, np, x, *data)
    what = "value and gradient" if gradient else "value"
    return Case("gradients of scalar functions", f"{name}, {what}", reference, 1e-10, peers)


@cache
def _kernel(name, gradient):
    fn, x, data = _problems()[name]

    def value(x, *data):
        return fn(np, x, *data)

    types = [graphc.float64[array.shape] for array in (x, *data)]
    return compiled(graphc.value_and_grad(value) if gradient else value, *types)


def _jax(fn, gradient, x, data):
    import jax
    import jax.numpy as jnp

    value = partial(fn, jnp)
    step = jax.jit(jax.value_and_grad(value) if gradient else value)
    placed = [jax.device_put(array) for array in (x, *data)]
    return lambda: jax.block_until_ready(step(*placed))
