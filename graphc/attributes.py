"""What nodes carry besides tensors: constant arrays, and places in the user's code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from graphc.frozen import dataclass

Array = npt.NDArray[np.generic]


class Constant:
    """An immutable array used as a parameter: hashed and compared by dtype, shape and bytes."""

    __slots__ = ("_key", "array")

    def __init__(self, array: npt.ArrayLike) -> None:
        self.array: Array = np.array(array, order="C")
        self.array.setflags(write=False)
        self._key = (self.array.dtype.str, self.array.shape, self.array.tobytes())

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._key == other._key

    def __repr__(self) -> str:
        if self.array.size <= 4:
            return str(self.array.tolist())
        return f"<{self.array.dtype}{list(self.array.shape)}>"


@dataclass(frozen=True, slots=True)
class Source:
    """Where in the user's code a node was made."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file.rsplit('/', 1)[-1]}:{self.line}"
