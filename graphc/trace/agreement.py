"""Whether what a loop or branch is given fits together; messages name both sides."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphc import trees
from graphc.errors import TraceError
from graphc.graph import Graph
from graphc.trace.coverage import place
from graphc.trace.tensor import Tensor
from graphc.types import TensorType, bool_


@dataclass(frozen=True)
class Loop:
    """How messages call a loop, and how its user sees the carry: all of it, or a part. And whether
    its steps are blocks of steps that are run again, so that nothing of them is kept."""

    name: str
    part: int | None = None
    blocked: bool = False

    def seen(self, tree: Any, leaves: Sequence[Any]) -> str:
        """A carry, a type for each leaf."""
        whole = trees.unflatten(tree, [getattr(x, "node", x).type for x in leaves])
        return str(whole if self.part is None else whole[self.part])


def check_branches(then: Any, other: Any) -> None:
    a = [str(x.type) for x in then.graph.outputs]
    b = [str(x.type) for x in other.graph.outputs]
    if then.out_tree != other.out_tree or a != b:
        raise TraceError(
            f"the branches of cond differ{place()}: the true one returns "
            f"{typed(then)}, the false one {typed(other)}; make structures, "
            "shapes and dtypes equal (astype, broadcast_to)"
        )


def typed(traced: Any) -> str:
    """The result of a traced function, a type for each leaf."""
    return str(trees.unflatten(traced.out_tree, [x.type for x in traced.graph.outputs]))


def check_function(what: str, f: Any, *given: str) -> None:
    """
    Raises:
        TraceError: f is no function, or takes other arguments than are given to it.
    """
    called = f"is called with ({', '.join(given)})"
    if not callable(f):
        raise TraceError(f"{what} {called}, and {f!r} is no function{place()}")
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):  # builtins and ufuncs may have none
        return
    try:
        signature.bind(*given)
    except TypeError as error:
        name = getattr(f, "__name__", "it")
        raise TraceError(
            f"{what} {called}, and {name}{signature} cannot take that: {error}{place()}"
        ) from None


def check_test(name: str, test: Graph) -> None:
    kinds = [x.type for x in test.outputs]
    if kinds != [TensorType(bool_, ())]:
        raise TraceError(
            f"the condition of {name} returns {', '.join(map(str, kinds)) or 'nothing'}, not one "
            f"bool scalar{place()}: compare, and take np.any or np.all of an array"
        )


def same_carry(loop: Loop, carry: list[Tensor], tree: Any, result: Any) -> list[Tensor]:
    """The carry, in the dtypes the body gives back where those are wider Python numbers' ones.

    Raises:
        TraceError: the body returns another structure, shape or dtype.
    """
    given, given_tree = trees.flatten(result)
    given = [x.node if isinstance(x, Tensor) else x for x in given]
    if given_tree != tree:
        raise TraceError(
            f"the body of {loop.name} returns a carry {loop.seen(given_tree, given)}, and takes "
            f"{loop.seen(tree, carry)}{place()}: return the structure that it starts with"
        )
    fitted = []
    for k, (before, after) in enumerate(zip(carry, given, strict=True)):
        if before.node.type == after.type:
            fitted.append(before)
            continue
        if before.node.op.name == "constant" and before.node.shape == after.shape:
            fitted.append(before.astype(after.dtype))
            continue
        first = loop.part or 0
        part = f"part {k - first} of its carry" if len(carry) - first > 1 else "its carry"
        was, now = before.node.type, after.type
        remedy = f"start with np.zeros{now.shape}, or with what has this shape from the beginning"
        if was.shape == now.shape:
            remedy = f"return it .astype(np.{was.dtype}), or start with .astype(np.{now.dtype})"
        raise TraceError(
            f"the body of {loop.name} changes {part} from {was} to {now}{place()}: {remedy}"
        )
    return fitted
