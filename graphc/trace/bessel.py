"""Bessel functions of whole orders and other functions of scipy.special, on tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc import ops
from graphc.graph import Op, apply
from graphc.ops.bessel import BESSEL_I, BESSEL_IE, BESSEL_J, BESSEL_K, BESSEL_KE, BESSEL_Y
from graphc.ops.elementwise import CAST
from graphc.ops.shape import CONSTANT
from graphc.trace.coverage import COMPOSITES, FUNCTIONS, refuse
from graphc.trace.tensor import Tensor, as_tensor, scalar_constant
from graphc.types import float64

# mypy: disable-error-code="arg-type,return-value,operator,type-var"
# NumPy's functions of tensors give tensors.


def _floating(x: Any) -> Tensor:
    value = as_tensor(x)
    return value if value.node.dtype.kind == "f" else value.astype(float64)


def _fixed(op: Op, order: int) -> Callable[[Tensor], Tensor]:
    return lambda x: Tensor(apply(op, x.node, order=order))


def _of_order(name: str, op: Op, reflected: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The function of (order, argument); of order -n it is reflected^n that of order n."""

    def function(v: Tensor, x: Tensor) -> Tensor:
        node = v.node.operands[0] if v.node.op is CAST else v.node
        known = scalar_constant(Tensor(node))
        if known is None or known != math.floor(known):
            shown = f"the order {known}"
            if known is None:
                shown = "an array of orders" if node.op is CONSTANT else "a traced order"
            refuse(f"scipy.special.{name} with {shown}", "give one whole number")
        order = abs(int(known))
        found = _fixed(op, order)(x)
        return found if known >= 0 or reflected**order == 1 else -found

    return function


def _i0(x: Any) -> Tensor:
    """np.i0."""
    return _fixed(BESSEL_I, 0)(_floating(x))


COMPOSITES.update({
    f"{letter}{order}{tail}": _fixed(op, order)
    for letter, tail, op in (
        ("j", "", BESSEL_J), ("y", "", BESSEL_Y), ("i", "", BESSEL_I), ("i", "e", BESSEL_IE),
        ("k", "", BESSEL_K), ("k", "e", BESSEL_KE),
    )
    for order in (0, 1)
})  # fmt: skip
COMPOSITES.update({
    name: _of_order(name, op, reflected)
    for name, op, reflected in (
        ("jv", BESSEL_J, -1.0), ("yv", BESSEL_Y, -1.0), ("yn", BESSEL_Y, -1.0),
        ("iv", BESSEL_I, 1.0), ("ive", BESSEL_IE, 1.0), ("kv", BESSEL_K, 1.0),
        ("kn", BESSEL_K, 1.0), ("kve", BESSEL_KE, 1.0),
    )
})  # fmt: skip
FUNCTIONS[np.i0] = _i0


# --- by the arithmetic-geometric mean ------------------------------------------------------------

ROUNDS = 14
"""Each doubles the number of right digits."""


def _agm(a: Tensor, b: Tensor) -> Tensor:
    for _ in range(ROUNDS):
        a, b = 0.5 * (a + b), np.sqrt(a) * np.sqrt(b)
    return a


def _mean(a: Tensor, b: Tensor) -> Tensor:
    still = (a == 0) | (b == 0)
    unlike = np.where((a < 0) & (b < 0), -np.ones_like(a), math.nan)
    sign = np.where((a > 0) & (b > 0), 1, unlike)
    found = _agm(np.where(still, 1, np.abs(a)), np.where(still, 1, np.abs(b)))
    return np.where(still, 0, sign * found)


def _ellipkm1(p: Tensor) -> Tensor:
    """The complete elliptic integral of the first kind of 1 - p."""
    inside = np.where(p > 0, p, 1)
    found = (0.5 * math.pi) / _agm(np.ones_like(p), np.sqrt(inside))
    return np.where(p > 0, found, np.where(p == 0, math.inf, np.full_like(p, math.nan)))


def _ellipe(m: Tensor) -> Tensor:
    """The complete elliptic integral of the second kind (Abramowitz and Stegun 17.6)."""
    inside = np.where(m < 1, m, 0)
    a, b = np.ones_like(m), np.sqrt(1 - inside)
    total, weight = 0.5 * inside, 0.5
    for _ in range(ROUNDS):
        weight *= 2
        a, b, c = 0.5 * (a + b), np.sqrt(a) * np.sqrt(b), 0.5 * (a - b)
        total = total + weight * (c * c)
    found = (0.5 * math.pi) / a * (1 - total)
    return np.where(m < 1, found, np.where(m == 1, 1, np.full_like(m, math.nan)))


# --- others ---------------------------------------------------------------------------------------

FAR = 24.0


def _erfcx(x: Tensor) -> Tensor:
    """exp(x^2) erfc(x); far right its asymptotic series."""
    near = np.where(x < FAR, x, FAR)
    far = np.where(x < FAR, FAR, x)
    u = 0.5 / (far * far)
    series = 1 - u * (1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u))))
    right = series / (far * math.sqrt(math.pi))
    return np.where(x < FAR, np.exp(near * near) * Tensor(apply(ops.OPS["erfc"], near.node)), right)


def _tangent(x: Tensor, turned: bool) -> Tensor:
    """The tangent of degrees, or the cotangent, exact at multiples of 90.

    Of angles within 45 degrees of 0 only; steeper ones are what is left to 90, turned over.
    """
    rest = x - 180 * np.rint(x / 180)
    steep = np.abs(rest) > 45
    right = np.where(rest > 0, 90 * np.ones_like(x), -90)
    slope = np.tan(np.where(steep, right - rest, rest) * (math.pi / 180))
    under = ~steep if turned else steep
    pole = under & (slope == 0)
    over = np.where(under & ~pole, slope, 1)
    return np.where(pole, math.inf, np.where(under, 1 / over, slope))


def _powm1(x: Tensor, y: Tensor) -> Tensor:
    """x**y - 1; a negative x to an even power as a positive one."""
    base = np.where(y == 2 * np.floor(y / 2), np.abs(x), x)
    near = (base > 0) & np.isfinite(base)
    found = np.expm1(y * np.log(np.where(near, base, 1)))
    return np.where(near, found, np.power(np.where(near, 1, x), y) - 1)


COMPOSITES.update({
    "agm": _mean, "ellipkm1": _ellipkm1, "ellipk": lambda m: _ellipkm1(1 - m), "ellipe": _ellipe,
    "erfcx": _erfcx, "powm1": _powm1,
    "tandg": lambda x: _tangent(x, False), "cotdg": lambda x: _tangent(x, True),
    "radian": lambda d, m, s: (d + m / 60 + s / 3600) * (math.pi / 180),
})  # fmt: skip
