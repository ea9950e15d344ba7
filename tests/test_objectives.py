"""Objectives from elsewhere: value and gradient in C, and what a gradient costs in operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmark_objectives
import numpy as np
import optimisation_functions
import pytest
from c_tools import Compiled, build

import graphc
from graphc import loops_count
from graphc.lower import lower
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.transform import grad, value_and_grad
from graphc.types import float64

MOST = 5
"""Operations of a gradient for each of its function's."""
WEIGHTS = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
"""Of the central differences of eighth order."""

random = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    return random.normal(size=shape)


@dataclass(frozen=True)
class Objective:
    fn: Callable[..., Any]
    args: Sequence[Any]
    wrt: tuple[int, ...] = (0,)
    step: float = 2e-3


def _functions() -> dict[str, Objective]:
    """The test functions of optimisation, at points of the sizes they take."""
    pairs = [
        "beale", "himmelblau", "booth", "branin", "goldstein_price", "six_hump_camel",
        "three_hump", "easom", "bukin", "mccormick", "matyas", "eggholder", "holder_table",
        "cross_in_tray", "drop_wave", "schaffer2", "schaffer4", "bohachevsky", "shubert",
        "rosenbrock2",
    ]  # fmt: skip
    sizes = {"powell": 4, "shekel": 4, "colville": 4, "hartmann3": 3, "helical": 3}
    found = {}
    for name, fn in vars(optimisation_functions).items():
        if callable(fn) and fn.__module__ == optimisation_functions.__name__:
            point = normal(2 if name in pairs else sizes.get(name, 8))
            found[name] = Objective(fn, (point,))
    inside = (random.uniform(0.01, 0.05, 8),)
    found["helmholtz"] = Objective(optimisation_functions.helmholtz, inside, step=1e-4)
    found["whitley"] = Objective(optimisation_functions.whitley, (0.3 * normal(8),), step=2e-4)
    return found


def _benchmarks() -> dict[str, Objective]:
    k, d, n = 3, 4, 20
    mixture = (normal(k), normal(k, d), normal(k, d * (d + 1) // 2), normal(n, d))
    camera = (0.3 * normal(11), normal(3) + np.array([0, 0, 9]), 1.3, normal(2))
    far = normal(9, 3) + np.array([0, 0, 9])
    cameras = (0.3 * normal(9, 11), far, normal(9), normal(9, 2))
    share = random.uniform(size=(9, 5))
    share /= share.sum(axis=1, keepdims=True)
    hand = (normal(7, 3), normal(5, 3), share, normal(9, 3), normal(9, 3))
    lstm = (normal(4, 12), normal(3, 3), normal(4, 3), normal(4, 3))
    these = benchmark_objectives
    return {
        "mixture": Objective(these.mixture, mixture, (0, 1, 2)),
        "mixture_by_components": Objective(these.mixture_by_components, mixture, (0, 1, 2)),
        "bundle": Objective(these.bundle, camera, (0, 1, 2)),
        "bundle_of_many": Objective(these.bundle_of_many, cameras, (0, 1, 2)),
        "hand": Objective(these.hand_loss, hand),
        "lstm": Objective(these.lstm_objective, lstm, (0, 1, 2)),
    }


OBJECTIVES = {**_functions(), **_benchmarks()}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compiled]:
    """Every objective with its gradient, in one library."""
    graphs = [
        optimize(trace_function(value_and_grad(o.fn, o.wrt), o.args, name=name).graph)
        for name, o in OBJECTIVES.items()
    ]
    folder: Path = tmp_path_factory.mktemp("objectives")
    return dict(zip(OBJECTIVES, build(graphs, folder, ("-std=c11", "-O0")), strict=True))


def difference(o: Objective, k: int) -> Any:
    """The derivative by argument k, by central differences of NumPy's values."""
    x = np.array(o.args[k], float)
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        for steps, weight in WEIGHTS.items():
            for sign in (1, -1):
                moved = x.copy()
                moved[place] += sign * steps * o.step
                value = o.fn(*o.args[:k], moved, *o.args[k + 1 :])
                found[place] += sign * weight * value / o.step
    return found


@pytest.mark.parametrize("name", OBJECTIVES)
def test_value_and_gradient_are_right(name: str, compiled: dict[str, Compiled]) -> None:
    o = OBJECTIVES[name]
    value, *slopes = compiled[name]([np.asarray(x) for x in o.args])
    np.testing.assert_allclose(value, o.fn(*o.args), rtol=1e-10, atol=1e-10)
    for k, slope in zip(o.wrt, slopes, strict=True):
        want = difference(o, k)
        scale = max(1.0, float(np.max(np.abs(want))))
        np.testing.assert_allclose(slope / scale, want / scale, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_gradient_costs_at_most_five_operations_for_each(name: str) -> None:
    o = OBJECTIVES[name]
    own = loops_count.flops(lower(optimize(trace_function(o.fn, o.args, name="f").graph)))
    slope = trace_function(grad(o.fn, o.wrt), o.args, name="g").graph
    both = loops_count.flops(lower(optimize(slope)))
    assert isinstance(own, int)
    assert isinstance(both, int)
    assert 0 < both <= MOST * own, f"{name}: {both} operations for a gradient, {own} for the value"


# --- the count ------------------------------------------------------------------------------------


def count(fn: Callable[..., Any], *types: Any) -> Any:
    return loops_count.flops(lower(optimize(trace_function(fn, types, name="f").graph)))


def test_what_counts_as_an_operation() -> None:
    n = float64["n"]
    assert count(lambda x, y: x + y, float64, float64) == 1
    assert count(lambda x: np.exp(-x), float64) == 2
    assert count(lambda x: np.where(x > 0, x, 0.0), float64) == 0
    assert count(lambda x: np.where(x > 0, np.sin(x) - 1, x * 2), float64) == 2
    assert count(lambda x: x.astype(np.float32), float64[5]) == 0
    assert count(lambda x: np.sum(x * x), float64[7]) == 14
    assert str(count(lambda x: np.sum(x * x), n)) == "2*n"
    assert count(lambda a, b: a @ b, float64[16, 32], float64[32, 64]) == 2 * 16 * 32 * 64
    assert str(count(lambda a, b: a @ b, float64["n", 32], float64[32, 64])) == str(
        2 * 32 * 64 * float64["n"].shape[0]
    )


def test_loops_count_every_round_and_branches_the_longer() -> None:
    steps = count(lambda x: graphc.fori_loop(0, 10, lambda i, v: v * 1.5 + 2, x), float64)
    assert steps == 20
    branches = count(lambda x: graphc.cond(x > 0, lambda v: v * v + 1, lambda v: v, x), float64)
    assert branches == 2
    rounds = count(lambda x: graphc.while_loop(lambda v: v < 9, lambda v: v * 2, x), float64)
    assert rounds == 1


def test_a_kernel_tells_its_operations() -> None:
    kernel = graphc.compile(lambda x: np.sum(np.sin(x) * 2), float64["n"], name="told")
    assert str(kernel.flops) == "3*n"
    assert graphc.compile(lambda x: x * 3, float64[4], name="told4").flops == 4


# --- unpacked vectors -----------------------------------------------------------------------------


def test_the_gradient_of_an_unpacked_vector_is_stored_piece_by_piece() -> None:
    """Neither sums of padded slices, nor choices by the index in a loop."""

    def booth(p: Any) -> Any:
        x, y = p
        return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2

    kernel = graphc.compile(value_and_grad(booth), float64[2], name="booth")
    assert "d_p[0] = " in kernel.source
    assert "d_p[1] = " in kernel.source
    assert "for (" not in kernel.source


def test_slices_that_do_and_do_not_overlap_add_up() -> None:
    def pick(x: Any) -> Any:
        rows = x[0] * 2 + x[3] * x[1]
        return np.sum(rows) + x[2, 1] * x[2, 3] + np.sum(x[1:3, 1:] ** 2) + np.sum(x[2:, :2] ** 3)

    x = normal(5, 4)
    (slope,) = (graphc.compile(grad(pick), x, name="pick")(x),)
    np.testing.assert_allclose(slope, difference(Objective(pick, (x,)), 0), rtol=1e-8, atol=1e-8)


def test_many_elements_of_one_vector_cost_one_addition_each() -> None:
    def chain(x: Any) -> Any:
        total = 0.0
        for i in range(99):
            total = total + x[i] * x[i + 1]
        return total

    own, slope = count(chain, float64[100]), count(grad(chain), float64[100])
    assert (own, slope) == (2 * 99, 98)
