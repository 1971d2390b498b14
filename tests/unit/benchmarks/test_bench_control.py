"""The parts of `make bench-control` that can be checked by hand: statistics, the count of turns, going on."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strop.types import End, Episode, Task, Turn
from strop.types.records import Completion

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import control
import control_ours
import control_report
import scores

# ---------------------------------------------------------------- statistics


def test_the_interquartile_mean_leaves_a_quarter_out_at_each_end() -> None:
    assert scores.iqm([100.0, 1.0, 2.0, 6.0, -50.0]) == 3.0  # of five, floor(5 / 4) = 1: the mean of 1, 2, 6
    assert scores.iqm([1.0, 2.0, 3.0]) == 2.0  # of three, none
    eight = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 50.0, 100.0]
    assert scores.iqm(np.array([eight, eight])).tolist() == [3.5, 3.5]  # of eight, two


def test_the_interval_is_that_of_every_draw_with_replacement() -> None:
    seeds = [0.0, 1.0, 2.0, 10.0]
    every = sorted(sum(sorted(draw)[1:3]) / 2 for draw in itertools.product(seeds, repeat=4))  # all 256 are as likely
    low, high = scores.interval(seeds)
    assert every[round(0.02 * 256)] <= low <= every[round(0.03 * 256)]
    assert every[round(0.97 * 256)] <= high <= every[round(0.98 * 256)]
    assert scores.interval([3.0] * 5) == (3.0, 3.0)


def test_the_verdict_reads_our_number_beside_their_interval() -> None:
    said = [scores.verdict(ours, (10.0, 20.0)) for ours in (9.9, 10.0, 20.0, 20.1)]
    assert said == ["below", "within", "within", "above"]


def test_a_judgement_plays_the_same_episodes_for_everybody() -> None:
    def left(observed_NS: np.ndarray) -> list[int]:
        return [0] * len(observed_NS)

    assert scores.judge(left, "CartPole-v1", 3) == scores.judge(left, "CartPole-v1", 4)[:3]
    assert all(8 <= reward <= 10 for reward in scores.judge(left, "CartPole-v1", 4))  # it falls at once


# ---------------------------------------------------------------- the budget


class Weights:
    """A policy that counts what it has learnt."""

    def __init__(self) -> None:
        self.learnt = 0

    def state_dict(self) -> dict[str, int]:
        return {"learnt": self.learnt}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.learnt = state["learnt"]


def episode(num_turns: int) -> Episode:
    turn = Turn((0,), Completion((1,), (0.0,), "length"), "", reward=2.0)
    return Episode("one", Task("one", ""), 0, (turn,) * num_turns, (), End.TERMINATED)


def spend(budget: int, lengths: list[int]) -> tuple[Weights, control_ours.Budget]:
    """The loop with episodes of these lengths."""
    policy, counter = Weights(), control_ours.Budget(budget)
    for step in counter.steps(type("Parts", (), {"policy": policy})(), 100):  # type: ignore[arg-type]
        policy.learnt += lengths[step]
        counter.finish(step, [episode(lengths[step])])
    return policy, counter


def test_what_was_learnt_beyond_the_budget_is_taken_back() -> None:
    policy, counter = spend(10, [4, 5, 3, 100])
    assert (counter.played, counter.learnt, policy.learnt) == (12, 9, 9)


def test_a_budget_that_is_spent_to_the_last_turn_ends_the_run() -> None:
    policy, counter = spend(9, [4, 5, 3])
    assert (counter.played, counter.learnt, policy.learnt) == (9, 9, 9)


@pytest.mark.matrix
def test_our_loop_keeps_within_the_budget() -> None:
    actor, turns = control_ours.learn("CartPole-v1", "PPO", seed=0, budget=300)
    assert 80 <= turns <= 300  # eight episodes at random have at least 8 * 8 turns
    assert set(actor(np.zeros((3, 4), dtype=np.float32))) <= {0, 1}


# ---------------------------------------------------------------- going on

JOB = control.Job("CartPole-v1", "PPO", "strop", 0, 100, 2, "abc")


def result_of(job: control.Job) -> dict[str, Any]:
    return {"job": asdict(job), "mean": float(job.seed), "turns": 99, "seconds": 60.0, "returns": [0.0]}


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[control.Job]:
    """The jobs that are done instead of learning."""
    seen: list[control.Job] = []

    def perform(job: control.Job) -> dict[str, Any]:
        seen.append(job)
        return result_of(job)

    monkeypatch.setattr(control, "perform", perform)
    return seen


def test_a_finished_run_is_not_done_again(performed: list[control.Job], tmp_path: Path) -> None:
    path, more = tmp_path / "new" / "runs.jsonl", replace(JOB, seed=1)
    control.run([JOB], path, workers=0)
    results = control.run([more, JOB], path, workers=0)
    assert performed == [JOB, more]
    assert [result["mean"] for result in results] == [1.0, 0.0]


@pytest.mark.parametrize("change", [{"settings": "abd"}, {"budget": 101}, {"episodes": 3}, {"side": "other"}])
def test_a_run_of_other_settings_is(change: dict[str, Any], performed: list[control.Job], tmp_path: Path) -> None:
    control.run([JOB], tmp_path / "runs.jsonl", workers=0)
    control.run([replace(JOB, **change)], tmp_path / "runs.jsonl", workers=0)
    assert len(performed) == 2


def test_a_line_that_a_kill_cut_short_is_done_again(performed: list[control.Job], tmp_path: Path) -> None:
    path, more = tmp_path / "runs.jsonl", replace(JOB, seed=1)
    path.write_text(json.dumps(result_of(JOB)) + "\n" + json.dumps(result_of(more))[:30])
    control.run([JOB, more], path, workers=0)
    assert performed == [more]
    assert set(control.done(path)) == {JOB, more}


def test_settings_have_names_that_stay_and_that_differ() -> None:
    pairs = list(itertools.product(control.ENVIRONMENTS, control.ALGORITHMS))
    ours = [control_ours.describe(*pair) for pair in pairs]
    assert ours == [control_ours.describe(*pair) for pair in pairs]
    assert len(set(ours)) == len(pairs)


# ---------------------------------------------------------------- the pages


def test_a_page_keeps_what_stands_around_its_table(tmp_path: Path) -> None:
    for name in control_report.PAGES:
        (tmp_path / name).write_text("before\n<!-- control -->\nold\n<!-- /control -->\nafter\n")
    theirs = [replace(JOB, side="stable-baselines3", seed=seed) for seed in (4, 5)]
    results = [result_of(job) for job in (replace(JOB, seed=7), *theirs)]
    control_report.write(control_report.summary(results), tmp_path, results, docs=tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert page.startswith("before\n<!-- control -->\n| ")
    assert page.endswith("\n<!-- /control -->\nafter\n")
    assert "| CartPole-v1 | PPO | 7.0 [7.0, 7.0] | 7 | 4.5 [4.0, 5.0] | 4, 5 | above |" in page
    assert "old" not in page
    assert json.loads((tmp_path / "control.json").read_text())["verdicts"] == {"CartPole-v1 PPO": "above"}


@pytest.mark.matrix
def test_the_command_runs_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("stable_baselines3")
    command = ["--quick", "--environments", "CartPole-v1", "--algorithms", "A2C", "--out", str(tmp_path)]
    control.main(command)
    assert "| CartPole-v1 | A2C |" in capsys.readouterr().out
    control.main(command)
    assert "2 runs, 2 of them done before" in capsys.readouterr().err
