"""What the tests of the op table know of each row: example operands, parameters, an oracle."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.special

from graphc.graph import Constant, Elementwise, Op
from graphc.types import bool_, float32, float64, int32, int64


@dataclass(frozen=True)
class Example:
    """Shapes of the operands, parameters, and what the row means, written apart from it."""

    shapes: tuple[tuple[int, ...], ...]
    oracle: Callable[..., Any]
    params: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ()
    """The dtype of each operand where they differ; else every dtype the row takes."""


def _strided(kind: str) -> Iterator[Example]:
    cases = [
        ((5,), (0,), (2,), (3,)),
        ((5,), (4,), (-1,), (5,)),
        ((4, 6), (1, 5), (1, -2), (3, 3)),
        ((3, 4), (0, 0), (1, 1), (0, 4)),
        ((2, 3, 4), (1, 0, 3), (-1, 2, -1), (2, 2, 4)),
        ((), (), (), ()),
    ]
    for wide, start, step, narrow in cases:
        spots = tuple(
            slice(a, e if e >= 0 else None, s)
            for a, s, e in zip(
                start,
                step,
                (a + s * n for a, s, n in zip(start, step, narrow, strict=True)),
                strict=True,
            )
        )

        def put(x: Any, wide: Any = wide, spots: Any = spots) -> Any:
            result = np.zeros(wide, x.dtype)
            result[spots] = x
            return result

        params = {"start": start, "step": step}
        if kind == "slice":
            yield Example((wide,), lambda x, spots=spots: x[spots], {**params, "shape": narrow})
        else:
            yield Example((narrow,), put, {**params, "shape": wide})


def _reductions(fn: Callable[..., Any]) -> list[Example]:
    cases = [
        ((4,), (0,)),
        ((3, 4), (0,)),
        ((3, 4), (1,)),
        ((2, 3, 4), (0, 2)),
        ((3, 4), (0, 1)),
        ((2, 1), (1,)),
        ((2, 3, 2, 2), (1, 3)),
        ((0, 3), (1,)),
    ]
    return [
        Example((shape,), lambda x, axes=axes: fn(x, axis=axes), {"axes": axes})
        for shape, axes in cases
    ]


def _einsum(text: str, *shapes: tuple[int, ...]) -> Example:
    left, right = text.split("->")
    inputs = tuple(tuple(map(ord, term)) for term in left.split(","))

    def oracle(*arrays: Any) -> Any:
        """The definition: a loop over every value of every label."""
        sizes = {
            label: size
            for term, x in zip(left.split(","), arrays, strict=True)
            for label, size in zip(term, x.shape, strict=True)
        }
        result = np.zeros([sizes[label] for label in right], arrays[0].dtype)
        for values in itertools.product(*map(range, sizes.values())):
            at = dict(zip(sizes, values, strict=True))
            term = np.prod(
                [
                    x[tuple(at[i] for i in labels)]
                    for labels, x in zip(left.split(","), arrays, strict=True)
                ]
            )
            result[tuple(at[i] for i in right)] += term
        return result

    return Example(shapes, oracle, {"inputs": inputs, "output": tuple(map(ord, right))})


def _gathers() -> Iterator[Example]:
    """Element by element; indices sampled are 1 .. 4."""
    cases = [
        (((6,), (3,)), (0,)),
        (((6,), ()), (0,)),
        (((2, 5), (3,)), (1,)),
        (((5, 2), (3, 2)), (0,)),
        (((5, 2, 6), (4,), (3, 1)), (0, 2)),
        (((5, 5), (2, 1), (3,)), (0, 1)),
        (((5, 3), (0,)), (0,)),
    ]
    for shapes, axes in cases:

        def oracle(x: Any, *ids: Any, axes: Any = axes) -> Any:
            ids = np.broadcast_arrays(*ids)
            rest = [size for a, size in enumerate(x.shape) if a not in axes]
            result = np.zeros((*ids[0].shape, *rest), x.dtype)
            for at in np.ndindex(*ids[0].shape):
                key = [slice(None)] * x.ndim
                for axis, i in zip(axes, ids, strict=True):
                    key[axis] = i[at]
                result[at] = x[tuple(key)]
            return result

        yield Example(shapes, oracle, {"axes": axes}, ("", *("int64",) * len(axes)))


UPDATES: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda old, new: new, "add": np.add, "multiply": np.multiply,
    "maximum": np.maximum, "minimum": np.minimum,
}  # fmt: skip


def _scatters() -> Iterator[Example]:
    """Update by update, so that places named twice count twice."""
    cases = [
        (((6,), (4,), (4,)), (0,)),
        (((6,), (), ()), (0,)),
        (((2, 5), (7, 2), (7,)), (1,)),
        (((5, 2, 6), (3, 2, 2), (2,), (3, 1)), (0, 2)),
        (((5,), (0,), (0,)), (0,)),
    ]
    for (shapes, axes), combine in itertools.product(cases, UPDATES):

        def oracle(x: Any, u: Any, *ids: Any, axes: Any = axes, join: Any = combine) -> Any:
            ids = np.broadcast_arrays(*ids)
            result = x.copy()
            for at in np.ndindex(*ids[0].shape):
                key = [slice(None)] * x.ndim
                for axis, i in zip(axes, ids, strict=True):
                    key[axis] = i[at]
                result[tuple(key)] = UPDATES[join](result[tuple(key)], u[at])
            return result

        params = {"axes": axes, "combine": combine, "unique": 0}
        yield Example(shapes, oracle, params, ("", "", *("int64",) * len(axes)))


def _running() -> Iterator[Example]:
    cases = [((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 2), 1), ((0,), 0), ((2, 0), 1), ((1,), 0)]
    for (shape, axis), combine, back in itertools.product(
        cases, ("add", "maximum", "minimum"), (0, 1)
    ):

        def oracle(x: Any, axis: Any = axis, join: Any = UPDATES[combine], back: Any = back) -> Any:
            result = np.moveaxis(x.copy(), axis, 0)
            places = range(len(result))
            for i in list(reversed(places))[1:] if back else places[1:]:
                result[i] = join(result[i], result[i + 1 if back else i - 1])
            return np.moveaxis(result, 0, axis)

        yield Example((shape,), oracle, {"axes": (axis,), "combine": combine, "reverse": back})


def _ranked(x: Any, axis: int) -> Any:
    """The order by insertion, one row at a time."""

    def order(row: Any) -> Any:
        found: list[int] = []
        for i, value in enumerate(row):
            spot = sum(1 for j in found if row[j] <= value)
            found.insert(spot, i)
        return np.array(found, np.int64)

    if not x.size:
        return np.zeros(x.shape, np.int64)
    return np.apply_along_axis(order, axis, x)


def _windows() -> Iterator[Example]:
    cases = [((6,), (0,), (3,)), ((4, 5), (1,), (2,)), ((4, 5), (1, 0), (2, 3)),
             ((2, 5, 6), (1, 2), (3, 1)), ((7,), (0, 0), (2, 3)), ((3,), (0,), (3,))]  # fmt: skip
    for shape, axes, window in cases:

        def oracle(x: Any, axes: Any = axes, window: Any = window) -> Any:
            small = list(x.shape)
            for axis, size in zip(axes, window, strict=True):
                small[axis] -= size - 1
            result = np.zeros((*small, *window), x.dtype)
            for at in np.ndindex(*result.shape):
                where = list(at[: x.ndim])
                for axis, w in zip(axes, at[x.ndim :], strict=True):
                    where[axis] += w
                result[at] = x[tuple(where)]
            return result

        yield Example((shape,), oracle, {"axes": axes, "window": window})


def least(dtype: np.dtype[Any], sign: int) -> Any:
    """What the maximum (-1) or minimum (1) of nothing is."""
    if dtype.kind == "f":
        return sign * np.inf
    return np.iinfo(dtype).max if sign > 0 else np.iinfo(dtype).min


RAMP = np.arange(3.0) / 7

STRUCTURAL: dict[str, list[Example]] = {
    "input": [],
    "constant": [Example((), lambda: RAMP, {"value": Constant(RAMP), "dtype": float64})],
    "dimension": [Example((), lambda: np.int64(7), {"size": 7})],
    "iota": [
        Example((), lambda n=n: np.arange(n), {"dtype": int64, "shape": (n,)}) for n in (0, 1, 5)
    ],
    "reshape": [
        Example((a,), lambda x, b=b: x.ravel().reshape(b), {"shape": b})
        for a, b in [
            ((3, 4), (12,)),
            ((12,), (3, 4)),
            ((2, 3, 4), (4, 6)),
            ((1, 3, 1), (3,)),
            ((), (1, 1)),
            ((0, 3), (3, 0)),
            ((4, 6), (2, 12)),
        ]
    ],
    "transpose": [
        Example((a,), lambda x, p=p: np.transpose(x, p), {"axes": p})
        for a, p in [
            ((3, 4), (1, 0)),
            ((2, 3, 4), (2, 0, 1)),
            ((2, 3, 4), (1, 2, 0)),
            ((2, 1, 3, 2), (3, 1, 0, 2)),
        ]
    ],
    "broadcast_to": [
        Example(
            (a,),
            lambda x, b=b: x + np.zeros(b, x.dtype) if x.dtype != bool else x | np.zeros(b, bool),
            {"shape": b},
        )
        for a, b in [
            ((), (3,)),
            ((3,), (2, 3)),
            ((3, 1), (3, 4)),
            ((1, 1), (2, 3, 4)),
            ((2, 1, 3), (2, 5, 3)),
            ((1,), (0,)),
        ]
    ],
    "diagonal": [
        Example((a,), lambda x: np.einsum("...ii->...i", x).copy())
        for a in [(3, 3), (1, 1), (0, 0), (2, 3, 3), (2, 1, 4, 4)]
    ],
    "slice": list(_strided("slice")),
    "pad": [
        *_strided("pad"),
        Example(((3,),), lambda x: np.pad(x, (2, 1)), {"start": (2,), "step": (1,), "shape": (6,)}),
    ],
    "concatenate": [
        Example(shapes, lambda *xs, axis=axis: np.concatenate(xs, axis), {"axes": (axis,)})
        for shapes, axis in [
            (((2,), (3,)), 0),
            (((2, 3), (1, 3), (4, 3)), 0),
            (((2, 3), (2, 1)), 1),
            (((2, 0), (2, 2)), 1),
        ]
    ],
    "sum": _reductions(np.add.reduce),
    "prod": _reductions(np.multiply.reduce),
    "max": [
        *_reductions(np.maximum.reduce)[:-1],
        Example(((0, 2),), lambda x: np.full(2, least(x.dtype, -1)), {"axes": (0,)}),
    ],
    "min": [
        *_reductions(np.minimum.reduce)[:-1],
        Example(((0, 2),), lambda x: np.full(2, least(x.dtype, 1)), {"axes": (0,)}),
    ],
    "any": _reductions(np.logical_or.reduce),
    "all": _reductions(np.logical_and.reduce),
    "einsum": [
        _einsum("ij,jk->ik", (2, 3), (3, 4)),
        _einsum("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
        _einsum("i,i->", (4,), (4,)),
        _einsum("i,j->ij", (2,), (3,)),
        _einsum("ij,j->i", (2, 3), (3,)),
        _einsum("ij,kj->ki", (2, 3), (4, 3)),
        _einsum("ijk,jl->kil", (2, 3, 2), (3, 2)),
        _einsum("ij,jk->ik", (2, 0), (0, 3)),
        _einsum("ii->i", (3, 3)),
        _einsum("iji->ji", (2, 3, 2)),
        _einsum("ij,jk,kl->il", (2, 2), (2, 3), (3, 2)),
    ],
    "where": [
        Example(shapes, lambda c, a, b: np.choose(c.astype(int), [b, a]), {}, ("bool", "", ""))
        for shapes in [((3,), (3,), (3,)), ((2, 3), (3,), ()), ((), (2,), (2, 1))]
    ],
    "cast": [
        Example(
            ((4,),), lambda x, d=d: np.array([d.numpy.type(v) for v in x], d.numpy), {"dtype": d}
        )
        for d in (bool_, int32, int64, float32, float64)
    ],
    "wrap_index": [
        Example((shape,), lambda i: i - 5 * (i < 0), {"size": 5}, ("int64",))
        for shape in [(), (4,), (2, 0)]
    ],
    "gather": list(_gathers()),
    "scatter": list(_scatters()),
    "running": list(_running()),
    "argsort": [
        Example((shape,), lambda x, a=axis: _ranked(x, a), {"axes": (axis,)})
        for shape, axis in [
            ((7,), 0),
            ((3, 5), 0),
            ((3, 5), 1),
            ((2, 4, 3), 1),
            ((1,), 0),
            ((0, 2), 0),
            ((2, 33), 1),
        ]
    ],
    "windows": list(_windows()),
    "barrier": [Example(shape, lambda x: x) for shape in (((),), ((2, 3),))],
    "stop_gradient": [Example(shape, lambda x: x) for shape in (((),), ((2, 3),))],
    "polygamma": [
        Example(
            ((3, 2),), lambda x, k=k: scipy.special.polygamma(k, x).astype(x.dtype), {"order": k}
        )
        for k in range(4)
    ],
    **{
        f"bessel_{kind}": [
            Example(((3, 2),), lambda x, k=k, f=f: f(k, x).astype(x.dtype), {"order": k})
            for k in range(4)
        ]
        for kind, f in {
            "j": scipy.special.jv,
            "y": scipy.special.yv,
            "i": scipy.special.iv,
            "ie": scipy.special.ive,
            "k": scipy.special.kv,
            "ke": scipy.special.kve,
        }.items()
    },
}

SHAPES = {
    1: [((),), ((3, 4),), ((0, 2),)],
    2: [((), ()), ((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 1)), ((2, 0), (1, 1))],
}
ORACLES: dict[str, Callable[..., Any]] = {
    "sigmoid": scipy.special.expit,
    "softplus": lambda x: np.logaddexp(x, np.zeros_like(x)),
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "gammaln": scipy.special.gammaln,
    "ndtri": scipy.special.ndtri,
    "erfinv": scipy.special.erfinv,
    "erfcinv": scipy.special.erfcinv,
}


def examples(op: Op) -> list[Example]:
    """The examples of a row; elementwise rows that are NumPy functions need none of their own.

    Raises:
        KeyError: naming the row that has none.
    """
    if op.name in STRUCTURAL:
        return STRUCTURAL[op.name]
    oracle = ORACLES.get(op.name) or getattr(np, op.functions[0] if op.functions else "", None)
    if not isinstance(op.element, Elementwise) or oracle is None:
        raise KeyError(f"op {op.name!r} has no example: add one to tests/op_examples.py")
    return [Example(shapes, oracle) for shapes in SHAPES[len(op.domain)]]


def sample(
    op: Op, example: Example, dtypes: tuple[np.dtype[Any], ...], seed: int = 0
) -> list[np.ndarray]:
    """Operands from the row's domain; integers and bools around it."""
    random = np.random.default_rng(seed)
    domain = (*op.domain, *((op.domain[-1:] or ((-3.0, 3.0),)) * len(example.shapes)))
    arrays = []
    for shape, dtype, (low, high) in zip(example.shapes, dtypes, domain, strict=False):
        if dtype.kind == "f":
            arrays.append(random.uniform(low, high, shape).astype(dtype))
        elif dtype.kind == "b":
            arrays.append(random.uniform(size=shape) < 0.5)
        else:
            arrays.append(random.integers(1, 5, shape).astype(dtype))
    return arrays
