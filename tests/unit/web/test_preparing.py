"""Pairs are prepared while nobody asks, as many as are wanted, of the versions that answer; and give way to people."""

import threading
import time
from dataclasses import replace

import pytest

import served
from feedback_people import answer, compared
from strop.assistant import FeedbackStore
from strop.assistant.home import create
from strop.assistant.pairs import Pair
from strop.assistant.settings import Settings
from strop.runs.files import WriteFailed
from strop.serving.ask import Ask
from strop.web import preparing
from strop.web.preparing import Preparer, duel_of
from strop.web.server import serving

FIXED = [[{"role": "user", "content": "good day"}]]


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as made:
        yield made


@pytest.fixture
def one():
    with served.served(served.actor(has_end=False), number=0) as what:
        yield what.serves


@pytest.fixture
def two(one):
    """A version that waits, beside the one that serves."""
    with served.served(served.actor(["hello", "good", "day", "bad"], has_end=False)) as waits:
        yield [one, replace(waits.serves, number=1)]


def asks(store, *texts):
    store.write([answer(f"{i} {text}", question=text) for i, text in enumerate(texts)], [])


def test_two_answers_to_what_people_asked_become_a_pair(store, one):
    asks(store, "hello")
    preparer = Preparer(lambda: [one], store, FIXED, 5, print)
    assert preparer.one() is True
    [pair] = store.pairs.all()
    a, b = store.answer(pair.a), store.answer(pair.b)
    assert [(each.version, each.rater, each.messages[0]["content"]) for each in (a, b)] == [(0, "", "hello")] * 2
    assert (len(a.tokens), len(a.logprobs), a.seed, a.conversation) == (6, 6, b.seed - 1, b.conversation)
    assert (pair.seldom, pair.preferred, pair.versions) == (1.0, None, {0})
    assert preparer.one() is False  # it is not asked twice, and fixed questions are for two versions
    assert store.asked(9) == [[{"role": "user", "content": "hello"}]]  # prepared answers are nobody's question


def test_a_version_that_waits_and_the_one_that_serves_answer_once_each(store, two):
    assert duel_of(two) == (1, 0)
    asks(store, "bad day", "hello")
    preparer = Preparer(lambda: two, store, FIXED, 5, print, preferred=lambda prompt, a, b: 0.3)
    assert [preparer.one() for _ in range(4)] == [True, True, True, False]
    pairs = store.pairs.all()
    assert [[store.answer(one).version for one in (pair.a, pair.b)] for pair in pairs] == [[0, 1]] * 3
    asked = [store.answer(pair.a).messages[0]["content"] for pair in pairs]
    assert (sorted(asked[:2]), asked[2]) == (["bad day", "hello"], "good day")  # then what is fixed
    assert {pair.preferred for pair in pairs} == {0.3}


def test_no_more_are_prepared_than_may_wait(store, one):
    asks(store, "hello", "good", "day")
    preparer = Preparer(lambda: [one], store, FIXED, 2, print)
    assert [preparer.one() for _ in range(3)] == [True, True, False]
    [first, _] = store.pairs.all()
    store.write([], [compared(first.a, first.b, "A")])
    assert preparer.one() is True


def test_pairs_of_one_version_do_not_keep_two_from_being_compared(store, one, two):
    asks(store, "hello", "good")
    assert Preparer(lambda: [one], store, FIXED, 1, print).one() is True
    assert Preparer(lambda: two, store, FIXED, 1, print).one() is True


def test_nothing_is_prepared_while_people_are_answered(store, tmp_path):
    with served.served(served.slow(served.actor(has_end=False, max_tokens=200))) as busy:
        asks(store, "hello")
        theirs = busy.engine.ask(
            Ask(prompt=busy.serves.actor.codec.start("good"), sampling=busy.serves.actor.sampling, seed=0)
        )
        next(iter(theirs))
        assert Preparer(lambda: busy.versions, store, FIXED, 5, print).one() is False
        theirs.cancel()


def test_what_is_under_way_gives_way_to_people(store):
    slow = served.slow(served.actor(has_end=False, max_tokens=100_000))
    with served.served(slow, number=0) as what:
        asks(store, "hello")
        done = []
        thread = threading.Thread(
            target=lambda: done.append(Preparer(lambda: what.versions, store, FIXED, 5, print).one())
        )
        thread.start()
        until(lambda: what.engine.health.running == 2)
        theirs = what.engine.ask(
            Ask(prompt=what.serves.actor.codec.start("good"), sampling=what.serves.actor.sampling, seed=0)
        )
        thread.join(timeout=20.0)
        assert done == [False]
        until(lambda: what.engine.health.running == 1)  # theirs goes on
        theirs.cancel()
        assert store.pairs.all() == []
        assert len(store.answers()) == 1


def test_the_end_of_the_server_ends_it_too(store):
    with served.served(served.slow(served.actor(has_end=False, max_tokens=100_000)), number=0) as what:
        asks(store, "hello")
        preparer = Preparer(lambda: what.versions, store, FIXED, 5, print)
        thread = threading.Thread(target=preparer.one)
        thread.start()
        until(lambda: what.engine.health.running == 2)
        preparer.ending.set()
        thread.join(timeout=20.0)
        assert not thread.is_alive()


def test_what_a_version_cannot_read_is_passed_over(store):
    with served.served(served.actor(has_end=False, context=4), number=0) as what:
        asks(store, "hello", "unheard", "good good good good good")
        preparer = Preparer(lambda: what.versions, store, FIXED, 5, print)
        assert sum(preparer.one() for _ in range(4)) == 1
        assert len(preparer.left) == 2
        [pair] = store.pairs.all()
        assert store.answer(pair.a).messages[0]["content"] == "hello"


def test_a_full_disk_is_told_and_it_goes_on(store, one, monkeypatch):
    monkeypatch.setattr(preparing, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(preparing, "AFTER_FAILURE_SECONDS", 0.01)
    told = list[str]()
    preparer = Preparer(lambda: [one], store, FIXED, 5, told.append)
    failures = iter([WriteFailed(28, "No space left on device")])

    def prepare(self):
        for failure in failures:
            raise failure
        self.ending.set()
        return True

    monkeypatch.setattr(Preparer, "one", prepare)
    preparer.go_on()
    assert told == ["no answers to compare are prepared for 0.01 s: [Errno 28] No space left on device"]


@pytest.mark.parametrize("pairs", [0, 3])
def test_a_server_prepares_as_many_as_its_settings_say(tmp_path, monkeypatch, pairs):
    monkeypatch.setattr("strop.assistant.home.load", lambda model: served.actor(has_end=False))
    monkeypatch.setattr(preparing, "LOOK_SECONDS", 0.01)
    create(tmp_path / "mine", "tiny", settings=Settings(max_tokens=4, pairs=pairs), questions=["hello"] * 50, skills={})
    with serving(None, tmp_path / "mine", print) as what:
        asks(what.store, "hello", "good", "day", "bad", "you")
        if pairs:
            until(lambda: len(what.store.pairs.all()) == pairs)
    with FeedbackStore(tmp_path / "mine" / "feedback.sqlite") as store:
        found = store.pairs.all()
        assert len(found) == pairs
        assert all(isinstance(one, Pair) for one in found)
    assert "strop pairs" not in {thread.name for thread in threading.enumerate()}


def until(holds):
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("waited 20 s for it")
