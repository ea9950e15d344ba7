"""The objectives that automatic differentiation is benchmarked with, as people write them in NumPy.

A Gaussian mixture, the reprojection error of bundle adjustment, a hand as a skinned tree of bones,
an LSTM with diagonal weights: Srajer, Kukelova, Fitzgibbon, "A benchmark of selected algorithmic
differentiation tools on some problems in computer vision and machine learning", 2018.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def lse(x: Any, axis: Any = None) -> Any:
    m = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(m, axis=axis) + np.log(np.sum(np.exp(x - m), axis=axis))


def log_wishart_prior(p: Any, gamma: Any, m: Any, q_sums: Any, q_diagonals: Any, icf: Any) -> Any:
    n = p + m + 1
    k = icf.shape[0]
    out = np.sum(
        0.5 * gamma**2 * (np.sum(q_diagonals**2, axis=1) + np.sum(icf[:, p:] ** 2, axis=1))
        - m * q_sums
    )
    C = n * p * (np.log(gamma / np.sqrt(2)))
    return out - k * (
        C
        - (
            0.25 * p * (p - 1) * np.log(np.pi)
            + sum(math.lgamma(0.5 * n + 0.5 * (1 - j)) for j in range(1, p + 1))
        )
    )


def lower_triangle(d: Any, icf: Any) -> Any:
    """The matrix below its diagonal, packed column by column after d diagonal elements."""
    start, columns = d, []
    for i in range(d):
        below = d - 1 - i
        columns.append(np.concatenate([np.zeros(i + 1), icf[start : start + below]]))
        start += below
    return np.stack(columns, axis=1)


def mixture_by_components(
    alphas: Any, means: Any, icf: Any, x: Any, gamma: Any = 1.0, m: Any = 0
) -> Any:
    n, d = x.shape
    k = len(alphas)
    q_diagonals = np.exp(icf[:, :d])
    q_sums = np.sum(icf[:, :d], axis=1)
    terms = []
    for j in range(k):
        L = lower_triangle(d, icf[j])
        xc = x - means[j]
        Lxc = q_diagonals[j] * xc + xc @ L.T
        terms.append(-0.5 * np.sum(Lxc**2, axis=1) + alphas[j] + q_sums[j])
    slse = np.sum(lse(np.stack(terms, axis=1), axis=1))
    return (
        -n * d * 0.5 * np.log(2 * np.pi)
        + slse
        - n * lse(alphas)
        + log_wishart_prior(d, gamma, m, q_sums, q_diagonals, icf)
    )


def mixture(alphas: Any, means: Any, icf: Any, x: Any, gamma: Any = 1.0, m: Any = 0) -> Any:
    n, d = x.shape
    q_diagonals = np.exp(icf[:, :d])
    q_sums = np.sum(icf[:, :d], axis=1)
    places = np.zeros((d, d), int)
    places.T[np.triu_indices(d, 1)] = np.arange(d * (d - 1) // 2)
    L = np.where(np.tri(d, k=-1) > 0, icf[:, d:][:, places], 0.0)
    xc = x[:, None, :] - means[None]
    Lxc = q_diagonals * xc + np.einsum("kij,nkj->nki", L, xc)
    main = -0.5 * np.sum(Lxc**2, axis=2) + alphas + q_sums
    return (
        -n * d * 0.5 * np.log(2 * np.pi)
        + np.sum(lse(main, axis=1))
        - n * lse(alphas)
        + log_wishart_prior(d, gamma, m, q_sums, q_diagonals, icf)
    )


def rodrigues(rot: Any, X: Any) -> Any:
    sq = np.sum(rot**2)
    theta = np.sqrt(sq)
    c, s = np.cos(theta), np.sin(theta)
    w = rot / theta
    return X * c + np.cross(w, X) * s + w * (w @ X) * (1 - c)


def radial(rad: Any, proj: Any) -> Any:
    r = np.sum(proj**2)
    return proj * (1 + rad[0] * r + rad[1] * r * r)


def project(cam: Any, X: Any) -> Any:
    Xc = rodrigues(cam[0:3], X - cam[3:6])
    return radial(cam[9:11], Xc[0:2] / Xc[2]) * cam[6] + cam[7:9]


def reprojection_error(cam: Any, X: Any, w: Any, feat: Any) -> Any:
    return w * (project(cam, X) - feat)


def bundle(cam: Any, X: Any, w: Any, feat: Any) -> Any:
    return np.sum(reprojection_error(cam, X, w, feat) ** 2)


def bundle_of_many(cams: Any, X: Any, w: Any, feat: Any) -> Any:
    """Residuals of many observations, vectorised."""
    rot, C, f, x0, rad = cams[:, :3], cams[:, 3:6], cams[:, 6:7], cams[:, 7:9], cams[:, 9:11]
    P = X - C
    theta = np.sqrt(np.sum(rot**2, axis=1, keepdims=True))
    wv = rot / theta
    c, s = np.cos(theta), np.sin(theta)
    Xc = P * c + np.cross(wv, P) * s + wv * np.sum(wv * P, axis=1, keepdims=True) * (1 - c)
    u = Xc[:, :2] / Xc[:, 2:]
    r = np.sum(u**2, axis=1, keepdims=True)
    u = u * (1 + rad[:, :1] * r + rad[:, 1:] * r * r)
    res = w[:, None] * (u * f + x0 - feat)
    return np.sum(res**2) + np.sum((1 - w**2) ** 2)


def matrix(*rows: Any) -> Any:
    return np.stack([np.stack(row) for row in rows])


def euler(angles: Any) -> Any:
    """The rotation about x, then y, then z."""
    x, y, z = angles
    one, o = np.ones(()), np.zeros(())
    about_x = matrix((one, o, o), (o, np.cos(x), -np.sin(x)), (o, np.sin(x), np.cos(x)))
    about_y = matrix((np.cos(y), o, np.sin(y)), (o, one, o), (-np.sin(y), o, np.cos(y)))
    about_z = matrix((np.cos(z), -np.sin(z), o), (np.sin(z), np.cos(z), o), (o, o, one))
    return about_z @ about_y @ about_x


def hand(theta: Any, base: Any, weights: Any, points: Any, parents: Any = (-1, 0, 1, 0, 3)) -> Any:
    """Points moved with the bones of a tree, each by its weights.

    theta: [2 + bones, 3], the angles of all, the translation of all, the angles of each bone.
    """
    nb = len(parents)
    G = []
    for b in range(nb):
        R = euler(theta[2 + b])
        T = np.concatenate([R, base[b][:, None]], axis=1)
        T = np.concatenate([T, np.array([[0.0, 0, 0, 1]])], axis=0)
        G.append(T if parents[b] < 0 else G[parents[b]] @ T)
    A = np.stack(G)
    hom = np.concatenate([points, np.ones((points.shape[0], 1))], axis=1)
    per = np.einsum("bij,pj->pbi", A, hom)[..., :3]
    pos = np.sum(weights[..., None] * per, axis=1)
    Rg = euler(theta[0])
    return pos @ Rg.T + theta[1]


def hand_loss(theta: Any, base: Any, weights: Any, points: Any, target: Any) -> Any:
    return np.sum((hand(theta, base, weights, points) - target) ** 2)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lstm_model(w: Any, b: Any, h: Any, c: Any, x: Any) -> Any:
    hs = h.shape[0]
    f = sigmoid(x * w[0:hs] + b[0:hs])
    i = sigmoid(h * w[hs : 2 * hs] + b[hs : 2 * hs])
    o = sigmoid(x * w[2 * hs : 3 * hs] + b[2 * hs : 3 * hs])
    ch = np.tanh(h * w[3 * hs :] + b[3 * hs :])
    c = c * f + i * ch
    h = o * np.tanh(c)
    return h, c


def lstm_predict(w: Any, w2: Any, s: Any, x: Any) -> Any:
    x = x * w2[0]
    out = []
    for i in range(0, len(s), 2):
        h, c = lstm_model(w[i], w[i + 1], s[i], s[i + 1], x)
        out += [h, c]
        x = h
    return x * w2[1] + w2[2], np.stack(out)


def lstm_objective(main: Any, extra: Any, state: Any, seq: Any) -> Any:
    total, count = 0.0, 0
    inp = seq[0]
    st = state
    for t in range(len(seq) - 1):
        y, st = lstm_predict(main, extra, st, inp)
        yn = y - np.log(np.sum(np.exp(y)) + 2)
        total = total + np.sum(seq[t + 1] * yn)
        count += len(inp)
        inp = seq[t + 1]
    return -total / count
