"""What was written before people had keys is no key's person's: it is told, and can be forgotten."""

import hashlib
from dataclasses import replace

import pytest

from feedback_people import answer, compared, said
from learnt import learnt
from strop.assistant import FeedbackStore, MemoryStore, forget
from strop.assistant.keys import Keys
from strop.assistant.settings import read_settings, write_settings

SESSION = hashlib.sha256(b"k" * 40).hexdigest()
BEFORE = ("the spare key lies under the mat", "where is the zebra of the browser?", "is anybody there at all?")
OF_BOB = "the weather is fine, says bob"


@pytest.fixture
def mine(tmp_path):
    """Bob has a key; before, a browser was answered and wanted something remembered, and so did who gave no name."""
    path = learnt(tmp_path / "mine")
    with FeedbackStore(path / "feedback.sqlite") as store, MemoryStore(path / "memory.sqlite") as memory:
        store.erasing.erase(store.erasing.before(1e12), is_retiring=True)
        asked = {"browser-1": BEFORE[1], "anonymous": BEFORE[2], "bob": OF_BOB, "carl": OF_BOB}
        store.write([answer(who, "so", question=text, rater=who) for who, text in asked.items()], [])
        store.write([], [said("thumb", True, "bob", rater="browser-1")])
        store.prepared([answer(one, one, question=OF_BOB, rater="") for one in ("a", "b")], is_fixed=True)
        store.write([], [compared("a", "b", "A", rater="bob")])
        memory.add(SESSION, BEFORE[0])
        memory.add("bob", "bob likes tea with milk")
    write_settings(path, replace(read_settings(path), trusted=["carl"]))
    Keys(path).add("bob")
    return path


def holding(folder, texts):
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.name for file in files if any(text.encode() in file.read_bytes() for text in texts)}


def test_forgetting_anybody_tells_what_no_keys_person_has(mine):
    """Two answers, one thumb and one fact; what the server prepared is nobody's, and carl is trusted."""
    assert forget(mine, ["zoe"], dry_run=True).keyless == forget(mine, ["zoe"]).keyless == 4
    assert holding(mine, BEFORE) == {"feedback.sqlite", "memory.sqlite"}


def test_it_is_forgotten_and_what_others_have_is_not(mine):
    planned = forget(mine, [], without_keys=True, dry_run=True)
    found = forget(mine, [], without_keys=True)
    assert (planned.answers, planned.feedback, planned.facts, planned.keyless) == (2, 1, 1, 4)
    assert (found.answers, found.feedback, found.facts, found.keyless) == (2, 1, 1, 0)
    assert (holding(mine, BEFORE), found.left) == (set(), ())
    with FeedbackStore(mine / "feedback.sqlite") as store, MemoryStore(mine / "memory.sqlite") as memory:
        assert [one.inference for one in store.answers()] == ["bob", "carl", "a", "b"]
        assert [one.kind for one in store.feedback()] == ["comparison"]
        assert len(memory.facts("bob")) == 1
    assert [one.name for one in Keys(mine).all()] == ["bob"]


def test_each_of_them_goes_by_their_own_name_too(mine):
    assert forget(mine, ["browser-1", "k" * 40]).keyless == 1
    assert forget(mine, ["anonymous"]).keyless == 0


def test_where_nobody_has_a_key_nobody_is_without_one(mine):
    (mine / "keys.json").unlink()
    assert forget(mine, ["zoe"]).keyless == 0
    with pytest.raises(ValueError, match="there never were keys here, so all are without one: say who is forgotten"):
        forget(mine, [], without_keys=True)
    assert holding(mine, BEFORE) == {"feedback.sqlite", "memory.sqlite"}


def test_a_call_that_was_killed_after_the_last_key_went_is_completed_by_the_same_one(mine, monkeypatch):
    """Bob is forgotten, whose key was the only one, with all who have none."""

    def killed(*given):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("strop.assistant.erasing.Erasing.of_people", killed)
        with pytest.raises(SystemExit):
            forget(mine, ["bob"], without_keys=True)
    assert Keys(mine).all() == []
    found = forget(mine, ["bob"], without_keys=True)
    assert (found.answers, found.facts, found.keyless) == (3, 2, 0)
    with FeedbackStore(mine / "feedback.sqlite") as store:
        assert [one.inference for one in store.answers()] == ["carl", "a", "b"]
