"""Round after round: what begins one, what a failure does, and that one process learns at a time."""

import re

import pytest

from feedback_people import answer, said
from strop.assistant import Manifest, Settings, Versions, continual, decide, first_manifest, learning
from strop.assistant.believed import believing
from strop.assistant.continual import GaveUp, When, learn_continually
from strop.assistant.feedback import FeedbackStore
from strop.assistant.home import Assistant
from strop.assistant.learning import Learnt, NothingToLearn
from strop.assistant.settings import write_settings

FOUND = Learnt(1, "waiting", 0, decide([]))


class Clock:
    """Waits take no time: each is written down, and does what comes next. After the last one Ctrl-C comes."""

    def __init__(self, *acts):
        self.acts, self.waits, self.now = list(acts), [], 1000.0

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        if not self.acts:
            raise KeyboardInterrupt
        self.acts.pop(0)()


@pytest.fixture
def mine(tmp_path):
    write_settings(tmp_path, Settings())
    versions = Versions(tmp_path)
    with versions.adding(first_manifest("smollm2", "smollm2")):
        pass
    versions.start()
    return Assistant(tmp_path)


def thumbs(mine, number, name):
    """People say so much."""
    with FeedbackStore(mine.path / "feedback.sqlite") as store:
        for i in range(number):
            store.write([answer(f"{name}{i}")], [said("thumb", True, f"{name}{i}")])


@pytest.fixture
def learner(mine, monkeypatch):
    """Learns by rounds that are as they are told to be, until Ctrl-C; what it said, and what the rounds came to."""

    def start(when, rounds, clock):
        told, learnt, left = [], [], list(rounds)

        def one_round(*_):
            told.append("ROUND")
            outcome = left.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            if callable(outcome):
                outcome()
            return FOUND

        monkeypatch.setattr(continual, "one_round", one_round)
        monkeypatch.setattr(continual.time, "monotonic", lambda: clock.now)
        with pytest.raises((KeyboardInterrupt, GaveUp)) as ended:
            learn_continually(mine.path, when, tell=told.append, learnt=learnt.append, wait=clock.wait)
        return told, learnt, ended

    return start


def test_a_round_begins_after_so_much_new_feedback_and_the_next_after_as_much_again(mine, learner):
    thumbs(mine, 2, "before ")
    clock = Clock(lambda: thumbs(mine, 1, "a"), lambda: thumbs(mine, 2, "b"), lambda: thumbs(mine, 3, "c"))
    told, learnt, ended = learner(When(after=3), [FOUND, FOUND], clock)
    assert told == [
        "waits for 3 new pieces of feedback: 2 so far",
        "a round begins: there are 3 new pieces of feedback",
        "ROUND",
        "waits for 3 new pieces of feedback: 0 so far",
        "a round begins: there are 5 new pieces of feedback",
        "ROUND",
        "waits for 3 new pieces of feedback: 0 so far",
    ]
    assert learnt == [FOUND, FOUND]
    assert ended.type is KeyboardInterrupt


def test_feedback_that_comes_while_a_round_learns_counts_for_the_next(mine, learner):
    thumbs(mine, 3, "a")
    told, _, _ = learner(When(after=3), [lambda: thumbs(mine, 2, "b")], Clock())
    assert told[-1] == "waits for 3 new pieces of feedback: 2 so far"


def test_by_the_clock_the_first_round_is_at_once_and_the_next_so_long_after_it_began(learner):
    clock = Clock(*[lambda: None] * 5)
    told, learnt, _ = learner(When(every=12.0), [FOUND] * 4, clock)
    assert told[:3] == ["a round begins: the learner was started", "ROUND", "waits 12 s for the next round"]
    assert "a round begins: it is 15 s since the last round began" in told  # it looks every 5 s
    assert len(learnt) == 2
    assert clock.waits == [5.0] * 6


def test_too_little_to_learn_is_no_failure(learner):
    clock = Clock(*[lambda: None] * 20)
    told, learnt, ended = learner(When(every=5.0), [NothingToLearn(f"has {i} new lessons") for i in range(30)], clock)
    assert (learnt, ended.type) == ([], KeyboardInterrupt)
    assert told.count("ROUND") == 21
    assert "has 7 new lessons" in told


def test_a_round_that_fails_is_told_and_tried_again_and_three_in_a_row_end_it(mine, learner):
    thumbs(mine, 20, "a")
    clock = Clock(*[lambda: None] * 20)
    broken = RuntimeError("no memory left")
    told, learnt, ended = learner(When(after=20), [broken, broken, FOUND], clock)
    assert [line for line in told if "failed" in line] == [
        "the round failed, 1 of 3 in a row: RuntimeError: no memory left",
        "a round begins: the last one failed",
        "the round failed, 2 of 3 in a row: RuntimeError: no memory left",
        "a round begins: the last one failed",
    ]
    assert (learnt, ended.type, clock.waits[:2]) == ([FOUND], KeyboardInterrupt, [60.0, 60.0])

    thumbs(mine, 20, "b")
    told, learnt, ended = learner(
        When(after=20),
        [broken, FOUND, broken, broken, broken],
        Clock(lambda: None, lambda: thumbs(mine, 20, "c"), lambda: None, lambda: None),
    )
    assert (len(learnt), ended.type) == (1, GaveUp)
    assert "3 rounds failed in a row, the last one with RuntimeError: no memory left" in str(ended.value)


def test_one_process_learns_and_others_may_roll_back(mine):
    with mine.learner():
        for begin in (
            lambda: learn_continually(mine.path, When(after=1), tell=print, learnt=print),
            lambda: continual.Assistant(mine.path).learner().__enter__(),
        ):
            with pytest.raises(ValueError, match=re.compile(r"rounds is being written by process \d+")):
                begin()
        with mine.lock():
            mine.versions.rollback(0)


@pytest.mark.parametrize(
    "given", [{}, {"after": 3, "every": 2.0}, {"after": 0}, {"every": 0.0}, {"every": float("inf")}]
)
def test_one_thing_says_when(given):
    with pytest.raises(ValueError, match=r"after=|every="):
        When(**given)


def test_a_rollback_while_a_round_learns_is_not_undone(mine):
    versions, good = mine.versions, decide([1.0] * 60)
    for number in (1, 2):
        with versions.adding(Manifest(number=number, parent=number - 1, model="smollm2", origin="a round", when=0.0)):
            pass
    versions.judged(1, good)
    versions.promote(1)
    versions.rollback(0)
    with mine.feedback() as store:
        round = learning._Round(mine, mine.settings, store, believing(mine, store), "people", print, False)
        with pytest.raises(ValueError, match="version 2 was compared with version 1, and version 0 serves now"):
            round._closed(2, good)
    assert (versions.serving, versions.manifest(2).verdict) == (0, None)
