"""Functions that units have in common are compiled once, and units are none the wiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import graphc
from graphc import build
from graphc.build import cache, common
from graphc.build.compiler import Compiler, find_compiler

Array = npt.NDArray[np.float32]


def layers(x: Array, w: Array, v: Array) -> Array:
    return np.maximum(x @ w, 0) @ v


TYPES = graphc.float32["n", 64], graphc.float32[64, 48], graphc.float32[48, 32]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The C files that are compiled apart; nothing is there before."""
    files: list[str] = []

    def start(compiler: Compiler, run: tuple[str, ...], work: Path) -> Any:
        files.extend(word for word in run if word.endswith(".c"))
        return started(compiler, run, work)

    started = common.start
    monkeypatch.setattr(common, "start", start)
    monkeypatch.setattr(common, "bytecode_folder", lambda: tmp_path)
    return files


def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> graphc.Kernel:
    """The kernel as a process makes it that finds an empty cache."""
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(folder))
    return graphc.compile(layers, *TYPES)


def test_a_product_is_compiled_once_for_all_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[str]
) -> None:
    fresh(tmp_path / "one", monkeypatch)
    assert started == ["contract_f32.c"]
    fresh(tmp_path / "two", monkeypatch)
    assert started == ["contract_f32.c"]


def test_a_damaged_object_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[str]
) -> None:
    fresh(tmp_path / "one", monkeypatch)
    (made,) = (tmp_path / "common").glob(f"*/*{cache.OBJECT}")
    made.write_bytes(made.read_bytes()[:100])
    fresh(tmp_path / "two", monkeypatch)
    assert started == ["contract_f32.c"] * 2


def test_results_are_those_of_the_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[str]
) -> None:
    rng = np.random.default_rng(0)
    shapes = (50, 64), (64, 48), (48, 32)
    x, w, v = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    apart = fresh(tmp_path / "apart", monkeypatch)(x, w, v)
    monkeypatch.setattr(build, "without", lambda source, common: source)
    monkeypatch.setattr(build, "provide", lambda *_: ())
    whole = fresh(tmp_path / "whole", monkeypatch)(x, w, v)
    assert started == ["contract_f32.c"]
    np.testing.assert_array_equal(apart, whole)


def test_the_source_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = fresh(tmp_path, monkeypatch).unit
    (product,) = unit.common
    assert product.name == "contract_f32"
    assert unit.source.count(product.text) == unit.source.count(product.above) == 1
    assert "static void contract_f32(" not in common.without(unit.source, unit.common)


def test_a_function_that_is_called_once_stays_in_its_unit() -> None:
    kernel = graphc.compile(lambda x, w: x @ w, *TYPES[:2], name="product")
    assert "static void contract_f32(" in kernel.source
    assert kernel.unit.common == ()


def test_compilers_that_differ_share_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[str]
) -> None:
    fresh(tmp_path / "one", monkeypatch)
    other = tmp_path / "mycc"
    other.write_text(f'#!/bin/sh\nexec {find_compiler().command[0]} "$@"\n')
    other.chmod(0o700)
    monkeypatch.setenv("GRAPHC_CC", str(other))
    fresh(tmp_path / "one", monkeypatch)
    assert started == ["contract_f32.c"] * 2
