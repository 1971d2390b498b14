"""The documents of a split as one stream of token ids in a file: `<end> document <end> document ... <end>`."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from strop.data.overlap import blocks
from strop.data.vocabulary import backend_of, splits_before_spaces
from strop.types import END_TOKEN, Tokenizer

SMALL = 1 << 16
"""The largest vocabulary whose ids are stored in two bytes."""
BETWEEN_WORDS = re.compile(r"(?<=\S)(?= \S)")
"""Before a single space between two words."""
REMEMBERED = 4_000_000
"""Characters of the words whose ids are remembered."""


class Encoder:
    """Texts to token ids, without `<end>`.

    Most of a text are words that stood before. Where the tokenizer divides a text before each word, their ids are
    remembered, which is several times as fast.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._backend = backend_of(tokenizer)
        self._by_words = splits_before_spaces(tokenizer)
        self._ids: dict[str, list[int]] = {}
        self._size = 0

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        if not self._by_words:
            return self._encoded(texts)
        if self._size > REMEMBERED:
            self._ids, self._size = {}, 0
        words = [BETWEEN_WORDS.split(text) for text in texts]
        new = [word for word in dict.fromkeys(chain.from_iterable(words)) if word not in self._ids]
        self._ids.update(zip(new, self._encoded(new), strict=True))
        self._size += sum(map(len, new))
        return [list(chain.from_iterable(map(self._ids.__getitem__, one))) for one in words]

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]


def write_tokens(file: Path, texts: Iterable[str], tokenizer: Tokenizer) -> np.ndarray:
    """Write the stream. Returns where the `<end>` before each document is, and the last one: [D + 1]."""
    backend = backend_of(tokenizer)
    end, dtype = backend.get_vocab()[END_TOKEN], dtype_of(backend.get_vocab_size())
    encoded = Encoder(tokenizer)
    starts = array("q", [0])
    with file.open("wb") as out:
        for block in blocks(texts):
            ids: list[int] = []
            for inner in encoded(block):
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
