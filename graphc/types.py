"""What a tensor is: a dtype and a shape whose sizes may be known only at run time."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from graphc.errors import DTypeError, ShapeError
from graphc.sizes import (
    FUNCTIONS,
    Atom,
    Dim,
    Func,
    Interval,
    Monomial,
    Shape,
    Size,
    at_most,
    below,
    floordiv,
    interval,
    maximum,
    minimum,
    mod,
    split,
)
from graphc.substitution import evaluate, linear, map_atoms, names, substitute

__all__ = [
    "DTYPES",
    "FUNCTIONS",
    "Atom",
    "BundleType",
    "DType",
    "Dim",
    "Func",
    "Interval",
    "Monomial",
    "Shape",
    "Size",
    "TensorType",
    "as_size",
    "at_most",
    "below",
    "bfloat16",
    "bool_",
    "broadcast_shapes",
    "bundle",
    "dtype_of",
    "evaluate",
    "float16",
    "float32",
    "float64",
    "floordiv",
    "int32",
    "int64",
    "interval",
    "linear",
    "map_atoms",
    "matching",
    "maximum",
    "minimum",
    "mod",
    "names",
    "normalize_axis",
    "product",
    "split",
    "strides",
    "substitute",
]


@dataclass(frozen=True, slots=True)
class DType:
    """An element type. ``float32["n", 784]`` is a tensor type; ``float64`` alone is a scalar's."""

    name: str
    kind: str
    """'b' bool, 'i' signed integer, 'f' floating point: NumPy's letters."""
    bytes: int

    def __getitem__(self, shape: int | str | Dim | tuple[int | str | Dim, ...]) -> TensorType:
        sizes = shape if isinstance(shape, tuple) else (shape,)
        return TensorType(self, tuple(as_size(size) for size in sizes))

    @property
    def is_half(self) -> bool:
        """Whether it only stores numbers, which are computed with as float32."""
        return self.kind == "f" and self.bytes == 2

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """NumPy's dtype; that of bfloat16 comes with the package ml_dtypes.

        Raises:
            DTypeError: ml_dtypes is not installed.
        """
        return np.dtype(self.name if self.name != "bfloat16" else _ml_dtypes().bfloat16)

    @property
    def limits(self) -> Any:
        """NumPy's finfo of a floating-point type."""
        return np.finfo(self.name) if self.name != "bfloat16" else _ml_dtypes().finfo("bfloat16")

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


bool_ = DType("bool", "b", 1)
int32 = DType("int32", "i", 4)
int64 = DType("int64", "i", 8)
float16 = DType("float16", "f", 2)
bfloat16 = DType("bfloat16", "f", 2)
"""The upper half of a float32: 8 bits of precision, float32's range."""
float32 = DType("float32", "f", 4)
float64 = DType("float64", "f", 8)
DTYPES: dict[str, DType] = {
    d.name: d for d in (bool_, int32, int64, float16, bfloat16, float32, float64)
}


_BY_NUMPY = {np.dtype(name): dtype for name, dtype in DTYPES.items() if name != "bfloat16"}


@cache
def _ml_dtypes() -> Any:
    try:
        return importlib.import_module("ml_dtypes")  # only who stores bfloat16 needs it
    except ImportError:
        raise DTypeError(
            "bfloat16 arrays need the package ml_dtypes: pip install ml_dtypes, or use float16"
        ) from None


def dtype_of(dtype: object) -> DType:
    """graphc's dtype for anything np.dtype() understands.

    Raises:
        DTypeError: a dtype graphc does not have (complex128, uint8, object, ...).
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, np.dtype) and dtype in _BY_NUMPY:
        return _BY_NUMPY[dtype]
    name = np.dtype(dtype).name  # type: ignore[call-overload]  # any dtype-like is the point
    if name not in DTYPES:
        raise DTypeError(
            f"dtype {name} is not supported; graphc has {', '.join(DTYPES)}: convert with astype"
        )
    return DTYPES[name]


@dataclass(frozen=True)
class TensorType:
    """The dtype and shape of a tensor; prints as ``float32[n, 784]``, a scalar as ``float64[]``."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @cached_property
    def size(self) -> Size:
        """Number of elements."""
        return product(self.shape)

    @property
    def dims(self) -> tuple[str, ...]:
        """The names its shape depends on, in order of appearance."""
        return tuple(dict.fromkeys(name for size in self.shape for name in names(size)))

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    __repr__ = __str__


@dataclass(frozen=True)
class BundleType(TensorType):
    """The type of a node with several results (a loop, a branch): those of its parts."""

    parts: tuple[TensorType, ...] = ()

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parts))})"

    __repr__ = __str__


def bundle(parts: Iterable[TensorType]) -> BundleType:
    return BundleType(float64, (), tuple(parts))


def broadcast_shapes(*shapes: Shape) -> Shape:
    """NumPy's broadcasting: equal sizes, or 1 beside anything.

    Raises:
        ShapeError: two sizes differ and neither is 1.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Size] = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size == 1 or size == result[axis]:
                continue
            if result[axis] != 1:
                listed = " and ".join(f"[{', '.join(map(str, s))}]" for s in shapes)
                raise ShapeError(f"shapes {listed} do not broadcast: {result[axis]} against {size}")
            result[axis] = size
    return tuple(result)


def normalize_axis(axis: int, rank: int, what: str = "axis") -> int:
    """An axis in 0 .. rank-1 from one that may count from the end."""
    if not -rank <= axis < rank:
        raise ShapeError(f"{what} {axis} is out of range for {rank} dimension(s)")
    return axis % rank


def strides(shape: Shape) -> Shape:
    """Elements between neighbours along each axis of a C-contiguous array."""
    result: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        result.append(step)
        step = size * step
    return tuple(reversed(result))


def as_size(size: object) -> Size:
    """An int or Dim from an int, a name, or a Dim; names must be Python identifiers."""
    if isinstance(size, Dim):
        return size if type(size) is Dim else Dim(size.terms)
    if isinstance(size, str):
        if not size.isidentifier():
            raise ShapeError(f"dimension name {size!r} must be an identifier such as 'n'")
        return Dim.named(size)
    if isinstance(size, int | np.integer) and not isinstance(size, bool):
        if size < 0:
            raise ShapeError(f"dimension {size} is negative")
        return int(size)
    raise ShapeError(f"a dimension is an int or a name, not {size!r} of type {type(size).__name__}")


def product(sizes: Iterable[Size]) -> Size:
    """The number of elements of a shape."""
    total: Size = 1
    for size in sizes:
        total = size * total
    return total


def matching(source: Shape, target: Shape) -> Iterator[tuple[slice, slice]]:
    """Runs of axes of both shapes that have as many elements, as short as can be."""
    i = j = 0
    while i < len(source) or j < len(target):
        first, second = i, j
        own: Size = 1
        other: Size = 1
        while own != other or (first == i and second == j):
            if i < len(source) and (j == len(target) or at_most(own, other)):
                own, i = own * source[i], i + 1
            elif j < len(target):
                other, j = other * target[j], j + 1
            else:  # of sizes that are named the order may not be known
                break
        yield slice(first, i), slice(second, j)
