"""`dataclass` for the many small classes of the languages: the same, made in a third of the time.

The standard one compiles seven functions for a frozen class, which was a quarter of the time that
importing graphc takes. Here it is one, `__init__`; it fills slots directly, and so makes objects
faster too. Only frozen classes with slots are made so, without default factories or fields that
`__init__` does not take; the standard decorator makes all others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, eq: bool = True
    ) -> Callable[[type], type]:
        """A decorator, as `dataclasses.dataclass` is with these arguments."""

        def make(kind: type) -> type:
            own = {**vars(kind)}
            plain = kind.__bases__ == (object,) and "__post_init__" not in own
            if not (frozen and slots and plain and all(map(_is_given, own.values()))):
                return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq)(kind)
            doc = kind.__doc__
            kind.__doc__ = doc or kind.__name__  # else a signature is made for one, slowly
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(kind)
            for name, method in _methods(made, dataclasses.fields(made), eq).items():
                if name not in own:
                    setattr(made, name, method)
            return made

        return make


def _is_given(value: object) -> bool:
    """Whether `__init__` takes the field of which a class says this."""
    if not isinstance(value, dataclasses.Field):
        return True
    return value.init and value.default_factory is dataclasses.MISSING


def _methods(kind: type, fields: tuple[dataclasses.Field[Any], ...], eq: bool) -> dict[str, Any]:
    names = [field.name for field in fields]
    values = _key(names)

    def show(self: object) -> str:
        shown = zip(names, values(self), strict=True)
        return f"{kind.__qualname__}({', '.join(f'{name}={value!r}' for name, value in shown)})"

    def reduce(self: object) -> tuple[type, tuple[object, ...]]:
        return kind, values(self)

    methods = {
        "__init__": _init(kind, fields),
        "__repr__": show,
        "__reduce__": reduce,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
    }
    if eq:
        key = _key([field.name for field in fields if field.compare])

        def equal(self: object, other: object) -> bool:
            return key(self) == key(other) if other.__class__ is kind else NotImplemented

        hashed = _key([x.name for x in fields if (x.compare if x.hash is None else x.hash)])
        methods |= {"__eq__": equal, "__hash__": lambda self: hash(hashed(self))}
    return methods


def _init(kind: type, fields: tuple[dataclasses.Field[Any], ...]) -> Any:
    """Which sets each slot."""
    space: dict[str, Any] = {f"set_{x.name}": vars(kind)[x.name].__set__ for x in fields}
    given = []
    for field in fields:
        if field.default is dataclasses.MISSING:
            given.append(field.name)
        else:
            space[f"default_{field.name}"] = field.default
            given.append(f"{field.name}=default_{field.name}")
    lines = [f"set_{x.name}(self, {x.name})" for x in fields] or ["pass"]
    exec(f"def __init__(self, {', '.join(given)}):\n " + "\n ".join(lines), space)
    return space["__init__"]


def _key(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    """The values of an object under these names."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda self: ()
    only = attrgetter(names[0])
    return lambda self: (only(self),)


def _refuse(self: object, name: str, value: object = None) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")
