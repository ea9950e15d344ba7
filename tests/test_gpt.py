"""The small GPT: its gradient by three roads, a step of AdamW by hand, and the whole program."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

import graphc
from graphc import trees


@pytest.fixture
def gpt(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "examples"))
    return importlib.import_module("gpt")


@pytest.fixture
def tiny(gpt):
    """Parameters in float64, none of them zero, and a batch of texts."""
    rng = np.random.default_rng(0)
    params = gpt.start(5, context=3, width=4, heads=2, layers=1)
    params = gpt.tree_map(lambda x: x + rng.normal(size=x.shape) / 4, params)
    return params, rng.integers(5, size=(2, 4))


def test_the_gradient_is_that_of_the_reference_and_of_finite_differences(gpt, tiny) -> None:
    derived = graphc.value_and_grad(gpt.loss)
    params, text = tiny
    compiled = graphc.compile(derived, params, text)
    value, gradient = compiled(params, text)
    want, wanted = derived(params, text)
    assert value == pytest.approx(want, rel=1e-12)
    assert value == pytest.approx(gpt.loss(params, text), rel=1e-12)
    small = 1e-6
    leaves = zip(*(trees.flatten(tree)[0] for tree in (params, gradient, wanted)), strict=True)
    for x, found, reference in leaves:
        np.testing.assert_allclose(found, reference, rtol=1e-10, atol=1e-13)
        for i in np.ndindex(x.shape):
            before = x[i]
            x[i] = before + small
            above = gpt.loss(params, text)
            x[i] = before - small
            below = gpt.loss(params, text)
            x[i] = before
            assert found[i] == pytest.approx((above - below) / (2 * small), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("step", [1, 3])
def test_adamw_goes_by_the_sign_of_a_gradient_that_stays(gpt, tiny, step) -> None:
    params, text = tiny
    _, gradient = graphc.value_and_grad(gpt.loss)(params, text)
    mean, square = (
        gpt.tree_map(lambda g, b=beta, k=power: (1 - b ** (step - 1)) * g**k, gradient)
        for beta, power in ((0.9, 1), (0.99, 2))
    )
    _, *found = gpt.train_step(params, mean, square, text, float(step), 0.1)
    leaves = (trees.flatten(tree)[0] for tree in (params, gradient, *found))
    for p, g, after, m, s in zip(*leaves, strict=True):
        wanted = p - 0.1 * (g / (np.abs(g) + 1e-8) + 0.01 * p)
        np.testing.assert_allclose(after, wanted, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(m, (1 - 0.9**step) * g, rtol=1e-12, atol=1e-18)
        np.testing.assert_allclose(s, (1 - 0.99**step) * g**2, rtol=1e-12, atol=1e-30)


def test_no_letter_sees_those_after_it(gpt, tiny) -> None:
    params, text = tiny
    other = text.copy()
    other[:, 2] = (other[:, 2] + 1) % 5
    before, after = (gpt.scores(params, x[:, :3]) for x in (text, other))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert np.abs(before[:, 2] - after[:, 2]).min() > 1e-3


def test_it_learns_and_writes(gpt, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = gpt.main(tmp_path, steps=20, context=8, width=16, heads=2, layers=1)
    assert len(losses) == 20
    assert np.mean(losses[-5:]) < losses[0] - 0.5
    samples = capsys.readouterr().out.split("--- ")[1:]
    assert [sample[:6] for sample in samples] == ["Beauti", "Althou", "Now is"]
    files = {path.name for path in tmp_path.iterdir()}
    assert {"loss.svg", "train_step.c", "next_letter.c"} <= files
