"""How each scalar function of the loop IR is written in C."""

from __future__ import annotations

from collections.abc import Container

from graphc.frozen import dataclass
from graphc.types import DType

C_TYPES = {
    "bool": "bool",
    "int32": "int32_t",
    "int64": "int64_t",
    "float16": "uint16_t",
    "bfloat16": "uint16_t",
    "float32": "float",
    "float64": "double",
}
SUFFIX = {
    "bool": "b",
    "int32": "i32",
    "int64": "i64",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
}


@dataclass(frozen=True, slots=True)
class Infix:
    """An operator of C. Higher precedence binds tighter; operands on the right of an operator of
    equal precedence are parenthesised, so that nothing regroups."""

    sign: str
    precedence: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of <math.h> or of the unit itself."""

    name: str
    helper: str = ""
    """The entry of templates/helpers.c that defines it, if the unit must."""


TERNARY, OR, AND, EQUALITY, RELATION, SHIFT, SUM, TERM, UNARY, PRIMARY = range(1, 11)

FLOAT_INFIX = {
    "add": Infix("+", SUM),
    "subtract": Infix("-", SUM),
    "multiply": Infix("*", TERM),
    "divide": Infix("/", TERM),
}
COMPARISONS = {
    "equal": Infix("==", EQUALITY),
    "not_equal": Infix("!=", EQUALITY),
    "less": Infix("<", RELATION),
    "less_equal": Infix("<=", RELATION),
    "greater": Infix(">", RELATION),
    "greater_equal": Infix(">=", RELATION),
}
LOGIC = {
    "logical_and": Infix("&&", AND),
    "logical_or": Infix("||", OR),
    "logical_xor": Infix("!=", EQUALITY),
}
LIBM = {
    "absolute": "fabs",
    "exp": "exp",
    "exp2": "exp2",
    "expm1": "expm1",
    "log": "log",
    "log2": "log2",
    "log10": "log10",
    "log1p": "log1p",
    "sqrt": "sqrt",
    "cbrt": "cbrt",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "rint": "rint",
    "fmod": "fmod",
    "hypot": "hypot",
    "arctan2": "atan2",
    "copysign": "copysign",
    "nextafter": "nextafter",
    "erf": "erf",
    "erfc": "erfc",
    "gammaln": "lgamma",
    "power": "pow",
    "fmax": "fmax",
    "fmin": "fmin",
}
"""float64 names; float32 adds an f."""
TESTS = {"isnan": "isnan", "isinf": "isinf", "isfinite": "isfinite", "signbit": "signbit"}
HELPERS = frozenset(
    (
        "maximum",
        "minimum",
        "sign",
        "remainder",
        "floor_divide",
        "logaddexp",
        "sigmoid",
        "softplus",
        "polygamma",
        "ndtri",
        "erfinv",
        "erfcinv",
        "bessel_j",
        "bessel_y",
        "bessel_i",
        "bessel_ie",
        "bessel_k",
        "bessel_ke",
    )
)
"""Floating-point functions that templates/helpers.c defines for both dtypes."""
INTEGER_HELPERS = frozenset(
    (
        "add",
        "subtract",
        "multiply",
        "negative",
        "absolute",
        "sign",
        "maximum",
        "minimum",
        "floor_divide",
        "remainder",
        "fmod",
        "power",
        "left_shift",
        "right_shift",
        "wrap_index",
    )
)
"""Integer functions that templates/helpers.c defines: they wrap and divide as NumPy does."""
BITS = {
    "bitwise_and": Infix("&", SHIFT),
    "bitwise_or": Infix("|", SHIFT),
    "bitwise_xor": Infix("^", SHIFT),
}


def spelling(function: str, dtype: DType, vector: Container[str]) -> Infix | Call | None:
    """How a function of operands of this dtype is written, by a helper if `vector` has it; None
    for what is neither an operator nor a call (negation, logical not, select, cast, which the
    printer writes itself)."""
    kind, name = dtype.kind, str(dtype)
    if function in COMPARISONS:
        return COMPARISONS[function]
    if kind == "b":
        return LOGIC.get(function)
    helper = f"{function}_{SUFFIX[name]}"
    if kind == "i":
        return BITS.get(function) or (
            Call(helper, function) if function in INTEGER_HELPERS else None
        )
    if function in FLOAT_INFIX:
        return FLOAT_INFIX[function]
    if function in TESTS:
        return Call(TESTS[function])
    if function in HELPERS or function in vector:
        return Call(helper, function)
    return Call(LIBM[function] + ("f" if name == "float32" else "")) if function in LIBM else None
