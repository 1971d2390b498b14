"""Preference methods learn from sampled labels or answers: each ends at the optimum of its loss."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from strop.algorithms.dpo import DPO
from strop.algorithms.ipo import IPO
from strop.algorithms.kto import KTO
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.orpo import ORPO
from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.robust_dpo import RobustDPO
from strop.algorithms.simpo import SimPO
from strop.batch import collate
from strop.data.preferences import preferences
from strop.environments.single_turn import SingleTurn
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.policies.table import Table
from strop.rollout.play import Scene, play
from strop.samplers.local import LocalSampler
from strop.types import Episode, Pick, Sampling, Task
from strop.verify.checks import Gap
from strop.verify.learning import WANTED, WORDS, chance_of

COLOURS = ("red", "green", "blue")
REWARDS = {"red": 1.0, "green": 0.0, "blue": -0.5}
GAMES = 3000  # about 1000 a pair: the log-odds of a pair have the error 2 / sqrt(1000) = .065

Games = Mapping[tuple[str, str], int]
"""How often (winner, loser) was seen."""


def drawn(rewards: Mapping[str, float], games: int, seed: int, flipped: float = 0.0) -> Games:
    """Games between words under Bradley-Terry, a share of the labels flipped."""
    rng = np.random.default_rng(seed)
    seen: Counter[tuple[str, str]] = Counter()
    for _ in range(games):
        a, b = (str(word) for word in rng.choice(list(rewards), size=2, replace=False))
        wins = rng.random() < 1 / (1 + math.exp(rewards[b] - rewards[a]))
        wins ^= rng.random() < flipped
        seen[(a, b) if wins else (b, a)] += 1
    return seen


def fit(config: Any, policy: Any, codec: Any, data: list[tuple[Task, int]], updates: int) -> None:
    """Updates on all the data; equal lines are one task, weighted by their count over the mean count."""
    episodes = preferences([task for task, _ in data], codec)
    mean = sum(n for _, n in data) / len(data)
    picks = [Pick(one, weight=data[one.group][1] / mean) for one in episodes]
    algorithm = config.build(policy, Sampling(), 4096)
    for _ in range(updates):
        algorithm.update(collate(tuple(picks), policy.layout))


def pairs_of(seen: Games) -> list[tuple[Task, int]]:
    """The games as pairs of answers to one prompt."""
    return [(Task(f"{a}{b}", "x", data={"chosen": a, "rejected": b}), n) for (a, b), n in seen.items()]


def logits_after(seen: Games, config: Any) -> dict[str, float]:
    """The logits of the compared words after "x": 60 updates of a uniform table on all games."""
    policy, codec = Table.Config(words=WORDS).build(0)
    fit(config, policy, codec, pairs_of(seen), 60)
    row = policy.weight[policy.row(codec.encode("x"))].detach()
    return {word: row[WORDS.index(word)].item() for word in sorted({word for game in seen for word in game})}


def farthest(got: Mapping[str, float], wanted: Mapping[str, float]) -> float:
    """The largest error of a difference between two words, all that the likelihood depends on."""
    gaps = [got[word] - wanted[word] for word in got]
    return max(gaps) - min(gaps)


def learn_dpo(seed: int) -> Gap:
    """DPO: the log-odds of the Boltzmann policy at beta 1, from 3000 drawn labels."""
    got = logits_after(drawn(REWARDS, GAMES, seed), DPO.Config(optimizer=SGD(lr=4.0), beta=1.0))
    return Gap(farthest(got, REWARDS), 0.25)


def learn_robust_dpo(seed: int) -> Gap:
    """Robust DPO: log-odds of 2, from 4000 labels of which .3 are flipped (DPO ends at .63)."""
    rewards = {"red": 2.0, "blue": 0.0}
    config = RobustDPO.Config(optimizer=SGD(lr=2.0), beta=1.0, flipped=0.3)
    got = logits_after(drawn(rewards, 4000, seed, flipped=0.3), config)
    return Gap(farthest(got, rewards), 0.4)


def learn_ipo(seed: int) -> Gap:
    """IPO: differences of p(y beats mu) / tau, from 3000 drawn labels."""
    config = IPO.Config(optimizer=SGD(lr=0.5), tau=0.25)
    got = logits_after(drawn(REWARDS, GAMES, seed), config)
    wins = {a: sum(1 / (1 + math.exp(REWARDS[b] - REWARDS[a])) for b in COLOURS) / 3 for a in COLOURS}  # mu is uniform
    return Gap(farthest(got, {word: chance / 0.25 for word, chance in wins.items()}), 0.25)


def learn_simpo(seed: int) -> Gap:
    """SimPO: the log-odds where its gradient on the drawn labels is zero."""
    # p sigmoid(gamma - x) = (1 - p) sigmoid(gamma + x) of p / (1 - p) = R: with u = e^x and g = e^-gamma,
    # g u^2 - (R - 1) u - R g = 0
    rewards, gamma = {"red": 1.0, "blue": 0.0}, 0.5
    config = SimPO.Config(optimizer=SGD(lr=1.0), beta=2.0, gamma=gamma)
    got = logits_after(drawn(rewards, GAMES, seed), config)
    ratio, g = math.exp(rewards["red"]), math.exp(-gamma)
    balance = math.log((ratio - 1 + math.sqrt((ratio - 1) ** 2 + 4 * ratio * g * g)) / (2 * g))
    return Gap(farthest(got, {"red": balance / 2.0, "blue": 0.0}), 0.1)


def right_answers(policy: Any, codec: Any) -> Gap:
    """1 minus the probability of the less likely of the two right answers, with its end token; 35/36 at first."""
    return Gap(1.0 - min(chance_of(policy, codec, prompt, answer) for prompt, answer in WANTED.items()), 0.1)


def learn_orpo(seed: int) -> Gap:
    """ORPO: the chosen answers with probability 1, from shuffled pairs."""
    policy, codec = Table.Config(words=WORDS, has_end=True).build(seed)
    tasks = [
        Task(f"{prompt}{wrong}", prompt, data={"chosen": right, "rejected": wrong})
        for prompt, right in WANTED.items()
        for wrong in COLOURS
        if wrong != right
    ]
    memory, rng = Dataset.Config(size=2).build(), np.random.default_rng(seed)
    memory.add(preferences(tasks, codec))
    algorithm = ORPO.Config(optimizer=AdamW(lr=0.2), weight=0.1).build(policy, Sampling(), 4096)
    for _ in range(30):
        for draw in memory.draws(rng):
            algorithm.update(collate(draw, policy.layout))
    return right_answers(policy, codec)


def learn_kto(seed: int) -> Gap:
    """KTO: the good answers with probability 1, though a fifth of the labels is wrong."""
    policy, codec = Table.Config(words=WORDS, has_end=True).build(seed)
    rng = np.random.default_rng(seed)
    data = []
    for word in WORDS:
        for prompt, right in WANTED.items():
            good = int(rng.binomial(100, 0.8 if word == right else 0.2))
            for label, n in ((True, good), (False, 100 - good)):
                data.append((Task(f"{prompt}{word}{label}", prompt, data={"completion": word, "label": label}), n))
    fit(KTO.Config(optimizer=AdamW(lr=0.2), beta=0.1), policy, codec, data, 100)
    return right_answers(policy, codec)


def learn_online_dpo(seed: int) -> Gap:
    """Online DPO: the Boltzmann probability e^2 / (e^2 + 4) of the right word at beta 1, from noisy rewards."""
    # rewards with Gumbel noise are ordered with Bradley-Terry probabilities
    noise = np.random.default_rng(seed)

    def reward(task: Task, one: Episode) -> float:
        return float(2.0 * (one.text == WANTED[str(task.prompt)]) + noise.gumbel())

    (policy, codec), sampling = Table.Config(words=WORDS).build(seed), Sampling(max_tokens=1)
    scene = Scene(environment=SingleTurn, rewards={"r": (reward, 1.0)}, codec=codec, context=None, seed=seed)
    algorithm = OnlineDPO.Config(optimizer=SGD(lr=4.0), beta=1.0).build(policy, sampling, 4096)
    tasks = [Task(prompt, prompt) for prompt in WANTED]
    for step in range(30):
        episodes = play(scene, tasks, 48, LocalSampler(policy, codec.stop), sampling, "train", step)
        algorithm.update(collate(tuple(Pick(one) for one in episodes), policy.layout))
    distribution = torch.softmax(policy.weight[policy.row(codec.encode("x"))].detach(), -1)
    return Gap(abs(distribution[WORDS.index("red")].item() - math.exp(2) / (math.exp(2) + 4)), 0.1)


def learn_reward_model(seed: int) -> Gap:
    """Reward model: the differences of the rewards that 3000 labels were drawn from."""
    policy, codec = Table.Config(words=WORDS, value_head=True).build(seed)
    config = RewardModel.Config(optimizer=SGD(lr=4.0))
    fit(config, policy, codec, pairs_of(drawn(REWARDS, GAMES, seed)), 60)
    assert policy.value is not None
    scores = {word: policy.value[policy.row(codec.encode(f"x {word}"))].item() for word in REWARDS}
    return Gap(farthest(scores, REWARDS), 0.25)


def learn_process_reward_model(seed: int) -> Gap:
    """Process reward model: the log-odds of the distribution of the labels of two steps."""
    policy, codec = Table.Config(words=WORDS, value_head=True).build(seed)
    rng, chances = np.random.default_rng(seed), (0.8, 0.3)
    seen = Counter(tuple(bool(rng.random() < chance) for chance in chances) for _ in range(GAMES))
    data = [
        (Task(str(labels), "x", data={"steps": ["red", "blue"], "labels": list(labels)}), n)
        for labels, n in seen.items()
    ]
    fit(ProcessRewardModel.Config(optimizer=SGD(lr=10.0)), policy, codec, data, 60)
    assert policy.value is not None
    values = [policy.value[policy.row(codec.encode(text))].item() for text in ("x red", "x red blue")]
    return Gap(max(abs(v - math.log(p / (1 - p))) for v, p in zip(values, chances, strict=True)), 0.2)
