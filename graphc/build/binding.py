"""What templates/caller.c must know of a program: how each argument is taken and checked."""

from __future__ import annotations

from hashlib import sha256

from graphc.errors import BuildError
from graphc.frozen import dataclass
from graphc.loops import Argument, Program
from graphc.resources import render, template_folder
from graphc.types import Atom, Dim, Size, names

TEMPLATE = "adapter.c"
HELPERS = {
    "floordiv": "graphc_floor_div",
    "mod": "graphc_floor_mod",
    "min": "graphc_smaller",
    "max": "graphc_larger",
}
KINDS = ("bool", "int32", "int64", "float32", "float64", "float16", "bfloat16")
"""In the order of caller.c."""
C_TYPES = ("bool", "int32_t", "int64_t", "float", "double", "uint16_t", "uint16_t")

TOLD = 14
"""How many numbers tell what a trap caught: whether anything, the site, the value, the element, how
many operands, the operands (6); then the number of an argument or -1, its value, its element."""

Slot = tuple[int, tuple[int, ...]]
"""An input or output: its kind and its sizes; ~k stands for the size measured k-th."""


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
    """All that the caller, and the text of adapter.c, depend on."""

    kernel: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    solutions: tuple[Solution, ...]
    sizes: tuple[str, ...]
    """Those that are measured in each call, as C."""
    homes: tuple[int, ...]
    """For each output the donated input whose memory it takes, or -1."""
    workspace: int
    """Bytes; ~k as in a slot."""
    releases: bool
    """Whether the GIL is released: not for a handful of scalar operations."""
    threads: bool = False
    """Whether the kernel may start threads."""
    traps: bool = False
    """Whether the last output is none of the kernel's: what its trap tells, as numbers."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What adapter.c gives to the kernel."""
        given = []
        for i, (kind, sizes) in enumerate(self.inputs):
            const = "" if i in self.homes else "const "
            pointer = f"({const}{C_TYPES[kind]} *)graphc_in[{i}]"
            given.append(pointer if sizes else f"*{pointer}")
        given += [f"graphc_dims[{i}]" for i in range(len(self.solutions))]
        results = self.outputs[: len(self.outputs) - self.traps]
        given += [
            f"({C_TYPES[k]} *)graphc_out[{j}]"
            for j, (k, _) in enumerate(results)
            if self.homes[j] < 0
        ]
        given += ["&graphc_caught"] if self.traps else []
        return (*given, "graphc_workspace") if self.workspace else tuple(given)

    def key(self) -> str:
        """A digest of the text, without rendering it: Jinja takes longer to load than a kernel."""
        template = (template_folder() / TEMPLATE).read_bytes()
        return sha256(template + repr(self).encode()).hexdigest()

    def text(self) -> str:
        """The C of the adapter."""
        return render(
            TEMPLATE,
            kernel=self.kernel,
            dims=[found.name for found in self.solutions],
            sizes=self.sizes,
            arguments=self.arguments,
            told=f"graphc_out[{len(self.outputs) - 1}]" if self.traps else "",
        )

    def plan(self) -> tuple[object, ...]:
        """What the caller is told, after the path of the library."""
        sources = [(x.index, x.axis, x.step, x.offset) for x in self.solutions]
        return (
            self.kernel,
            self.inputs,
            self.outputs,
            tuple(number for source in sources for number in source),
            len(self.sizes),
            self.homes,
            self.workspace,
            self.releases,
            self.threads,
        )


def bind(program: Program) -> Binding:
    """How Python calls the C function of `program`.

    Raises:
        BuildError: a dimension that no shape determines.
    """
    measured: dict[str, int] = {}

    def size(size: Size) -> int:
        if isinstance(size, int):
            return size
        return ~measured.setdefault(c_size(size), len(measured))

    def slot(argument: Argument) -> Slot:
        kind = KINDS.index(argument.type.dtype.name)
        return kind, tuple(size(axis) for axis in argument.type.shape)

    inputs, outputs = tuple(map(slot, program.inputs)), tuple(map(slot, program.outputs))
    workspace = size(program.workspace)
    releases = bool(workspace or any(sizes for _, sizes in (*inputs, *outputs)) or program.loops)
    called = [x.name for x in program.inputs]
    homes = tuple(called.index(y.home) if y.home else -1 for y in program.outputs)
    if program.trap:
        outputs, homes = (*outputs, (KINDS.index("float64"), (TOLD,))), (*homes, -1)
    return Binding(
        program.name,
        inputs,
        outputs,
        solve(program),
        tuple(measured),
        homes,
        workspace,
        releases,
        program.threads > 1,
        bool(program.trap),
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
