"""The queue by hand, and its optimum by a slow recursion."""

from functools import cache

import numpy as np
import pytest

from strop.environments import Allocate
from strop.environments.allocate import JOBS, Queues, job_gaps, queue_states, queue_transitions
from strop.planning import backward_induction, mdp_of
from strop.types import End, Task

DAY = [[0, "long film"], [1, "short text"], [0, "long film"], [2, "long text"]]


def queue(seed=0, **data):
    return Allocate(Task("1", "", data={"machines": 2, **data}), np.random.default_rng(seed))


def test_a_day_by_hand():
    game = queue(day=DAY)
    start = game.start()
    assert start.text == "job long film\nold 0\nfast 0\nleft 4"
    assert list(start.choices) == ["old", "fast", "away"]  # 6 minutes on the old one are just in time
    step = game.step("old")
    assert (step.text, step.reward) == ("job short text\nold 5\nfast 0\nleft 3", 0.0)  # worth 1 - 6/6
    assert list(step.choices) == ["fast", "away"]  # the old one would be done after 7 minutes
    step = game.step("fast")
    assert (step.text, step.reward) == ("job long film\nold 5\nfast 1\nleft 2", pytest.approx(5 / 6))
    step = game.step("fast")
    assert (step.text, step.reward) == ("job long text\nold 3\nfast 1\nleft 1", pytest.approx(3 / 6))
    last = game.step("fast")
    assert (last.text, last.reward, last.end) == ("", pytest.approx(3 / 6), End.TERMINATED)


def test_what_is_no_choice_is_answered_and_its_job_sent_away():
    game = queue(day=DAY)
    step = game.step("nobody")
    assert (step.text, step.reward) == ("illegal\njob short text\nold 0\nfast 0\nleft 3", 0.0)
    step = game.step("away")
    assert step.text == "job long film\nold 0\nfast 0\nleft 2"
    assert Queues.read("illegal\n" + step.text) == Queues("long film", {"old": 0, "fast": 0}, 2)


def test_all_players_meet_the_same_day():
    def jobs(action):
        game, seen = queue(3, machines=4, jobs=9), []
        step = game.start()
        while step.end is None:
            seen.append(Queues.read(step.text).job)
            step = game.step(action)
        return seen

    assert jobs("fast") == jobs("away")
    assert len(jobs("away")) == 9


def test_as_many_more_jobs_come_as_there_are_machines():
    assert job_gaps(2) == {0: 0.0, 1: 1.0}
    assert sum(gap * chance for gap, chance in job_gaps(4).items()) == pytest.approx(0.5)


def test_the_optimum_is_that_of_a_slow_recursion():
    minutes = {"short text": (2, 1), "long text": (4, 2), "short film": (3, 1), "long film": (6, 2)}

    @cache
    def value(old, fast, left):  # before the next job comes, which it does after a minute
        if left == 0:
            return 0.0
        old, fast = max(0, old - 1), max(0, fast - 1)
        best = []
        for on_old, on_fast in minutes.values():
            worth = [value(old, fast, left - 1)]
            if old + on_old <= 6:
                worth.append(1 - (old + on_old) / 6 + value(old + on_old, fast, left - 1))
            if fast + on_fast <= 6:
                worth.append(1 - (fast + on_fast) / 6 + value(old, fast + on_fast, left - 1))
            best.append(max(worth))
        return sum(best) / 4

    solved = backward_induction(mdp_of(queue_transitions(2), 0), 12)
    number = {state: i for i, state in enumerate(queue_states(2))}
    for jobs in (1, 2, 5, 12):
        mean = np.mean([solved.value_HS[jobs, number[job, (0, 0)]] for job in JOBS])
        assert mean == pytest.approx(value(0, 0, jobs))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="2 to 4"):
        queue(machines=5, jobs=3)
    with pytest.raises(ValueError, match="the jobs are short text"):
        queue(day=[[0, "short nap"]])
    with pytest.raises(ValueError, match="one job at least"):
        queue(jobs=0)
