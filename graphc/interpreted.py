"""A kernel before its C: NumPy computes the graph, and the C is made when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from graphc.build import Loaded, Unit, load, solve
from graphc.kernel import Bound, Flatten, Kernel, Unflatten
from graphc.kernel.arguments import check_outputs, convert
from graphc.loops import Program
from graphc.options import Options

Run = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


class Interpreted(Kernel):
    # A kernel in all but its speed: `graphc.compile` with optimize=0.
    __doc__ = Kernel.__dict__["__doc__"]  # a property: the signature of the kernel

    def __new__(cls, *args: object, **kwargs: object) -> Interpreted:
        return object.__new__(cls)

    def __init__(
        self,
        signature: Program,
        run: Run,
        make: Callable[[], tuple[Program, Unit]],
        flatten: Flatten | None,
        unflatten: Unflatten | None,
        graph: object,
        options: Options,
    ) -> None:
        """`run` computes the outputs, `make` lowers and prints.

        Raises:
            BuildError: a dimension that no shape determines.
        """
        self._face = signature
        self._run, self._make, self._options = run, make, options
        self._flatten, self._unflatten = flatten, unflatten
        self._positional = flatten is None
        self._solutions = solve(signature)
        self.graph = graph

    @cached_property
    def _made(self) -> tuple[Program, Unit]:
        return self._make()

    @property
    def program(self) -> Program:  # type: ignore[override]  # made when asked for
        return self._made[0]

    @property
    def unit(self) -> Unit:  # type: ignore[override]  # made when asked for
        return self._made[1]

    @cached_property
    def _loaded(self) -> Loaded:  # type: ignore[override]  # made when asked for
        return load(self.unit, self.program, self._options)

    def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        inputs = convert(self._face, self._solutions, self._leaves(args, kwargs))
        if out is None:
            results = [fresh(x, inputs) for x in self._run(inputs)]
            values: list[Any] = [x if x.ndim else x[()] for x in results]
            return self._structured(values[0] if len(values) == 1 else tuple(values))
        outs = check_outputs(self._face, self._solutions, inputs, self._outs(out))
        self.compute(inputs, outs)
        return self._structured(outs[0] if len(outs) == 1 else tuple(outs))

    def compute(self, inputs: Sequence[np.ndarray], outs: Sequence[np.ndarray]) -> None:
        """Writes the results into `outs`, which are as they should be."""
        for place, result in zip(outs, self._run(inputs), strict=True):
            place[...] = result

    def _bound(self, inputs: tuple[np.ndarray, ...], outs: tuple[np.ndarray, ...]) -> Bound:
        return InterpretedBound(self, inputs, outs)


class InterpretedBound(Bound):
    """A bound kernel in all but its speed."""

    def __new__(cls, *args: object) -> InterpretedBound:
        return object.__new__(cls)

    def __init__(
        self,
        kernel: Interpreted,
        inputs: tuple[np.ndarray, ...],
        outputs: tuple[np.ndarray, ...],
    ) -> None:
        self.kernel, self.inputs, self.outputs = kernel, inputs, outputs
        self._compute = kernel.compute

    def __call__(self) -> Any:
        self._compute(self.inputs, self.outputs)
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs


def fresh(array: np.ndarray, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The array as C returns it: contiguous, writable, and nobody else's."""
    own = array.base is None and array.flags.carray and not any(array is x for x in inputs)
    return array if own else np.array(array, order="C")
