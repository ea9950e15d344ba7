"""Contractions as matrix products of register tiles: statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from graphc import loops
from graphc.graph import Constant, Index, Node
from graphc.loops import Contract, Expr, Literal, Loop, Matrix, Read, Stmt, Store
from graphc.lower.domain import resolve, unknown
from graphc.lower.index import Extents, simplify
from graphc.lower.tiling import Labels, Tiling, tiling
from graphc.ops.reduce import subscripts
from graphc.types import Dim, Shape, Size, strides, substitute

Leaf = Callable[[Index, Extents], Expr]


def packed(node: Node, found: Tiling, stored: Mapping[Node, object]) -> list[int]:
    """The operands that are copied first: those that do not lie in memory as the tiles read them
    (rows and terms at constant steps, columns at unit stride)."""
    return [k for k in (found.left, found.right) if not _in_place(node, found, k, stored)]


def _in_place(node: Node, found: Tiling, k: int, stored: Mapping[Node, object]) -> bool:
    inputs, _ = subscripts(node.params)
    at = {label: Dim.named(f"?{label}") for label in inputs[k]}
    met: list[Expr] = []

    def meet(operand: Node, index: Index) -> Expr:
        lies = operand in stored or operand.op.name == "input" or _is_table(operand)
        flat: Size = 0
        for i, step in zip(index, strides(operand.shape), strict=True):
            flat = flat + i * step
        met.append(Read("x", flat, operand.dtype) if lies else Literal(0, operand.dtype))
        return met[-1]

    expr = resolve(node.operands[k], tuple(at[i] for i in inputs[k]), meet, unknown)
    if not met or expr is not met[-1] or not isinstance(expr, Read):
        return False
    extents = {f"?{i}": found.sizes[i] for i in inputs[k]}
    inner = {i: f"?{i}" for i in (found.m, found.n, found.k)}
    steps = _steps(simplify(expr.index, extents), inner)
    return steps is not None and steps[1][found.n] in (0, 1)


def _is_table(node: Node) -> bool:
    if node.op.name != "constant":
        return False
    held = node.params["value"]
    array = held.array if isinstance(held, Constant) else None
    return array is not None and array.size > 1 and bool((array != array.reshape(-1)[0]).any())


def _steps(flat: Size, variables: Mapping[int, str]) -> tuple[Size, dict[int, Size]] | None:
    """(start, step along each label) of a flat index that is linear in these variables."""
    zero: dict[str, Size] = dict.fromkeys(variables.values(), 0)
    start = substitute(flat, zero)
    steps = {i: substitute(flat, {**zero, var: 1}) - start for i, var in variables.items()}
    again = start
    for i, step in steps.items():
        again = again + step * Dim.named(variables[i])
    return (start, steps) if again == flat else None


def write_tiled(
    node: Node,
    name: str,
    start: Size,
    scratch: Mapping[int, str],
    leaves: Sequence[Leaf],
    loop_names: Sequence[str],
    extents: Extents,
) -> Iterator[Stmt]:
    """The statements that fill the node's array: zeros, copies of operands, products of tiles."""
    found = tiling(node)
    if found is None:
        return
    inputs, output = subscripts(node.params)
    yield from _fill(name, start, node.shape, loop_names, extents, node)
    reads = dict(enumerate(leaves))
    for k, copy in scratch.items():
        order = found.order(node, k)
        yield from _copy(node, k, copy, order, found, leaves[k], loop_names, extents)
        reads[k] = _copied(copy, order, inputs[k], found, node)
    labels = (*found.others, found.m, found.k, found.n)
    variables = dict(zip(labels, loop_names, strict=False))
    at: dict[int, Size] = {i: Dim.named(variables[i]) if found.sizes[i] != 1 else 0 for i in labels}
    within = {**extents, **{variables[i]: found.sizes[i] for i in labels}}
    target = start
    for i, step in zip(output, strides(node.shape), strict=True):
        target = target + at[i] * step
    into = Read(name, simplify(target, within), node.dtype)
    sides = [reads[k](tuple(at[i] for i in inputs[k]), within) for k in (found.left, found.right)]
    matrices = [_matrix(read, found, variables) for read in (*sides, into)]
    if None in matrices:  # an operand of a body that its loop reads through a guard, say
        product = loops.apply("multiply", *sides)
        stmt: Stmt = Store(name, into.index, loops.apply("add", into, product))
        looping = labels
    else:
        extent = (found.sizes[i] for i in (found.m, found.n, found.k))
        stmt = Contract(node.dtype, *extent, *matrices)  # type: ignore[arg-type]  # none is None
        looping = found.others
    names = [variables[i] for i in looping]
    yield _nested(stmt, names, tuple(found.sizes[i] for i in looping))


def _matrix(read: Expr, found: Tiling, variables: Mapping[int, str]) -> Matrix | None:
    """Where a matrix lies: its first element, and the steps along m and k; None if it does not."""
    if not isinstance(read, Read):
        return None
    steps = _steps(read.index, {i: variables[i] for i in (found.m, found.n, found.k)})
    if steps is None or steps[1][found.n] not in (0, 1):
        return None
    return Matrix(read.buffer, steps[0], steps[1][found.m], steps[1][found.k])


def _fill(
    name: str, start: Size, shape: Shape, loop_names: Sequence[str], extents: Extents, node: Node
) -> Iterator[Stmt]:
    flat, names = start, loop_names[: len(shape)]
    for var, size, step in zip(names, shape, strides(shape), strict=True):
        flat = flat + (Dim.named(var) * step if size != 1 else 0)
    inside = {**extents, **dict(zip(names, shape, strict=True))}
    stmt: Stmt = Store(name, simplify(flat, inside), Literal(0.0, node.dtype))
    yield _nested(stmt, names, shape)


def _copy(
    node: Node,
    k: int,
    name: str,
    order: Labels,
    found: Tiling,
    leaf: Leaf,
    loop_names: Sequence[str],
    extents: Extents,
) -> Iterator[Stmt]:
    inputs, _ = subscripts(node.params)
    shape = tuple(found.sizes[i] for i in order)
    names = loop_names[: len(shape)]
    at = {i: Dim.named(v) if s != 1 else 0 for i, v, s in zip(order, names, shape, strict=True)}
    flat: Size = 0
    for i, step in zip(order, strides(shape), strict=True):
        flat = flat + at[i] * step
    inside = {**extents, **dict(zip(names, shape, strict=True))}
    value = leaf(tuple(at[i] for i in inputs[k]), inside)
    yield _nested(Store(name, simplify(flat, inside), value), names, shape)


def _copied(name: str, order: Labels, labels: Labels, found: Tiling, node: Node) -> Leaf:
    """How a packed copy is read, by the operand's own index."""
    steps = dict(zip(order, strides(tuple(found.sizes[i] for i in order)), strict=True))

    def leaf(index: Index, extents: Extents) -> Expr:
        flat: Size = 0
        for label, i in zip(labels, index, strict=True):
            flat = flat + i * steps[label]
        return Read(name, flat, node.dtype)

    return leaf


def _nested(stmt: Stmt, names: Sequence[str], shape: Shape) -> Stmt:
    for var, size in reversed(list(zip(names, shape, strict=True))):
        if size != 1:
            stmt = Loop(var, size, (stmt,))
    return stmt
