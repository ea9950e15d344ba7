"""jacobian and hessian: dense, or only where the graph says they are not zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc.errors import TraceError
from graphc.graph import Graph
from graphc.ops.rules import CUSTOM
from graphc.transform.gradients import Function, grad, linearizable
from graphc.transform.jacobian import dense_jacobian
from graphc.transform.sparse import SparseJacobian


def jacobian(
    fn: Function,
    argnums: int | Sequence[int] = 0,
    mode: str = "auto",
    has_aux: bool = False,
    sparse: bool = False,
) -> Function:
    """A function that returns all first derivatives of fn.

    Args:
        fn: returns floating-point arrays, or a pytree of them, or (that, anything) with has_aux.
        argnums: the positional argument(s) to derive with respect to; each may be a pytree.
        mode: "forward" pushes a direction for each element of the arguments, "reverse" pulls one
            back for each element of the result; "auto" takes whichever needs fewer, forward where
            sizes known only at run time leave that open.
        has_aux: the function returns (derivatives, aux).
        sparse: only what is not zero for structural reasons; see `SparseJacobian`.

    Returns:
        A function whose result has the structure of fn's, with, in the place of each array y, the
        structure of the argument, with, in the place of each array x, dy/dx of shape
        ``[*y.shape, *x.shape]`` (a tuple of such structures for a sequence of argnums).

    Raises:
        TraceError: an argument or a result is not floating point, or another mode.
    """
    if not sparse:
        return dense_jacobian(fn, argnums, mode, has_aux)
    if has_aux:
        raise TraceError("a sparse jacobian has no has_aux: take the aux from fn itself")
    return SparseJacobian(fn, argnums, mode)


def hessian(
    fn: Function,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    sparse: bool = False,
) -> Function:
    """A function that returns all second derivatives of fn: forward over reverse.

    Args:
        fn, argnums, has_aux: as for `jacobian`; mostly fn returns a scalar.
        sparse: for fn that returns a scalar: see `SparseJacobian`. As the matrix is symmetric, a
            star colouring often needs fewer products than its columns do.

    Returns:
        The structure of the jacobian of the jacobian: for a scalar function of an array x an array
        of shape ``[*x.shape, *x.shape]``.
    """
    if not sparse:
        inner = dense_jacobian(fn, argnums, has_aux=has_aux)
        return dense_jacobian(inner, argnums, "forward", has_aux)
    if has_aux:
        raise TraceError("a sparse hessian has no has_aux: take the aux from fn itself")
    return SparseJacobian(grad(fn, argnums), argnums, "forward", _is_smooth(fn))


def has_rule(graph: Graph) -> bool:
    """Whether a custom_derivative is in the graph, or in a loop of it."""
    return any(
        node.op is CUSTOM or any(isinstance(v, Graph) and has_rule(v) for v in node.params.values())
        for node in graph.nodes
    )


def _is_smooth(fn: Function) -> Callable[..., bool]:
    """Whether the Hessian of fn is symmetric: nobody's own rule stands for a derivative."""

    def check(*args: Any, **kwargs: Any) -> bool:
        return not has_rule(linearizable(fn, args, kwargs).graph)

    return check


__all__ = ["hessian", "jacobian"]
