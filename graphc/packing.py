"""Objects whose large parts stay pickled until somebody asks for them."""

from __future__ import annotations

import pickle
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, cast


class Packed:
    """A dataclass that is quick to load: its `large` fields are pickled apart, and read together
    when one of them is first asked for."""

    __slots__ = ("packed",)
    large: ClassVar[tuple[str, ...]] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        names = [x.name for x in fields(cast(Any, self)) if x.name not in self.large]
        small = {name: getattr(self, name) for name in names}
        large = tuple(getattr(self, name) for name in self.large)
        return unpack, (type(self), small, pickle.dumps(large, pickle.HIGHEST_PROTOCOL))

    if not TYPE_CHECKING:  # which would take any name for an attribute

        def __getattr__(self, name: str) -> object:
            if name not in type(self).large:
                raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
            for each, value in zip(self.large, pickle.loads(self.packed), strict=True):
                object.__setattr__(self, each, value)
            return object.__getattribute__(self, name)


def unpack(kind: type, small: dict[str, object], packed: bytes) -> object:
    """The object, its large fields still pickled."""
    made: object = object.__new__(kind)
    for name, value in {**small, "packed": packed}.items():
        object.__setattr__(made, name, value)
    return made
