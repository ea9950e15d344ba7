"""Where each array of a finished program lies: a result in the argument that was donated for it,
a value in the place of one that nobody needs any more, the others in the workspace.

All is decided on the loop IR, by what its statements read and write, and in which order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphc.loops import Buffer, Loop, Program, Read, Stmt, Store
from graphc.loops_homes import copy_of, renamed
from graphc.lower.memory.offsets import Life, align, lower_bound, plan_offsets
from graphc.lower.memory.order import update_early
from graphc.lower.memory.overlay import follows
from graphc.lower.memory.places import arrays_of, lasting_of, overlay
from graphc.lower.memory.recompute import fit
from graphc.lower.memory.tree import Block, Item, is_renewed, touching, tree
from graphc.lower.naming import Names
from graphc.types import Dim, Size, strides

__all__ = [
    "align",
    "laid",
    "lower_bound",
    "place",
    "plan_offsets",
    "prepared",
    "workspace_lives",
]


def place(
    program: Program,
    names: Names,
    loop_names: Sequence[str] = "ijklmpqrsu",
    budget: int | None = None,
) -> Program:
    """The program with its arrays placed and its workspace as small as may be; with a budget of
    bytes at the cost of computing values again.

    An output whose `home` is an argument overwrites it at once where every element is read before
    it is written; else it is made beside and copied at the end.

    Raises:
        ArgumentError: the workspace cannot be made as small as the budget.
    """
    program = prepared(program, names, loop_names)
    if budget is not None:
        program = fit(program, names, budget)
    return laid(program)


def prepared(program: Program, names: Names, loop_names: Sequence[str]) -> Program:
    """The program without needless copies, and with those that donated inputs ask for."""
    return _join_copies(_donate(update_early(program), names, loop_names))


def laid(program: Program) -> Program:
    """The program with a place for each array."""
    homes, workspace = overlay(program)
    offsets, total = plan_offsets(workspace)

    def placed(buffer: Buffer) -> Buffer:
        leader = homes.get(buffer.name, buffer.name)
        if leader in offsets:
            return replace(buffer, offset=offsets[leader])
        return replace(buffer, home=homes.get(buffer.name, ""))

    return replace(program, buffers=tuple(map(placed, program.buffers)), workspace=total)


def workspace_lives(program: Program) -> list[Life]:
    """What the workspace must hold, and when."""
    return overlay(program)[1]


# --- donated arguments --------------------------------------------------------------------------


def _donate(program: Program, names: Names, loop_names: Sequence[str]) -> Program:
    """Outputs that may not overwrite their arguments at once are copied there at the end."""
    body = tree(program.body)
    lasting = lasting_of(program)
    for output in program.outputs:
        if not output.home or follows(body, output.home, output.name, lasting):
            continue
        beside = names.take(f"{output.name}_next")
        variables = loop_names[: len(output.type.shape)]
        at: Size = 0
        for var, step in zip(variables, strides(output.type.shape), strict=True):
            at = at + Dim.named(var) * step
        stmt: Stmt = Store(output.name, at, Read(beside, at, output.type.dtype))
        for var, size in zip(reversed(variables), reversed(output.type.shape), strict=True):
            stmt = Loop(var, size, (stmt,))
        buffer = Buffer(beside, output.type.dtype, output.type.shape, 0)
        program = replace(
            program,
            body=(*renamed(program.body, {output.name: beside}), stmt),
            buffers=(*program.buffers, buffer),
        )
    return program


# --- copies -------------------------------------------------------------------------------------


def _join_copies(program: Program) -> Program:
    """Without arrays that are only made to be copied, where they may be made in their target."""
    while True:
        copies = _Copies(program)
        found = next(copies.joinable(copies.root, ()), None)
        if found is None:
            return program
        source, target = found
        program = replace(
            program,
            body=renamed(program.body, {source: target}),
            buffers=tuple(b for b in program.buffers if b.name != source),
        )


class _Copies:
    """The copies in a program, and what decides whether source and target may be one."""

    def __init__(self, program: Program) -> None:
        self.root: Block = tree(program.body)
        self.arrays = arrays_of(program)
        self.lasting = lasting_of(program)
        self.buffers = frozenset(b.name for b in program.buffers)
        self.homes = {y.name: y.home for y in program.outputs}

    def joinable(self, block: Block, around: tuple[Item, ...]) -> Iterator[tuple[str, str]]:
        """Pairs (array, the one it is copied to) that may be one."""
        for k, item in enumerate(block):
            pair = copy_of(item.stmt)
            if pair is not None:
                target, source, count = pair
                if (
                    source in self.buffers
                    and self.arrays[source] == self.arrays.get(target)
                    and self.arrays[source].count == count
                    and touching(block, source)[-1] is item
                    and self.is_inside(source, block, around)
                    and follows(block[:k], target, source, self.lasting)
                    and follows(self.root, self.homes.get(target, ""), source, self.lasting)
                ):
                    yield source, target
            for inner in item.blocks:
                yield from self.joinable(inner, (*around, item))

    def is_inside(self, array: str, block: Block, around: tuple[Item, ...]) -> bool:
        """Whether the array lives in this block only, from one round to the next anew."""
        here = sum(len(item.accesses[array]) for item in touching(block, array))
        if here != sum(len(item.accesses[array]) for item in touching(self.root, array)):
            return False
        return all(is_renewed(item, array) for item in around if len(item.blocks) == 1)
