"""NumPy's promotion, where bfloat16 is promoted as float16 is.

ml_dtypes would make ``x + 1.5`` of a bfloat16 a float32, and knows no common dtype with int32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.types import bfloat16

FLOAT16, FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)


def result_type(*operands: Any) -> np.dtype[Any]:
    """np.result_type of dtypes and Python numbers."""
    given, has_bfloat16 = _known(operands)
    found = np.result_type(*given)
    return bfloat16.numpy if has_bfloat16 and found == FLOAT16 else found


def loop_of(ufunc: np.ufunc, kinds: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The dtypes that NumPy knows of the loop it would choose, and those that are meant.

    Raises:
        TypeError: NumPy has no loop for them.
    """
    given, has_bfloat16 = _known(kinds)
    loop = ufunc.resolve_dtypes((*given, *(None,) * ufunc.nout))
    if not has_bfloat16:
        return loop, loop
    return loop, tuple(bfloat16.numpy if dtype == FLOAT16 else dtype for dtype in loop)


def _known(operands: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool]:
    """float16 in place of bfloat16; beside a true float16, float32, which holds both."""
    found = [_is_bfloat16(x) for x in operands]
    if not any(found):
        return operands, False
    beside = any(isinstance(x, np.dtype) and x == FLOAT16 for x in operands)
    stand_in = FLOAT32 if beside else FLOAT16
    return tuple(stand_in if is_one else x for x, is_one in zip(operands, found, strict=True)), True


def _is_bfloat16(x: Any) -> bool:
    return isinstance(x, np.dtype) and x.kind == "V" and x.name == "bfloat16"
