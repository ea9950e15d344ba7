"""The C of the exercise sheet, as files: reviewed once, compiled strictly and run here.

`make golden` rewrites them; the diff is reviewed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from c_tools import COMPILERS, STRICT

import graphc
from graphc import float64

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import exercise1
import exercise2
import exercise3

GOLDEN = Path(__file__).parent / "golden"


def step(W, b, x, t, rate):
    """One step of softmax regression by gradient descent."""

    def loss(W, b):
        z = x @ W + b
        p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
        return -np.mean(np.sum(t * np.log(p), axis=1))

    ell, (d_W, d_b) = graphc.value_and_grad(loss, argnums=(0, 1))(W, b)
    return ell, W - rate * d_W, b - rate * d_b


STEP = (float64[4, 3], float64[3], float64["n", 4], float64["n", 3], float64)

CASES = {
    "exercise1": (graphc.value_and_grad(exercise1.linear), exercise1.LINEAR),
    "exercise1_dataset": (graphc.value_and_grad(exercise1.dataset), exercise1.DATASET),
    "exercise2": (graphc.value_and_grad(exercise2.loss, argnums=(2, 3)), exercise2.LOSS),
    "exercise2_shared": (graphc.value_and_grad(exercise2.shared, argnums=2), exercise2.SHARED),
    "exercise3": (exercise3.backward, exercise3.BACKWARD),
    "softmax_step": (step, STEP),
}


@pytest.mark.parametrize("name", CASES)
def test_c_is_the_golden_one(name, golden):
    fn, types = CASES[name]
    kernel = graphc.compile(fn, *types, name=name)
    golden(f"{name}.c", kernel.source)
    golden(f"{name}.h", kernel.header)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_golden_c_compiles_without_a_warning(name, compiler, tmp_path):
    command = [compiler, *STRICT, "-c", str(GOLDEN / f"{name}.c"), "-o", str(tmp_path / "unit.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CASES)
def test_golden_c_computes_what_numpy_does(name):
    fn, types = CASES[name]
    graph = graphc.trace(fn, *types, name=name)
    rng = np.random.default_rng(0)
    sizes = {"n": 5, "d": 4, "h": 3}
    arrays = [
        rng.uniform(0.5, 1.5, [sizes.get(str(size), size) for size in getattr(x, "shape", ())])
        for x in types
    ]
    mine = graphc.compile(fn, *types, name=name)(*arrays)
    for a, b in zip(_leaves(mine), _leaves(graph(*arrays)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def _leaves(tree):
    return [
        leaf for part in tree for leaf in (_leaves(part) if isinstance(part, tuple) else [part])
    ]
