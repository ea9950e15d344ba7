"""Random programs in plain NumPy, as source text that can be pasted into a file and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.trace import cond, fori_loop, scan
from graphc.transform import value_and_grad
from graphc.types import Dim, Size, TensorType, as_size, broadcast_shapes, dtype_of, evaluate

Shape = tuple[Size, ...]

UNARY = (
    "np.tanh({0})", "np.sin({0})", "np.cos({0})", "1 / (1 + np.exp(-{0}))",
    "np.sqrt({0} * {0} + 1)",
    "np.exp(-np.abs({0}))", "np.log(1 + np.exp({0}))", "np.arctan({0})", "np.maximum({0}, 0)",
    "np.where({0} > 0.1, {0}, 0.3 * {0})", "-{0}", "0.5 * {0} ** 2", "{0} / (1 + {0} ** 2)",
    "np.log1p({0} * {0})", "np.arcsinh({0})", "np.clip({0}, -0.9, 1.1)", "np.abs({0}) + 0.5",
    "np.exp({0}) / (1 + np.exp({0}))", "np.cbrt(1.5 + np.tanh({0}))", "{0} - 1.0", "np.square({0})",
    "np.logaddexp({0}, 0.3)", "np.where(np.isnan({0}), 0.0, {0})", "np.expm1(-np.abs({0}))",
)  # fmt: skip
BINARY = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "np.maximum({0}, {1})", "np.minimum({0}, {1})",
    "{0} / (1 + {1} ** 2)", "np.hypot({0}, {1} + 2)", "np.where({0} > {1}, {0}, 0.5 * {1})",
    "np.where(({0} > 0) & ({1} < 0.5), {1}, 2 * {0})", "np.arctan2({0}, np.abs({1}) + 1)",
    "np.logaddexp({0}, {1})", "({0} - {1}) ** 2", "np.tanh({0}) * {1} + {0}",
)  # fmt: skip
REDUCE = (
    "np.sum({0}, {1})", "np.mean({0}, {1})", "np.max({0}, {1})", "np.min({0}, {1})",
    "np.var({0}, {1})", "np.prod(np.cos({0}), {1})", "np.sqrt(0.1 + np.sum({0} * {0}, {1}))",
    "np.log(np.sum(np.exp({0}), {1}))", "np.std({0} + 0.3, {1})",
    "np.sum(np.where({0} > 0, {0}, 0), {1})", "np.any({0} > 0.5, {1}).astype(np.float64)",
    "np.sum({0} > 0, {1}) * 0.5",
)  # fmt: skip
BLOCKS = (
    "np.exp({0}) / np.sum(np.exp({0}), axis={1}, keepdims=True)",
    "np.exp({0} - np.max({0}, axis={1}, keepdims=True))",
    "{0} - np.log(np.sum(np.exp({0}), axis={1}, keepdims=True))",
    "({0} - np.mean({0}, axis={1}, keepdims=True))"
    " / np.sqrt(np.var({0}, axis={1}, keepdims=True) + 0.1)",
    "{0} / (1e-3 + np.sqrt(np.sum({0} ** 2, axis={1}, keepdims=True)))",
    "{0} * np.mean({0}, axis={1}, keepdims=True) + np.max({0}, axis={1}, keepdims=True)",
)
LOOPS = (
    "scan(lambda c, r: (np.tanh(c + r), c * r + 1), 0.3 * np.sum({0}, axis=0), {0})[1]",
    "scan(lambda c, r: (c * 0.5 + r, c), np.sum({0}, axis=0), {0}, reverse={1})[1]",
    "scan(lambda c, r: (c + np.sin(r), r * np.sum(c)), np.mean({0}, axis=0), {0})[1]",
    "fori_loop(0, 3, lambda k, c: np.sin(c) + 0.1 * k, {0})",
    "fori_loop(0, 2, lambda k, c: (c - np.mean(c)) / (1 + np.sum(c * c)), {0})",
    "cond(np.sum({0}) > 0, lambda a: np.sin(a), lambda a: a * 2 + np.sum(a), {0})",
    "cond(np.max({0}) < 1, lambda a: a - 1, lambda a: a[::-1], {0})",
)
SCAN = "scan(lambda c, r: (np.tanh(c * r) + r, c), np.sum({0}, axis=0), {0}, reverse={1})[0]"
FIRST_WITH_LOOPS = 10_000
ENDS = (
    "np.sum({0})", "np.mean({0} ** 2)", "0.5 * np.sum(np.sin({0}))", "np.sum({0} * {0}[..., ::-1])",
    "np.log(np.sum(np.exp({0})) + 1)", "np.max({0})",
)  # fmt: skip


@dataclass
class Program:
    """Source text, the function it defines, and the types and dimensions to trace it with."""

    seed: int
    text: str
    name: str
    types: list[TensorType]
    dims: dict[str, int]

    @property
    def function(self) -> Callable[..., Any]:
        scope: dict[str, Any] = {
            "np": np, "value_and_grad": value_and_grad, "scan": scan, "fori_loop": fori_loop,
            "cond": cond,
        }  # fmt: skip
        exec(compile(self.text, f"<program {self.seed}>", "exec"), scope)
        return scope[self.name]

    def __str__(self) -> str:
        return f"{self.text}\n# {self.name}({', '.join(map(str, self.types))}), {self.dims}"


def tuple_of(sizes: Any) -> str:
    items = [str(size) for size in sizes]
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


@dataclass
class Writer:
    """Writes statements; knows the shape of every variable."""

    random: np.random.Generator
    loops: bool = False
    """Whether scan, fori_loop and cond may be written."""
    shapes: dict[str, Shape] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def pick(self, choices: Any) -> Any:
        choices = list(choices)
        return choices[int(self.random.integers(len(choices)))]

    def flip(self, chance: float = 0.5) -> bool:
        return bool(self.random.uniform() < chance)

    def variable(self, want: Callable[[Shape], bool] = lambda shape: True) -> str | None:
        """A variable, a recent one more often than not."""
        names = [name for name, shape in self.shapes.items() if want(shape)]
        if not names:
            return None
        return self.pick(names[-4:] if self.flip(0.6) else names)

    def let(self, text: str, shape: Shape) -> str:
        name = f"{self.pick('abcdefghpqrstuvwyz')}{len(self.shapes)}"
        self.lines.append(f"    {name} = {text}")
        self.shapes[name] = shape
        return name

    # --- statements: each writes one, or returns without writing where it does not apply ---------

    def unary(self) -> None:
        x = self.variable()
        self.let(self.pick(UNARY).format(x), self.shapes[x])

    def binary(self) -> None:
        x = self.variable()
        fitting = [y for y in self.shapes if self.broadcast(x, y) is not None]
        y = self.pick(fitting)
        self.let(self.pick(BINARY).format(x, y), self.broadcast(x, y))

    def broadcast(self, x: str, y: str) -> Shape | None:
        try:
            return broadcast_shapes(self.shapes[x], self.shapes[y])
        except ShapeError:
            return None

    def transpose(self) -> None:
        x = self.variable(lambda shape: len(shape) > 1)
        if x is None:
            return
        axes = [int(a) for a in self.random.permutation(len(self.shapes[x]))]
        shape = tuple(self.shapes[x][a] for a in axes)
        self.let(f"np.transpose({x}, {tuple(axes)})", shape)

    def slice(self) -> None:
        x = self.variable(lambda shape: len(shape) > 0)
        if x is None:
            return
        keys, shape = [], []
        for size in self.shapes[x]:
            key, left = self.key(size)
            keys.append(key)
            shape += [left] if left is not None else []
            if self.flip(0.1):
                keys.append("None")
                shape.append(1)
        if len(shape) <= 4:
            self.let(f"{x}[{', '.join(keys)}]", tuple(shape))

    def key(self, size: Size) -> tuple[str, Size | None]:
        """An index along one axis, and what is left of the axis."""
        if isinstance(size, Dim) or size == 0:
            return self.pick([("::-1", size), (":", size), (":", size)])
        kind = self.random.integers(6)
        if kind == 0:
            return str(int(self.random.integers(-size, size))), None
        if kind < 3:
            return ":", size
        start, stop = sorted(int(v) for v in self.random.integers(0, size + 1, 2))
        step = int(self.pick([1, 1, 2, -1, -2, 3]))
        if step < 0:
            start, stop = stop - 1, start - 1
        key = slice(start if start >= 0 else None, stop if stop >= 0 else None, step)
        count = len(range(size)[key])
        if count == 0 and self.flip(0.9):
            return ":", size
        return f"{_text(key.start)}:{_text(key.stop)}:{step}", count

    def reshape(self) -> None:
        x = self.variable(lambda shape: len(shape) > 0)
        if x is None:
            return
        shape = list(self.shapes[x])
        for _ in range(2):
            at = int(self.random.integers(len(shape)))
            size = shape[at]
            if self.flip(0.2) and len(shape) < 4:
                shape.insert(at, 1)
            elif self.flip() and at + 1 < len(shape):
                shape[at : at + 2] = [shape[at] * shape[at + 1]]
            elif isinstance(size, int) and size > 3 and len(shape) < 4:
                factor = self.pick([f for f in range(1, size + 1) if size % f == 0])
                shape[at : at + 1] = [factor, size // factor]
            elif isinstance(size, Dim) and len(shape) < 4 and size % 2 == 0:
                shape[at : at + 1] = [2, size // 2]
        self.let(f"np.reshape({x}, {tuple_of(shape)})", tuple(shape))

    def rearrange(self) -> None:
        x = self.variable(lambda shape: len(shape) > 0)
        if x is None:
            return
        shape = self.shapes[x]
        axis = int(self.random.integers(len(shape)))
        size = shape[axis]
        text, new = self.pick([
            (f"np.flip({x}, {axis})", size),
            (f"np.roll({x}, {int(self.random.integers(-2, 3))}, axis={axis})", size),
            (f"np.repeat({x}, 2, axis={axis})", size * 2),
            (f"np.concatenate([{x}, {x}], axis={axis})", size * 2),
            (f"np.concatenate([{x}, 2 * {x}, {x}], axis={axis})", size * 3),
        ])  # fmt: skip
        self.let(text, (*shape[:axis], new, *shape[axis + 1 :]))

    def pad(self) -> None:
        x = self.variable(lambda shape: len(shape) > 0)
        if x is None:
            return
        widths = [tuple(int(v) for v in self.random.integers(0, 3, 2)) for _ in self.shapes[x]]
        shape = tuple(s + a + b for s, (a, b) in zip(self.shapes[x], widths, strict=True))
        value = self.pick(["", "", ", constant_values=0.7"])
        self.let(f"np.pad({x}, {tuple(widths)}{value})", shape)

    def join(self) -> None:
        """Different variables behind one another, or as layers of a new axis."""
        x = self.variable(lambda shape: 0 < len(shape) < 4)
        if x is None:
            return
        shape = self.shapes[x]
        if self.flip(0.3):
            same = [y for y, s in self.shapes.items() if s == shape]
            axis = int(self.random.integers(len(shape) + 1))
            picked = [x, self.pick(same), self.pick(same)]
            self.let(f"np.stack([{', '.join(picked)}], axis={axis})",
                     (*shape[:axis], 3, *shape[axis:]))  # fmt: skip
            return
        axis = int(self.random.integers(len(shape)))
        rest = (shape[:axis], shape[axis + 1 :])
        fits = [y for y, s in self.shapes.items()
                if len(s) == len(shape) and (s[:axis], s[axis + 1 :]) == rest]  # fmt: skip
        y = self.pick(fits)
        joined = shape[axis] + self.shapes[y][axis]
        self.let(f"np.concatenate([{x}, {y}], axis={axis})", (*rest[0], joined, *rest[1]))

    def reduce(self) -> None:
        x = self.variable(lambda shape: len(shape) > 0 and 0 not in shape)
        if x is None:
            return
        shape = self.shapes[x]
        count = int(self.random.integers(1, len(shape) + 1))
        axes = tuple(sorted(int(a) for a in self.random.permutation(len(shape))[:count]))
        keep = self.flip(0.4)
        left = tuple(1 if a in axes else s for a, s in enumerate(shape) if keep or a not in axes)
        options = f"axis={axes}{', keepdims=True' if keep else ''}"
        self.let(self.pick(REDUCE).format(x, options), left)

    def block(self) -> None:
        x = self.variable(lambda shape: len(shape) > 0 and 0 not in shape)
        if x is not None:
            axis = int(self.random.integers(len(self.shapes[x])))
            self.let(self.pick(BLOCKS).format(x, axis), self.shapes[x])

    def matmul(self) -> None:
        x = self.variable(lambda shape: len(shape) == 2)
        if x is None:
            return
        rows, inner = self.shapes[x]
        found = [y for y, s in self.shapes.items() if len(s) == 2 and inner in s]
        y = self.pick(found)
        if self.shapes[y][0] == inner:
            self.let(f"{x} @ {y} * 0.5", (rows, self.shapes[y][1]))
        else:
            self.let(f"0.5 * ({x} @ {y}.T)", (rows, self.shapes[y][0]))

    def einsum(self) -> None:
        """Axes of equal size share a label, or do not; any of the labels are kept."""
        picked = [self.variable() for _ in range(int(self.random.integers(1, 4)))]
        sizes: dict[str, Size] = {}
        terms = []
        for x in picked:
            term = ""
            for size in self.shapes[x]:
                same = [label for label, s in sizes.items() if s == size]
                if same and self.flip(0.7):
                    term += self.pick(same)
                else:
                    term += "ijklmopqrstuvw"[len(sizes)]
                    sizes[term[-1]] = size
            terms.append(term)
        if len(sizes) > 6 or len(sizes) == 0:
            return
        labels = [label for label in sizes if self.flip(0.5)][:4]
        self.random.shuffle(labels)
        text = f"{','.join(terms)}->{''.join(labels)}"
        summed = [str(s) for label, s in sizes.items() if label not in labels]
        scale = f" / (1 + {' * '.join(summed)})" if summed else ""
        self.let(f"np.einsum('{text}', {', '.join(picked)}){scale}",
                 tuple(sizes[label] for label in labels))  # fmt: skip

    def triangle(self) -> None:
        x = self.variable(lambda shape: len(shape) >= 2)
        if x is not None:
            fn = self.pick(["np.tril", "np.triu"])
            self.let(f"{fn}({x}, {int(self.random.integers(-1, 2))})", self.shapes[x])

    def control(self) -> None:
        """A loop over rows, a loop that counts, or a branch."""
        x = self.variable(lambda shape: 0 < len(shape) < 4 and 0 not in shape)
        if x is None:
            return
        shape = self.shapes[x]
        text, left = self.pick([(text, shape) for text in LOOPS] + [(SCAN, shape[1:])] * 2)
        self.let(text.format(x, self.flip()), left)

    def statement(self) -> None:
        kinds = [
            *[self.unary] * 5, *[self.binary] * 6, self.transpose, self.slice, self.slice,
            self.reshape, self.rearrange, self.pad, self.join, *[self.reduce] * 3,
            *[self.block] * 2, self.matmul, self.matmul, self.einsum, self.triangle,
            *[self.control] * (6 if self.loops else 0),
        ]  # fmt: skip
        self.pick(kinds)()


def _text(bound: int | None) -> str:
    return "" if bound is None else str(bound)


def inputs(writer: Writer, symbolic: bool, dtype: str) -> tuple[list[TensorType], dict[str, int]]:
    """A few arguments whose axes have sizes in common."""
    pool: list[Size] = [1, 2, 3, 4]
    pool += [as_size("n"), as_size("n"), as_size("m")] if symbolic else [3, 5]
    types = []
    for _ in range(int(writer.random.integers(1, 5))):
        rank = int(writer.pick([0, 1, 2, 2, 2, 3]))
        types.append(TensorType(dtype_of(dtype), tuple(writer.pick(pool) for _ in range(rank))))
    if symbolic:  # a dimension is found in the shape of an argument
        types.insert(0, TensorType(dtype_of(dtype), (as_size("n"), as_size("m"))))
    dims = {"n": int(writer.pick([0, 1, 2, 3, 5])), "m": int(writer.pick([1, 2, 4]))}
    return types, dims if symbolic else {}


def program(seed: int, dtype: str = "float64") -> Program:
    """The program of a seed: values, their gradients, or a step downhill."""
    writer = Writer(np.random.default_rng(seed), loops=seed >= FIRST_WITH_LOOPS)
    symbolic = writer.flip()
    types, dims = inputs(writer, symbolic, dtype)
    names = [f"x{i}" for i in range(len(types))]
    writer.shapes.update(zip(names, (t.shape for t in types), strict=True))
    for _ in range(int(writer.random.integers(3, 16))):
        while not writer.lines or writer.random.uniform() < 0.3:
            writer.statement()
        writer.statement()
        too_big = [x for x, s in writer.shapes.items() if _elements(s, dims) > 400]
        for x in too_big:
            del writer.shapes[x]
    head = [f"def program_{seed}({', '.join(names)}):"]
    head += ["    n, m = x0.shape"] if symbolic else []
    made = [x for x in writer.shapes if x not in names] or names
    results = [made[-1], *(writer.pick([*made, *names]) for _ in range(writer.random.integers(4)))]
    mode = writer.pick(["values", "values", "gradient", "step"])
    if mode == "values":
        tails = ["", "", "", ".T"]
        texts = [x + writer.pick(tails) for x in results]
        text = "\n".join([*head, *writer.lines, f"    return {', '.join(texts)}"])
    else:
        text = "\n".join([*head, *derived(writer, names, results, mode)])
    return Program(seed, text, f"program_{seed}", types, dims)


def derived(writer: Writer, names: list[str], results: list[str], mode: str) -> list[str]:
    """The program's results made a loss, and its gradient or a step downhill."""
    ends = []
    for x in results:
        fitting = ENDS[:3] if not writer.shapes[x] else ENDS[:5] if 0 in writer.shapes[x] else ENDS
        ends.append(writer.pick(fitting).format(x))
    given = ", ".join(names)
    wrt = tuple(i for i in range(len(names)) if writer.flip(0.8)) or (0,)
    body = [f"    {line}" for line in writer.lines]
    lines = [f"    def loss({given}):", *body, f"        return {' + '.join(ends)}"]
    lines += [f"    value, gradient = value_and_grad(loss, {wrt})({given})"]
    if mode == "gradient":
        return [*lines, "    return value, gradient"]
    steps = [f"{names[i]} - 0.1 * gradient[{k}]" for k, i in enumerate(wrt)]
    return [*lines, f"    return value, {', '.join(steps)}"]


def _elements(shape: Shape, dims: dict[str, int]) -> int:
    sizes = {name: max(value, 2) for name, value in dims.items()}
    return int(np.prod([evaluate(s, sizes) for s in shape]))
