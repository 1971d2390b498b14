"""Forgetting beside other processes: files that they have open, or write to, stay whole."""

import os
import subprocess
import sys

import pytest

from feedback_people import answer
from learnt import learnt
from strop.assistant import FeedbackStore, MemoryStore, forget, forgetting, settling

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
