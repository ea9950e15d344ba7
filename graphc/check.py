"""Checks a function by independent roads: its C, NumPy, both derivatives, finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphc import reference, trees
from graphc.api import Graph, compile, trace
from graphc.errors import CheckError, TraceError
from graphc.frozen import dataclass
from graphc.graph import Node
from graphc.samples import random_values
from graphc.trace import Tensor, inline
from graphc.transform import jvp, vjp
from graphc.types import dtype_of, float64

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison: the largest difference, relative to the size of what is compared."""

    what: str
    error: float
    limit: float
    place: str
    """Where the difference is largest: ``d_W[3, 2]``, with both values."""

    @property
    def ok(self) -> bool:
        return self.error <= self.limit

    def __str__(self) -> str:
        verdict = "ok   " if self.ok else "WRONG"
        return f"{verdict} {self.what}: {self.error:.1e} (limit {self.limit:.0e}) at {self.place}"


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found; ``print(report)`` shows a line for each comparison."""

    name: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    """What could not be compared, and why."""

    @property
    def ok(self) -> bool:
        """Whether every comparison is within its limit."""
        return all(finding.ok for finding in self.findings)

    def raise_if_wrong(self) -> None:
        """
        Raises:
            CheckError: with the comparisons that are not within their limits.
        """
        wrong = [str(finding) for finding in self.findings if not finding.ok]
        if wrong:
            raise CheckError(f"{self.name} failed its check: {'; '.join(wrong)}")

    def __str__(self) -> str:
        lines = [*map(str, self.findings), *(f"note: {note}" for note in self.notes)]
        return "\n".join([f"{self.name}:", *(f"  {line}" for line in lines)])


def check(
    fn: Callable[..., Any],
    *examples: Any,
    tolerance: float | None = None,
    seed: int = 0,
    **kwargs: Any,
) -> Report:
    """Compare a function's C with NumPy, and its derivatives with each other.

    Along random directions v and weights w it compares

    - the compiled C of the function, and of its derivatives J v and Jᵀ w, with NumPy;
    - ⟨J v, w⟩ with ⟨v, Jᵀ w⟩: forward mode with reverse mode;
    - J v with central differences of the function, at outputs where two step sizes agree (where
      they do not, the function is not smooth or too steep to tell).

    Where NumPy overflows and the rewritten formula does not, the C is compared with the latter.

    Args:
        fn: as for `trace`.
        examples, kwargs: arrays and numbers to check at, or types: then standard normal values
            (integers 0 to 2, random bools) are drawn, with small run-time dimensions.
        tolerance: largest difference that passes, relative to the largest magnitude of the array;
            None: 4 eps^(2/3) of the narrowest dtype it computes in. Central differences may
            differ by 100 times their own expected error eps^(2/3).
        seed: of the random values.

    Raises:
        GraphcError: the function cannot be traced or compiled, or returns nothing.
    """
    graph = fn if isinstance(fn, Graph) else trace(fn, *examples, **kwargs)
    if not graph.outputs:
        raise TraceError(f"{graph.name} returns nothing, so there is nothing to check")
    rng = np.random.default_rng(seed)
    given = trees.flatten((examples, {key: kwargs[key] for key in sorted(kwargs)}))[0]
    leaves = random_values(given or [x.type for x in graph.inputs], rng)
    with np.errstate(all="ignore"):
        names = list(graph.output_names)
        finding, _ = _c_against_numpy("C against NumPy", graph, leaves, names, tolerance)
        notes: list[str] = []
        for what, derivatives in (("reverse mode", _both_modes), ("forward mode", _forward_mode)):
            try:
                found = tuple(derivatives(graph, leaves, rng, tolerance))
                return Report(graph.name, (finding, *found), tuple(notes))
            except TraceError as error:
                notes.append(f"no {what} was compared: {error}")
        return Report(graph.name, (finding,), tuple(notes))


def _c_against_numpy(
    what: str,
    graph: Graph,
    leaves: Sequence[Array],
    names: Sequence[str],
    tolerance: float | None,
) -> tuple[Finding, list[Array]]:
    """The comparison, and the C's results."""
    result = compile(graph.plain)(*leaves)
    got = [np.asarray(x) for x in (result if len(names) != 1 else [result])]
    want = reference.run(graph, leaves)
    for i, other in enumerate(reference.run(graph.optimized(), leaves)):
        if want[i].dtype.kind == "f":
            want[i] = np.where(np.isfinite(want[i]), want[i], other)
    floats = 4 * _coarsest(graph) ** (2 / 3) if tolerance is None else tolerance
    compared = [
        _difference(what, name, a, b, floats if b.dtype.kind in "fV" else tolerance)
        for name, a, b in zip(names, got, want, strict=True)
    ]
    return max(compared, key=_badness), got


def _badness(finding: Finding) -> float:
    return np.inf if np.isnan(finding.error) else finding.error / finding.limit


def _difference(what: str, name: str, got: Array, want: Array, tolerance: float | None) -> Finding:
    """Where `got` is furthest from `want`; equal infinities and nans are equal."""
    limit = _limit(want, tolerance)
    if got.shape != want.shape or got.dtype != want.dtype:
        place = f"{name}: {got.dtype}{list(got.shape)} is not {want.dtype}{list(want.shape)}"
        return Finding(what, np.inf, limit, place)
    if not want.size:
        return Finding(what, 0.0, limit, f"{name}, which is empty")
    a, b = got.astype(np.float64), want.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.where(same, 0.0, np.abs(a - b)) / _scale(b)
    apart = np.where(np.isnan(apart), np.inf, apart)
    at = np.unravel_index(np.argmax(apart), apart.shape)
    place = f"{_element(name, at)}, {got[at]} for {want[at]}"
    return Finding(what, float(apart[at]), limit, place)


def _limit(array: Array, tolerance: float | None) -> float:
    if tolerance is not None:
        return tolerance
    return 4 * float(_eps(array)) ** (2 / 3)


def _eps(array: Array) -> float:
    dtype = dtype_of(array.dtype)
    return float((dtype if dtype.kind == "f" else float64).limits.eps)


def _coarsest(graph: Graph) -> float:
    """The largest relative spacing of what the graph computes in."""
    found = (float(x.dtype.limits.eps) for x in graph.nodes if x.dtype.kind == "f")
    return max(found, default=_eps(np.zeros(())))


def _scale(*arrays: Array) -> float:
    """The largest finite magnitude, 1 if there is none."""
    finite = [np.abs(x[np.isfinite(x)]) for x in arrays]
    return max((float(x.max()) for x in finite if x.size), default=0.0) or 1.0


def _element(name: str, at: tuple[Any, ...]) -> str:
    return f"{name}[{', '.join(map(str, at))}]" if at else name


def _both_modes(
    graph: Graph, leaves: Sequence[Array], rng: np.random.Generator, tolerance: float | None
) -> Iterator[Finding]:
    """J v and Jᵀ w: their C, each against the other, J v against differences."""
    moving, measured = _floating(graph.inputs), _floating(graph.outputs)
    if not moving or not measured:
        return
    values = reference.run(graph.optimized(), leaves)
    v = [_direction(leaves[i], rng) for i in moving]
    w = [_direction(values[i], rng) for i in measured]
    derived = _derivative_graph(graph, moving, measured)
    names = [f"J v of {graph.output_names[i]}" for i in measured]
    names += [f"d_{graph.inputs[i].name}" for i in moving]
    finding, both = _c_against_numpy(
        "derivatives in C against NumPy", derived, [*leaves, *v, *w], names, tolerance
    )
    yield finding
    pushed, pulled = both[: len(measured)], both[len(measured) :]
    yield _identity(pushed, pulled, v, w, tolerance or 4 * _coarsest(graph) ** (2 / 3))
    moved = dict(zip(moving, v, strict=True))
    yield _differences(graph, leaves, moved, measured, pushed, tolerance)


def _forward_mode(
    graph: Graph, leaves: Sequence[Array], rng: np.random.Generator, tolerance: float | None
) -> Iterator[Finding]:
    """J v alone: its C, and against differences."""
    moving, measured = _floating(graph.inputs), _floating(graph.outputs)
    v = [_direction(leaves[i], rng) for i in moving]
    derived = _derivative_graph(graph, moving, measured, reverse=False)
    names = [f"J v of {graph.output_names[i]}" for i in measured]
    finding, pushed = _c_against_numpy(
        "J v in C against NumPy", derived, [*leaves, *v], names, tolerance
    )
    yield finding
    moved = dict(zip(moving, v, strict=True))
    yield _differences(graph, leaves, moved, measured, pushed, tolerance)


def _floating(nodes: Sequence[Node]) -> list[int]:
    return [i for i, x in enumerate(nodes) if x.dtype.kind == "f"]


def _direction(like: Array, rng: np.random.Generator) -> Array:
    return np.asarray(rng.standard_normal(like.shape), like.dtype)


def _derivative_graph(
    graph: Graph, moving: Sequence[int], measured: Sequence[int], reverse: bool = True
) -> Graph:
    """(inputs, v, w) -> (J v of each measured output, Jᵀ w of each moving input); without w, J v
    alone."""

    def derivatives(leaves: list[Tensor], v: list[Tensor], w: list[Tensor]) -> Any:
        def measure(*moved: Tensor) -> list[Tensor]:
            filled = list(leaves)
            for i, x in zip(moving, moved, strict=True):
                filled[i] = x
            results = inline(graph.plain, filled)
            return [results[i] for i in measured]

        at = [leaves[i] for i in moving]
        _, pushed = jvp(measure, at, v)
        return (pushed, vjp(measure, *at)[1](w)) if reverse else pushed

    types = [x.type for x in graph.inputs]
    return trace(
        derivatives,
        types,
        [types[i] for i in moving],
        [graph.outputs[i].type for i in measured] if reverse else [],
        name=f"{graph.name}_derivatives",
    )


def _identity(
    pushed: Sequence[Array],
    pulled: Sequence[Array],
    v: Sequence[Array],
    w: Sequence[Array],
    limit: float,
) -> Finding:
    """⟨J v, w⟩ against ⟨v, Jᵀ w⟩, relative to the sum of the magnitudes of their terms."""
    left, size_left = _inner(pushed, w)
    right, size_right = _inner(v, pulled)
    apart = abs(left - right) / (max(size_left, size_right) or 1.0)
    place = f"{left:.6g} and {right:.6g}"
    if not np.isfinite(left) or not np.isfinite(right):
        place += ", which are not finite: check where the function is differentiable"
    return Finding("⟨J v, w⟩ against ⟨v, Jᵀ w⟩", apart, limit, place)


def _inner(a: Sequence[Array], b: Sequence[Array]) -> tuple[float, float]:
    """(the inner product, the sum of the magnitudes of its terms) in double precision."""
    terms = [x.astype(np.float64) * y for x, y in zip(a, b, strict=True)]
    return (float(sum(np.sum(t) for t in terms)), float(sum(np.sum(np.abs(t)) for t in terms)))


def _differences(
    graph: Graph,
    leaves: Sequence[Array],
    v: Mapping[int, Array],
    measured: Sequence[int],
    pushed: Sequence[Array],
    tolerance: float | None,
) -> Finding:
    """Central differences along v against J v, where the function looks smooth."""
    stable = graph.optimized()
    eps = _coarsest(graph)
    step = eps ** (1 / 3) * max(1.0, *(_scale(leaves[i]) for i in v))

    def at(t: float) -> list[Array]:
        moved = [x + np.asarray(t, x.dtype) * v[i] if i in v else x for i, x in enumerate(leaves)]
        results = reference.run(stable, moved)
        return [results[i].astype(np.float64) for i in measured]

    here, ahead, behind = at(0.0), at(step), at(-step)
    near = [(a - b) / step for a, b in zip(at(step / 2), at(-step / 2), strict=True)]
    compared = []
    for i, output in enumerate(measured):
        far = (ahead[i] - behind[i]) / (2 * step)
        bend = (ahead[i] - 2 * here[i] + behind[i]) / step
        wanted = pushed[i].astype(np.float64)
        scale = _scale(wanted, here[i])
        limit = tolerance if tolerance is not None else 100 * max(eps, _eps(pushed[i])) ** (2 / 3)
        smooth = (np.abs(far - near[i]) <= limit * scale) & (np.abs(bend) <= 0.01 * scale)
        compared.append(
            _where_smooth(graph.output_names[output], wanted, near[i], smooth, scale, limit)
        )
    return max(compared, key=_badness)


def _where_smooth(
    name: str, wanted: Array, found: Array, smooth: Array, scale: float, limit: float
) -> Finding:
    what = "J v against central differences"
    if not np.any(smooth):
        return Finding(what, 0.0, limit, f"no element of {name}: none is smooth enough to tell")
    apart = np.where(smooth, np.abs(wanted - found), 0.0) / scale
    at = np.unravel_index(np.argmax(apart), apart.shape)
    place = f"{_element(name, at)}, {wanted[at]:.6g} for {found[at]:.6g}"
    kinks = int(np.sum(~smooth))
    place += f"; {kinks} of {smooth.size} elements are not smooth here" if kinks else ""
    return Finding(what, float(apart[at]), limit, place)
