"""Every number that a Config begins with, written down once more: from ALGORITHMS.md where it prints one.

A comment names the section; "ours" stands where the specification leaves the number open, or where the code takes
another one knowingly (the file's docstring says so then).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import pytest

import strop.algorithms
import strop.memory
import strop.planning
import strop.samplers
from exact.learners import algorithms
from strop.algorithms.a2c import A2C
from strop.algorithms.cispo import CISPO
from strop.algorithms.dapo import DAPO
from strop.algorithms.distillation import Distillation
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
from strop.algorithms.process_reward_model import ProcessRewardModel
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
from strop.algorithms.sft import SFT
from strop.algorithms.simpo import SimPO
from strop.algorithms.vtrace import VTrace
from strop.functional.corrections import Correction
from strop.functional.divergences import KL, KLController
from strop.learners.actor_critic import Critic
from strop.memory import Chunks, Dataset, Fresh, Prioritised, Replay
from strop.optimizer import SGD, AdamW
from strop.planning.annealing import Edits, Geometric, Logarithmic
from strop.planning.mcts import TreeSearch
from strop.planning.planner import MonteCarloRound, Planner, value_round
from strop.policies.steered import Steered
from strop.samplers.local import LocalSampler
from strop.schedules import Exponential, Linear
from strop.types import Sampling

TABLES = [QLearning, SARSA, ExpectedSARSA, DoubleQ]
RATIOS = [GRPO, DrGRPO, RLOO, REINFORCEPlusPlus, GSPO, CISPO, SAPO, GDPO]
PARTS = [KL, KLController, Correction, Critic, AdamW, SGD, Linear, Exponential, Logarithmic, Geometric, Edits,
         MonteCarloRound, Sampling]  # fmt: skip
"""Records that stand in fields of Configs."""

DEFAULTS: dict[tuple[Any, str], Any] = {
    # 1.1, tabular: alpha .1 to .5, discount .99; the decay of the rate is ours, off
    **{(kind.Config, "rate"): 0.1 for kind in TABLES},
    **{(kind.Config, "rate_decay"): 0.0 for kind in TABLES},
    **{(kind.Config, "discount"): 0.99 for kind in TABLES},
    (ExpectedSARSA.Config, "target"): None,
    # 1.1, annealing: geometric .95 to .999; the rest is ours
    (Logarithmic, "c"): MISSING,
    (Geometric, "start"): MISSING, (Geometric, "ratio"): 0.99, (Geometric, "floor"): 1e-3,
    (Edits, "alphabet"): MISSING, (Edits, "max_length"): MISSING, (Edits, "min_length"): 0,
    (Edits, "substitute"): 1.0, (Edits, "insert"): 1.0, (Edits, "delete"): 1.0,
    # 1.1, tree search: c 1 to 8, 50 simulations, the mean is backed up; no KL: ours
    (TreeSearch.Config, "exploration"): 1.0, (TreeSearch.Config, "num_simulations"): 50,
    (TreeSearch.Config, "max_weight"): 0.0, (TreeSearch.Config, "kl_weight"): 0.0,
    # 1.1, planning: discount .99 as in the tables; epsilon .1 of the maximisation-bias example; the counts are ours
    (Planner.Config, "mdp"): MISSING, (Planner.Config, "states"): MISSING, (Planner.Config, "round"): value_round,
    (Planner.Config, "discount"): 0.99, (Planner.Config, "seed"): 0,
    (MonteCarloRound, "num_paths"): 100, (MonteCarloRound, "max_steps"): 100, (MonteCarloRound, "epsilon"): 0.1,
    # 1.1, RAFT: the best of a group without a threshold; the rate is ours
    (RejectionSampling.Config, "optimizer"): AdamW(lr=1e-5),
    (RejectionSampling.Config, "best"): 1, (RejectionSampling.Config, "threshold"): None,
    # 1.2, DQN: lr 2.5e-4, discount .99, double, Huber; n_step 1 as in Mnih et al.
    (DQN.Config, "optimizer"): AdamW(lr=2.5e-4), (DQN.Config, "discount"): 0.99, (DQN.Config, "n_step"): 1,
    (DQN.Config, "double"): True, (DQN.Config, "dueling"): False, (DQN.Config, "huber"): 1.0,
    (DQN.Config, "target_every"): 100,  # ours: the specification has 500
    (DQN.Config, "target_share"): 1.0,
    # 1.2, replay: a buffer of 10k turns
    **{(kind.Config, "capacity"): 10_000 for kind in (Replay, Prioritised)},
    **{(kind.Config, "size"): 64 for kind in (Replay, Prioritised)},  # ours: the specification has 128
    **{(kind.Config, "warmup"): 1 for kind in (Replay, Prioritised)},  # ours: the specification has 10k
    **{(kind.Config, "num_draws"): 1 for kind in (Replay, Prioritised)},
    **{(kind.Config, "per_turn"): False for kind in (Replay, Prioritised)},
    **{(kind.Config, "n_step"): 1 for kind in (Replay, Prioritised)},
    **{(kind.Config, "max_staleness"): None for kind in (Replay, Prioritised)},
    # 1.2, PER: alpha .6, beta .4 to 1 (over 10k draws: ours), epsilon 1e-6
    (Prioritised.Config, "alpha"): 0.6, (Prioritised.Config, "beta"): Linear(start=0.4, end=1.0, steps=10_000),
    (Prioritised.Config, "floor"): 1e-6,
    # 1.2, ILQL: its Wordle: level .7, conservative .01, discount .99; rate, Polyak share and jitter are ours
    (ILQL.Config, "optimizer"): AdamW(lr=1e-4), (ILQL.Config, "discount"): 0.99, (ILQL.Config, "level"): 0.7,
    (ILQL.Config, "conservative"): 0.01, (ILQL.Config, "target_share"): 0.005, (ILQL.Config, "jitter"): 0.01,
    (Steered.Config, "base"): MISSING, (Steered.Config, "strength"): 1.0,  # ours: the specification has 32 for Wordle
    # 1.2, path consistency: beta .05 to 1; the rest is ours
    (PathConsistency.Config, "optimizer"): AdamW(lr=1e-4), (PathConsistency.Config, "beta"): 0.1,
    (PathConsistency.Config, "discount"): 1.0, (PathConsistency.Config, "n_step"): None,
    (PathConsistency.Config, "unified"): True, (PathConsistency.Config, "target_share"): 0.01,
    # 1.3, REINFORCE: no number is printed
    (REINFORCE.Config, "optimizer"): AdamW(lr=1e-5), (REINFORCE.Config, "kl"): KL(),
    (REINFORCE.Config, "discount"): 1.0, (REINFORCE.Config, "discount_state"): False,
    (REINFORCE.Config, "baseline_decay"): 0.9,
    # 1.3, ReMax: no number is printed
    (ReMax.Config, "optimizer"): AdamW(lr=1e-6), (ReMax.Config, "kl"): KL(),
    # 1.3, RLOO: lr 1e-6, beta .05 in the reward, epsilon .2
    (RLOO.Config, "optimizer"): AdamW(lr=1e-6), (RLOO.Config, "clip"): 0.2,
    (RLOO.Config, "kl"): KL(weight=0.05, placement="reward", estimator="k1"),
    # 1.3, REINFORCE++: KL in the reward, whitened over the batch; its numbers are ours
    (REINFORCEPlusPlus.Config, "optimizer"): AdamW(lr=1e-6), (REINFORCEPlusPlus.Config, "kl"): KL(weight=0.01),
    (REINFORCEPlusPlus.Config, "discount"): 1.0, (REINFORCEPlusPlus.Config, "group_baseline"): False,
    (REINFORCEPlusPlus.Config, "clip"): 0.2,
    # 1.3, A2C: n 5, c_v .5 (weight 1 of the half square), c_e .01, clip .5, lr 7e-4; discount 1 is ours
    (A2C.Config, "optimizer"): AdamW(lr=7e-4, max_grad_norm=0.5), (A2C.Config, "kl"): KL(),
    (A2C.Config, "discount"): 1.0, (A2C.Config, "n_step"): 5, (A2C.Config, "critic"): Critic(weight=1.0),
    (A2C.Config, "entropy"): 0.01,
    # 1.3, V-trace: both caps 1; the rest as A2C
    (VTrace.Config, "optimizer"): AdamW(lr=7e-4, max_grad_norm=0.5), (VTrace.Config, "discount"): 1.0,
    (VTrace.Config, "ratio_cap"): 1.0, (VTrace.Config, "trace_cap"): 1.0,
    (VTrace.Config, "critic"): Critic(weight=1.0), (VTrace.Config, "entropy"): 0.01,
    # 1.4, PPO (6): lr 3e-6, 4 epochs, KL .05 in the reward, epsilon .2, c_v .1, lambda .95; (4): discount 1, one
    # mini-batch, no entropy bonus. The value clip of .2 is off: ours
    (PPO.Config, "optimizer"): AdamW(lr=3e-6), (PPO.Config, "clip"): 0.2, (PPO.Config, "dual_clip"): None,
    (PPO.Config, "kl"): KL(weight=0.05, placement="reward", estimator="k1"), (PPO.Config, "kl_controller"): None,
    (PPO.Config, "critic"): Critic(weight=0.1, clip=None), (PPO.Config, "entropy"): 0.0,
    (PPO.Config, "discount"): 1.0, (PPO.Config, "trace"): 0.95, (PPO.Config, "epochs"): 4,
    (PPO.Config, "minibatches"): 1,
    (Critic, "weight"): 1.0, (Critic, "clip"): None, (Critic, "separate"): False,
    (Critic, "warmup"): 0,
    # 1.4 (4) and (7): target 6 nats, horizon 10,000 episodes
    (KLController, "target"): 6.0, (KLController, "horizon"): 10_000,
    # 1.5: the ratio family; beta 0 is TRL's default (the paper of GRPO: .04), and so is one step a batch
    **{(kind.Config, "epochs"): 1 for kind in (*RATIOS, DAPO, DPPO)},
    **{(kind.Config, "kl"): KL(weight=0.0) for kind in (GRPO, DrGRPO, GSPO, CISPO, SAPO, MaxRL, GDPO, DPPO)},
    **{(kind.Config, "optimizer"): AdamW(lr=1e-6)
       for kind in (GRPO, DrGRPO, DAPO, GSPO, CISPO, SAPO, MaxRL, GDPO, DPPO)},
    (GRPO.Config, "clip"): 0.2, (GRPO.Config, "dual_clip"): None,
    (DrGRPO.Config, "clip"): 0.2, (DrGRPO.Config, "dual_clip"): None, (DrGRPO.Config, "max_tokens"): None,
    (DAPO.Config, "clip_low"): 0.2, (DAPO.Config, "clip_high"): 0.28, (DAPO.Config, "mask_truncated"): True,
    (DAPO.Config, "overlong_tokens"): 0,  # ours: the specification has 4096 of 20480
    (DAPO.Config, "oversampling"): 10,
    (GSPO.Config, "clip_low"): 3e-4, (GSPO.Config, "clip_high"): 4e-4,
    (CISPO.Config, "floor"): 0.0, (CISPO.Config, "cap"): 5.0,
    (GDPO.Config, "clip"): 0.2,
    (DPPO.Config, "divergence"): "tv", (DPPO.Config, "delta"): 0.2,  # as in the authors' code
    (SAPO.Config, "tau_positive"): 1.0, (SAPO.Config, "tau_negative"): 1.05,
    # 1.3, entropy regularisation: off but in the actor-critics of 1.3
    **{(kind.Config, "entropy"): 0.0 for kind in (*RATIOS, REINFORCE, ReMax, MaxRL, DPPO)},
    # 1.6: k1 in the reward is the exact gradient; weight 0 makes no reference
    (KL, "weight"): 0.0, (KL, "placement"): "reward", (KL, "estimator"): "k1",
    # 1.7: SFT 2e-5; reward model 1e-4 and .01; DPO .1 and 1e-6; robust .1; IPO .1; KTO .1; ORPO .1; SimPO 2 and .5 of
    # it; online DPO .1 and 5e-7. The rates of ORPO, SimPO, IPO, KTO and of process rewards are ours
    (SFT.Config, "optimizer"): AdamW(lr=2e-5), (SFT.Config, "end"): True,
    # Devlin et al. 2019, 3.1: 15 %, of which 80 % and 10 %; A.2: 1e-4
    (MaskedLM.Config, "optimizer"): AdamW(lr=1e-4), (MaskedLM.Config, "share"): 0.15,
    (MaskedLM.Config, "masked"): 0.8, (MaskedLM.Config, "random"): 0.1, (MaskedLM.Config, "next_sentence"): False,
    (RewardModel.Config, "optimizer"): AdamW(lr=1e-4), (RewardModel.Config, "margin"): 0.0,
    (RewardModel.Config, "centring"): 0.01,
    (ProcessRewardModel.Config, "optimizer"): AdamW(lr=1e-4),
    (DPO.Config, "optimizer"): AdamW(lr=1e-6), (DPO.Config, "beta"): 0.1, (DPO.Config, "smoothing"): 0.0,
    (RobustDPO.Config, "optimizer"): AdamW(lr=1e-6), (RobustDPO.Config, "beta"): 0.1,
    (RobustDPO.Config, "flipped"): 0.1,
    (IPO.Config, "optimizer"): AdamW(lr=1e-6), (IPO.Config, "tau"): 0.1,
    (KTO.Config, "optimizer"): AdamW(lr=1e-6), (KTO.Config, "beta"): 0.1, (KTO.Config, "desirable"): 1.0,
    (KTO.Config, "undesirable"): 1.0, (KTO.Config, "threshold"): 0.5,
    (ORPO.Config, "optimizer"): AdamW(lr=8e-6), (ORPO.Config, "weight"): 0.1,
    (SimPO.Config, "optimizer"): AdamW(lr=1e-6), (SimPO.Config, "beta"): 2.0, (SimPO.Config, "gamma"): 1.0,
    (OnlineDPO.Config, "optimizer"): AdamW(lr=5e-7), (OnlineDPO.Config, "beta"): 0.1,
    # 1.8: TIS with C = 2; no correction unless the sampler is another engine
    **{(kind.Config, "correction"): None for kind in (*RATIOS, DAPO, REINFORCE, ReMax, MaxRL, A2C, PPO)},
    (Correction, "level"): "token", (Correction, "kind"): "truncate", (Correction, "cap"): 2.0,
    (Correction, "floor"): 0.0, (Correction, "max_drift"): None, (Correction, "max_staleness"): None,
    # the specification prints nothing for these
    (Distillation.Config, "optimizer"): AdamW(lr=1e-5), (Distillation.Config, "teacher"): None,
    (Distillation.Config, "dtype"): "float32",
    (Dataset.Config, "size"): 16, (Dataset.Config, "num_draws"): 1,
    (Chunks.Config, "size"): 32, (Chunks.Config, "length"): 128, (Chunks.Config, "overlap"): 1,
    (Chunks.Config, "epochs"): None,
    (AdamW, "lr"): 1e-5, (AdamW, "betas"): (0.9, 0.999), (AdamW, "eps"): 1e-8, (AdamW, "weight_decay"): 0.0,
    (AdamW, "max_grad_norm"): 1.0, (AdamW, "warmup_steps"): 0,
    (SGD, "lr"): 0.1, (SGD, "momentum"): 0.0, (SGD, "max_grad_norm"): None,
    (Linear, "start"): MISSING, (Linear, "end"): MISSING, (Linear, "steps"): MISSING,
    (Exponential, "start"): MISSING, (Exponential, "end"): MISSING, (Exponential, "factor"): MISSING,
    (LocalSampler.Config, "batch"): 64,
    (Sampling, "temperature"): 1.0, (Sampling, "epsilon"): 0.0, (Sampling, "top_p"): 1.0, (Sampling, "top_k"): 0,
    (Sampling, "max_tokens"): 64, (Sampling, "choices"): (),
}  # fmt: skip


def classes() -> Iterator[Any]:
    """Every Config of an algorithm, a memory, a planner or a sampler, found by module, and what stands in their
    fields."""
    for room in (strop.algorithms, strop.memory, strop.planning, strop.samplers):
        for found in pkgutil.iter_modules(room.__path__):
            module = importlib.import_module(f"{room.__name__}.{found.name}")
            for _, kind in inspect.getmembers(module, inspect.isclass):
                if kind.__module__ == module.__name__ and is_dataclass(getattr(kind, "Config", None)):
                    yield kind.Config
    yield from (Steered.Config, *PARTS)


CLASSES = list(dict.fromkeys(classes()))


def name_of(kind: Any) -> str:
    return kind.__qualname__.partition(".")[0]


@pytest.mark.parametrize("kind", CLASSES, ids=name_of)
def test_every_default_is_the_written_one(kind: Any) -> None:
    for field in fields(kind):
        assert (kind, field.name) in DEFAULTS, f"{kind.__qualname__}.{field.name} is not written down here"
        made = field.default if field.default_factory is MISSING else field.default_factory()
        written = DEFAULTS[kind, field.name]
        assert (type(made), made) == (type(written), written), f"{kind.__qualname__}.{field.name}"


def test_nothing_is_written_down_that_is_not_there() -> None:
    there = {(kind, field.name) for kind in CLASSES for field in fields(kind)}
    assert set(DEFAULTS) == there
    assert {kind.Config for kind in algorithms()} | {Fresh.Config} <= set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=name_of)
def test_records_in_the_fields_are_written_down_too(kind: Any) -> None:
    for field in fields(kind):
        made = DEFAULTS[kind, field.name]
        assert not is_dataclass(made) or type(made) in CLASSES, f"{kind.__qualname__}.{field.name}"


def test_every_algorithm_names_the_memory_that_suits_it() -> None:
    named = {kind.__name__: name_of(kind.Config.memory) for kind in algorithms()}
    assert {name for name, memory in named.items() if memory == "Replay"} == {
        "DQN", "ILQL", "PathConsistency", "VTrace",
    }  # fmt: skip
    assert {name for name, memory in named.items() if memory == "Dataset"} == {
        "Counting", "DPO", "IPO", "KTO", "MaskedLM", "ORPO", "ProcessRewardModel", "RewardModel", "RobustDPO", "SFT",
        "SimPO",
    }  # fmt: skip
    assert set(named.values()) == {"Fresh", "Replay", "Dataset"}
