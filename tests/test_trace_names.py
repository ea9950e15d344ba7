"""Names and lines of the user's code reach the nodes, and tracing leaves no trace behind."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
import warnings
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc.graph import Graph, verify
from graphc.trace import trace_function
from graphc.transform import grad, value_and_grad
from graphc.trees import identifier
from graphc.types import float32, float64

# names that nothing reads are what these functions are for


def graph_of(fn: Callable[..., Any], *args: Any) -> Graph:
    graph = trace_function(fn, args).graph
    verify(graph)
    return graph


def names_of(fn: Callable[..., Any], *args: Any) -> list[str]:
    """Names of the computed nodes, in the user's order."""
    return [
        node.name for node in graph_of(fn, *args).nodes if node.name and node.op.name != "input"
    ]


def test_locals_name_nodes() -> None:
    def f(x1: Any, w13: Any) -> Any:
        z3 = x1 * w13
        a3 = 0.5 * z3**2
        y = a3 + 1
        return y

    graph = graph_of(f, 1.0, 2.0)
    assert names_of(f, 1.0, 2.0) == ["z3", "a3", "y"]
    assert [x.name for x in graph.inputs] == ["x1", "w13"]
    assert graph.output_names == ("y",)
    assert graph.name == "f"


def test_the_outermost_name_wins() -> None:
    def layer(a: Any, w: Any) -> Any:
        z = a @ w
        h = np.tanh(z)
        return h

    def f(x: Any, w1: Any, w2: Any) -> Any:
        first = layer(x, w1)
        second = layer(first, w2)
        return second

    types = (float64[3], float64[3, 4], float64[4, 2])
    assert names_of(f, *types) == ["z", "first", "z2", "second"]


def test_rebinding_numbers_the_later_values() -> None:
    def f(x: Any) -> Any:
        a = x * 2
        a = np.sin(a)
        a = np.cos(a)
        a3 = a + 1
        a3 = a3 + 1
        return a3

    assert names_of(f, 1.0) == ["a", "a2", "a4", "a3", "a3_2"]


def test_the_first_name_of_a_value_stays() -> None:
    def f(x: Any) -> Any:
        z = x * 2
        copy = z
        return np.exp(copy)

    assert names_of(f, 1.0) == ["z"]


def test_lambdas_methods_and_closures() -> None:
    scale = 3.0

    class Model:
        def __init__(self, w: Any) -> None:
            self.w = w

        def __call__(self, x: Any) -> Any:
            hidden = x * self.w * scale
            double = lambda v: v * 2  # noqa: E731  # a lambda is the point
            out = double(hidden)
            return out

    assert names_of(Model(np.ones(3)), float64[3]) == ["hidden", "out"]
    assert graph_of(lambda x: x + 1, 1.0).name == "lambda"


def test_unpacking_loops_walrus_and_with() -> None:
    def f(x: Any) -> Any:
        (p, q), r = np.split(x, 2), x * 2
        for part in [p * 3, q * 4]:
            total = part + 1
        if (late := total * 5) is not None:
            last = late
        return r, last

    assert names_of(f, float64[4]) == ["q", "r", "part", "total", "late"]


@dataclasses.dataclass
class Params:
    W: Any
    b: Any


Pair = namedtuple("Pair", ["left", "right"])


def test_arguments_name_their_leaves_by_path() -> None:
    def f(p: Any, pair: Any, xs: Any, d: Any, *rest: Any, scale: Any) -> Any:
        return p.W @ xs[0] + p.b + pair.left + d["in"]["k"] + rest[1] + rest[0] + scale

    traced = trace_function(
        f,
        (
            Params(float64[2, 3], float64[2]),
            Pair(float64[2], float64),
            [float64[3], float64],
            {"in": {"k": float64}},
            float64,
            float64[2],
        ),
        {"scale": float64},
    )
    assert [x.name for x in traced.graph.inputs] == [
        "p_W",
        "p_b",
        "pair_left",
        "pair_right",
        "xs_0",
        "xs_1",
        "d_in_k",
        "rest_0",
        "rest_1",
        "scale",
    ]
    assert traced.shown == (
        "p.W",
        "p.b",
        "pair.left",
        "pair.right",
        "xs[0]",
        "xs[1]",
        "d['in']['k']",
        "rest_0",
        "rest_1",
        "scale",
    )


def test_containers_name_their_parts() -> None:
    def f(x: Any) -> Any:
        params = {"w": x * 2, "b": x * 3}
        pair = Pair(x * 4, x * 5)
        record = Params(x * 6, x * 7)
        several = [x * 8, x * 9]
        return params, pair, several, dataclasses.astuple(record)

    def g(x: Any) -> Any:
        record = Params(x * 6, x * 7)
        return record

    assert names_of(f, 1.0)[:6] == [
        "params_w",
        "params_b",
        "pair_left",
        "pair_right",
        "record_W",
        "record_b",
    ]
    assert names_of(g, 1.0) == ["record_W", "record_b"]


def test_outputs_are_named_by_path_or_local() -> None:
    def f(x: Any) -> Any:
        loss = x * 2
        return {"loss": loss, "extra": x * 3, "same": loss, "x": x, "list": [x + 1, x + 2]}

    graph = graph_of(f, 1.0)
    assert sorted(graph.output_names) == ["extra", "list", "list2", "loss", "same", "x2"]
    assert graph_of(lambda x: (x * 1.5, x), 1.0).output_names == ("out", "out2")


def test_names_are_identifiers() -> None:
    def f(μ: Any, σ2: Any) -> Any:
        Δ = μ - σ2
        x̂ = Δ * 2
        return x̂

    graph = graph_of(f, 1.0, 2.0)
    assert [x.name for x in graph.inputs] == ["mu", "sigma2"]
    assert names_of(f, 1.0, 2.0) == ["Delta", "x"]
    for text, wanted in [
        ("a b", "a_b"),
        ("1st", "v_1st"),
        ("", "v_"),
        ("x₁", "x1"),
        ("é", "e"),
        ("ς", "sigma"),
        ("日", "v_"),
        ("<lambda>", "lambda"),
    ]:
        assert identifier(text) == wanted
        assert identifier(text).isidentifier()


def test_gradients_are_named_after_what_they_derive() -> None:
    def loss(w: Any, x: Any) -> Any:
        z = w * x
        value = np.sum(z**3.0)
        return value

    graph = graph_of(value_and_grad(loss), float64[3], float64[3])
    names = [node.name for node in graph.nodes if node.part == "backward" and node.name]
    assert "d_z" in names
    assert "d_w" in names
    assert graph.output_names == ("value", "d_w")


def test_every_line_is_cited() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x)
        return np.sum(
            y * 2,  # an argument on its own line
            axis=0,
        )

    first = f.__code__.co_firstlineno
    nodes = [node for node in graph_of(f, float64[3]).nodes if node.operands]
    assert [node.source.line - first for node in nodes if node.source] == [1, 3, 2]
    assert all(node.source.file == __file__ for node in nodes if node.source)


def test_tracing_restores_what_watched_before() -> None:
    def f(x: Any) -> Any:
        inside = x * 2
        return inside + 1

    seen: list[str] = []

    def spy(frame: Any, event: str, arg: Any) -> Any:
        if frame.f_code is f.__code__:
            seen.append(event)
        return spy

    before = sys.gettrace()
    sys.settrace(spy)
    try:
        assert names_of(f, 1.0) == ["inside"]
        assert sys.gettrace() is spy
    finally:
        sys.settrace(before)
    assert seen == ["call", "line", "line", "return"]
    with pytest.raises(ZeroDivisionError):
        trace_function(lambda x: 1 // 0, (1.0,))
    assert sys.gettrace() is before


def test_threads_do_not_share_names() -> None:
    found: dict[int, list[str]] = {}

    def work(k: int) -> None:
        def f(x: Any) -> Any:
            for _ in range(20):
                mine = x * k
                time.sleep(0)
            return mine

        found[k] = names_of(f, 1.0)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(names == ["mine"] for names in found.values())
    assert len(found) == 6


PROGRAM = """
import numpy as np
from graphc.trace import trace_function
from graphc.transform import value_and_grad
from graphc.types import float32
def loss(params, x):
    for key in sorted(params):
        x = np.tanh(x @ params[key])
        total = {k: np.sum(x) for k in ("a", "b", "c")}
    return np.mean(x) + sum(total.values())
shapes = {k: float32[4, 4] for k in "qwerty"}
print(trace_function(value_and_grad(loss), (shapes, float32["n", 4])).graph)
"""


def test_processes_agree() -> None:
    def run(seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    texts = {run(seed) for seed in ("0", "1", "77")}
    assert len(texts) == 1
    assert "d_params_q" in texts.pop()


def unrolled(n: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        for _ in range(n):
            x = np.sin(x) + x
        return x

    return f


def test_a_long_python_loop_draws_one_warning() -> None:
    with pytest.warns(
        UserWarning,
        match=r"f has 1\d+ nodes, 1\d+ of them made at "
        r"test_trace_names\.py:\d+: .*graphc\.scan",
    ) as caught:
        trace_function(unrolled(5_100), (float32[3],))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace_function(unrolled(400), (float32[3],))


def test_tracing_is_linear_in_the_nodes() -> None:
    """No step looks at all earlier nodes: ten times the nodes, about ten times the time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spent = []
        for n in (400, 4000):
            start = time.process_time()
            trace_function(unrolled(n), (float32[3],))
            spent.append(time.process_time() - start)
    assert spent[1] < 40 * spent[0]


def test_a_gradient_inside_a_trace_keeps_outer_names() -> None:
    def f(x: Any) -> Any:
        scale = x * 3
        slope = grad(lambda v: np.sum(v * v * scale))(x)
        return slope

    assert {"scale", "slope"} <= set(names_of(f, float64[2]))
