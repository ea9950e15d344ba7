"""What other projects test of operators and gradients: value and derivatives, in NumPy and in C.

Values agree with NumPy's and SciPy's to 1e-10, gradients with differences of eighth order of those
values to 1e-8, second derivatives with differences of the gradient. Each group is one C library.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special as sp
from c_tools import build

from graphc import reference, trees
from graphc.errors import ShapeError, TraceError
from graphc.graph import Graph
from graphc.passes import optimize
from graphc.trace import Tensor, trace_function
from graphc.transform import grad
from graphc.types import float64

# mypy: disable-error-code="arg-type"

WEIGHTS = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
"""Of the central differences of eighth order."""
VALUE, FIRST, SECOND = 1e-10, 1e-8, 1e-7


@dataclass
class Case:
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    step: float = 1e-3
    weights: list[Any] = field(default_factory=list)
    """A number for each element of each floating-point result: the gradient is of their sum."""

    def scalar(self, *args: Any) -> Any:
        total = 0.0
        for y, w in zip(trees.flatten(self.fn(*args))[0], self.weights, strict=True):
            kind = y.dtype if isinstance(y, Tensor) else np.asarray(y).dtype
            if kind.kind == "f":
                total = total + np.sum(y * w)
        return total

    @property
    def wrt(self) -> tuple[int, ...]:
        return tuple(k for k, x in enumerate(self.args) if np.asarray(x).dtype.kind == "f")


class Sampler:
    """Numbers for the cases of one group, always the same."""

    def __init__(self, name: str) -> None:
        self.random = np.random.default_rng(zlib.crc32(name.encode()))

    def normal(self, *shape: int) -> Any:
        return self.random.normal(size=shape)

    def between(self, low: float, high: float, *shape: int) -> Any:
        return self.random.uniform(low, high, size=shape)

    def regular(self, *shape: int) -> Any:
        """Matrices far from singular."""
        return self.normal(*shape) + 4 * np.eye(shape[-1])


def special(s: Sampler) -> dict[str, Case]:
    """scipy.special's functions, and composites of elementwise ones."""
    unary = {
        "gamma": (sp.gamma, 0.4, 3), "gamma left": (sp.gamma, -0.9, -0.2),
        "rgamma": (sp.rgamma, 0.4, 3), "psi": (sp.psi, 0.4, 3),
        "log_ndtr": (sp.log_ndtr, -3, 2), "log_ndtr far": (sp.log_ndtr, -30, -14),
        "exprel": (sp.exprel, 0.3, 2), "exp10": (sp.exp10, -1, 1), "cosm1": (sp.cosm1, -1, 1),
        "sindg": (sp.sindg, -90, 90), "cosdg": (sp.cosdg, -90, 90), "logit": (sp.logit, 0.1, 0.9),
        "entr": (sp.entr, 0.2, 2), "ndtr": (sp.ndtr, -2, 2), "sinc": (np.sinc, 0.3, 2),
        "angle": (np.angle, 0.3, 2), "degrees": (np.degrees, -3, 3),
    }  # fmt: skip
    binary = {
        "beta": sp.beta, "betaln": sp.betaln, "rel_entr": sp.rel_entr, "kl_div": sp.kl_div,
        "pseudo_huber": sp.pseudo_huber, "boxcox": sp.boxcox, "boxcox1p": sp.boxcox1p,
        "inv_boxcox": sp.inv_boxcox, "inv_boxcox1p": sp.inv_boxcox1p, "xlogy": sp.xlogy,
        "logaddexp2": np.logaddexp2, "float_power": np.float_power,
    }  # fmt: skip
    found = {name: Case(fn, (s.between(a, b, 2, 3),)) for name, (fn, a, b) in unary.items()}
    for name, fn in binary.items():
        found[name] = Case(fn, (s.between(1.1, 3, 2, 1), s.between(1.1, 3, 3)))
    found["huber"] = Case(sp.huber, (s.between(1, 1.2, 3), np.array([0.3, -0.5, 2.0])))
    return found


def linear(s: Sampler) -> dict[str, Case]:
    """Systems of equations, determinants, norms."""
    square, linalg = s.normal(4, 4), np.linalg
    positive = square @ square.T + np.eye(4)
    pair = s.regular(2, 3, 3)
    found = {
        "solve": Case(linalg.solve, (s.regular(4, 4), s.normal(4))),
        "solve of many": Case(linalg.solve, (pair, s.normal(2, 3, 2))),
        "solve of a wrong diagonal": Case(linalg.solve, (np.eye(3)[::-1] + 0.1, s.normal(3, 1))),
        "inv": Case(linalg.inv, (s.regular(4, 4),)),
        "inv of many": Case(linalg.inv, (pair,)),
        "det": Case(linalg.det, (square,)),
        "det of many": Case(linalg.det, (pair,)),
        "slogdet": Case(lambda x: tuple(np.linalg.slogdet(x)), (-square,)),
        "cholesky": Case(np.linalg.cholesky, (positive,)),
        "cholesky of many": Case(linalg.cholesky, (np.stack([positive, 2 * positive]),)),
        "matrix_power": Case(lambda x: linalg.matrix_power(x, -2), (s.regular(3, 3),)),
        "matvec": Case(lambda a, x: np.matvec(a, x), (s.normal(2, 3, 4), s.normal(4))),
        "vecmat": Case(lambda x, a: np.vecmat(x, a), (s.normal(3), s.normal(2, 3, 4))),
    }
    for ord in (None, 1, 2, 3, 0.5, np.inf, -np.inf):
        fn = lambda x, o=ord: linalg.norm(x, o, axis=1)  # noqa: E731 -- one a round
        found[f"norm {ord}"] = Case(fn, (s.normal(3, 4),), 1e-4)
    return found


def sequences(s: Sampler) -> dict[str, Case]:
    """Convolutions, polynomials, ramps, statistics."""
    found = {}
    for mode in ("full", "same", "valid"):
        for n, m in ((5, 3), (6, 4), (2, 4), (2, 5)):
            for fn in (np.convolve, np.correlate):
                call = lambda x, y, f=fn, m=mode: f(x, y, m)  # noqa: E731 -- one a round
                found[f"{fn.__name__} {mode} {n} {m}"] = Case(call, (s.normal(n), s.normal(m)))
    rising = np.array([0.0, 2.0, 5.5, 9.0, 1.0])
    return found | {
        "polyadd": Case(np.polyadd, (s.normal(3), s.normal(4))),
        "polysub": Case(np.polysub, (s.normal(3), s.normal(4))),
        "polymul": Case(np.polymul, (s.normal(3), s.normal(4))),
        "polyder": Case(lambda p: np.polyder(p, 2), (s.normal(5),)),
        "polyint": Case(lambda p: np.polyint(p, 2, [1.0, 2.0]), (s.normal(4),)),
        "linspace": Case(lambda a, b: np.linspace(a, b, 5), (1.2, 3.4)),
        "linspace of rows": Case(
            lambda a, b: np.linspace(a, b, 3, endpoint=False, axis=-1), (s.normal(2), s.normal(2))
        ),
        "linspace of one": Case(lambda a: np.linspace(a, 1.0, 1), (1.2,)),
        "logspace": Case(lambda a, b: np.logspace(a, b, 4), (0.2, 1.3)),
        "geomspace": Case(lambda a, b: np.geomspace(a, b, 4), (0.2, 1.3)),
        "cov": Case(np.cov, (s.normal(3, 6),)),
        "cov of two": Case(lambda x, y: np.cov(x, y, bias=True), (s.normal(6), s.normal(6))),
        "corrcoef": Case(lambda x: np.corrcoef(x, rowvar=False), (s.normal(6, 3),)),
        "unwrap": Case(np.unwrap, (rising,), 1e-4),
        "piecewise": Case(
            lambda x: np.piecewise(x, [x < 0, x > 1], [lambda v: -v, lambda v: v**2, 3.0]),
            (np.array([-0.5, 0.5, 1.5]),),
        ),
        "nanargmax": Case(lambda x: np.nanargmax(x, axis=1), (np.array([[np.nan, 1.0, 3.0]]),)),
        "nanargmin": Case(lambda x: np.nanargmin(x), (np.array([[np.nan, 1.0, 3.0]]),)),
        "isin": Case(lambda x: np.isin(x, [1.0, 3.0], invert=True), (np.array([1.0, 2.0]),)),
        "real_if_close": Case(np.real_if_close, (s.normal(3),)),
    }


def reductions(s: Sampler) -> dict[str, Case]:
    """Sums of some, products with zeros, deviations of constants."""
    mask = np.array([True, False, True, True])
    x, zeros = s.normal(3, 4), np.array([[0.0, 0, 3, 2], [1, 0, 2, 4]])
    return {
        "sum where": Case(lambda x: np.sum(x, axis=1, where=mask), (x,)),
        "prod where": Case(lambda x: np.prod(x, axis=1, where=mask), (x,)),
        "max where": Case(lambda x: np.max(x, where=mask, initial=-9.0), (x,), 1e-4),
        "all where": Case(lambda x: np.all(x > 0, where=mask), (x,)),
        "prod with a zero": Case(np.prod, (np.array([0.0, 2.0, 3.0, -1.5]),)),
        "prod with two": Case(lambda x: np.prod(x, axis=1), (zeros,)),
        "prod with three": Case(np.prod, (np.array([0.0, 0.0, 0.0, 2.0]),)),
        "var ddof": Case(lambda x: np.var(x, axis=(0, 1), ddof=2, keepdims=True), (x,)),
        "std ddof": Case(lambda x: np.std(x, axis=-1, ddof=1), (x,)),
        "nanvar": Case(lambda x: np.nanvar(x, axis=0), (x,)),
        "median": Case(lambda x: np.median(x, axis=0), (x,), 1e-4),
        "percentile": Case(lambda x: np.percentile(x, [10, 90], axis=1), (x,), 1e-4),
        "cumprod with zeros": Case(np.cumprod, (np.array([2.0, 0.0, 3.0, 0.0, 1.0]),)),
        "digitize descending": Case(lambda x: np.digitize(x, np.array([1.0, 0.5, 0.0])), (x,)),
        "xor": Case(lambda x: np.logical_xor(x > 0, x > 1), (x,)),
    }  # fmt: skip


GROUPS = {"special": special, "linear": linear, "sequences": sequences, "reductions": reductions}


def difference(fn: Callable[..., Any], args: tuple[Any, ...], k: int, step: float) -> Any:
    x = np.array(args[k], float)
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        for steps, weight in WEIGHTS.items():
            for sign in (1, -1):
                moved = x.copy()
                moved[place] += sign * steps * step
                found[place] += sign * weight * float(fn(*args[:k], moved, *args[k + 1 :])) / step
    return found


def arrays(args: tuple[Any, ...]) -> list[Any]:
    return [np.asarray(x) for x in args]


def agree(got: Any, want: Any, tolerance: float, about: str) -> None:
    assert np.asarray(got).shape == np.asarray(want).shape, about
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=about)


def graphs_of(case: Case, name: str) -> dict[str, Graph]:
    """The value, its gradient, and the gradient of the gradient along the weights' sign."""
    wrt, made = case.wrt, {"value": trace_function(case.fn, case.args, name=name).graph}
    smooth = any(y.dtype.kind == "f" for y in made["value"].outputs)
    if not wrt or not smooth:
        return made

    def along(*args: Any) -> Any:
        slopes = grad(case.scalar, wrt)(*args)
        return sum(np.sum(np.cos(np.arange(g.size).reshape(g.shape)) * g) for g in slopes)

    made["slope"] = trace_function(grad(case.scalar, wrt), case.args, name=f"{name}_d").graph
    made["along"] = trace_function(along, case.args, name=f"{name}_a").graph
    made["bend"] = trace_function(grad(along, wrt), case.args, name=f"{name}_dd").graph
    return made


@pytest.mark.parametrize("group", GROUPS)
def test_values_and_derivatives(group: str, tmp_path: Path) -> None:
    cases = GROUPS[group](Sampler(group))
    made: dict[str, dict[str, Graph]] = {}
    for i, (name, case) in enumerate(cases.items()):
        values = [np.asarray(y) for y in trees.flatten(case.fn(*case.args))[0]]
        case.weights = [Sampler(f"{name}{k}").normal(*y.shape) for k, y in enumerate(values)]
        made[name] = graphs_of(case, f"f{i}")
    flat = [
        (name, part, optimize(graph))
        for name, parts in made.items()
        for part, graph in parts.items()
        if part != "along"
    ]
    compiled = build([graph for *_, graph in flat], tmp_path, ("-std=c11", "-O0"))
    in_c = {(name, part): fn for (name, part, _), fn in zip(flat, compiled, strict=True)}
    for name, case in cases.items():
        with np.errstate(all="ignore"):
            check(name, case, made[name], in_c)


def check(name: str, case: Case, parts: dict[str, Graph], in_c: dict[tuple[str, str], Any]) -> None:
    given = arrays(case.args)

    def both(part: str) -> list[tuple[str, list[Any]]]:
        found = [("NumPy", reference.run(parts[part], given)), ("C", in_c[name, part](given))]
        return [(f"{part} of {name} in {where}", results) for where, results in found]

    wanted = [np.asarray(y) for y in trees.flatten(case.fn(*case.args))[0]]
    for about, results in both("value"):
        for got, want in zip(results, wanted, strict=True):
            assert np.asarray(got).dtype == want.dtype, about
            agree(got, want, VALUE, about)
    if "slope" not in parts:
        return

    def along(*args: Any) -> Any:
        return reference.run(parts["along"], arrays(args))[0]

    for part, fn, tolerance in (("slope", case.scalar, FIRST), ("bend", along, SECOND)):
        want = [difference(fn, case.args, k, case.step) for k in case.wrt]
        for about, results in both(part):
            for got, slope in zip(results, want, strict=True):
                agree(got, slope, tolerance, about)


def test_systems_that_are_too_large_or_not_square_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"inv needs square matrices, not float64\[3, 4\]"):
        trace_function(np.linalg.inv, (float64[3, 4],))
    with pytest.raises(TraceError, match=r"det of 40 rows is not covered.*at most 32 rows"):
        trace_function(np.linalg.det, (float64[40, 40],))
    with pytest.raises(TraceError, match=r"solve of n rows is not covered"):
        trace_function(np.linalg.solve, (float64["n", "n"], float64["n"]))


def test_a_case_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="slope of cube"):
        agree(np.ones(2), np.ones(2) * 1.001, FIRST, "slope of cube in C")
