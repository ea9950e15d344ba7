"""The public face: trace, Graph, compile, jit, and what `import graphc` brings."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
import threading
import types
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import ArgumentError, TraceError
from graphc.graph import walk

Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class Layer:
    W: object
    b: object


def loss(x1, x2, w13, w24, t):
    """The loss of Exercise 2."""
    z3 = x1 * w13
    z4 = x2 * w24
    a3 = 0.5 * z3**2
    a4 = 0.5 * z4**2
    y = a3 + a4
    return 0.5 * (y - t) ** 2


def linear(params, x):
    return np.sum(np.tanh(x @ params["W"] + params["b"]) ** 2)


LOSS = (1.0, 2.0, 3.0, 4.0, 5.0)
LINEAR = ({"W": graphc.float64[3, 2], "b": graphc.float64[2]}, graphc.float64["n", 3])


def arrays(seed=0, n=5):
    rng = np.random.default_rng(seed)
    return {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}, rng.normal(size=(n, 3))


# --- what is there -------------------------------------------------------------------------------


def test_all_is_exactly_what_is_there() -> None:
    tree = ast.parse(Path(graphc.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(graphc.__all__) == imported
    assert graphc.__all__ == sorted(graphc.__all__, key=lambda name: (name.islower(), name))
    modules = [n for n in graphc.__all__ if isinstance(getattr(graphc, n), types.ModuleType)]
    assert modules == ["errors"]


def test_the_version_is_that_of_the_package() -> None:
    project = (Path(graphc.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{graphc.__version__}"\n' in project


def test_every_public_function_says_what_it_does() -> None:
    for name in graphc.__all__:
        value = getattr(graphc, name)
        if callable(value):
            assert value.__doc__, name


IMPORTED = """
import sys, numpy
before = set(sys.modules)
import graphc
print(*set(sys.modules) - before)
"""
SLOW = {"asyncio", "concurrent", "ctypes", "email", "http", "logging", "multiprocessing", "sqlite3",
        "ssl", "subprocess", "tempfile", "unittest", "xml"}  # fmt: skip
"""Modules of Python that take as long to load as many of ours."""
LATER = ("graphc.emit_c", "graphc.emit_dot", "graphc.emit_tex", "graphc.explain.", "graphc.formula",
         "graphc.kernel.profiling", "graphc.lower", "graphc.maths")  # fmt: skip
"""What a kernel of the disk cache is called without: two thirds of our own."""


def test_import_loads_little() -> None:
    """What compiling, drawing and the command need is loaded by them; `make bench` has the time."""
    run = [sys.executable, "-c", IMPORTED]
    told = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert not [name for name in told.split() if name.startswith(LATER)]
    loaded = {name.split(".")[0] for name in told.split()}
    assert loaded - sys.stdlib_module_names <= {"graphc", "numpy", "optree", "typing_extensions"}
    assert not loaded & SLOW


# --- trace and Graph -----------------------------------------------------------------------------


def test_a_graph_runs_as_its_function_does() -> None:
    graph = graphc.trace(loss, *LOSS)
    assert graph(*LOSS) == loss(*LOSS)
    assert "z3: float64[] = multiply(x1, w13)" in str(graph)
    assert repr(graph) == str(graph)
    assert [x.name for x in graph.inputs] == ["x1", "x2", "w13", "w24", "t"]
    assert len(graph.outputs) == 1
    assert set(graph.inputs) <= set(graph.nodes)
    assert graph.doc == "The loss of Exercise 2."


def test_a_graph_takes_any_size_of_a_named_dimension() -> None:
    graph = graphc.trace(linear, *LINEAR)
    for n in (0, 1, 7):
        params, x = arrays(n=n)
        np.testing.assert_allclose(graph(params, x), linear(params, x), rtol=1e-13)


def test_arguments_and_results_are_pytrees() -> None:
    def forward(layers, x, *, scale):
        a = x
        for layer in layers:
            a = a @ layer.W + layer.b
        return Pair({"out": a * scale}, [a.sum(axis=0), None, (a.T,)])

    layers = [Layer(np.ones((3, 4)), np.arange(4.0)), Layer(np.ones((4, 2)), np.zeros(2))]
    x = np.arange(6.0).reshape(2, 3)
    graph = graphc.trace(forward, layers, x, scale=2.0)
    assert graph.shown == ("layers[0].W", "layers[0].b", "layers[1].W", "layers[1].b", "x", "scale")
    got, want = graph(layers, x, scale=3.0), forward(layers, x, scale=3.0)
    assert type(got) is Pair
    np.testing.assert_array_equal(got.left["out"], want.left["out"])
    np.testing.assert_array_equal(got.right[2][0], want.right[2][0])
    assert got.right[1] is None


def test_another_structure_is_refused() -> None:
    graph = graphc.trace(linear, *LINEAR)
    params, x = arrays()
    with pytest.raises(ArgumentError, match=r"params\['W'\], params\['b'\], x"):
        graph([params["W"], params["b"]], x)


def test_a_name_can_be_given() -> None:
    assert graphc.trace(loss, *LOSS, name="my loss").name == "my_loss"


def test_arguments_left_out_keep_their_defaults() -> None:
    def scaled(x, factor=3.0):
        return x * factor

    assert graphc.trace(scaled, 1.0)(2.0) == 6.0
    assert graphc.trace(scaled, 1.0, factor=1.0)(2.0, factor=5.0) == 10.0


# --- Graph.grad ----------------------------------------------------------------------------------


def test_the_gradient_of_exercise_2() -> None:
    x1, x2, w13, w24, t = LOSS
    z3, z4 = x1 * w13, x2 * w24
    e = 0.5 * z3**2 + 0.5 * z4**2 - t
    graph = graphc.trace(loss, *LOSS)
    assert graph.grad("w13")(*LOSS) == pytest.approx(e * z3 * x1, rel=1e-14)
    both = graph.grad(("w13", "w24"))(*LOSS)
    assert both == pytest.approx((e * z3 * x1, e * z4 * x2), rel=1e-14)
    value, gradient = graph.grad(["w24"], value=True)(*LOSS)
    assert value == loss(*LOSS)
    assert gradient == pytest.approx((e * z4 * x2,), rel=1e-14)
    assert len(graph.grad()(*LOSS)) == 5


def test_the_gradient_has_the_structure_of_what_it_is_by() -> None:
    graph = graphc.trace(linear, *LINEAR)
    params, x = arrays()
    want, want_x = graphc.grad(linear, argnums=(0, 1))(params, x)
    whole = graph.grad("params")(params, x)
    assert set(whole) == {"W", "b"}
    np.testing.assert_allclose(whole["W"], want["W"], rtol=1e-13)
    for name in ("params_W", "params['W']"):
        np.testing.assert_array_equal(graph.grad(name)(params, x), whole["W"])
    value, (d_x, d_params) = graph.grad(("x", "params"), value=True)(params, x)
    np.testing.assert_allclose(value, linear(params, x))
    np.testing.assert_allclose(d_x, want_x, rtol=1e-13)
    np.testing.assert_array_equal(d_params["b"], whole["b"])


def test_a_gradient_can_be_derived_again() -> None:
    graph = graphc.trace(lambda x: np.exp(2 * x), 1.0, name="double")
    assert graph.grad("x").grad("x").grad("x")(0.5) == pytest.approx(8 * np.e)


def test_a_wrong_name_is_refused_with_the_right_ones() -> None:
    with pytest.raises(TraceError, match=r"no input 'w'; its inputs are x1, x2, w13, w24, t"):
        graphc.trace(loss, *LOSS).grad("w")


def test_a_gradient_needs_a_scalar() -> None:
    with pytest.raises(TraceError, match="needs a floating-point scalar"):
        graphc.trace(lambda x: x * 2, graphc.float64[3]).grad("x")


def test_optimized_means_the_same() -> None:
    graph = graphc.trace(linear, *LINEAR).grad("params", value=True)
    params, x = arrays()
    value, gradient = graph.optimized()(params, x)
    want, wanted = graph(params, x)
    np.testing.assert_allclose(value, want, rtol=1e-14)
    np.testing.assert_allclose(gradient["W"], wanted["W"], rtol=1e-13)


def test_a_graph_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        graphc.trace(loss, *LOSS).name = "other"  # type: ignore[misc]  # that is the test


# --- compile -------------------------------------------------------------------------------------


def test_a_kernel_is_called_as_its_function_is() -> None:
    kernel = graphc.compile(linear, *LINEAR)
    for n in (0, 1, 6):
        params, x = arrays(n=n)
        np.testing.assert_allclose(kernel(params, x), linear(params, x), rtol=1e-13)
    assert kernel.name == "linear"
    assert isinstance(kernel, graphc.Kernel)
    assert isinstance(kernel.graph, graphc.Graph)


def test_a_compiled_gradient_has_its_structure() -> None:
    graph = graphc.trace(linear, *LINEAR).grad(("params", "x"), value=True)
    params, x = arrays()
    value, (d_params, d_x) = graphc.compile(graph, name="step")(params, x)
    want, (wanted, wanted_x) = graph(params, x)
    np.testing.assert_allclose(value, want, rtol=1e-13)
    np.testing.assert_allclose(d_params["W"], wanted["W"], rtol=1e-12)
    np.testing.assert_allclose(d_x, wanted_x, rtol=1e-12)


def test_results_may_be_any_tree() -> None:
    def both(x, y):
        return {"sum": x + y, "pair": (x * y, [x])}

    kernel = graphc.compile(both, graphc.float64[2], graphc.float64[2])
    got = kernel(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    assert got["sum"].tolist() == [4, 6]
    assert got["pair"][0].tolist() == [3, 8]
    assert got["pair"][1][0].tolist() == [1, 2]


def test_compile_takes_names_and_keywords() -> None:
    kernel = graphc.compile(loss, *LOSS, name="my loss")
    assert kernel.name == "my_loss"
    assert "double my_loss(" in kernel.source or "void my_loss(" in kernel.source
    by_name = graphc.compile(linear, params=LINEAR[0], x=LINEAR[1])
    params, x = arrays()
    np.testing.assert_allclose(by_name(params=params, x=x), linear(params, x), rtol=1e-13)


def test_a_graph_needs_no_examples() -> None:
    with pytest.raises(TraceError, match="without examples"):
        graphc.compile(graphc.trace(loss, *LOSS), *LOSS)


def test_a_plain_graph_compiles_too() -> None:
    kernel = graphc.compile(graphc.trace(linear, *LINEAR).plain)
    params, x = arrays()
    np.testing.assert_allclose(kernel(params["W"], params["b"], x), linear(params, x), rtol=1e-13)


# --- jit -----------------------------------------------------------------------------------------


def counted(fn):
    """fn, and the list of the traces it went through."""
    traces: list[int] = []

    def counting(*args):
        traces.append(len(args))
        return fn(*args)

    return counting, traces


def test_jit_compiles_each_signature_once() -> None:
    fn, traces = counted(lambda x, y: x * y + 1)
    jitted = graphc.jit(fn)
    assert jitted(2.0, 3.0) == 7
    assert jitted(4.0, 5.0) == 21
    assert len(traces) == 1
    assert jitted(np.arange(3.0), 2.0).tolist() == [1, 3, 5]
    assert jitted(np.arange(4.0), 2.0).tolist() == [1, 3, 5, 7]
    assert len(traces) == 3
    assert jitted(np.arange(3, dtype=np.float32), np.float32(2)).dtype == np.float32
    assert jitted(2, 3) == 7
    assert jitted(2, 3).dtype == np.int64
    assert jitted(np.arange(3.0), 3.0).tolist() == [1, 4, 7]
    assert len(traces) == 5


def test_jit_keeps_name_and_documentation_and_takes_keywords() -> None:
    jitted = graphc.jit(loss)
    assert jitted.__name__ == "loss"
    assert jitted.__doc__ == loss.__doc__
    assert jitted.__wrapped__ is loss
    x1, x2, w13, w24, t = LOSS
    assert jitted(x1, x2, t=t, w24=w24, w13=w13) == loss(*LOSS)
    assert jitted.kernel(*LOSS) is jitted.kernel(x1, x2, w13, t=t, w24=w24)


def test_jit_tells_trees_apart() -> None:
    @graphc.jit
    def total(tree):
        return sum(tree.values()) if isinstance(tree, dict) else tree[0] - tree[1]

    assert total({"a": 1.0, "b": 2.0}) == 3
    assert total([5.0, 1.0]) == 4
    assert total({"a": 1.0, "b": 2.0, "c": 4.0}) == 7


def test_jit_inside_a_trace_is_the_function() -> None:
    @graphc.jit
    def square(x):
        return x * x

    assert graphc.grad(square)(3.0) == 6
    assert "multiply" in str(graphc.trace(square, 1.0))
    assert graphc.jit(graphc.grad(graphc.jit(lambda x: x**3.0)))(2.0) == pytest.approx(12)


def test_jit_compiles_once_in_many_threads() -> None:
    fn, traces = counted(lambda x: np.sum(x * 2))
    jitted = graphc.jit(fn)
    start, found = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        found.append(jitted(np.arange(5.0)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20.0] * 8
    assert len(traces) == 1


def test_jit_refuses_what_it_cannot_trace_or_pass() -> None:
    with pytest.raises(TraceError, match="'text' of type str"):
        graphc.jit(lambda x: x)("text")

    @graphc.jit
    def scaled(x, *, factor):
        return x * factor

    with pytest.raises(TraceError, match="cannot pass factor"):
        scaled(1.0, factor=2.0)


# --- pictures ------------------------------------------------------------------------------------


def test_a_graph_is_drawn_in_every_view(tmp_path: Path) -> None:
    graph = graphc.trace(loss, *LOSS)
    for view in ("graph", "network", "kernels"):
        path = graph.draw(tmp_path / f"{view}.dot", view=view)
        assert path.read_text().startswith("digraph")
    assert "z3" in (tmp_path / "graph.dot").read_text()


def test_a_gradient_is_drawn_too(tmp_path: Path) -> None:
    graph = graphc.trace(linear, *LINEAR).grad("params")
    for view in ("graph", "kernels"):
        assert "params_W" in graph.draw(tmp_path / "g.dot", view=view).read_text()


def test_without_dot_a_notebook_shows_text(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graphc.trace(loss, *LOSS)
    monkeypatch.setenv("PATH", "")
    assert graph._repr_svg_() is None
    with pytest.raises(graphc.errors.DrawError, match="needs the program dot of Graphviz"):
        graph.draw("never.svg")


def test_a_notebook_shows_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\nwhile read line; do :; done\necho '<svg>drawn</svg>'\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "<svg>drawn</svg>" in str(graphc.trace(loss, *LOSS)._repr_svg_())


def test_a_container_is_never_taken_for_another() -> None:
    """Calls without pytrees have a quick road; a list that follows must not go down it."""
    jitted = graphc.jit(lambda x: x[0] + x[1])
    assert jitted(np.array([1.0, 2.0])) == 3
    assert jitted([1.0, 2.0]) == 3
    assert jitted([np.array([1.0, 5.0]), 2.0]).tolist() == [3, 7]
    assert jitted({0: 1.0, 1: 4.0}) == 5
    assert jitted(np.array([1, 2])).dtype == np.int64


def test_a_graph_is_written_in_latex() -> None:
    text = graphc.trace(loss, *LOSS).latex()
    assert text.startswith("\\begin{align*}\n")
    assert text.endswith("\\end{align*}\n")
    assert "z_3 &= " in text
    assert "w_{13}" in text
    assert text.count("&=") == 6
    assert "&=" in graphc.trace(linear, *LINEAR).grad("params").latex()


def test_a_traced_graph_has_the_nodes_that_a_walk_finds() -> None:
    def loss(x: Any, w: Any) -> Any:
        y = np.tanh(x @ w)
        return (y * y).sum()

    gradient = graphc.value_and_grad(loss, argnums=1)
    for fn in (loss, gradient):
        graph = graphc.trace(fn, graphc.float32["n", 4], graphc.float32[4, 3])
        found = tuple(walk((*graph.inputs, *graph.outputs)))
        assert graph.nodes == graph.plain.nodes == found
