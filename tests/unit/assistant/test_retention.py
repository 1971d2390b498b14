"""What is older than the assistant keeps it is deleted, by the learner and by the server, and versions stay."""

import json
import threading

import pytest

from feedback_people import answer
from learnt import learnt
from strop.assistant import FeedbackStore, MemoryStore, Settings, Versions, tidy
from strop.assistant.home import Assistant
from strop.assistant.retention import DAY_SECONDS, daily, delete_old, settle_if_alone
from strop.assistant.settings import write_settings

NOW = 1_000 * DAY_SECONDS
OLD, NEW = "an old locker, ZEBRA", "a new locker, TIGER"


@pytest.fixture
def mine(tmp_path):
    """Of two answers one is nine days old; version 1 learnt from what was said of it."""
    path = learnt(tmp_path / "mine")
    write_settings(path, Settings(keep_days=8))
    (path / "feedback.sqlite").unlink()
    with FeedbackStore(path / "feedback.sqlite") as store, MemoryStore(path / "memory.sqlite") as memory:
        for days, text in ((9, OLD), (7, NEW)):
            when = NOW - days * DAY_SECONDS
            store.answered(answer(text, f"so {text}", question=text, when=when))
            memory.add("ann", text, when=when)
            store.add("comment", f"not {text}", rater="ann", inference=text, when=when)
        old = store.feedback()[0].id
    manifest = json.loads((Versions(path).folder(1) / "manifest.json").read_text())
    (Versions(path).folder(1) / "manifest.json").write_text(json.dumps(manifest | {"feedback": [old]}))
    (path / "rounds" / "001").mkdir(parents=True)
    (path / "rounds" / "001" / "tasks.jsonl").write_text(OLD)
    return Assistant(path)


def holding(folder, text):
    return [file.name for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def test_what_is_too_old_goes_with_its_runs_and_the_rest_stays(mine):
    told = []
    with mine.feedback() as store:
        tidy(mine, store, told.append, now=NOW)
        assert [one.inference for one in store.answers()] == [NEW]
        assert [one.inference for one in store.feedback()] == [NEW]
    with MemoryStore(mine.path / "memory.sqlite") as memory:
        assert [fact.text for fact in memory.facts("ann")] == [NEW]
    assert told == ["deleted, since they are older than 8 days: 1 answer, 1 piece of feedback, 1 fact"]
    assert holding(mine.path, OLD) == []
    assert not (mine.rounds / "001").exists()
    assert (mine.versions.serving, mine.versions.manifest(1).retired) == (1, None)


def test_without_a_setting_all_is_kept(mine):
    write_settings(mine.path, Settings())
    with mine.feedback() as store:
        tidy(mine, store, pytest.fail, now=NOW * 100)
        assert len(store.answers()) == 2


def test_where_another_process_learns_the_runs_are_left_to_it(mine):
    with mine.feedback() as store:
        with mine.learner():
            delete_old(mine, store, print, now=NOW)
            settle_if_alone(mine, store)
            assert (mine.rounds / "001").exists()
            assert len(store.erasing.left()) == 1
        settle_if_alone(mine, store)
        assert not (mine.rounds / "001").exists()
        assert store.erasing.left() == {}


def test_a_server_deletes_it_when_it_starts(mine):
    done = threading.Event()
    with mine.feedback() as store:
        with daily(mine, store, lambda text: done.set()):
            assert done.wait(30.0)
        assert store.answers() == []  # by today's clock both are old


@pytest.mark.parametrize("days", [0, -1, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(days):
    with pytest.raises(ValueError, match="keep_days"):
        Settings(keep_days=days)
