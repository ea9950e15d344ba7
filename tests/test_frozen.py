"""Frozen classes of `graphc.frozen` are what `dataclasses` would make."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from typing import Any

import pytest

from graphc import frozen


@frozen.dataclass(frozen=True, slots=True)
class Pair:
    """Two of them."""

    first: object
    second: object = 2
    note: str = dataclasses.field(default="", compare=False)


@frozen.dataclass(frozen=True, slots=True)
class One:
    only: object


@frozen.dataclass(frozen=True, slots=True)
class Noted:
    value: int
    notes: dict[str, int] = dataclasses.field(hash=False)


@frozen.dataclass(frozen=True, slots=True)
class Counted:
    name: str
    seen: list[int] = dataclasses.field(default_factory=list)


@frozen.dataclass(slots=True)
class Open:
    value: int


@frozen.dataclass(frozen=True, slots=True)
class Nothing:
    pass


@frozen.dataclass(frozen=True, slots=True, eq=False)
class Thing:
    first: object

    def __repr__(self) -> str:
        return "a thing"


class Plain:
    first: object
    second: object = 2
    note: str = dataclasses.field(default="", compare=False)


Standard: Any = dataclasses.dataclass(frozen=True, slots=True)(Plain)


def test_values_are_equal_if_their_fields_are() -> None:
    assert Pair(1) == Pair(1, 2) == Pair(1, 2, "not compared")
    assert hash(Pair(1)) == hash(Pair(1, 2, "not compared")) == hash(Standard(1))
    assert Pair(1) != Pair(2)
    assert Pair(1) != Pair(1, 3)
    assert One((1, 2)) != Pair(1, 2)
    assert One(math.nan) == One(math.nan)  # the same object, as in a tuple
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())
    assert Thing(1) != Thing(1)
    assert len({Thing(1), Thing(1), One(1), One(1)}) == 3


def test_they_read_as_the_standard_ones() -> None:
    assert repr(Pair("a")) == "Pair(first='a', second=2, note='')"
    assert repr(Pair("a")).replace("Pair", "Plain") == repr(Standard("a"))
    assert repr(Nothing()) == "Nothing()"
    assert repr(Thing(1)) == "a thing"
    assert [x.name for x in dataclasses.fields(Pair)] == ["first", "second", "note"]
    assert dataclasses.replace(Pair(1), second=5) == Pair(1, 5)
    match Pair(1, 7):
        case Pair(first, second):
            assert (first, second) == (1, 7)
    assert Pair.__doc__ == "Two of them."
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'first'"):
        Pair()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'third'"):
        Pair(1, third=2)  # type: ignore[call-arg]


def test_nothing_in_them_changes() -> None:
    pair = Pair(1)
    for change in (lambda: setattr(pair, "first", 2), lambda: delattr(pair, "first")):
        with pytest.raises(dataclasses.FrozenInstanceError, match="'first'"):
            change()
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair.other = 1  # type: ignore[attr-defined]
    assert not hasattr(pair, "__dict__")
    assert pair == Pair(1)


def test_copies_are_whole() -> None:
    pair = Pair([1], 3, "kept")
    for made in (pickle.loads(pickle.dumps(pair)), copy.copy(pair), copy.deepcopy(pair)):
        assert (made, made.note) == (pair, "kept")
    assert copy.deepcopy(pair).first is not pair.first


def test_a_field_may_be_compared_and_not_hashed() -> None:
    assert hash(Noted(1, {"a": 2})) == hash(Noted(1, {}))
    assert Noted(1, {"a": 2}) != Noted(1, {})


def test_what_takes_more_is_made_by_the_standard_decorator() -> None:
    one = Counted("a")
    one.seen.append(1)
    assert Counted("a").seen == []
    changed = Open(1)
    changed.value = 2
    assert changed == Open(2)
