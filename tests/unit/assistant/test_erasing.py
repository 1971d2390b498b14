"""What goes with a conversation that is taken back, and what stays: what others said of what was not made of it."""

import sqlite3

import pytest

from feedback_people import answer, compared, said
from strop.assistant import FeedbackStore
from strop.assistant.tables import MIGRATIONS


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as opened:
        yield opened


def left(store, conversation="talk of hers"):
    """The answers and the feedback that stay after this conversation is taken back."""
    store.erasing.erase(store.erasing.of_conversation(conversation), is_retiring=False)
    return [one.inference for one in store.answers()], [one.id for one in store.feedback()]


def test_answers_of_others_to_the_same_question_stay_with_what_was_said_of_them(store):
    """Also of who gave no name, as programs do: they are not the server's own."""
    store.write([answer("hers"), answer("theirs", rater=""), answer("his", rater="bob")], [])
    store.write([], [said("thumb", True, "hers"), said("comment", "nice", "theirs"), said("thumb", False, "his")])
    assert left(store) == (["theirs", "his"], ["ann comment theirs", "ann thumb his"])


def test_what_was_prepared_to_a_question_goes_with_the_last_who_asked_it(store):
    store.write([answer("hers"), answer("his", rater="bob")], [])
    store.prepared([answer("a", "1", rater=""), answer("b", "2", rater="")], is_fixed=False)
    store.write([], [compared("a", "b", "A", rater="carl")])
    assert left(store) == (["his", "a", "b"], ["carl a b"])
    assert left(store, "talk of his") == ([], [])


def test_what_is_prepared_while_it_is_deleted_goes_too(store):
    """Also where two who asked the same are taken back at once: neither leaves it to the other."""
    store.write([answer("hers"), answer("his", rater="bob")], [])
    hers, his = (store.erasing.of_conversation(f"talk of {one}") for one in ("hers", "his"))
    store.prepared([answer("a", "1", rater=""), answer("b", "2", rater="")], is_fixed=False)
    store.write([], [compared("a", "b", "A", rater="carl")])
    store.pairs.add("a", "b", seldom=0.5)
    store.erasing.erase(hers, is_retiring=False)
    assert [one.inference for one in store.answers()] == ["his", "a", "b"]
    store.erasing.erase(his, is_retiring=True)
    assert (store.answers(), store.feedback(), store.pairs.all()) == ([], [], [])
    assert store.erasing.left() == {"carl a b": True}


@pytest.mark.parametrize("kind", ["thumb", "comparison"])
def test_what_others_say_of_it_while_it_is_deleted_goes_too(store, kind):
    """Chosen, said of, erased: also where it is the second of two that were compared."""
    store.write([answer("hers"), answer("his", rater="bob")], [])
    chosen = store.erasing.of_conversation("talk of hers")
    of_both = compared("his", "hers", "A", rater="bob", id="late")
    store.write([], [of_both if kind == "comparison" else said("thumb", True, "hers", rater="bob", id="late")])
    gone = store.erasing.erase(chosen, is_retiring=False)
    assert (gone.answers, gone.feedback) == (("hers",), ("late",))
    assert ([one.inference for one in store.answers()], store.feedback()) == (["his"], [])
    assert store.erasing.left() == {"late": False}


def test_what_people_say_while_they_are_forgotten_goes_too(store):
    store.write([answer("hers"), answer("his", rater="bob")], [])
    [name] = {one.rater for one in store.answers()} - {store.people.hashed("bob")}
    chosen = store.erasing.of_people([name])
    store.write([answer("new")], [said("thumb", True, "his", id="of his"), said("thumb", True, "new", rater="bob")])
    gone = store.erasing.erase(chosen, is_retiring=True)
    assert (gone.answers, gone.feedback) == (("hers", "new"), ("of his", "bob thumb new"))
    assert ([one.inference for one in store.answers()], store.feedback()) == (["his"], [])


def test_what_others_asked_is_looked_up_and_not_searched_for(store):
    [row] = store._connection.execute("EXPLAIN QUERY PLAN SELECT 1 FROM answers WHERE messages = ?", ("x",)).fetchall()
    assert "USING" in row["detail"]
    assert "answers_by_messages" in row["detail"]


def test_what_was_prepared_to_a_fixed_question_stays_whoever_asks_it(store):
    store.prepared([answer("a", "1", rater=""), answer("b", "2", rater="")], is_fixed=True)
    store.write([answer("hers")], [compared("a", "b", "A", rater="carl")])
    assert left(store) == (["a", "b"], ["carl a b"])


def test_of_an_older_file_what_the_server_prepared_is_known_by_its_conversation(tmp_path):
    path = tmp_path / "old.sqlite"
    connection = sqlite3.connect(path)
    for migrate in MIGRATIONS[:3]:
        migrate(connection)
    columns = "inference, conversation, version, messages, text, tokens, logprobs, time, rater"
    for inference, conversation, rater, question in (
        ("hers", "talk", "person-" + "a" * 32, "one"),
        ("hers too", "talk", "person-" + "a" * 32, "two"),
        ("hers as well", "talk", "person-" + "a" * 32, "three"),
        ("prepared", "pair-" + "0f" * 12, "", "one"),
        ("theirs", "talk of theirs", "", "two"),
        ("named", "pair-of-shoes", "", "three"),
    ):
        asked = f'[{{"role": "user", "content": "{question}"}}]'
        row = (inference, conversation, 0, asked, "x", b"", b"", 1.0, rater)
        connection.execute(f"INSERT INTO answers ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("PRAGMA user_version = 3")
    connection.commit()
    connection.close()
    with FeedbackStore(path) as store:
        assert left(store, "talk")[0] == ["theirs", "named"]


def test_what_was_asked_before_somebody_was_forgotten_is_not_kept(store):
    """As an answer that a server has under way while another process forgets."""
    asked = store.erasing.forgettings()
    with FeedbackStore(store.path) as other:
        other.erasing.forget_under_way()
    with pytest.raises(ValueError, match="it was asked before somebody was forgotten"):
        store.write([answer("one")], [], asked=asked)
    assert store.answers() == []
    store.write([answer("two")], [], asked=store.erasing.forgettings())
    store.write([answer("three")], [])  # an import is of now
    assert [one.inference for one in store.answers()] == ["two", "three"]
