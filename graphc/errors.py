"""The errors graphc raises. Each message names the value, its type, its line and the remedy."""

from __future__ import annotations


class GraphcError(Exception):
    """Anything graphc refuses. Catch this to catch them all."""


class TraceError(GraphcError, TypeError):
    """The function does something with a traced value that a graph cannot hold."""


class MissingError(TraceError, AttributeError):
    """A method or attribute of arrays that traced values do not have."""


class ShapeError(GraphcError, ValueError):
    """Shapes, axes or dimensions that do not fit together."""


class IndexRangeError(GraphcError, IndexError):
    """An index beyond the elements of its axis."""


class DTypeError(GraphcError, TypeError):
    """A dtype graphc does not have, or one an operation does not take."""


class ArgumentError(GraphcError, ValueError):
    """A kernel or graph was called with something it was not compiled for."""


class NonFiniteError(GraphcError, FloatingPointError):
    """A kernel compiled with trap_nans=True made a nan or an infinity, or passed one on.

    `node`, `equation`, `source` (its ``file`` and ``line``; None if unknown) and `what`, all of
    these in one text, tell where. `index` is the element of the node, `value` what it is.
    `operands` are the values it was made of, by how they are written; for a value that came in
    they are empty. `steps` counts the loops around it, the outermost first. `argument`,
    `argument_index` and `argument_value` are None unless an argument was nan or infinite itself.
    """

    node: str
    equation: str
    what: str
    source: object
    index: tuple[int, ...]
    value: float
    operands: dict[str, float]
    steps: tuple[int, ...]
    argument: str | None
    argument_index: tuple[int, ...] | None
    argument_value: float | None


class BuildError(GraphcError, RuntimeError):
    """The C compiler is missing or refused the code, or the cache cannot be written."""


class DrawError(GraphcError, RuntimeError):
    """A picture cannot be rendered, for instance because Graphviz' dot is missing."""


class VerifyError(GraphcError, AssertionError):
    """A graph or program is not well formed: a bug in whatever made it."""


class CheckError(GraphcError, AssertionError):
    """`check` found results that differ where they must agree."""
