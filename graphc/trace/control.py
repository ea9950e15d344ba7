"""scan, while_loop, fori_loop and cond: a loop or branch that stays one in the graph and in C.

Called as in JAX. Outside a trace they run as Python loops, so a function stays its own reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from graphc import trees
from graphc.errors import ShapeError, TraceError
from graphc.graph import Graph, Node, apply, rebuild, walk
from graphc.ops.control import COND, ITEM, SCAN, WHILE
from graphc.ops.shape import INPUT
from graphc.trace.agreement import (
    Loop,
    check_branches,
    check_function,
    check_test,
    same_carry,
    typed,
)
from graphc.trace.blocks import in_blocks, scan_length
from graphc.trace.coverage import user_line
from graphc.trace.names import is_tracing
from graphc.trace.tensor import Tensor, as_tensor
from graphc.trace.tracing import now, trace_function
from graphc.types import BundleType, bool_

Body = Callable[..., Any]


def scan(
    f: Body, init: Any, xs: Any = None, length: Any = None, reverse: bool = False
) -> tuple[Any, Any]:
    """(final carry, stacked outputs) of ``carry, y = f(carry, x)`` over the rows of xs.

    Args:
        f: takes (carry, x), returns (carry, y); the carry keeps its structure, shapes and dtypes.
            A `checkpoint` of such a function makes the reverse scan keep fewer carries.
        init: the first carry, a pytree.
        xs: a pytree of arrays with one leading length, or None (then f sees None).
        length: the number of steps; needed when xs has no arrays.
        reverse: from the last row to the first; outputs stay at their rows.

    Raises:
        TraceError, ShapeError: the carry changes its type (both sides are named), lengths differ.
    """
    check_function("the body of scan", f, "carry", "x")
    return _scan(Loop("scan"), f, init, xs, length, reverse)


def _scan(loop: Loop, f: Body, init: Any, xs: Any, length: Any, reverse: bool) -> tuple[Any, Any]:
    if not is_tracing():
        return _python_scan(f, init, xs, length, reverse)
    if hasattr(f, "recomputed"):
        over_blocks = replace(loop, blocked=True)
        scans = partial(_scan, loop), partial(_scan, over_blocks)
        return in_blocks(scans, f.recomputed, init, xs, length, reverse)
    carry, carry_tree = _tensors(init)
    stacks, xs_tree = _tensors(xs)
    steps = scan_length(stacks, length)
    rows = [x.node.type.with_shape(x.node.shape[1:]) for x in stacks]
    traced = trace_function(
        lambda c, x: f(c, x),
        (trees.unflatten(carry_tree, [c.node.type for c in carry]), trees.unflatten(xs_tree, rows)),
        name="step",
    )
    result = trees.unflatten(traced.out_tree, traced.graph.outputs)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TraceError(
            f"the body of scan returns a pair (carry, y), not {typed(traced)}{_place()}: return "
            "carry, None if nothing is stacked"
        )
    carry = same_carry(loop, carry, carry_tree, result[0])
    if [c.node.type for c in carry] != [x.type for x in traced.graph.inputs[: len(carry)]]:
        return _scan(loop, f, trees.unflatten(carry_tree, carry), xs, length, reverse)
    body, outside = close(traced.graph)
    node = apply(
        SCAN,
        *(x.node for x in (*carry, *stacks)),
        *outside,
        body=body,
        carry=len(carry),
        xs=len(stacks),
        length=steps,
        reverse=int(reverse),
        **({"blocked": 1} if loop.blocked else {}),
    )
    parts = items(node)
    _, y_tree = trees.flatten(result[1])
    return (
        trees.unflatten(carry_tree, parts[: len(carry)]),
        trees.unflatten(y_tree, parts[len(carry) :]),
    )


def _python_scan(f: Body, init: Any, xs: Any, length: Any, reverse: bool) -> tuple[Any, Any]:
    leaves, tree = trees.flatten(xs)
    steps = len(leaves[0]) if leaves else length
    if steps is None:
        raise ShapeError("scan without xs needs length=")
    if any(len(x) != steps for x in leaves) or (length is not None and length != steps):
        raise ShapeError(f"scan: xs have lengths {[len(x) for x in leaves]}, length={length}")
    carry, ys = init, [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        carry, ys[t] = f(carry, trees.unflatten(tree, [x[t] for x in leaves]))
    if not steps:
        raise ShapeError("scan of length 0 on arrays has no outputs to stack; trace it instead")
    return carry, trees.map_leaves(lambda *rows: np.stack(rows), *ys)


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    max_steps: int | None = None,
) -> Any:
    """The first value of init, body(init), body(body(init)), ... for which cond is false.

    Args:
        cond_fun: value -> bool scalar.
        body_fun: value -> value of the same structure, shapes and dtypes.
        max_steps: a bound on the number of steps; with it the loop has a gradient (a scan of that
            many steps of which those after the end do nothing), without it only a jvp.
    """
    check_function("the condition of while_loop", cond_fun, "value")
    check_function("the body of while_loop", body_fun, "value")
    if max_steps is not None:
        return _bounded(cond_fun, body_fun, init_val, max_steps)
    return _while(Loop("while_loop"), cond_fun, body_fun, init_val)


def _while(loop: Loop, cond_fun: Body, body_fun: Body, init_val: Any) -> Any:
    if not is_tracing():
        value = init_val
        while cond_fun(value):
            value = body_fun(value)
        return value
    carry, tree = _tensors(init_val)
    types = trees.unflatten(tree, [c.node.type for c in carry])
    body = trace_function(lambda v: body_fun(v), (types,), name="body")
    test = trace_function(lambda v: cond_fun(v), (types,), name="test")
    result = trees.unflatten(body.out_tree, body.graph.outputs)
    widened = same_carry(loop, carry, tree, result)
    if [c.node.type for c in widened] != [c.node.type for c in carry]:
        return _while(loop, cond_fun, body_fun, trees.unflatten(tree, widened))
    check_test("while_loop", test.graph)
    (body_graph, test_graph), outside = _close_together(body.graph, test.graph)
    node = apply(
        WHILE,
        *(c.node for c in carry),
        *outside,
        body=body_graph,
        test=test_graph,
        carry=len(carry),
    )
    return trees.unflatten(tree, items(node))


def _bounded(cond_fun: Any, body_fun: Any, init: Any, max_steps: int) -> Any:
    loop = Loop("while_loop")
    if not isinstance(max_steps, int | np.integer) or max_steps < 1:
        shown = max_steps.node.type if isinstance(max_steps, Tensor) else repr(max_steps)
        raise TraceError(
            f"max_steps of while_loop is {shown}{_place()}: give a whole number, 1 or more, that "
            "is known while tracing"
        )

    def stays(value: Any) -> Any:
        result = body_fun(value)
        if is_tracing():
            result = trees.map_leaves(as_tensor, result)
            same_carry(loop, *_tensors(value), result)
        return result

    def step(value: Any, _: Any) -> Any:
        return cond(cond_fun(value), stays, lambda v: v, value), None

    return _scan(loop, step, init, None, int(max_steps), False)[0]


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """value = body(i, value) for i in lower .. upper-1.

    Bounds that are ints or sizes make a scan, with gradients both ways; traced bounds a
    while_loop.
    """
    check_function("the body of fori_loop", body_fun, "i", "value")
    for bound in (lower, upper):
        kind = as_tensor(bound).node.type
        if kind.shape or kind.dtype.kind != "i":
            raise TraceError(
                f"a bound of fori_loop is a whole number, not {kind}{_place()}: "
                "use astype(np.int64)"
            )
    loop = Loop("fori_loop", 1)
    if not isinstance(lower, Tensor) and not isinstance(upper, Tensor):

        def step(carry: Any, _: Any) -> Any:
            i, value = carry
            return (i + 1, body_fun(i, value)), None

        count = upper - lower
        if isinstance(count, int) and count <= 0:
            return init_val
        start = np.int64(lower) if isinstance(lower, int) else as_tensor(lower)
        return _scan(loop, step, (start, init_val), None, count, False)[0][1]

    def body(carry: Any) -> Any:
        i, value = carry
        return i + 1, body_fun(i, value)

    start = as_tensor(lower).astype(np.int64)
    return _while(loop, lambda carry: carry[0] < upper, body, (start, init_val))[1]


def cond(pred: Any, true_fun: Body, false_fun: Body, *operands: Any) -> Any:
    """true_fun(*operands) or false_fun(*operands); only the branch taken runs.

    Raises:
        TraceError: the branches return other structures, shapes or dtypes (both are named).
    """
    for which, branch in (("true", true_fun), ("false", false_fun)):
        check_function(
            f"the {which} branch of cond", branch, *(f"operand {k}" for k in range(len(operands)))
        )
    if not isinstance(pred, Tensor):
        return true_fun(*operands) if pred else false_fun(*operands)
    if pred.node.type.shape:
        raise ShapeError(
            f"cond decides on a scalar, not {pred.node.type}{_place()}; np.where chooses elements"
        )
    test = pred if pred.node.dtype is bool_ else pred != 0
    leaves, tree = _tensors(operands)
    types = trees.unflatten(tree, [x.node.type for x in leaves])
    start = now()
    then = trace_function(lambda *xs: true_fun(*xs), types, name="then")
    other = trace_function(lambda *xs: false_fun(*xs), types, name="otherwise")
    check_branches(then, other)
    graphs, outside = _close_together(then.graph, other.graph, start=start)
    node = apply(
        COND, test.node, *(x.node for x in leaves), *outside, then=graphs[0], other=graphs[1]
    )
    return trees.unflatten(then.out_tree, items(node))


def _tensors(tree: Any) -> tuple[list[Tensor], Any]:
    leaves, structure = trees.flatten(tree)
    return [as_tensor(x) for x in leaves], structure


def items(node: Node) -> list[Tensor]:
    """The parts of a bundle."""
    if not isinstance(node.type, BundleType):
        raise ShapeError(f"{node!r} is no bundle")
    return [Tensor(apply(ITEM, node, part=k)) for k in range(len(node.type.parts))]


def close(graph: Graph) -> tuple[Graph, tuple[Node, ...]]:
    """The graph with what it takes from outside as further inputs, and those outer nodes.

    What does not depend on the inputs is taken whole, so it is computed once, outside.
    """
    (closed,), outside = _close_together(graph)
    return closed, outside


def _close_together(
    *graphs: Graph, start: int | None = None
) -> tuple[list[Graph], tuple[Node, ...]]:
    """`start`: what was made since then stays inside, for it may not be wanted at all."""
    captured: dict[Node, None] = {}
    for graph in graphs:
        captured.update(dict.fromkeys(_captured(graph, start)))
    outside = tuple(captured)
    closed = []
    for graph in graphs:
        fresh = {
            x: replace(apply(INPUT, dtype=x.dtype, shape=x.shape), name=x.name) for x in outside
        }
        taken = {x.name for x in graph.nodes if x.name and x not in captured}
        fresh = {x: replace(y, name=None) if y.name in taken else y for x, y in fresh.items()}
        image = rebuild(graph.outputs, lambda node: node, {**fresh, **{x: x for x in graph.inputs}})
        closed.append(
            replace(
                graph,
                inputs=(*graph.inputs, *fresh.values()),
                outputs=tuple(image[x] for x in graph.outputs),
            )
        )
    return closed, outside


def _captured(graph: Graph, start: int | None) -> list[Node]:
    """Nodes the graph uses that do not depend on its inputs, but for those without operands
    (constants), which stay inside."""
    depends = set(graph.inputs)
    found: dict[Node, None] = {}
    for node in walk(graph.outputs):
        if any(x in depends for x in node.operands) or (start is not None and node.serial > start):
            depends.add(node)
    for node in (*walk(graph.outputs),):
        if node in depends:
            found.update(dict.fromkeys(x for x in node.operands if _is_outer(x, depends)))
    found.update(dict.fromkeys(x for x in graph.outputs if _is_outer(x, depends)))
    return list(found)


def _is_outer(node: Node, depends: set[Node]) -> bool:
    own = node.op.name in ("constant", "dimension", "iota")
    return node not in depends and not own


def _place() -> str:
    source = user_line()
    return f" at {source}" if source else ""


__all__ = ["close", "cond", "fori_loop", "items", "scan", "while_loop"]
