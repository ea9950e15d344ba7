"""The physics-informed network of examples/poisson.py: its derivatives, and what it learns."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc


@pytest.fixture
def poisson(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
    return importlib.import_module("poisson")


def by_hand(p: Any, x: np.ndarray) -> list[np.ndarray]:
    """u, u', u'', u''' at every x: Taylor coefficients through each layer."""

    def tanh(z: list[np.ndarray]) -> list[np.ndarray]:
        t = np.tanh(z[0])
        s = 1 - t**2
        f1, f2, f3 = s, -2 * t * s, -2 * s**2 + 4 * t**2 * s
        return [
            t,
            f1 * z[1],
            f2 * z[1] ** 2 + f1 * z[2],
            f3 * z[1] ** 3 + 3 * f2 * z[1] * z[2] + f1 * z[3],
        ]

    one, none = np.ones_like(x)[:, None], np.zeros_like(x)[:, None]
    a = tanh([p["w1"] * x[:, None] + p["b1"], p["w1"] * one, p["w1"] * none, p["w1"] * none])
    z = [v @ p["W2"].T for v in a]
    a = tanh([z[0] + p["b2"], *z[1:]])
    n = [v @ p["w3"] for v in a]
    n[0] = n[0] + p["b3"]
    c = [x * (1 - x), 1 - 2 * x, np.full_like(x, -2.0), np.zeros_like(x)]
    return [
        c[0] * n[0],
        c[0] * n[1] + c[1] * n[0],
        c[0] * n[2] + 2 * c[1] * n[1] + c[2] * n[0],
        c[0] * n[3] + 3 * c[1] * n[2] + 3 * c[2] * n[1],
    ]


def test_second_and_third_derivatives(poisson: Any) -> None:
    params, x = poisson.start(), np.linspace(0.05, 0.95, 7)
    value, _, second, third = by_hand(params, x)
    np.testing.assert_allclose(poisson.solution(params, x), value, rtol=1e-11)
    for of_x, wanted in (
        (poisson.second_derivative, second),
        (lambda p, x: graphc.grad(poisson.second_derivative, 1)(p, x), third),
        (lambda p, x: graphc.hessian(poisson.u, 1)(p, x), second),
        (lambda p, x: graphc.grad(graphc.grad(graphc.grad(poisson.u, 1), 1), 1)(p, x), third),
    ):
        mapped = graphc.vmap(of_x, (None, 0))
        np.testing.assert_allclose(mapped(params, x), wanted, rtol=1e-9)
        kernel = graphc.compile(mapped, params, graphc.float64["n"])
        np.testing.assert_allclose(kernel(params, x), wanted, rtol=1e-9)


def test_the_loss_is_differentiated_right(poisson: Any) -> None:
    x = np.linspace(0.1, 0.9, 5)
    graphc.check(poisson.loss, poisson.start(), x).raise_if_wrong()
    second = by_hand(poisson.start(), x)[2]
    wanted = np.mean((second + poisson.source(x)) ** 2) / np.mean(poisson.source(x) ** 2)
    assert poisson.loss(poisson.start(), x) == pytest.approx(wanted, rel=1e-10)


def test_it_solves_the_equation(
    poisson: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert poisson.main(tmp_path) < 1e-2
    assert (tmp_path / "poisson.svg").stat().st_size > 10_000
    assert "largest distance from the solution" in capsys.readouterr().out
