"""The tensor IR: construction, order, the checker, the printer, and the evaluator's errors."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from graphc import reference
from graphc.errors import ArgumentError, DTypeError, ShapeError, VerifyError
from graphc.graph import Constant, Graph, Node, apply, labels, rebuild, verify, walk
from graphc.ops import OPS
from graphc.ops.shape import INPUT
from graphc.trace import trace_function
from graphc.types import Dim, TensorType, float32, float64, int64


def an_input(name: str, *shape: Any, dtype: Any = float64) -> Node:
    return replace(apply(INPUT, dtype=dtype, shape=TensorType(dtype, shape).shape), name=name)


def a_graph(outputs: tuple[Node, ...], *inputs: Node) -> Graph:
    return Graph("g", inputs, outputs, tuple(f"y{k}" for k in range(len(outputs))))


def test_apply_infers_and_names_both_sides_in_errors() -> None:
    x, y = an_input("x", 2, 3), an_input("y", 3)
    assert apply(OPS["add"], x, y).type == float64[2, 3]
    with pytest.raises(ShapeError, match=r"cannot add x: float64\[2, 3\] and z: float64\[2\]"):
        apply(OPS["add"], x, an_input("z", 2))
    with pytest.raises(DTypeError, match=r"cannot add x: .* and k: int64\[3\]: .* one dtype"):
        apply(OPS["add"], x, an_input("k", 3, dtype=int64))
    with pytest.raises(DTypeError, match=r"cannot exp k: int64\[3\]: not defined for int64"):
        apply(OPS["exp"], an_input("k", 3, dtype=int64))


def test_nodes_come_operands_first_in_the_users_order() -> None:
    x = an_input("x")
    first, second = apply(OPS["sin"], x), apply(OPS["cos"], x)
    total = apply(OPS["add"], second, first)
    assert list(walk([total])) == [x, first, second, total]
    assert a_graph((total,), x).nodes == (x, first, second, total)


def test_nodes_of_one_time_come_in_the_order_in_which_they_are_met() -> None:
    """Not in that of their addresses, which differ from one process to the next."""
    leaves = [replace(an_input(f"x{k}"), serial=0) for k in range(200)]
    random.Random(1).shuffle(leaves)
    total = leaves[0]
    for x in leaves[1:]:
        total = replace(apply(OPS["add"], total, x), serial=0)
    assert [node for node in walk([total]) if not node.operands] == leaves


def test_a_deep_graph_needs_no_deep_stack() -> None:
    x = node = an_input("x")
    for _ in range(20_000):
        node = apply(OPS["sin"], node)
    assert len(a_graph((node,), x).nodes) == 20_001
    verify(a_graph((node,), x))


def test_rebuild_replaces_and_keeps_names_and_order() -> None:
    x, y = an_input("x", 3), an_input("y", 3)
    named = replace(apply(OPS["sin"], x), name="s")
    total = apply(OPS["add"], named, y)
    image = rebuild([total], lambda node: node, {y: x})
    assert image[total].operands == (named, x)
    assert image[named] is named
    swapped = rebuild(
        [total], lambda n: apply(OPS["cos"], *n.operands) if n.op.name == "sin" else n
    )
    assert [n.op.name for n in walk([swapped[total]])][-1] == "add"
    assert swapped[total].serial == total.serial


def test_verify_names_what_is_wrong() -> None:
    x = an_input("x", 3)
    good = replace(apply(OPS["sin"], x), name="s")
    verify(a_graph((good,), x))
    wrong = replace(good, type=float32[3])
    with pytest.raises(VerifyError, match=r"<s: float32\[3\] = sin> says .*, its op infers"):
        verify(a_graph((wrong,), x))
    with pytest.raises(VerifyError, match="is an input the graph 'g' does not declare"):
        verify(a_graph((good,)))
    twin = replace(apply(OPS["cos"], x), name="s")
    with pytest.raises(VerifyError, match="two nodes are named 's' in graph 'g'"):
        verify(a_graph((good, twin), x))
    with pytest.raises(VerifyError, match="has 1 outputs and 2 names"):
        verify(Graph("g", (x,), (good,), ("a", "b")))


def test_labels_avoid_names_that_are_taken() -> None:
    x = an_input("v0")
    unnamed = apply(OPS["sin"], x)
    assert list(labels([x, unnamed]).values()) == ["v0", "v1"]


def test_printing() -> None:
    def exercise(x: Any, w: Any) -> Any:
        z = x @ w
        a = np.tanh(z[1:])
        return {"a": a, "total": np.sum(a * 2.0)}

    graph = trace_function(exercise, (float32["n", 4], float32[4])).graph
    assert (
        str(graph)
        == """\
exercise(x: float32[n, 4], w: float32[4]):
  z: float32[n] = einsum(x, w, inputs=((0, 1), (1)), output=(0))
  v0: float32[max(n - 1, 0)] = slice(z, start=(1), step=(1), shape=(max(n - 1, 0)))
  a: float32[max(n - 1, 0)] = tanh(v0)
  v1: float32[] = constant(value=2.0, dtype=float32)
  v2: float32[max(n - 1, 0)] = multiply(a, v1)
  v3: float32[] = sum(v2, axes=(0))
  return a, total=v3"""
    )
    assert graph.dims == ("n",)
    assert repr(graph.outputs[0]) == "<a: float32[max(n - 1, 0)] = tanh>"


def test_constants_compare_by_dtype_shape_and_bytes() -> None:
    assert Constant([1.0, 2.0]) == Constant(np.array([1.0, 2.0]))
    assert hash(Constant([1.0])) == hash(Constant([1.0]))
    assert Constant([1.0]) != Constant([1])
    assert Constant([0.0]) != Constant([-0.0])
    assert Constant([np.nan]) == Constant([np.nan])
    array = np.ones(3)
    held = Constant(array)
    array[0] = 7
    assert held.array[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        held.array[0] = 2


# --- reference ----------------------------------------------------------------------------------


def product(x: Any, w: Any) -> Any:
    return x @ w


def test_reference_solves_for_dimensions() -> None:
    graph = trace_function(product, (float64["n", "m"], float64["m"])).graph
    for n, m in [(0, 2), (3, 0), (2, 5)]:
        (y,) = reference.run(graph, [np.ones((n, m)), np.ones(m)])
        np.testing.assert_array_equal(y, np.full(n, float(m)))
    values = reference.run_nodes(graph, [np.ones((2, 3)), np.ones(3)])
    assert set(values) == set(graph.nodes)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.ones((2, 3))], "product takes 2 arrays, 1 given"),
        ([np.ones((2, 3)), np.ones(4)], r"w is float64\[m\] with .*'m': 3.*, not \[4\]"),
        ([np.ones(3), np.ones(3)], r"x is float64\[n, m\], not float64\[3\]"),
        ([np.ones((2, 3), complex), np.ones(3)], r"x is float64\[n, m\], not complex128\[2, 3\]"),
    ],
)
def test_reference_refuses_what_does_not_fit(arrays: list[Any], message: str) -> None:
    graph = trace_function(product, (float64["n", "m"], float64["m"])).graph
    with pytest.raises(ArgumentError, match=message):
        reference.run(graph, arrays)


def test_reference_takes_lists_numbers_and_narrower_dtypes() -> None:
    graph = trace_function(lambda x, k: x * k, (float64[3], float64)).graph
    (y,) = reference.run(graph, [[1, 2, 3], np.float32(2)])
    np.testing.assert_array_equal(y, [2.0, 4.0, 6.0])
    assert y.dtype == np.float64


def test_parameters_with_dimensions_are_fixed() -> None:
    n = Dim.named("n")
    assert reference.fixed({"shape": (n + 1, (2, n)), "name": "a"}, {"n": 3}) == {
        "shape": (4, (2, 3)),
        "name": "a",
    }


@dataclass(frozen=True, eq=False)
class Made:
    serial: int
    operands: tuple[Made, ...]


@pytest.mark.parametrize("seed", range(60))
def test_a_walk_takes_the_earliest_of_what_is_ready(seed: int) -> None:
    """Where nodes were made before their operands too, or several at one time."""
    made = random.Random(seed)
    nodes: list[Made] = []
    for k in range(30):
        operands = tuple(made.choice(nodes) for _ in range(made.randrange(4))) if nodes else ()
        early = made.random() < 0.2
        nodes.append(Made(made.randrange(10) if seed % 2 else k - 5 * early, operands))
    order = walk(nodes[-3:])
    assert len(set(order)) == len(order)
    done: dict[Made, int] = {}
    since: dict[Made, int] = {}
    for node in order:
        for x in order:
            if x not in since and all(y in done for y in x.operands):
                since[x] = len(done)
        ready = [x for x in since if x not in done]
        first = min((x.serial, since[x]) for x in ready)
        assert (node.serial, since[node]) == first
        done[node] = len(done)
