"""A program cut into what a person would call its kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphc.emit_dot.words import number
from graphc.loops import (
    Apply,
    Assign,
    Barrier,
    Comment,
    Contract,
    Declare,
    Expr,
    Let,
    Literal,
    Local,
    Loop,
    Once,
    Parallel,
    Position,
    Program,
    Read,
    Stmt,
    Store,
    format_expr,
    parts,
    statements,
    values,
)

PART_NAMES = ("forward", "backward", "update")
SIGNS = {
    "add": (" + ", 10),
    "subtract": (" − ", 10),
    "multiply": (" · ", 20),
    "divide": (" / ", 20),
    "less": (" < ", 5),
    "less_equal": (" ≤ ", 5),
    "greater": (" > ", 5),
    "greater_equal": (" ≥ ", 5),
    "equal": (" = ", 5),
}


@dataclass
class Section:
    """Statements that belong together: a loop nest and what prepares it, or a straight line."""

    parts: tuple[str, ...]
    """forward, backward, update; several where they are fused."""
    notes: list[str] = field(default_factory=list)
    """The equations the program's comments give for it."""
    body: list[Stmt] = field(default_factory=list)
    whole: list[Stmt] = field(default_factory=list)
    """The same as they stand in the program, where one thread may run some and all may meet."""

    def loops(self) -> list[Loop | Contract]:
        """The outermost loops that compute something, and products of matrices."""
        return [x for x in self.body if isinstance(x, Loop | Contract) and not is_preparation(x)]

    def reads(self) -> list[str]:
        """Buffers and locals made elsewhere, in the order of their first use."""
        made: set[str] = set()
        found: dict[str, None] = {}
        for stmt in statements(tuple(self.body)):
            names = (n for value in values(stmt) for x in parts(value) if (n := read_name(x)))
            found.update(dict.fromkeys(name for name in names if name not in made))
            made.add(made_by(stmt))
        return list(found)

    def writes(self) -> list[str]:
        """Buffers, and locals of the outermost level, that it makes."""
        inner = [
            made_by(x) for x in statements(tuple(self.body)) if isinstance(x, Store | Contract)
        ]
        outer = [made_by(x) for x in self.body]
        return [name for name in dict.fromkeys((*outer, *inner)) if name]


def read_name(expr: Expr) -> str:
    match expr:
        case Read():
            return expr.buffer
        case Local():
            return expr.name
    return ""


def made_by(stmt: Stmt) -> str:
    """The buffer or local that a statement itself writes."""
    match stmt:
        case Let() | Declare() | Assign():
            return stmt.name
        case Store():
            return stmt.buffer
        case Contract():
            return stmt.into.buffer
    return ""


def is_preparation(stmt: Stmt) -> bool:
    """Whether a statement only puts a number where the loop after it adds up."""
    if isinstance(stmt, Loop):
        return all(map(is_preparation, stmt.body))
    return isinstance(stmt, Store | Declare) and isinstance(stmt.value, Literal)


def parts_of(text: str) -> tuple[str, ...]:
    """The parts that a comment announces: ``forward and backward``; none for another comment."""
    words = tuple(text.split(" and "))
    return words if all(word in PART_NAMES for word in words) else ()


def sections(program: Program) -> list[Section]:
    """The top level of the program, cut where something new begins.

    A comment begins something new; so does a loop nest (with what prepares its sums) after
    another one, and a statement after a nest unless it finishes what that one summed.
    """
    found = [Section(("forward",))]
    for stmt in region_of(program):
        current = found[-1]
        if isinstance(stmt, Barrier):
            current.whole.append(stmt)
            continue
        if isinstance(stmt, Comment):
            announced = parts_of(stmt.text)
            if current.body:
                current = Section(current.parts)
                found.append(current)
            if announced:
                current.parts = announced
            else:
                current.notes.append(stmt.text)
            continue
        inner = stmt.body if isinstance(stmt, Once) else (stmt,)
        if current.body and begins(inner[0], current):
            current = Section(current.parts)
            found.append(current)
        current.body += inner
        current.whole.append(stmt)
    return [x for x in found if x.body]


def region_of(program: Program) -> tuple[Stmt, ...]:
    """The program's statements, or those that each of its threads runs."""
    match program.body:
        case (Parallel(_, _, body),):
            return body
    return program.body


def begins(stmt: Stmt, current: Section) -> bool:
    """Whether a statement starts a section of its own after what `current` holds."""
    lines = any(not isinstance(x, Loop) and not is_preparation(x) for x in current.body)
    if is_preparation(stmt) or isinstance(stmt, Loop | Contract):
        return bool(current.loops()) or lines
    if not current.loops():
        return False
    made = {made_by(x) for x in statements(tuple(current.body))}
    return not any(read_name(x) in made for value in values(stmt) for x in parts(value))


def nest_lines(body: tuple[Stmt, ...] | list[Stmt], depth: int = 0) -> Iterator[tuple[int, str]]:
    """(depth, ``i < n, j < 64``) for each loop; loops that hold only a loop share a line."""
    for stmt in body:
        if isinstance(stmt, Contract):
            yield depth, f"{stmt.rows} × {stmt.columns} tiles, sums of {stmt.terms}"
        if not isinstance(stmt, Loop) or is_preparation(stmt):
            continue
        heads, inner = [f"{stmt.var} < {stmt.extent}"], stmt.body
        while len(inner) == 1 and isinstance(inner[0], Loop):
            heads.append(f"{inner[0].var} < {inner[0].extent}")
            inner = inner[0].body
        yield depth, ", ".join(heads)
        yield from nest_lines(inner, depth + 1)


def expression(expr: Expr, outer: int = 0) -> str:
    """The expression as on paper, as an operand of what binds as strongly as `outer`."""
    if isinstance(expr, Literal):
        return number(expr.value)
    if isinstance(expr, Position):
        return f"({expr.size})" if " " in str(expr.size) else str(expr.size)
    if not isinstance(expr, Apply):
        return format_expr(expr)
    if expr.function == "cast":
        return expression(expr.args[0], outer)
    if expr.function in SIGNS and len(expr.args) == 2:
        sign, own = SIGNS[expr.function]
        tight = own + (expr.function in ("subtract", "divide"))
        text = expression(expr.args[0], own) + sign + expression(expr.args[1], tight)
        return f"({text})" if own < outer else text
    if expr.function == "negative":
        text = "−" + expression(expr.args[0], 20)
        return f"({text})" if outer > 10 else text
    return f"{expr.function}({', '.join(map(expression, expr.args))})"


def statement(stmt: Stmt) -> str | None:
    """One line for a statement that computes a value; None for others."""
    match stmt:
        case Let() | Assign():
            return f"{stmt.name} = {expression(stmt.value)}"
        case Store() if not is_preparation(stmt):
            place = "" if stmt.index == 0 else f"[{stmt.index}]"
            return f"{stmt.buffer}{place} = {expression(stmt.value)}"
        case Contract():
            sign = "+=" if stmt.add else "="
            return f"{stmt.into.buffer} {sign} {stmt.left.buffer} @ {stmt.right.buffer}"
    return None
