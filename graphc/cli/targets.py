"""What the user names on the command line: functions, types, arguments."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from graphc.api import Graph, trace
from graphc.errors import GraphcError
from graphc.types import DTYPES, DType, TensorType


class UserError(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def load(target: str) -> tuple[Callable[..., Any], ModuleType]:
    """The function that ``module.py:function`` names, and its module.

    Raises:
        UserError: there is no such file, module or function, or importing it fails.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UserError(f"{target!r} does not name a function; write module.py:function")
    try:
        module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"cannot import {place}: {_described(error)}") from error
    fn = getattr(module, name, None)
    if not callable(fn):
        found = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise UserError(f"{place} has no function {name!r}; it has {', '.join(found) or 'none'}")
    return fn, module


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent.resolve()))  # as when Python runs the file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, "")
    return importlib.import_module(name)


def _described(error: BaseException) -> str:
    """The error, and the line of the user's that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parents[1])
    places = [f for f in frames if not f.filename.startswith((own, "<frozen"))]
    place = f" at {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return f"{type(error).__name__}: {error}{place}"


def arguments(
    fn: Callable[..., Any], module: ModuleType, texts: Sequence[str]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword types from the command line, or from annotations.

    Raises:
        UserError: a text that is no type, or an argument that has none.
    """
    args: list[Any] = []
    named: dict[str, Any] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        if equals and name.strip().isidentifier():
            named[name.strip()] = parse(rest, module)
        else:
            value = parse(text, module)
            args += value if isinstance(value, tuple) else [value]
    if not texts:
        named = _annotated(fn)
    return args, named


def _annotated(fn: Callable[..., Any]) -> dict[str, Any]:
    """The types that the parameters are annotated with; those with defaults may have none."""
    found: dict[str, Any] = {}
    missing = []
    for name, parameter in inspect.signature(fn, eval_str=True).parameters.items():
        if isinstance(parameter.annotation, DType | TensorType):
            found[name] = parameter.annotation
        elif parameter.default is parameter.empty:
            missing.append(name)
    if missing:
        raise UserError(
            f"what are the types of {', '.join(missing)}? Give one for each argument, such as "
            "float64 or float32[n,784], or annotate the function: x: graphc.float64"
        )
    return found


def parse(text: str, module: ModuleType) -> Any:
    """The type or example that a text stands for.

    Raises:
        UserError: it stands for neither.
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, module)
    except (SyntaxError, ValueError, AttributeError):
        raise UserError(
            f"{text!r} is not a type; write float64 for a number, float32[n,784] for an array, "
            "{W: float32[3,4]} for a dict, or the name of a value in the module"
        ) from None


def _value(node: ast.expr, module: ModuleType) -> Any:
    match node:
        case ast.Name(id=name) if name in DTYPES or name == "bool_":
            return DTYPES[name.rstrip("_")]
        case ast.Name(id=name):
            value = getattr(module, name)
            return value() if inspect.isfunction(value) else value
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in DTYPES:
            sizes = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return DTYPES[name][tuple(map(_size, sizes))]
        case ast.Tuple(elts=parts):
            return tuple(_value(part, module) for part in parts)
        case ast.List(elts=parts):
            return [_value(part, module) for part in parts]
        case ast.Dict(keys=keys, values=values):
            return {
                _key(key): _value(value, module) for key, value in zip(keys, values, strict=True)
            }
        case _:
            return ast.literal_eval(node)


def _key(node: ast.expr | None) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Constant):
        return node.value
    raise ValueError(node)


def _size(node: ast.expr) -> int | str:
    size = node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
    if not isinstance(size, int | str):
        raise ValueError(size)
    return size


def traced(target: str, texts: Sequence[str] | None, grad: str | None) -> Graph:
    """The graph of what the command line names, with its gradient if asked for."""
    fn, module = load(target)
    args, named = arguments(fn, module, texts or [])
    graph = run_users(lambda: trace(fn, *args, **named))
    return graph.grad(split_names(grad), value=True) if grad else graph


def run_users(run: Callable[[], Any]) -> Any:
    """What `run` returns; an error of the user's own code becomes a sentence."""
    try:
        return run()
    except GraphcError:
        raise
    except Exception as error:
        raise UserError(f"the function raised {_described(error)}") from error


def split_names(text: str | None) -> str | list[str] | None:
    """A name, or several between commas."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    return names[0] if len(names) == 1 else names or None


def sizes(texts: Sequence[str] | None) -> dict[str, int]:
    """Run-time dimensions: ``n=1000``.

    Raises:
        UserError: a text that says no such thing.
    """
    found = {}
    for text in texts or ():
        name, _, number = text.partition("=")
        if not name.strip().isidentifier() or not number.strip().isdecimal():
            raise UserError(f"{text!r} is no size; write the dimension and its size: n=1000")
        found[name.strip()] = int(number)
    return found
