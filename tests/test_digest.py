"""What is kept on disk of a graph's way to C, and when it is not."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc import api, build, resources
from graphc.build import programs
from graphc.digest import digest
from graphc.errors import NonFiniteError
from graphc.graph import Graph, apply
from graphc.ops.shape import INPUT
from graphc.options import default_target
from graphc.rewrite.patterns import _known, _read, _traced, _written, recall
from graphc.rewrite.rule import Rule
from graphc.rules import EXACT
from graphc.sizes import Dim, floordiv

HERE = Path(__file__).parents[1]


def loss(x, w):
    return np.sum(np.tanh(x @ w) ** 2)


def of(fn: Callable[..., Any], *types: Any) -> str | None:
    return digest(graphc.trace(fn, *types))


TYPES = (graphc.float64["n", 3], graphc.float64[3])
PRINT = """
import numpy as np, graphc
from graphc.digest import digest
from graphc.errors import NonFiniteError
def loss(x, w):
    y = graphc.fori_loop(0, 3, lambda i, c: c * w[0], x)
    return np.sum(np.tanh(y @ w) ** 2 + np.array([1.0, 2.0, 3.0]) @ w)
print(digest(graphc.trace(loss, graphc.float64["n", 3], graphc.float64[3]).grad("w")))
"""


def test_processes_with_different_hashes_agree() -> None:
    found = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(HERE)}
        ran = subprocess.run([sys.executable, "-c", PRINT], env=env, capture_output=True, text=True)
        assert not ran.stderr
        found.add(ran.stdout)
    (one,) = found
    assert len(one.strip()) == 40


def test_what_the_c_depends_on_changes_the_digest() -> None:
    def renamed(x, w):
        product = x @ w
        return np.sum(np.tanh(product) ** 2)

    def with_constant(value):
        return lambda x, w: np.sum(np.tanh(x @ w) ** value)

    def constants(x, w):
        return x @ w + np.array([1.0, 2.0])[0]

    def other_constants(x, w):
        return x @ w + np.array([1.5, 2.0])[0]

    found = [
        of(loss, *TYPES),
        of(loss, graphc.float32["n", 3], graphc.float32[3]),
        of(loss, graphc.float64[4, 3], graphc.float64[3]),
        of(renamed, *TYPES),
        of(with_constant(2), *TYPES),
        of(with_constant(3), *TYPES),
        of(constants, *TYPES),
        of(other_constants, *TYPES),
        digest(graphc.trace(loss, *TYPES), "target"),
        digest(graphc.trace(loss, *TYPES).grad("w")),
    ]
    assert None not in found
    assert len(set(found)) == len(found)
    assert found[0] == of(loss, *TYPES)


def test_the_bodies_of_loops_count() -> None:
    def scaled(factor):
        return lambda x: graphc.fori_loop(0, 3, lambda i, c: factor * c, x)

    assert of(scaled(2.0), graphc.float64[4]) != of(scaled(3.0), graphc.float64[4])


def test_what_is_not_known_has_no_digest() -> None:
    node = apply(INPUT, dtype=graphc.float64, shape=())
    hidden = apply(
        graphc.trace(lambda x: -x, graphc.float64).outputs[0].op,
        node,
        secret=object(),  # type: ignore[arg-type] -- what is tested
    )
    assert digest(Graph("f", (node,), (hidden,), ("y",))) is None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(build, "_loaded", {})
    monkeypatch.delenv("GRAPHC_VERIFY", raising=False)
    monkeypatch.delenv("GRAPHC_DUMP", raising=False)
    return tmp_path


def test_the_second_time_nothing_is_lowered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = np.ones((2, 3)), np.ones(3)
    first = graphc.compile(loss, *TYPES)
    monkeypatch.setattr(api, "in_c", None)
    second = graphc.compile(loss, *TYPES)
    assert second.source == first.source
    assert str(second.program) == str(first.program)
    assert second(x, w) == first(x, w) == loss(x, w)
    other = "native" if default_target() == "portable" else "portable"
    with pytest.raises(TypeError, match="not callable"):
        graphc.compile(loss, *TYPES, target=other)


@pytest.mark.parametrize("damage", [b"", b"not a program"])
def test_a_damaged_program_is_made_again(folder: Path, damage: bytes) -> None:
    kernel = graphc.compile(loss, *TYPES)
    (path,) = folder.glob("kernels/*/*.program")
    path.write_bytes(damage)
    assert graphc.compile(loss, *TYPES).source == kernel.source


@pytest.mark.parametrize("name", ["GRAPHC_DUMP", "GRAPHC_VERIFY"])
def test_who_looks_at_the_passes_sees_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    graphc.compile(loss, *TYPES)
    assert not list(folder.glob("kernels/*/*.program"))


def test_files_of_one_name_are_told_apart_where_errors_name_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import numpy as np\n\n\ndef f(x):\n    return np.log(x)\n"
    found = []
    for place in ("a", "b"):
        file = tmp_path / place / "model.py"
        file.parent.mkdir()
        file.write_text(text)
        held: dict[str, Any] = {}
        exec(compile(text, str(file), "exec"), held)
        kernel = graphc.compile(held["f"], graphc.float64[2], trap_nans=True)
        with pytest.raises(NonFiniteError, match=r"model.py:5") as caught:
            kernel(np.array([1.0, -1.0]))
        found.append(caught.value.source.file)
        assert found[-1] == str(file)
        graphs = graphc.trace(held["f"], graphc.float64[2])
        found.append(digest(graphs))
        found.append(digest(graphs, paths=True))
    assert found[1] == found[4]
    assert found[2] != found[5]


def test_large_constants_are_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LARGEST", 100)
    graphc.compile(loss, *TYPES)
    assert not list(folder.glob("kernels/*/*.program"))


def test_a_size_is_found_in_another_process(folder: Path) -> None:
    n = Dim.named("n")
    for size in (n, 2 * n + 1, floordiv(n, 2)):
        copy = pickle.loads(pickle.dumps(size))
        assert (copy, hash(copy)) == (size, hash(size))


# --- rules ---------------------------------------------------------------------------------------


def test_rules_are_read_as_they_were_written() -> None:
    rules = [rule for rule in EXACT if isinstance(rule, Rule)]
    traced = [_traced(rule) for rule in rules]
    assert _read(_written(traced)) == traced


def test_rules_are_traced_once_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "bytecode_folder", lambda: tmp_path)
    rules = [rule for rule in EXACT if isinstance(rule, Rule)]
    for version in ("older", "newer", "newer"):
        monkeypatch.setattr(resources, "fingerprint", lambda version=version: version)
        for rule in rules:
            monkeypatch.delitem(_known, rule, raising=False)
        recall(rules)
        (path,) = tmp_path.iterdir()
        assert path.name.endswith(f"-{version}")
        assert [_known[rule] for rule in rules] == [_traced(rule) for rule in rules]
    for rule in rules:
        monkeypatch.delitem(_known, rule)
    path.write_bytes(_written([_traced(rules[0])] * len(rules)))
    recall(rules)
    assert _known[rules[1]] == _known[rules[0]]  # it was read


def test_rules_of_others_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "bytecode_folder", lambda: tmp_path)
    recall([Rule("mine", lambda x: x + 0, lambda x: x)])
    assert not list(tmp_path.iterdir())


def test_the_statements_of_a_kept_program_are_read_when_asked_for() -> None:
    program, _ = api.in_c(graphc.trace(lambda x: np.cumsum(np.tanh(x)), graphc.float64["n"]))
    copy = pickle.loads(pickle.dumps(program))
    assert (copy.inputs, copy.dims, copy.threads, copy.loops) == (
        program.inputs, ("n",), 1, True,
    )  # fmt: skip
    for name in ("tables", "buffers", "body"):
        with pytest.raises(AttributeError):
            object.__getattribute__(copy, name)
    assert copy.body == program.body
    assert object.__getattribute__(copy, "buffers") == program.buffers
    assert str(pickle.loads(pickle.dumps(program))) == str(program)
    assert replace(pickle.loads(pickle.dumps(program)), name="other").body == program.body
    with pytest.raises(AttributeError, match="'Program' has no attribute 'bodies'"):
        _ = copy.bodies
