"""A corpus: the text that a language model is trained on from scratch, and how it is read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, TypeAlias, get_args

from strop.types import PLACE, check_fields

Kind: TypeAlias = Literal["byte-bpe", "bpe", "wordpiece", "word", "character", "byte"]
KINDS: tuple[str, ...] = get_args(Kind)
SMALLEST = dict.fromkeys(KINDS, 257) | {"wordpiece": 513}
"""The fewest tokens of a vocabulary: `<end>` and the 256 bytes; for wordpiece, both as they begin and as they continue
a word."""
CACHE = "cache"
"""The folder of a run that holds its corpus as token ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Where the text is, and how it becomes token ids.

    source      a .txt, a folder of text files, a .jsonl or .csv, or a name that `strop list corpora` shows
    field       the field of a .jsonl or .csv that holds the text
    tokenizer   what a token is: byte-bpe, bpe, wordpiece, word, character or byte
    vocabulary  the most tokens; a small corpus gets fewer
    held_out    the share of documents that is held out
    near        two documents are near duplicates from this Jaccard similarity of their five-word shingles; 1 keeps all
    sha256      the hash of what the source held when it was prepared; empty before
    folder      where its token ids are
    """

    source: str
    field: str = "text"
    tokenizer: Kind = "byte-bpe"
    vocabulary: int = 4096
    held_out: float = 0.1
    near: float = 0.8
    sha256: str = ""
    folder: str = dataclasses.field(default="", compare=False, metadata=PLACE)

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.source:
            raise ValueError(
                "Corpus.source is empty: it is a .txt, a folder of text files, a .jsonl, a .csv or a name."
            )
        if self.tokenizer not in KINDS:
            raise ValueError(f"Corpus.tokenizer={self.tokenizer!r}: it is {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
        if self.vocabulary < SMALLEST[self.tokenizer]:
            raise ValueError(
                f"Corpus.vocabulary={self.vocabulary}: a {self.tokenizer} vocabulary holds {SMALLEST[self.tokenizer]} "
                "tokens or more, so that it can spell any text."
            )
        if not 0.0 < self.held_out < 1.0:
            raise ValueError(f"Corpus.held_out={self.held_out}: it is a share of the documents, between 0 and 1.")
        if not 0.5 <= self.near <= 1.0:
            raise ValueError(f"Corpus.near={self.near}: it is a similarity from 0.5 to 1, and 1 keeps near duplicates.")

    def placed_in(self, run: Path) -> Self:
        """This corpus with its token ids in the run of that folder."""
        return replace(self, folder=str(run / CACHE))
