"""Where bytes of a person hide: escapes, archives, long values, half-made versions, names of files, closed files."""

import bz2
import gzip
import html
import json
import lzma
import os
import pathlib
import re
import shutil
import sqlite3
import unicodedata
import zipfile
from urllib.parse import quote, quote_plus

import pytest

from feedback_people import answer, said
from learnt import learnt
from strop.assistant import FeedbackStore, MemoryStore, Versions, export_feedback, forget
from strop.assistant.needles import needles_of, readings

ANN, HERS_TOO = "ann@example.com", "my ZEBRA is called Spot"
HERS = 'where is the "ZEBRA" of Müller & sons? 在哪里呢，我的斑马？'
OTHER = "nothing of hers: 天气不错"
SAID = "a" * 32


@pytest.fixture
def mine(tmp_path):
    """Version 1, and all after it, learnt from ann."""
    path = learnt(tmp_path / "mine")
    with FeedbackStore(path / "feedback.sqlite") as store, MemoryStore(path / "memory.sqlite") as memory:
        demonstration = said("demonstration", "the ZEBRA is in the locker", "z", rater=ANN, id=SAID)
        store.write([answer("z", "so be it", question=HERS, rater=ANN)], [demonstration])
        memory.add(ANN, HERS_TOO)
    manifest = Versions(path).folder(1) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"feedback": [SAID]}))
    return path


def upper(text):
    """As some programs write JSON: capital digits, and slashes escaped."""
    return "".join(f"\\u{ord(one):04X}" if ord(one) > 127 or one in '"&/' else one for one in text)


WAYS = {
    "address": f"GET /?q={quote(HERS)} 200",
    "address of small digits": re.sub("%..", lambda found: found[0].lower(), f"GET /?q={quote(HERS)} 200"),
    "form": f"GET /?q={quote_plus(HERS)} 200",
    "plain words in a form": "GET /?q=my+ZEBRA+is+called+Spot 200",
    "page": f"<p>{html.escape(HERS)}</p>",
    "JSON with capitals": upper(HERS),
    "JSON in JSON": json.dumps(json.dumps({"q": HERS})),
    "repr": repr(HERS.encode("ascii", "backslashreplace").decode()),
    "letters apart from accents": unicodedata.normalize("NFD", HERS),
    "a line that a screen would break": json.dumps({"q": f"one\u2028{HERS}"}, ensure_ascii=False),
}


def test_a_line_is_taken_out_however_it_is_escaped(mine):
    for name, line in WAYS.items():
        (mine / f"{name}.log").write_text(f"{OTHER}\n{line}\n{OTHER}\n", encoding="utf-8")
    found = forget(mine, [ANN])
    assert set(found.copies) == {f"{name}.log" for name in WAYS}
    assert {(mine / f"{name}.log").read_text(encoding="utf-8") for name in WAYS} == {f"{OTHER}\n{OTHER}\n"}
    assert (found.left, found.unread) == ((), ())


@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1252", "où est donc le ZEBRA, Ms Smith?"), ("big5", "我的斑馬在哪裡呢")]
)
def test_old_encodings_are_searched(tmp_path, encoding, text):
    needles = needles_of([text], [], [])
    assert needles.are_in_bytes(f"x {text}\n".encode(encoding))
    assert not needles.are_in_bytes("nothing of hers\n".encode(encoding))


def test_a_line_without_marks_is_read_once_and_escapes_twice():
    assert list(readings("plain text")) == ["plain text"]
    assert {"%2541", "%41", "A"} == set(readings("%2541"))
    assert "A" not in readings("%252541")


@pytest.mark.parametrize("way", ["gz", "bz2", "xz", "zip"])
def test_what_is_compressed_is_read_and_named(mine, way):
    data, file = (f"{OTHER}\n" * 99 + json.dumps(HERS)).encode(), mine / f"old.{way}"
    if way == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("old.log", data)
    else:
        file.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[way].compress(data))
    shutil.copy(file, mine / "damaged")
    with (mine / "damaged").open("r+b") as damaged:
        damaged.truncate(len(file.read_bytes()) // 2)
    found = forget(mine, [ANN])
    assert (found.left, found.unread) == ((file.name,), ("damaged",))


def test_what_is_compressed_is_found_across_two_pieces(mine, monkeypatch):
    monkeypatch.setattr("strop.assistant.packed.CHUNK", 19)
    (mine / "old.gz").write_bytes(gzip.compress(HERS_TOO.encode()))
    (mine / "other.gz").write_bytes(gzip.compress(OTHER.encode()))
    assert forget(mine, [ANN]).left == ("old.gz",)


def database(file, table, *values):
    with sqlite3.connect(file) as connection:
        connection.execute(f"CREATE TABLE {table} (x)")
        connection.executemany(f"INSERT INTO {table} VALUES (?)", [(value,) for value in values])
    connection.close()


def test_a_value_that_lies_in_several_pages_of_a_database_is_found(mine):
    long = "the stripes of a zebra " * 900
    with FeedbackStore(mine / "feedback.sqlite") as store:
        store.answered(answer("long", "ok then", question=long, rater=ANN))
    database(mine / "old.db", "'of a' ", long)
    database(mine / "escaped.db", "log", quote(HERS))
    database(mine / "other.db", "log", "the stripes of another " * 900)
    assert long.strip().encode() not in (mine / "old.db").read_bytes(), "the test tests nothing"
    assert set(forget(mine, [ANN]).left) == {"old.db", "escaped.db"}


def test_databases_of_others_and_damaged_ones_are_named_and_hold_nothing_up(mine):
    database(mine / "others.db", "facts", HERS)
    before = (mine / "others.db").read_bytes()
    (mine / "bad.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000 + HERS.encode())
    (mine / "damaged.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    found = forget(mine, [ANN])
    assert (set(found.left), found.unread) == ({"others.db", "bad.db"}, ("damaged.db",))
    assert (mine / "others.db").read_bytes() == before


def test_what_was_taken_back_stands_in_no_older_copy(mine):
    with FeedbackStore(mine / "feedback.sqlite") as store:
        store.answered(answer("w", "fine", question="my secret garden", conversation="w", rater=ANN))
    shutil.copy(mine / "feedback.sqlite", mine / "old.sqlite")
    with FeedbackStore(mine / "feedback.sqlite") as store:
        store.erasing.erase(store.erasing.of_conversation("w"), is_retiring=False)
    found = forget(mine, [ANN])
    assert ("old.sqlite" in found.copies, found.left) == (True, ())
    assert b"secret garden" not in (mine / "old.sqlite").read_bytes()


def test_what_a_killed_learner_left_half_made_goes(mine):
    for folder in ("versions/.creating-004-77/model", "rounds/005/.creating-1-sft-77"):
        (mine / folder).mkdir(parents=True)
        (mine / folder / "model.safetensors").write_bytes(b"weights of ann")
    assert len(list(mine.rglob("*.safetensors"))) == 2
    forget(mine, [ANN])
    assert list(mine.rglob("*.safetensors")) == list(mine.rglob(".creating-*")) == []


def test_copies_of_the_weights_of_a_run_go_too(mine):
    run = mine / "rounds" / "001" / "1-sft"
    run.mkdir(parents=True)
    (mine / "backup").mkdir()
    for folder in (run, mine / "backup"):
        (folder / "policy.safetensors").write_bytes(b"an adapter of ann")
    (mine / "backup" / "others.safetensors").write_bytes(b"an adapter of others")
    assert "backup/policy.safetensors" in forget(mine, [ANN], dry_run=True).copies
    assert "backup/policy.safetensors" in forget(mine, [ANN]).copies
    assert [file.name for file in mine.rglob("*.safetensors")] == ["others.safetensors"]


def test_a_file_that_is_called_like_them_is_named(mine):
    (mine / f"notes of {ANN}.txt").write_text(OTHER)
    (mine / f"notes of {quote(ANN, safe='')}.txt").write_text(OTHER)
    assert len(forget(mine, [ANN]).left) == 2


def test_where_they_were_exported_to_is_noted_no_more(mine, tmp_path):
    file = tmp_path / f"of {ANN}.jsonl"
    with FeedbackStore(mine / "feedback.sqlite") as store:
        export_feedback(store, file, "sft")
    found = forget(mine, [ANN])
    assert (found.exports, found.left, file.exists()) == ((str(file),), (), False)


def test_what_another_person_wants_remembered_too_is_no_trace(mine):
    with MemoryStore(mine / "memory.sqlite") as memory:
        memory.add("bob", HERS_TOO)
    assert forget(mine, [ANN]).left == ()
    with MemoryStore(mine / "memory.sqlite") as memory:
        assert [fact.text for fact in memory.facts("bob")] == [HERS_TOO]


# ---------------------------------------------------------------- what is closed


@pytest.fixture
def closed(monkeypatch):
    """A set of files that cannot be opened or looked at, and folders that cannot be listed: tests may run as root."""
    shut, opened, looked, listed = set(), pathlib.Path.open, pathlib.Path.is_file, os.scandir

    def refuse(path):
        if not isinstance(path, int) and os.path.realpath(path) in shut:
            raise PermissionError(13, "Permission denied", str(path))

    def checked(call):
        def act(path, *args, **kwargs):
            refuse(path)
            return call(path, *args, **kwargs)

        return act

    monkeypatch.setattr(pathlib.Path, "open", checked(opened))
    monkeypatch.setattr(pathlib.Path, "is_file", checked(looked))
    monkeypatch.setattr(os, "scandir", checked(listed))
    return shut


def test_a_closed_file_behind_a_link_holds_nothing_up_and_is_named(mine, tmp_path, closed):
    (tmp_path / "elsewhere").mkdir()
    for name in ("notes.txt", "weights.safetensors"):
        (tmp_path / "elsewhere" / name).write_text(HERS)
        (mine / name).symlink_to(tmp_path / "elsewhere" / name)
        closed.add(str(tmp_path / "elsewhere" / name))
    (mine / "round").symlink_to(mine / "round")
    (mine / "folder").mkdir()
    closed.add(str(mine / "folder"))
    (mine / "zz.log").write_text(f"{HERS}\n{OTHER}\n")
    folder = Versions(mine).folder(1) / "model"
    folder.mkdir()
    manifest = folder.parent / "manifest.json"
    fields = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(fields | {"files": {"model/model.safetensors": "0" * 64}}))
    found = forget(mine, [ANN])
    assert set(found.unread) == {"notes.txt", "weights.safetensors", "folder"}
    assert (found.copies, found.left, (mine / "zz.log").read_text()) == (("zz.log",), (), f"{OTHER}\n")
    assert (found.answers, found.facts, found.retired) == (1, 1, (1, 2, 3))
    with FeedbackStore(mine / "feedback.sqlite") as store:
        assert "z" not in [one.inference for one in store.answers()]


def test_closed_files_of_runs_and_exports_are_named_and_what_is_deleted_stays_noted(mine, tmp_path, closed):
    run, export = mine / "rounds" / "000" / "run.log", tmp_path / "sft.jsonl"
    run.parent.mkdir(parents=True)
    run.write_text(SAID)
    with FeedbackStore(mine / "feedback.sqlite") as store:
        export_feedback(store, export, "sft")
    closed |= {str(run), str(export)}
    assert set(forget(mine, [ANN]).unread) == {"rounds/000/run.log", str(export)}
    closed.clear()
    found = forget(mine, [ANN])
    assert (found.runs, found.exports, found.unread) == (("000",), (str(export),), ())
    assert not export.exists()
    assert not run.exists()


def test_a_copy_that_cannot_be_written_is_named(mine, monkeypatch):
    def full(path, data):
        raise OSError(30, "Read-only file system")

    (mine / "old.log").write_text(HERS)
    monkeypatch.setattr("strop.assistant.linewise.replace_bytes", full)
    found = forget(mine, [ANN])
    assert (found.left, found.answers) == (("old.log",), 1)


def test_what_is_no_file_holds_nothing_up(mine, tmp_path, monkeypatch):
    """Pipes, and links to nowhere: to open a pipe waits for whoever writes to it."""
    opened = pathlib.Path.open

    def open_file(path, *args, **kwargs):
        assert not path.is_fifo(), f"{path} is waited for"
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(pathlib.Path, "open", open_file)
    run = mine / "rounds" / "001"
    (run / "folder.safetensors").mkdir(parents=True)
    (run / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    (run / "tasks.jsonl").write_text(SAID)
    os.mkfifo(mine / "rounds" / "002")
    for name in ("pipe.log", "pipe.safetensors", "rounds/001/pipe.safetensors"):
        os.mkfifo(mine / name)
    with FeedbackStore(mine / "feedback.sqlite") as store:
        export_feedback(store, tmp_path / "sft.jsonl", "sft")
    (tmp_path / "sft.jsonl").unlink()
    os.mkfifo(tmp_path / "sft.jsonl")
    (mine / "zz.log").write_text(f"{HERS}\n{OTHER}\n")
    found = forget(mine, [ANN])
    assert ("001" in found.runs, found.copies, found.left, found.unread) == (True, ("zz.log",), (), ())


def test_weights_of_a_run_that_cannot_be_read_hold_nothing_up(mine, closed):
    run = mine / "rounds" / "001"
    run.mkdir(parents=True)
    (run / "policy.safetensors").write_bytes(b"an adapter of ann")
    closed.add(str(run / "policy.safetensors"))
    found = forget(mine, [ANN])
    assert ("001" in found.runs, found.answers) == (True, 1)
    assert found.unread == ("rounds/001/policy.safetensors",)  # whose copies nobody can tell
