"""A corpus as token ids in memory-mapped files, so that its size is no question of memory.

train.bin, held_out.bin   `<end> document <end> document ... <end>` as uint16, or uint32 for a large vocabulary
held_out.npz              of each held-out document: where it starts, its words and characters
tokenizer.json            what the ids mean
dropped.jsonl             each document that cleaning dropped: its place, the reason, and its beginning
facts.json                the corpus and its counts
"""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from strop.data.corpus import Corpus
from strop.data.facts import FACTS, CorpusFacts
from strop.data.files import contents_hash
from strop.data.named import NAMED, check_known, local_place, place_of
from strop.data.pipeline import HELD_OUT, TOKENIZER, fill
from strop.data.progress import Tell
from strop.data.reading import check_readable
from strop.data.token_file import read_tokens
from strop.types import Tokenizer

UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)
"""What reading a damaged or missing file of a cache may raise."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The held-out documents, in an order that depends on their texts alone: the first ones are a fair sample.

    Document d is `tokens[starts[d] : starts[d + 1] + 1]`, from its `<end>` to the one that closes it.
    """

    tokens: np.ndarray
    starts: np.ndarray
    """[D + 1]: where the `<end>` before each document is, and the last one."""
    words: np.ndarray
    """[D]"""
    characters: np.ndarray
    """[D]"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A corpus that can be trained on. `corpus` has its hash, and the folder of its token ids."""

    corpus: Corpus
    tokenizer: Tokenizer
    train: np.ndarray
    held_out: HeldOut
    facts: CorpusFacts

    @staticmethod
    def open(corpus: Corpus) -> Prepared:
        """What `prepare` wrote into `corpus.folder`. Raises ValueError if it is not there, or not whole."""
        folder = Path(corpus.folder)
        try:
            written = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            tokenizer = Tokenizer((folder / TOKENIZER).read_text(encoding="utf-8"))
            facts = CorpusFacts.read(written["facts"])
            train = read_tokens(folder / "train.bin", facts.vocabulary, facts.train.tokens)
            tokens = read_tokens(folder / "held_out.bin", facts.vocabulary, facts.held_out.tokens)
            with (folder / HELD_OUT).open("rb") as file, np.load(file) as columns:
                held_out = HeldOut(tokens, columns["starts"], columns["words"], columns["characters"])
        except UNREADABLE as error:
            raise ValueError(
                f"{folder} holds no prepared corpus ({str(error).rstrip('.')}). Delete that folder, and a resumed run "
                "reads its corpus again."
            ) from error
        return Prepared(Corpus(**written["corpus"], folder=str(folder)), tokenizer, train, held_out, facts)


def check_source(corpus: Corpus) -> None:
    """Raise ValueError, before time is spent, if the source is not there or holds no text."""
    check_known(corpus.source)
    place = local_place(corpus.source) if corpus.source in NAMED else Path(corpus.source).expanduser()
    if place.exists():  # a named corpus is downloaded when it is prepared
        check_readable(place, corpus.field)


def check_unchanged(corpus: Corpus) -> None:
    """Raise ValueError if the source is gone, or holds something else than when it was prepared."""
    found = contents_hash(place_of(corpus.source, lambda line: None))
    if found != corpus.sha256:
        raise ValueError(
            f"{corpus.source} has changed since the run began (sha256 {found[:12]}, then {corpus.sha256[:12]}): a run "
            "goes on with the text that it began with. Restore it, or begin a new run."
        )


def prepare(corpus: Corpus, folder: Path, tell: Tell, tokenizer: Tokenizer | None = None) -> Prepared:
    """Read, clean and split a corpus, train its tokenizer unless one is given, and write its token ids to `folder`.

    The folder appears when all is written. Raises ValueError for a corpus that nothing can be learnt from.
    """
    check_source(corpus)
    source = place_of(corpus.source, tell)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
    partial.mkdir(parents=True)
    try:
        fill(corpus, source, partial, tell, tokenizer)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Prepared.open(replace(corpus, folder=str(folder)))
