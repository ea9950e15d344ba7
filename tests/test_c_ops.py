"""Every row of the op table in compiled C against its NumPy face, on hard values and all shapes.

A row is one C function with an output for each dtype and case, compiled with the flags of kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_tools import build, check_type
from op_examples import Example, examples, sample

from graphc import ops
from graphc.derive import pull
from graphc.errors import DTypeError
from graphc.graph import (
    Elementwise,
    Graph,
    Node,
    NoDerivative,
    Op,
    Part,
    Region,
    apply,
)
from graphc.loops_run import OF_ORDER
from graphc.ops.shape import INPUT
from graphc.reference import run_nodes
from graphc.trace import Tensor
from graphc.types import DTYPES as ALL_DTYPES
from graphc.types import DType, Shape, Size, as_size, evaluate

DTYPES = {name: d for name, d in ALL_DTYPES.items() if "16" not in name}
"""float16 and bfloat16 are computed with as float32: tests/test_halves.py."""
ELEMENTWISE = [op.name for op in ops.TABLE if isinstance(op.element, Elementwise)]
OTHERS = [
    op.name
    for op in ops.TABLE
    if not isinstance(op.element, Elementwise | Region | Part) and op.name != "input"
]
"""Regions and their parts are compared in random programs."""
SMOOTH = [op.name for op in ops.TABLE if not isinstance(op.derivative, NoDerivative) and op.domain]
ULPS = {"polygamma": 64, "erfc": 4, "sigmoid": 3, "softplus": 3, "logaddexp": 3,
        "ndtri": 8, "erfinv": 8, "erfcinv": 8,
        "bessel_i": 64, "bessel_ie": 64, "bessel_k": 64, "bessel_ke": 64}  # fmt: skip
"""Of a row whose two faces are long sums, or which tests/test_vmath.py allows so many; else 2."""
EITHER_ZERO = ("maximum", "minimum", "fmax", "fmin", "max", "min")
"""Rows for which NumPy leaves open which of 0 and -0 is meant."""
SIZES = (0, 1, 2, 7, 33)


def hard_values(dtype: DType, op: Op) -> np.ndarray:
    """Numbers at which C and NumPy may part."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "i":
        limits = np.iinfo(dtype.name)
        values = [0, 1, 2, 3, 5, 7, 31, 32, 33, 63, 64, 46341, limits.max, limits.max - 1]
        values += [] if op.name == "power" else [-v for v in values[1:]] + [limits.min]
        return np.array(values, dtype.numpy)
    limits = np.finfo(dtype.name)
    values = [0, 0.1, 0.5, 0.999, 1, 1.5, 2, 2.5, 3, 4.7, 10, 20.3, 88.8, 103.9, 709.8, 745.2]
    values += [1e-8, 1e8, 2.0**31, 2.0**53 + 2, limits.tiny, limits.smallest_subnormal]
    values += [limits.max, np.inf]
    with np.errstate(over="ignore"):
        array = np.array(values, dtype.numpy)
    return np.concatenate([array, -array, [dtype.numpy.type(np.nan)]])


@dataclass
class Case:
    """A C function that grows by outputs."""

    name: str
    inputs: list[Node] = field(default_factory=list)
    arrays: list[np.ndarray] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)

    def input(self, dtype: DType, shape: Shape, array: np.ndarray) -> Node:
        node = replace(apply(INPUT, dtype=dtype, shape=shape), name=f"x{len(self.inputs)}")
        self.inputs.append(node)
        self.arrays.append(array.astype(dtype.numpy))
        return node

    def output(self, op: Op, operands: Sequence[Node], params: dict[str, Any]) -> None:
        self.outputs.append(apply(op, *operands, **params))

    @property
    def graph(self) -> Graph:
        names = tuple(f"y{i}" for i in range(len(self.outputs)))
        return Graph(f"op_{self.name}", tuple(self.inputs), tuple(self.outputs), names)


def accepted(op: Op, dtypes: Sequence[DType], params: dict[str, Any]) -> bool:
    try:
        op.infer(tuple(d[()] for d in dtypes), params)
    except DTypeError:
        return False
    return True


def operand_dtypes(op: Op, dtype: DType) -> tuple[DType, ...]:
    count = len(op.domain)
    return (DTYPES["bool"], dtype, dtype) if op.name == "where" else (dtype,) * count


def variants(op: Op) -> list[dict[str, Any]]:
    """The parameters to try an elementwise row with."""
    if op.name == "cast":
        return [{"dtype": d} for d in DTYPES.values()]
    return [{"order": k} for k in range(4)] if op.name in OF_ORDER else [{}]


def elementwise_case(op: Op) -> Case:
    """Hard values in all combinations; scalars, rank 4, broadcasting, no elements, run-time n."""
    case = Case(op.name)
    random = np.random.default_rng(0)
    for dtype in DTYPES.values():
        for params in variants(op):
            dtypes = operand_dtypes(op, dtype)
            if accepted(op, dtypes, params):
                _tables(case, op, dtypes, params)
                _shapes(case, op, dtypes, params, random)
    return case


def _tables(case: Case, op: Op, dtypes: Sequence[DType], params: dict[str, Any]) -> None:
    """Each operand along an axis of its own."""
    rank = len(dtypes)
    nodes = []
    for axis, dtype in enumerate(dtypes):
        hard = hard_values(dtype, op)
        shape = tuple(len(hard) if a == axis else 1 for a in range(rank))
        nodes.append(case.input(dtype, shape, hard.reshape(shape)))
    case.output(op, nodes, params)


def _shapes(
    case: Case, op: Op, dtypes: Sequence[DType], params: dict[str, Any], random: Any
) -> None:
    n = as_size("n")
    sets: list[tuple[tuple[Size, ...], ...]] = [
        ((),) * 3,
        ((2, 1, 3, 1), (4, 1, 2), (2, 4, 3, 1)),
        ((0, 3), (1, 3), (3,)),
        ((1, 1), (1,), ()),
        ((n,), (n,), (n,)),
        ((n, 3), (3,), (n, 1)),
    ]
    for shapes in sets:
        nodes = []
        for shape, dtype in zip(shapes, dtypes, strict=False):
            most = tuple(evaluate(s, {"n": max(SIZES)}) for s in shape)
            hard = hard_values(dtype, op)
            nodes.append(case.input(dtype, shape, random.choice(hard, most)))
        case.output(op, nodes, params)


def structural_case(op: Op) -> Case:
    """The examples of a row that moves or combines elements, in each dtype it takes."""
    case = Case(op.name)
    for example in examples(op):
        for dtype in DTYPES.values():
            own = example.dtypes or ("",) * len(example.shapes)
            dtypes = [DTYPES[d] if d else dtype for d in own]
            types = tuple(d[shape] for d, shape in zip(dtypes, example.shapes, strict=True))
            try:
                op.infer(types, example.params)
            except DTypeError:
                continue
            arrays = sample(op, example, tuple(d.numpy for d in dtypes))
            nodes = [case.input(t.dtype, t.shape, x) for t, x in zip(types, arrays, strict=True)]
            case.output(op, nodes, example.params)
    return case


def compare(op: Op, got: np.ndarray, values: dict[Node, np.ndarray], node: Node) -> None:
    """Exactly what NumPy says; within 2 ulp for floats computed element by element, within
    n eps for sums."""
    want = values[node]
    operands = [values[x] for x in node.operands]
    about = f"{op.name}{dict(node.params)} of {[x.type for x in node.operands]}"
    check_type(got, want, about)
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=about)
        return
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=about)
    known = ~np.isnan(want)
    if op.name not in EITHER_ZERO:
        signs = np.signbit(got) != np.signbit(want)
        assert not (signs & known).any(), f"{about}: sign of {got[signs & known]}"
    bound = allowed(op, want, operands, node)
    with np.errstate(invalid="ignore", over="ignore"):
        far = (got != want) & known & ~(np.abs(got - want) <= bound)
        if far.any() and isinstance(op.element, Elementwise):
            far &= ~near_truth(op, got, operands, node)
    assert not far.any(), f"{about}: C has {got[far][:5]}, NumPy {want[far][:5]}"


def allowed(op: Op, want: np.ndarray, operands: list[np.ndarray], node: Node) -> np.ndarray:
    """How far from NumPy's result C's may be."""
    eps = np.finfo(want.dtype).eps
    with np.errstate(all="ignore"):
        match op.name:
            case "sum":
                terms = operands[0].size / max(want.size, 1)
                return terms * eps * op.evaluate(node.params, np.abs(operands[0]))
            case "einsum":
                terms = np.prod([x.size for x in operands])
                return terms * eps * op.evaluate(node.params, *map(np.abs, operands))
            case "prod":
                return operands[0].size * eps * np.abs(want)
            case "gammaln":  # Python's has a small absolute error near its zeros at 1 and 2
                return 4 * np.spacing(np.maximum(np.abs(want), 1))
            case "bessel_j" | "bessel_y":  # beside the height of the waves
                height = np.minimum(1, 1 / np.sqrt(np.abs(operands[0])))
                return 512 * np.maximum(np.spacing(np.abs(want)), eps * height)
            case _ if isinstance(op.element, Elementwise):
                return ULPS.get(op.name, 2) * np.spacing(np.abs(want))
    return np.zeros_like(want)


def near_truth(op: Op, got: np.ndarray, operands: list[np.ndarray], node: Node) -> np.ndarray:
    """Where C is within 2 ulp of the value in a wider type: NumPy's own result may be off."""
    wider = np.float64 if got.dtype == np.float32 else np.longdouble
    wide = [x.astype(wider) if x.dtype.kind == "f" else x for x in operands]
    truth = np.asarray(op.evaluate(node.params, *wide))
    rounded = truth.astype(got.dtype)
    same = np.isinf(rounded) & (got == rounded)
    distance = np.abs(got.astype(wider) - truth) <= 2 * np.spacing(np.abs(rounded)).astype(wider)
    return same | distance


def run(case: Case, op: Op, folder: Path) -> None:
    """The C function for each n."""
    (compiled,) = build([case.graph], folder)
    for n in SIZES if compiled.program.dims else (0,):
        dims = {"n": n}
        arrays = [
            x[tuple(slice(evaluate(s, dims)) for s in node.shape)]
            for node, x in zip(case.inputs, case.arrays, strict=True)
        ]
        with np.errstate(all="ignore"):
            values = run_nodes(case.graph, arrays)
        for got, node in zip(compiled(arrays, dims), case.outputs, strict=True):
            compare(op, got, values, node)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str, tmp_path: Path) -> None:
    op = ops.OPS[name]
    run(elementwise_case(op), op, tmp_path)


@pytest.mark.parametrize("name", OTHERS)
def test_structural(name: str, tmp_path: Path) -> None:
    op = ops.OPS[name]
    run(structural_case(op), op, tmp_path)


def test_reductions_of_hard_values(tmp_path: Path) -> None:
    """Rows of every pair of hard values, and their columns."""
    case = Case("reductions")
    picked = []
    for name in ("sum", "prod", "max", "min", "any", "all"):
        op = ops.OPS[name]
        for dtype in DTYPES.values():
            if not accepted(op, (dtype,), {"axes": ()}):
                continue
            hard = hard_values(dtype, op)
            pairs = np.stack(np.meshgrid(hard, hard), -1).reshape(-1, 2)
            for array, axes in ((pairs, (1,)), (pairs.T, (0,)), (pairs, (0, 1))):
                node = case.input(dtype, array.shape, array)
                case.output(op, [node], {"axes": axes})
                picked.append(op)
    (compiled,) = build([case.graph], tmp_path)
    with np.errstate(all="ignore"):
        values = run_nodes(case.graph, case.arrays)
    for op, got, node in zip(picked, compiled(case.arrays), case.outputs, strict=True):
        everything = node.type.rank == 0 and node.dtype.kind == "f"
        if not everything or op.name in ("max", "min"):
            compare(op, got, values, node)  # the sum of all overflows in one order or another


@pytest.mark.parametrize("name", SMOOTH)
def test_derivative(name: str, tmp_path: Path) -> None:
    """The cotangents of every example of a row, in one C function."""
    op = ops.OPS[name]
    case = Case(name)
    for example in examples(op):
        _derived(case, op, example)
    graph = case.graph
    (compiled,) = build([graph], tmp_path, ("-std=c11", "-O1", "-ffp-contract=off"))
    values = run_nodes(graph, case.arrays)
    for got, node in zip(compiled(case.arrays), case.outputs, strict=True):
        check_type(got, values[node], name)
        np.testing.assert_allclose(got, values[node], rtol=1e-12, atol=1e-12, err_msg=name)


def _derived(case: Case, op: Op, example: Example) -> None:
    own = example.dtypes or ("",) * len(example.shapes)
    dtypes = [DTYPES[d or "float64"] for d in own]
    arrays = sample(op, example, tuple(d.numpy for d in dtypes))
    inputs = [case.input(d, x.shape, x) for d, x in zip(dtypes, arrays, strict=True)]
    node = apply(op, *inputs, **example.params)
    if node.dtype.kind != "f":
        return
    seed = np.random.default_rng(1).normal(size=node.shape)
    cotangent = Tensor(case.input(node.dtype, node.shape, seed))
    wrt = [x for x in inputs if x.dtype.kind == "f"]
    for x, found in zip(wrt, pull([node], [cotangent], wrt), strict=True):
        case.outputs.append((np.zeros_like(Tensor(x)) if found is None else found).node)


# --- tests of the tests -------------------------------------------------------------------------


def test_three_ulp_are_too_many() -> None:
    op = ops.OPS["exp"]
    x = replace(apply(INPUT, dtype=DTYPES["float64"], shape=(1,)), name="x")
    node = apply(op, x)
    values = {x: np.array([1.0]), node: np.exp(np.array([1.0]))}
    ulp = np.spacing(values[node])
    compare(op, values[node] + 2 * ulp, values, node)
    with pytest.raises(AssertionError, match="exp"):
        compare(op, values[node] + 4 * ulp, values, node)


def test_a_wrong_sign_of_zero_is_seen() -> None:
    op = ops.OPS["negative"]
    x = replace(apply(INPUT, dtype=DTYPES["float32"], shape=(1,)), name="x")
    node = apply(op, x)
    values = {x: np.zeros(1, np.float32), node: -np.zeros(1, np.float32)}
    with pytest.raises(AssertionError, match="sign"):
        compare(op, np.zeros(1, np.float32), values, node)
