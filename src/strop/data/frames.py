"""A pickled pandas data frame as columns, read without pandas and without trusting it.

A pickle is a program. Here it may name a dozen things, each of which only holds what it is given, so that a file can
bring data and nothing else; whatever else it names is refused.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class _Block:
    """Columns of one type: values [columns, rows], and which columns of the frame they are."""

    values_CR: np.ndarray
    columns: Sequence[int]


class _Frame:
    """Takes the state of a data frame: a manager of blocks."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.manager = state["_mgr"]


class _Manager:
    """Takes blocks, and the index of each axis."""

    def __init__(self, blocks: Sequence[_Block], axes: Sequence[Sequence[str]]) -> None:
        self.blocks, self.names = blocks, axes[0]


class _Index:
    """Only its name is used."""


def _block(values: np.ndarray, place: slice | np.ndarray, ndim: int) -> _Block:
    columns = range(place.start, place.stop, place.step or 1) if isinstance(place, slice) else place.tolist()
    return _Block(values, columns)


def _index(kind: type, state: Mapping[str, Any]) -> Sequence[str]:
    """The names of an index; none of one that only counts the rows."""
    return [str(name) for name in state.get("data", ())]


def _from_buffer(buffer: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order="F" if order == "F" else "C")


def _empty(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """What numpy fills next."""
    return np.ndarray(0, dtype="b")


ALLOWED: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "slice"): slice,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    ("pandas.core.frame", "DataFrame"): _Frame,
    ("pandas.core.internals.managers", "BlockManager"): _Manager,
    ("pandas._libs.internals", "_unpickle_block"): _block,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    ("pandas.core.indexes.base", "Index"): _Index,
    ("pandas.core.indexes.range", "RangeIndex"): _Index,
}
"""What a pickle may name, and what it gets in its place."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise ValueError(
                f"the pickle names {module}.{name}, which is no part of a plain data frame: it is not read."
            )
        return ALLOWED[module, name]


def frame_columns(pickled: bytes) -> dict[str, np.ndarray]:
    """The columns of a pickled data frame, by name. Raises ValueError if it is none, or names anything else."""
    try:
        frame = _Reader(io.BytesIO(pickled)).load()
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"this is no pickle of a data frame: {error!r}.") from error
    if not isinstance(frame, _Frame):
        raise ValueError(f"the pickle holds a {type(frame).__name__}, and no data frame.")
    names, blocks = frame.manager.names, frame.manager.blocks
    found = {names[place]: row_R for one in blocks for place, row_R in zip(one.columns, one.values_CR, strict=True)}
    return {name: found[name] for name in names}
