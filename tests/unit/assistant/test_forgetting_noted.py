"""A file in which something of a person is left is named, also by who completes what a crash cut off."""

import os

import pytest

from feedback_people import answer, said
from learnt import learnt
from strop.assistant import FeedbackStore, MemoryStore, export_feedback, forget
from strop.assistant.taking_out import taken_out

ANN, FACT = "ann@example.com", "my ZEBRA is called Spot"
HERS, LATE = "where is the ZEBRA of mine?", "the ZEBRA ran away today"
OTHER = "nothing of hers\n"


class Crash(Exception):
    pass


@pytest.fixture
def mine(tmp_path):
    """Ann is told of by a picture, a file's name, a link, and a changed export; one database is damaged."""
    path = learnt(tmp_path / "mine")
    with FeedbackStore(path / "feedback.sqlite") as store, MemoryStore(path / "memory.sqlite") as memory:
        store.write([answer("z", "so be it", question=HERS, rater=ANN)], [])
        store.write([], [said("demonstration", "write ZEBRA of the locker", "z", rater=ANN, id="a" * 32)])
        memory.add(ANN, FACT)
        export_feedback(store, tmp_path / "sft.jsonl", "sft")
    with (tmp_path / "sft.jsonl").open("a") as export:
        export.write(OTHER)
    (path / "picture.bin").write_bytes(b"\xff" + FACT.encode() + b"\xfe\0")
    (path / f"{FACT}.txt").write_text(OTHER)
    (path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "tasks.jsonl").write_text("a" * 32)
    (path / "rounds").mkdir()
    (path / "rounds" / "009").symlink_to(tmp_path / "far")
    return path


PLACES = (
    "strop.assistant.memory.MemoryStore.forget_all",
    "strop.assistant.erasing.Erasing.erase",
    "strop.assistant.forgetting.settle",
    "strop.assistant.settling.remove",
    "strop.assistant.erasing.Erasing.done",
    "strop.assistant.forgetting.found_in",
)


@pytest.mark.parametrize("place", [*PLACES, ""])
def test_a_crash_loses_no_name_of_a_file(mine, tmp_path, monkeypatch, place):
    def crash(*args, **kwargs):
        raise Crash

    with monkeypatch.context() as patched:
        if place:
            patched.setattr(place, crash)
            with pytest.raises(Crash):
                forget(mine, [ANN])
    found = forget(mine, [ANN])
    assert set(found.left) == {"picture.bin", f"{FACT}.txt", str(tmp_path / "far"), str(tmp_path / "sft.jsonl")}
    assert found.unread == ("damaged.db",)
    assert FACT.encode() not in (mine / "feedback.sqlite").read_bytes()


@pytest.mark.parametrize("who", [ANN, "bob"])
def test_a_file_is_named_until_somebody_has_seen_to_it(mine, tmp_path, who):
    (mine / "far.log").symlink_to(tmp_path / "far.log")
    (tmp_path / "far.log").write_text(f"{HERS}\n")
    first = forget(mine, [ANN])
    with (tmp_path / "far.log").open("a") as log:
        log.write(OTHER)  # it is written to, and no more
    again = forget(mine, [who])
    assert (set(again.left), again.unread) == (set(first.left), first.unread)
    assert "far.log" in again.left
    (mine / "picture.bin").unlink()
    (mine / f"{FACT}.txt").rename(mine / "note.txt")
    (tmp_path / "far.log").write_text(OTHER)
    os.utime(mine / "damaged.db")
    (tmp_path / "sft.jsonl").write_text(OTHER)
    (tmp_path / "far" / "tasks.jsonl").unlink()
    (tmp_path / "far").rmdir()
    found = forget(mine, [who])
    assert (found.left, found.unread) == ((), ("damaged.db",))  # which is searched, and still damaged
    (mine / "damaged.db").write_text(OTHER)
    assert forget(mine, [who]).unread == ()


def test_what_they_write_while_they_are_forgotten_is_searched_for_and_counted(mine, monkeypatch):
    def meanwhile(*given):
        found = taken_out(*given)
        with FeedbackStore(mine / "feedback.sqlite") as store, MemoryStore(mine / "memory.sqlite") as memory:
            if "late" not in [one.inference for one in store.answers()] and HERS not in said_before:
                said_before.append(HERS)
                store.answered(answer("late", "is that so?", question=LATE, rater=ANN))
                store.write([], [said("comment", "the ZEBRA came back", "late", rater="bob")])
                memory.add(ANN, "under the mat lies the key")
                texts = (LATE, "the ZEBRA came back", "under the mat lies the key")
                (mine / "new.log").write_text("".join(f"{text}\n" for text in texts) + OTHER)
        return found

    said_before = []
    monkeypatch.setattr("strop.assistant.forgetting.taken_out", meanwhile)
    found = forget(mine, [ANN])
    assert (found.answers, found.feedback, found.facts) == (2, 2, 2)
    assert "new.log" in found.copies
    assert (mine / "new.log").read_text() == OTHER
    assert "new.log" not in found.left
