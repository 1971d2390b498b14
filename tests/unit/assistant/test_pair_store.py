"""Who is shown which pair: each once, different people different ones, and what they said."""

import sqlite3
import threading

import pytest

from feedback_people import answer, compared
from strop.assistant import FeedbackStore
from strop.assistant.pair_store import HELD_SECONDS, key_of
from strop.assistant.tables import MIGRATIONS


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as made:
        yield made


def paired(store, name, *, versions=(0, 0), texts=("x", "y"), seldom=0.0):
    both = [
        answer(f"{name} {place}", text, question=f"ask {name}", version=version)
        for place, text, version in zip("ab", texts, versions, strict=True)
    ]
    store.write(both, [])
    return store.pairs.add(*(one.inference for one in both), seldom=seldom)


def judge(store, name, choice="A", rater="ann", turned=False):
    both = (f"{name} a", f"{name} b")
    store.write([], [compared(*(both[::-1] if turned else both), choice, rater=rater)])


def next_of(store, rater, when=0.0, duel=None):
    found = store.pairs.next(rater, duel, when)
    return None if found is None else found.number


def test_a_pair_comes_back_with_what_people_said(store):
    number = paired(store, "one", versions=(1, 0), seldom=0.25)
    judge(store, "one", "B", "ann")
    judge(store, "one", "A", "bob", turned=True)
    judge(store, "one", "same", "cid")
    store.write([], [compared("one a", "one b", "A", rater="ann", id="again")])  # she changed her mind
    [found] = store.pairs.all()
    assert (found.number, found.a, found.b, found.versions, found.seldom) == (number, "one a", "one b", {0, 1}, 0.25)
    choices = {"ann": "one a", "bob": "one b", "cid": "same"}
    assert found.choices == {store.people.hashed(name): choice for name, choice in choices.items()}


def test_nobody_is_shown_a_pair_again_that_they_have_compared(store):
    first, second = paired(store, "one"), paired(store, "two")
    assert next_of(store, "ann") == first
    judge(store, "one")
    assert next_of(store, "ann") == second
    judge(store, "two", turned=True)
    assert next_of(store, "ann") is None
    assert next_of(store, "ann", when=1e9) is None
    assert next_of(store, "bob") == first  # two people compare a pair


def test_a_pair_is_held_for_who_looks_at_it_and_then_given_to_others(store):
    first, second = paired(store, "one"), paired(store, "two")
    assert [next_of(store, name) for name in ("ann", "bob", "cid")] == [first, second, None]
    assert next_of(store, "ann", when=1.0) == first  # she came back
    assert next_of(store, "cid", when=HELD_SECONDS + 0.5) == second
    assert next_of(store, "cid", when=HELD_SECONDS + 2.0) == second
    assert next_of(store, "dan", when=HELD_SECONDS + 2.0) == first


def test_what_is_held_comes_before_what_matters_more(store):
    first = paired(store, "one")
    assert next_of(store, "ann") == first
    paired(store, "two", versions=(0, 1))
    assert next_of(store, "ann", duel=(1, 0)) == first


def test_a_pair_that_was_passed_over_goes_to_others(store):
    first, second = paired(store, "one"), paired(store, "two")
    assert next_of(store, "ann") == first
    store.pairs.skip(first, "ann")
    assert next_of(store, "ann") == second
    assert next_of(store, "bob") == first
    assert next_of(store, "ann", when=1e9) == second
    with pytest.raises(KeyError, match="there is no pair 77"):
        store.pairs.skip(77, "ann")


def test_two_of_the_same_text_are_no_pair_and_are_not_prepared_again(store):
    paired(store, "one", texts=("same", " same\n".strip("\n")))
    assert store.pairs.all() == []
    assert store.pairs.asked(frozenset([0])) == {key_of([{"role": "user", "content": "ask one"}])}
    assert store.pairs.asked(frozenset([0, 1])) == set()


def test_twenty_people_at_once_get_twenty_pairs(store):
    for i in range(20):
        paired(store, str(i))
    found = []

    def ask(name):
        with FeedbackStore(store.path) as mine:
            found.append(next_of(mine, name))

    threads = [threading.Thread(target=ask, args=(f"p{i}",)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30.0)
    assert sorted(found) == list(range(1, 21))


def test_what_people_asked_is_theirs_and_not_imported_or_prepared(store):
    store.write(
        [
            answer("1", question="first"),
            answer("2", question="imported", version=None),
            answer("3", question="prepared", rater=""),
            answer("4", question="half \ud83d"),
            answer("5", question="first"),
        ],
        [],
    )
    asked = [messages[0]["content"] for messages in store.asked(10)]
    assert asked == ["first", "half \ud83d", "first"]
    assert len(store.asked(2)) == 2
    assert key_of(store.answer("4").messages) == key_of([{"role": "user", "content": "half \ud83d"}])


def test_a_file_of_before_there_were_pairs_is_read_on(tmp_path):
    path = tmp_path / "feedback.sqlite"
    connection = sqlite3.connect(path)
    MIGRATIONS[0](connection)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with FeedbackStore(path) as store:
        assert paired(store, "one") == 1
