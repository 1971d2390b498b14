"""Forgetting beside other processes: files that they have open, or write to, stay whole."""

import os
import subprocess
import sys

import pytest

from feedback_people import answer
from learnt import learnt
from strop.assistant import FeedbackStore, MemoryStore, forget, forgetting, linewise, settling

ANN, HERS = "ann@example.com", "where is the ZEBRA of mine?"
COUNTING = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM answers').fetchall(); c.close()"
)


@pytest.fixture
def mine(tmp_path):
    path = learnt(tmp_path / "mine")
    with FeedbackStore(path / "feedback.sqlite") as store, MemoryStore(path / "memory.sqlite") as memory:
        store.answered(answer("z", "so be it", question=HERS, conversation="z", rater=ANN))
        memory.add(ANN, HERS)
    return path


def test_the_stores_are_not_read_as_files_while_they_are_open(mine, monkeypatch):
    """A process that closes a file loses its locks on it: the next one to close the database then deletes its WAL."""
    os.link(mine / "feedback.sqlite", mine / "again.sqlite")
    (mine / "link.sqlite").symlink_to(mine / "feedback.sqlite")
    wal = mine / "feedback.sqlite-wal"

    def meanwhile(*given):
        subprocess.run([sys.executable, "-c", COUNTING, str(mine / "feedback.sqlite")], check=True, timeout=20)
        assert wal.exists(), "another process took itself for the last one"
        return settling.settle(*given)

    def closed(*given):
        assert not wal.exists(), "the last search reads a store that is open"
        return found_in(*given)

    found_in = forgetting.found_in
    monkeypatch.setattr(forgetting, "settle", meanwhile)
    monkeypatch.setattr(forgetting, "found_in", closed)
    found = forget(mine, [ANN])
    assert (found.answers, found.left, found.unread) == (1, (), ())


def test_a_log_keeps_its_mode_and_nothing_is_written_where_a_link_leads(mine, tmp_path):
    (mine / "a.log").write_text(f"{HERS}\nof others\n")
    (mine / "a.log").chmod(0o600)
    (tmp_path / "victim").write_text("somebody else's")
    (mine / ".writing-a.log").symlink_to(tmp_path / "victim")
    assert forget(mine, [ANN]).copies == ("a.log",)
    assert (mine / "a.log").read_text() == "of others\n"
    assert (mine / "a.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "victim").read_text() == "somebody else's"


def test_a_log_that_grows_meanwhile_is_named_and_not_replaced(mine, monkeypatch):
    (mine / "a.log").write_text(f"{HERS}\n")
    kept = linewise._kept

    def meanwhile(*given):
        with (mine / "a.log").open("a") as log:
            log.write("of others\n")
        return kept(*given)

    monkeypatch.setattr(linewise, "_kept", meanwhile)
    found = forget(mine, [ANN])
    assert (found.copies, found.left) == ((), ("a.log",))
    assert (mine / "a.log").read_text() == f"{HERS}\nof others\n"
