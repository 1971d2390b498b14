"""The corpus of a run: its counts, and the documents that cleaning dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from strop.data.corpus import CACHE
from strop.data.facts import DROPPED, FACTS, CorpusFacts
from strop.reports.pretrained import is_pretrained
from strop.runs.directory import RunDirectory
from strop.words import plural

NOUNS = {"empty": "empty document"}
"""What is counted under a reason to drop a document, where the reason does not name it."""
UNREADABLE = (OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True, slots=True)
class CorpusOfRun:
    """Where the text is, what a token is, and the counts."""

    source: str
    tokenizer: str
    facts: CorpusFacts

    def lines(self) -> list[tuple[str, str]]:
        """Names and texts: what was read, removed, learnt from and held out."""
        facts, train, held_out, shared = self.facts, self.facts.train, self.facts.held_out, self.facts.shared
        removed = {NOUNS.get(reason, reason): number for reason, number in facts.dropped.items()}
        removed |= {"control character": facts.control, "invalid byte": facts.invalid}
        share = {0: "none shares", 1: "1 shares"}.get(shared.documents, f"{shared.documents:,} share")
        rows = {
            "corpus": f"{_counts({'document': facts.documents, 'word': facts.words})} from {self.source}",
            "removed": _counts(removed) or "nothing",
            "skipped": _counts({f"{reason} file": number for reason, number in facts.skipped.items()}),
            "learnt from": _counts({"document": train.documents, "token": train.tokens}),
            "held out": f"{_counts({'document': held_out.documents, 'token': held_out.tokens})}; "
            f"{share} {shared.length} words in a row with what is learnt from",
            "shared": shared.examples[0] if shared.examples else "",
            "vocabulary": f"{facts.vocabulary:,} {self.tokenizer} tokens",
        }
        return [(name, text) for name, text in rows.items() if text]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that is not learnt from. `document` is its file in the folder, or the number of its first line; `of`
    is that of the earlier document that it repeats."""

    document: str
    reason: str
    of: str = ""
    begins: str = ""


def corpus_of(directory: RunDirectory) -> CorpusOfRun | None:
    """The corpus of a run; None if it has none, or its cache is gone. Raises ValueError for a damaged cache."""
    file = directory.path / CACHE / FACTS
    if not is_pretrained(directory) or not file.is_file():
        return None
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
        corpus, facts = written["corpus"], CorpusFacts.read(written["facts"])
        return CorpusOfRun(corpus["source"], corpus["tokenizer"], facts)
    except UNREADABLE as error:
        raise ValueError(f"{file} cannot be read ({error}). {_again(directory)}") from error


def dropped_of(directory: RunDirectory) -> Iterator[Dropped]:
    """The documents that cleaning dropped. Raises ValueError for a run without a corpus, or without its cache."""
    file = directory.path / CACHE / DROPPED
    if not is_pretrained(directory):
        raise ValueError(f"{directory.path} does not learn from a corpus: it dropped no document.")
    if not file.is_file():
        raise ValueError(f"{file} is gone. {_again(directory)}")
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                one = Dropped(**json.loads(line))
            except UNREADABLE as error:
                raise ValueError(f"{file}, line {number} cannot be read ({error}). {_again(directory)}") from error
            yield one


def _again(directory: RunDirectory) -> str:
    """How a cache is made again."""
    return f"Without {directory.path / CACHE}, strop train --resume --run {directory.path} makes it again."


def _counts(counts: Mapping[str, int]) -> str:
    """`3 near duplicates, 1 empty document`, without those that are 0."""
    return ", ".join(f"{number:,} {plural(number, noun).split(' ', 1)[1]}" for noun, number in counts.items() if number)
