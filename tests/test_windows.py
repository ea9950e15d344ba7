"""Windows, padding, and the convolutions and poolings that people write with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_tools import build
from numpy.lib.stride_tricks import sliding_window_view
from test_indexing import check
from test_ops import adjoint_graph

from graphc import reference
from graphc.errors import ShapeError, TraceError
from graphc.graph import Graph
from graphc.lower import lower
from graphc.passes import optimize
from graphc.trace import trace_function
from graphc.transform import grad
from graphc.types import evaluate, float64

rng = np.random.default_rng(0)
X1, X2, X3 = rng.normal(size=9), rng.normal(size=(5, 7)), rng.normal(size=(2, 6, 5))

# --- sliding_window_view ------------------------------------------------------------------------

WINDOWS: dict[str, tuple[Callable[..., Any], Any]] = {
    "1-d": (lambda x: sliding_window_view(x, 3), X1),
    "whole": (lambda x: sliding_window_view(x, 9), X1),
    "one": (lambda x: sliding_window_view(x, 1), X1),
    "2-d": (lambda x: sliding_window_view(x, (2, 3)), X2),
    "one axis": (lambda x: sliding_window_view(x, 4, axis=1), X2),
    "axes": (lambda x: sliding_window_view(x, (3, 2), axis=(-1, 1)), X3),
    "one axis twice": (lambda x: sliding_window_view(x, (2, 3), axis=(0, 0)), X1),
    "steps": (lambda x: sliding_window_view(x, (3, 3))[::2, ::3], X2),
    "dilated": (lambda x: sliding_window_view(x, 5)[:, ::2], X1),
    "backwards": (lambda x: sliding_window_view(x, 3)[::-1, ::-1], X1),
    "of windows": (lambda x: sliding_window_view(sliding_window_view(x, 4), 2, axis=0), X1),
    "moving average": (lambda x: sliding_window_view(x, 3).mean(axis=-1), X1),
    "moving maximum": (lambda x: sliding_window_view(x, 3).max(axis=-1), X1),
    "moving median": (lambda x: np.median(sliding_window_view(x, 3), axis=-1), X1),
    "weighted": (lambda x: (sliding_window_view(x, 3) * np.arange(3.0)).sum(-1) ** 2, X1),
    "squared": (lambda x: np.exp(sliding_window_view(x, (2, 2))) ** 2, X2),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name: str, tmp_path: Path) -> None:
    fn, x = WINDOWS[name]
    check(fn, [x], tmp_path)


def test_windows_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"window of 10 does not fit float64\[9\] along axis 0"):
        trace_function(lambda x: sliding_window_view(x, 10), (X1,))
    with pytest.raises(ValueError, match="1 window sizes for 2 axes"):
        trace_function(lambda x: sliding_window_view(x, 2), (X2,))


# --- pad ----------------------------------------------------------------------------------------

MODES = ("constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp", "maximum", "minimum",
         "mean", "median")  # fmt: skip
WIDTHS = (2, (1, 3), ((0, 2), (3, 1)), ((2, 0), (0, 0)), ((4, 4), (6, 5)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS, ids=str)
def test_pad(mode: str, width: Any) -> None:
    check(lambda x: np.pad(x, width, mode=mode), [X2])


PADS: dict[str, Callable[..., Any]] = {
    "far": lambda x: np.pad(x, ((13, 17), (0, 20)), mode="reflect"),
    "far symmetric": lambda x: np.pad(x, ((13, 17), (0, 20)), mode="symmetric"),
    "far wrap": lambda x: np.pad(x, ((13, 17), (0, 20)), mode="wrap"),
    "values": lambda x: np.pad(x, ((1, 2), (3, 0)), constant_values=((1, 2), (3, 4))),
    "end values": lambda x: np.pad(x, 2, mode="linear_ramp", end_values=(5.0, -4.0)),
    "stat length": lambda x: np.pad(x, 2, mode="mean", stat_length=2),
    "stat lengths": lambda x: np.pad(x, 1, mode="maximum", stat_length=((2, 3), (1, 99))),
    "odd": lambda x: np.pad(x, ((2, 1), (0, 3)), mode="reflect", reflect_type="odd"),
    "odd symmetric": lambda x: np.pad(x, 2, mode="symmetric", reflect_type="odd"),
    "windows of it": lambda x: sliding_window_view(np.pad(x, 1, mode="edge"), (3, 3)).sum((2, 3)),
}


@pytest.mark.parametrize("name", PADS)
def test_pad_options(name: str, tmp_path: Path) -> None:
    check(PADS[name], [X2], tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_pad_of_integers(mode: str) -> None:
    check(lambda x: np.pad(x, (2, 3), mode=mode), [np.array([3, -1, 4, 1, 5])])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_pad_of_a_run_time_size(mode: str, tmp_path: Path) -> None:
    def f(x: Any) -> Any:
        return np.pad(x, ((2, 3), (0, 0)), mode=mode)

    graph = trace_function(f, (float64["n", 2],)).graph
    back = trace_function(grad(lambda x: np.sum(f(x) ** 2)), (float64["n", 2],)).graph
    compiled, adjoint = build([optimize(graph), called(optimize(back), "back")], tmp_path)
    for n in (2, 4, 7):
        x = rng.normal(size=(n, 2))
        np.testing.assert_array_equal(reference.run(graph, [x])[0], f(x))
        np.testing.assert_array_equal(compiled([x], {"n": n})[0], f(x))
        counts = f(np.arange(2 * n).reshape(n, 2)).astype(int)
        want = 2 * x * np.array([(counts == k).sum() for k in range(2 * n)]).reshape(n, 2)
        if mode != "constant":
            np.testing.assert_allclose(adjoint([x], {"n": n})[0], want)


def called(graph: Graph, name: str) -> Graph:
    return Graph(name, graph.inputs, graph.outputs, graph.output_names)


def test_pad_refuses() -> None:
    with pytest.raises(TraceError, match=r"mode='empty'.*edge"):
        trace_function(lambda x: np.pad(x, 1, mode="empty"), (X1,))
    with pytest.raises(ValueError, match="does not take stat_length"):
        trace_function(lambda x: np.pad(x, 1, mode="edge", stat_length=2), (X1,))
    with pytest.raises(ShapeError, match="cannot extend an empty axis"):
        trace_function(lambda x: np.pad(x[:0], 1, mode="edge"), (X1,))


# --- convolutions and poolings ------------------------------------------------------------------


def conv1d(x: Any, k: Any) -> Any:
    """x[n, c, w], k[o, c, i]"""
    return np.einsum("ncwi,oci->now", sliding_window_view(x, k.shape[-1], axis=-1), k)


def conv2d(
    x: Any, k: Any, pad: int = 0, stride: int = 1, dilation: int = 1, groups: int = 1
) -> Any:
    """x[n, c, h, w], k[o, c / groups, i, j]"""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    n, c, h, w = x.shape
    o, _, i, j = k.shape
    span = (dilation * (i - 1) + 1, dilation * (j - 1) + 1)
    x = x.reshape(n, groups, c // groups, h, w)
    seen = sliding_window_view(x, span, axis=(-2, -1))
    seen = seen[:, :, :, ::stride, ::stride, ::dilation, ::dilation]
    y = np.einsum("ngchwij,gocij->ngohw", seen, k.reshape(groups, o // groups, -1, i, j))
    return y.reshape(n, o, *y.shape[-2:])


def conv3d(x: Any, k: Any) -> Any:
    return np.einsum("ncxyzijk,ocijk->noxyz", sliding_window_view(x, k.shape[2:], (2, 3, 4)), k)


def by_hand(
    x: np.ndarray, k: np.ndarray, pad: int, stride: int, dilation: int, groups: int
) -> np.ndarray:
    """The definition, one number at a time."""
    n, c, h, w = x.shape
    o, cg, i, j = k.shape
    wide = np.zeros((n, c, h + 2 * pad, w + 2 * pad))
    wide[:, :, pad : pad + h, pad : pad + w] = x
    oh = (h + 2 * pad - dilation * (i - 1) - 1) // stride + 1
    ow = (w + 2 * pad - dilation * (j - 1) - 1) // stride + 1
    y = np.zeros((n, o, oh, ow))
    for out in range(o):
        first = out // (o // groups) * cg
        for p, q in np.ndindex(oh, ow):
            rows = slice(p * stride, p * stride + dilation * (i - 1) + 1, dilation)
            columns = slice(q * stride, q * stride + dilation * (j - 1) + 1, dilation)
            patch = wide[:, first : first + cg, rows, columns]
            y[:, out, p, q] = np.sum(patch * k[out], axis=(1, 2, 3))
    return y


CONVOLUTIONS = [(0, 1, 1, 1), (1, 1, 1, 1), (1, 2, 1, 1), (0, 1, 2, 1), (2, 3, 2, 1), (1, 2, 1, 2)]


@pytest.mark.parametrize(("pad", "stride", "dilation", "groups"), CONVOLUTIONS)
def test_conv2d(pad: int, stride: int, dilation: int, groups: int, tmp_path: Path) -> None:
    x, k = rng.normal(size=(5, 4, 16, 14)), rng.normal(size=(4, 4 // groups, 3, 2))

    def f(x: Any, k: Any) -> Any:
        return conv2d(x, k, pad, stride, dilation, groups)

    np.testing.assert_allclose(f(x, k), by_hand(x, k, pad, stride, dilation, groups))
    graph = check(f, [x, k], tmp_path)
    unfolded = np.prod(f(x, k).shape) // 4 * 4 * 3 * 2
    unfolded *= stride**2  # backward, zeros stand between the cotangents
    assert_not_unfolded(graph, int(unfolded))


def test_conv1d_and_3d(tmp_path: Path) -> None:
    check(conv1d, [rng.normal(size=(2, 3, 8)), rng.normal(size=(2, 3, 3))], tmp_path)
    check(conv3d, [rng.normal(size=(1, 2, 4, 3, 4)), rng.normal(size=(2, 2, 2, 2, 2))])


def assert_not_unfolded(graph: Graph, unfolded: int) -> None:
    """No array of the workspace, forward or backward, is as big as all windows together: those
    of one image may be."""
    adjoint, _ = adjoint_graph(graph)
    program = lower(
        optimize(
            Graph(
                "back",
                adjoint.inputs,
                adjoint.outputs,
                tuple(f"d{i}" for i in range(len(adjoint.outputs))),
            )
        )
    )
    for buffer in (*lower(optimize(graph)).buffers, *program.buffers):
        assert np.prod([evaluate(size, {}) for size in buffer.shape]) < unfolded, buffer


POOLINGS: dict[str, Callable[..., Any]] = {
    "max": lambda x: sliding_window_view(x, (2, 2), (2, 3))[:, :, ::2, ::2].max((-2, -1)),
    "max overlapping": lambda x: sliding_window_view(x, (3, 3), (2, 3))[:, :, ::2, ::2].max((4, 5)),
    "mean": lambda x: sliding_window_view(x, (2, 2), (2, 3))[:, :, ::2, ::2].mean((-2, -1)),
    "max by reshape": lambda x: x.reshape(2, 3, 3, 2, 4, 2).max((3, 5)),
    "l2": lambda x: np.sqrt((sliding_window_view(x, (2, 2), (2, 3)) ** 2).sum((-2, -1))),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_poolings(name: str, tmp_path: Path) -> None:
    x = rng.normal(size=(2, 3, 6, 8))
    graph = check(POOLINGS[name], [x], tmp_path)
    if name.startswith("m") and "reshape" not in name:
        windows = 9 if "overlapping" in name else 4
        unfolded = int(np.prod(POOLINGS[name](x).shape)) * windows
        assert_not_unfolded(graph, unfolded + 1)  # windows side by side make one image


def test_a_convolution_serves_every_batch(tmp_path: Path) -> None:
    def loss(x: Any, k: Any) -> Any:
        y = np.maximum(conv2d(x, k, 1, 2), 0)
        return np.sum(sliding_window_view(y, (2, 2), (2, 3)).max((-2, -1)) ** 2)

    fn = grad(loss, (0, 1))
    graph = optimize(trace_function(fn, (float64["n", 2, 6, 6], float64[3, 2, 3, 3])).graph)
    (compiled,) = build([graph], tmp_path)
    k = rng.normal(size=(3, 2, 3, 3))
    for n in (0, 1, 4):
        x = rng.normal(size=(n, 2, 6, 6))
        for got, want in zip(compiled([x, k], {"n": n}), fn(x, k), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
