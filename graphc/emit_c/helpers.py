"""Functions that a unit defines for itself: what each calls, and in which order they stand."""

from __future__ import annotations

Key = tuple[str, str]
"""A helper and the suffix of its dtype."""
SCALED = ("muladd", "times_power")
CALLS: dict[str, tuple[str, ...]] = {
    # templates/helpers.c
    "maximum": (),
    "minimum": (),
    "fmax": (),
    "fmin": (),
    "sign": (),
    "absolute": (),
    "add": (),
    "subtract": (),
    "multiply": (),
    "negative": (),
    "left_shift": (),
    "right_shift": (),
    "floor_divide": (),
    "remainder": (),
    "fmod": (),
    "to_i32": (),
    "to_i64": (),
    "panels": (),
    "transpose": (),
    "zeros": (),
    "narrow": (),  # which "contract" then defines with the rest
    "contract": ("panels",),
    "contract_taps": ("panels",),
    "contract_dots": ("panels",),
    "terms_that_count": ("zeros",),
    "rows_that_count": ("zeros",),
    "columns_that_count": ("zeros",),
    "clock": (),
    # templates/maths/
    "muladd": (),
    "bits": (),
    "lesser": ("bits",),
    "whole": (),
    "times_power": ("bits",),
    "significand": ("bits",),
    "sin_reduced": ("muladd",),
    "less_turns": (),
    "residue": ("muladd",),
    "sin": ("sin_reduced", "less_turns", "bits"),
    "cos": ("sin_reduced", "less_turns", "bits"),
    "tan": ("muladd", "whole", "residue"),
    "expm1_reduced": ("muladd",),
    "exp_reduced": ("muladd", "expm1_reduced"),
    "exp": ("exp_reduced", *SCALED),
    "exp_near": ("exp_reduced", "bits"),
    "exp_half": ("exp_reduced", "bits"),
    "exp_times": ("expm1_reduced", *SCALED),
    "exp2_sum": SCALED,
    "exp2_single": ("muladd", "bits"),
    "exp2": ("exp2_sum",),
    "expm1": ("muladd", "bits"),
    "log_reduced": ("muladd",),
    "log_outside": ("bits",),
    "log": ("log_reduced", "log_outside"),
    "log1p": ("log_reduced", "log_outside"),
    "log_base": ("muladd", "significand"),
    "log2_single": ("muladd", "log_outside"),
    "log2": ("log_base",),
    "log10": ("log_base",),
    "tanh": ("muladd", "bits"),
    "sinh": ("muladd", "exp_half"),
    "cosh": ("exp_half",),
    "arcsinh": ("log1p",),
    "arccosh": ("log1p",),
    "arctanh": ("log1p",),
    "arcsine": ("muladd", "bits"),
    "arcsin": ("arcsine",),
    "arccos": ("arcsine",),
    "arctan2": ("muladd",),
    "arctan": ("arctan2",),
    "hypot": (),
    "erf_near": ("muladd",),
    "erf": ("exp_near", "erf_near"),
    "erfc": ("exp_times", "erf_near"),
    "error": (),
    "coth_reduced": ("muladd", "bits"),
    "sigmoid": ("coth_reduced",),
    "softplus": ("exp", "log1p"),
    "logaddexp": ("exp", "log1p"),
    "power": ("muladd", "significand", "error", "exp2_sum"),
    # templates/helpers.c
    "polygamma": (),
    "quantile": (),
    "ndtri": ("quantile",),
    "erfinv": ("quantile",),
    "erfcinv": ("quantile",),
    "bessel_downward": (),
    "bessel_small": (),
    "bessel_far": (),
    "bessel_waves": ("bessel_far",),
    "bessel_ie": ("bessel_downward", "bessel_small", "bessel_far"),
    "bessel_i": ("bessel_ie",),
    "bessel_j": ("bessel_downward", "bessel_small", "bessel_waves"),
    "bessel_y": ("bessel_downward", "bessel_waves"),
    "bessel_ke": ("bessel_downward",),
    "bessel_k": ("bessel_ke",),
    "wrap_index": (),
    "is_true": (),
    # templates/halves.c
    "odd": ("bits_f32",),
    "from_f16": ("bits",),
    "from_bf16": ("bits",),
    "to_f16": ("bits",),
    "to_bf16": ("bits",),
}
"""Every helper and those it calls, of its own dtype unless a suffix says otherwise, in the order
of their definitions."""
COMMON = frozenset(("transpose", "contract", "contract_taps", "contract_dots"))
"""Those that are worth to be compiled once for all units."""
VECTOR = frozenset(
    (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p",
        "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2",
        "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
        "hypot", "power", "erf", "erfc", "fmax", "fmin",
    )
)  # fmt: skip
"""Functions of <math.h> that a loop calls by a polynomial of the unit's own instead: compilers
vectorise it, and the loop around it. Within 2 ulp; sigmoid within 3."""
OTHERWISE: dict[Key, tuple[str, ...]] = {
    ("tanh", "f32"): ("muladd", "lesser"),
    ("exp2", "f32"): SCALED,
    ("exp_reduced", "f32"): ("muladd",),
    ("erf", "f32"): ("muladd", "lesser"),
    ("to_f16", "f64"): ("odd", "to_f16_f32"),
    ("to_bf16", "f64"): ("odd", "to_bf16_f32"),
    ("power", "i32"): ("multiply",),
    ("power", "i64"): ("multiply",),
    ("tan", "f32"): ("muladd_f64", "whole_f64"),
    ("log2", "f32"): ("log2_single_f64",),
    ("log10", "f32"): ("log2_single_f64",),
    ("power", "f32"): ("exp2_single_f64", "log2_single_f64"),
}
"""Where the form of one dtype calls others than the table says."""
HALVES = frozenset(("odd", "from_f16", "from_bf16", "to_f16", "to_bf16"))
LIMITED = frozenset(("sin", "cos", "tan"))
"""Those of them that hold for |x| <= LIMIT only. A loop that meets more calls <math.h>."""
LIMIT = 2.0**20
BORROWERS = frozenset(("sigmoid", "softplus", "logaddexp"))
"""Helpers that call functions of <math.h> unless a loop needs them."""

IN_DOUBLE = frozenset(
    (
        "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh",
        "arcsinh", "arccosh", "arctanh", "hypot", "erfc", "polygamma",
        "ndtri", "erfinv", "erfcinv",
        "bessel_j", "bessel_y", "bessel_i", "bessel_ie", "bessel_k", "bessel_ke",
    )
)  # fmt: skip
"""Helpers whose float32 form rounds the float64 one."""


def definitions(used: set[Key], looped: set[Key]) -> list[Key]:
    """The helpers to define, with all that they call, callees first; `looped` are those called
    in a loop worth vectorising."""
    wanted: set[Key] = set()
    todo = list(used | looped)
    while todo:
        helper, suffix = key = todo.pop()
        if key in wanted:
            continue
        if helper not in CALLS:
            raise KeyError(f"templates/ has no helper {helper}")
        wanted.add(key)
        if suffix == "f32" and helper in IN_DOUBLE:
            todo.append((helper, "f64"))
        elif helper not in BORROWERS or key in looped:
            callees = OTHERWISE.get(key, CALLS[helper])
            todo += [_key(callee, suffix) for callee in callees]
    order = list(CALLS)

    def place(key: Key) -> tuple[int, bool, str]:
        helper, suffix = key
        first = "f32" if helper in HALVES else "f64"
        return order.index(helper), suffix != first, suffix

    return sorted(wanted, key=place)


def inlines(looped: set[Key]) -> bool:
    """Whether a loop worth vectorising calls a function of templates/maths/: compilers give up on
    putting its body in place of the call where the calling function is long, so they are told."""
    maths = (VECTOR - {"fmax", "fmin"}) | BORROWERS | HALVES
    return any(helper in maths for helper, _ in looped)


def _key(callee: str, suffix: str) -> Key:
    """ "whole_f64" or, of the caller's own dtype, "whole"."""
    for own in ("f32", "f64"):
        if callee.endswith(f"_{own}"):
            return callee.removesuffix(f"_{own}"), own
    return callee, suffix
