"""Where the operands of tiled products lie: their steps along rows, columns and terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from graphc.bounds import column_panel, row_panel, widest_vector
from graphc.frozen import dataclass
from graphc.graph import Computed, Constant, Index, Node, View
from graphc.lower.domain import is_computed
from graphc.lower.index import simplify
from graphc.lower.tiling import Tiling, group_index, sizes_of
from graphc.matrices import MOST_TAPS
from graphc.ops.reduce import subscripts
from graphc.ops.windows import WINDOWS
from graphc.types import Dim, Size, linear, product, strides, substitute

ROWS, COLUMNS, TERMS = "?m", "?n", "?k"


@dataclass(frozen=True, slots=True)
class Steps:
    """Where a matrix lies: its first element, the steps between rows (or columns) and terms, and
    between panels of rows (or columns) if it lies in panels; or how many terms there are along
    several axes, and their steps."""

    start: Size
    across: Size
    term: Size
    panel: Size | None
    taps: tuple[tuple[int, int], ...] = ()


def steps_of(
    flat: Size, across: str, width: int, extents: Mapping[str, Size], unit: bool
) -> Steps | None:
    """The steps of a flat index along `across` and TERMS; None if it is not linear in them.

    `unit`: neighbours across must lie side by side.
    """
    return _steps_of(flat, across, width, tuple(extents.items()), unit)


@lru_cache(1024)  # several ask it of one product, and layers have products alike
def _steps_of(
    flat: Size, across: str, width: int, known: tuple[tuple[str, Size], ...], unit: bool
) -> Steps | None:
    extents = dict(known)
    whole = linear(simplify(flat, extents), (across, TERMS))
    if whole is not None and not (unit and extents.get(across) != 1 and whole[1] != 1):
        return Steps(whole[0], whole[1], whole[2], None)
    panel, place = f"{across}/", f"{across}%"
    inner = {**extents, panel: (extents[across] + width - 1) // width, place: width}
    split = substitute(flat, {across: Dim.named(panel) * width + Dim.named(place)})
    parts = linear(simplify(split, inner), (panel, place, TERMS))
    if parts is not None and parts[2] == 1:
        return Steps(parts[0], parts[2], parts[3], parts[1])
    return None


def taps_of(
    flat: Size, across: str, extents: Mapping[str, Size], counts: Sequence[Size]
) -> Steps | None:
    """The steps of a flat index whose terms lie along several axes; None if it is not linear in
    all of them, or they are not known."""
    inner, total = dict(extents), Dim.of({})
    names = tuple(f"{TERMS}{k}" for k in range(len(counts)))
    for name, count in zip(names, counts, strict=True):
        inner[name] = count
        total = total * count + Dim.named(name)
    parts = linear(simplify(substitute(flat, {TERMS: total}), inner), (across, *names))
    if parts is None:
        return None
    taps: list[tuple[int, int]] = []
    for count, step in zip(counts, parts[2:], strict=True):
        if not isinstance(count, int) or not isinstance(step, int):
            return None
        taps.append((count, step))
    return Steps(parts[0], parts[1], taps[-1][1], None, tuple(taps))


def group_extents(node: Node, found: Tiling) -> dict[str, Size]:
    sizes = sizes_of(node)
    groups = {ROWS: found.rows, COLUMNS: found.columns, TERMS: found.terms}
    return {name: product(sizes[i] for i in labels) for name, labels in groups.items()}


def side_index(node: Node, found: Tiling, k: int, at: Mapping[int, Size]) -> Index:
    """Where operand k is read: its groups at ROWS or COLUMNS and TERMS, other labels as given."""
    inputs, _ = subscripts(node.params)
    return tuple({**at, **groups_at(node, found)}[label] for label in inputs[k])


def groups_at(node: Node, found: Tiling) -> dict[int, Size]:
    """The index along each grouped label."""
    sizes = sizes_of(node)
    index: dict[int, Size] = {}
    for name, labels in ((ROWS, found.rows), (COLUMNS, found.columns), (TERMS, found.terms)):
        index |= group_index(labels, sizes, Dim.named(name))
    return index


def lies(node: Node, found: Tiling, k: int) -> Steps | None:
    """How operand k lies in memory as it is; None where tiles cannot read it so."""
    outer = {i: Dim.named(f"?{i}") for i in (*found.outer, *found.summed)}
    flat = flat_at(node.operands[k], side_index(node, found, k, outer))
    if flat is None:
        return None
    sizes = sizes_of(node)
    extents = group_extents(node, found) | {f"?{i}": sizes[i] for i in outer}
    if k == found.right:
        return right_steps(node, found, flat, extents)
    return steps_of(flat, ROWS, row_panel(node.dtype), extents, unit=False)


def right_steps(node: Node, found: Tiling, flat: Size, extents: Mapping[str, Size]) -> Steps | None:
    """The steps of the right operand, as a matrix or by the taps of windows."""
    width = column_panel(node.dtype)
    steps = steps_of(flat, COLUMNS, width, extents, unit=True)
    windows = reads_windows(node.operands[found.right])
    if steps is None and not windows:
        turned = steps_of(flat, COLUMNS, width, extents, unit=False)
        return turned if turned is not None and turned.term == 1 else None
    if steps is None and not found.summed and windows:
        columns, sizes = extents[COLUMNS], sizes_of(node)
        if isinstance(columns, int) and columns >= widest_vector(node.dtype):
            taps = taps_of(flat, COLUMNS, extents, [sizes[i] for i in found.terms])
            steps = None if taps is None else _joined(taps)
            return steps if steps is not None and steps.across == 1 else None
    return steps


def _joined(steps: Steps) -> Steps | None:
    """With taps along one axis where one step leads through those of two; None if more axes than
    MOST_TAPS are left."""
    taps: list[tuple[int, int]] = []
    for count, step in steps.taps:
        if taps and taps[-1][1] == count * step:
            taps[-1] = taps[-1][0] * count, step
        elif count != 1:
            taps.append((count, step))
    return replace(steps, taps=tuple(taps)) if 0 < len(taps) <= MOST_TAPS else None


def reads_windows(x: Node) -> bool:
    """Whether x is a view of windows: a copy is larger than what they are windows of."""
    while isinstance(x.op.element, View):
        if x.op is WINDOWS:
            return True
        x = x.operands[0]
    return False


def flat_of(node: Node, k: int) -> Size | None:
    """The flat index of operand k in its array, each label i at ``?i``; None if it is in none."""
    inputs, _ = subscripts(node.params)
    return flat_at(node.operands[k], tuple(Dim.named(f"?{i}") for i in inputs[k]))


def flat_at(x: Node, at: Index) -> Size | None:
    """The flat index of an element in the array that x is a view of, if there is one or will be:
    what is read through guards is stored (see `_through`)."""
    while isinstance(view := x.op.element, View):
        x, at = x.operands[0], view.index(at, x)
    guarded = isinstance(x.op.element, Computed) and bool(x.operands)
    if not (guarded or is_computed(x) or x.op.name == "input" or _is_table(x)):
        return None
    flat: Size = 0
    for i, step in zip(at, strides(x.shape), strict=True):
        flat = flat + i * step
    return flat


def _is_table(node: Node) -> bool:
    if node.op.name != "constant":
        return False
    held = node.params["value"]
    array = held.array if isinstance(held, Constant) else None
    return array is not None and array.size > 1 and bool((array != array.reshape(-1)[0]).any())
