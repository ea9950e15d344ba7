"""qr, eigh, svd and what follows from them, against NumPy; derivatives by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.transform import grad, vmap

rng = np.random.default_rng(0)
A, TALL = rng.normal(size=(3, 3)), rng.normal(size=(5, 3))
WIDE = np.ascontiguousarray(TALL.T)
S = A + A.T + np.diag([1.0, 5.0, 9.0])
Y, V = rng.normal(size=(2, 5))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_eigenvalues_and_vectors(size: int) -> None:
    x = rng.normal(size=(size, size))
    for uplo in "LU":
        w, v = graphc.compile(lambda x, uplo=uplo: tuple(np.linalg.eigh(x, uplo)), x)(x)
        np.testing.assert_allclose(w, np.linalg.eigh(x, uplo)[0], rtol=0, atol=1e-13)
        whole = np.tril(x) + np.tril(x, -1).T if uplo == "L" else np.triu(x) + np.triu(x, 1).T
        np.testing.assert_allclose(v @ np.diag(w) @ v.T, whole, atol=1e-13)
        np.testing.assert_allclose(v.T @ v, np.eye(size), atol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (4, 4), (5, 3), (3, 6), (2, 4, 3)])
def test_singular_values_and_vectors_and_qr(shape: tuple[int, ...]) -> None:
    x = rng.normal(size=shape)
    u, s, vh = graphc.compile(lambda x: tuple(np.linalg.svd(x, full_matrices=False)), x)(x)
    np.testing.assert_allclose(s, np.linalg.svd(x, compute_uv=False), rtol=1e-13)
    np.testing.assert_allclose(u * s[..., None, :] @ vh, x, atol=1e-14)
    np.testing.assert_allclose(
        np.swapaxes(u, -1, -2) @ u, np.eye(s.shape[-1]) + 0 * s[..., None], atol=1e-14
    )
    for mode in ("reduced", "complete"):
        q, r = graphc.compile(lambda x, mode=mode: tuple(np.linalg.qr(x, mode)), x)(x)
        for found, wanted in zip((q, r), np.linalg.qr(x, mode), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-13)


def of_svd(x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.sum((u * u) @ (s * np.arange(1.0, 4))) + np.sum((vh * vh).T @ np.cos(s))


SCALARS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "eigvalsh": (lambda x: np.sum(np.linalg.eigvalsh(x) ** 3 * np.arange(3.0)), S),
    "eigh": (
        lambda x: np.sum(np.linalg.eigh(x)[1] ** 2 @ np.arange(3.0) * np.cos(np.arange(3))),
        S,
    ),
    "svdvals": (lambda x: np.sum(np.linalg.svdvals(x) ** 3 * np.arange(3.0)), A),
    "svd": (of_svd, A),
    "svd of a tall one": (of_svd, TALL),
    "svd of a wide one": (of_svd, WIDE),
    "qr": (lambda x: np.sum(np.linalg.qr(x)[0] ** 3) + np.sum(np.linalg.qr(x, "r") ** 3), TALL),
    "qr of a wide one": (
        lambda x: np.sum(np.linalg.qr(x)[0] ** 3) + np.sum(np.linalg.qr(x)[1] ** 3),
        WIDE,
    ),
    "pinv": (lambda x: np.sum(np.linalg.pinv(x) ** 2), TALL),
    "lstsq": (lambda x: np.sum(np.linalg.lstsq(x, Y, rcond=None)[0] ** 3), TALL),
    "residuals": (lambda x: np.sum(np.linalg.lstsq(x, Y, rcond=None)[1]), TALL),
    "lstsq of a wide one": (
        lambda x: np.sum(np.linalg.lstsq(x, Y[:3], rcond=None)[0] ** 3),
        WIDE,
    ),
    "cond": (np.linalg.cond, A),
    "cond fro": (lambda x: np.linalg.cond(x, "fro"), A),
    "norm 2": (lambda x: np.linalg.norm(x, 2), A),
    "norm -2": (lambda x: np.linalg.norm(x, -2, axis=(0, 1), keepdims=True)[0, 0], A),
    "nuclear norm": (lambda x: np.linalg.norm(x, "nuc"), TALL),
    "polyfit": (lambda x: np.sum(np.polyfit(x, Y, 2) ** 2), V),
    "tensorsolve": (
        lambda x: np.sum(np.linalg.tensorsolve(x.reshape(3, 1, 3), np.ones((3, 1)))),
        A,
    ),
    "tensorinv": (lambda x: np.sum(np.linalg.tensorinv(x.reshape(1, 3, 3), 2) ** 2), A),
}


LIKE_OTHERS = {"svd", "svd of a wide one", "cond", "norm 2", "norm -2", "nuclear norm"}
"""Whose C is, but for a few lines, that of svdvals or of the svd of a tall one."""


@pytest.mark.parametrize("name", SCALARS)
def test_gradients(name: str) -> None:
    f, x = SCALARS[name]
    h = 1e-5
    both = graphc.value_and_grad(f)
    value, gradient = (both if name in LIKE_OTHERS else graphc.compile(both, x))(x)
    np.testing.assert_allclose(value, f(x), rtol=1e-11)
    direction, other = rng.normal(size=x.shape), rng.normal(size=x.shape)

    def slope(g: Any) -> Any:
        step = h * direction
        return (g(x + step) - g(x - step)) / (2 * h)

    np.testing.assert_allclose(np.sum(gradient * direction), slope(f), rtol=1e-6, atol=1e-7)
    along = lambda x: np.sum(grad(f)(x) * other)  # noqa: E731  # a formula
    np.testing.assert_allclose(
        np.sum(grad(along)(x) * direction), slope(along), rtol=1e-5, atol=1e-6
    )


def test_third_derivatives() -> None:
    f = SCALARS["eigh"][0]
    d, h = S / 7, 1e-3
    second = lambda x: np.sum(grad(lambda x: np.sum(grad(f)(x) * d))(x) * d)  # noqa: E731
    wanted = (second(S + h * d) - second(S - h * d)) / (2 * h)
    np.testing.assert_allclose(np.sum(grad(second)(S) * d), wanted, rtol=1e-4, atol=1e-7)


def test_many_at_once_and_where_values_meet() -> None:
    many = rng.normal(size=(4, 3, 3))
    many = many + np.swapaxes(many, -1, -2)
    np.testing.assert_allclose(
        graphc.compile(np.linalg.eigvalsh, many)(many), np.linalg.eigvalsh(many)
    )
    each = graphc.compile(vmap(grad(lambda x: np.linalg.eigvalsh(x)[0])), many)(many)
    np.testing.assert_allclose(
        each[2], grad(lambda x: np.linalg.eigvalsh(x)[0])(many[2]), atol=1e-13
    )
    np.testing.assert_allclose(grad(lambda x: np.sum(np.linalg.eigvalsh(x)))(np.eye(3)), np.eye(3))
    np.testing.assert_allclose(
        grad(lambda x: np.linalg.norm(x, "nuc"))(np.eye(3)), np.eye(3), atol=1e-15
    )
    assert np.isfinite(grad(lambda x: np.linalg.norm(x, "nuc"))(np.zeros((3, 3)))).all()
    small = TALL.astype(np.float32)
    found = graphc.compile(np.linalg.svdvals, small)(small)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.linalg.svdvals(small), rtol=1e-5)


def test_ranks() -> None:
    low = np.outer(np.arange(1.0, 5), np.arange(3.0))
    assert [int(graphc.compile(np.linalg.matrix_rank, x)(x)) for x in (low, TALL, 0 * low)] == [
        1,
        3,
        0,
    ]
    x, _, rank, s = graphc.compile(lambda x: tuple(np.linalg.lstsq(x, Y, rcond=None)), TALL)(TALL)
    wanted = np.linalg.lstsq(TALL, Y, rcond=None)
    np.testing.assert_allclose(x, wanted[0])
    np.testing.assert_allclose(s, wanted[3])
    assert int(rank) == 3


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: np.linalg.svd(x), r"svd with full_matrices=True at .*: full_matrices=False is"),
        (
            lambda x: np.linalg.eig(x @ x.T),
            r"np.linalg.eig is not covered .*: np.linalg.eigh of symmetric",
        ),
        (lambda x: np.linalg.eigh(x), r"np.linalg.eigh needs square matrices, not float64\[5, 3\]"),
        (lambda x: np.linalg.qr(x[0]), r"np.linalg.qr needs a matrix, not float64\[3\]"),
        (lambda x: np.linalg.qr(x, "raw"), r"np.linalg.qr with mode='raw' at"),
        (lambda x: np.linalg.norm(x, 3), "a norm of order 3 is none of matrices"),
    ],
)
def test_misuse(f: Any, message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        graphc.trace(f, TALL)
