"""A run of so many minutes: it ends by them or by its steps, and a resume has the rest. The clock is the test's own."""

import pytest
from tiny_run import judge, make_parts, make_recorder, run_loop, seed_everything

from strop.rollout.engine import OfflineEngine
from strop.runs.budget import Budget
from strop.runs.directory import RunDirectory
from strop.runs.standing import INTERRUPTED, OUT_OF_TIME, standing
from strop.runs.state import same
from strop.types import Parts


class Clock:
    """Seconds that pass only where the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SlowEngine(OfflineEngine):
    """A rollout of so many seconds."""

    def __init__(self, engine, clock: Clock, seconds: float) -> None:
        self.engine, self.clock, self.seconds = engine, clock, seconds

    def publish(self, policy) -> None:
        self.engine.publish(policy)

    def rollout(self, tasks, step):
        self.clock.now += self.seconds
        return self.engine.rollout(tasks, step)


@pytest.fixture
def clock():
    return Clock()


def directory_of(tmp_path, minutes: float | None, name: str = "run") -> RunDirectory:
    return RunDirectory.create(tmp_path / name, {"steps": 10, "minutes": minutes, "algorithm": "tiny"}, {})


def train(directory: RunDirectory, clock: Clock, minutes: float | None, n: int = 10, **options) -> Parts:
    """Steps of 15 seconds, of which a minute has four; an evaluation takes an hour."""

    def slowly(parts, step):
        clock.now += 3600.0
        return judge(parts, step)

    seed_everything()
    whole = make_parts()
    engine = SlowEngine(whole.engine, clock, 15.0)
    parts = Parts(whole.policy, engine, whole.tasks, whole.memory, whole.algorithm, whole.codec)
    usual = {"evaluate": slowly, "eval_every": 3, "minutes": minutes, "clock": clock}
    with make_recorder(directory, **{**usual, **options}) as recorder:
        run_loop(parts, recorder, n)
    return parts


def test_it_ends_after_the_step_in_which_the_time_is_used_up_saved_and_judged(tmp_path, clock):
    directory = directory_of(tmp_path, 1.0)
    train(directory, clock, 1.0)
    with directory.reader() as store:
        assert [step for step, _ in store.series("held_out/reward")] == [0, 3, 4]
        assert [event.text for event in store.events()][-1] == (
            "out of time: 1 minute of training ended after 4 steps of 10. minutes=2 goes on."
        )
    assert directory.checkpoints.steps()[-1] == 4
    found = standing(directory)
    assert (found.status, found.done, found.steps, found.seconds) == (OUT_OF_TIME, 4, 10, 60.0)
    assert found.is_complete


def test_a_part_of_a_step_is_a_step(tmp_path, clock):
    directory = directory_of(tmp_path, 1.01)
    train(directory, clock, 1.01)  # 60.6 seconds: the fifth step begins in them
    assert standing(directory).done == 5


def test_steps_end_it_first_if_they_are_fewer(tmp_path, clock):
    directory = directory_of(tmp_path, 2.5)  # the time of exactly ten steps
    train(directory, clock, 2.5)
    assert standing(directory).status == "finished"
    with directory.reader() as store:
        assert not any("out of time" in event.text for event in store.events())


def test_a_resume_has_the_rest_and_equals_one_run(tmp_path, clock):
    whole = train(directory_of(tmp_path, 1.0, "whole"), clock, 1.0)
    directory = directory_of(tmp_path, 1.0)
    train(directory, clock, 1.0, n=2)
    assert standing(directory).status == INTERRUPTED
    clock.now += 86400.0  # a day in which it is stopped
    resumed = train(directory, clock, 1.0, resume=True)
    assert (standing(directory).status, standing(directory).done) == (OUT_OF_TIME, 4)
    assert same(whole.policy.state_dict(), resumed.policy.state_dict())


def test_steps_that_were_lost_cost_nothing(tmp_path, clock):
    directory = directory_of(tmp_path, 1.0)
    recorder = make_recorder(directory, minutes=1.0, clock=clock, evaluate=None)
    parts = make_parts()
    parts.engine.publish(parts.policy)
    for step in recorder.steps(parts, 10):
        if step == 2:
            break  # a kill: the checkpoint is that of the start
        clock.now += 15.0
        recorder.finish(step, parts.engine.rollout(parts.tasks, step))
    recorder.close()
    train(directory, clock, 1.0, resume=True)
    assert (standing(directory).done, standing(directory).seconds) == (4, 60.0)


def test_a_resume_after_its_end_says_so_again_and_more_minutes_go_on(tmp_path, clock):
    directory = directory_of(tmp_path, 1.0)
    before = train(directory, clock, 1.0)
    again = train(directory, clock, 1.0, resume=True)
    assert same(before.policy.state_dict(), again.policy.state_dict())
    assert standing(directory).status == OUT_OF_TIME
    train(directory, clock, 1.5, resume=True)
    assert standing(directory).done == 6


def test_a_judgement_that_a_kill_took_is_made_by_the_resume(tmp_path, clock):
    directory = directory_of(tmp_path, 1.0)

    def killed_at_the_end(parts, step):
        if step == 4:
            raise KeyboardInterrupt
        return judge(parts, step)

    with pytest.raises(KeyboardInterrupt):
        train(directory, clock, 1.0, evaluate=killed_at_the_end)
    assert not standing(directory).is_complete
    train(directory, clock, 1.0, resume=True)
    assert standing(directory).is_complete


def test_what_is_left_is_a_multiple_of_what_was_used():
    start = Budget(10.0, 60.0)
    assert start.after(30.0).left_since(start) == (600.0 - 90.0) / 30.0
    assert start.share == 0.1
    assert Budget().after(1e9).left_since(Budget()) == float("inf")
    assert not Budget().after(1e9).is_spent
