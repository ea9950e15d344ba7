"""The callable: what it computes, converts and refuses."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import EXERCISE, SCALE, TWICE, Typed, program, scalar, unit

from graphc.errors import ArgumentError, ShapeError
from graphc.kernel import Kernel
from graphc.types import DTYPES, Dim, DType, bool_, float32, float64, int32, int64

CTYPE = {
    "bool": "bool",
    "int32": "int32_t",
    "int64": "int64_t",
    "float32": "float",
    "float64": "double",
    "float16": "uint16_t",
    "bfloat16": "uint16_t",
}


def ramp(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return np.arange(1, 1 + np.prod(shape), dtype=dtype).reshape(shape)


@pytest.fixture(scope="module")
def exercise() -> Kernel:
    return Kernel(*EXERCISE)


@pytest.fixture(scope="module")
def scale() -> Kernel:
    return Kernel(*SCALE)


@pytest.fixture(scope="module")
def twice() -> Kernel:
    return Kernel(*TWICE)


def identity(dtype: DType) -> Kernel:
    """The scalar itself, and an array of two of it."""
    c = CTYPE[dtype.name]
    name = f"same_{dtype}"
    return Kernel(
        program(name, [("x", dtype[()])], [("y", dtype[()]), ("z", dtype[2])]),
        unit(f"void {name}({c} x, {c} *y, {c} *z)", "*y = x; z[0] = x; z[1] = x;"),
    )


def message(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ArgumentError) as error:
        call(*args, **kwargs)
    return str(error.value)


# --- results --------------------------------------------------------------------------------------


def test_scalars_go_in_and_come_out(exercise: Kernel) -> None:
    loss, d_w = exercise(2.0, 1.0, 3.0, 4.0)
    assert (loss, d_w) == (4.5, 6.0)
    assert type(loss) is type(d_w) is np.float64


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_every_dtype_keeps_its_values(dtype: DType) -> None:
    same = identity(dtype)
    info: Any = np.iinfo(dtype.numpy) if dtype.kind == "i" else None
    info = dtype.limits if dtype.kind == "f" else info
    values = [0, 1] if dtype.kind == "b" else [0, 1, info.min, info.max]
    for value in values:
        number = dtype.numpy.type(value)
        for given in (number, number.item(), np.array(number)):
            y, z = same(given)
            assert type(y) is dtype.numpy.type
            assert y == number
            assert z.dtype == dtype.numpy
            assert list(z) == [number, number]


def test_nan_and_infinity_pass_through() -> None:
    for dtype in (float32, float64):
        y, _ = identity(dtype)(float("nan"))
        assert np.isnan(y)
        assert identity(dtype)(-np.inf)[0] == -np.inf


def test_one_output_comes_alone(scale: Kernel) -> None:
    y = scale(np.array([1, 2], np.float32), 3)
    assert type(y) is np.ndarray
    assert y.dtype == np.float32
    assert list(y) == [3, 6]


def test_results_are_new_at_each_call(scale: Kernel) -> None:
    x = ramp(3, dtype=np.float32)
    first = scale(x, 1)
    second = scale(x, 2)
    assert list(first) == [1, 2, 3]
    assert list(second) == [2, 4, 6]


@pytest.mark.parametrize("n", [0, 1, 5, 700])
def test_workspace_for_any_size(twice: Kernel, n: int) -> None:
    a, x = ramp(n, n) / (n * n + 1), ramp(n)
    y, total = twice(a, x)
    np.testing.assert_allclose(y, a @ (a @ x), rtol=1e-12)
    np.testing.assert_allclose(total, (a @ (a @ x)).sum(), rtol=1e-12)


def test_no_arguments_and_no_results() -> None:
    assert Kernel(program("nothing", [], []), unit("void nothing(void)", ""))() == ()
    one = Kernel(program("one", [], [("y", scalar)]), unit("void one(double *y)", "*y = 1;"))
    assert one() == 1.0


def test_a_kernel_may_be_called_as_its_wrapper_calls_things() -> None:
    for name in ("call", "run", "bind", "functions", "module", "bytes", "workspace", "g", "x"):
        made = Kernel(
            program(name, [("x", scalar)], [("y", scalar)]),
            unit(f"void {name}(double x, double *y)", "*y = x;"),
        )
        assert made(2.0) == 2.0


def test_more_arguments_than_a_call_keeps_on_the_stack() -> None:
    names = [f"x{i}" for i in range(40)]
    array = float64[2]
    typed = ", ".join(f"double {x}" for x in names).replace("double x7", "const double *x7")
    many = Kernel(
        program("many", [(x, array if x == "x7" else scalar) for x in names], [("y", array)]),
        unit(
            f"void many({typed}, double *y)",
            f"y[0] = x7[1]; y[1] = {' + '.join(x for x in names if x != 'x7')};",
        ),
    )
    values: list[Any] = [float(i) for i in range(40)]
    values[7] = np.array([0.5, 0.25])
    assert list(many(*values)) == [0.25, sum(range(40)) - 7]
    assert list(many.bind(*values)()) == [0.25, sum(range(40)) - 7]
    assert "argument 'x7' of many" in message(many, *range(40))


def test_a_kernel_is_a_kernel(exercise: Kernel) -> None:
    assert isinstance(exercise, Kernel)
    assert type(exercise).__name__ == "Kernel"
    assert type(exercise) is type(Kernel(*TWICE))


def test_a_bound_kernel_takes_no_arguments(exercise: Kernel) -> None:
    bound = exercise.bind(2.0, 1.0, 3.0, 4.0)
    with pytest.raises(TypeError, match="a bound kernel takes no arguments: it has them already"):
        bound(1.0)  # type: ignore[call-arg] -- what is tested


# --- conversions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x",
    [
        [1, 2, 3],
        [1.0, 2.0, 3.0],
        (1, 2, 3),
        ramp(6, dtype=np.float32)[:3],
        np.array([1, 9, 2, 9, 3], np.float32)[::2],
        np.array([3, 2, 1], np.float32)[::-1],
        np.array([1, 2, 3], ">f4"),
        np.array([1, 2, 3], np.int16),
        np.array([1, 2, 3], np.float16),
        np.frombuffer(b"\0" + np.array([1, 2, 3], np.float32).tobytes(), np.float32, 3, 1),
    ],
    ids=str,
)
def test_what_converts_without_loss(scale: Kernel, x: Any) -> None:
    assert list(scale(x, 2)) == [2, 4, 6]


def test_long_long_is_a_second_int64() -> None:
    copied = Kernel(
        program("copied", [("x", int64[2])], [("y", int64[2])]),
        unit("void copied(const int64_t *x, int64_t *y)", "y[0] = x[0]; y[1] = x[1];"),
    )
    assert list(copied(np.array([1, -2], np.longlong))) == [1, -2]
    assert list(copied(np.array([1, -2], np.int32))) == [1, -2]
    out = np.empty(2, np.longlong)
    assert list(copied([3, 4], out=out)) == list(out) == [3, 4]


def test_a_matrix_of_another_order_is_copied(twice: Kernel) -> None:
    a, x = ramp(3, 3), ramp(3)
    np.testing.assert_array_equal(twice(a.T, x)[0], twice(a.T.copy(), x)[0])


def test_the_empty_list_is_an_empty_array(scale: Kernel) -> None:
    assert scale([], 1).shape == (0,)


def test_the_argument_is_left_as_it_was(scale: Kernel) -> None:
    x = np.array([1, 2], ">f4")
    scale(x, 2)
    assert x.dtype == ">f4"
    assert list(x) == [1, 2]


# --- refusals -------------------------------------------------------------------------------------


def test_wrong_number_of_arguments(exercise: Kernel) -> None:
    assert message(exercise, 1.0, 2.0) == "exercise takes 4 arguments (x1, x2, w, t), not 2"


def test_lossy_array(scale: Kernel) -> None:
    assert message(scale, ramp(3), 1) == (
        "argument 'x' of scale must be float32[n], not float64[3], which does not convert without "
        "loss; pass x.astype(np.float32) if that is what you mean"
    )


def test_lossy_scalar(scale: Kernel) -> None:
    assert message(scale, [1], np.float64(0.1)) == (
        "argument 'a' of scale must be float32[], not float64[], which does not convert without "
        "loss; pass np.float32(a) if that is what you mean"
    )


def test_a_float_is_no_int_and_no_int_a_bool() -> None:
    assert message(identity(int32), 0.5) == (
        "argument 'x' of same_int32 must be int32[], not the float 0.5, which does not convert "
        "without loss; convert with int() if that is what you mean"
    )
    assert "must be bool[], not the int 1, which does not" in message(identity(bool_), 1)
    assert "pass x != 0 if that is what you mean" in message(identity(bool_), np.int64(1))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (int32, 2**31),
        (int32, -(2**31) - 1),
        (int64, 2**63),
        (int64, 10**40),
        (float32, 1e300),
        (float32, 10**40),
        (float64, 10**400),
    ],
    ids=str,
)
def test_numbers_out_of_range(dtype: DType, value: float) -> None:
    told = message(identity(dtype), value)
    assert told.startswith(f"argument 'x' of same_{dtype} must be {dtype}[], and the ")
    assert told.endswith(
        f"is out of the range of {dtype}; scale it, or compile same_{dtype} for a wider dtype"
    )


def test_lists_out_of_range(scale: Kernel) -> None:
    assert "a list (float64[1]) is out of the range of float32" in message(scale, [1e300], 1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"),
        ("a", "the str 'a'"),
        (1j, "a complex (complex128[])"),
        (np.zeros(2, complex), "complex128[2]"),
        ({}, "a dict (object[])"),
    ],
    ids=str,
)
def test_what_is_no_number(scale: Kernel, value: object, shown: str) -> None:
    assert message(scale, value, 1) == (
        f"argument 'x' of scale must be float32[n], not {shown}; pass real numbers"
    )


def test_ragged_lists(scale: Kernel) -> None:
    told = message(scale, [[1], [1, 2]], 1)
    assert told.startswith("argument 'x' of scale must be float32[n], not this list: ")


def test_masked_arrays(scale: Kernel) -> None:
    x = np.ma.masked_array(np.ones(2, np.float32), [True, False])
    assert message(scale, x, 1) == (
        "argument 'x' of scale is a masked array, whose mask scale cannot see; pass x.filled(value)"
    )


def test_wrong_rank(scale: Kernel) -> None:
    assert message(scale, np.ones((2, 3), np.float32), 1) == (
        "argument 'x' of scale must be float32[n] with 1 axis, not float32[2, 3] with 2 axes; "
        "reshape it"
    )
    assert "'a' of scale must be float32[] with 0 axes, not float32[1] with 1 axis" in message(
        scale, [1], np.ones(1, np.float32)
    )


def test_wrong_fixed_dimension() -> None:
    fixed = Kernel(
        program("fixed", [("x", float64[2, 3])], [("y", scalar)]),
        unit("void fixed(const double *x, double *y)", "*y = x[5];"),
    )
    assert fixed(ramp(2, 3)) == 6
    assert message(fixed, ramp(2, 4)) == (
        "axis 1 of argument 'x' of fixed has 4 elements, not the 3 of its type float64[2, 3]; "
        "pass that shape, or compile fixed for this one"
    )


def test_dimensions_that_disagree(twice: Kernel) -> None:
    assert message(twice, ramp(3, 3), ramp(4)) == (
        "axis 0 of argument 'x' of twice has 4 elements, and its type float64[n] asks for n = 3 "
        "of axis 0 of argument 'A'; the dimensions must agree"
    )
    assert message(twice, ramp(3, 1), ramp(3)).startswith(
        "axis 1 of argument 'A' of twice has 1 element, and its type float64[n, n] asks for n = 3"
    )


def computed() -> Kernel:
    n: Any = Dim.named("n")
    return Kernel(
        program(
            "computed",
            [("x", float64[2 * n]), ("y", float64[n + 1])],
            [("z", float64[n * n])],
            ["n"],
        ),
        unit(
            "void computed(const double *x, const double *y, int64_t n, double *z)",
            "(void)x; (void)y; for (int64_t i = 0; i < n * n; ++i) z[i] = (double)n;",
        ),
    )


def test_computed_dimensions() -> None:
    kernel = computed()
    assert list(kernel(ramp(4), ramp(3))) == [2, 2, 2, 2]
    assert message(kernel, ramp(4), ramp(4)) == (
        "axis 0 of argument 'y' of computed has 4 elements, and its type float64[n + 1] asks for "
        "n + 1 = 3, with n = 2 of axis 0 of argument 'x'; the dimensions must agree"
    )
    assert message(kernel, ramp(5), ramp(3)) == (
        "axis 0 of argument 'x' of computed has 5 elements, but its type is float64[2*n] and no n "
        "makes 2*n equal 5; pass another shape"
    )


def test_arguments_are_named_as_the_user_writes_them() -> None:
    from graphc.loops import Argument, Program

    one = Argument("params_W1", float32["n"], "params['W1']")
    made = Kernel(
        Program("net", "", (one,), ("n",), (Argument("y", scalar, "y"),), (), (), 0, ()),
        unit("void net(const float *params_W1, int64_t n, double *y)", "*y = params_W1[n - 1];"),
        flatten=lambda args, _: [args[0]["W1"]],
    )
    assert made({"W1": np.ones(3, np.float32)}) == 1
    assert "argument 'params['W1']'" in message(made, {"W1": ramp(3)}).replace('"', "'")
    assert "pass params['W1'].astype(np.float32)" in message(made, {"W1": ramp(3)})


# --- pytrees and names ----------------------------------------------------------------------------


def test_arguments_by_name(exercise: Kernel) -> None:
    assert exercise(2.0, 1.0, t=4.0, w=3.0) == (4.5, 6.0)
    assert message(exercise, 2.0, 1.0, 3.0, 4.0, w=1.0) == (
        "exercise cannot take 'w' by name; its arguments are x1, x2, w, t, each given once and in "
        "order"
    )


def test_trees_in_and_out() -> None:
    made = Kernel(
        *EXERCISE,
        flatten=lambda args, kwargs: [*args[0], kwargs["w"], kwargs["t"]],
        unflatten=lambda leaves: {"loss": leaves[0], "grad": leaves[1]},
    )
    assert made([2.0, 1.0], w=3.0, t=4.0) == {"loss": 4.5, "grad": 6.0}


def test_positional_leaves_need_no_flatten() -> None:
    def flatten(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        raise AssertionError("called")

    made = Kernel(*EXERCISE, flatten=flatten, positional=True)
    assert made(2.0, 1.0, 3.0, 4.0) == (4.5, 6.0)
    with pytest.raises(AssertionError, match="called"):
        made(2.0, 1.0, w=3.0, t=4.0)


# --- out= and bind --------------------------------------------------------------------------------


def test_out_is_written_and_returned(scale: Kernel, twice: Kernel) -> None:
    y = np.empty(2, np.float32)
    assert scale(np.array([1, 2], np.float32), 3, out=y) is y
    assert list(y) == [3, 6]
    outs = [np.empty(2), np.empty(())]
    result = twice([[1, 0], [0, 1]], [5, 6], out=outs)
    assert result[0] is outs[0]
    assert result[1] is outs[1]
    assert float(outs[1]) == 11


def test_out_that_does_not_fit(scale: Kernel, twice: Kernel) -> None:
    x = ramp(4, dtype=np.float32)
    read_only = np.empty(4, np.float32)
    read_only.flags.writeable = False
    fresh = "pass np.empty((4,), np.float32)"
    place = "out for 'y' of scale"
    cases: list[tuple[Any, str]] = [
        (np.empty(4), f"{place} must be float32[4], not float64[4]; {fresh}"),
        (np.empty(5, np.float32), f"{place} must be float32[4], not float32[5]; {fresh}"),
        (read_only, f"{place} is read-only; pass an array that may be written"),
        (
            np.empty(8, np.float32)[::2],
            f"{place} is not contiguous and aligned; {fresh} and copy from it",
        ),
        ([[0.0] * 4], f"{place} must be a NumPy array float32[4], not list; {fresh}"),
        (x, f"{place} overlaps argument 'x' in memory; give it an array of its own"),
        ([], "scale returns 1 array, but out= has 0; give one for each"),
        (1.0, "out= of scale must be a list of 1 arrays, one for each result, not float"),
    ]
    for out, told in cases:
        assert message(scale, x, 1, out=out) == told
        assert message(scale.bind, x, 1, out=out) == told
    both = np.empty(4)
    assert message(twice, ramp(1, 1), [1], out=[both[:1], both[0:1].reshape(())]) == (
        "out for 'total' of twice overlaps out for 'y' in memory; give it an array of its own"
    )


def test_neighbours_in_memory_do_not_overlap(scale: Kernel) -> None:
    both = ramp(4, dtype=np.float32)
    scale(both[:2], 10, out=both[2:])
    assert list(both) == [1, 2, 10, 20]


def test_bound_calls_read_the_arrays_anew(scale: Kernel) -> None:
    x = np.array([1, 2], np.float32)
    bound = scale.bind(x, 3.0)
    assert list(bound()) == [3, 6]
    x[0] = 5
    bound.inputs[1][...] = 2
    assert bound() is bound.outputs[0]
    assert list(bound.outputs[0]) == [10, 4]


def test_bound_calls_return_every_output(twice: Kernel) -> None:
    bound = twice.bind(np.eye(3), ramp(3), out=[np.empty(3), np.empty(())])
    y, total = bound()
    assert y is bound.outputs[0]
    assert (list(y), float(total)) == ([1, 2, 3], 6)


def test_bound_arrays_stay_alive(scale: Kernel) -> None:
    bound = scale.bind(np.full(1000, 2, np.float32), 3.0)
    bound.inputs = ()
    outputs = bound.outputs
    gc.collect()
    bound()
    assert outputs[0].sum() == 6000


def test_binding_checks(scale: Kernel) -> None:
    assert "must be float32[n], not float64[3]" in message(scale.bind, ramp(3), 1)


# --- threads and memory ---------------------------------------------------------------------------


def test_many_threads_call_one_kernel(twice: Kernel) -> None:
    def work(seed: int) -> bool:
        n = 5 + seed % 60
        a, x = np.full((n, n), 1.0 / n), np.full(n, float(seed))
        return all(np.allclose(twice(a, x)[0], x) for _ in range(20))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(64)))


def test_other_threads_run_during_a_call() -> None:
    waiting = Kernel(
        program("waiting", [("flag", int32[1])], [("y", int32[()])]),
        unit(
            "void waiting(const int32_t *flag, int32_t *y)",
            "const volatile int32_t *seen = flag; while (!*seen) { } *y = *seen;",
        ),
    )
    flag = np.zeros(1, np.int32)
    setter = threading.Timer(0.01, lambda: flag.fill(7))
    setter.start()
    assert waiting(flag) == 7  # never returns while the GIL is held
    setter.join()


def test_results_are_not_leaked(twice: Kernel) -> None:
    results = twice(np.eye(2), ramp(2))
    kept = weakref.ref(results[0])
    del results
    assert kept() is None


def test_refused_arguments_are_not_leaked(scale: Kernel) -> None:
    x = ramp(3)
    kept = weakref.ref(x)
    message(scale, x, 1)
    message(scale.bind, x, 1)
    del x
    gc.collect()
    assert kept() is None


def test_workspace_too_large_for_the_machine() -> None:
    huge = Kernel(
        program("huge", [("x", scalar)], [("y", scalar)], workspace=1 << 60),
        unit("void huge(double x, double *y, void *workspace)", "(void)workspace; *y = x;"),
    )
    for call in (huge, huge.bind):
        with pytest.raises(MemoryError, match=f"huge needs a workspace of {1 << 60} bytes"):
            call(1.0)


# --- what a kernel tells of itself ----------------------------------------------------------------


def test_properties(twice: Kernel, exercise: Kernel, tmp_path: Path) -> None:
    assert twice.name == "twice"
    assert twice.source == TWICE[1].source
    assert twice.header == TWICE[1].header
    assert twice.program is TWICE[0]
    assert twice.graph is None
    assert str(twice.workspace_bytes) == "8*n"
    assert twice.workspace_size(n=10) == 80
    assert exercise.workspace_bytes == exercise.workspace_size() == 0
    with pytest.raises(ShapeError, match=r"dimension 8\*n needs a value for n"):
        twice.workspace_size()
    assert [path.name for path in twice.export(tmp_path)] == ["twice.c", "twice.h"]


def test_repr_and_doc(exercise: Kernel) -> None:
    signature = (
        "exercise(x1: float64[], x2: float64[], w: float64[], t: float64[])"
        " -> (loss: float64[], d_w: float64[])"
    )
    assert repr(exercise) == f"<kernel {signature}>"
    assert exercise.__doc__ == f"{signature}\n\nLoss and its gradient."
    assert repr(exercise.bind(1, 2, 3, 4)) == f"<bound {signature}>"


def test_c_pointers_by_cffi(twice: Kernel) -> None:
    ffi = twice.ffi
    a, x, y = np.eye(2), ramp(2), np.empty(2)
    total = ffi.new("double *")
    pointers = [ffi.from_buffer("double[]", array) for array in (a, x, y)]
    twice.lib.twice(*pointers[:2], 2, pointers[2], total, ffi.new("double[]", 2))
    assert (list(y), total[0]) == ([1, 2], 3)


def test_copies_are_the_kernel_itself(exercise: Kernel) -> None:
    assert copy.copy(exercise) is exercise
    assert copy.deepcopy({"k": exercise})["k"] is exercise


def test_pickling_is_refused(exercise: Kernel) -> None:
    with pytest.raises(
        TypeError,
        match="kernel exercise holds compiled code and cannot be pickl"
        "ed; compile it again in the other process, which finds",
    ):
        pickle.dumps(exercise)
    with pytest.raises(TypeError, match="bound kernel exercise holds compiled code and cannot be"):
        pickle.dumps(exercise.bind(1, 2, 3, 4))


def test_two_kernels_of_one_name() -> None:
    inputs: list[Typed] = [("x", scalar)]
    one, two = (
        Kernel(
            program("f", inputs, [("y", scalar)]),
            unit("void f(double x, double *y)", f"*y = {factor} * x;"),
        )
        for factor in (1.0, 2.0)
    )
    assert (one(3.0), two(3.0)) == (3.0, 6.0)
    y = two.ffi.new("double *")
    two.lib.f(1.0, y)
    one.lib.f(5.0, y)
    assert y[0] == 5.0
