"""Functions that a unit defines for itself: what each calls, and in which order they stand."""

from __future__ import annotations

CALLS: dict[str, tuple[str, ...]] = {
    # templates/helpers.c
    "maximum": (),
    "minimum": (),
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
    "power": ("multiply",),
    "to_i32": (),
    "to_i64": (),
    "contract": (),
    "clock": (),
    # templates/maths/bits.c
    "muladd": (),
    "bits": (),
    "whole": (),
    "power_of_two": ("bits",),
    "significand": ("bits",),
    # templates/maths/exponential.c, logarithm.c
    "exp": ("muladd", "whole", "power_of_two"),
    "expm1": ("muladd", "whole", "power_of_two"),
    "log": ("muladd", "significand"),
    "log1p": ("muladd", "significand", "power_of_two"),
    "tanh": ("exp",),
    "sigmoid": ("exp",),
    "softplus": ("exp", "log1p"),
    "logaddexp": ("exp", "log1p"),
    # templates/helpers.c
    "polygamma": (),
    "wrap_index": (),
}
"""Every helper and those it calls of its own dtype, in the order of their definitions."""
VECTOR = frozenset(("exp", "expm1", "log", "log1p", "tanh"))
"""Functions of <math.h> that a loop calls by a polynomial of the unit's own instead: compilers
vectorise it, and the loop around it. Within 2 ulp; sigmoid within 3."""
BORROWERS = frozenset(("sigmoid", "softplus", "logaddexp"))
"""Helpers that call functions of <math.h> unless a loop needs them."""

Key = tuple[str, str]
"""A helper and the suffix of its dtype."""


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
        if helper == "power" and suffix[0] != "i":
            continue
        if helper not in BORROWERS or key in looped:
            todo += [(callee, suffix) for callee in CALLS[helper]]
        if helper == "polygamma":
            todo.append((helper, "f64"))
    order = list(CALLS)
    return sorted(wanted, key=lambda key: (order.index(key[0]), key[1] != "f64", key[1]))
