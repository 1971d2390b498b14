"""Planning through `strop.train`: each step is one round, and the rounds reach what is known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import strop
from strop.planning.mdp import FiniteMDP
from strop.planning.planner import MonteCarloRound, Planner, policy_round, value_round
from strop.policies.table import Table
from strop.recipes.two_words import CONTEXTS, PAY, SmallTalk
from strop.runs.progress import Progress
from strop.types import Batch, Task

TALK = FiniteMDP(np.full((2, 2, 2), 0.5), [[1.0, 2.0], [1.0, 2.0]], [0.5, 0.5], [False, False])
NOTHING: Any = None
"""A planner reads no batch."""


def planned(path: Any, steps: int, **fields: Any) -> strop.Run:
    config = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=[*PAY, *CONTEXTS], order=1),
        tasks=[Task(context, context) for context in CONTEXTS],
        environment=SmallTalk,
        algorithm=Planner.Config(mdp=TALK, states=[[2], [3]], discount=0.9, **fields),
        sampling=strop.Sampling(temperature=0.0, max_tokens=1),
        steps=steps, group_size=1, prompts_per_step=2, threads=1, checkpoint_every=2,
    )  # fmt: skip
    return strop.train(config, path, progress=Progress.silent())


def q(run: strop.Run) -> list[list[float]]:
    policy: Any = run.policy
    return [policy.weight[policy.row((context,))].tolist()[:2] for context in (2, 3)]


def test_a_step_is_a_sweep_of_value_iteration(tmp_path):
    # from 0: V_k = 2 (1 - .9^k) / (1 - .9), and Q_k(word) = pay + .9 V_{k-1}
    value = 2 * (1 - 0.9**4) / 0.1
    run = planned(tmp_path / "run", 5)
    assert q(run) == [pytest.approx([1 + 0.9 * value, 2 + 0.9 * value])] * 2
    assert [row["q/error_max"] for row in run.metrics()] == pytest.approx([2 * 0.9**k for k in range(5)])


def test_policy_iteration_is_there_after_two_rounds(tmp_path):
    # greedy in 0 says "good" for ever: V = 10, Q = (10, 11); greedy in that says "great": V = 20, Q = (19, 20)
    assert q(planned(tmp_path / "one", 1, round=policy_round)) == [pytest.approx([10.0, 11.0])] * 2
    two = planned(tmp_path / "two", 2, round=policy_round)
    assert q(two) == [pytest.approx([19.0, 20.0])] * 2
    assert [row["reward/mean"] for row in two.metrics()] == [8.0, 16.0]  # 8 turns: "good", then "great"


def test_the_episodes_are_played_but_change_nothing():
    policy = Table(4, order=1)
    planner = Planner.Config(mdp=TALK, states=[[2], [3]], discount=0.5).build(policy, strop.Sampling(), 64)
    batch: Batch = NOTHING
    for _ in range(60):
        planner.update(batch)
    assert policy.weight[policy.row((3,))].tolist() == pytest.approx([3.0, 4.0, 0.0, 0.0])


def test_monte_carlo_rounds_find_the_best_word_and_its_value(tmp_path):
    # S0 pays 1 and ends, or goes to S1, which pays 0 or 3 and ends: Q*(S0) = (1, .9 * 3), Q*(S1) = (0, 3)
    P = np.zeros((3, 2, 3))
    P[0, 0, 2] = P[0, 1, 1] = P[1, :, 2] = P[2, :, 2] = 1.0
    mdp = FiniteMDP(P, [[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]], [1.0, 0.0, 0.0], [False, False, True])
    q_SA = np.zeros((3, 2))
    for n in range(5):
        q_SA = MonteCarloRound(num_paths=200, epsilon=0.3)(mdp, q_SA, 0.9, np.random.default_rng(n))
    # S1's values are sure; going there under epsilon .3 is worth .9 * .85 * 3 = 2.295, +- 4 * .9 * 1.07 / sqrt(170)
    assert q_SA[1].tolist() == [0.0, 3.0]
    assert q_SA[0].tolist() == pytest.approx([1.0, 2.295], abs=0.3)
    assert q_SA[2].tolist() == [0.0, 0.0]  # no path acts there


def test_a_planned_run_is_rebuilt_from_its_files_and_resumed(tmp_path):
    whole, cut = planned(tmp_path / "whole", 4), planned(tmp_path / "cut", 2)
    again = strop.Run(cut.directory)
    assert np.array_equal(again.config.algorithm.mdp.P, TALK.P)
    assert again.config.algorithm.round is value_round
    resumed = strop.train(whole.config, tmp_path / "cut", resume=True, progress=Progress.silent())
    assert q(resumed) == q(whole)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="names 1 of 2 states"):
        Planner.Config(mdp=TALK, states=[[2]])
    config = Planner.Config(mdp=TALK, states=[[0], [0]])
    with pytest.raises(ValueError, match="2 actions, the table 1 words"):
        config.build(Table(1), strop.Sampling(), 64)
    with pytest.raises(ValueError, match="planning is tabular"):
        config.build(strop.policies.Scratch(words=["a", "b"]).build(0, "float32")[0], strop.Sampling(), 64)
