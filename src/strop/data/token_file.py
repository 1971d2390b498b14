"""The documents of a split as one stream of token ids in a file: `<end> document <end> document ... <end>`."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from strop.data.overlap import blocks
from strop.data.vocabulary import backend_of
from strop.types import END_TOKEN, Tokenizer

SMALL = 1 << 16
"""The largest vocabulary whose ids are stored in two bytes."""


def write_tokens(file: Path, texts: Iterable[str], tokenizer: Tokenizer) -> np.ndarray:
    """Write the stream. Returns where the `<end>` before each document is, and the last one: [D + 1]."""
    backend = backend_of(tokenizer)
    end, dtype = backend.get_vocab()[END_TOKEN], dtype_of(backend.get_vocab_size())
    starts = array("q", [0])
    with file.open("wb") as out:
        for block in blocks(texts):
            ids: list[int] = []
            for encoding in backend.encode_batch_fast(block, add_special_tokens=False):
                inner = encoding.ids
                ids.append(end)
                ids.extend(inner)
                starts.append(starts[-1] + len(inner) + 1)
            out.write(np.array(ids, dtype).tobytes())
        out.write(np.array([end], dtype).tobytes())
    return np.frombuffer(starts, np.int64)


def read_tokens(file: Path, vocabulary: int, number: int) -> np.ndarray:
    """The stream, memory-mapped. Raises ValueError if the file does not hold so many tokens."""
    dtype = dtype_of(vocabulary)
    if file.stat().st_size != number * dtype.itemsize:
        raise ValueError(f"{file} is damaged: it does not hold the {number:,} tokens that were written.")
    return np.memmap(file, dtype, "r")


def dtype_of(vocabulary: int) -> np.dtype[np.unsignedinteger]:
    """The type of the ids of a vocabulary."""
    return np.dtype(np.uint16 if vocabulary <= SMALL else np.uint32)
