"""How a Python name is written on paper: ``w13`` as w with subscript 13, ``mu`` as μ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "lam": "λ", "lamda": "λ",
    "lambd": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ",
    "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ",
    "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
    "ell": "ℓ",
}  # fmt: skip
COMMAND = {"eps": "epsilon", "lam": "lambda", "lamda": "lambda", "lambd": "lambda"}
"""LaTeX names that differ from the user's."""
LOSSES = ("loss", "l", "ell", "out")
"""Outputs that a lecturer calls ℓ."""
LETTERS = "ijklmnpqrstuv"

Word = tuple[str, tuple[str, ...]]
"""A base and its subscripts."""


def word(name: str) -> Word:
    """``z3`` -> (z, (3,)), ``a_prev`` -> (a, (prev,)), ``W1_2`` -> (W, (1, 2)), ``loss`` -> ℓ."""
    parts = [part for part in name.split("_") if part] or [name]
    split = re.fullmatch(r"([A-Za-z]+?)(\d+)", parts[0])
    base, subscripts = (split[1], [split[2]]) if split else (parts[0], [])
    return base, (*subscripts, *parts[1:])


def words(names: Iterable[str], loss: str | None = None) -> dict[str, Word]:
    """Words for all names; a pytree's root is left out where that is clear: params_W1 is W₁."""
    table: dict[str, Word] = {}
    taken: dict[Word, str] = {}
    for name in names:
        head, _, tail = name.partition("_")
        short = word(tail) if len(head) > 1 and tail[:1].isalpha() and head not in GREEK else None
        full = word(name)
        if name == loss and name in LOSSES:
            full, short = ("ell", ()), None
        chosen = short if short is not None and short not in taken else full
        table[name] = chosen
        taken[chosen] = name
    for name in table:
        if table[name] in (word(other) for other in table if other != name):
            table[name] = word(name)
    return table


def index_letters(names: Iterable[str], used: Iterable[str]) -> Mapping[str, str]:
    """A letter for each index name, i first, none that the formulas use otherwise."""
    taken = set(used)
    letters = [x for x in LETTERS if x not in taken] + [f"i{k}" for k in range(99)]
    return dict(zip(names, letters, strict=False))
