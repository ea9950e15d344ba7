"""C identifiers for what a program holds: the user's names where C allows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while bool true false NULL and or not xor bitand bitor compl alignas alignof asm catch
class constexpr decltype delete explicit export friend mutable namespace new noexcept nullptr
operator private protected public template this throw try typename using virtual wchar_t typeof
near far unix linux i386 errno stdin stdout stderr main
"""

_LIBRARY = """
abs acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs
fdim floor fma fmax fmin fmod frexp hypot ilogb ldexp lgamma llrint llround log log10 log1p log2
logb lrint lround modf nan nearbyint nextafter nexttoward pow remainder remquo rint round scalbln
scalbn signbit sin sinh sqrt tan tanh tgamma trunc j0 j1 jn y0 y1 yn gamma drem significand exp10
pow10 sincos isnan isinf isfinite isnormal isless isgreater fpclassify finite scalb infinity
INFINITY NAN HUGE_VAL M_PI M_E abort exit malloc calloc realloc free memcpy memset memmove memcmp
index rindex bcmp bcopy bzero div ldiv rand srand time clock signal printf puts read write open
close select accept bind connect listen send link pipe stat sync wait log1pf environ
I complex imaginary int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t
ptrdiff_t intptr_t uintptr_t workspace is_true
"""
KEYWORDS, LIBRARY = frozenset(_KEYWORDS.split()), frozenset(_LIBRARY.split())

STANDARD = re.compile(
    r"u?int\w*_t|float_t|double_t|\w+_(f32|f64|i32|i64)"  # types, and templates/helpers.c
    r"|(U?INT\w*|PTRDIFF|SIZE|WCHAR|WINT|SIG_ATOMIC)_(C|MIN|MAX)"
    r"|far\d*|EOF|FP_[A-Z]+|HUGE_VAL[FL]|M_(\d_)?(E|L|PI|SQRT)\w*|MATH_ERR\w*|math_errhandling"
)
"""Macros and types of the headers that a unit includes, and the names of its helpers."""


class Names:
    """Hands out identifiers, each once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)
        self.counts: dict[str, int] = {}
        """Of each stem, the first number that may be free."""

    def take(self, wanted: str) -> str:
        """The identifier itself, or with the first suffix that is free and not C's."""
        name = wanted.strip("_") or "v"
        if not name.isascii():
            name = "".join(_spelled(c) for c in name)
        if name[0].isdigit():
            name = f"v{name}"
        if is_reserved(name):
            name = f"{name}_" if not is_reserved(f"{name}_") else f"v_{name}"
        if name in self.taken:
            stem = name if not name[-1].isdigit() else f"{name}_"
            count = 2
            while f"{stem}{count}" in self.taken or is_reserved(f"{stem}{count}"):
                count += 1
            name = f"{stem}{count}"
        self.taken.add(name)
        return name

    def fresh(self, stem: str = "v") -> str:
        """v0, v1, ..."""
        count = self.counts.get(stem, 0)
        while f"{stem}{count}" in self.taken:
            count += 1
        self.counts[stem] = count + 1
        self.taken.add(f"{stem}{count}")
        return f"{stem}{count}"


def is_reserved(name: str) -> bool:
    """Keywords of C and C++, names of the C library (with the f and l of its variants)."""
    if name in KEYWORDS or name in LIBRARY or name.lower().startswith(("__", "graphc_")):
        return True
    if STANDARD.fullmatch(name):
        return True
    return name[-1] in "fl" and name[:-1] in LIBRARY


def own_names(function: str) -> tuple[str, ...]:
    """What the files of a function define beside it: the guard and the size of its workspace."""
    macro = function.upper()
    return (
        *(f"{macro}_H", f"{macro}_WORKSPACE_BYTES"),
        *(f"{function}_workspace_bytes", f"{function}_thread"),
    )


def _spelled(c: str) -> str:
    if c.isascii():
        return c
    name = unicodedata.name(c, f"u{ord(c):x}").lower()
    return name.rsplit(" ", 1)[-1].replace("-", "_")
