"""The classic test functions of optimisation, as people write them in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_loop(x: Any) -> Any:
    total = 0.0
    for i in range(len(x) - 1):
        total += 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


def rosenbrock2(p: Any) -> Any:
    x, y = p
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def ackley(x: Any, a: Any = 20, b: Any = 0.2, c: Any = 2 * np.pi) -> Any:
    d = len(x)
    return (
        -a * np.exp(-b * np.sqrt(np.sum(x**2) / d))
        - np.exp(np.sum(np.cos(c * x)) / d)
        + a
        + np.exp(1)
    )


def ackley_mean(x: Any) -> Any:
    return (
        -20 * np.exp(-0.2 * np.sqrt(np.mean(x**2)))
        - np.exp(np.mean(np.cos(2 * np.pi * x)))
        + 20
        + np.e
    )


def rastrigin(x: Any) -> Any:
    return 10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * np.pi * x))


def griewank(x: Any) -> Any:
    i = np.arange(1, len(x) + 1)
    return 1 + np.sum(x**2) / 4000 - np.prod(np.cos(x / np.sqrt(i)))


def beale(p: Any) -> Any:
    x, y = p[0], p[1]
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def himmelblau(p: Any) -> Any:
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def booth(p: Any) -> Any:
    x, y = p
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def branin(p: Any) -> Any:
    a, b, c, r, s, t = 1, 5.1 / (4 * np.pi**2), 5 / np.pi, 6, 10, 1 / (8 * np.pi)
    x, y = p
    return a * (y - b * x**2 + c * x - r) ** 2 + s * (1 - t) * np.cos(x) + s


def styblinski_tang(x: Any) -> Any:
    return 0.5 * np.sum(x**4 - 16 * x**2 + 5 * x)


def schwefel(x: Any) -> Any:
    return 418.9829 * len(x) - np.sum(x * np.sin(np.sqrt(np.abs(x))))


def levy(x: Any) -> Any:
    w = 1 + (x - 1) / 4
    t1 = np.sin(np.pi * w[0]) ** 2
    t2 = np.sum((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2))
    t3 = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return t1 + t2 + t3


def michalewicz(x: Any, m: Any = 10) -> Any:
    i = np.arange(1, len(x) + 1)
    return -np.sum(np.sin(x) * np.sin(i * x**2 / np.pi) ** (2 * m))


def powell(x: Any) -> Any:
    return (
        (x[0] + 10 * x[1]) ** 2
        + 5 * (x[2] - x[3]) ** 2
        + (x[1] - 2 * x[2]) ** 4
        + 10 * (x[0] - x[3]) ** 4
    )


def powell_n(x: Any) -> Any:
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    return np.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def goldstein_price(p: Any) -> Any:
    x, y = p
    return (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)) * (
        30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    )


def zakharov(x: Any) -> Any:
    s = np.sum(0.5 * np.arange(1, len(x) + 1) * x)
    return np.sum(x**2) + s**2 + s**4


def six_hump_camel(p: Any) -> Any:
    x, y = p
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2


def three_hump(p: Any) -> Any:
    x, y = p
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


def easom(p: Any) -> Any:
    x, y = p
    return -np.cos(x) * np.cos(y) * np.exp(-((x - np.pi) ** 2 + (y - np.pi) ** 2))


def bukin(p: Any) -> Any:
    x, y = p
    return 100 * np.sqrt(np.abs(y - 0.01 * x**2)) + 0.01 * np.abs(x + 10)


def mccormick(p: Any) -> Any:
    x, y = p
    return np.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1


def dixon_price(x: Any) -> Any:
    i = np.arange(2, len(x) + 1)
    return (x[0] - 1) ** 2 + np.sum(i * (2 * x[1:] ** 2 - x[:-1]) ** 2)


def sphere(x: Any) -> Any:
    return np.sum(x**2)


def sphere_dot(x: Any) -> Any:
    return x @ x


def sum_squares(x: Any) -> Any:
    return np.sum(np.arange(1, len(x) + 1) * x**2)


def sum_powers(x: Any) -> Any:
    return np.sum(np.abs(x) ** np.arange(2, len(x) + 2))


def matyas(p: Any) -> Any:
    x, y = p
    return 0.26 * (x**2 + y**2) - 0.48 * x * y


def eggholder(p: Any) -> Any:
    x, y = p
    return -(y + 47) * np.sin(np.sqrt(np.abs(x / 2 + (y + 47)))) - x * np.sin(
        np.sqrt(np.abs(x - (y + 47)))
    )


def holder_table(p: Any) -> Any:
    x, y = p
    return -np.abs(np.sin(x) * np.cos(y) * np.exp(np.abs(1 - np.sqrt(x**2 + y**2) / np.pi)))


def cross_in_tray(p: Any) -> Any:
    x, y = p
    return (
        -0.0001
        * (np.abs(np.sin(x) * np.sin(y) * np.exp(np.abs(100 - np.sqrt(x**2 + y**2) / np.pi))) + 1)
        ** 0.1
    )


def drop_wave(p: Any) -> Any:
    x, y = p
    r = x**2 + y**2
    return -(1 + np.cos(12 * np.sqrt(r))) / (0.5 * r + 2)


def schaffer2(p: Any) -> Any:
    x, y = p
    return 0.5 + (np.sin(x**2 - y**2) ** 2 - 0.5) / (1 + 0.001 * (x**2 + y**2)) ** 2


def schaffer4(p: Any) -> Any:
    x, y = p
    return 0.5 + (np.cos(np.sin(np.abs(x**2 - y**2))) ** 2 - 0.5) / (1 + 0.001 * (x**2 + y**2)) ** 2


def bohachevsky(p: Any) -> Any:
    x, y = p
    return x**2 + 2 * y**2 - 0.3 * np.cos(3 * np.pi * x) - 0.4 * np.cos(4 * np.pi * y) + 0.7


def shubert(p: Any) -> Any:
    i = np.arange(1, 6)
    return np.sum(i * np.cos((i + 1) * p[0] + i)) * np.sum(i * np.cos((i + 1) * p[1] + i))


def trid(x: Any) -> Any:
    return np.sum((x - 1) ** 2) - np.sum(x[1:] * x[:-1])


def perm(x: Any, beta: Any = 0.5) -> Any:
    d = len(x)
    i = np.arange(1, d + 1)
    total = 0
    for k in range(1, d + 1):
        total = total + np.sum((i**k + beta) * ((x / i) ** k - 1)) ** 2
    return total


def rot_hyper(x: Any) -> Any:
    total = 0
    for i in range(len(x)):
        total = total + np.sum(x[: i + 1] ** 2)
    return total


def rot_hyper_cumsum(x: Any) -> Any:
    return np.sum(np.cumsum(x**2))


def hartmann3(x: Any) -> Any:
    alpha = np.array([1.0, 1.2, 3.0, 3.2])
    A = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35.0]])
    P = 1e-4 * np.array(
        [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
    )
    return -np.sum(alpha * np.exp(-np.sum(A * (x - P) ** 2, axis=1)))


def shekel(x: Any) -> Any:
    C = np.array([[4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7.0]])
    b = 0.1 * np.array([1, 2, 2, 4, 4])
    return -np.sum(1 / (np.sum((x - C) ** 2, axis=1) + b))


def colville(x: Any) -> Any:
    a, b, c, d = x
    return (
        100 * (a**2 - b) ** 2
        + (a - 1) ** 2
        + (c - 1) ** 2
        + 90 * (c**2 - d) ** 2
        + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2)
        + 19.8 * (b - 1) * (d - 1)
    )


def qing(x: Any) -> Any:
    return np.sum((x**2 - np.arange(1, len(x) + 1)) ** 2)


def alpine(x: Any) -> Any:
    return np.sum(np.abs(x * np.sin(x) + 0.1 * x))


def salomon(x: Any) -> Any:
    r = np.sqrt(np.sum(x**2))
    return 1 - np.cos(2 * np.pi * r) + 0.1 * r


def whitley(x: Any) -> Any:
    t = 100 * (x[:, None] ** 2 - x[None, :]) ** 2 + (1 - x[None, :]) ** 2
    return np.sum(t**2 / 4000 - np.cos(t) + 1)


def xin_she_yang(x: Any) -> Any:
    return np.sum(np.abs(x)) * np.exp(-np.sum(np.sin(x**2)))


def csendes(x: Any) -> Any:
    return np.sum(x**6 * (2 + np.sin(1 / x)))


def helical(x: Any) -> Any:
    th = np.arctan2(x[1], x[0]) / (2 * np.pi)
    return 100 * ((x[2] - 10 * th) ** 2 + (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1) ** 2) + x[2] ** 2


def brown(x: Any) -> Any:
    a, b = x[:-1], x[1:]
    return np.sum((a**2) ** (b**2 + 1) + (b**2) ** (a**2 + 1))


def speelpenning(x: Any) -> Any:
    return np.prod(x)


def speelpenning_loop(x: Any) -> Any:
    y = 1.0
    for v in x:
        y = y * v
    return y


def helmholtz(x: Any) -> Any:
    n = len(x)
    A = 1.0 / (1 + np.add.outer(np.arange(n), np.arange(n)))
    b = np.ones(n) / n
    bx = b @ x
    return np.sum(x * np.log(x / (1 - bx))) - x @ A @ x / (np.sqrt(8) * bx) * np.log(
        (1 + (1 + np.sqrt(2)) * bx) / (1 + (1 - np.sqrt(2)) * bx)
    )
