"""Arguments that are not exactly what the C takes: converted where nothing is lost, or refused.

Converted (copied): lists of numbers; arrays that are strided, misaligned or byte-swapped; a dtype
that goes safely into the one wanted (``np.can_cast(..., "safe")``: int32 to int64, float32 to
float64, bool to anything). A Python number stands for a scalar of any dtype that can hold it.
Whatever would lose something is refused, with the way out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.build import Solution
from graphc.errors import ArgumentError
from graphc.loops import Argument, Program
from graphc.types import DType, TensorType, bfloat16, evaluate

Array = np.ndarray[Any, Any]
Solutions = tuple[Solution, ...]


def convert(program: Program, solutions: Solutions, leaves: Sequence[object]) -> list[Array]:
    """The arrays (rank 0 for scalars) that the C function takes, in its order.

    Raises:
        ArgumentError: a wrong number of arguments, or a dtype, rank, dimension or value that does
            not fit.
    """
    if len(leaves) != len(program.inputs):
        shown = ", ".join(x.shown for x in program.inputs)
        raise ArgumentError(
            f"{program.name} takes {_count(len(program.inputs), 'argument')}"
            f"{f' ({shown})' if shown else ''}, not {len(leaves)}"
        )
    arrays = [
        _convert(program.name, x, leaf) for x, leaf in zip(program.inputs, leaves, strict=True)
    ]
    values = dimensions(program, solutions, arrays)
    for x, array in zip(program.inputs, arrays, strict=True):
        _check_shape(program, solutions, x, array.shape, values)
    plain = [_plain(array, x.type) for x, array in zip(program.inputs, arrays, strict=True)]
    _check_donated(program, leaves, plain)
    return plain


def donated(program: Program) -> list[int]:
    """For each output the donated input that it overwrites, or -1."""
    names = [x.name for x in program.inputs]
    return [names.index(y.home) if y.home else -1 for y in program.outputs]


def _check_donated(program: Program, leaves: Sequence[object], arrays: Sequence[Array]) -> None:
    """Donated arguments are overwritten: the caller's own arrays, and nothing else."""
    for home in donated(program):
        if home < 0:
            continue
        x, leaf, array = program.inputs[home], leaves[home], arrays[home]
        about = f"argument {x.shown!r} of {program.name} is donated"
        if not isinstance(leaf, np.ndarray) or array.ctypes.data != leaf.ctypes.data:
            wanted = f"{x.type.dtype}{list(array.shape)}, contiguous and aligned"
            raise ArgumentError(
                f"{about} and must be an array {wanted}, not {_described(leaf)} that would be "
                f"converted: its new value would go to a copy; pass np.array({x.shown}, "
                f"{_spelled(x.type.dtype)}, order='C') and go on with that array"
            )
        if not array.flags.writeable:
            raise ArgumentError(
                f"{about}, so that its new value is written into it, and it is read-only; pass "
                f"{x.shown}.copy()"
            )
        for other, rival in zip(program.inputs, arrays, strict=True):
            if other is not x and other.type.rank and np.may_share_memory(array, rival):
                raise ArgumentError(
                    f"{about} and overlaps argument {other.shown!r} in memory, which would be "
                    f"overwritten with it; pass {x.shown}.copy()"
                )


def dimensions(program: Program, solutions: Solutions, arrays: Sequence[Array]) -> dict[str, int]:
    """The run-time dimensions that these inputs have."""
    values = {}
    for found in solutions:
        elements = arrays[found.index].shape[found.axis]
        value, left = divmod(elements - found.offset, found.step)
        if left or value < 0:
            x = program.inputs[found.index]
            raise ArgumentError(
                f"axis {found.axis} of argument {x.shown!r} of {program.name} has {elements} "
                f"elements, but its type is {x.type} and no {found.name} makes "
                f"{x.type.shape[found.axis]} equal {elements}; pass another shape"
            )
        values[found.name] = value
    return values


def output_shapes(program: Program, values: Mapping[str, int]) -> list[tuple[int, ...]]:
    return [tuple(evaluate(size, values) for size in y.type.shape) for y in program.outputs]


def _convert(kernel: str, x: Argument, value: object) -> Array:
    """An array of the right rank that casts to the right dtype without loss."""
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(
            f"argument {x.shown!r} of {kernel} is a masked array, whose mask {kernel} cannot see; "
            f"pass {x.shown}.filled(value)"
        )
    try:
        # NumPy holds an int of any size, but only up to 2**64 as a number.
        array = np.asarray(
            float(value) if type(value) is int and x.type.dtype.kind == "f" else value
        )
    except OverflowError:
        raise _out_of_range(kernel, x, value) from None
    except (ValueError, TypeError) as error:
        raise ArgumentError(
            f"argument {x.shown!r} of {kernel} must be {x.type}, not this {_kind(value)}: {error}"
        ) from None
    if array.dtype.kind not in "biuf" and array.dtype != x.type.dtype.numpy:
        if type(value) is int:
            raise _out_of_range(kernel, x, value)
        raise ArgumentError(
            f"argument {x.shown!r} of {kernel} must be {x.type}, not {_described(value)}; "
            "pass real numbers"
        )
    if array.ndim != x.type.rank:
        raise ArgumentError(
            f"argument {x.shown!r} of {kernel} must be {x.type} with "
            f"{_count(x.type.rank, 'axis', 'axes')}, not {_described(value)} with "
            f"{_count(array.ndim, 'axis', 'axes')}; reshape it"
        )
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        _check_dtype(kernel, x, value, array)
        return array
    return _from_python(kernel, x, value, array)


def _check_dtype(kernel: str, x: Argument, value: object, array: Array) -> None:
    target = x.type.dtype.numpy
    if np.can_cast(array.dtype, target, "safe"):
        return
    spelled = _spelled(x.type.dtype)
    remedy = f"{x.shown}.astype({spelled})" if x.type.rank else f"{spelled}({x.shown})"
    if x.type.dtype.kind == "b":
        remedy = f"{x.shown} != 0"
    raise ArgumentError(
        f"argument {x.shown!r} of {kernel} must be {x.type}, not {_described(value)}, which "
        f"does not convert without loss; pass {remedy} if that is what you mean"
    )


def _from_python(kernel: str, x: Argument, value: object, array: Array) -> Array:
    """Python numbers have no width: what counts is their kind, and that the value fits."""
    target = x.type.dtype.numpy
    ranks = {"b": 0, "i": 1, "u": 1, "f": 2}
    kind = x.type.dtype.kind
    if ranks[array.dtype.kind] > ranks[kind] and array.size:
        remedy = {"b": "bool", "i": "int"}[kind]
        raise ArgumentError(
            f"argument {x.shown!r} of {kernel} must be {x.type}, not {_described(value)}, "
            f"which does not convert without loss; convert with {remedy}() if that is what you mean"
        )
    with np.errstate(over="ignore"):
        narrow = array.astype(target)
    if kind == "f":
        fits = bool(np.all(np.isfinite(narrow) | ~np.isfinite(array.astype(np.float64))))
    else:
        fits = bool(np.all(narrow == array))
    if not fits:
        raise _out_of_range(kernel, x, value)
    return narrow


def _out_of_range(kernel: str, x: Argument, value: object) -> ArgumentError:
    return ArgumentError(
        f"argument {x.shown!r} of {kernel} must be {x.type}, and {_described(value)} is out of "
        f"the range of {x.type.dtype}; scale it, or compile {kernel} for a wider dtype"
    )


def _check_shape(
    program: Program,
    solutions: Solutions,
    x: Argument,
    shape: tuple[int, ...],
    values: Mapping[str, int],
) -> None:
    for axis, size in enumerate(x.type.shape):
        wanted = evaluate(size, values)
        if shape[axis] == wanted:
            continue
        place = f"axis {axis} of argument {x.shown!r} of {program.name}"
        if isinstance(size, int):
            raise ArgumentError(
                f"{place} has {_count(shape[axis], 'element')}, not the {wanted} of its type "
                f"{x.type}; pass that shape, or compile {program.name} for this one"
            )
        told = " and ".join(
            f"{found.name} = {values[found.name]} of axis {found.axis} of argument "
            f"{program.inputs[found.index].shown!r}"
            for found in solutions
            if found.name in x.type.dims
        )
        computed = "" if str(size) in values else f"{size} = {wanted}, with "
        raise ArgumentError(
            f"{place} has {_count(shape[axis], 'element')}, and its type {x.type} asks for "
            f"{computed}{told}; the dimensions must agree"
        )


def _plain(array: Array, wanted: TensorType) -> Array:
    """The array as C reads it: contiguous, aligned, of native bytes, of no subclass."""
    target = wanted.dtype.numpy
    ready = np.require(np.asarray(array), target, ["C", "A"])
    if ready.dtype.num != target.num:
        ready = ready.view(target)  # long long and long are two dtypes of the same bytes
    return ready


def check_outputs(
    program: Program, solutions: Solutions, inputs: Sequence[Array], out: Sequence[object]
) -> list[Array]:
    """The arrays that the caller gives for the results.

    Raises:
        ArgumentError: a wrong number, not an array of the output's type, read-only, not
            contiguous, or overlapping.
    """
    if len(out) != len(program.outputs):
        raise ArgumentError(
            f"{program.name} returns {_count(len(program.outputs), 'array')}, "
            f"but out= has {len(out)}; give one for each"
        )
    shapes = output_shapes(program, dimensions(program, solutions, inputs))
    checked = []
    homes = donated(program)
    for y, shape, array, home in zip(program.outputs, shapes, out, homes, strict=True):
        if home < 0:
            checked.append(_check_output(program.name, y, shape, array))
            continue
        if array is not None and array is not inputs[home]:
            raise ArgumentError(
                f"out for {y.shown!r} of {program.name} must be None: it goes into the donated "
                f"argument {program.inputs[home].shown!r}"
            )
        checked.append(inputs[home])
    arrays = [
        (x.shown, "argument", array)
        for x, array in zip(program.inputs, inputs, strict=True)
        if x.type.rank
    ]
    for y, array, home in zip(program.outputs, checked, homes, strict=True):
        for shown, role, other in arrays if home < 0 else ():
            if np.may_share_memory(array, other):
                raise ArgumentError(
                    f"out for {y.shown!r} of {program.name} overlaps {role} {shown!r} in memory; "
                    "give it an array of its own"
                )
        arrays.append((y.shown, "out for", array))
    return checked


def _check_output(kernel: str, y: Argument, shape: tuple[int, ...], array: object) -> Array:
    place, wanted = f"out for {y.shown!r} of {kernel}", f"{y.type.dtype}{list(shape)}"
    if type(array) is not np.ndarray:
        raise ArgumentError(
            f"{place} must be a NumPy array {wanted}, not {_kind(array)}; pass "
            f"np.empty({shape}, {_spelled(y.type.dtype)})"
        )
    if array.dtype != y.type.dtype.numpy:
        raise ArgumentError(
            f"{place} must be {wanted}, not {array.dtype}{list(array.shape)}; pass "
            f"np.empty({shape}, {_spelled(y.type.dtype)})"
        )
    if array.shape != shape:
        raise ArgumentError(
            f"{place} must be {wanted}, not {array.dtype}{list(array.shape)}; "
            f"pass np.empty({shape}, {_spelled(y.type.dtype)})"
        )
    if not array.flags.writeable:
        raise ArgumentError(f"{place} is read-only; pass an array that may be written")
    if not array.flags.carray:
        raise ArgumentError(
            f"{place} is not contiguous and aligned; pass np.empty({shape}, "
            f"{_spelled(y.type.dtype)}) and copy from it"
        )
    return array if array.dtype.num == y.type.dtype.numpy.num else array.view(y.type.dtype.numpy)


def _described(value: object) -> str:
    """``float64[32, 784]`` for an array, ``the float 0.5`` for a number."""
    if isinstance(value, bool | int | float | str) and not isinstance(value, np.generic):
        text = repr(value)
        return f"the {_kind(value)} {text if len(text) <= 40 else text[:37] + '...'}"
    if value is None:
        return "None"
    array = np.asarray(value)
    typed = f"{array.dtype.newbyteorder('=')}{list(array.shape)}"
    return typed if isinstance(value, np.ndarray | np.generic) else f"a {_kind(value)} ({typed})"


def _spelled(dtype: DType) -> str:
    """The dtype in the user's Python."""
    return f"{'ml_dtypes' if dtype is bfloat16 else 'np'}.{dtype}"


def _kind(value: object) -> str:
    return type(value).__name__


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
