"""The callable: compiled C with a Python face."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from graphc import loops_count
from graphc.build import Unit, caller, export, load, solve
from graphc.errors import ArgumentError
from graphc.kernel.arguments import (
    check_outputs,
    convert,
    dimensions,
    donated,
    output_shapes,
)
from graphc.kernel.traps import told_by, untrapped
from graphc.later import Later
from graphc.loops import Program
from graphc.options import Options
from graphc.types import Size, evaluate

if TYPE_CHECKING:
    from graphc.kernel import profiling
    from graphc.kernel.profiling import Profile
else:
    profiling = Later("graphc.kernel.profiling")

__all__ = ["Bound", "Flatten", "Kernel", "Unflatten"]

Flatten = Callable[[tuple[Any, ...], dict[str, Any]], Sequence[Any]]
Unflatten = Callable[[Sequence[Any]], Any]


_classes: dict[type, type] = {}


def on(base: type, face: type) -> type:
    """A class with the calls of `base`, from templates/caller.c, and the rest from `face`.

    A call then goes from Python to C with no Python code between, which would cost more than it.
    """
    made = _classes.get(face)
    if made is None:
        names = {name: face.__dict__[name] for name in ("__module__", "__doc__")}
        made = _classes.setdefault(face, type(face.__name__, (face, base), names))
        caller().quicken(made)
    return made


class Kernel:
    """A compiled function of NumPy arrays and numbers. Safe to call from many threads at once.

    ``kernel(*args)`` returns new arrays, NumPy scalars for results without axes.
    ``kernel(*args, out=[...])`` writes into the arrays given, one for each result; they may
    overlap neither the arguments nor each other. A result that takes the memory of a donated
    argument is that array itself; its place in out= is None.

    Raises when called:
        ArgumentError: an argument does not fit; `kernel.arguments` says what is converted and
            what is refused.
    """

    def __new__(cls, *args: object, **kwargs: object) -> Kernel:
        base = caller().Caller
        return base.__new__(on(base, cls))

    if TYPE_CHECKING:  # templates/caller.c

        def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any: ...
        def _call(self, *inputs: Any) -> Any: ...
        def _call_into(self, *inputs_and_outputs: Any) -> Any: ...
        def _bind(self, *bound_inputs_and_outputs: Any) -> Any: ...

    def __init__(
        self,
        program: Program,
        unit: Unit,
        *,
        flatten: Flatten | None = None,
        unflatten: Unflatten | None = None,
        positional: bool | None = None,
        graph: object = None,
        options: Options | None = None,
    ) -> None:
        """Compiles `unit`, or finds it compiled.

        flatten(args, kwargs) gives the leaves in the order of program.inputs; None: the arguments
        are the leaves. unflatten(leaves) gives the result; None: the one output, or a tuple.
        positional: a call with len(program.inputs) positional arguments and no others needs no
        flatten, because each argument is a leaf (None: so without flatten); such a call is fast.

        Raises:
            BuildError: no compiler, or it refused the code.
        """
        self._face = self.program = program
        self.unit = unit
        self.graph = graph
        self._flatten = flatten
        self._unflatten = unflatten
        self._positional = flatten is None if positional is None else positional
        self._solutions = solve(program)
        self._options = options or Options()
        self._loaded = load(unit, program, self._options)
        direct = self._positional and unflatten is None and not program.trap
        self._loaded.prepare(self, direct)

    def _slowly(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """A call that is not simply the kernel's own arguments, as it wants them."""
        leaves = self._leaves(args, kwargs)
        if out is not None:
            return self._structured(self._write(leaves, self._outs(out)))
        result = self._call(*leaves)
        if result is NotImplemented:  # the slow road, where errors are made
            leaves = convert(self.program, self._solutions, leaves)
            result = self._call(*leaves)
        if result is NotImplemented:
            self._changed()
        return self._structured(untrapped(self.program, self._solutions, leaves, result))

    def _write(self, leaves: Sequence[Any], outs: Sequence[Any]) -> Any:
        result, told = NotImplemented, told_by(self.program)
        if len(outs) == len(self.program.outputs):
            result = self._call_into(*leaves, *outs, *told)
        if result is NotImplemented:
            leaves = convert(self.program, self._solutions, leaves)
            checked = check_outputs(self.program, self._solutions, leaves, outs)
            result = self._call_into(*leaves, *checked, *told)
        if result is NotImplemented:
            self._changed()
        return untrapped(self.program, self._solutions, leaves, result)

    def _outs(self, out: Any) -> Sequence[Any]:
        """out= as a sequence: an array alone stands for the only output."""
        if isinstance(out, tuple | list):
            return out
        if isinstance(out, np.ndarray) and len(self._face.outputs) == 1:
            return (out,)
        raise ArgumentError(
            f"out= of {self.name} must be a list of {len(self._face.outputs)} arrays, one for "
            f"each result, not {type(out).__name__}"
        )

    def _leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
        inputs = self._face.inputs
        if self._positional and not kwargs and len(args) == len(inputs):
            return args
        if self._flatten is not None:
            return self._flatten(args, kwargs)
        leaves = list(args)
        for x in inputs[len(args) :]:
            if x.shown not in kwargs:
                break
            leaves.append(kwargs.pop(x.shown))
        if kwargs:
            names = ", ".join(map(repr, kwargs))
            raise ArgumentError(
                f"{self.name} cannot take {names} by name; its arguments are "
                f"{', '.join(x.shown for x in inputs)}, each given once and in order"
            )
        return leaves

    def _structured(self, result: Any) -> Any:
        if self._unflatten is None:
            return result
        return self._unflatten([result] if len(self._face.outputs) == 1 else list(result))

    def _changed(self) -> NoReturn:
        raise ArgumentError(
            f"an argument of {self.name} changed its type or shape while it was being checked; "
            "keep arrays as they are during a call"
        )

    def bind(self, *args: Any, out: Any = None, **kwargs: Any) -> Bound:
        """The call with everything checked once: ``bound()`` only runs the C.

        ``bound()`` reads the arrays anew each time and returns the same outputs each time. Numbers
        are held in arrays of rank 0, ``bound.inputs[k]``; write ``bound.inputs[k][...] = 0.1``.
        An argument that had to be converted is a copy: `bound.inputs` has the arrays that count.
        With donated arguments each call goes on from where the one before ended.

        Raises:
            ArgumentError: as a call.
        """
        program = self._face
        inputs = convert(program, self._solutions, self._leaves(args, kwargs))
        if out is None:
            shapes = output_shapes(program, dimensions(program, self._solutions, inputs))
            outs = [
                np.zeros(shape, y.type.dtype.numpy) if home < 0 else inputs[home]
                for shape, y, home in zip(shapes, program.outputs, donated(program), strict=True)
            ]
        else:
            outs = check_outputs(program, self._solutions, inputs, self._outs(out))
        return self._bound(tuple(inputs), tuple(outs))

    def _bound(self, inputs: tuple[np.ndarray, ...], outs: tuple[np.ndarray, ...]) -> Bound:
        kind = TrappedBound if self.program.trap else Bound
        return kind(self, inputs, outs)

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Where a call with these arguments spends its time: a table of its loop nests.

        A variant of the C that reads a clock around each nest runs for a third of a second. Each
        row has time, FLOPs, bytes, and the fractions of what one core of this machine can do,
        which is measured once, or as many as there are threads: they meet before each reading.
        Nanoseconds of straight code are as good as the clock.

        Returns:
            A `Profile`: ``print`` it, read its `rows`, or ``draw(path)`` the nests by their heat.

        Raises:
            ArgumentError: as a call; or the kernel watches for nans.
        """
        program = self.program
        if program.trap:
            raise ArgumentError(
                f"{self.name} watches for nans, and its profile would be of that; compile it "
                "without trap_nans"
            )
        inputs = convert(program, self._solutions, self._leaves(args, kwargs))
        dims = dimensions(program, self._solutions, inputs)
        return profiling.profile(program, self.graph, self._options, inputs, dims)

    @property
    def name(self) -> str:
        return self._face.name

    @property
    def source(self) -> str:
        """The text of the .c file."""
        return self.unit.source

    @property
    def header(self) -> str:
        """The text of the .h file."""
        return self.unit.header

    @property
    def workspace_bytes(self) -> Size:
        """Bytes of workspace, aligned to 64: an int, or an expression of run-time dimensions."""
        return self.program.workspace

    @property
    def flops(self) -> Size:
        """Floating-point operations of one call: an int, or an expression of run-time dimensions.

        Each addition, maximum, exp, ... counts one, and a matrix product two for each of its
        terms; choices, casts and comparisons are free. Of two branches the longer counts, and a
        loop that ends on a condition counts one round.
        """
        return loops_count.flops(self.program)

    def workspace_size(self, **dims: int) -> int:
        """Bytes of workspace when the run-time dimensions have these values.

        Raises:
            ShapeError: a dimension is missing.
        """
        return evaluate(self.program.workspace, dims)

    @property
    def variant(self) -> str:
        """Which variant of the C it is: "model", or what ``graphc.compile(..., tune=True)`` found
        faster: "small blocks", "no blocks" (of a product's rows), "not turned" (products)."""
        return self._options.variant

    @property
    def lib(self) -> Any:
        """cffi's view of the compiled C: ``kernel.lib.name(...)`` takes C pointers, unchecked."""
        return self._loaded.lib

    @property
    def ffi(self) -> Any:
        """cffi's maker of C pointers: ``kernel.ffi.from_buffer("double[]", array)``."""
        return self._loaded.ffi

    def export(self, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Writes the .c and the .h into `folder`; returns their paths.

        Raises:
            BuildError: the folder is a file, or cannot be written.
        """
        return export(folder, self.unit)

    @property
    def signature(self) -> str:
        """``train(x: float32[n, 784], lr: float32[]) -> (loss: float32[])``."""
        inputs, outputs = (
            ", ".join(f"{a.shown}: {a.type}" for a in arguments)
            for arguments in (self._face.inputs, self._face.outputs)
        )
        return f"{self.name}({inputs}) -> ({outputs})"

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return f"{self.signature}\n\n{self._face.doc}".rstrip()

    def __repr__(self) -> str:
        return f"<kernel {self.signature}>"

    def __copy__(self) -> Kernel:
        return self

    def __deepcopy__(self, memo: Mapping[int, object]) -> Kernel:
        return self  # nothing in it can change

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"kernel {self.name} holds compiled code and cannot be pickled; compile it again in "
            "the other process, which finds it in the cache"
        )


class Bound:
    """A kernel with its arguments: ``bound()`` computes, and returns `bound.outputs`.

    For one thread at a time: the outputs are shared between calls.
    """

    def __new__(cls, *args: object) -> Bound:
        base = caller().BoundCaller
        return base.__new__(on(base, cls))

    if TYPE_CHECKING:  # templates/caller.c

        def __call__(self) -> Any: ...

    def __init__(
        self, kernel: Kernel, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]
    ) -> None:
        self.kernel = kernel
        self.inputs = inputs
        self.outputs = outputs
        if kernel._bind(self, *inputs, *outputs) is NotImplemented:
            kernel._changed()

    def __repr__(self) -> str:
        return f"<bound {self.kernel.signature}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"bound kernel {self.kernel.name} holds compiled code and cannot be pickled; bind it "
            "again in the other process"
        )


class TrappedBound(Bound):
    """A bound kernel whose calls raise NonFiniteError."""

    def __new__(cls, *args: object) -> TrappedBound:
        return object.__new__(cls)

    def __init__(
        self, kernel: Kernel, inputs: tuple[np.ndarray, ...], outputs: tuple[np.ndarray, ...]
    ) -> None:
        self.kernel = kernel
        self.inputs = inputs
        self.outputs = outputs
        self._inner = Bound(kernel, inputs, (*outputs, *told_by(kernel.program)))

    def __call__(self) -> Any:
        kernel = self.kernel
        return untrapped(kernel.program, kernel._solutions, self.inputs, self._inner())
