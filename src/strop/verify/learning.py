"""Learning runs from samples, through rollout, collate and update, on tasks whose optimum is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.q_learning import QLearning
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.algorithms.sft import SFT
from strop.batch import collate
from strop.data.written import demonstrations
from strop.environments.single_turn import SingleTurn
from strop.functional.divergences import KL
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.policies.table import Table
from strop.rollout.play import Scene, play
from strop.samplers.local import LocalSampler
from strop.types import Episode, Pick, Sampling, Task
from strop.verify.checks import Gap

WORDS = ("x", "y", "red", "green", "blue")
WANTED = {"x": "red", "y": "blue"}
TASKS = [Task(prompt, prompt, answer=answer) for prompt, answer in WANTED.items()]


def share_right(task: Task, episode: Episode) -> float:
    """The share of wanted words in their place; missing or extra words earn nothing."""
    got, wanted = episode.text.split(), task.answer.split()
    return sum(a == b for a, b in zip(got, wanted, strict=False)) / max(len(got), len(wanted))


def trained(config: Any, policy: Any, codec: Any, steps: int, seed: int, sampling: Sampling, group: int) -> None:
    """The loop without a run: play, collate, update."""
    algorithm = config.build(policy, sampling, 4096)
    scene = Scene(
        environment=SingleTurn, rewards={"right": (share_right, 1.0)}, codec=codec, context=policy.context, seed=seed
    )
    for step in range(steps):
        episodes = play(scene, TASKS, group, LocalSampler(policy, codec.stop), sampling, "train", step)
        algorithm.update(collate(tuple(Pick(one) for one in episodes), policy.layout))


@torch.no_grad()
def chance_of(policy: Any, codec: Any, prompt: str, answer: str) -> float:
    """The exact probability that the policy answers exactly this and stops."""
    total, tokens = 0.0, codec.start(prompt)
    for token in (*codec.encode(answer), codec.end):
        logits, _ = policy.prefill([tokens])
        total += torch.log_softmax(logits[0].double(), -1)[token].item()
        tokens = (*tokens, token)
    return math.exp(total)


def answers(config: Any, seed: int) -> Gap:
    """1 minus the probability of the less likely of the two right answers, with its end token; 35/36 at first."""
    policy, codec = Table.Config(words=WORDS, has_end=True).build(seed)
    trained(config, policy, codec, 35, seed, Sampling(max_tokens=3), group=16)
    return Gap(1.0 - min(chance_of(policy, codec, prompt, answer) for prompt, answer in WANTED.items()), 0.1)


def learn_reinforce(seed: int) -> Gap:
    """REINFORCE: the right answer with probability 1, from samples."""
    return answers(REINFORCE.Config(optimizer=AdamW(lr=0.2)), seed)


def learn_rloo(seed: int) -> Gap:
    """RLOO: the right answer with probability 1, from samples."""
    return answers(RLOO.Config(optimizer=AdamW(lr=0.2), kl=KL()), seed)


def learn_grpo(seed: int) -> Gap:
    """GRPO: the right answer with probability 1, from samples."""
    return answers(GRPO.Config(optimizer=AdamW(lr=0.2)), seed)


def learn_dr_grpo(seed: int) -> Gap:
    """Dr. GRPO: the right answer with probability 1, from samples."""
    return answers(DrGRPO.Config(optimizer=AdamW(lr=0.2)), seed)


def learn_rloo_boltzmann(seed: int) -> Gap:
    """RLOO: the Boltzmann probability e^2 / (e^2 + 5) of the right word at beta .5, from samples."""
    policy, codec = Table.Config(words=WORDS, has_end=True).build(seed)
    config = RLOO.Config(optimizer=SGD(lr=2.0), kl=KL(weight=0.5))
    trained(config, policy, codec, 25, seed, Sampling(max_tokens=1), group=48)
    distribution = torch.softmax(policy.weight[policy.row(codec.encode("x"))].detach(), -1)
    return Gap(abs(distribution[codec.encode("red")[0]].item() - math.exp(2) / (math.exp(2) + 5)), 0.08)


def learn_q_learning(seed: int) -> Gap:
    """Q-learning: 1 for the right word and 0 for the others, from epsilon-greedy samples."""
    policy, codec = Table.Config(words=WORDS).build(seed)
    greedy = Sampling(temperature=0.0, epsilon=0.3, max_tokens=1)
    trained(QLearning.Config(rate=0.5), policy, codec, 15, seed, greedy, group=16)
    gaps = []
    for prompt, answer in WANTED.items():
        row = policy.weight[policy.row(codec.encode(prompt))].detach()
        right = torch.zeros_like(row)
        right[codec.encode(answer)[0]] = 1.0
        gaps.append(float((row - right).abs().max()))
    return Gap(max(gaps), 0.05)


def learn_sft(seed: int) -> Gap:
    """SFT: the entropy of its data, .281168 nats a token from three "red" and one "blue"."""
    # H = -(3 ln .75 + ln .25) / 4 over the 4 words of 8 tokens; the ends are certain
    policy, codec = Table.Config(words=WORDS, has_end=True).build(seed)
    algorithm = SFT.Config(optimizer=SGD(lr=8.0)).build(policy, Sampling(), 4096)
    memory = Dataset.Config(size=4).build()
    said = ("red", "red", "blue", "red")
    memory.add(demonstrations([Task(str(i), "x", answer=word) for i, word in enumerate(said)], codec))
    rng, nll = np.random.default_rng(seed), math.nan
    for _ in range(150):
        for draw in memory.draws(rng):
            nll = algorithm.update(collate(draw, policy.layout)).metrics["policy/nll"].value
    return Gap(abs(nll - 0.281168), 0.01)
