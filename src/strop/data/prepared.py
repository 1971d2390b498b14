"""A corpus as token ids in memory-mapped files, so that its size is no question of memory.

train.bin, held_out.bin   `<end> document <end> document ... <end>` as uint16, or uint32 for a large vocabulary
held_out.npz              of each held-out document: where it starts, its words and characters
tokenizer.json            what the ids mean
dropped.jsonl             each document that cleaning dropped: its place, the reason, and its beginning
facts.json                the corpus and its counts
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from strop.data.cleaning import cleaned
from strop.data.corpus import Corpus
from strop.data.facts import CorpusFacts, Shared, Split
from strop.data.files import contents_hash
from strop.data.reading import Reader, check_readable
from strop.data.spool import Spool
from strop.data.vocabulary import backend_of, trained
from strop.types import END_TOKEN, Tokenizer

FACTS, TOKENIZER, DROPPED, DOCUMENTS = "facts.json", "tokenizer.json", "dropped.jsonl", "held_out.npz"
Tell = Callable[[str], None]


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
        """What `prepare` wrote into `corpus.folder`. Raises ValueError if it is not there, or is another corpus's."""
        folder = Path(corpus.folder)
        try:
            written = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            tokenizer = Tokenizer((folder / TOKENIZER).read_text(encoding="utf-8"))
            held_out = dict(np.load(folder / DOCUMENTS))
            dtype = written["dtype"]
            tokens = {name: np.memmap(folder / f"{name}.bin", dtype, "r") for name in ("train", "held_out")}
        except OSError as error:
            raise ValueError(f"{folder} holds no prepared corpus ({error.strerror}: {error.filename}).") from error
        facts = written["facts"]
        nested = {
            "train": Split(**facts["train"]),
            "held_out": Split(**facts["held_out"]),
            "shared": Shared(**facts["shared"]),
        }
        return Prepared(
            corpus=Corpus(**written["corpus"], folder=corpus.folder),
            tokenizer=tokenizer,
            train=tokens["train"],
            held_out=HeldOut(tokens["held_out"], **held_out),
            facts=CorpusFacts(**facts | nested),
        )


def check_source(corpus: Corpus) -> None:
    """Raise ValueError, before time is spent, if the source is not there or holds no text."""
    check_readable(Path(corpus.source), corpus.field)


def check_unchanged(corpus: Corpus) -> None:
    """Raise ValueError if the source holds something else than when it was prepared."""
    found = contents_hash(Path(corpus.source))
    if found != corpus.sha256:
        raise ValueError(
            f"{corpus.source} has changed since the run began (sha256 {found[:12]}, then {corpus.sha256[:12]}): a run "
            "goes on with the text that it began with. Restore it, or begin a new run."
        )


def prepare(corpus: Corpus, folder: Path, tell: Tell, tokenizer: Tokenizer | None = None) -> Prepared:
    """Read, clean and split the corpus, train its tokenizer unless one is given, and write its token ids to `folder`."""
    check_source(corpus)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    corpus = replace(corpus, source=str(Path(corpus.source).resolve()), folder=str(folder))
    corpus = replace(corpus, sha256=contents_hash(Path(corpus.source)))
    try:
        _fill(corpus, partial, tell, tokenizer)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Prepared.open(corpus)


def _fill(corpus: Corpus, folder: Path, tell: Tell, tokenizer: Tokenizer | None) -> None:
    reader = Reader(Path(corpus.source), corpus.field)
    spool = Spool(folder / "documents")
    control = invalid = empty = 0
    for raw in reader:
        one = cleaned(raw.text)
        control += one.num_control
        invalid += one.num_invalid
        empty += not one.text
        if one.text:
            spool.add(raw.place, one.text)
    spool.close()
    _, first = np.unique(spool.hashes_D, return_index=True)
    kept = np.sort(first)
    limit = np.uint64(int(corpus.held_out * 2**64))
    is_held = spool.hashes_D[kept] < limit
    held, train = kept[is_held], kept[~is_held]
    if not len(held) and len(train) > 1:
        lowest = int(spool.hashes_D[train].argmin())
        held, train = train[lowest : lowest + 1], np.delete(train, lowest)
    held = held[np.argsort(spool.hashes_D[held] * np.uint64(0x9E3779B97F4A7C15))]
    if not len(held) or not len(train):
        raise ValueError(f"{corpus.source}: nothing can be held out of {len(kept)} documents.")
    tell(f"read {len(spool):,} documents ({reader.num_bytes / 1e6:.1f} MB) from {corpus.source}")
    made = tokenizer or trained(corpus.tokenizer, corpus.vocabulary, lambda: spool.texts(train.tolist()))
    backend = backend_of(made)
    size = backend.get_vocab_size()
    dtype = "uint16" if size <= 1 << 16 else "uint32"
    end = backend.token_to_id(END_TOKEN)
    splits = {}
    for name, numbers in (("train", train), ("held_out", held)):
        starts = [0]
        with (folder / f"{name}.bin").open("wb") as out:
            for text in spool.texts(numbers.tolist()):
                ids = backend.encode(text, add_special_tokens=False).ids
                out.write(np.array([end, *ids], dtype).tobytes())
                starts.append(starts[-1] + len(ids) + 1)
            out.write(np.array([end], dtype).tobytes())
        words = np.array([len(text.split()) for text in spool.texts(numbers.tolist())])
        characters = spool.characters_D[numbers]
        splits[name] = Split(
            documents=len(numbers), words=int(words.sum()), characters=int(characters.sum()), tokens=starts[-1] + 1
        )
    np.savez(folder / DOCUMENTS, starts=np.array(starts), words=words, characters=characters)
    (folder / TOKENIZER).write_text(made.json, encoding="utf-8")
    (folder / DROPPED).write_text("")
    (folder / "documents").unlink()
    facts = CorpusFacts(
        unit=reader.unit,
        bytes=reader.num_bytes,
        documents=len(spool) + empty,
        words=0,
        characters=int(spool.characters_D.sum()),
        cut=reader.num_cut,
        skipped=reader.skipped,
        dropped={"empty": empty, "exact duplicate": len(spool) - len(kept)},
        control=control,
        invalid=invalid,
        vocabulary=size,
        shared=Shared(length=13, documents=0),
        **splits,
    )
    kept_corpus = {k: v for k, v in dataclasses.asdict(corpus).items() if k != "folder"}
    (folder / FACTS).write_text(
        json.dumps({"corpus": kept_corpus, "dtype": dtype, "facts": dataclasses.asdict(facts)}, indent=2)
    )
    tell(f"vocabulary: {size:,} {corpus.tokenizer} tokens")
