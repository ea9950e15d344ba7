"""The command `graphc`: what it writes, what it says, its exit codes."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from graphc.cli import app
from graphc.cli.waiting import progress
from graphc.kernel.limits import Limits

MODEL = '''
import numpy as np
import graphc

LAYER = {"W": graphc.float64[3, 2], "b": graphc.float64[2]}


def loss(x, y, t=1.0):
    """A loss."""
    z = x * y
    return 0.5 * (z - t) ** 2


def network(params, x):
    return np.sum(np.tanh(x @ params["W"] + params["b"]))


def annotated(x: graphc.float32["n"], scale: float = 2.0):
    return np.sum(x) * scale


def branching(x):
    return x if x > 0 else -x


def failing(x):
    return {}["missing"]


def vector(x, a):
    return a * x
'''


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, made current, with model.py in it."""
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "model", raising=False)
    return tmp_path


def run(*args: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the command."""
    result = CliRunner().invoke(app, args)
    return result.exit_code, result.stdout, result.stderr


def test_compile_writes_c(model: Path) -> None:
    code, out, err = run("compile", "model.py:loss", "float64", "float64", "-o", "out")
    assert (code, err) == (0, "")
    assert "wrote out/loss.c and out/loss.h" in out
    assert "loss(x: float64[], y: float64[]) -> " in out
    assert "void loss(double x, double y" in (model / "out/loss.c").read_text()


def test_compile_and_bench_tune(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[tuple[int, ...]] = []

    def medians(calls: Any, most: float, clock: Any) -> dict[str, float]:
        timed.append(next(iter(calls.values())).inputs[1].shape)
        return {name: 0.5 if name == "no blocks" else 1.0 for name in calls}

    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(model / "cache"))
    monkeypatch.setattr("graphc.tune.medians", medians)
    monkeypatch.setattr("graphc.timing.BUDGET", 0.0)
    (model / "layer.py").write_text("def layer(w, x):\n    return ((x @ w) ** 2).sum()\n")
    function = ("layer.py:layer", "float32[64,200]", "float32[n,64]")
    code, out, err = run("compile", *function, "--tune", "-s", "n=321")
    assert (code, err) == (0, "")
    assert out.endswith(", variant: no blocks\n")
    assert (model / "layer.c").is_file()
    code, out, err = run("bench", *function, "--tune", "-s", "n=123")
    assert (code, err) == (0, "")
    assert "variants: no blocks of the function, no blocks with its gradient" in out
    assert timed == [(321, 64), (123, 64), (123, 64)]


def test_compile_with_a_gradient_and_a_name(model: Path) -> None:
    code, out, err = run(
        "compile",
        "model.py:loss",
        "float64",
        "y=float64",
        "t=float64",
        "--grad",
        "x,y",
        "--name",
        "step",
        "--show",
    )
    assert (code, err) == (0, "")
    assert "*d_x" in out
    assert "d_y" in (model / "step.c").read_text()


def test_compile_for_threads_a_machine_a_budget_and_in_place(model: Path) -> None:
    (model / "step.py").write_text(
        "import numpy as np\ndef step(w, x):\n    return w - 0.1 * x.T @ np.tanh(x @ w)\n"
    )
    types = ("step.py:step", "w=float32[64,64]", "x=float32[n,64]")
    code, out, err = run("compile", *types, "--threads", "2", "--donate", "w")
    assert (code, err) == (0, "")
    text = (model / "step.c").read_text()
    assert "GRAPHC_PARALLEL(2)" in text
    assert "const float *restrict w" not in text
    code, out, err = run("compile", *types, "--target", "portable", "--trap-nans", "--show")
    assert (code, err) == (0, "")
    assert "graphc_trap *restrict" in out
    for option, value, word in (
        ("--threads", "many", "threads"),
        ("--target", "no machine", "target"),
        ("--memory", "tiny", "memory"),
        ("--donate", "q", "q"),
    ):
        code, _, err = run("compile", *types, option, value)
        assert code == 2
        assert word in err


def test_python_runs_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphc", "--help"], capture_output=True, text=True, check=True
    )
    assert "compile" in done.stdout


def test_types_may_be_named_in_the_module_or_annotated(model: Path) -> None:
    for types in (
        ["LAYER", "float64[n,3]"],
        ["{W: float64[3, 2], 'b': float64[2]}", "float64[n, 3]"],
        ["x=float64['n',3]", "params=LAYER"],
    ):
        code, out, err = run("compile", "model.py:network", *types)
        assert (code, err) == (0, "")
        assert "params['W']: float64[3, 2]" in out
    code, out, _ = run("compile", "model.py:annotated")
    assert code == 0
    assert "annotated(x: float32[n])" in out


def test_a_module_on_the_path_can_be_named(model: Path) -> None:
    assert run("check", "model:loss", "1.0", "2")[0] == 0


def test_check_passes_and_fails_with_its_exit_code(model: Path) -> None:
    code, out, err = run("check", "model.py:loss", "float64", "0.5")
    assert (code, err) == (0, "")
    assert "ok    C against NumPy" in out
    code, out, _ = run("check", "model.py:network", "LAYER", "float64[n,3]", "--tolerance", "1e-30")
    assert code == 1
    assert "WRONG" in out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["model.py"], "'model.py' does not name a function; write module.py:function"),
        (["nowhere.py:f"], "there is no file nowhere.py"),
        (["nowhere:f"], "cannot import nowhere: ModuleNotFoundError: No module named 'nowhere'"),
        (
            ["broken.py:f"],
            "cannot import broken.py: ZeroDivisionError: division by zero at broken.py:1",
        ),
        (["model.py:lost"], "model.py has no function 'lost'; it has loss, network, annotated"),
        (["model.py:loss"], "what are the types of x, y?"),
        (["model.py:loss", "float63", "float64"], "'float63' is not a type; write float64"),
        (["model.py:loss", "float64[", "float64"], "'float64[' is not a type"),
        (
            ["model.py:loss", "float64[2]", "float64[3]"],
            "do not broadcast: 2 against 3 at model.py:10",
        ),
        (["model.py:branching", "float64"], "at model.py:23: use np.where"),
        (["model.py:failing", "float64"], "the function raised KeyError: 'missing' at model.py:27"),
        (["model.py:loss", "float64"], "the function raised TypeError: "),
        (["model.py:loss", "float64", "float64", "--grad", "q"], "no input 'q'"),
    ],
)
def test_bad_input_is_one_sentence(model: Path, args: list[str], sentence: str) -> None:
    (model / "broken.py").write_text("1 / 0\n")
    code, out, err = run("compile", *args)
    assert code == 2
    assert out == ""
    assert err.startswith("graphc: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_debug_shows_the_traceback(model: Path) -> None:
    code, _, err = run("compile", "model.py:branching", "float64", "--debug")
    assert code == 2
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("graphc: ")


def test_a_missing_compiler_is_a_sentence_after_the_c_is_written(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(model / "cache"))
    code, out, err = run("compile", "model.py:loss", "float64", "float64", "--name", "uncompiled")
    assert code == 3
    assert "wrote uncompiled.c" in out
    assert "no-such-compiler" in err
    assert (model / "uncompiled.c").is_file()


@pytest.mark.parametrize("view", ["graph", "network", "kernels"])
def test_draw_writes_a_picture(model: Path, view: str) -> None:
    code, out, err = run(
        "draw", "model.py:loss", "float64", "float64", "--view", view, "-o", "a.dot"
    )
    assert (code, err) == (0, "")
    assert out == "wrote a.dot\n"
    assert (model / "a.dot").read_text().startswith("digraph")


def test_draw_can_show_the_gradient(model: Path) -> None:
    args = ["draw", "model.py:loss", "float64", "float64", "-o", "a.dot"]
    run(*args)
    plain = (model / "a.dot").read_text()
    assert run(*args, "--grad", "x")[0] == 0
    assert len((model / "a.dot").read_text()) > len(plain)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["-o", "a.svg"], "needs the program dot of Graphviz"),
        (["-o", "a.bmp"], "its suffix must be"),
        (["-o", "a.dot", "--view", "cloud"], "there is no view 'cloud'"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_a_sentence(
    model: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], sentence: str
) -> None:
    monkeypatch.setenv("PATH", "")
    code, _, err = run("draw", "model.py:loss", "float64", "float64", *args)
    assert code == 3
    assert sentence in err
    assert err.count("\n") == 1


def test_explain_prints_the_derivation_or_writes_it(model: Path) -> None:
    args = ["explain", "model.py:loss", "float64", "float64", "--wrt", "x,y"]
    code, out, err = run(*args)
    assert (code, err) == (0, "")
    assert "Derivation of loss" in out
    assert "(chain rule)" in out
    assert run(*args, "-o", "loss.html")[1] == "wrote loss.html\n"
    assert "<math" in (model / "loss.html").read_text()
    code, _, err = run(*args, "-o", "loss.doc")
    assert code == 2
    assert "'loss.doc'" in err


def test_explain_starts_from_what_is_given(model: Path) -> None:
    code, out, _ = run("explain", "model.py:loss", "float64", "1.0", "--wrt=x", "--given", "z")
    assert code == 0
    assert "taken as known" in out


@pytest.mark.parametrize("command", ["compile", "draw", "explain", "check"])
def test_help_shows_an_example(command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"graphc {command} model.py:loss" in " ".join(out.split())


def test_without_arguments_it_shows_the_commands_and_exit_codes() -> None:
    _, out, _ = run("--help")
    assert "compile" in out
    assert "3 the C or a picture could not be built" in " ".join(out.split())


def test_usage_errors_have_their_code(model: Path) -> None:
    assert run("compile", "model.py:loss", "float64", "--no-such-option")[0] == 2


def test_the_installed_command_runs(model: Path) -> None:
    code = "import sys; from graphc.cli import main; sys.argv[0] = 'graphc'; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "check", "model.py:loss", "float64", "float64"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("loss:")


# --- bench ---------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few calls, and a machine of round numbers."""
    limits = Limits({"float32": 1e11, "float64": 5e10}, (8e10, 6e10, 4e10, 3e10, 2e10))
    monkeypatch.setattr("graphc.timing.BUDGET", 0.0)
    monkeypatch.setattr("graphc.kernel.profiling.BUDGET", 0.0)
    monkeypatch.setattr("graphc.kernel.profiling.limits", lambda: limits)


@pytest.mark.usefixtures("quick")
def test_bench_times_the_function_and_its_gradient(model: Path) -> None:
    code, out, err = run("bench", "model.py:network", "LAYER", "float64[n,3]", "-s", "n=20")
    assert (code, err) == (0, "")
    first, head, *rows, last = out.splitlines()
    assert first == (
        "network(params['W']: float64[3, 2], params['b']: float64[2], x: float64[20, 3])"
    )
    assert head.split() == ["NumPy", "C", "C,", "bound", "NumPy", "/", "C"]
    assert [row.split("  ")[0] for row in rows] == ["function", "value and gradient"]
    assert last.startswith("value and gradient take ")
    assert last.endswith(" times as long as the function")


@pytest.mark.usefixtures("quick")
def test_bench_takes_examples_and_says_where_there_is_no_gradient(model: Path) -> None:
    code, out, err = run("bench", "model.py:vector", "float64[n]", "0.5")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "vector(x: float64[1000], a: float64)"
    assert [line.split("  ")[0] for line in lines[2:3]] == ["function"]
    assert lines[3].startswith("no gradient was timed: ")


@pytest.mark.usefixtures("quick")
def test_bench_profiles(model: Path) -> None:
    code, out, _ = run("bench", "model.py:network", "LAYER", "float64[n,3]", "--profile",
                       "--draw", "heat.dot")  # fmt: skip
    assert code == 0
    assert "a call, median of 5" in out
    assert "of bandwidth" in out
    assert out.endswith("wrote heat.dot\n")
    assert "% of " in (model / "heat.dot").read_text()


def test_bench_refuses_sizes(model: Path) -> None:
    code, out, err = run("bench", "model.py:network", "LAYER", "float64[n,3]", "-s", "m=20")
    assert (code, out) == (2, "")
    assert err == "graphc: network has no run-time dimension 'm'; its run-time dimensions are n\n"
    _, _, err = run("bench", "model.py:network", "LAYER", "float64[n,3]", "--size", "n:20")
    assert err == "graphc: 'n:20' is no size; write the dimension and its size: n=1000\n"


def test_help_of_bench_shows_an_example() -> None:
    code, out, _ = run("bench", "--help")
    assert code == 0
    assert "Example: graphc bench model.py:loss float64[n,3] -s n=10000" in out


# --- progress ------------------------------------------------------------------------------------


def shown(monkeypatch: pytest.MonkeyPatch, patience: float, terminal: bool) -> str:
    """What a person sees of work that ends once its spinner would be there."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, force_interactive=terminal)
    monkeypatch.setattr("graphc.cli.waiting.PATIENCE", patience)
    started = threading.Event()
    status = console.status

    def watched(message: str) -> Any:
        made = status(message)
        start = made.start
        made.start = lambda: (start(), started.set())  # type: ignore[method-assign]
        return made

    console.status = watched  # type: ignore[method-assign, assignment]
    with progress("compiling", console):
        if terminal and patience == 0:
            assert started.wait(60)
    return text.getvalue()


def test_progress_is_for_people_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "compiling …" in shown(monkeypatch, 0, True)
    assert shown(monkeypatch, 1e6, True) == ""
    assert shown(monkeypatch, 0, False) == ""


def test_progress_ends_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr("graphc.cli.waiting.PATIENCE", 1e6)
    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"), progress("compiling", console):
        raise ValueError("broken")
    assert threading.active_count() == before
