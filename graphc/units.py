"""What the C of one program is: its texts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Common:
    """A function that other units define, too."""

    name: str
    text: str
    """Its definition, after those of what it alone calls, as they stand in the source."""
    above: str
    """What it needs that stands above."""


@dataclass(frozen=True, slots=True)
class CUnit:
    """The C of one program."""

    name: str
    declarations: str
    """The prototypes: what the header wraps and cffi reads."""
    source: str
    header: str
    common: tuple[Common, ...] = ()
    """What of the source may be compiled apart, once for all units."""
