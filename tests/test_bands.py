"""Constant masks of a triangle are comparisons of their indices, others tables."""

from __future__ import annotations

import numpy as np
import pytest

import graphc
from graphc.lower.bands import band

M, N = 9, 13


@pytest.mark.parametrize("k", range(-M - 1, N + 2))
@pytest.mark.parametrize("below", [True, False])
def test_every_diagonal(k: int, below: bool) -> None:
    mask = np.tri(M, N, k, dtype=bool) == below
    if mask.all() or not mask.any():
        return  # such a constant is one number
    found = band(mask)
    assert found is not None
    i, j = np.indices((M, N))
    np.testing.assert_array_equal(i + found[0] >= j if found[1] else i + found[0] < j, mask)
    assert band(np.broadcast_to(mask, (2, 3, M, N))) == found
    for at in ((0, N - 1), (M - 1, 0), (M // 2, N // 2)):
        other = mask.copy()
        other[at] ^= True
        again = band(other)
        assert again is None or again != found


def test_what_is_no_band() -> None:
    mask = np.tri(M, N, dtype=bool)
    assert band(mask[:3, :3]) is None, "small"
    assert band(mask[0]) is None
    assert band(mask.astype(int)) is None
    assert band(np.stack([mask, np.tri(M, N, 1, dtype=bool)])) is None
    assert band(mask[:, ::-1]) is None
    assert band(np.eye(M, N, dtype=bool)) is None


@pytest.mark.parametrize("k", [-3, 0, 2])
def test_values(k: int) -> None:
    mask = np.tri(M, N, k, dtype=bool)

    def masked(x, y):
        rest = np.where(~mask, y, 1)
        return np.sum(np.where(mask, x, -y) ** 2, axis=-1), np.where(mask.T, rest.T, 0)

    both = graphc.value_and_grad(lambda x, y: np.sum(masked(x, y)[0]), argnums=(0, 1))
    x, y = np.random.default_rng(0).normal(size=(2, M, N))
    kernel = graphc.compile(masked, x, y)
    assert "static const bool" not in kernel.source
    for value, expected in zip(kernel(x, y), masked(x, y), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-14)
    for value, expected in zip(graphc.compile(both, x, y)(x, y)[1], both(x, y)[1], strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_attention_over_many_steps_has_no_table() -> None:
    steps = 200

    def attention(q, k, v):
        i = np.arange(steps)
        match = np.where(i[:, np.newaxis] >= i, q @ k.T, -np.inf)
        weight = np.exp(match - np.max(match, axis=-1, keepdims=True))
        return np.mean((weight / np.sum(weight, axis=-1, keepdims=True) @ v) ** 2)

    both = graphc.value_and_grad(attention, argnums=(0, 1, 2))
    values = np.random.default_rng(0).normal(size=(3, steps, 8))
    kernel = graphc.compile(both, *values)
    assert "static const bool" not in kernel.source
    value, grads = kernel(*values)
    expected, slopes = both(*values)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for got, want in zip(grads, slopes, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
