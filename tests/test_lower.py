"""Graph -> Program without a compiler: what becomes a loop, an array, nothing; and the values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from c_cases import CASES
from c_tools import arrays_for, check_type, expected

from graphc import loops, loops_run, loops_verify
from graphc.errors import VerifyError
from graphc.graph import Graph, verify
from graphc.loops import Argument, Buffer, Literal, Loop, Program, Read, Stmt, Store, statements
from graphc.lower import lower
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.transform import grad, value_and_grad
from graphc.types import Dim, float32, float64, int64

F = float64


def traced(fn: Callable[..., Any], *types: Any) -> Graph:
    return trace_function(fn, types, name="f").graph


def program(fn: Callable[..., Any], *types: Any) -> Program:
    return lower(optimize(traced(fn, *types)))


def nesting(body: tuple[Stmt, ...]) -> str:
    """The loops alone: ``n[4 4[5]]`` is one over n that holds one over 4 and one over 4 and 5."""
    found = []
    for stmt in body:
        if isinstance(stmt, Loop):
            inside = nesting(stmt.body)
            found.append(f"{stmt.extent}[{inside}]" if inside else str(stmt.extent))
    return " ".join(found)


def applied(found: Program, function: str) -> int:
    """How often the program's text applies a function."""
    return sum(
        isinstance(part, loops.Apply) and part.function == function
        for stmt in statements(found.body)
        for value in loops.values(stmt)
        for part in loops.parts(value)
    )


# --- values ---------------------------------------------------------------------------------------

PROGRAMS: dict[str, tuple[Any, ...]] = {
    "scalar": (lambda x, y: x * y + np.sin(x), F, F),
    "outer sum": (lambda x, y: x[:, None] + y, F[3], F[4]),
    "broadcast of one": (lambda x, y: x * y, F[3, 1], F[1, 4]),
    "rank 4": (lambda x, y: np.tanh(x) * y, F[2, 1, 3, 1], F[4, 1, 2]),
    "no elements": (lambda x: (x + 1, np.sum(x), np.sum(x, axis=0)), F[0, 3]),
    "one value twice": (lambda x: (x + 1, x + 1, x, x), F[3]),
    "views alone": (lambda x: (x.T, x[::-1], x[1:, ::-2], x.reshape(-1)), F[3, 4]),
    "view of a sum": (lambda x: np.sum(x, axis=0)[::-1] * 2, F[3, 4]),
    "sum of a view": (lambda x: np.sum(np.exp(x).T[::-1].reshape(2, 6), axis=1), F[3, 4]),
    "reshape both ways": (lambda x: np.exp(x).reshape(6, 2).reshape(3, 4) + x, F[3, 4]),
    "sum over the middle": (lambda x: np.sum(x, axis=1), F[2, 3, 4]),
    "sums side by side": (lambda x: (np.sum(x, axis=0), np.sum(x, axis=1), np.sum(x)), F[3, 4]),
    "mean and variance": (lambda x: (np.mean(x, axis=1), np.var(x, axis=(0, 1))), F[3, 4]),
    "maximum": (lambda x: (np.max(x, axis=1), np.min(x), np.argmax(x, axis=0)), F[3, 4]),
    "product": (lambda x: np.prod(x, axis=(0, 2)), F[2, 3, 2]),
    "any and all": (lambda x: (np.any(x > 1, axis=0), np.all(x > -1, axis=1)), F[3, 4]),
    "matmul": (lambda x, y: x @ y, F[3, 4], F[4, 2]),
    "batched matmul": (lambda x, y: x @ y, F[2, 3, 4], F[4, 2]),
    "matmul of products": (lambda x, y: np.exp(x) @ np.tanh(y @ x), F[3, 3], F[3, 3]),
    "diagonal": (lambda x: np.einsum("ii->i", x) * np.trace(x), F[4, 4]),
    "three factors": (lambda x, y, z: np.einsum("ij,jk,k->i", x, y, z), F[2, 3], F[3, 4], F[4]),
    "einsum of one": (lambda x: np.einsum("iji->j", x), F[3, 2, 3]),
    "padding": (lambda x: np.pad(np.exp(x), ((1, 2), (0, 3))), F[2, 3]),
    "concatenation": (lambda x, y: np.concatenate([x, 2 * y, x], axis=1), F[2, 3], F[2, 1]),
    "stack": (lambda x, y: np.stack([np.exp(x), y, x], axis=1), F[3], F[3]),
    "triangle": (lambda x: np.tril(np.exp(x)) @ x, F[4, 4]),
    "softmax": (lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True), F["n", 4]),
    "run-time sizes": (lambda x, y: np.concatenate([x, y]) * 2, F["n"], F["m"]),
    "run-time reshape": (lambda x: np.exp(x).reshape(-1).reshape(x.shape) + x, F["n", 3]),
    "run-time matmul": (lambda x: x.T @ x, F["n", 3]),
    "run-time roll": (lambda x: np.roll(x, 2, axis=0), F["n", 3]),
    "size of a dimension": (lambda x: np.sum(x) / x.shape[0] + x.shape[0], F["n"]),
    "integers": (lambda x, y: (x // y, x % y, x << 2, x.sum(axis=0)), int64[3, 4], int64[4]),
    "gradient of a maximum": (grad(lambda x: np.sum(np.max(x, axis=1) ** 2)), F[3, 4]),
    "gradient of a product": (grad(lambda x: np.sum(np.prod(x, axis=0))), F[3, 4]),
    "gradient of a view": (grad(lambda x: np.sum(np.sin(x[::-2].T.reshape(-1)))), F[5, 2]),
    "gradient of padding": (grad(lambda x: np.sum(np.sin(np.pad(x, 1)) ** 2)), F["n", 2]),
    "a table": (lambda x: x @ np.arange(6.0).reshape(3, 2), F["n", 3]),
}  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("name", PROGRAMS)
def test_values(name: str, n: int) -> None:
    fn, *types = PROGRAMS[name]
    graph = traced(fn, *types)
    if n != 2 and not graph.dims:
        n = 2  # the same for every n
    dims = {"n": n, "m": 3}
    arrays = arrays_for(graph.inputs, dims, seed=n)
    want = expected(graph, arrays)
    for each in (graph, optimize(graph)):
        verify(each)
        for got, right in zip(loops_run.run(lower(each), arrays, dims), want, strict=True):
            check_type(got, right, name)
            np.testing.assert_allclose(got, right, rtol=1e-12, atol=1e-12, err_msg=name)


# Those that read at places which are data want indices in range, and sorts copy rows on purpose:
# test_indexing.py runs them on the loop IR.
DENSE = [name for name in CASES if not name.startswith("places")]


@pytest.mark.parametrize("name", DENSE)
def test_values_of_the_cases(name: str) -> None:
    graph = CASES[name].graph(name)
    arrays = arrays_for(graph.inputs, {"n": 3})
    found = loops_run.run(lower(graph), arrays, {"n": 3})
    for got, want in zip(found, expected(graph, arrays), strict=True):
        close = {4: 1e-4, 2: 1e-2}.get(got.dtype.itemsize, 1e-10)
        check_type(got, want, name)
        np.testing.assert_allclose(got, want, rtol=close, atol=close, err_msg=name)


# --- what needs no array, no loop, no second time -------------------------------------------------


@pytest.mark.parametrize("name", DENSE)
def test_no_array_holds_a_copy(name: str) -> None:
    """Views are read through: nothing in the workspace is a bare read of something else."""
    found = lower(CASES[name].graph(name))
    buffers = {buffer.name for buffer in found.buffers}
    copies = [
        stmt
        for stmt in statements(found.body)
        if isinstance(stmt, Store) and stmt.buffer in buffers and isinstance(stmt.value, Read)
    ]
    assert not copies, f"{name} copies: {copies}"


@pytest.mark.parametrize("name", ["laplace", "network", "shared", "hessian"])
def test_scalar_networks_have_no_loop_and_no_workspace(name: str) -> None:
    found = lower(CASES[name].graph(name))
    assert nesting(found.body) == ""
    assert found.workspace == 0


def test_a_squared_error_is_one_loop_without_arrays() -> None:
    found = program(lambda y, t: np.sum((y - t) ** 2), F["n"], F["n"])
    assert nesting(found.body) == "n"
    assert found.workspace == 0
    assert applied(found, "subtract") == 1, "y - t is computed once"


def test_the_gradient_of_a_squared_error_shares_the_loop() -> None:
    found = program(value_and_grad(lambda y, t: np.sum((y - t) ** 2)), F["n"], F["n"])
    assert nesting(found.body) == "n"
    assert found.workspace == 0


@pytest.mark.parametrize("name", ["softmax", "softmax_grad", "layer_norm"])
def test_rows_share_one_outer_loop(name: str) -> None:
    found = lower(CASES[name].graph(name))
    outer = [stmt for stmt in found.body if isinstance(stmt, Loop)]
    assert [str(loop.extent) for loop in outer] == ["n"]
    assert isinstance(found.workspace, int), "a row's worth, whatever n is"


def test_softmax_has_one_exponential_an_element() -> None:
    assert applied(lower(CASES["softmax"].graph("softmax")), "exp") == 1


def test_linear_regression_gradient_runs_over_the_data_once() -> None:
    found = lower(CASES["laplace_linear"].graph("laplace_linear"))
    assert nesting(found.body) == "3 n"  # zeros, then all three sums in one loop
    assert found.workspace == 0


def test_elementwise_chains_need_no_array() -> None:
    found = program(lambda x: np.tanh(np.exp(np.sin(x)) + np.cos(x)), F["n", 3])
    assert (nesting(found.body), found.workspace) == ("3*n", 0)


def test_outputs_over_one_domain_share_a_loop() -> None:
    found = program(lambda x: (np.exp(x), np.sin(x), np.sum(x), np.max(x)), F["n"])
    assert nesting(found.body) == "n"


def indices(found: Program) -> str:
    return " ".join(
        str(part.index)
        for stmt in statements(found.body)
        for value in loops.values(stmt)
        for part in loops.parts(value)
        if isinstance(part, Read)
    )


def test_long_narrow_sums_are_sums_of_parts() -> None:
    """A double for every 1024 elements is as good as one for each, and four times as quick."""
    found = program(lambda x, y: (np.sum(x * y), np.sin(x)), float32["n"], float32["n"])
    assert nesting(found.body) == "(n + 1023) // 1024[min(n - 1024*part, 1024)]"
    known = program(lambda x: np.sum(np.abs(x)), float32[8192])
    assert nesting(known.body) == "8[1024]"
    assert nesting(program(np.sum, float32[4096]).body) == "4096"
    assert nesting(program(np.sum, F["n"]).body) == "n"


def test_what_lies_side_by_side_has_a_loop_each() -> None:
    found = program(lambda x, y: np.concatenate([x, y]) * 2, F[20], F[30])
    assert (nesting(found.body), applied(found, "select")) == ("20 30", 0)
    named = program(lambda x, y: np.concatenate([x, y]) * 2, F["n"], F["m"])
    assert (nesting(named.body), applied(named, "select")) == ("n m", 0)


def test_a_sum_over_what_lies_side_by_side_has_a_loop_each() -> None:
    def products(x: Any, y: Any, w: Any) -> Any:
        return w @ np.concatenate([x, y])

    found = program(products, F[20], F[30], F[3, 50])
    assert (nesting(found.body), applied(found, "select")) == ("3[20 30]", 0)
    named = program(products, F["n"], F["m"], F[3, Dim.named("n") + Dim.named("m")])
    assert (nesting(named.body), applied(named, "select")) == ("3[n m]", 0)


def test_few_elements_side_by_side_keep_one_loop() -> None:
    found = program(lambda x, y: np.concatenate([x, y]) * 2, F["n"], F[3])
    assert (nesting(found.body), applied(found, "select")) == ("n + 3", 1)


def test_pieces_of_rows_have_loops_instead_of_divisions() -> None:
    def heads(x: Any) -> Any:
        return np.swapaxes(np.exp(x).reshape(5, 4, 8), 0, 1).reshape(4, 40)

    found = program(
        lambda x: 2 * np.swapaxes(heads(x).reshape(4, 5, 8), 0, 1).reshape(5, 32), F[5, 32]
    )
    assert "//" not in indices(found)
    other = program(lambda x: np.swapaxes(x.reshape(4, 8), 0, 1).reshape(32) + 1, F[32])
    assert (nesting(other.body), "//" in indices(other)) == ("8", False)  # four stores


def test_the_last_panel_of_rows_has_its_own_loops() -> None:
    def product(x: Any, w: Any) -> Any:
        return np.exp(x).T @ w

    found = program(product, F[40, 30], F[40, 50])
    extents = [str(stmt.extent) for stmt in statements(found.body) if isinstance(stmt, Loop)]
    assert not any("min(" in extent for extent in extents if "block" not in extent), extents


def test_whole_panels_need_no_minimum() -> None:
    found = program(lambda x, w: np.sum(np.tanh(x @ w.T)), float32[48, 64], float32[64, 64])
    extents = [str(stmt.extent) for stmt in statements(found.body) if isinstance(stmt, Loop)]
    assert extents
    assert not any("min(" in extent for extent in extents), extents


def test_cheap_values_are_computed_again_and_dear_ones_are_stored() -> None:
    cheap = program(lambda x: (np.sum(x, axis=0) - (x - 1)) * np.sum(x - 1), F[5])
    assert cheap.workspace == 0
    dear = program(lambda x: np.exp(x) / np.sum(np.exp(x)), F[5])
    assert applied(dear, "exp") == 1


def test_what_one_array_gives_is_made_of_it_again() -> None:
    """Behind a loop that needs all of the first one's sum: 0.5 x, x², 1 + tanh, 1 - tanh² would
    have an array each."""

    def fn(v: Any) -> Any:
        x = np.exp(v) * 3
        t = np.tanh(x)
        return 0.5 * x, x * x, 1 + t, 1 - t * t

    def later(v: Any) -> Any:
        parts = fn(v)
        total = np.sum(parts[0] * parts[2])
        return tuple(np.sin(part * total) for part in parts)

    found = program(later, F[50])
    assert sorted(buffer.shape for buffer in found.buffers) == [(50,), (50,)]
    assert (applied(found, "tanh"), applied(found, "exp")) == (1, 1)


def test_one_array_serves_two_readers() -> None:
    def fn(v: Any, w: Any) -> Any:
        x = np.exp(v)
        total = np.sum(2 * x * (x + 1))
        return np.sin((2 * x * total)[:, None] * w) + np.cos(((x + 1) * total)[:, None] * w)

    found = program(fn, F[50], F[40])
    assert [buffer.shape for buffer in found.buffers] == [(50,)]


def test_a_product_of_sums_is_not_a_sum_of_products() -> None:
    """The inner contraction is stored, not computed again for each row of the outer."""
    found = program(lambda x, y, z: x @ (y @ z), F[8, 8], F[8, 8], F[8, 8])
    assert [str(b.shape) for b in found.buffers] == ["(8, 8)"]


def test_memory_is_used_again() -> None:
    def chain(x: Any) -> Any:
        for _ in range(6):
            x = np.tanh(x @ x)
        return x

    found = program(chain, F[8, 8])
    assert isinstance(found.workspace, int)
    assert found.workspace <= 3 * 8 * 8 * 8
    symbolic = program(chain, F["n", "n"])
    assert loops_run.evaluate(symbolic.workspace, {"n": 64}) <= 5 * 64 * 64 * 8


def test_workspace_is_aligned() -> None:
    found = program(lambda x, y: np.exp(x @ y) @ (x @ np.exp(y)), float32[3, 5], float32[5, 3])
    assert all(isinstance(b.offset, int) and b.offset % 64 == 0 for b in found.buffers)


def test_nothing_is_written_for_no_elements() -> None:
    found = program(lambda x: (np.ones((0, 4)), x + 1), F)
    assert nesting(found.body) == ""


def test_values_that_guards_rule_out_leave_nothing() -> None:
    """The slice takes the padding away: the zeros, and what they stood beside, are not computed."""
    found = program(lambda x: np.pad(np.exp(x), (2, 2))[:2] + 1, F[3])
    assert applied(found, "exp") == 0


# --- the evaluator refuses what C would not notice ------------------------------------------------


def hand_written(*body: Stmt, buffers: tuple[Buffer, ...] = (), workspace: int = 64) -> Program:
    """f(x[3]) -> y[3] with these statements."""
    argument = Argument("x", F[3], "x")
    result = Argument("y", F[3], "y")
    return Program("f", "", (argument,), (), (result,), (), buffers, workspace, body)


def copy(source: str, target: str, extent: int = 3, step: int = 1) -> Loop:
    i = F["i"].shape[0]
    return Loop("i", extent, (Store(target, i, Read(source, i * step, F)),))


X = np.arange(3.0)
A, B = Buffer("a", F, (3,), 0), Buffer("b", F, (3,), 0)


def test_the_evaluator_runs_hand_written_programs() -> None:
    found = hand_written(copy("x", "a"), copy("a", "y"), buffers=(A,))
    loops_verify.verify(found)
    np.testing.assert_array_equal(loops_run.run(found, [X])[0], X)


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (hand_written(copy("x", "y", step=2)), "element 4 of 3"),
        (hand_written(copy("x", "y", extent=4)), "element 3 of 3"),
        (hand_written(copy("x", "y", step=-1)), "element -1 of 3"),
        (hand_written(copy("a", "y"), buffers=(A,)), r"a\[0\] was last written by None"),
        (
            hand_written(copy("x", "a"), copy("x", "b"), copy("a", "y"), buffers=(A, B)),
            r"a\[0\] was last written by b",
        ),
        (hand_written(copy("x", "y", extent=2)), "leaves elements of y unwritten"),
        (hand_written(copy("x", "y"), buffers=(replace(A, offset=8),)), "lies at 8"),
        (hand_written(copy("x", "y"), buffers=(A,), workspace=16), "workspace of 16 bytes"),
    ],
)
def test_the_evaluator_names_what_is_wrong(found: Program, fault: str) -> None:
    with pytest.raises(VerifyError, match=fault):
        loops_run.run(found, [X])


def test_a_wrong_program_is_seen() -> None:
    """The tests above would notice a loop that writes another value."""
    graph = traced(lambda x: x * 2, F[3])
    found = lower(graph)
    (loop,) = (stmt for stmt in found.body if isinstance(stmt, Loop))
    (store,) = (stmt for stmt in loop.body if isinstance(stmt, Store))
    wrong = replace(store, value=Literal(1.0, F))
    broken = replace(found, body=(replace(loop, body=(wrong,)),))
    assert not np.allclose(loops_run.run(broken, [X])[0], expected(graph, [X])[0])
