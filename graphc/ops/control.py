"""Loops and branches that stay loops and branches: their bodies are graphs among the parameters.

Each gives a bundle; `item` takes a part of it. What a body uses from outside comes in as further
operands ("constants" of the loop), after those that change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.errors import ShapeError
from graphc.graph import Array, Graph, Linear, Nested, Op, Params, Part, Region, Symbol, Value
from graphc.types import BundleType, TensorType, bool_, bundle


def graph_of(params: Params, key: str) -> Graph:
    """A parameter that is a graph."""
    value = params[key]
    if not isinstance(value, Graph):
        raise ShapeError(f"{key} must be a graph, not {value!r}")
    return value


def count_of(params: Params, key: str) -> int:
    """A parameter that is an int."""
    value = params[key]
    if not isinstance(value, int):
        raise ShapeError(f"{key} must be an int, not {value!r}")
    return value


def stacked(kind: TensorType, length: Any) -> TensorType:
    return kind.with_shape((length, *kind.shape))


def _fit(what: str, given: Sequence[TensorType], wanted: Sequence[TensorType]) -> None:
    if len(given) != len(wanted):
        raise ShapeError(f"{what}: {len(given)} values for {len(wanted)}")
    for k, (a, b) in enumerate(zip(given, wanted, strict=True)):
        if a != b:
            raise ShapeError(f"{what} {k} is {a}, not {b}")


def _infer_scan(types: tuple[TensorType, ...], params: Params) -> TensorType:
    """carry (params["carry"] of them), stacked inputs (params["xs"]), constants -> carry, stacked
    outputs; the body takes one slice of each stacked input and gives one of each output.
    params["blocked"], if there, says that a step is a block of steps, run again by the derivative:
    passes keep nothing of it."""
    body, carry, xs = graph_of(params, "body"), count_of(params, "carry"), count_of(params, "xs")
    length = params["length"]
    slices = []
    for x in types[carry : carry + xs]:
        if not x.shape or x.shape[0] != length:
            raise ShapeError(f"scan of length {length} over {x}")
        slices.append(x.with_shape(x.shape[1:]))
    given = (*types[:carry], *slices, *types[carry + xs :])
    _fit("scan input", given, [x.type for x in body.inputs])
    results = [x.type for x in body.outputs]
    _fit("scan carry", results[:carry], types[:carry])
    return bundle((*types[:carry], *(stacked(y, length) for y in results[carry:])))


def _evaluate_scan(params: Any, *arrays: Array) -> Any:
    body, carry, xs = params["body"], params["carry"], params["xs"]
    length = int(params["length"])
    state = list(arrays[:carry])
    stacks, constants = arrays[carry : carry + xs], arrays[carry + xs :]
    rows: list[Sequence[Array]] = [()] * length
    for t in reversed(range(length)) if params["reverse"] else range(length):
        results = body([*state, *(x[t] for x in stacks), *constants])
        state, rows[t] = results[:carry], results[carry:]
    outputs = len(body.graph.outputs) - carry
    ys = [
        np.stack([row[k] for row in rows]) if length else body.empty(carry + k)
        for k in range(outputs)
    ]
    return (*state, *ys)


def _infer_while(types: tuple[TensorType, ...], params: Params) -> TensorType:
    """carry (params["carry"]), constants -> carry. `test` and `body` take both."""
    body, test, carry = (
        graph_of(params, "body"),
        graph_of(params, "test"),
        count_of(params, "carry"),
    )
    for part in (body, test):
        _fit("while_loop input", types, [x.type for x in part.inputs])
    _fit("while_loop carry", [x.type for x in body.outputs], types[:carry])
    _fit("while_loop test", [x.type for x in test.outputs], [TensorType(bool_, ())])
    return bundle(types[:carry])


def _evaluate_while(params: Any, *arrays: Array) -> Any:
    carry = params["carry"]
    state, constants = list(arrays[:carry]), arrays[carry:]
    while params["test"]([*state, *constants])[0]:
        state = params["body"]([*state, *constants])
    return tuple(state)


def _infer_cond(types: tuple[TensorType, ...], params: Params) -> TensorType:
    """(bool scalar, arguments of both branches) -> the results of the branch taken."""
    then, other = graph_of(params, "then"), graph_of(params, "other")
    if types[0] != TensorType(bool_, ()):
        raise ShapeError(f"the condition is {types[0]}, not bool[]")
    for part in (then, other):
        _fit("cond input", types[1:], [x.type for x in part.inputs])
    results = [x.type for x in then.outputs]
    _fit("cond result", [x.type for x in other.outputs], results)
    return bundle(results)


def _evaluate_cond(params: Any, *arrays: Array) -> Any:
    return tuple(params["then" if arrays[0] else "other"](arrays[1:]))


def _row(name: str, infer: Any, evaluate: Any) -> Op:
    return Op(name, infer, evaluate, Region(), Nested(), Symbol(name, rf"\operatorname{{{name}}}"))


SCAN = _row("scan", _infer_scan, _evaluate_scan)
WHILE = _row("while_loop", _infer_while, _evaluate_while)
COND = _row("cond", _infer_cond, _evaluate_cond)


def _infer_item(types: tuple[TensorType, ...], params: Params) -> TensorType:
    (whole,) = types
    part = count_of(params, "part")
    if not isinstance(whole, BundleType) or not 0 <= part < len(whole.parts):
        raise ShapeError(f"{whole} has no part {part}")
    return whole.parts[part]


def _no_transpose(g: Value, k: int, node: Any) -> Value:
    raise ShapeError("the cotangent of a part belongs to its bundle")


ITEM = Op(
    "item",
    _infer_item,
    lambda params, whole: whole[params["part"]],
    Part(),
    Linear(_no_transpose),
    Symbol("item", "item", "special"),
)

CONTROL = (SCAN, WHILE, COND, ITEM)
