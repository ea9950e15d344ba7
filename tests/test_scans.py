"""What the passes make of scans: run once, keep what costs, leave products to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import reference
from graphc.graph import Graph, Node, verify
from graphc.passes import PIPELINE, merge, optimize, postpone, record, run, simplify
from graphc.passes.loops import scan_of
from graphc.trace import trace_function

rng = np.random.default_rng(0)
T, B, H = 5, 3, 2
U, X = rng.normal(size=(H, 4 * H)), rng.normal(size=(T, B, 4 * H))
START = rng.normal(size=(B, H))


def lstm(U: Any, x: Any, start: Any, reverse: bool = False) -> Any:
    def cell(carry: Any, row: Any) -> Any:
        h, c = carry
        z = row + h @ U
        i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        return (h, c), h

    _, states = graphc.scan(cell, (start, start), x, reverse=reverse)
    return np.sum(states**2)


def unrolled(U: Any, x: Any, start: Any, reverse: bool = False) -> Any:
    h = c = start
    total: Any = 0.0
    for t in range(T)[:: -1 if reverse else 1]:
        i, f, g, o = ((x[t] + h @ U)[:, k * H : (k + 1) * H] for k in range(4))
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        total = total + np.sum(h**2)
    return total


def traced(fn: Callable[..., Any], *args: Any) -> Graph:
    return trace_function(fn, args).graph


def scans(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op.name == "scan"]


def body_ops(node: Node) -> list[str]:
    return [x.op.name for x in scan_of(node).body.nodes]


def everything(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        yield node
        for value in node.params.values():
            if isinstance(value, Graph):
                yield from everything(value)


def checked(fn: Callable[..., Any], *args: Any) -> Graph:
    """The optimised graph, which gives what the graph gives."""
    graph = traced(fn, *args)
    best = optimize(graph)
    verify(best)
    for node in best.nodes:
        if node.op.name == "scan":
            verify(scan_of(node).body)
    for mine, plain in zip(reference.run(best, args), reference.run(graph, args), strict=True):
        assert mine.dtype == plain.dtype
        np.testing.assert_allclose(mine, plain, rtol=1e-9, atol=1e-12)
    return best


@pytest.mark.parametrize("reverse", [False, True])
def test_a_gradient_steps_forward_once_and_back_once(reverse: bool) -> None:
    def f(*args: Any) -> Any:
        return graphc.value_and_grad(lambda *a: lstm(*a, reverse=reverse), (0, 1, 2))(*args)

    best = checked(f, U, X, START)
    forward, back = scans(best)
    assert body_ops(forward).count("einsum") == 1
    assert body_ops(back).count("einsum") == 1, "that of h alone: U's is taken after the loop"
    assert not {"tanh", "sigmoid", "exp"} & set(body_ops(back))
    assert (scan_of(forward).carry, scan_of(back).carry) == (2, 2)
    expected = graphc.grad(lambda *a: unrolled(*a, reverse=reverse), (0, 1, 2))(U, X, START)
    _, *found = reference.run(best, (U, X, START))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_second_order() -> None:
    def hvp(U: Any, x: Any, start: Any) -> Any:
        return graphc.grad(lambda u: np.sum(graphc.grad(lstm)(u, x, start) ** 2))(U)

    best = checked(hvp, U, X, START)

    def plain(U: Any, x: Any, start: Any) -> Any:
        return graphc.grad(lambda u: np.sum(graphc.grad(unrolled)(u, x, start) ** 2))(U)

    (found,) = reference.run(best, (U, X, START))
    np.testing.assert_allclose(found, plain(U, X, START), rtol=1e-9, atol=1e-10)


def test_nested_scans() -> None:
    def f(w: Any, xs: Any) -> Any:
        def outer(h: Any, row: Any) -> Any:
            h, ys = graphc.scan(lambda c, x: (np.tanh(w @ c + x), np.sin(c)), h, row)
            return h, np.sum(ys, axis=0)

        h, ys = graphc.scan(outer, np.zeros(2), xs)
        return np.sum(h) + np.sum(ys**2)

    w, xs = rng.normal(size=(2, 2)), rng.normal(size=(3, 4, 2))
    checked(graphc.value_and_grad(f, (0, 1)), w, xs)


def test_a_checkpoint_computes_its_step_again() -> None:
    def f(w: Any, h: Any, xs: Any) -> Any:
        step = graphc.checkpoint(lambda h, x: np.tanh(w @ h + x))
        return np.sum(graphc.scan(lambda h, x: (step(h, x), None), h, xs)[0])

    args = rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=(4, 2))
    best = checked(graphc.value_and_grad(f, (0, 1)), *args)
    assert "tanh" in body_ops(scans(best)[1])


def test_merge_leaves_other_scans_alone() -> None:
    def f(x: Any, xs: Any) -> Any:
        up = graphc.scan(lambda c, row: (c * row, c), x, xs)[1]
        more = graphc.scan(lambda c, row: (c * row, np.exp(c)), x, xs)[1]
        down = graphc.scan(lambda c, row: (c * row, c), x, xs, reverse=True)[1]
        other = graphc.scan(lambda c, row: (c + row, c), x, xs)[1]
        late = graphc.scan(lambda c, row: (c * row, c), x, up)[1]
        return up, more, down, other, late

    args = 2.0, rng.normal(size=4)
    graph = run((simplify,), traced(f, *args))
    assert len(scans(graph)) == 5
    merged = merge(graph)
    assert len(scans(merged)) == 4
    for mine, plain in zip(reference.run(merged, args), reference.run(graph, args), strict=True):
        np.testing.assert_array_equal(mine, plain)


def test_record_keeps_nothing_cheap() -> None:
    def f(x: Any, xs: Any) -> Any:
        return np.sum(graphc.scan(lambda c, row: (c * row + c, c * c), x, xs)[1])

    graph = run(PIPELINE[:4], traced(graphc.value_and_grad(f), 2.0, rng.normal(size=4)))
    assert [x.type for x in scans(record(graph))] == [x.type for x in scans(graph)]


def test_postpone_adds_what_is_left() -> None:
    def f(start: Any, a: Any, b: Any) -> Any:
        def step(c: Any, row: Any) -> Any:
            total, h = c
            x, y = row
            return (total + x.T @ y + (x * h).T @ y + np.sin(y[0]), h * 0.5), None

        return graphc.scan(step, (start, 1.0), (a, b))[0]

    args = rng.normal(size=(6, 6)), rng.normal(size=(4, 5, 6)), rng.normal(size=(4, 5, 6))
    graph = run(PIPELINE[:5], traced(f, *args))
    best = postpone(graph)
    assert [x.op.name for x in best.nodes].count("einsum") == 2
    (loop,) = scans(best)
    assert "einsum" not in body_ops(loop)
    assert "sin" in body_ops(loop)
    for mine, plain in zip(reference.run(best, args), reference.run(graph, args), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-12)


def test_what_is_read_in_the_loop_stays() -> None:
    def f(start: Any, a: Any) -> Any:
        return graphc.scan(lambda c, x: (c + x.T @ x, np.sum(c)), start, a)

    args = rng.normal(size=(6, 6)), rng.normal(size=(4, 5, 6))
    (loop,) = scans(checked(f, *args))
    assert "einsum" in body_ops(loop)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_named_lengths(steps: int) -> None:
    def f(w: Any, xs: Any) -> Any:
        h, _ = graphc.scan(lambda h, x: (np.tanh(w @ h + x), None), np.zeros(8), xs)
        return np.sum(h**2)

    both = graphc.value_and_grad(f, (0, 1))
    f64 = graphc.float64
    w, xs = rng.normal(size=(8, 8)), rng.normal(size=(steps, 8))
    kernel = graphc.compile(both, f64[8, 8], f64["n", 8])
    value, grads = kernel(w, xs)
    expected, slopes = both(w, xs)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for mine, theirs in zip(grads, slopes, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_huge_stacks_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.passes.loops.LARGEST_STACK", 8)
    best = checked(graphc.value_and_grad(lstm), U, X, START)
    assert "tanh" in body_ops(scans(best)[1])
