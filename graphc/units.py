"""What the C of one program is: its texts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CUnit:
    """The C of one program."""

    name: str
    declarations: str
    """The prototypes: what the header wraps and cffi reads."""
    source: str
    header: str
