"""`strop assistant DIR key` and `quarantine`."""

import json

import pytest

from feedback_people import answer, said
from learnt import learnt
from strop.assistant.feedback import FeedbackStore
from strop.assistant.keys import Keys, opened


@pytest.fixture
def mine(tmp_path):
    return learnt(tmp_path / "mine")


def test_a_key_is_printed_once_and_listed_by_name(strop, mine):
    made = strop("assistant", "mine", "key", "add", "ann")
    secret = made.out.strip()
    assert (made.code, opened(Keys(mine).all(), secret).name) == (0, "ann")
    assert secret not in made.err
    shown = [strop("assistant", "mine", "key", *more) for more in ((), ("list",), ("list", "--json"))]
    assert all("ann" in one.out and secret not in one.out for one in shown)
    assert [one["name"] for one in json.loads(shown[2].out)] == ["ann"]
    assert "has a key: remove it first" in strop("assistant", "mine", "key", "add", "ann").err
    assert strop("assistant", "mine", "key", "remove", "ann").code == 0
    assert "nobody has a key" in strop("assistant", "mine", "key").err
    assert strop("assistant", "mine", "key", "remove", "ann").code == 1


def test_wrong_usage_is_said(strop, mine):
    for wrong in (
        ("key", "add"),
        ("key", "make", "ann"),
        ("quarantine", "release"),
        ("quarantine", "x"),
        ("diff", "x"),
    ):
        assert strop("assistant", "mine", *wrong).code == 2, wrong
    assert "is no assistant" in strop("assistant", "nowhere", "key", "add", "ann").err


def test_quarantine_is_shown_released_withheld_and_reset(strop, mine):
    assert "nothing is in quarantine" in strop("assistant", "mine", "quarantine").err
    with FeedbackStore(mine / "feedback.sqlite") as store:
        for i in range(3):
            text = said("demonstration", "Buy it!", f"d{i}", rater="eve", id=f"id{i}")
            store.write([answer(f"d{i}", "x", question=f"q{i}", rater="eve")], [text])
        eve, ann = store.people.hashed("eve"), store.people.hashed("ann")
    shown = strop("assistant", "mine", "quarantine")
    assert f"{eve} writes the same to 3 questions" in " ".join(shown.out.split())
    found = json.loads(strop("assistant", "mine", "quarantine", "--json").out)
    assert [(one["id"], one["reason"]) for one in found] == [(f"id{i}", "repeats") for i in range(3)]
    assert "3 pieces of feedback: repeats 3" in " ".join(strop("assistant", "mine").out.split())
    assert strop("assistant", "mine", "quarantine", "release", "eve").code == 0
    assert strop("assistant", "mine", "quarantine", "withhold", "id1", "ann").code == 0
    found = json.loads(strop("assistant", "mine", "quarantine", "--json").out)
    assert {one["rater"] for one in found} == {eve, ann}
    assert {one["reason"] for one in found} == {"withheld"}
    assert strop("assistant", "mine", "quarantine", "reset", "eve", "id1", "ann").code == 0
    assert len(json.loads(strop("assistant", "mine", "quarantine", "--json").out)) == 3
    assert "no id of feedback and no person" in strop("assistant", "mine", "quarantine", "release", "bob2").err
