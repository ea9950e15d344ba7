"""trap_nans=True: who made the first nan or infinity is named; what nobody made is let through."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import c_cases
import numpy as np
import pytest
from c_tools import COMPILERS, STRICT, arrays_for, compile_or_fail, write
from test_finite import CASES as FINITE

import graphc
from graphc import float32, float64, int32, reference
from graphc.api import in_c
from graphc.errors import NonFiniteError
from graphc.options import Options
from graphc.passes import optimize, trapped
from graphc.types import evaluate

TRAP = Options(trap_nans=True)
HERE = Path(__file__).name


def line_of(fn: Callable[..., Any], after: int) -> str:
    return f"{HERE}:{fn.__code__.co_firstlineno + after}"


def trapped_call(fn: Callable[..., Any], types: Any, *args: Any) -> NonFiniteError:
    """The error of a call; the NumPy function has no say in it."""
    kernel = graphc.compile(fn, *types, trap_nans=True)
    with pytest.raises(NonFiniteError) as found:
        kernel(*args)
    return found.value


# --- who made it ---------------------------------------------------------------------------------


def logs(x: Any) -> Any:
    z = 2 * x
    y = np.log(z)
    return np.sum(y)


def test_the_node_the_line_the_element_and_the_operand_are_named() -> None:
    error = trapped_call(logs, [float64["n", 2]], np.array([[1.0, 2.0], [3.0, 0.0], [-1.0, 1.0]]))
    assert str(error) == f"logs: y = log(z) at {line_of(logs, 2)} is -inf at [1, 1], where z is 0.0"
    assert isinstance(error, graphc.GraphcError)
    assert isinstance(error, FloatingPointError)
    assert (error.node, error.equation, error.value) == ("y", "y = log(z)", -math.inf)
    assert error.index == (1, 1)
    assert error.operands == {"z": 0.0}
    assert (error.argument, error.argument_index, error.argument_value) == (None, None, None)
    assert error.steps == ()
    assert getattr(error.source, "file", "").endswith(HERE)


def test_what_is_finite_is_the_same_as_without_traps() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    plain = graphc.compile(graphc.value_and_grad(logs), float64["n", 2])
    watched = graphc.compile(graphc.value_and_grad(logs), float64["n", 2], trap_nans=True)
    for got, want in zip(watched(x), plain(x), strict=True):
        np.testing.assert_array_equal(got, want)
    assert "trap" not in plain.source
    assert watched.signature == plain.signature


def overflow(x: Any) -> Any:
    return (x * x).astype(np.float32)


def ratio(x: Any, n: Any) -> Any:
    return n / x


def product(a: Any, b: Any) -> Any:
    h = a @ b
    return np.tanh(h)


def total(x: Any) -> Any:
    return np.sum(x)


def running(x: Any) -> Any:
    return np.cumsum(x)


def scattered(x: Any) -> Any:
    return graphc.at(x)[np.array([0, 0])].add(x[:2])


@pytest.mark.parametrize(
    ("fn", "types", "args", "message"),
    [
        (overflow, [float64[2]], [[1.0, 1e30]], "x^2 at {} is inf at [1], where x^2 is 1e+60"),
        (
            ratio,
            [float32["m"], int32],
            [np.zeros(2, np.float32), 3],
            "n / x at {} is inf at [0], where n is 3.0 and x is 0.0",
        ),
        (
            product,
            [float64["n", 64], float64[64, 64]],
            [np.full((3, 64), 1e200), np.full((64, 64), 1e200)],
            "h = a @ b at {} is inf at [0, 0]",
        ),
        (total, [float64["n"]], [np.full(3, 1e308)], "sum(x) at {} is inf"),
        (running, [float64[3]], [np.full(3, 1e308)], "running(x, axis=0, reverse=0) at {} is inf"),
        (scattered, [float64[3]], [np.full(3, 1e308)], " at {} is inf at [0]"),
    ],
)
def test_casts_quotients_products_and_sums(
    fn: Callable[..., Any], types: Any, args: Any, message: str
) -> None:
    error = trapped_call(fn, types, *args)
    assert message.replace("{}", line_of(fn, 1)) in str(error).replace("1.0000000000000001e", "1e")


def softplus_loss(x: Any) -> Any:
    y = np.log(1 + np.exp(x))
    s = np.sqrt(np.sum(y) - y[0])
    return 1 / s


def test_rewritten_formulas_and_their_gradients_cite_the_users_line() -> None:
    kernel = graphc.compile(graphc.grad(softplus_loss), float64[1], trap_nans=True)
    with pytest.raises(NonFiniteError) as found:
        kernel(np.array([1.0]))
    place = f"{line_of(softplus_loss, 2)}, a step to the gradient of s = sqrt("
    assert f"softplus_loss: -0.5 / s at {place}" in str(found.value)
    assert "is -inf, where s is 0.0" in str(found.value)
    assert "softplus" in str(graphc.trace(softplus_loss, float64[1]).optimized())

    def cube_root(x: Any) -> Any:
        c = x ** (1 / 3)
        return c

    kernel = graphc.compile(graphc.grad(cube_root), float64, trap_nans=True)
    with pytest.raises(NonFiniteError, match=r"a step to the gradient of c = x\^0.333333 is inf"):
        kernel(0.0)


# --- loops and branches --------------------------------------------------------------------------


def doubling(x: Any, c: Any) -> Any:
    def body(h: Any, v: Any) -> Any:
        h = h * v
        return h, h

    return graphc.scan(body, c, x)[1]


def test_a_scan_tells_its_step() -> None:
    error = trapped_call(doubling, [float64["n"], float64], np.full(9, 1e100), 1.0)
    assert ", at step 3 of its loop, where c is 1e+300 and x is 1e+100" in str(error)
    assert f"at {line_of(doubling, 2)} is inf" in str(error)
    assert error.steps == (3,)

    def backwards(x: Any, c: Any) -> Any:
        return graphc.scan(lambda h, v: (h / v, h), c, x, reverse=True)[1]

    error = trapped_call(backwards, [float64[5], float64], [1.0, 1, 0, 1, 1], 1.0)
    assert error.steps == (2,)


def test_loops_in_loops_tell_all_their_steps() -> None:
    def nested(x: Any) -> Any:
        def outer(c: Any, row: Any) -> Any:
            return graphc.scan(lambda d, v: (d / v, d), c, row)

        return graphc.scan(outer, 1.0, x)[1]

    x = np.ones((4, 3))
    x[2, 1] = 0
    error = trapped_call(nested, [float64[4, 3]], x)
    assert error.steps == (2, 1)
    assert ", at steps 2, 1 of its loops, the outer one first, where " in str(error)


def test_while_loops_and_branches() -> None:
    def squares(x: Any) -> Any:
        def body(s: Any) -> Any:
            return s[0] + 1, s[1] * s[1]

        return graphc.while_loop(lambda s: s[0] < 20, body, (0, x))[1]

    error = trapped_call(squares, [float64], 1.5)
    assert error.steps == (10,)

    def branch(x: Any) -> Any:
        return graphc.cond(x > 0, np.log, lambda v: np.sqrt(v), x)

    kernel = graphc.compile(branch, float64, trap_nans=True)
    assert kernel(1.0) == 0
    with pytest.raises(NonFiniteError, match=r"sqrt\(.*\) at .* is nan, where .* is -1.0"):
        kernel(-1.0)


def test_the_gradient_of_a_scan_is_watched() -> None:
    def loss(x: Any) -> Any:
        return np.sum(graphc.scan(lambda h, v: (np.sqrt(h * v), h), 1.0, x)[1])

    kernel = graphc.compile(graphc.grad(loss), float64[4], trap_nans=True)
    assert np.isfinite(kernel(np.ones(4))).all()
    with pytest.raises(NonFiniteError, match="a step to the gradient of"):
        kernel(np.array([1.0, 0.0, 1.0, 1.0]))


# --- what came in --------------------------------------------------------------------------------


def twice(x: Any) -> Any:
    y = 2 * x
    return y


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (-np.inf, "-inf")])
def test_an_argument_that_was_not_finite_is_named(value: float, shown: str) -> None:
    error = trapped_call(twice, [float64[2, 2]], np.array([[1.0, 2.0], [value, 0.0]]))
    place = line_of(twice, 1)
    told = f"it came in, argument 'x' is {shown} at [1, 0]"
    assert str(error) == f"twice: y = 2 x at {place} is {shown} at [1, 0]: {told}"
    assert (error.argument, error.argument_index) == ("x", (1, 0))
    assert error.operands == {}


def test_nan_made_of_an_infinity_that_came_in() -> None:
    def centred(p: Any) -> Any:
        return p["x"] - np.max(p["x"])

    error = trapped_call(centred, [{"x": float64[2]}], {"x": np.array([0.0, np.inf])})
    assert "is nan at [1], where x is inf and max(x) is inf; argument \"p['x']\" is inf" in str(
        error
    ).replace("p_x", "x")
    assert error.argument == "p['x']"


def masked(x: Any, mask: Any) -> Any:
    a = x + mask
    e = np.exp(a - np.max(a))
    return e / np.sum(e)


def guarded(x: Any) -> Any:
    y = np.log(x)
    z = np.reshape(np.sqrt(x), (2, 2)).T
    return (
        np.where(np.isfinite(y), y, 0.0),
        np.where(x > 0, np.reshape(1 / z, 4), -np.inf),
        np.where(x[:, None] > 0, np.log(x)[:, None] * np.ones(3), 0),
    )


def missing(x: Any) -> Any:
    return np.nanmean(x), np.nansum(x), np.nan_to_num(x)


@pytest.mark.parametrize(
    ("fn", "args"),
    [
        (masked, [np.zeros(3), np.array([0, 0, -np.inf])]),
        (guarded, [np.array([1.0, 0.0, -1.0, 2.0])]),
        (missing, [np.array([1.0, np.nan, 2.0])]),
        (lambda x: np.where(x > 0, x, -np.inf), [np.array([1.0, -1.0])]),
        (lambda x: np.max(x), [np.array([-np.inf, 1.0])]),
        (lambda x: np.minimum(x, np.inf), [np.array([3.0, 1.0])]),
        (lambda x: np.pad(x, 1, constant_values=-np.inf), [np.array([3.0, 1.0])]),
        (lambda x: np.sum(np.where(x > 0, np.log(x), 0)), [np.array([3.0, 0.0])]),
    ],
)
def test_what_nobody_made_is_let_through(fn: Callable[..., Any], args: Any) -> None:
    kernel = graphc.compile(fn, *args, trap_nans=True)
    with np.errstate(all="ignore"):
        want = fn(*args)
    for got, one in zip(_tuple(kernel(*args)), _tuple(want), strict=True):
        np.testing.assert_allclose(got, one)


def _tuple(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


# --- the ways to call ----------------------------------------------------------------------------


def test_out_bind_and_many_threads() -> None:
    kernel = graphc.compile(logs, float64[3], trap_nans=True)
    good, bad = np.ones(3), np.array([1.0, 2.0, 0.0])
    out = np.zeros(())
    kernel(good, out=out)
    assert out == 3 * np.log(2)
    with pytest.raises(NonFiniteError, match=r"at \[2\]"):
        kernel(bad, out=out)
    bound = kernel.bind(good)
    assert bound() == 3 * np.log(2)
    bound.inputs[0][...] = bad
    with pytest.raises(NonFiniteError, match=r"at \[2\], where z is 0.0"):
        bound()
    with pytest.raises(NonFiniteError, match=r"at \[2\]"):
        kernel([1, 2, 0])  # converted first

    seen: list[tuple[int, ...]] = []

    def work(k: int) -> None:
        x = np.ones(3)
        x[k] = 0
        for _ in range(200):
            try:
                kernel(x)
            except NonFiniteError as error:
                seen.append((k, *error.index))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [(k, k) for k in range(3) for _ in range(200)]


def test_the_watched_graph_is_the_graph() -> None:
    graph = optimize(graphc.trace(graphc.value_and_grad(logs), float64[3, 2]).plain)
    watched, sites = trapped(graph)
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for got, want in zip(reference.run(watched, [x]), reference.run(graph, [x]), strict=True):
        np.testing.assert_array_equal(got, want)
    assert [site.node for site in sites][:2] == ["z", "y"]


# --- the C ---------------------------------------------------------------------------------------


class CTrap(ctypes.Structure):
    _fields_ = (
        ("what", ctypes.c_char_p), ("value", ctypes.c_double), ("element", ctypes.c_int64),
        ("site", ctypes.c_int64), ("count", ctypes.c_int), ("operands", ctypes.c_char_p * 6),
        ("values", ctypes.c_double * 6), ("argument", ctypes.c_char_p),
        ("argument_number", ctypes.c_int), ("argument_value", ctypes.c_double),
        ("argument_element", ctypes.c_int64),
    )  # fmt: skip


def c_call(
    library: ctypes.CDLL, program: Any, arrays: list[np.ndarray], dims: dict[str, int]
) -> tuple[CTrap, list[np.ndarray]]:
    """What standalone C gives: the trap and the outputs."""
    kinds = {"float64": ctypes.c_double, "float32": ctypes.c_float, "int32": ctypes.c_int32,
             "int64": ctypes.c_int64, "bool": ctypes.c_bool}  # fmt: skip
    held = [np.ascontiguousarray(x) for x in arrays]
    given: list[Any] = [
        ctypes.c_void_p(x.ctypes.data) if a.type.shape else kinds[str(a.type.dtype)](x.item())
        for a, x in zip(program.inputs, held, strict=True)
    ]
    outputs = [
        np.zeros([evaluate(s, dims) for s in y.type.shape], y.type.dtype.numpy)
        for y in program.outputs
    ]
    trap, space = CTrap(), np.zeros(evaluate(program.workspace, dims) + 64, np.uint8)
    trap.what = b"arbitrary before"
    given += [ctypes.c_int64(dims[name]) for name in program.dims]
    given += [ctypes.c_void_p(y.ctypes.data) for y in outputs]
    given.append(ctypes.byref(trap))
    if program.workspace != 0:
        given.append(ctypes.c_void_p(space.ctypes.data + -space.ctypes.data % 64))
    library[program.name](*given)
    return trap, outputs


def library_of(graphs: list[Any], folder: Path, flags: tuple[str, ...]) -> Any:
    """(programs, library) of the C with traps."""
    made = [in_c(graph, TRAP) for graph in graphs]
    for _, unit in made:
        write(unit, folder)
    names = [f"{unit.name}.c" for _, unit in made]
    compile_or_fail(
        [COMPILERS[0], *STRICT, *flags, "-fPIC", "-shared", "-o", "all.so", *names, "-lm"], folder
    )
    return [program for program, _ in made], ctypes.CDLL(str(folder / "all.so"))


def test_every_finite_formula_runs_untrapped(tmp_path: Path) -> None:
    """Value and gradient at each point of docs/finite.md, where NumPy meets 0/0 and inf - inf."""
    cases = [(name, point) for name, case in FINITE.items() for point in case.points]
    graphs = []
    for k, (name, (point, _, _)) in enumerate(cases):
        kind = float64[np.shape(point)] if np.ndim(point) else float64
        graphs.append(graphc.trace(graphc.value_and_grad(FINITE[name].fn), kind).renamed(f"f{k}"))
    programs, library = library_of(graphs, tmp_path, ("-O0",))
    for program, (name, (point, value, _)) in zip(programs, cases, strict=True):
        trap, outputs = c_call(library, program, [np.array(point, float)], {})
        if math.isfinite(value):
            assert trap.what is None, f"{name} at {point}: {trap.what!r}"
            np.testing.assert_allclose(outputs[0], value, atol=1e-12)
        else:
            assert trap.argument == b"x", name
            assert trap.what, name


def test_cases_compile_without_a_warning_and_run_as_before(tmp_path: Path) -> None:
    graphs = [case.graph(name) for name, case in c_cases.CASES.items()]
    programs, library = library_of(graphs, tmp_path, ("-O1",))
    for program, graph in zip(programs, graphs, strict=True):
        arrays = arrays_for(program.inputs, {"n": 5})
        with np.errstate(all="ignore"):
            want = reference.run(graph, arrays)
        trap, got = c_call(library, program, arrays, dict.fromkeys(program.dims, 5))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=program.name)
        if trap.what is None and program.name != "tables":  # which hold infinities
            assert all(np.isfinite(y).all() for y in want if y.dtype.kind == "f"), program.name


def test_c_tells_the_place_and_never_a_folder() -> None:
    kernel = graphc.compile(logs, float64["n", 2], trap_nans=True)
    assert f'{{"y = log(z) at {line_of(logs, 2)}", 1, {{"z"}}}}' in kernel.source
    assert str(Path(__file__).parent) not in kernel.source
    assert "graphc_trap *trap" in kernel.header
    trap = kernel.ffi.new("graphc_trap *")
    x, total = np.zeros((1, 2)), np.zeros(())
    ffi = kernel.ffi
    kernel.lib.logs(
        ffi.from_buffer("double[]", x), 1, ffi.cast("double *", total.ctypes.data), trap
    )
    assert ffi.string(trap.what).decode() == f"y = log(z) at {line_of(logs, 2)}"
    assert (trap.value, trap.element, trap.values[0]) == (-math.inf, 0, 0.0)
    assert ffi.string(trap.operands[0]) == b"z"


def test_names_of_the_user_stay_out_of_the_way() -> None:
    def f(trap: Any, graphc_trap: Any) -> Any:
        site = np.log(trap)
        return site * graphc_trap

    kernel = graphc.compile(f, float64, float64, trap_nans=True)
    assert kernel(math.e, 2.0) == 2.0
    with pytest.raises(NonFiniteError, match=r"site = log\(trap\) .* where trap is 0.0"):
        kernel(0.0, 1.0)
