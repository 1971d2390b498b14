"""A corpus on disk: what its files hold, what is said, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import strop
from strop.data import pipeline, token_file
from strop.data.corpus import KINDS
from strop.data.prepared import Prepared, check_source, check_unchanged, prepare
from strop.data.progress import Progress
from strop.data.vocabulary import backend_of, trained
from strop.runs.spec import decode, encode
from strop.types import Tokenizer

NAMES = ("Anna", "Otto", "Frieda", "Emil", "Wilhelm", "Jacob", "Dorothea", "世界")
DOCUMENTS = [f"{a} met {b} in\nthe {i}th wood of 春天.\n\tThen {b} went {i * i} miles." for i, (a, b) in enumerate(
    [(a, b) for a in NAMES for b in NAMES] * 2
)]  # fmt: skip


def written(folder: Path, documents: Sequence[str] = DOCUMENTS) -> Path:
    file = folder / "tales.txt"
    file.write_text("\n\n".join(documents), encoding="utf-8")
    return file


def prepared(folder: Path, documents: Sequence[str] = DOCUMENTS, **fields: object) -> tuple[Prepared, list[str]]:
    said: list[str] = []
    fields = {"source": str(written(folder, documents)), "held_out": 0.1, "near": 1.0} | fields
    return prepare(strop.Corpus(**fields), folder / "cache", said.append), said  # type: ignore[arg-type]


def texts_of(tokens: np.ndarray, tokenizer: Tokenizer) -> list[str]:
    """The documents of a stream, read between its `<end>`s."""
    ends = [i for i, token in enumerate(tokens.tolist()) if token == 0]
    assert ends[0] == 0
    assert ends[-1] == len(tokens) - 1
    backend = backend_of(tokenizer)
    return [backend.decode(tokens[a + 1 : b].tolist()) for a, b in pairwise(ends)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_streams_hold_every_document_once_and_whole(tmp_path, kind):
    found, _ = prepared(tmp_path, tokenizer=kind)
    train, held = (texts_of(tokens, found.tokenizer) for tokens in (found.train, found.held_out.tokens))
    assert sorted(train + held) == sorted(DOCUMENTS)
    assert train == [text for text in DOCUMENTS if text in set(train)]  # in the order of the source
    assert 3 <= len(held) <= 25
    assert found.train.dtype == found.held_out.tokens.dtype == np.uint16
    facts = found.facts
    assert (facts.train.documents, facts.held_out.documents) == (len(train), len(held))
    assert (facts.train.tokens, facts.held_out.tokens) == (len(found.train), len(found.held_out.tokens))
    assert facts.train.characters == sum(map(len, train))
    assert facts.vocabulary == backend_of(found.tokenizer).get_vocab_size()


def test_each_held_out_document_is_found_with_its_words_and_characters(tmp_path):
    found, _ = prepared(tmp_path)
    held = found.held_out
    texts = texts_of(held.tokens, found.tokenizer)
    for d, text in enumerate(texts):
        one = held.tokens[held.starts[d] : held.starts[d + 1] + 1]
        assert texts_of(one, found.tokenizer) == [text]
        assert held.characters[d] == len(text)
        assert held.words[d] == len(text.replace("世界", "w w").replace("春天", "w w").split())
    assert len(held.starts) == len(held.words) + 1 == len(held.characters) + 1


def test_it_is_opened_again_and_the_config_of_a_run_finds_it_where_the_run_is(tmp_path):
    found, _ = prepared(tmp_path)
    again = Prepared.open(found.corpus)
    assert (again.corpus, again.facts, again.tokenizer) == (found.corpus, found.facts, found.tokenizer)
    assert (again.train == found.train).all()
    assert Path(found.corpus.source) == tmp_path / "tales.txt"
    (tmp_path / "cache").rename(tmp_path / "run-cache")
    shutil.copytree(tmp_path / "run-cache", tmp_path / "run" / "cache")
    read = decode(json.loads(json.dumps(encode(found.corpus))), tmp_path / "run")
    assert read == found.corpus
    assert read.folder == str(tmp_path / "run" / "cache")
    assert Prepared.open(read).facts == found.facts


def test_the_same_corpus_gives_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        prepared(tmp_path / name, near=0.8)
    names = sorted(file.name for file in (tmp_path / "one" / "cache").iterdir())
    assert names == ["dropped.jsonl", "facts.json", "held_out.bin", "held_out.npz", "tokenizer.json", "train.bin"]
    for name in names:
        if name not in ("facts.json", "held_out.npz"):  # these hold the path, and the time
            one, other = ((tmp_path / run / "cache" / name).read_bytes() for run in ("one", "other"))
            assert one == other


def test_a_given_tokenizer_is_used(tmp_path):
    mine = trained("character", 300, lambda: ["aa bb cc"])
    found = prepare(strop.Corpus(source=str(written(tmp_path))), tmp_path / "cache", print, mine)
    assert found.tokenizer == mine
    assert texts_of(found.train, mine)[0] in DOCUMENTS


def test_a_large_vocabulary_takes_four_bytes_an_id(tmp_path, monkeypatch):
    monkeypatch.setattr(token_file, "SMALL", 256)
    found, _ = prepared(tmp_path)
    assert found.train.dtype == np.uint32
    assert texts_of(found.train, found.tokenizer)[0] in DOCUMENTS


def test_what_was_dropped_is_counted_by_reason_and_listed(tmp_path):
    long = " ".join(f"word{i}" for i in range(120))
    documents = [
        *DOCUMENTS[:20],
        DOCUMENTS[3],
        "\x07\x08",
        long,
        long + " more",
        "caf\u0065\u0301 \x07au lait",
        "café au lait",
    ]
    found, said = prepared(tmp_path, documents, near=0.8)
    facts = found.facts
    assert facts.documents == 26
    assert {reason: facts.dropped[reason] for reason in ("empty", "exact duplicate")} == {
        "empty": 1,
        "exact duplicate": 2,
    }
    near = facts.dropped["near duplicate"]
    assert (facts.control, facts.invalid) == (3, 0)
    assert facts.train.documents + facts.held_out.documents == 26 - 3 - near
    dropped = [json.loads(line) for line in (tmp_path / "cache" / "dropped.jsonl").read_text("utf-8").splitlines()]
    places = {
        "copy": 1 + 20 * 4,  # a document has three lines, and an empty one after it
        "empty": 1 + 21 * 4,
    }
    assert {"document": str(places["empty"]), "reason": "empty"} in dropped
    copy = next(one for one in dropped if one["document"] == str(places["copy"]))
    assert copy["reason"] == "exact duplicate"
    assert copy["of"] == str(1 + 3 * 4)
    assert copy["begins"] == " ".join(DOCUMENTS[3].split())[:80]
    assert [one["of"] for one in dropped if one.get("begins", "").startswith("word0")] == [str(1 + 22 * 4 - 2)]
    assert len(dropped) == 3 + near
    assert said[1] == f"removed: 2 exact and {near} near duplicates, 1 empty; 3 control characters, 0 invalid bytes"


def test_what_is_said(tmp_path):
    _, said = prepared(tmp_path, vocabulary=270)
    words = sum(len(text.replace("世界", "w w").replace("春天", "w w").split()) for text in DOCUMENTS)
    size = (tmp_path / "tales.txt").stat().st_size / 1e6
    assert said[0] == (
        f"read 128 documents, {words:,} words ({size:.1f} MB) from {tmp_path / 'tales.txt'}: documents are separated "
        "by blank lines"
    )
    assert said[1] == "removed: 0 exact and 0 near duplicates, 0 empty; 0 control characters, 0 invalid bytes"
    assert said[2].startswith("held out: ")
    assert said[2].endswith("of 128 documents; none shares 13 words in a row with the training text")
    assert said[-1].startswith(
        "vocabulary: 257 byte-bpe tokens of 270 (from this text at most one for 50 characters), "
    ) or (said[-1].startswith("vocabulary: 270 byte-bpe tokens, "))


def test_a_vocabulary_larger_than_the_data_is_made_smaller_and_said(tmp_path):
    found, said = prepared(tmp_path, vocabulary=1_000_000)
    most = max(257, found.facts.train.characters // 50)
    assert found.facts.vocabulary <= most
    assert said[-1].startswith(f"vocabulary: {found.facts.vocabulary:,} byte-bpe tokens of 1,000,000 (from this text ")
    assert not any(
        line.startswith("vocabulary: 257 byte tokens of") for line in prepared(tmp_path, tokenizer="byte")[1]
    )


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        (["only one line of text"], r"one document is left .* nothing can be held out\. A corpus needs two or more"),
        (["the same again and again"] * 9, "removed: 8 exact and 0 near duplicates"),
        ([" ".join(["word"] * 9), "word word", "WORD word word!"], "repeats one word: there is nothing to learn"),
        (["\x00\x01", "\x02"], "is a binary file|no document is left"),
        (["\x01", "\x02", "\x03"], "no document is left after cleaning"),
    ],
)
def test_nothing_to_learn_or_to_hold_out_is_one_line_and_leaves_nothing(tmp_path, documents, message):
    with pytest.raises(ValueError, match=message) as raised:
        prepared(tmp_path, documents)
    assert "\n" not in str(raised.value)
    assert [file.name for file in tmp_path.iterdir()] == ["tales.txt"]


def test_an_error_in_the_middle_of_a_file_leaves_nothing(tmp_path):
    lines = [json.dumps({"text": text}) for text in DOCUMENTS]
    (tmp_path / "tales.jsonl").write_text("\n".join([*lines, "not JSON"]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tales\.jsonl, line 129: this is not JSON"):
        prepare(strop.Corpus(source=str(tmp_path / "tales.jsonl")), tmp_path / "cache", print)
    assert [file.name for file in tmp_path.iterdir()] == ["tales.jsonl"]


def test_an_error_and_a_kill_leave_what_was_there(tmp_path, monkeypatch):
    found, _ = prepared(tmp_path)
    (tmp_path / "cache.partial").mkdir()
    (tmp_path / "cache.partial" / "train.bin").write_bytes(b"left by a killed process")
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "write_tokens", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepared(tmp_path)
    assert Prepared.open(found.corpus).facts == found.facts
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cache", "tales.txt"]
    prepared(tmp_path)


@pytest.mark.parametrize("file", ["facts.json", "train.bin", "held_out.npz", "tokenizer.json"])
def test_a_cache_that_lost_a_file_is_refused(tmp_path, file):
    found, _ = prepared(tmp_path)
    (tmp_path / "cache" / file).unlink()
    with pytest.raises(ValueError, match=f"holds no prepared corpus .*{file}"):
        Prepared.open(found.corpus)


@pytest.mark.parametrize("file", ["facts.json", "held_out.npz", "tokenizer.json"])
def test_a_cache_with_a_damaged_file_is_refused(tmp_path, file):
    found, _ = prepared(tmp_path)
    whole = (tmp_path / "cache" / file).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\xff\xfe no UTF-8"):
        (tmp_path / "cache" / file).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"cache holds no prepared corpus .* Delete that folder"):
            Prepared.open(found.corpus)


def test_a_cache_that_was_cut_short_is_refused(tmp_path):
    found, _ = prepared(tmp_path)
    with (tmp_path / "cache" / "train.bin").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(ValueError, match=r"train\.bin is damaged"):
        Prepared.open(found.corpus)


def test_a_changed_source_is_noticed(tmp_path):
    found, _ = prepared(tmp_path)
    check_unchanged(found.corpus)
    text = (tmp_path / "tales.txt").read_text(encoding="utf-8")
    (tmp_path / "tales.txt").write_text(text.replace("Otto", "Udo"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tales\.txt has changed since the run began"):
        check_unchanged(found.corpus)
    (tmp_path / "tales.txt").unlink()
    with pytest.raises(ValueError, match="no file, folder or corpus"):
        check_unchanged(found.corpus)


def test_too_little_disk_space_is_said_before_time_is_spent(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(1000, 999, 1))
    with pytest.raises(ValueError, match="not enough disk space"):
        prepared(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": ""}, "Corpus.source is empty"),
        ({"tokenizer": "words"}, "Corpus.tokenizer='words': it is byte-bpe, bpe, wordpiece, word, character or byte"),
        ({"vocabulary": 256}, "Corpus.vocabulary=256: a byte-bpe vocabulary holds 257 tokens or more"),
        ({"tokenizer": "wordpiece", "vocabulary": 512}, "a wordpiece vocabulary holds 513"),
        ({"vocabulary": 300.5}, "Corpus.vocabulary=300.5: it is an int"),
        ({"held_out": 0.0}, "Corpus.held_out=0.0: it is a share of the documents"),
        ({"held_out": 1.0}, "Corpus.held_out=1.0"),
        ({"near": 0.4}, "Corpus.near=0.4: it is a similarity from 0.5 to 1"),
        ({"near": float("nan")}, "Corpus.near=nan"),
    ],
)
def test_fields_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        strop.Corpus(**{"source": "x.txt"} | fields)


def test_a_source_is_checked_without_being_read(tmp_path):
    check_source(strop.Corpus(source=str(written(tmp_path))))
    with pytest.raises(ValueError, match=r"there is no file, folder or corpus 'grim'\. Did you mean 'grimm'\?"):
        check_source(strop.Corpus(source="grim"))
    with pytest.raises(ValueError, match=r"none\.txt'. By name there are grimm, tang"):
        check_source(strop.Corpus(source=str(tmp_path / "none.txt")))


def test_two_corpora_are_equal_wherever_their_ids_are():
    corpus = strop.Corpus(source="x.txt")
    assert corpus.placed_in(Path("run")) == corpus
    assert corpus.placed_in(Path("run")).folder == str(Path("run/cache"))
    assert replace(corpus, near=0.9) != corpus


def test_progress_is_told_when_seconds_have_passed(monkeypatch):
    clock = iter([0.0, 2.0, 6.0, 7.0, 11.5, 200.0, 210.0, 230.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    said: list[str] = []
    progress = Progress(said.append, "reading", 240_000_000)
    for done in (1, 60_000_000, 70_000_000, 115_000_000, 200_000_000, 210_000_000, 230_000_000):
        progress.at(done)
    assert said == [
        "reading: 60 of 240 MB, 10.0 MB/s, 18 s left",
        "reading: 115 of 240 MB, 10.0 MB/s, 12 s left",
        "reading: 200 of 240 MB, 1.0 MB/s, 40 s left",
        "reading: 230 of 240 MB, 1.0 MB/s, 10 s left",
    ]
