"""SARSA, expected SARSA and double Q-learning: every transition of a small problem, weighted by its probability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from strop.algorithms.double_q import DoubleQ
from strop.algorithms.expected_sarsa import ExpectedSARSA
from strop.algorithms.q_learning import QLearning
from strop.algorithms.sarsa import SARSA
from strop.memory import Fresh
from strop.policies.table import Table
from strop.types import Batch, End, Sampling, Step, Task
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.sampling import slow_distribution
from strop.verify.worlds import DISCOUNT, PAID, ROOMS, WORDS, PaidWords, corridor_gap, corridor_optimum, learn, walk

GREEDY = Sampling(temperature=0.0)
X, Y = 2, 3
HALF = 0.5
SAMPLINGS = (
    # V = mean reward / (1 - discount), Q = r + discount V; words 0 and 1 pay 1 and 2 in both contexts
    ("at random", Sampling(epsilon=1.0), 3.0),  # mean 1.5
    ("epsilon .3", Sampling(temperature=0.0, epsilon=0.3), 3.7),  # mean .85 * 2 + .15 * 1
    ("greedy", GREEDY, 4.0),  # the optimum
)


def two_words(kind: Any, sampling: Sampling) -> tuple[Table, Any]:
    """A table of two words and two contexts, and the algorithm at rate 1."""
    policy = Table(2, order=1, capacity=4)
    return policy, kind.Config(rate=1.0, discount=HALF).build(policy, sampling, 4096)


def transition(context: int, word: int, following: int | None = None) -> Batch:
    """`word` in `context` with its reward, then the other context, and there `following` if given; then truncated."""
    other = X + Y - context
    first, end = turn((context,), (word,), reward=1.0 + word), End.TRUNCATED
    if following is None:
        one = episode(first, end=end, final=(other,))
    else:
        one = episode(first, turn((other,), (following,)), end=end, final=(context,))
    return batch_of(one, layout="per_turn")


def from_values(policy: Table, value: float) -> float:
    """The largest distance of the table from r + discount * value."""
    return max(
        abs(policy.weight[policy.row((context,)), word].item() - (1.0 + word + HALF * value))
        for context, word in product((X, Y), (0, 1))
    )


@torch.no_grad()
def expected_correction(policy: Table, algorithm: Any, sampling: Sampling) -> Tensor:
    """What SARSA adds to the table in expectation over the next word, from every context and word."""
    before, total = policy.weight.clone(), torch.zeros_like(policy.weight)
    for context, word in product((X, Y), (0, 1)):
        chances = slow_distribution(before[policy.row((X + Y - context,))].tolist(), sampling)
        for following, chance in enumerate(chances):
            if chance:
                algorithm.update(transition(context, word, following))
                total += chance * (policy.weight - before)
                policy.weight.copy_(before)
    return total


def check_sarsa() -> Iterator[Gap]:
    """SARSA: the closed-form values of the distribution that acts, by its expected correction."""
    for name, sampling, value in SAMPLINGS:
        policy, algorithm = two_words(SARSA, sampling)
        for _ in range(45):  # .5^45 < 1e-13
            moved = expected_correction(policy, algorithm, sampling)
            with torch.no_grad():
                policy.weight.add_(moved)
        yield Gap(from_values(policy, value), 1e-10, name)


def check_sarsa_of_a_cut() -> Gap:
    """SARSA: no correction of the last decision of a truncated episode."""
    policy, algorithm = two_words(SARSA, GREEDY)
    algorithm.update(transition(X, 1, 1))
    return Gap(float(policy.weight[policy.row((Y,))].detach().abs().max()), 0.0)


def check_expected_sarsa() -> Iterator[Gap]:
    """Expected SARSA: the closed-form values of the distribution that acts."""
    for name, sampling, value in SAMPLINGS:
        yield Gap(_swept(ExpectedSARSA, sampling, value), 1e-10, name)


def check_double_q() -> Gap:
    """Double Q: the optimum r + discount * 2 / (1 - discount) of two words."""
    return Gap(_swept(DoubleQ, GREEDY, 4.0), 1e-10)


def _swept(kind: Any, sampling: Sampling, value: float) -> float:
    """The distance after many passes over every transition."""
    policy, algorithm = two_words(kind, sampling)
    for _ in range(50):
        for context, word in product((X, Y), (0, 1)):
            algorithm.update(transition(context, word))
    return from_values(policy, value)


# ------------------------------------------------------------ maximisation bias


def mean_target(kind: Any) -> float:
    """The exact mean target of entering a state with 3 actions, each tried twice, with rewards -1 or 1 by a fair coin.

    Every Q is the mean of two coins (double: of one coin in each table). The mean is over all 64 outcomes.
    """
    total = 0.0
    for coins in product((-1.0, 1.0), repeat=6):
        policy = Table(3, capacity=4)
        algorithm = kind.Config(rate=1.0, rate_decay=1.0, discount=1.0).build(policy, GREEDY, 4096)
        tries = [episode(turn((2,), (i % 3,), reward=coin)) for i, coin in enumerate(coins)]
        algorithm.update(batch_of(*tries, layout="per_turn"))
        enter = batch_of(episode(turn((1,), (0,)), end=End.TRUNCATED, final=(2,)), layout="per_turn")
        total += algorithm.update(enter).per_token["td_error"].sum().item()
    return total / 64


def check_q_learning_bias() -> Gap:
    """Q-learning: its known maximisation bias, .5625 with three fair coins thrown twice each."""
    # the mean of two coins is 1 with 1/4, 0 with 1/2: the largest of three is 1 with 1 - (3/4)^3, -1 with (1/4)^3
    return Gap(abs(mean_target(QLearning) - (37 - 1) / 64), 1e-12)


def check_double_q_bias() -> Gap:
    """Double Q: no maximisation bias with three fair coins thrown twice each."""
    return Gap(abs(mean_target(DoubleQ)), 1e-12)


@dataclass(slots=True)
class Temptation:
    """Maximisation bias (Sutton & Barto, example 6.7): "left" leads to words that pay N(-.1, 1), others end with 0."""

    task: Task
    rng: np.random.Generator
    tempted: bool = False

    def start(self) -> str:
        return "x"

    def step(self, text: str) -> Step:
        if self.tempted:
            return Step("", float(self.rng.normal(-0.1, 1.0)), End.TERMINATED)
        self.tempted = text == "left"
        return Step("y") if self.tempted else Step("", 0.0, End.TERMINATED)

    def close(self) -> None:
        """Nothing to close."""


# ------------------------------------------------------------ from samples


def sampled_gap(kind: Any, sampling: Sampling, value: float, steps: int, seed: int, rate_decay: float = 0.0) -> float:
    """The largest error of the two rewarded words against r + discount * value, learnt from episodes."""
    policy, codec = Table.Config(words=WORDS, order=1).build(0)
    algorithm = kind.Config(rate=1.0, rate_decay=rate_decay, discount=HALF).build(policy, sampling, 4096)
    learn(algorithm, policy, codec, Fresh(), PaidWords, [Task("0", "")], steps, seed, sampling, group=16)
    return max(
        abs(policy.weight[policy.row(codec.encode(context)), codec.encode(word)[0]].item() - (paid + HALF * value))
        for context, (word, paid) in product("xy", PAID.items())
    )


def learn_sarsa(seed: int) -> Gap:
    """SARSA: the values of the uniform policy, from samples."""
    # one of four words pays 1, one 2: mean .75. Rate (n + 1)^-.8 after about 12 * 160 / 8 = 240 visits a pair; the
    # spread of .5 Q(s', a') is below .5, which the last rates average to below .5 * sqrt(240^-.8 / (2 * .5)) = .056;
    # the band is less than three of these
    return Gap(sampled_gap(SARSA, Sampling(epsilon=1.0, max_tokens=1), 1.5, 12, seed, rate_decay=0.8), 0.15)


def learn_expected_sarsa(seed: int) -> Gap:
    """Expected SARSA: the values of the epsilon-greedy policy, from samples."""
    # epsilon .3 of four words: .775 on "two", .075 on the others: mean .775 * 2 + .075 = 1.625
    return Gap(sampled_gap(ExpectedSARSA, Sampling(temperature=0.0, epsilon=0.3, max_tokens=1), 3.25, 10, seed), 1e-4)


def learn_double_q(seed: int) -> Gap:
    """Double Q: the corridor's values by value iteration, from samples."""
    policy, codec = Table.Config(words=["left", "right", *ROOMS], order=1).build(seed)
    sampling = Sampling(epsilon=1.0, max_tokens=1)
    algorithm = DoubleQ.Config(rate=1.0, discount=DISCOUNT).build(policy, sampling, 4096)
    walk(algorithm, policy, codec, Fresh(), 20, seed, sampling)
    return Gap(corridor_gap(policy, corridor_optimum()), 1e-6)


def share_of_left(kind: Any, seed: int) -> float:
    """How often the first word is "left" in the first 300 episodes of 4 learners, epsilon .1 and rate .1."""
    words, count = ["left", "right", *"abcdefgh", "x", "y"], 0
    sampling = Sampling(temperature=0.0, epsilon=0.1, max_tokens=1)
    for learner in range(4):
        policy, codec = Table.Config(words=words, order=1).build(0)
        algorithm = kind.Config(rate=0.1, discount=1.0).build(policy, sampling, 4096)
        memory = _Counting()
        learn(
            algorithm, policy, codec, memory, Temptation, [Task("0", "")], 75, 100 * seed + learner, sampling, group=4
        )
        count += memory.left
    return count / (4 * 300)


class _Counting(Fresh):
    """Counts the episodes that begin with "left"."""

    left = 0

    def add(self, episodes: Any) -> None:
        self.left += sum(one.turns[0].text == "left" for one in episodes)
        super().add(episodes)


def learn_double_q_temptation(seed: int) -> Gap:
    """Double Q: takes the noisy action less than half as often as Q-learning (the excess)."""
    return Gap(max(share_of_left(DoubleQ, seed) - 0.5 * share_of_left(QLearning, seed), 0.0), 0.0)
