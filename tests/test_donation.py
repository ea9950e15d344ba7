"""Donated arguments: results in their memory, in the loop IR, in C, in Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_tools import FLAGS, STRICT, Compiled, arrays_for, build, expected

import graphc
from graphc import donation, loops_run
from graphc.emit_c import emit
from graphc.errors import ArgumentError
from graphc.loops import Program, Store, statements
from graphc.lower import lower
from graphc.options import Options
from graphc.passes import optimize
from graphc.types import float32, float64, int64

sys.path[:0] = [str(Path(__file__).parents[1] / "benchmarks")]

import w3_mlp  # noqa: E402 - a program, found by its folder

F, f32 = float64, float32


def momentum(W: Any, v: Any, x: Any, rate: Any) -> Any:
    d_W = x.T @ (x @ W)
    v = 0.9 * v + d_W
    return W - rate * v, v


def scanned(h: Any, W: Any) -> Any:
    return graphc.scan(lambda h, _: (np.tanh(h @ W), None), h, None, length=3)[0]


def adam(p: Any, m: Any, v: Any, g: Any) -> Any:
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * g**2
    return p - 0.1 * m / (np.sqrt(v) + 1e-8), m, v


# function, types, donate, whether all is written at once, with no copy at the end
PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Any, bool]] = {
    "element by element": (lambda x, a: x - a * 2, (F[5], F[5]), "x", True),
    "a scalar beside": (lambda x, a: (np.sum(x), x + a), (F[5], F), "x", True),
    "broadcast": (lambda x, y: x * y[:, None], (F[4, 3], F[4]), 0, True),
    "reversed": (lambda x: x[::-1] + 1, (F[5],), "x", False),
    "reversed twice": (lambda x, y: (x[::-1] * y)[::-1] + x, (F[5], F[5]), "x", True),
    "transposed": (lambda x: x.T * 2, (F[4, 4],), "x", False),
    "product": (lambda x, y: x @ y, (F[4, 4], F[4, 4]), "x", False),
    "large product": (lambda x, y: x @ y, (F[32, 32], F[32, 32]), "y", False),
    "swapped": (lambda x, y: (y * 1, x * 1), (F[5], F[5]), ("x", "y"), False),
    "both": (lambda x, y: (x + y, y * 2), (F[5], F[5]), ("x", "y"), True),
    "unchanged": (lambda x, y: (x, x + y), (F[5], F[5]), "x", True),
    "rows by their sums": (lambda x: x / np.sum(x, axis=1, keepdims=True), (F[3, 4],), 0, True),
    "columns by theirs": (lambda x: x / np.sum(x, axis=0), (F[3, 4],), 0, True),
    "run-time rows": (
        lambda x: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True), (F["n", 4],), "x", True,
    ),
    "running sums": (lambda x: np.cumsum(x), (F["n"],), "x", True),
    "sorted": (lambda x: np.sort(x), (F["n"],), "x", False),
    "one element": (lambda x: x.at[2].set(7.0), (F[5],), "x", True),
    "momentum": (momentum, (F[20, 30], F[20, 30], F[9, 20], F), ("W", "v"), True),
    "adam": (adam, (F[7], F[7], F[7], F[7]), (0, 1, 2), True),
    "scanned": (scanned, (F[4, 5], F[5, 5]), "h", True),
    "no elements": (lambda x: x + 1, (F[0, 3],), "x", True),
    "integers": (lambda x, y: x // 2 + y, (int64["n"], int64["n"]), "x", True),
}  # fmt: skip


def traced(name: str) -> tuple[graphc.Graph, Options]:
    fn, types, donate, _ = PROGRAMS[name]
    graph = graphc.trace(fn, *types, name=f"f{sorted(PROGRAMS).index(name)}")
    found = donation.pairs(graph, graph.in_tree, graph.out_tree, graph.shown, donate)
    assert found
    return graph, Options(donated=found)


def compiled(name: str) -> tuple[graphc.Graph, Program]:
    graph, options = traced(name)
    return graph, lower(optimize(graph.plain), graph.shown, options)


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_places(name: str) -> None:
    graph, program = compiled(name)
    for n in (0, 1, 5) if program.dims else (5,):
        arrays = arrays_for(graph.inputs, {"n": n}, seed=n)
        found = loops_run.run(program, arrays, {"n": n})
        for got, want in zip(found, expected(graph, arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=name)
    copied = [b.name for b in program.buffers if b.name.endswith("_next")]
    assert (not copied) == PROGRAMS[name][3], f"{name}: {copied}"


@pytest.fixture(scope="module", params=["flags of kernels", "sanitizers"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Compiled]:
    flags = None
    if request.param == "sanitizers":
        flags = (*STRICT, "-O1", "-g", "-fsanitize=undefined", "-fno-sanitize-recover")
    pairs = [traced(name) for name in PROGRAMS]
    graphs = [optimize(graph.plain) for graph, _ in pairs]
    folder = tmp_path_factory.mktemp("donated")
    made = build(graphs, folder, flags, options=[options for _, options in pairs])
    return dict(zip(PROGRAMS, made, strict=True))


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_in_c(name: str, built: dict[str, Compiled]) -> None:
    assert FLAGS
    graph, _ = traced(name)
    for n in (0, 1, 6) if graph.dims else (5,):
        arrays = arrays_for(graph.inputs, {"n": n}, seed=n)
        found = built[name](arrays, {"n": n})
        for got, want in zip(found, expected(graph, arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=name)


def test_the_c_of_a_step() -> None:
    def step(W: Any, x: Any, rate: Any) -> Any:
        d_W = x.T @ (x @ W)
        W_new = W - rate * d_W
        return W_new

    graph = graphc.trace(step, F[3, 2], F[4, 3], F)
    unit = emit(lower(optimize(graph.plain), graph.shown, Options(donated=((0, 0),))))
    assert "void step(double *W, const double *x, double rate, void *workspace);" in unit.header
    assert "inout W     float64[3, 2], then W_new" in unit.header
    assert "W[i * 2 + j] -= rate * d_W[j]" in unit.source
    assert "W_new[" not in unit.source


def three_layers(params: Any, x: Any, rate: Any) -> Any:
    def loss(params: Any) -> Any:
        a = x
        for W in params:
            a = np.tanh(a @ W)
        return np.sum(a**2)

    gradient = graphc.grad(loss)(params)
    return [W - rate * g for W, g in zip(params, gradient, strict=True)]


def test_updates_come_as_soon_as_they_may() -> None:
    """The last layer is updated first, once the one before has read its old weights, so that one
    gradient at a time is in memory."""
    types = [F[20, 20]] * 3, F[9, 20], F
    graph = graphc.trace(three_layers, *types)
    donated = Options(donated=((0, 0), (1, 1), (2, 2)))
    program = lower(optimize(graph.plain), graph.shown, donated)
    free = lower(optimize(graph.plain), graph.shown)
    assert not [b for b in program.buffers if b.name.endswith("_next")]
    order = [
        stmt.buffer
        for stmt in statements(program.body)
        if isinstance(stmt, Store) and stmt.buffer in {y.name for y in program.outputs}
    ]
    assert order == [y.name for y in reversed(program.outputs)]
    assert isinstance(program.workspace, int)
    assert program.workspace < 3 * 20 * 20 * 8 + 6 * 9 * 20 * 8
    arrays = arrays_for(graph.inputs, {})
    pairs_ = zip(loops_run.run(program, arrays), loops_run.run(free, arrays), strict=True)
    for got, want in pairs_:
        np.testing.assert_array_equal(got, want)


def test_an_update_waits_for_the_readers_of_the_old_value() -> None:
    def step(W: Any, x: Any) -> Any:
        new = W + 1
        late = np.cumsum(np.sort(x)) * np.sum(W)
        return new, late, np.cumsum(W[::-1])

    graph = graphc.trace(step, F[5], F[6])
    program = lower(optimize(graph.plain), graph.shown, Options(donated=((0, 0),)))
    arrays = arrays_for(graph.inputs, {})
    for got, want in zip(loops_run.run(program, arrays), expected(graph, arrays), strict=True):
        np.testing.assert_allclose(got, want)


# --- which result ---------------------------------------------------------------------------------


def pairs(fn: Callable[..., Any], *types: Any, donate: Any) -> dict[str, int]:
    graph = graphc.trace(fn, *types)
    found = donation.pairs(graph, graph.in_tree, graph.out_tree, graph.shown, donate)
    return {graph.shown[i]: j for i, j in found}


def test_results_by_place_and_type() -> None:
    tree = {"W": F[3], "b": F[3]}

    def step(params: Any, mean: Any, x: Any) -> Any:
        new = {name: params[name] + mean[name] for name in params}
        return x, new, {name: mean[name] * 2 for name in mean}

    assert pairs(step, tree, tree, F[3], donate=("mean", "params")) == {
        "params['W']": 1, "params['b']": 2, "mean['W']": 3, "mean['b']": 4,
    }  # fmt: skip
    assert pairs(step, tree, tree, F[3], donate="mean['b']") == {"mean['b']": 4}
    assert pairs(step, tree, tree, F[3], donate=1) == {"mean['W']": 3, "mean['b']": 4}
    assert pairs(step, tree, tree, F[3], donate=2) == {"x": 0}


def test_results_by_name_else_the_first() -> None:
    def step(x: Any, y: Any) -> Any:
        other = x * 3
        y_new = x + y
        again = y_new * other
        return other, y_new, again

    assert pairs(step, F[3], F[3], donate="y") == {"y": 1}
    assert pairs(step, F[3], F[3], donate="x") == {"x": 0}
    assert pairs(step, F[3], F[3], donate=("x", "y")) == {"x": 0, "y": 1}
    assert pairs(step, F[3], F[3], donate=("y", "x", "y")) == {"x": 0, "y": 1}


def test_numbers_in_a_pytree_stay() -> None:
    def step(state: Any) -> Any:
        return {"W": state["W"] * 2, "t": state["t"] + 1}

    assert pairs(step, {"W": F[3], "t": F}, donate="state") == {"state['W']": 0}


@pytest.mark.parametrize(
    ("donate", "said"),
    [
        ("z", "f has no argument 'z' to donate; its arguments are x, y, rate"),
        (3, r"donate=3 is no position of an argument of f, which has 3 \(x, y, rate\)"),
        (-1, "donate=-1 is no position"),
        ((1.5,), "donate=1.5 is no argument of f; give names or positions"),
        (True, "donate=True is no argument"),
        ("rate", "argument 'rate' of f cannot be donated: it is a number, which C gets by value"),
        ("x", r"'x' of f cannot be donated: no result is float64\[3\] as it is, to take its "
         r"memory \(out: float64\[2\]\); return its new value, or do not donate it"),
        (("y", "x"), "no result is float64"),
    ],
)  # fmt: skip
def test_what_cannot_be_donated(donate: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        graphc.compile(lambda x, y, rate: y * rate + x[0], F[3], F[2], F, name="f", donate=donate)


def test_two_arguments_for_one_result() -> None:
    with pytest.raises(ArgumentError, match=r"no result is left that is float64\[3\]"):
        pairs(lambda x, y: x + y, F[3], F[3], donate=("x", "y"))


# --- from Python ----------------------------------------------------------------------------------


def step(params: Any, x: Any, rate: Any) -> Any:
    def loss(params: Any) -> Any:
        return np.mean((x @ params["W"] + params["b"]) ** 2)

    value, gradient = graphc.value_and_grad(loss)(params)
    return value, {name: params[name] - rate * gradient[name] for name in params}


TYPES = ({"W": F[3, 2], "b": F[2]}, F["n", 3], F)


@pytest.fixture(scope="module")
def kernel() -> graphc.Kernel:
    return graphc.compile(step, *TYPES, donate="params")


def some() -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.default_rng(0)
    return {"W": random.normal(size=(3, 2)), "b": random.normal(size=2)}, random.normal(size=(5, 3))


def test_results_are_the_donated_arrays(kernel: graphc.Kernel) -> None:
    params, x = some()
    before = {name: array.copy() for name, array in params.items()}
    value, new = kernel(params, x, 0.1)
    want = graphc.trace(step, *TYPES)(before, x, 0.1)
    assert new["W"] is params["W"]
    assert new["b"] is params["b"]
    np.testing.assert_allclose(value, want[0])
    np.testing.assert_allclose(params["W"], want[1]["W"])
    np.testing.assert_allclose(params["b"], want[1]["b"])


def test_bound_steps_go_on(kernel: graphc.Kernel) -> None:
    params, x = some()
    free = {name: array.copy() for name, array in params.items()}
    bound = kernel.bind(params, x, 0.1)
    assert bound.outputs[1] is params["W"]
    for _ in range(4):
        bound()
        _, free = graphc.trace(step, *TYPES)(free, x, 0.1)
    np.testing.assert_allclose(params["W"], free["W"])


def test_out_leaves_donated_results_alone(kernel: graphc.Kernel) -> None:
    params, x = some()
    value = np.empty(())
    kernel(params, x, 0.1, out=[value, None, None])
    kernel(params, x, 0.1, out=[value, params["W"], None])
    with pytest.raises(ArgumentError, match="must be None: it goes into the donated argument"):
        kernel(params, x, 0.1, out=[value, params["W"].copy(), None])


def other(name: str, array: Any) -> dict[str, Any]:
    return {**some()[0], name: array}


def read_only() -> np.ndarray:
    array = np.zeros((3, 2))
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (other("W", np.zeros((2, 3)).T), r"an array float64\[3, 2\], contiguous and aligned, not"),
        (other("W", np.zeros((3, 2), np.float32)), r"not float32\[3, 2\] that would be converted"),
        (other("W", read_only()), r"and it is read-only; pass params\['W'\].copy\(\)"),
        (other("W", np.zeros((4, 2))), "has 4 elements, not the 3"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bind", [False, True])
def test_what_cannot_be_overwritten(
    kernel: graphc.Kernel, params: Any, said: str, bind: bool
) -> None:
    call = kernel.bind if bind else kernel
    with pytest.raises(ArgumentError, match=said):
        call(params, np.ones((5, 3)), 0.1)


def test_overlaps_are_refused() -> None:
    kernel = graphc.compile(lambda x, y: x + y, F[3], F[3], name="sum_of", donate="x")
    both = np.arange(6.0)
    x, y = both[:3], both[3:]
    assert kernel(x, y) is x
    np.testing.assert_array_equal(both, [3, 5, 7, 3, 4, 5])
    with pytest.raises(ArgumentError, match="'x' of sum_of is donated and overlaps argument 'y'"):
        kernel(both[:3], both[2:5])
    with pytest.raises(ArgumentError, match="overlaps"):
        kernel(x, x)


def test_a_graph_by_input_names() -> None:
    graph = graphc.trace(lambda x, y: x + y, F[3], F[3], name="plain_sum")
    kernel = graphc.compile(graph.plain, donate="y")
    x, y = np.ones(3), np.arange(3.0)
    assert kernel(x, y) is y
    np.testing.assert_array_equal(y, [1, 2, 3])


def test_jit_donates() -> None:
    @graphc.jit(donate="x")
    def double(x: Any) -> Any:
        return x * 2

    x, z = np.ones(3), np.ones(4, np.float32)
    assert double(x) is x
    assert double(z) is z
    np.testing.assert_array_equal(x, [2, 2, 2])
    assert graphc.jit(lambda x: x + 1)(x) is not x


def test_jit_passes_on_what_compile_may_be_asked_for() -> None:
    fast = graphc.jit(lambda x: np.sum(np.cosh(x)), threads=2, optimize=1, target="portable")
    assert fast.kernel(np.ones(90_000)).program.threads == 2
    assert graphc.jit(trap_nans=True)(lambda x: np.log(x)).kernel(1.0).program.trap
    with pytest.raises(
        ArgumentError, match="jit has no option 'thread'; it takes target, trap_nans"
    ):
        graphc.jit(lambda x: x, thread=2)  # type: ignore[call-overload]


def test_a_network_is_trained_in_its_own_memory() -> None:
    """The step of benchmark W3, small: no array of the workspace is as large as W1."""
    sizes = {"W1": (48, 16), "b1": (16,), "W2": (16, 16), "b2": (16,), "W3": (16, 10), "b3": (10,)}
    types = {name: f32[shape] for name, shape in sizes.items()}
    kernel = graphc.compile(
        w3_mlp.step, types, f32["n", 48], int64["n"], f32, name="small_mlp", donate="params"
    )
    assert all(y.home for y in kernel.program.outputs[1:])
    assert not [b for b in kernel.program.buffers if b.name.endswith("_next")]
    random = np.random.default_rng(0)
    params = {
        name: (random.normal(size=shape) / 4).astype(np.float32) for name, shape in sizes.items()
    }
    x = random.random((20, 48), np.float32)
    labels = random.integers(0, 10, 20)
    free = graphc.compile(w3_mlp.step, types, f32["n", 48], int64["n"], f32, name="small_mlp")
    _, want = free({name: a.copy() for name, a in params.items()}, x, labels, np.float32(0.1))
    _, new = kernel(params, x, labels, np.float32(0.1))
    for name in params:
        assert new[name] is params[name]
        np.testing.assert_array_equal(new[name], want[name])
