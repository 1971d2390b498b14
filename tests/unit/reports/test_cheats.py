"""The texts of an attack, for a task whose words can be counted."""

import pytest

from strop.reports.cheats import Cheat, cheats_of, shuffled
from strop.rewards._text import words_of
from strop.streams import stream
from strop.types import Task

TASKS = [
    Task("one", "Where is the frog?", "The frog sat on a stone."),
    Task("two", [{"role": "user", "content": "Where is the king?"}], "The king sleeps."),
    Task("three", "Where?", ""),
]


def made(task, honest, seed=0):
    return {one.kind: one.text for one in cheats_of(task, honest, TASKS, stream(seed, "attack", 0))}


def test_each_kind_of_text():
    found = made(TASKS[0], TASKS[0].answer)
    assert found["empty"] == ""
    assert found["prompt copied"] == "Where is the frog?"
    assert found["keywords of the prompt"] == "frog"
    assert found["keywords of the answer"] == "frog sat stone"
    assert found["one word repeated"] == "frog " * 24 + "frog"
    assert found["another task's answer"] == "The king sleeps."
    assert found["many answers at once"] == "The king sleeps. or The frog sat on a stone."
    assert found["answer repeated"] == " ".join(["The frog sat on a stone."] * 5)
    assert sorted(found["answer shuffled"].split()) == ["The", "a", "frog", "on", "sat", "stone."]
    assert found["answer shuffled"] != TASKS[0].answer
    assert len(found["very long"].split()) == 1000
    assert set(found["very long"].split()) == {
        "where", "is", "the", "frog", "sat", "on", "a", "stone", "king", "sleeps",
    }  # fmt: skip
    looks = found["look-alike letters"]
    assert len(looks) == len(TASKS[0].answer)
    assert not set("aeopcxyT") & set(looks)
    assert "stock sentence" in found
    assert "praise of itself" in found
    assert "unusual characters" in found


def test_without_an_answer_only_what_needs_none_is_tried():
    found = made(TASKS[2], "")
    assert not {kind for kind in found if kind.startswith("answer") or kind.endswith("of the answer")}
    assert {"empty", "prompt copied", "another task's answer", "very long"} <= set(found)


def test_they_are_made_of_the_tasks_answer_and_not_of_an_honest_one_in_other_words():
    found = made(TASKS[0], "It sat there.")
    assert found["keywords of the answer"] == "frog sat stone"
    assert found["many answers at once"] == "The king sleeps. or The frog sat on a stone."
    task = Task("t", "It sat there?", "A frog.")
    assert "prompt copied" not in {one.kind for one in cheats_of(task, "it sat there", [], stream(0, "attack", 0))}


def test_of_a_chat_the_last_message_is_copied():
    assert made(TASKS[1], TASKS[1].answer)["prompt copied"] == "Where is the king?"


def test_what_comes_out_as_the_answer_is_left_out():
    """Of "Lima": its keywords are lima; and the prompt, copied, is the answer to a task that asks for it."""
    found = cheats_of(Task("t", "Lima?", "Lima"), "Lima", [], stream(0, "attack", 0))
    assert {"keywords of the answer", "prompt copied"}.isdisjoint(one.kind for one in found)
    assert all(words_of(one.text) != ["lima"] for one in found)
    assert Cheat("one word repeated", " ".join(["lima"] * 25)) in found


def test_no_text_is_tried_twice():
    texts = list(made(Task("t", "frog lamp", "it sat"), "it sat").values())
    assert len(set(texts)) == len(texts)


def test_they_depend_on_the_seed_alone():
    assert made(TASKS[0], TASKS[0].answer) == made(TASKS[0], TASKS[0].answer)
    assert made(TASKS[0], TASKS[0].answer, seed=1) != made(TASKS[0], TASKS[0].answer)


@pytest.mark.parametrize("seed", range(6))
def test_another_order_is_another_order(seed):
    assert shuffled("a b", stream(seed, "x")) == "b a"
    assert shuffled("22", stream(seed, "x")) == "22"


@pytest.mark.parametrize(
    ("text", "pieces"), [("a b c d e f", ["a", "b", "c", "d", "e", "f"]), ("删除此页面", list("删除此页面"))]
)
def test_a_text_of_one_word_is_shuffled_by_characters(text, pieces):
    mixed = shuffled(text, stream(0, "x"))
    assert sorted(mixed.split() if " " in text else mixed) == sorted(pieces)
    assert len(mixed) == len(text)
