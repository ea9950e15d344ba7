"""Pytrees: nested dicts, lists, tuples, namedtuples and dataclasses of leaves (by optree)."""

from __future__ import annotations

import dataclasses
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

import optree

NAMESPACE = "graphc"
_registering = threading.Lock()
_seen: set[type] = set()
_leaves: set[type] = set()


def leaf_class(cls: type) -> type:
    """Marks a dataclass as a leaf rather than a node of trees."""
    _leaves.add(cls)
    return cls


def _register(tree: Any) -> None:
    """Teach optree every dataclass in the tree; it knows the other containers itself."""
    if isinstance(tree, dict):
        children: Iterable[Any] = tree.values()
    elif isinstance(tree, list | tuple):
        children = tree
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        cls: Any = type(tree)
        if cls in _leaves:
            return
        names = [field.name for field in dataclasses.fields(tree) if field.init]
        with _registering:
            if cls not in _seen:
                optree.register_pytree_node(
                    cls,
                    lambda x: ([getattr(x, n) for n in names], None, names),
                    lambda _, values: cls(**dict(zip(names, values, strict=True))),
                    path_entry_type=optree.GetAttrEntry,
                    namespace=NAMESPACE,
                )
                _seen.add(cls)
        children = [getattr(tree, name) for name in names]
    else:
        return
    for child in children:
        _register(child)


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """(leaves, structure). Dict keys are sorted, None is an empty tree."""
    _register(tree)
    leaves, structure = optree.tree_flatten(tree, namespace=NAMESPACE)
    return leaves, structure


def unflatten(structure: Any, leaves: Iterable[Any]) -> Any:
    return optree.tree_unflatten(structure, list(leaves))


def map_leaves(fn: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The tree with fn applied to each leaf (and to the matching leaves of further trees)."""
    leaves, structure = flatten(tree)
    others = []
    for other in rest:
        more, shape = flatten(other)
        if shape != structure:
            raise ValueError(f"trees differ: {shape} is not {structure}")
        others.append(more)
    return unflatten(structure, [fn(*parts) for parts in zip(leaves, *others, strict=True)])


class _Leaf:
    def __repr__(self) -> str:
        return "*"


def shown(structure: Any) -> str:
    """The structure as Python writes it, a star for each leaf: ``(*, {'a': *})``."""
    return repr(unflatten(structure, [_Leaf()] * structure.num_leaves))


def leaf_names(structure: Any, root: str) -> list[tuple[str, str]]:
    """For each leaf (identifier, as Python writes it): ``("params_W1", "params['W1']")``."""
    names = []
    for accessor in structure.accessors():
        shown = accessor.codify(root)
        names.append((identifier(shown), shown))
    return names


def _ascii(letter: str) -> str:
    """The letter; a Greek one by its name."""
    if letter.isascii():
        return letter
    match unicodedata.name(letter, "").split():
        case ["GREEK", "SMALL", "LETTER", name]:
            return name.lower()
        case ["GREEK", "SMALL", "LETTER", _, name]:
            return name.lower()
        case ["GREEK", "CAPITAL", "LETTER", name]:
            return name.capitalize()
    return "" if unicodedata.combining(letter) else "_"


def identifier(text: str) -> str:
    """The text as an ASCII identifier: ``μ`` is mu, what no identifier can hold an underscore."""
    plain = text
    if not text.isascii():
        plain = "".join(map(_ascii, unicodedata.normalize("NFKD", text)))
    name = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_")
    return f"v_{name}" if not name or name[0].isdigit() else name
