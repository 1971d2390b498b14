"""What no Config takes: a number just outside of its bounds is refused by its name, one exactly on them is taken."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from exact.build import batch_of, episode, turn
from exact.learners import algorithms, learner
from strop.algorithms.a2c import A2C
from strop.algorithms.cispo import CISPO
from strop.algorithms.dapo import DAPO
from strop.algorithms.double_q import DoubleQ
from strop.algorithms.dpo import DPO
from strop.algorithms.dppo import DPPO
from strop.algorithms.dqn import DQN
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.expected_sarsa import ExpectedSARSA
from strop.algorithms.gdpo import GDPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.gspo import GSPO
from strop.algorithms.ilql import ILQL
from strop.algorithms.ipo import IPO
from strop.algorithms.kto import KTO
from strop.algorithms.masked_lm import MaskedLM
from strop.algorithms.maxrl import MaxRL
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.orpo import ORPO
from strop.algorithms.path_consistency import PathConsistency
from strop.algorithms.ppo import PPO
from strop.algorithms.q_learning import QLearning
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.rejection_sampling import RejectionSampling
from strop.algorithms.remax import ReMax
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.rloo import RLOO
from strop.algorithms.robust_dpo import RobustDPO
from strop.algorithms.sapo import SAPO
from strop.algorithms.sarsa import SARSA
from strop.algorithms.simpo import SimPO
from strop.algorithms.vtrace import VTrace
from strop.functional.bounds import check_positive
from strop.functional.corrections import Correction
from strop.functional.divergences import KL, KLController
from strop.learners.actor_critic import Critic
from strop.memory import Dataset, Prioritised, Replay
from strop.optimizer import SGD, AdamW
from strop.planning.annealing import Edits, Geometric, Logarithmic
from strop.planning.mcts import TreeSearch
from strop.planning.mdp import FiniteMDP
from strop.planning.planner import MonteCarloRound, Planner
from strop.planning.value_iteration import iterate_values
from strop.policies.ngram import NGram
from strop.policies.steered import Steered
from strop.policies.table import Table
from strop.samplers.local import LocalSampler
from strop.schedules import Exponential, Linear
from strop.types import Sampling, Source

INFINITE, NAN = math.inf, math.nan
TINY = math.nextafter(0.0, 1.0)
OVER_1, UNDER_1, UNDER_HALF = math.nextafter(1.0, 2.0), math.nextafter(1.0, 0.0), math.nextafter(0.5, 0.0)
UNDER_DUAL = math.nextafter(1.2, 0.0)

# (refused, taken): just outside, and exactly on the bound
COUNT = ([0, -1], [1])
AMOUNT = ([-1], [0])
SHARE = ([-TINY, OVER_1], [0.0, 1.0])
SOME = ([0.0, OVER_1], [TINY, 1.0])
POSITIVE = ([0.0, -1.0, INFINITE], [TINY])
WEIGHT = ([-TINY, INFINITE], [0.0])
NUMBER = ([INFINITE, -INFINITE], [-1.0])
PART = ([-TINY, 1.0], [0.0, UNDER_1])
MINORITY = ([-TINY, 0.5], [0.0, UNDER_HALF])
DUAL = ([UNDER_DUAL, 0.0], [1.2, None])
"""Of a clip of 0.2."""


def or_none(bounds: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
    return bounds[0], [*bounds[1], None]


TABLES = [QLearning, SARSA, ExpectedSARSA, DoubleQ]
RATIOS = [GRPO, DrGRPO, RLOO, REINFORCEPlusPlus, GSPO, CISPO, SAPO, GDPO]
REPLAYS = [Replay, Prioritised]

BOUNDS: dict[tuple[Any, str], tuple[list[Any], list[Any]]] = {
    **{(kind.Config, name): bounds for kind in TABLES
       for name, bounds in (("rate", SOME), ("rate_decay", SHARE), ("discount", SHARE))},
    **{(kind.Config, "discount"): SHARE
       for kind in (A2C, PPO, VTrace, REINFORCE, REINFORCEPlusPlus, DQN, ILQL, PathConsistency, Planner)},
    **{(kind.Config, "epochs"): COUNT for kind in (*RATIOS, DAPO, DPPO, PPO)},
    **{(kind.Config, "entropy"): WEIGHT for kind in (*RATIOS, DPPO, REINFORCE, ReMax, MaxRL, A2C, PPO, VTrace)},
    **{(kind.Config, "clip"): SHARE for kind in (GRPO, DrGRPO, RLOO, REINFORCEPlusPlus, GDPO, PPO)},
    **{(kind.Config, "clip_low"): SHARE for kind in (DAPO, GSPO)},
    **{(kind.Config, "clip_high"): ([-TINY], [0.0, INFINITE]) for kind in (DAPO, GSPO)},
    **{(kind.Config, "dual_clip"): DUAL for kind in (GRPO, DrGRPO, PPO)},
    (DrGRPO.Config, "max_tokens"): ([0, -5], [1, None]),
    (DAPO.Config, "overlong_tokens"): AMOUNT, (DAPO.Config, "oversampling"): COUNT,
    (CISPO.Config, "floor"): SHARE, (CISPO.Config, "cap"): ([UNDER_1], [1.0, INFINITE]),
    (DPPO.Config, "delta"): POSITIVE,
    (SAPO.Config, "tau_positive"): POSITIVE, (SAPO.Config, "tau_negative"): POSITIVE,
    (REINFORCE.Config, "baseline_decay"): or_none(PART),
    (A2C.Config, "n_step"): or_none(COUNT),
    (VTrace.Config, "ratio_cap"): ([UNDER_1], [1.0, INFINITE]), (VTrace.Config, "trace_cap"): SOME,
    (PPO.Config, "trace"): SHARE, (PPO.Config, "minibatches"): COUNT,
    (RejectionSampling.Config, "best"): COUNT, (RejectionSampling.Config, "threshold"): or_none(NUMBER),
    (DQN.Config, "n_step"): COUNT, (DQN.Config, "huber"): or_none(POSITIVE), (DQN.Config, "target_every"): COUNT,
    **{(kind.Config, "target_share"): SOME for kind in (DQN, ILQL, PathConsistency)},
    (ILQL.Config, "level"): ([0.0, 1.0], [TINY, UNDER_1]),
    (ILQL.Config, "conservative"): WEIGHT, (ILQL.Config, "jitter"): WEIGHT,
    (PathConsistency.Config, "beta"): POSITIVE, (PathConsistency.Config, "n_step"): or_none(COUNT),
    **{(kind.Config, "beta"): POSITIVE for kind in (DPO, RobustDPO, KTO, SimPO, OnlineDPO)},
    (DPO.Config, "smoothing"): MINORITY, (RobustDPO.Config, "flipped"): MINORITY, (IPO.Config, "tau"): POSITIVE,
    (KTO.Config, "desirable"): WEIGHT, (KTO.Config, "undesirable"): WEIGHT, (KTO.Config, "threshold"): NUMBER,
    (ORPO.Config, "weight"): WEIGHT, (SimPO.Config, "gamma"): WEIGHT,
    (RewardModel.Config, "margin"): WEIGHT, (RewardModel.Config, "centring"): WEIGHT,
    (MaskedLM.Config, "share"): SOME,
    (MaskedLM.Config, "masked"): ([-TINY, OVER_1], [0.0, 0.9]),  # with a tenth that becomes a random token
    (MaskedLM.Config, "random"): ([-TINY, OVER_1], [0.0, 0.2]),
    (Planner.Config, "seed"): ([-1], [0]),
    # memories
    **{(kind.Config, name): COUNT for kind in REPLAYS for name in ("capacity", "size", "num_draws", "n_step")},
    **{(kind.Config, "warmup"): ([0, 10_001], [1, 10_000]) for kind in REPLAYS},
    **{(kind.Config, "max_staleness"): ([-1], [0, None]) for kind in REPLAYS},
    (Prioritised.Config, "alpha"): WEIGHT, (Prioritised.Config, "beta"): SHARE, (Prioritised.Config, "floor"): POSITIVE,
    (Dataset.Config, "size"): COUNT, (Dataset.Config, "num_draws"): COUNT,
    # optimisers and schedules
    **{(kind, "lr"): POSITIVE for kind in (AdamW, SGD)},
    **{(kind, "max_grad_norm"): or_none(POSITIVE) for kind in (AdamW, SGD)},
    (AdamW, "eps"): POSITIVE, (AdamW, "weight_decay"): WEIGHT, (AdamW, "warmup_steps"): AMOUNT,
    (SGD, "momentum"): PART,
    **{(kind, name): NUMBER for kind in (Linear, Exponential) for name in ("start", "end")},
    (Linear, "steps"): COUNT, (Exponential, "factor"): POSITIVE,
    (Logarithmic, "c"): POSITIVE, (Geometric, "start"): POSITIVE, (Geometric, "ratio"): SOME,
    (Geometric, "floor"): POSITIVE,
    # the parts of several algorithms
    (KL, "weight"): WEIGHT, (KLController, "target"): POSITIVE, (KLController, "horizon"): COUNT,
    (Correction, "cap"): ([UNDER_1, 0.0], [1.0, INFINITE]), (Correction, "floor"): SHARE,
    (Correction, "max_staleness"): or_none(AMOUNT),
    (Critic, "weight"): WEIGHT, (Critic, "clip"): or_none(POSITIVE), (Critic, "warmup"): AMOUNT,
    # acting and planning
    (Sampling, "temperature"): WEIGHT, (Sampling, "epsilon"): SHARE, (Sampling, "top_p"): SOME,
    (Sampling, "top_k"): AMOUNT, (Sampling, "max_tokens"): COUNT,
    (LocalSampler.Config, "batch"): COUNT, (Steered.Config, "strength"): WEIGHT,
    (NGram.Config, "order"): COUNT, (NGram.Config, "capacity"): or_none(COUNT), (NGram.Config, "k"): POSITIVE,
    (NGram.Config, "discount"): ([0.0, 1.0], [TINY, UNDER_1, None]),
    (MonteCarloRound, "num_paths"): COUNT, (MonteCarloRound, "max_steps"): COUNT, (MonteCarloRound, "epsilon"): SHARE,
    (TreeSearch.Config, "num_simulations"): COUNT, (TreeSearch.Config, "max_weight"): SHARE,
    (TreeSearch.Config, "exploration"): WEIGHT, (TreeSearch.Config, "kl_weight"): WEIGHT,
    (Edits, "substitute"): WEIGHT, (Edits, "min_length"): ([-1, 4], [0, 3]), (Edits, "max_length"): ([-1], [0]),
}  # fmt: skip

MDP = FiniteMDP(np.full((1, 1, 1), 1.0), [[1.0]], [1.0], [False])
BESIDE: dict[Any, dict[str, Any]] = {
    Linear: {"start": 1.0, "end": 0.0, "steps": 1}, Exponential: {"start": 1.0, "end": 0.0, "factor": 0.5},
    Logarithmic: {"c": 1.0}, Geometric: {"start": 1.0}, Edits: {"alphabet": (1, 2), "max_length": 3},
    Planner.Config: {"mdp": MDP, "states": [[0]]}, Steered.Config: {"base": Table.Config(words=["a"])},
    Correction: {"kind": "mask"},
}  # fmt: skip
"""The other fields, where the defaults do not do."""
JOINT = {(Edits, "insert"), (Edits, "delete"), (AdamW, "betas"), (Correction, "max_drift")}
"""Numbers that mean something in pairs only: they have a test of their own."""

REFUSED = [(kind, name, value) for (kind, name), bounds in BOUNDS.items() for value in [*bounds[0], NAN]]
ALLOWED = [(kind, name, value) for (kind, name), bounds in BOUNDS.items() for value in bounds[1]]


def made(kind: Any, given: dict[str, Any]) -> Any:
    return kind(**(BESIDE.get(kind, {}) | given))


def named(case: Any) -> str | None:
    return case.__qualname__.partition(".")[0] if isinstance(case, type) else None


@pytest.mark.parametrize(("kind", "name", "value"), REFUSED, ids=named)
def test_a_number_outside_is_refused_by_its_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"\b{name}\b.*{re.escape(str(value))}"):
        made(kind, {name: value})


@pytest.mark.parametrize(("kind", "name", "value"), ALLOWED, ids=named)
def test_a_number_on_the_bound_is_taken(kind: Any, name: str, value: Any) -> None:
    assert getattr(made(kind, {name: value}), name) == value


def test_every_number_of_every_config_has_bounds() -> None:
    kinds = {kind.Config for kind in algorithms()} | {kind for kind, _ in BOUNDS}
    numbers = {
        (kind, field.name)
        for kind in kinds
        for field in fields(kind)
        if "float" in str(field.type) or "int" in str(field.type)
    }
    numbers -= {(Planner.Config, "states"), (Edits, "alphabet")}
    assert numbers == set(BOUNDS) | JOINT


@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, 1.0), (-TINY, 0.9), (0.9, NAN)])
def test_adam_refuses_a_mean_that_forgets_nothing(betas: tuple[float, float]) -> None:
    wrong = next(beta for beta in betas if not 0.0 <= beta < 1.0)
    with pytest.raises(ValueError, match=rf"optimizer\.betas={wrong}: it lies in \[0, 1\)"):
        AdamW(betas=betas)
    assert AdamW(betas=(0.0, UNDER_1)).betas == (0.0, UNDER_1)


@pytest.mark.parametrize("name", ["insert", "delete"])
def test_edits_that_go_both_ways_have_weights(name: str) -> None:
    for value in (-TINY, INFINITE, NAN):
        with pytest.raises(ValueError, match=rf"edits\.{name}={value}"):
            made(Edits, {name: value})
    with pytest.raises(ValueError, match="cannot be undone"):
        made(Edits, {name: 0.0})
    assert made(Edits, {"insert": 0.0, "delete": 0.0}).weights == (1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="not all 0"):
        made(Edits, {"substitute": 0.0, "insert": 0.0, "delete": 0.0})


@pytest.mark.parametrize(("kind", "name", "value"), [
    (KL, "placement", "both"), (KL, "estimator", "k4"), (Correction, "level", "word"), (Correction, "kind", "clip"),
    (DPPO.Config, "divergence", "js"),
])  # fmt: skip
def test_a_word_that_is_no_choice_is_refused_with_the_choices(kind: Any, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}='{value}': allowed are "):
        made(kind, {name: value})


def test_none_is_no_number_where_it_says_nothing() -> None:
    with pytest.raises(ValueError, match=r"DPO\.Config\.beta=None: it is a float\.$"):
        DPO.Config(beta=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^a=0\.0: it is positive and finite; b; none c\.$"):
        check_positive("a", 0.0, hint="b", none="c")


def test_no_tokens_of_dr_grpo_are_not_those_of_the_sampling() -> None:
    own, sampled = (learner(DrGRPO, Table(3), max_tokens=given) for given in (5, None))
    one_token = batch_of(episode(turn((1,), (2,)), reward=1.0))
    assert (float(own.weight(one_token).sum()), float(sampled.weight(one_token).sum())) == (1 / 5, 1 / 8)


def test_a_schedule_of_beta_is_refused_at_the_draw_that_it_leaves_the_bounds_in() -> None:
    memory = Prioritised.Config(beta=Linear(start=0.5, end=1.5, steps=2), num_draws=3).build()
    memory.add([episode(turn((1,), (2,)), reward=1.0)])
    draws = memory.draws(np.random.default_rng(0))
    assert len(next(draws)) == len(next(draws)) == 64
    with pytest.raises(ValueError, match=r"memory\.beta=1\.5: it lies in \[0, 1\]"):
        next(draws)


@pytest.mark.parametrize("theta", [0.0, -1.0, NAN])
def test_value_iteration_refuses_an_accuracy_of_nothing(theta: float) -> None:
    with pytest.raises(ValueError, match=f"theta={theta}"):
        iterate_values(MDP, 0.5, theta=theta)
    assert iterate_values(MDP, 0.5, theta=1e-9).value_S.tolist() == pytest.approx([2.0])


@pytest.mark.parametrize("kind", [RewardModel, DPO])
def test_a_batch_that_can_hold_no_pair_is_refused(kind: Any) -> None:
    def update(*episodes: Any) -> dict[str, Any]:
        return learner(kind, Table(5, capacity=16, value_head=True)).update(batch_of(*episodes)).metrics

    one, other = (episode(turn((1,), (word,)), reward=1.0, id=f"{word}") for word in (2, 3))
    words = r"learns from pairs, and here no two answers to one prompt can be compared.*group_size=2"
    with pytest.raises(ValueError, match=words):
        update(one, replace(other, group=9))  # each alone
    with pytest.raises(ValueError, match=words):
        update(*(replace(said, source=Source.DATA) for said in (one, other)))  # written, and a tie
    assert update(one, other)["preference/pairs"].value == 0  # sampled answers may tie


def test_a_rate_that_decays_too_fast_is_told_what_turns_it_off() -> None:
    with pytest.raises(ValueError, match=r"algorithm\.rate_decay=1\.5.*0 keeps the rate"):
        QLearning.Config(rate_decay=1.5)
