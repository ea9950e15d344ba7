"""Statements as lines of C."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field

from graphc.emit_c.expression import Printer
from graphc.emit_c.functions import C_TYPES, SUFFIX
from graphc.emit_c.helpers import LIMITED, VECTOR
from graphc.emit_c.independent import MANY_PAIRS, Memory, is_independent, is_plain
from graphc.emit_c.lanes import fold_mark, is_vector, lane_folds
from graphc.emit_c.limits import flag_type, limited_arguments, looks
from graphc.emit_c.products import product_call
from graphc.emit_c.starts import with_start
from graphc.emit_c.turned import turned_copies
from graphc.loops import (
    Apply,
    Assign,
    Barrier,
    Buffer,
    Call,
    Comment,
    Contract,
    Declare,
    Expr,
    If,
    Let,
    Literal,
    Local,
    Loop,
    Once,
    Parallel,
    Program,
    Read,
    Stmt,
    Store,
    While,
    negated,
)

COLUMNS = 100
NOTE_COLUMN = 44
MOST_BASES = 500  # buffers that others are counted from


def plain(text: str) -> str:
    """Text that is safe inside a comment: no end of it, no other begun in it, no trigraph."""
    text = re.sub(r"[^\x20-\x7e]", "?", text.expandtabs().replace("\\", "/"))
    text = re.sub(r"\?(?=\?)", "? ", text)
    return re.sub(r"\*(?=/)", "* ", re.sub(r"/(?=\*)", "/ ", text)).rstrip()


@dataclass(slots=True)
class Writer:
    """Statements as lines."""

    printer: Printer
    memory: Memory
    lines: list[str] = field(default_factory=list)
    folds: set[tuple[str, str]] = field(default_factory=set)
    """By which functions loops fold in lanes, and of which dtype: its suffix."""
    marks: set[str] = field(default_factory=set)
    """The macros that mark them."""
    pairs: int = MANY_PAIRS
    dealt: set[str] = field(default_factory=set)
    """The marks of loops that are dealt out to threads."""
    apart: bool = False
    """Whether a loop is marked as one whose iterations touch nothing that others write."""
    checks: int = 0
    """How many loops look at arguments before another runs."""

    def buffers(self, program: Program) -> None:
        """Where in the workspace each array lies."""
        laid: list[Buffer] = []
        names = {y.name: y.home for y in program.outputs if y.home}
        for buffer in sorted(program.buffers, key=lambda b: len(str(b.offset))):
            kind = C_TYPES[str(buffer.dtype)]
            shape = ", ".join(map(str, buffer.shape))
            if buffer.home:
                start = names.get(buffer.home, buffer.home)
                self.printer.used.add(start)
            else:
                start = self.place(buffer, laid)
                if buffer.step == 0 and len(laid) < MOST_BASES:
                    laid.append(buffer)
            self.put(f"{kind} *const {buffer.name} = {start};", 1, f"[{shape}]")
        if program.buffers:
            self.lines.append("")

    def place(self, buffer: Buffer, laid: list[Buffer]) -> str:
        """Where the buffer starts, from the workspace or from an earlier buffer: the shorter."""
        for other in laid:
            if other.offset == buffer.offset and other.dtype == buffer.dtype:
                return other.name
        starts = [("workspace", buffer.offset)]
        starts += [(other.name, buffer.offset - other.offset) for other in laid]
        size = self.printer.size
        written = [(b, str(x) if isinstance(x, int) else size(x)[0]) for b, x in starts]
        ahead = [(base, step) for base, step in written if base == "workspace" or "-" not in step]
        base, step = min(ahead, key=lambda pair: (pair[1] != "0", len(pair[1])))
        if buffer.step != 0:
            each = self.printer.factor(buffer.step)
            return f"(void *)((char *)workspace + {written[0][1]} + GRAPHC_THREAD * {each})"
        if step == "0":
            return base if base == "workspace" else f"(void *){base}"
        return f"(void *)((char *){base} + {step})"

    def body(self, body: tuple[Stmt, ...], depth: int) -> None:
        for i, stmt in enumerate(body):
            if isinstance(stmt, Comment) and depth == 1:
                first = not self.lines or self.lines[-1] == ""
                if not first and not (i and isinstance(body[i - 1], Comment)):
                    self.lines.append("")
            self.statement(stmt, depth)

    def statement(self, stmt: Stmt, depth: int) -> None:
        p = self.printer
        match stmt:
            case Let(name, value, note):
                kind = C_TYPES[str(value.dtype)]
                self.put(f"const {kind} {name} = {p.text(value)};", depth, note)
            case Declare(name, value):
                self.put(f"{C_TYPES[str(value.dtype)]} {name} = {p.text(value)};", depth)
            case Assign(name, value, note):
                self.put(self.update(name, value, Local(name, value.dtype)), depth, note)
            case Store(buffer, index, value, note):
                place = p.element(buffer, index)
                self.put(self.update(place, value, Read(buffer, index, value.dtype)), depth, note)
            case Comment(text):
                self.put(f"/* {plain(text)} */", depth)
            case Loop():
                self.loop(stmt, depth)
            case While():
                self.put("for (;;) {", depth)
                self.body(stmt.test, depth + 1)
                self.put(f"if ({p.text(negated(stmt.condition))})", depth + 1)
                self.put("break;", depth + 2)
                self.body(stmt.body, depth + 1)
                self.put("}", depth)
            case Contract():
                self.put(product_call(self.printer, stmt), depth)
            case If():
                self.put(f"if ({p.text(stmt.condition)}) {{", depth)
                self.body(stmt.then, depth + 1)
                if stmt.other:
                    self.put("} else {", depth)
                    self.body(stmt.other, depth + 1)
                self.put("}", depth)
            case Once():
                self.put("if (GRAPHC_THREAD == 0) {", depth)
                self.body(stmt.body, depth + 1)
                self.put("}", depth)
            case Barrier():
                self.put("GRAPHC_BARRIER", depth)
            case Call(function, arguments):
                p.used.update(arguments)
                self.put(f"{function}({', '.join(arguments)});", depth)

    def call(self, region: Parallel, program: Program) -> str:
        """The call of what each thread runs: by one, where more are not worth it."""
        arguments = [a.name for a in program.inputs] + [*program.dims]
        arguments += [a.name for a in program.outputs if not a.home]
        arguments += ["workspace"] if program.workspace != 0 else []
        lines, self.lines = self.lines, []
        call = f"{program.name}_thread({', '.join(arguments)});"
        if isinstance(region.worth, Literal):
            self.put(f"GRAPHC_PARALLEL({region.threads})", 1)
            self.put(call, 1)
        else:
            self.put(f"if ({self.printer.text(region.worth)}) {{", 1)
            self.put(f"GRAPHC_PARALLEL({region.threads})", 2)
            self.put(call, 2)
            self.put("} else {", 1)
            self.put(call, 2)
            self.put("}", 1)
        text, self.lines = "\n".join(self.lines), lines
        return text

    def update(self, place: str, value: Expr, itself: Expr) -> str:
        """place = value, as place += term where it is one."""
        if isinstance(value, Apply) and value.args[:1] == (itself,):
            signs = {"add": "+", "subtract": "-", "multiply": "*"}
            if value.dtype.kind == "i":
                signs = {"bitwise_or": "|"}
            if sign := signs.get(value.function):
                return f"{place} {sign}= {self.printer.text(value.args[1])};"
        return f"{place} = {self.printer.text(value)};"

    def loop(self, loop: Loop, depth: int) -> None:
        """A loop; where its functions have a limit, two, and one before that chooses."""
        if copies := turned_copies(self.printer, self.memory, loop):
            for call in copies:
                self.put(call, depth)
            return
        if not is_vector(loop):
            self.one_loop(loop, depth, frozenset())
            return
        found = limited_arguments(loop)
        if found is None or not found[1]:
            self.one_loop(loop, depth, VECTOR - LIMITED if found is None else VECTOR)
            return
        self.checks += 1
        far = f"far{self.checks if self.checks > 1 else ''}"
        if loop.shared:  # every thread looks at all, whoever wrote it
            self.put("GRAPHC_BARRIER", depth)
        note = "whether an argument of sin, cos or tan is beyond 2^20"
        self.put(f"{C_TYPES[str(flag_type(found[1]))]} {far} = 0;", depth, note)
        self.one_loop(Loop(loop.var, loop.extent, looks(far, *found)), depth, VECTOR)
        if loop.shared:  # no thread may write before all have looked
            self.put("GRAPHC_BARRIER", depth)
        self.put(f"if ({far}) {{", depth)
        self.one_loop(loop, depth + 1, VECTOR - LIMITED)
        self.put("} else {", depth)
        self.one_loop(loop, depth + 1, VECTOR)
        self.put("}", depth)

    def one_loop(self, loop: Loop, depth: int, vector: frozenset[str]) -> None:
        p = self.printer
        start, bound, inner = with_start(loop)
        first, last = p.size(start)[0], p.size(bound)[0]
        head = f"for (int64_t {loop.var} = {first}; {loop.var} < {last}; ++{loop.var})"
        p.extents[loop.var] = bound
        if loop.shared:
            mark = "GRAPHC_SHARED_IN_TURN" if loop.in_turn else "GRAPHC_SHARED"
            if is_plain(loop):  # verified: no iteration touches what another writes
                mark = "GRAPHC_SHARED_LOOP"
            self.dealt.add(mark)
            self.put(mark, depth)
        folds = lane_folds(loop) if not loop.shared else {}
        if folds:
            self.folds |= {(x.function, SUFFIX[str(x.dtype)]) for x in folds.values()}
            mark = fold_mark(folds)
            self.marks.add(mark.split("(")[0])
            self.put(mark, depth)
        elif not loop.shared and is_independent(loop, self.memory, self.pairs):
            self.apart = True
            self.put("GRAPHC_SIMD_LOOP", depth)
        self.put(head, depth)
        end = len(self.lines) - 1  # a long head takes several lines
        p.vector = vector
        self.body(inner, depth + 1)
        p.vector = frozenset()
        del p.extents[loop.var]
        if len(self.lines) > end + 2 or isinstance(loop.body[0], Loop):
            self.lines[end] += " {"
            self.lines.append("    " * depth + "}")

    def put(self, text: str, depth: int, note: str = "") -> None:
        """One statement, wrapped at the margin, its note beside it or, if too long, above it."""
        indent = "    " * depth
        if note:
            beside = f"{(indent + text):{NOTE_COLUMN}s} /* {plain(note)} */"
            if len(beside) <= COLUMNS:
                self.lines.append(beside)
                return
            self.put(f"/* {plain(note)} */", depth)
        self.lines += textwrap.wrap(
            text,
            COLUMNS,
            initial_indent=indent,
            subsequent_indent=indent + "    ",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
