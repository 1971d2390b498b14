"""What feedback teaches, and its way out to TRL's formats and back."""

import json
import sqlite3
from contextlib import closing

import pytest

from feedback_people import answer, compared, said
from strop.assistant import FeedbackStore, export_feedback, import_feedback, lessons_of
from strop.assistant.lessons import liked
from strop.data import from_file

HELLO = [{"role": "user", "content": "say hello"}]


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as made:
        made.write([answer("one", "hello"), answer("two", "go away"), answer("none", "")], [])
        made.write([answer("later", "bye", conversation="talk of one")], [])
        yield made


def taught(store):
    lessons = lessons_of(store, store.feedback())
    return {
        "thumbs": [(one.task.data["completion"], one.task.data["label"]) for one in lessons.thumbs],
        "pairs": [(one.task.data["chosen"], one.task.data["rejected"]) for one in lessons.pairs],
        "demonstrations": [one.task.answer for one in lessons.demonstrations],
        "ratings": [(one.task.data["steps"][0], one.task.data["labels"][0]) for one in lessons.ratings],
    }


def test_what_each_kind_teaches(store):
    store.write(
        [],
        [
            said("thumb", False, "two"),
            said("rating", 0.9, "one"),
            said("comment", "nice", "one"),
            said("demonstration", "hello there", "two"),
            said("demonstration", "hello!", "none"),
            compared("two", "one", "B"),
            compared("two", "one", "same", rater="bob"),
            compared("one", "two", "both bad", rater="cem"),
        ],
    )
    assert taught(store) == {
        "thumbs": [("go away", False)],
        "pairs": [("hello there", "go away"), ("hello", "go away")],
        "demonstrations": ["hello there", "hello!"],
        "ratings": [],  # a single one is its person's mean
    }


def test_a_thumb_for_a_conversation_is_for_each_of_its_answers(store):
    store.write([], [said("thumb", True, None, conversation="talk of one")])
    assert taught(store)["thumbs"] == [("hello", True), ("bye", True)]


def test_a_rating_is_good_or_bad_beside_what_its_person_gives(store):
    store.write(
        [],
        [
            said("rating", 0.9, "one"),
            said("rating", 0.7, "two"),  # below ann's mean of .8
            said("rating", 0.3, "one", rater="bob"),
            said("rating", 0.1, "two", rater="bob"),
            said("rating", 0.2, "later", rater="bob"),  # bob's mean
            said("rating", 1, None, conversation="talk of one", rater="cem"),
            said("rating", 0, "two", rater="cem"),
            said("rating", 0, "none", rater="cem"),  # an answer without text
        ],
    )
    assert taught(store)["ratings"] == [
        ("hello", True),
        ("go away", False),
        ("hello", True),
        ("go away", False),
        ("hello", True),
        ("bye", True),
        ("go away", False),
    ]


def test_what_people_liked_is_what_they_wrote_chose_and_thumbed_up_once_for_each_of_them(store):
    store.write(
        [],
        [
            said("thumb", True, "one"),
            said("thumb", False, "later"),
            compared("one", "two", "A"),  # ann again, of the same text
            compared("one", "two", "A", rater="bob"),
            said("demonstration", "hello there", "two"),  # also the chosen one of a pair
            compared("two", "one", "A", rater="cem"),
            said("thumb", False, "two", rater="cem"),  # the better one, and bad
            said("thumb", True, "one", rater="dan"),
            said("demonstration", "hi", "one", rater="dan"),  # good, and not the best
        ],
    )
    found = {(one.rater, one.task.answer) for one in liked(lessons_of(store, store.feedback()))}
    liked_by = {("ann", "hello there"), ("ann", "hello"), ("bob", "hello"), ("dan", "hi")}
    assert found == {(store.people.hashed(name), text) for name, text in liked_by}


def test_the_last_word_of_a_person_counts(store):
    store.write(
        [],
        [
            said("thumb", True, "one", id="1"),
            compared("one", "two", "A", id="2"),
            said("thumb", True, "one", rater="bob", id="3"),
            said("thumb", False, "one", id="4"),
            compared("two", "one", "A", id="5"),
        ],
    )
    assert taught(store)["thumbs"] == [("hello", True), ("hello", False)]
    assert taught(store)["pairs"] == [("go away", "hello")]
    assert lessons_of(store, store.feedback()).feedback == ["3", "4", "5"]


def test_the_formats_of_trl(store, tmp_path):
    store.write([], [said("thumb", False, "two"), said("demonstration", "hi", "two"), compared("one", "two", "A")])
    lines = {}
    for form in ("kto", "dpo", "sft"):
        number = export_feedback(store, tmp_path / f"{form}.jsonl", form)
        lines[form] = [json.loads(line) for line in (tmp_path / f"{form}.jsonl").read_text().splitlines()]
        assert number == len(lines[form])

    def says(text):
        return [{"role": "assistant", "content": text}]

    assert lines["kto"] == [{"prompt": HELLO, "completion": says("go away"), "label": False}]
    assert lines["dpo"] == [
        {"prompt": HELLO, "chosen": says("hi"), "rejected": says("go away")},
        {"prompt": HELLO, "chosen": says("hello"), "rejected": says("go away")},
    ]
    assert lines["sft"] == [{"messages": HELLO + says("hi")}]
    assert len(from_file(tmp_path / "dpo.jsonl")) == 2  # strop train reads them, too


@pytest.mark.parametrize("form", ["kto", "dpo", "sft"])
def test_what_went_out_comes_in_as_the_same_lessons(store, tmp_path, form):
    store.write([], [said("thumb", False, "two"), said("demonstration", "hi", "none"), compared("one", "two", "A")])
    export_feedback(store, tmp_path / "out.jsonl", form)
    with FeedbackStore(tmp_path / "other.sqlite") as other:
        assert import_feedback(other, tmp_path / "out.jsonl", "bob") == 1
        kind = {"kto": "thumbs", "dpo": "pairs", "sft": "demonstrations"}[form]
        assert taught(other)[kind] == taught(store)[kind]
        assert {one.rater for one in other.feedback()} == {other.people.hashed("bob")}
        assert {one.version for one in other.answers()} == {None}


def test_one_broken_line_keeps_everything_out(store, tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"prompt": "say", "completion": "hello", "label": true}\n'
        '{"prompt": "say", "completion": "hello"}\n'
        '{"prompt": "say", "answer": "x", "chosen": "y", "rejected": "z"}\n'
    )
    with pytest.raises(ValueError, match=r"2 of 3 rows are broken(?s:.*)row 2(?s:.*)row 3"):
        import_feedback(store, tmp_path / "in.jsonl", "bob")
    assert store.counts() == {"answers": 4}


def test_what_is_withdrawn_while_it_is_read_is_read_whole(tmp_path):
    path = tmp_path / "feedback.sqlite"
    with FeedbackStore(path) as store, closing(sqlite3.connect(path)) as other:
        store.write([answer("a")], [said("thumb", True, "a")])
        with store.reading():
            feedback = store.feedback()
            with other:
                other.execute("DELETE FROM feedback")
                other.execute("DELETE FROM answers")
            with store.reading():  # part of the one around it
                assert len(lessons_of(store, feedback).thumbs) == 1
            assert len(store.feedback()) == 1
        assert store.feedback() == []
        with pytest.raises(KeyError, match="no inference"):
            lessons_of(store, feedback)


def test_a_reading_that_fails_lets_others_write(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        with pytest.raises(ZeroDivisionError), store.reading():
            1 / 0  # noqa: B018
        store.answered(answer("a"))
        assert store.counts()["answers"] == 1
