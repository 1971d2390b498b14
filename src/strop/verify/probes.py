"""Actor-critics on the probe environments of `worlds.py`, each with one more thing for a critic or an actor to learn.

Every sequence of words is played and weighted by its probability, so each update is an exact expectation. Where words
do not matter only the critic is checked; where they do, the actor too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch

from strop.algorithms.a2c import A2C
from strop.algorithms.ppo import PPO
from strop.algorithms.vtrace import VTrace
from strop.batch import collate
from strop.codec import WordCodec
from strop.functional.divergences import KL
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Episode, Pick, Sampling
from strop.verify.checks import Gap
from strop.verify.episodes import episode, turn
from strop.verify.worlds import PROBE_DISCOUNT, PROBE_WORDS, PROBES, Probe, probe_tasks

EXACT, NEAR = 1e-6, 0.1
LEARNING: dict[str, Any] = {"optimizer": SGD(lr=8.0), "critic": Critic(weight=1 / 8), "discount": PROBE_DISCOUNT}
"""With one context, a value reaches its target in one update."""
NAMES = {1: "a value", 2: "values by context", 3: "a delayed reward", 4: "a word", 5: "a word by context"}


def chances(policy: Table, codec: WordCodec, context: str) -> list[float]:
    """The probability of every word in a context."""
    distribution: list[float] = torch.softmax(policy.weight[policy.row(codec.start(context))].detach(), -1).tolist()
    return distribution


def played(number: int, policy: Table | None, codec: WordCodec) -> list[tuple[float, Episode]]:
    """(probability, episode) of every sequence of words in both contexts; without a policy, of uniform words."""
    found = []
    for task, words in product(probe_tasks(number), product(PROBE_WORDS, repeat=2 if number == 3 else 1)):
        env = Probe(task, np.random.default_rng(0))
        context, turns, total = str(env.start()), [], 1 / 2
        for word in words:
            (token,) = codec.encode(word)
            chance = 1 / len(PROBE_WORDS) if policy is None else chances(policy, codec, context)[token]
            step = env.step(word)
            turns.append(turn(codec.start(context), (token,), (math.log(chance),), step.reward))
            context, total = str(step.text), total * chance
        found.append((total, episode(*turns)))
    return found


def probed(config: Any, acts_itself: bool, steps: int = 30) -> Iterator[Gap]:
    """For each probe, the errors of V and of the probability of the right word.

    V of a context is the value of its best word: the policy has found it, or all words are equally good.
    """
    for number, contexts in PROBES:
        policy, codec = Table.Config(words=PROBE_WORDS, order=1, capacity=8, value_head=True).build(0)
        learner = config.build(policy, Sampling(max_tokens=1), 4096)
        for _ in range(steps):
            every = played(number, policy if acts_itself else None, codec)
            learner.update(collate(tuple(Pick(one, weight=len(every) * p) for p, one in every), policy.layout))
        assert policy.value is not None
        gaps = []
        for context, words in contexts.items():
            best = max(words.values())
            gaps.append(abs(policy.value[policy.row(codec.start(context))].item() - best))
            if min(words.values()) < best:
                distribution = chances(policy, codec, context)
                gaps.append(
                    1.0 - sum(distribution[codec.encode(word)[0]] for word, value in words.items() if value == best)
                )
        yield Gap(max(gaps), EXACT if number < 4 else NEAR, f"{number}, {NAMES[number]}")


def check_a2c_probes() -> Iterator[Gap]:
    """A2C: the known values and words of five probe environments."""
    yield from probed(A2C.Config(**LEARNING, n_step=1, entropy=0.0), acts_itself=True)


def check_ppo_probes() -> Iterator[Gap]:
    """PPO: the known values and words of five probe environments."""
    yield from probed(PPO.Config(**LEARNING, kl=KL(), epochs=2), acts_itself=True)


def check_vtrace_probes() -> Iterator[Gap]:
    """V-trace: the values and words of five probe environments, from the data of a uniform policy."""
    yield from probed(VTrace.Config(**LEARNING, entropy=0.0), acts_itself=False)
