"""Functions that a package wrote in Python ask for traced values first; arrays go where they did.

`scipy.special.logsumexp` and its like turn their arguments into arrays at once, without asking
them as ufuncs do. What stands in PYTHON is taught to them, when a trace begins.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from graphc import trees
from graphc.trace.coverage import PYTHON, located
from graphc.trace.tensor import Tensor

ASKED = "_graphc"
_TAUGHT: set[str] = set()


def teach() -> None:
    """Teach the functions of the packages that are loaded by now."""
    for package, handlers in PYTHON.items():
        if package in _TAUGHT or package not in sys.modules:
            continue
        _TAUGHT.add(package)
        for name, handler in handlers.items():
            function = getattr(sys.modules[package], name, None)
            if isinstance(function, FunctionType) and not function.__closure__:
                _teach(function, handler)


def _teach(function: FunctionType, handler: Callable[..., Any]) -> None:
    """The function, imported by whatever name, with a first line that asks."""
    signature = inspect.signature(function)
    kinds = {p.kind for p in signature.parameters.values()}
    if not kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}:
        return
    plain = FunctionType(function.__code__, function.__globals__, function.__name__)
    plain.__defaults__, plain.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    answer = located(handler)

    def ask(**values: Any) -> Any:
        leaves, _ = trees.flatten(values)
        traced = any(isinstance(x, Tensor) for x in leaves)
        return answer(**values) if traced else plain(**values)

    names = list(signature.parameters)
    split = function.__code__.co_argcount
    listed = ", ".join([*names[:split], "*", *names[split:], ASKED])
    given = ", ".join(f"{name}={name}" for name in names)
    held: dict[str, Any] = {}
    text = f"def {function.__name__}({listed}):\n    return {ASKED}({given})\n"
    exec(compile(text, __file__, "exec"), held)
    function.__signature__ = signature
    function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), ASKED: ask}
    function.__code__ = held[function.__name__].__code__
