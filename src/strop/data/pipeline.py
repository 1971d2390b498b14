"""From a corpus to the files of its cache: read, clean, split, learn a vocabulary, write token ids."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from strop.data.corpus import SMALLEST, Corpus
from strop.data.documents import EMPTY, EXACT, NEAR, Documents, documents_of
from strop.data.facts import DROPPED, FACTS, CorpusFacts, Shared, Split
from strop.data.files import contents_hash, files_of
from strop.data.named import NAMED
from strop.data.overlap import shared_runs
from strop.data.progress import Progress, Tell
from strop.data.reading import Reader
from strop.data.splitting import split
from strop.data.spool import Spool
from strop.data.token_file import write_tokens
from strop.data.vocabulary import size_of, trained
from strop.types import Tokenizer
from strop.words import plural

TOKENIZER, HELD_OUT = "tokenizer.json", "held_out.npz"
WORK = "work"
"""The folder of what is only needed while the others are made."""
SEPARATED = {
    "paragraph": "documents are separated by blank lines",
    "line": "each line is a document, as no blank line separates them",
    "row": "each row is a document",
    "file": "each file is a document",
}
SAMPLE = 20_000_000
"""Bytes of training text that a tokenizer is trained on at most: Chinese takes 2 GB of memory for them."""
MB = 1_000_000
FILES_PER_BYTE = 2
"""Bytes on disk while a corpus is prepared, for each of its own: its cleaned text, and its token ids."""
PER_TOKEN = 50
"""Characters of training text for each token of a vocabulary, at least: rarer tokens would hardly be trained."""


def fill(corpus: Corpus, source: Path, folder: Path, tell: Tell, tokenizer: Tokenizer | None) -> None:
    """Write all files of a cache into an empty folder."""
    origin = corpus.source if corpus.source in NAMED else str(source.absolute())
    _check_space(source, folder)
    kept = replace(corpus, source=origin, sha256=contents_hash(source))
    reader = Reader(source, corpus.field)
    documents = _cleaned(corpus, reader, folder, tell)
    spool = documents.spool
    train, held = (documents.kept[numbers] for numbers in split(spool.hashes_D[documents.kept], corpus.held_out))
    _check_enough(corpus, documents, len(held))
    shared = shared_runs(lambda: spool.texts(held), lambda: spool.texts(train))
    tell(_split_line(len(train), len(held), shared))
    made, reason = (tokenizer, "") if tokenizer else _vocabulary(corpus, spool, train, tell)
    starts_D = _encode(spool, train, made, folder / "train.bin", tell)
    sizes = {"train": _size(spool, train, starts_D)}
    starts_D = _encode(spool, held, made, folder / "held_out.bin", tell)
    sizes["held_out"] = _size(spool, held, starts_D)
    per_token = sizes["train"].characters / sizes["train"].tokens
    name = "given" if tokenizer else corpus.tokenizer
    tell(f"vocabulary: {size_of(made):,} {name} tokens{reason}, {per_token:.1f} characters a token")
    np.savez(folder / HELD_OUT, starts=starts_D, words=spool.words_D[held], characters=spool.characters_D[held])
    (folder / TOKENIZER).write_text(made.json, encoding="utf-8")
    shutil.rmtree(folder / WORK)
    facts = _facts(reader, documents, size_of(made), shared, sizes)
    fields = {name: value for name, value in dataclasses.asdict(kept).items() if name != "folder"}
    text = json.dumps({"corpus": fields, "facts": dataclasses.asdict(facts)}, indent=2)
    (folder / FACTS).write_text(text + "\n", encoding="utf-8")


def _check_space(source: Path, folder: Path) -> None:
    """Raise ValueError if the disk cannot hold the cleaned text and its token ids."""
    needed = FILES_PER_BYTE * sum(file.stat().st_size for file in files_of(source))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"not enough disk space in {folder.parent}: {needed / MB:,.0f} MB are needed to prepare {source}, and "
            f"{free / MB:,.0f} MB are free."
        )


def _cleaned(corpus: Corpus, reader: Reader, folder: Path, tell: Tell) -> Documents:
    """The documents without duplicates; tells what was read and what was removed."""
    total = sum(file.stat().st_size for file in files_of(reader.source))
    (folder / WORK).mkdir()
    with (folder / DROPPED).open("w", encoding="utf-8", errors="backslashreplace") as dropped:
        documents = documents_of(reader, corpus.near, folder / WORK, dropped, tell, total)
    size = f"{documents.num_words:,} words ({reader.num_bytes / MB:.1f} MB)"
    tell(f"read {_count(documents.num_read, 'document')}, {size} from {corpus.source}: {SEPARATED[reader.unit]}")
    if reader.skipped:
        tell(f"skipped {_list(reader.skipped)} of the files in the folder")
    if reader.num_cut:
        tell(f"cut {_count(reader.num_cut, 'document')} of more than 4 MB: the rest of each is a document of its own")
    control, invalid = _count(documents.num_control, "control character"), _count(documents.num_invalid, "invalid byte")
    tell(f"removed: {_dropped(documents)}; {control}, {invalid}")
    return documents


def _check_enough(corpus: Corpus, documents: Documents, num_held_out: int) -> None:
    """Raise ValueError if nothing can be learnt, or nothing can be held out."""
    if documents.only_word:
        raise ValueError(f"{corpus.source} repeats one word: there is nothing to learn from it.")
    if num_held_out < 1:
        left = "one document is" if len(documents.kept) else "no document is"
        raise ValueError(
            f"{corpus.source}: {left} left after cleaning (removed: {_dropped(documents)}): nothing can be held out. "
            "A corpus needs two or more: separate documents by blank lines, or give a folder of files."
        )


def _dropped(documents: Documents) -> str:
    counts = documents.dropped
    return f"{counts[EXACT]:,} exact and {counts[NEAR]:,} near duplicates, {counts[EMPTY]:,} empty"


def _split_line(num_train: int, num_held_out: int, shared: Shared) -> str:
    line = f"held out: {num_held_out:,} of {num_train + num_held_out:,} documents"
    if not shared.documents:
        return f"{line}; none shares {shared.length} words in a row with the training text"
    share = f"{shared.documents:,} of them share {shared.length} words in a row with the training text"
    return f"{line}; {share}, such as {shared.examples[0]!r}"


def _vocabulary(corpus: Corpus, spool: Spool, train: np.ndarray, tell: Tell) -> tuple[Tokenizer, str]:
    """A tokenizer from a sample of the training documents, and why it is smaller than was asked for."""
    shuffled = train[np.argsort(spool.hashes_D[train], kind="stable")]
    bytes_D = np.diff(spool.offsets_D)[shuffled]
    sample = np.sort(shuffled[np.cumsum(bytes_D) - bytes_D < SAMPLE])
    number, total = (int(spool.characters_D[some].sum()) for some in (sample, train))
    tell(f"learning {corpus.tokenizer} tokens from {number:,} of {total:,} characters")
    merges = corpus.tokenizer not in ("character", "byte")
    most = min(corpus.vocabulary, max(SMALLEST[corpus.tokenizer], total // PER_TOKEN)) if merges else corpus.vocabulary
    made = trained(corpus.tokenizer, most, lambda: spool.texts(sample))
    if size_of(made) >= corpus.vocabulary or corpus.tokenizer == "byte":
        return made, ""
    why = f"at most one for {PER_TOKEN} characters" if size_of(made) == most else "no others occur twice"
    return made, f" of {corpus.vocabulary:,} (from this text {why})"


def _encode(spool: Spool, numbers: np.ndarray, tokenizer: Tokenizer, file: Path, tell: Tell) -> np.ndarray:
    """Write the documents' token ids; where each begins [D + 1]."""
    progress = Progress(tell, "writing token ids", int(spool.characters_D[numbers].sum()), "million characters")
    return write_tokens(file, progress.through(spool.texts(numbers)), tokenizer)


def _size(spool: Spool, numbers: np.ndarray, starts_D: np.ndarray) -> Split:
    words, characters = (int(column[numbers].sum()) for column in (spool.words_D, spool.characters_D))
    return Split(documents=len(numbers), words=words, characters=characters, tokens=int(starts_D[-1]) + 1)


def _facts(reader: Reader, documents: Documents, size: int, shared: Shared, sizes: dict[str, Split]) -> CorpusFacts:
    return CorpusFacts(
        unit=reader.unit,
        bytes=reader.num_bytes,
        documents=documents.num_read,
        words=documents.num_words,
        characters=documents.num_characters,
        cut=reader.num_cut,
        skipped=dict(reader.skipped),
        dropped=dict(documents.dropped),
        control=documents.num_control,
        invalid=documents.num_invalid,
        vocabulary=size,
        train=sizes["train"],
        held_out=sizes["held_out"],
        shared=shared,
    )


def _count(number: int, noun: str) -> str:
    return plural(number, noun).replace(str(number), f"{number:,}", 1)


def _list(counts: dict[str, int]) -> str:
    """The counts in words: `2 binary, 1 empty`."""
    return ", ".join(f"{number:,} {what}" for what, number in counts.items())
