"""The recorder: schedule, resume, disk policy, Ctrl-C."""

import math
import os
import signal

import numpy as np
import pytest
import torch
from tiny_run import judge, make_batch, make_episode, make_parts, make_recorder, run_loop, seed_everything

from strop.rollout.engine import OfflineEngine
from strop.runs.checkpoint import Checkpoints
from strop.runs.directory import RunDirectory, parse_run
from strop.runs.state import same
from strop.runs.store import Store
from strop.schedules import Linear
from strop.types import End, Max, Mean, NonFinite, Parts, Pick, Sampling, Stopped, Update


@pytest.fixture
def directory(tmp_path):
    return RunDirectory.create(tmp_path / "run", {"steps": 10}, {})


def make_any_batch():
    return make_batch((Pick(make_episode()),))


def train(directory, n, **options):
    seed_everything()
    parts = make_parts()
    with make_recorder(directory, **options) as recorder:
        run_loop(parts, recorder, n)
    return parts


def repeatable(store: Store) -> list[dict[str, float]]:
    """All metrics that two runs of one config share."""
    return [
        {name: value for name, value in row.items() if not name.startswith(("time/", "memory/"))}
        for row in store.metrics()
    ]


def test_a_run_is_evaluated_at_the_start_on_schedule_and_at_the_end(directory):
    train(directory, 10)
    with directory.reader() as store:
        assert [step for step, _ in store.series("held_out/reward")] == [0, 4, 8, 10]
        assert len(store.series("reward/mean")) == 10
        assert len(store.episodes("evaluate", step=8)) == 2


def best_at_four(parts, step):
    """The policy that has seen four steps is judged best, and every later one worse."""
    episodes, metrics = judge(parts, step)
    return episodes, metrics | {"held_out/reward": -abs(step - 4.0)}


def test_the_newest_two_and_the_best_checkpoint_are_kept(directory):
    train(directory, 10, evaluate=best_at_four)
    assert directory.checkpoints.steps() == [4, 9, 10]
    with directory.reader() as store:
        assert store.best_step() == 4
    assert parse_run(f"{directory.path}@best")[0].checkpoint_step("best") == 4
    assert directory.load("best")[0] == 4
    assert directory.load("latest")[0] == 10


def test_stop_and_resume_equals_one_run_bit_for_bit(directory, tmp_path):
    whole = train(RunDirectory.create(tmp_path / "whole", {}, {}), 12)
    train(directory, 6)
    torch.rand(7)  # what happens in between must not matter
    resumed = train(directory, 12, resume=True)
    assert same(whole.policy.state_dict(), resumed.policy.state_dict())
    assert same(whole.algorithm.state_dict(), resumed.algorithm.state_dict())
    with directory.reader() as store, RunDirectory(tmp_path / "whole").reader() as other:
        # The end of the shorter run was judged as well: that row is more, nothing else differs.
        rows = [
            {k: v for k, v in row.items() if not (row["step"] == 6 and k == "held_out/reward")}
            for row in repeatable(store)
        ]
        assert rows == repeatable(other)
        assert store.episodes() == other.episodes()
        assert [event.level for event in store.events() if event.level == "resume"] == ["resume"]


def test_a_resume_after_the_last_step_changes_nothing(directory):
    parts = train(directory, 6)
    again = train(directory, 6, resume=True)
    assert same(parts.policy.state_dict(), again.policy.state_dict())
    with directory.reader() as store:
        assert store.latest_step() == 5


def test_a_fork_is_an_event_of_its_step(directory):
    train(directory, 6)
    train(directory, 7, resume=True, forks=["steps: 6 -> 7"])
    with directory.reader() as store:
        assert [(e.step, e.text) for e in store.events() if e.level == "fork"] == [(6, "steps: 6 -> 7")]


def test_a_fork_from_an_older_checkpoint_deletes_the_later_steps(directory):
    train(directory, 10)
    train(directory, 10, resume=True, selector=9)
    with directory.reader() as store:
        assert store.latest_step() == 9
    assert directory.checkpoint_step() == 10


def test_a_started_run_is_not_started_again(directory):
    train(directory, 2)
    with pytest.raises(ValueError, match="strop train --resume --run"):
        make_recorder(directory)


def test_a_damaged_checkpoint_is_reported_and_the_older_one_used(directory):
    train(directory, 10)
    (directory.checkpoints.directory(10) / "tensors.safetensors").write_bytes(b"damaged")
    train(directory, 10, resume=True)
    with directory.reader() as store:
        warnings = [event.text for event in store.events() if event.level == "warning"]
        assert any("tensors.safetensors is damaged" in text for text in warnings)
        assert store.latest_step() == 9


def test_a_run_without_its_checkpoints_does_not_start_from_scratch(directory):
    train(directory, 3)
    directory.checkpoints.prune(set())
    with make_recorder(directory, resume=True) as recorder, pytest.raises(ValueError, match="no whole checkpoint"):
        run_loop(make_parts(), recorder, 5)
    with directory.reader() as store:
        assert store.latest_step() == 2


def test_old_token_ids_are_dropped_but_not_those_that_a_memory_holds(directory):
    train(directory, 10, keep_episode_steps=2)  # the memory holds the last three steps of checkpoints 9 and 10
    with directory.reader() as store:
        kept_checkpoints = directory.checkpoints.steps()
        held = {id for step in kept_checkpoints for id in directory.checkpoints.held(step)}
        kept = {episode.id for episode in store.episodes()}
        assert kept == held | {f"{step}/{i}" for step in (8, 9) for i in range(4)}
        assert len(store.summaries()) == 40
        assert all(summary.text and summary.reward is not None for summary in store.summaries())
        assert len(store.opinions("9/0")) > 0
        assert "0/0" not in kept
        assert store.opinions("0/0") == []
        with pytest.raises(ValueError, match="token ids of episode 0/0"):
            store.episode("0/0")


@pytest.mark.parametrize("dies_in", ["checkpoints.prune", "store.drop_tokens"])
def test_a_resume_of_a_finished_run_still_applies_the_disk_policy(directory, tmp_path, monkeypatch, dies_in):
    train(directory, 10)
    killed = RunDirectory.create(tmp_path / "killed", {"steps": 10}, {})
    owner = {"checkpoints.prune": Checkpoints, "store.drop_tokens": Store}[dies_in]
    name = dies_in.partition(".")[2]
    tidies = getattr(owner, name)

    def dies(self, *given):
        if 10 in killed.checkpoints.steps():
            raise KeyboardInterrupt
        return tidies(self, *given)

    monkeypatch.setattr(owner, name, dies)
    with pytest.raises(KeyboardInterrupt):
        train(killed, 10)
    monkeypatch.undo()
    assert killed.checkpoints.newest_first()[0] == 10
    train(killed, 10, resume=True)
    assert killed.checkpoints.steps() == directory.checkpoints.steps()
    with directory.reader() as whole, killed.reader() as other:
        assert other.episodes() == whole.episodes()
        assert repeatable(other) == repeatable(whole)


def test_opinions_are_stored_per_action(directory):
    train(directory, 1)
    with directory.reader() as store:
        for episode in store.episodes():
            ((step, name, numbers),) = store.opinions(episode.id)
            assert (step, name, len(numbers)) == (0, "advantage", episode.num_actions)
            assert (numbers == np.float32(episode.reward)).all()  # the fake's opinion is the return


def test_an_evaluation_does_not_change_the_random_states(directory, tmp_path):
    judged = train(directory, 6)
    unjudged = train(RunDirectory.create(tmp_path / "unjudged", {}, {}), 6, evaluate=None)
    assert same(judged.policy.state_dict(), unjudged.policy.state_dict())


class InterruptedEngine(OfflineEngine):
    """Sends Ctrl-C to this process inside one step's rollout."""

    def __init__(self, engine, at: int, times: int) -> None:
        self.engine, self.at, self.times = engine, at, times

    def publish(self, policy) -> None:
        self.engine.publish(policy)

    def rollout(self, tasks, step):
        for _ in range(self.times if step == self.at else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return self.engine.rollout(tasks, step)


def interrupted_parts(at: int, times: int) -> Parts:
    parts = make_parts()
    engine = InterruptedEngine(parts.engine, at, times)
    return Parts(parts.policy, engine, parts.tasks, parts.memory, parts.algorithm, parts.codec)


def test_ctrl_c_finishes_the_step_and_saves(directory):
    before = signal.getsignal(signal.SIGINT)
    with make_recorder(directory) as recorder:
        run_loop(interrupted_parts(at=1, times=1), recorder, 10)
        assert recorder.interrupted
        assert recorder.resume_command == f"strop train --resume --run {directory.path}"
    assert directory.checkpoint_step() == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_in_the_loop_restores_the_signal_handlers(directory):
    """The generator of `steps` is suspended where the loop's body raised, for as long as the error is looked at."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    recorder = make_recorder(directory)
    steps = recorder.steps(make_parts(), 10)
    next(steps)
    recorder.close()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    steps.close()


def test_a_second_ctrl_c_stops_at_once(directory):
    before = signal.getsignal(signal.SIGINT)
    with make_recorder(directory) as recorder, pytest.raises(KeyboardInterrupt):
        run_loop(interrupted_parts(at=1, times=2), recorder, 10)
    assert directory.checkpoint_step() == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_the_error_that_ended_a_run_is_recorded(directory):
    with make_recorder(directory) as recorder:
        recorder.fail(3, NonFinite("the loss", {"loss": torch.tensor([math.nan, 1.0])}))
        try:
            _ = 1 / 0
        except ZeroDivisionError as error:
            recorder.fail(4, error)
    with directory.reader() as store:
        first, second = store.events()
    assert (first.level, first.step) == ("error", 3)
    assert "the loss is not finite" in first.text
    assert "ZeroDivisionError" in second.text.splitlines()[-1]
    folder = directory.path / "failures" / "step-000003"
    assert "loss: (2,) torch.float32, 1 not finite" in (folder / "what.txt").read_text()
    assert (folder / "batch.safetensors").is_file()


def test_lost_episodes_stop_the_run_at_the_third_step_also_after_a_resume(directory):
    def lost(step):
        broken = [make_episode(f"{step}/{i}", end=End.FAILED, error="boom\nValueError: bad") for i in range(4)]
        return [*broken, *[make_episode(f"{step}/{4 + i}") for i in range(6)]]

    parts = make_parts()
    with make_recorder(directory, checkpoint_every=1) as recorder:
        steps = recorder.steps(parts, 9)
        for step in range(2):
            assert next(steps) == step
            recorder.finish(step, lost(step))
        next(steps)  # saves checkpoint 2
    with make_recorder(directory, resume=True) as recorder:
        step = next(recorder.steps(parts, 9))
        with pytest.raises(Stopped, match=r"4 of 10 .* \(4 times\): ValueError: bad"):
            recorder.finish(step, lost(step))


def test_a_sampler_gap_above_tolerance_stops_at_the_first_update(directory):
    with make_recorder(directory) as recorder, pytest.raises(Stopped, match=r"0\.5"):
        recorder.update(0, (), make_any_batch(), Update({"policy/sampler_gap_max": Max(0.5)}))


def test_updates_of_a_step_are_merged_by_their_reduction(directory):
    parts = make_parts()
    with make_recorder(directory, evaluate=None) as recorder:
        for step in recorder.steps(parts, 1):
            recorder.update(step, (), make_any_batch(), Update({"policy/kl": Mean(1.0, 1.0)}))
            recorder.update(step, (), make_any_batch(), Update({"policy/kl": Mean(6.0, 3.0)}))
            recorder.finish(step, [])
    with directory.reader() as store:
        assert store.series("policy/kl") == [(0, 7.0 / 4.0)]
        assert store.series("reward/mean") == []  # offline: no episode, nothing to measure


@pytest.mark.parametrize("temperature", [1.0, Linear(start=1.0, end=0.1, steps=5)])
def test_a_collapsed_entropy_is_an_event_unless_the_temperature_falls_by_plan(directory, temperature):
    parts, entropies = make_parts(), iter([1.0, 0.1])  # of ten actions: at most 2.3
    with make_recorder(directory, evaluate=None, sampling=Sampling(max_tokens=8, temperature=temperature)) as recorder:
        for step in recorder.steps(parts, 2):
            recorder.update(step, (), make_any_batch(), Update({"policy/entropy": Mean(next(entropies), 1.0)}))
            recorder.finish(step, [make_episode(f"{step}/{i}", reward=i / 2) for i in range(3)])
    with directory.reader() as store:
        told = [event.step for event in store.events() if "entropy has collapsed" in event.text]
    assert told == ([] if callable(temperature) else [1])
