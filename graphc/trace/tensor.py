"""What a traced function computes with: a `Tensor` answers NumPy's protocols by making nodes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from graphc import graph, ops
from graphc.errors import DTypeError, MissingError, ShapeError, TraceError
from graphc.graph import Op, Value, apply
from graphc.ops.elementwise import CAST
from graphc.ops.shape import CONSTANT, DIMENSION, IOTA
from graphc.trace.coverage import (
    COMPOSITES,
    FUNCTIONS,
    METHODS,
    UFUNCS,
    located,
    place,
    refuse,
    refuse_function,
    refuse_use,
    supported,
)
from graphc.trace.promotion import loop_of, result_type
from graphc.types import Dim, DType, Size, dtype_of, int64


class Tensor(Value, NDArrayOperatorsMixin):
    """A traced value. It has NumPy's operators, functions, methods and attributes, and no data."""

    __slots__ = ()
    __hash__ = object.__hash__

    weak: type | None = None
    """int or float where the value promotes as a Python number does; `dims.Number` sets it."""
    shape: tuple[Any, ...]
    size: Any

    # --- what NumPy asks -----------------------------------------------------------------------

    @located
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        if kwargs.pop("out", None) is not None:
            refuse(f"np.{name} with out= writes into an array", "use the value it returns")
        if kwargs.pop("where", True) is not True:
            refuse(f"np.{name} with where= leaves elements unset", "use np.where on the result")
        dtype = kwargs.pop("dtype", None)
        kwargs.pop("casting", None)
        if method == "outer":
            a, b = map(as_tensor, inputs)
            return ufunc(np.reshape(a, a.shape + (1,) * b.ndim), b, **kwargs)
        if method != "__call__":
            handler = METHODS.get((name, method))
            if handler is None:
                refuse(f"np.{name}.{method} is not covered", "write it with np.sum, np.prod, ...")
            return handler(*inputs, **({"dtype": dtype} if dtype is not None else {}), **kwargs)
        for key in ("order", "subok"):
            kwargs.pop(key, None)
        if dtype is not None:
            inputs = tuple(as_tensor(x, dtype_of(dtype)).astype(dtype) for x in inputs)
        if name in UFUNCS:
            return UFUNCS[name](*inputs, **kwargs)
        if name in COMPOSITES:
            return COMPOSITES[name](*resolve(ufunc, inputs)[0], **kwargs)
        row = ops.BY_FUNCTION.get(name)
        if row is None or kwargs:
            refuse_function(name, "numpy" if hasattr(np, name) else "scipy.special")
        return elementwise(row, ufunc, inputs)

    @located
    def __array_function__(
        self, func: Callable[..., Any], types: object, args: Any, kwargs: Any
    ) -> Any:
        handler = FUNCTIONS.get(func)
        if handler is None:
            refuse_function(func.__name__, getattr(func, "__module__", "numpy"))
        return handler(*args, **kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return np

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        refuse_use(
            "a traced value has no numbers yet, so np.asarray, np.array and functions that are not "
            "NumPy's cannot take it",
            "use np.stack for a list of traced values, NumPy or scipy.special functions, and "
            "graphc.at(array)[i].get() to index an array by a traced i",
        )

    def __pow__(self, other: Any) -> Tensor:
        # NumPy's operator, unlike its function, squares bools as int8.
        if self.node.dtype.kind == "b" and type(other) is int and other == 2:
            return np.square(self)
        return np.power(self, other)

    # --- truth, numbers, assignment: refused ---------------------------------------------------

    def __bool__(self) -> NoReturn:  # noqa: PLE0304  # it refuses
        refuse_use(
            "the truth of a traced value is not known while tracing (an `if`, `and`, `or`, `not` "
            "or `while` on it)",
            "use np.where for elements or graphc.cond for branches",
        )

    def __float__(self) -> NoReturn:
        refuse_use(
            "float() of a traced value is not known while tracing",
            "keep it as it is; a 0-d value is a scalar already",
        )

    def __int__(self) -> NoReturn:
        refuse_use("int() of a traced value is not known while tracing", "use .astype(np.int64)")

    def __complex__(self) -> NoReturn:
        refuse("complex() of a traced value is not known while tracing", "keep it as it is")

    def __format__(self, spec: str) -> str:
        if spec:
            refuse(
                f"a traced value has no number to format as {spec!r} yet",
                "print what the traced function returns",
            )
        return repr(self)

    def __getattr__(self, name: str) -> NoReturn:
        if not name.startswith("_") and hasattr(np.ndarray, name):
            raise MissingError(
                f".{name} of a traced value is not covered by graphc{place()}: "
                "write it with functions that are (see docs/numpy.md)"
            )
        raise AttributeError(f"a traced value has no attribute {name!r}")

    def __index__(self) -> NoReturn:  # noqa: PLE0305  # it refuses
        refuse_use(
            "a traced value cannot be a size or a Python index",
            "sizes come from x.shape; graphc.at(array)[i].get() indexes an array by a traced i",
        )

    def __setitem__(self, key: object, value: object) -> NoReturn:
        refuse_use(
            "a traced value cannot be assigned to (x[i] = ...)",
            "use x = x.at[i].set(...), or build it with np.where, np.concatenate or np.stack",
        )

    def item(self, *args: object) -> NoReturn:
        refuse(".item() of a traced value is not known while tracing", "keep the 0-d value")

    def tolist(self) -> NoReturn:
        refuse(".tolist() of a traced value is not known while tracing", "iterate over the value")

    def __contains__(self, item: object) -> NoReturn:
        refuse("`in` on a traced value is not known while tracing", "use np.any(x == item)")

    # --- attributes ----------------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        return self.node.type.rank

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.node.dtype.numpy

    @property
    def itemsize(self) -> int:
        return self.node.dtype.bytes

    @property
    def nbytes(self) -> Any:
        return self.size * self.itemsize

    @property
    def imag(self) -> Tensor:
        return np.zeros_like(self)

    @property
    def T(self) -> Tensor:
        return np.transpose(self)

    @property
    def mT(self) -> Tensor:
        return np.matrix_transpose(self)

    @property
    def real(self) -> Tensor:
        return self

    def __len__(self) -> int:
        if not self.node.shape:
            raise TypeError("len() of a 0-d value")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.node.shape:
            raise TypeError("iteration over a 0-d value")
        size = self.node.shape[0]
        if not isinstance(size, int):
            refuse(
                f"a Python loop over {size} elements needs a size known while tracing",
                "use array operations, or a fixed size",
            )
        return (self[i] for i in range(size))

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: object) -> Tensor:
        return self

    def __repr__(self) -> str:
        return f"Tensor({self.node.type})"

    # --- helpers the rules use -----------------------------------------------------------------

    def arange(self, size: Size) -> Tensor:
        """0 .. size-1 as int64: what np.arange cannot give for a size known at run time."""
        return Tensor(apply(IOTA, dtype=int64, shape=(size,)))

    def astype(self, dtype: Any, **_: Any) -> Tensor:
        target = dtype_of(dtype)
        return self if target == self.node.dtype else Tensor(apply(CAST, self.node, dtype=target))


def dimension(size: Size, dtype: DType = int64) -> Tensor:
    """A size as a scalar of this dtype."""
    if isinstance(size, int):
        return constant(np.asarray(size, dtype.numpy))
    return Tensor(apply(DIMENSION, size=Dim(size.terms))).astype(dtype)


def attach(name: str, fn: Callable[..., Any]) -> None:
    """Make a function a method of tensors: methods live with their functions."""
    setattr(Tensor, name, located(fn))


def _in_place(ufunc: np.ufunc) -> Callable[[Tensor, Any], Tensor]:
    """x += y and kin: the name is bound to a new value, of the same type as NumPy would keep."""

    def operator(self: Tensor, other: Any) -> Tensor:
        result: Tensor = ufunc(self, other)
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise DTypeError(
                f"np.{ufunc.__name__} in place would put {result.dtype} into {self.dtype}: "
                "write it out, x = x + y"
            )
        if result.node.shape != self.node.shape:
            raise ShapeError(
                f"np.{ufunc.__name__} in place would put {result.node.type} into {self.node.type}"
            )
        return result.astype(self.dtype)

    return operator


for _name, _ufunc in (
    ("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("truediv", np.divide),
    ("floordiv", np.floor_divide), ("mod", np.remainder), ("pow", np.power),
    ("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor),
    ("lshift", np.left_shift), ("rshift", np.right_shift), ("matmul", np.matmul),
):  # fmt: skip
    attach(f"__i{_name}__", _in_place(_ufunc))


def constant(array: Any) -> Tensor:
    """A constant tensor.

    Raises:
        DTypeError: a dtype graphc does not have.
    """
    array = np.asarray(array)
    return Tensor(apply(CONSTANT, value=graph.Constant(array), dtype=dtype_of(array.dtype)))


def scalar_constant(x: Tensor) -> Any:
    """The NumPy scalar that a 0-d constant holds; None for anything else."""
    value = x.node.params["value"] if x.node.op is CONSTANT else None
    return value.array[()] if isinstance(value, graph.Constant) and not value.array.ndim else None


def as_tensor(x: Any, weak: DType | None = None) -> Tensor:
    """The tensor for anything an operand may be; Python numbers take the dtype `weak`."""
    if isinstance(x, Tensor):
        if x.weak is None:
            return x
        return Tensor(x.node) if weak is None else Tensor(x.node).astype(weak)
    if isinstance(x, Dim):
        return dimension(x, weak or int64)
    if isinstance(x, bool | int | float) and not isinstance(x, np.generic) and weak is not None:
        if weak.kind == "i" and isinstance(x, int) and not isinstance(x, bool):
            info = np.iinfo(weak.name)
            if not info.min <= x <= info.max:
                raise OverflowError(f"Python integer {x} out of bounds for {weak}{place()}")
        return constant(np.asarray(x, weak.numpy))
    if isinstance(x, list | tuple) and any(isinstance(part, Tensor) for part in _leaves(x)):
        return np.stack([as_tensor(part, weak) for part in x])
    try:
        return constant(np.asarray(x))
    except (DTypeError, ValueError) as error:
        raise DTypeError(f"{type(x).__name__} {x!r:.60}: {error}{place()}") from None


def _leaves(x: Any) -> Iterator[Any]:
    for part in x:
        if isinstance(part, list | tuple):
            yield from _leaves(part)
        else:
            yield part


def operand_dtype(x: Any) -> Any:
    """What NumPy's promotion (NEP 50) needs to know of an operand: a dtype, or a Python type."""
    if isinstance(x, Tensor | np.generic | np.ndarray):
        return getattr(x, "weak", None) or x.dtype
    if isinstance(x, bool):
        return np.dtype(bool)
    if isinstance(x, int | Dim):
        return int
    if isinstance(x, float):
        return float
    return as_tensor(x).dtype


def promote(*inputs: Any) -> tuple[Tensor, ...]:
    """The operands cast to their common dtype by NumPy's rules."""
    target = dtype_of(result_type(*(promotion_example(x) for x in inputs)))
    return tuple(as_tensor(x, target).astype(target) for x in inputs)


def promotion_example(x: Any) -> Any:
    """What stands for an operand in np.result_type: its dtype, or a Python number if it is one."""
    kind = operand_dtype(x)
    return kind if isinstance(kind, np.dtype) else kind()


BOOLEAN = {"add": "logical_or", "multiply": "logical_and", "maximum": "logical_or",
           "minimum": "logical_and", "bitwise_and": "logical_and", "bitwise_or": "logical_or",
           "bitwise_xor": "logical_xor", "invert": "logical_not", "fmax": "logical_or",
           "fmin": "logical_and"}  # fmt: skip
"""What a ufunc means on bools: NumPy's own loops."""
INTEGER = {"fmax": "maximum", "fmin": "minimum"}
IDENTITY_ON_INTEGERS = frozenset(("floor", "ceil", "trunc", "rint"))
CLASSIFIERS = frozenset(("isnan", "isinf", "isfinite", "signbit"))


def resolve(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> tuple[list[Tensor], Any]:
    """The operands in the dtypes of the loop that NumPy would choose, and the loop's dtypes."""
    loop, wanted = _loop(ufunc, tuple([operand_dtype(x) for x in inputs]))
    return [
        x if type(x) is Tensor and x.node.type.dtype == d else as_tensor(x, d).astype(d)
        for x, d in zip(inputs, wanted, strict=False)
    ], loop


@functools.lru_cache(4096)
def _loop(ufunc: np.ufunc, kinds: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[DType, ...]]:
    if all(isinstance(kind, type) for kind in kinds):
        kinds = tuple(np.dtype(kind) for kind in kinds)
    try:
        loop, wanted = loop_of(ufunc, kinds)
    except TypeError as error:
        raise TraceError(f"np.{ufunc.__name__}: {error}{place()}") from None
    return loop, tuple(supported(dtype, ufunc) for dtype in wanted)


def elementwise(row: Op, ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Tensor:
    """The row applied with the loop NumPy itself would choose for these dtypes."""
    if row.name in CLASSIFIERS and all(operand_dtype(x) in _EXACT for x in inputs):
        return _classify(row.name, as_tensor(inputs[0]))
    operands, loop = resolve(ufunc, inputs)
    name, kind = row.name, loop[0].kind
    if kind == "b" and name in BOOLEAN:
        row = ops.OPS[BOOLEAN[name]]
    elif kind == "b" and name == "absolute":
        return operands[0]
    elif kind == "i" and name in INTEGER:
        row = ops.OPS[INTEGER[name]]
    elif kind in "bi" and loop[-1].kind == kind and name in IDENTITY_ON_INTEGERS:
        return operands[0]
    elif name.startswith("logical_"):
        operands = [x if x.node.dtype.kind == "b" else x != 0 for x in operands]
    known = [scalar_constant(x) for x in operands]
    if not any(value is None for value in known):
        return constant(row.evaluate({}, *map(np.asarray, known)))
    return Tensor(apply(row, *[x.node for x in operands]))


_EXACT = (int, *(np.dtype(kind) for kind in ("bool", "int32", "int64")))


def _classify(name: str, x: Tensor) -> Tensor:
    """isnan and kin of what is exact."""
    if name == "signbit":
        return x < 0 if x.node.dtype.kind == "i" else np.zeros_like(x)
    return np.full_like(x, name == "isfinite", dtype=bool)
