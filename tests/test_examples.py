"""The exercises: each against its solution on paper, and the programs as they are run."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import graphviz
import numpy as np
import pytest

import graphc

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def _examples_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


def example(name: str):
    return importlib.import_module(name)


def gradient(fn, types, wrt):
    """The compiled gradient of a function."""
    return graphc.compile(graphc.trace(fn, *types).grad(wrt))


# --- each exercise against its solution ----------------------------------------------------------


def test_exercise_1() -> None:
    e1 = example("exercise1")
    by_mu = gradient(e1.nll, e1.NLL, "mu")
    for t in (-1.0, 0.5, 3.0, 5000.0):
        assert by_mu(0.7, t, 0.4) == pytest.approx(-np.sign(t - 0.7) / 0.4, rel=1e-14)
    rng = np.random.default_rng(0)
    w, X, t = rng.normal(size=3), rng.normal(size=(8, 3)), rng.normal(size=8)
    wanted = -np.sign(t[0] - w @ X[0]) / 0.4 * X[0]
    np.testing.assert_allclose(gradient(e1.linear, e1.LINEAR, "w")(w, X[0], t[0], 0.4), wanted)
    wanted = np.mean(-np.sign(t - X @ w)[:, np.newaxis] / 0.4 * X, axis=0)
    np.testing.assert_allclose(gradient(e1.dataset, e1.DATASET, "w")(w, X, t, 0.4), wanted)


def test_exercise_2() -> None:
    e2 = example("exercise2")
    x1, x2, w13, w24, t = 1.3, -0.7, 0.4, 0.9, 0.2
    y, z3, z4 = e2.prediction(x1, x2, w13, w24), x1 * w13, x2 * w24
    found = gradient(e2.loss, e2.LOSS, ("w13", "w24"))(x1, x2, w13, w24, t)
    assert found == pytest.approx(((y - t) * z3 * x1, (y - t) * z4 * x2), rel=1e-14)
    by_v = gradient(e2.shared, e2.SHARED, "v")
    for v in (-1.5, 0.0, 2.0):
        weights = np.log(1 + np.exp(v)), -np.log(1 + np.exp(-v))
        d13, d24 = gradient(e2.loss, e2.LOSS, ("w13", "w24"))(x1, x2, *weights, t)
        wanted = d13 / (1 + np.exp(-v)) + d24 / (1 + np.exp(v))
        assert by_v(x1, x2, v, t) == pytest.approx(wanted, rel=1e-13)
    assert np.isfinite([by_v(x1, x2, v, t) for v in (-1000.0, 1000.0)]).all()


def test_exercise_3() -> None:
    e3 = example("exercise3")
    rng = np.random.default_rng(0)
    a, W, b, d = (rng.normal(size=shape) for shape in (4, (4, 3), 3, 3))
    a_next = e3.layer(a, W, b)
    d_a, d_W, d_b = graphc.compile(e3.backward, *e3.BACKWARD)(a, W, b, d)
    d_z = a_next * (1 - a_next) * d
    np.testing.assert_allclose(d_b, d_z, rtol=1e-13)
    np.testing.assert_allclose(d_a, W @ d_z, rtol=1e-13)
    np.testing.assert_allclose(d_W, np.outer(a, d_z), rtol=1e-13)


def test_the_backward_pass_of_exercise_3_takes_one_exponential() -> None:
    e3 = example("exercise3")
    source = graphc.compile(e3.backward, *e3.BACKWARD).source
    body = source[source.index("void backward(") :]
    assert (
        len(re.findall(r"\b(exp|sigmoid)\w*\(", body.replace("/* a_next = sigmoid(z) */", ""))) == 1
    )
    assert "a_next * (1.0 - a_next)" in body


def test_the_relu_network_agrees_with_both_other_gradients() -> None:
    differences = dict(example("exercise4_relu").compare())
    assert differences["by hand"] < 1e-13
    assert differences["by finite differences"] < 1e-7


def test_the_gradient_by_hand_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    relu = example("exercise4_relu")
    right = relu.by_hand
    monkeypatch.setattr(
        relu, "by_hand", lambda *args: {k: v * 1.001 for k, v in right(*args).items()}
    )
    assert dict(relu.compare())["by hand"] > 1e-6


# --- the digits ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """(compiled step, parameters, losses) after a few epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        digits = example("exercise4_digits")
        step = graphc.compile(digits.train_step, *digits.types())
        return step, *digits.train(step, digits.start(), *digits.data()[0], epochs=12)


def test_a_step_of_training_is_one_c_function_for_every_batch_size(trained) -> None:
    digits, (step, _, _) = example("exercise4_digits"), trained
    assert set(re.findall(r"(\w+)\(", step.unit.declarations)) <= {
        "train_step",
        "train_step_workspace_bytes",
    }
    images, labels = digits.data()[0]
    for n in (1, 7, 100):
        value, after = step(digits.start(), images[:n], labels[:n], np.float32(0.5))
        want, wanted = digits.train_step(digits.start(), images[:n], labels[:n], np.float32(0.5))
        assert value == pytest.approx(want, rel=1e-5)
        for name, array in after.items():
            np.testing.assert_allclose(array, wanted[name], atol=2e-6)


def test_training_learns_the_digits(trained) -> None:
    digits, (_, params, losses) = example("exercise4_digits"), trained
    images, labels = digits.data()[1]
    assert np.mean(digits.predictor(params)(images) == labels) >= 0.96
    assert np.mean(losses[-45:]) < 0.2 < 1 < losses[0]


def test_the_exported_program_gives_the_same_answers(trained, tmp_path: Path) -> None:
    digits, (_, params, _) = example("exercise4_digits"), trained
    images, _ = digits.data()[1]
    predict = digits.predictor(params)
    files = digits.export(predict, images, tmp_path)
    assert {path.name for path in files} == {"predict.c", "predict.h", "digits.h", "classify.c"}
    np.testing.assert_array_equal(digits.run_in_c(tmp_path), predict(images))


def test_the_exported_program_is_clean_c(trained, tmp_path: Path) -> None:
    digits, (_, params, _) = example("exercise4_digits"), trained
    digits.export(digits.predictor(params), digits.data()[1][0], tmp_path)
    flags = "-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion -Werror"
    command = ["cc", *flags.split(), "-O1", "-c", "classify.c", "predict.c"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


# --- the programs --------------------------------------------------------------------------------


def without_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe(self, **options):
        raise graphviz.ExecutableNotFound(["dot"])

    monkeypatch.setattr(graphviz.Source, "pipe", pipe)


@pytest.mark.parametrize("dot", [True, False])
def test_the_demo_says_where_everything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dot: bool
) -> None:
    demo, digits = example("demo"), example("exercise4_digits")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(digits.main, "__defaults__", (2,))
    if dot:
        monkeypatch.setattr(graphviz.Source, "pipe", lambda self, **options: b"<svg></svg>")
    else:
        without_dot(monkeypatch)
    demo.main(Path("out"))
    said = capsys.readouterr().out
    assert "the same answer for 360 of 360" in said
    assert "Everything is in out/" in said
    listed = re.findall(r"^(out/\w+)/ has (.*)$", said, re.MULTILINE)
    named = [Path(folder, name) for folder, names in listed for name in names.split(", ")]
    assert len(named) > 20
    assert [path for path in named if not path.is_file()] == []
    wanted = [
        "exercise1/linear_grad.c",
        "exercise2/shared.html",
        "exercise3/layer.html",
        "exercise4_relu/loss_grad.c",
        "exercise4_digits/train_step.c",
        "exercise4_digits/loss.svg",
        "exercise4_digits/classify/predict.c",
    ]
    assert [name for name in wanted if not (Path("out") / name).is_file()] == []
    assert said.count("No pictures: ") == (0 if dot else 1)
    assert ("needs the program dot of Graphviz" in said) == (not dot)
    assert Path("out/exercise2/prediction-network.svg").is_file() == dot


# --- a convolutional network ---------------------------------------------------------------------


def test_lenet_learns_the_digits_in_one_c_function(tmp_path: Path) -> None:
    lenet, digits = example("lenet"), example("exercise4_digits")
    step = graphc.compile(lenet.train_step, *lenet.types())
    images, labels = digits.data()[0]
    images = images[:5].reshape(-1, 8, 8)
    speed = {name: np.zeros_like(array) for name, array in lenet.start().items()}
    args = (lenet.start(), speed, images, labels[:5], np.float32(0.1))
    value, after, _ = step(*args)
    want, wanted, _ = lenet.train_step(*args)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    for name, array in wanted.items():
        np.testing.assert_allclose(after[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    assert lenet.main(tmp_path, epochs=12) > 0.96
    assert {"loss.svg", "predict.c", "train_step.c"} <= {path.name for path in tmp_path.iterdir()}
