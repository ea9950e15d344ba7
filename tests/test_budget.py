"""`memory=`: a smaller workspace, because values are computed again, and the same results."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from c_tools import arrays_for, build

import graphc
from graphc import loops_run, loops_verify
from graphc.errors import ArgumentError
from graphc.loops import Contract, Program, statements
from graphc.lower import lower
from graphc.options import Options, bytes_of
from graphc.passes import optimize
from graphc.types import float32, float64

F, f32 = float64, float32


def deep(params: Any, x: Any) -> Any:
    """Layers whose results the gradient reads in the opposite order."""
    for W in params:
        x = np.tanh(x @ W)
    return np.sum(x**2)


def chain(x: Any) -> Any:
    for _ in range(6):
        x = np.sin(x) * 2
    return np.sum(x)


def wide(x: Any, w: Any) -> Any:
    """Rows, sums and a scan between."""
    h = np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)
    h, _ = graphc.scan(lambda h, _: (np.tanh(h @ w), None), h, None, length=2)
    return np.sum(np.log(1 + h**2) * np.sort(x, axis=1))


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "deep": (graphc.grad(deep), ([F[4, 4]] * 6, F[8, 4])),
    "deep, both": (graphc.value_and_grad(deep, argnums=(0, 1)), ([f32[32, 32]] * 10, f32[8, 32])),
    "chain": (graphc.grad(chain), (F[40],)),
    "wide": (graphc.grad(wide, argnums=(0, 1)), (F[6, 4], F[4, 4])),
}


def lowered(name: str, memory: int | None = None) -> Program:
    fn, types = PROGRAMS[name]
    graph = graphc.trace(fn, *types, name="f")
    return lower(optimize(graph.plain), graph.shown, Options(memory=memory))


def smallest(name: str) -> int:
    try:
        lowered(name, 0)
    except ArgumentError as error:
        found = re.search(r"allow (\d+)", str(error))
        assert found
        return int(found[1])
    return 0


@pytest.mark.parametrize("name", ["deep", "deep, both"])
def test_the_workspace_fits_and_the_result_is_the_same(name: str) -> None:
    free = lowered(name)
    least = smallest(name)
    assert isinstance(free.workspace, int)
    assert least < 0.7 * free.workspace
    arrays = arrays_for(free.inputs, {})
    want = loops_run.run(free, arrays)
    for budget in (free.workspace, (free.workspace + least) // 2, least):
        found = lowered(name, budget)
        assert isinstance(found.workspace, int)
        assert found.workspace <= budget
        loops_verify.verify(found)
        for got, right in zip(loops_run.run(found, arrays), want, strict=True):
            np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("name", PROGRAMS)
def test_whatever_fits_is_right(name: str) -> None:
    free = lowered(name)
    assert isinstance(free.workspace, int)
    arrays = arrays_for(free.inputs, {})
    want = loops_run.run(free, arrays)
    found = lowered(name, smallest(name))
    for got, right in zip(loops_run.run(found, arrays), want, strict=True):
        np.testing.assert_array_equal(got, right)


def test_nothing_changes_where_it_fits_already() -> None:
    free = lowered("deep")
    assert isinstance(free.workspace, int)
    assert str(lowered("deep", free.workspace)) == str(free)


def test_a_tighter_budget_costs_more() -> None:
    free, least = lowered("deep, both"), smallest("deep, both")
    assert isinstance(free.workspace, int)
    work = [
        sum(isinstance(x, Contract) for x in statements(lowered("deep, both", budget).body))
        for budget in (free.workspace, (free.workspace + least) // 2, least)
    ]
    assert work == sorted(work)
    assert work[-1] > work[0]


def test_the_same_bits_in_c(tmp_path: Any) -> None:
    fn, types = PROGRAMS["deep, both"]
    graphs = [optimize(graphc.trace(fn, *types, name=name).plain) for name in ("free", "tight")]
    options = [None, Options(memory=smallest("deep, both"))]
    free, tight = build(graphs, tmp_path, options=options)
    assert "computed again" in tight.unit.source
    arrays = arrays_for(graphs[0].inputs, {})
    for got, want in zip(tight(arrays), free(arrays), strict=True):
        np.testing.assert_array_equal(got, want)


def test_the_message_counts() -> None:
    free, least = lowered("deep"), smallest("deep")
    budget = least - 100
    with pytest.raises(ArgumentError) as caught:
        lowered("deep", budget)
    assert str(caught.value) == (
        f"the workspace of f cannot be made as small as memory={budget} bytes: it takes "
        f"{free.workspace} bytes, {least} with all that pays computed again, 100 too many; "
        f"allow {least}, or make the arguments smaller"
    )


def test_sizes_must_be_known() -> None:
    with pytest.raises(ArgumentError, match=r"needs every size: f is compiled for any n; give"):
        graphc.compile(lambda x: np.sum(np.exp(x)), F["n"], name="f", memory="1MB")


def test_a_kernel_in_a_budget() -> None:
    fn, types = PROGRAMS["deep"]
    free = graphc.compile(fn, *types, name="deep_free")
    tight = graphc.compile(fn, *types, name="deep_tight", memory="1.25 KiB")
    assert isinstance(free.workspace_bytes, int)
    assert isinstance(tight.workspace_bytes, int)
    assert tight.workspace_bytes <= 1280 < free.workspace_bytes
    random = np.random.default_rng(0)
    params, x = [random.normal(size=(4, 4)) for _ in range(6)], random.normal(size=(8, 4))
    for got, want in zip(tight(params, x), free(params, x), strict=True):
        np.testing.assert_array_equal(got, want)


def test_donated_arguments_in_a_budget() -> None:
    """What would be computed again from an argument after it is overwritten is kept."""

    def step(params: Any, x: Any) -> Any:
        gradient = graphc.grad(deep)(params, x)
        return [W - 0.1 * g for W, g in zip(params, gradient, strict=True)]

    types = [F[4, 4]] * 6, F[8, 4]
    tight = graphc.compile(step, *types, name="step_tight", memory=1664, donate=0)
    assert isinstance(tight.workspace_bytes, int)
    assert tight.workspace_bytes <= 1664
    random = np.random.default_rng(0)
    params, x = [random.normal(size=(4, 4)) for _ in range(6)], random.normal(size=(8, 4))
    want = graphc.trace(step, *types)(params, x)
    found = tight(params, x)
    for got, right, given in zip(found, want, params, strict=True):
        assert got is given
        np.testing.assert_allclose(got, right, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1000, 1000), ("1000", 1000), ("256KiB", 262144), ("1MB", 10**6), ("1.5 kb", 1500),
        ("2GiB", 2**31), (" 3 MiB ", 3 * 2**20), (None, None), (0, 0),
    ],
)  # fmt: skip
def test_sizes(text: Any, size: int | None) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["256 potatoes", "", "-1", -1, 1.5, True, "KiB", [1]])
def test_no_sizes(text: Any) -> None:
    with pytest.raises(ArgumentError, match="is no number of bytes; pass one, such as 262144"):
        bytes_of(text)
