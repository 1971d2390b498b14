"""What is known of a prepared corpus: what was read, what cleaning removed, and the splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FACTS, DROPPED = "facts.json", "dropped.jsonl"
"""The files of a corpus's cache with its counts, and with the documents that cleaning dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The size of a split. `tokens` holds the `<end>` of each document."""

    documents: int
    words: int
    characters: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The n-grams of words that held-out documents share with training documents."""

    length: int
    """Words of an n-gram."""
    documents: int
    """Held-out documents that share one."""
    examples: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFacts:
    """The counts of a corpus.

    unit       what a document is: paragraph, line, row or file
    bytes      of the source, as read
    cut        documents that were longer than 4 MB, whose rest is a document of its own
    skipped    files that hold no text, by reason
    dropped    documents by reason: empty, exact duplicate, near duplicate
    control    control characters that were removed
    invalid    bytes that were no UTF-8, now U+FFFD
    """

    unit: str
    bytes: int
    documents: int
    words: int
    characters: int
    cut: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    control: int
    invalid: int
    vocabulary: int
    train: Split
    held_out: Split
    shared: Shared

    @staticmethod
    def read(record: Mapping[str, Any]) -> CorpusFacts:
        """The facts from their JSON."""
        splits = {name: Split(**record[name]) for name in ("train", "held_out")}
        return CorpusFacts(**{**record, **splits, "shared": Shared(**record["shared"])})
