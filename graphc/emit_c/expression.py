"""Scalar expressions and sizes as C text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from graphc.bounds import smallest
from graphc.emit_c.functions import (
    AND,
    C_TYPES,
    EQUALITY,
    OR,
    PRIMARY,
    RELATION,
    SHIFT,
    SUFFIX,
    SUM,
    TERM,
    TERNARY,
    UNARY,
    Call,
    Infix,
    spelling,
)
from graphc.errors import VerifyError
from graphc.loops import Apply, Expr, Literal, Local, Position, Read
from graphc.types import Atom, Dim, DType, Func, Size, at_most, float32, float64

Text = tuple[str, int]
"""C text and the precedence of its outermost operator."""


@dataclass(slots=True)
class Printer:
    """Writes expressions; remembers which names and helper functions they use."""

    pointers: frozenset[str]
    """Outputs of rank 0: read and written as ``*name``."""
    helpers: set[tuple[str, str]] = field(default_factory=set)
    """(helper, dtype suffix) pairs to define."""
    looped: set[tuple[str, str]] = field(default_factory=set)
    """Those of them that a loop worth vectorising calls."""
    vector: frozenset[str] = frozenset()
    """The functions of <math.h> to call by a helper: those of such a loop, while it is written."""
    used: set[str] = field(default_factory=set)
    extents: dict[str, Size] = field(default_factory=dict)
    outside: dict[Func, Text] = field(default_factory=dict)
    """What is written of sizes outside of all loops, where many offsets are compared."""
    """Of the loops around what is being written."""
    watcher: str = ""
    """The parameter that traps write."""
    traps: set[str] = field(default_factory=set)
    """Suffixes of the dtypes they watch."""

    def text(self, expr: Expr) -> str:
        return self.write(expr)[0]

    def write(self, expr: Expr) -> Text:
        match expr:
            case Literal(value, dtype):
                text = literal(value, dtype)
                return text, UNARY if text.startswith("-") else PRIMARY
            case Local(name):
                self.used.add(name)
                return name, PRIMARY
            case Read(buffer, index, dtype):
                element = self.element(buffer, index)
                if dtype.kind != "b" or not self.vector or element.startswith("*"):
                    return element, PRIMARY
                self.helpers.add(("is_true", SUFFIX["bool"]))
                return f"is_true(&{element})", PRIMARY
            case Position(size):
                return self.size(size)
            case Apply():
                return self.apply(expr)

    def element(self, buffer: str, index: Size) -> str:
        """buffer[index], or *buffer for a scalar output."""
        self.used.add(buffer)
        return f"*{buffer}" if buffer in self.pointers else f"{buffer}[{self.size(index)[0]}]"

    def apply(self, expr: Apply) -> Text:
        args = expr.args
        match expr.function:
            case "select":
                test, then, other = (self.write(x) for x in args)
                return (f"{_at(test, OR)} ? {_at(then, OR)} : {_at(other, TERNARY)}", TERNARY)
            case "cast":
                return self.cast(args[0], expr.dtype)
            case "clock":
                self.helpers.add(("clock", SUFFIX["float64"]))
                return "clock_f64()", PRIMARY
            case "trap":
                return self.trap(*args), PRIMARY
            case "negative" if expr.dtype.kind == "f":
                inner = _at(self.write(args[0]), UNARY)
                return (f"-({inner})" if inner.startswith("-") else f"-{inner}"), UNARY
            case "logical_not":
                return f"!{_at(self.write(args[0]), UNARY)}", UNARY
            case "invert":
                return f"~{_at(self.write(args[0]), UNARY)}", UNARY
        form = spelling(expr.function, args[-1].dtype, self.vector)
        if isinstance(form, Infix):
            return self.infix(form, *(self.write(x) for x in args))
        if isinstance(form, Call):
            if form.helper:
                key = (form.helper, SUFFIX[str(args[-1].dtype)])
                (self.looped if self.vector else self.helpers).add(key)
            called = f"{form.name}({', '.join(self.text(x) for x in args)})"
            if expr.dtype.kind == "b" and args[0].dtype.kind == "f":
                return f"{called} != 0", EQUALITY
            return called, PRIMARY
        raise VerifyError(f"C has no spelling for {expr.function} of {args[-1].dtype}")

    def trap(self, value: Expr, site: Expr, element: Expr, excused: Expr, *operands: Expr) -> str:
        """A value, watched: trap_f64(log(x), &graphc_sites[3], i, false, (double[]){x}, trap)."""
        suffix = SUFFIX[str(value.dtype)]
        self.traps.add(suffix)
        made = [self.cast(x, float64)[0] for x in operands]
        self.loads(value.dtype)
        given = f"(double[]){{{', '.join(made)}}}" if made else "NULL"
        number = site.value if isinstance(site, Literal) else 0
        return (
            f"trap_{suffix}({self.text(value)}, &graphc_sites[{number}], {self.text(element)}, "
            f"{self.text(excused)}, {given}, {self.watcher})"
        )

    def loads(self, dtype: DType) -> None:
        """The traps of this dtype call what reads it."""
        if dtype.is_half:
            self.helpers.add((f"from_{SUFFIX[str(dtype)]}", "f32"))

    def infix(self, form: Infix, left: Text, right: Text) -> Text:
        """Left operands of equal precedence need no parentheses, right ones do; compilers want
        them around `&&` inside `||`, comparisons inside comparisons, and bit operations."""
        clear = form.precedence in (OR, EQUALITY, RELATION, SHIFT)
        lowest = form.precedence + (1 if clear else 0)
        above = form.precedence + 1
        if form.precedence == EQUALITY:
            lowest = above = RELATION + 1
        if form.precedence == OR:
            lowest = AND + 1 if left[1] == AND else OR
        a = _at(left, lowest)
        b = _at(right, AND + 1 if form.precedence == OR else above)
        return f"{a} {form.sign} {b}", form.precedence

    def cast(self, value: Expr, dtype: DType) -> Text:
        return self.converted(self.write(value), value.dtype, dtype)

    def converted(self, inner: Text, source: DType, dtype: DType) -> Text:
        """A conversion as NumPy does it: to bool by comparison, from floats to integers without
        undefined behaviour, from halves and to them by their bits."""
        if dtype == source:
            return inner
        if source.is_half:
            return self.converted(self.call("from", source, float32, inner), float32, dtype)
        if dtype.is_half:
            if source.kind != "f":
                inner, source = self.converted(inner, source, float32), float32
            return self.call("to", dtype, source, inner)
        if dtype.kind == "b":
            zero = literal(0.0 if source.kind == "f" else 0, source)
            return f"{_at(inner, RELATION)} != {zero}", EQUALITY
        if dtype.kind == "i" and source.kind == "f":
            return self.call("to", dtype, source, inner)
        return f"({C_TYPES[str(dtype)]}){_at(inner, UNARY)}", UNARY

    def call(self, way: str, one: DType, other: DType, inner: Text) -> Text:
        """to_i32_f64(x): a conversion that templates/ define."""
        key = (f"{way}_{SUFFIX[str(one)]}", SUFFIX[str(other)])
        (self.looped if self.vector and one.is_half else self.helpers).add(key)
        return f"{key[0]}_{key[1]}({inner[0]})", PRIMARY

    # --- sizes ---------------------------------------------------------------------------------

    def size(self, size: Size) -> Text:
        """An index expression, the slowest variable first: ``i * 784 + k``."""
        if isinstance(size, int):
            return str(size), PRIMARY if size >= 0 else UNARY
        terms = sorted(size.terms, key=lambda term: _speed(term[0], term[1]))
        if terms[0][1] < 0:  # a leading minus reads worse than a leading sum
            terms.sort(key=lambda term: term[1] < 0)
        text, precedence = "", PRIMARY
        for monomial, coefficient in terms:
            term, level = self.term(monomial, abs(coefficient))
            if text:
                text += f" {'-' if coefficient < 0 else '+'} {_at((term, level), TERM)}"
                precedence = SUM
            else:
                text = f"-{_at((term, level), UNARY)}" if coefficient < 0 else term
                precedence = UNARY if coefficient < 0 else level
        return text, precedence

    def factor(self, size: Size) -> str:
        """A size as a factor of a product."""
        return _at(self.size(size), UNARY)

    def term(self, monomial: tuple[Atom, ...], coefficient: int) -> Text:
        factors = [self.atom(atom) for atom in sorted(monomial, key=_atom_speed)]
        if coefficient != 1 or not factors:
            factors.append((str(coefficient), PRIMARY))
        if len(factors) == 1:
            return factors[0]
        return " * ".join(_at(f, TERM if i == 0 else UNARY) for i, f in enumerate(factors)), TERM

    def atom(self, atom: Atom) -> Text:
        if isinstance(atom, str):
            self.used.add(atom)
            return atom, PRIMARY
        if self.extents:  # what is positive depends on the loops around
            return self.function(atom)
        found = self.outside.get(atom)
        if found is None:
            found = self.outside[atom] = self.function(atom)
        return found

    def function(self, atom: Func) -> Text:
        a, b = self.size(atom.a), self.size(atom.b)
        if atom.kind in ("min", "max"):
            self.helpers.add((f"{atom.kind}imum", "i64"))
            return f"{atom.kind}imum_i64({a[0]}, {b[0]})", PRIMARY
        low = smallest(atom.a, self.extents)
        if low is not None and at_most(0, low) and self.is_positive(atom.b):
            # C divides towards zero, and not by it
            sign = "/" if atom.kind == "floordiv" else "%"
            return f"{_at(a, TERM)} {sign} {_at(b, UNARY)}", TERM
        name = "floor_divide" if atom.kind == "floordiv" else "remainder"
        self.helpers.add((name, "i64"))
        return f"{name}_i64({a[0]}, {b[0]})", PRIMARY

    def is_positive(self, size: Size) -> bool:
        """Whether a size is > 0 here: a number, or dimensions of loops that have begun."""
        if isinstance(size, int):
            return size > 0
        inside = {
            atom
            for extent in self.extents.values()
            if isinstance(extent, Dim) and len(extent.terms) == 1
            for atom in extent.terms[0][0]
        }
        return len(size.terms) == 1 and size.terms[0][1] > 0 and inside.issuperset(size.terms[0][0])


def _at(text: Text, lowest: int) -> str:
    """The text, in parentheses if its outermost operator binds less than `lowest`."""
    return text[0] if text[1] >= lowest else f"({text[0]})"


def _speed(monomial: tuple[Atom, ...], coefficient: int) -> tuple[bool, int, str]:
    """Long products and big steps belong to slow loops; constants come last."""
    return not monomial, -len(monomial), f"{10**12 - abs(coefficient):012d}{monomial}"


def _atom_speed(atom: Atom) -> tuple[bool, str]:
    """Loop variables (one letter, i to u) before named sizes."""
    return not (isinstance(atom, str) and len(atom) == 1 and atom in "ijklmpqrsu"), str(atom)


def literal(value: bool | int | float, dtype: DType) -> str:
    """A constant that reads back exactly."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind == "i":
        low = -(2**31) if str(dtype) == "int32" else -(2**63)
        if value == low:
            return f"INT{8 * dtype.bytes}_MIN"
        return str(int(value)) if abs(value) < 2**31 else f"INT64_C({int(value)})"
    if dtype.is_half:
        return f"0x{half_bits(value, dtype):04x}"
    single = str(dtype) == "float32"
    if math.isnan(value):
        return "NAN" if single else "(double)NAN"
    if math.isinf(value):
        return ("-" if value < 0 else "") + ("HUGE_VALF" if single else "HUGE_VAL")
    text = str(np.float32(value)) if single else repr(float(value))
    if "e" not in text and "." not in text:
        text += ".0"
    return text + ("f" if single else "")


def half_bits(value: float, dtype: DType) -> int:
    """The 16 bits of a number that the half holds exactly."""
    if dtype.name == "float16":
        return int(np.float16(value).view(np.uint16))
    return int(np.float32(value).view(np.uint32)) >> 16
