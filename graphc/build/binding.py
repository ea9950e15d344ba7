"""What templates/fastcall.c must know of a program: how each argument is taken and checked."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from graphc.errors import BuildError
from graphc.loops import Loop, Program
from graphc.resources import render, template_folder
from graphc.types import Atom, Dim, Size, names

TEMPLATE = "fastcall.c"
HELPERS = {
    "floordiv": "fastcall_floor_div",
    "mod": "fastcall_floor_mod",
    "min": "fastcall_smaller",
    "max": "fastcall_larger",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output: its place in the signature and its C type."""

    index: int
    name: str
    dtype: str
    shape: tuple[str, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)


@dataclass(frozen=True, slots=True)
class Known:
    """A run-time dimension and the C expression that finds it in the shapes."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Check:
    """Axis `axis` of input `input` has `size` elements."""

    input: str
    axis: int
    size: str


@dataclass(frozen=True, slots=True)
class Solution:
    """A run-time dimension from a shape: (elements on `axis` of input `index` - offset) / step."""

    name: str
    index: int
    axis: int
    step: int
    offset: int


@dataclass(frozen=True, slots=True)
class Binding:
    """All that the text of fastcall.c depends on."""

    kernel: str
    module: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    dims: tuple[Known, ...]
    checks: tuple[Check, ...]
    arguments: tuple[str, ...]
    workspace: str
    releases: bool
    """Whether the GIL is released: not for a handful of scalar operations."""

    def key(self) -> str:
        """A digest of the text, without rendering it: Jinja takes longer to load than a kernel."""
        template = (template_folder() / TEMPLATE).read_bytes()
        return sha256(template + repr(self).encode()).hexdigest()

    def text(self) -> str:
        values: dict[str, object] = {field: getattr(self, field) for field in self.__slots__}
        return render(TEMPLATE, **values)


def bind(program: Program) -> Binding:
    """How Python calls the C function of `program`.

    Raises:
        BuildError: a dimension that no shape determines.
    """
    ins = tuple(
        _slot(i, x.name, x.type.dtype.name, x.type.shape) for i, x in enumerate(program.inputs)
    )
    outs = tuple(
        _slot(i, y.name, y.type.dtype.name, y.type.shape) for i, y in enumerate(program.outputs)
    )
    dims = []
    for found in solve(program):
        place = f"shape_{program.inputs[found.index].name}[{found.axis}]"
        value = place if not found.offset else f"({place} - {found.offset})"
        dims.append(Known(found.name, value if found.step == 1 else f"{value} / {found.step}"))
    checks = tuple(
        Check(x.name, axis, size)
        for x in ins
        for axis, size in enumerate(x.shape)
        if not any(d.name == size[4:] and d.value == f"shape_{x.name}[{axis}]" for d in dims)
    )
    arguments = [f"fastcall_call->in_{x.name}" for x in ins]
    arguments += [f"fastcall_call->dim_{name}" for name in program.dims]
    arguments += [f"fastcall_call->out_{y.name}" for y in outs]
    workspace = "" if program.workspace == 0 else c_size(program.workspace)
    arguments += ["fastcall_workspace"] if workspace else []
    releases = bool(
        workspace
        or any(x.rank for x in (*ins, *outs))
        or any(isinstance(stmt, Loop) for stmt in program.body)
    )
    return Binding(
        program.name,
        f"_call_{program.name}",
        ins,
        outs,
        tuple(dims),
        checks,
        tuple(arguments),
        workspace,
        releases,
    )


def solve(program: Program) -> tuple[Solution, ...]:
    """Where each run-time dimension is read; a bare ``n`` is preferred to ``n + 1`` or ``2*n``.

    Raises:
        BuildError: a dimension that no shape determines.
    """
    found: dict[str, Solution] = {}
    for index, x in enumerate(program.inputs):
        for axis, size in enumerate(x.type.shape):
            one = _affine(size)
            if one is None:
                continue
            name, step, offset = one
            best = found.get(name)
            if best is None or (step, offset) == (1, 0) != (best.step, best.offset):
                found[name] = Solution(name, index, axis, step, offset)
    for name in program.dims:
        if name not in found:
            raise BuildError(
                f"no argument of {program.name} tells dimension {name!r}: no axis has {name} "
                f"elements; give it a fixed size, or take an argument with an axis of length {name}"
            )
    return tuple(found[name] for name in program.dims)


def _slot(index: int, name: str, dtype: str, shape: tuple[Size, ...]) -> Slot:
    return Slot(index, name, dtype, tuple(map(c_size, shape)))


def _affine(size: Size) -> tuple[str, int, int] | None:
    """(name, step, offset) of ``step*name + offset`` with step > 0."""
    if not isinstance(size, Dim):
        return None
    terms = dict(size.terms)
    offset = terms.pop((), 0)
    if len(terms) != 1 or len(names(size)) != 1:
        return None
    ((monomial, step),) = terms.items()
    if len(monomial) != 1 or not isinstance(monomial[0], str) or step < 1:
        return None
    return monomial[0], step, offset


def c_size(size: Size) -> str:
    """The size as C, of the variables ``dim_n``."""
    if isinstance(size, int):
        return str(size)
    return " + ".join(
        "*".join([*([str(c)] if c != 1 or not monomial else []), *map(_c_atom, monomial)])
        for monomial, c in size.terms
    )


def _c_atom(atom: Atom) -> str:
    if isinstance(atom, str):
        return f"dim_{atom}"
    return f"{HELPERS[atom.kind]}({c_size(atom.a)}, {c_size(atom.b)})"
