"""Where an action is one of a few choices, every method works with the distribution over these alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.rloo import RLOO
from strop.functional.distributions import logprobs_of
from strop.functional.divergences import KL
from strop.functional.restriction import only
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.samplers.local import LocalSampler
from strop.types import Choices, Episode, Sampling, Tokens, Unscored
from strop.verify.checks import Gap
from strop.verify.sampling import DRAWS, chi_square_z
from strop.verify.tree import (
    PROMPT,
    Distributions,
    Tree,
    built_at,
    expected_ascent,
    random_weights,
    relative,
    set_weights,
    tiny_transformer,
)

EXACT = 1e-10
CHOICES = Choices(((2, 3), (2, 4, 1), (2, 4, 5), (4,), (1, 0), (1, 5)))
"""Phrases of one to three tokens, some with the same beginnings; (1, 0) is a short one that needs an end."""
SAMPLINGS = {
    "the softmax": Sampling(max_tokens=3),
    "temperature .6": Sampling(temperature=0.6, max_tokens=3),
    "epsilon .3": Sampling(epsilon=0.3, max_tokens=3),
    "epsilon-greedy": Sampling(temperature=0.0, epsilon=0.5, max_tokens=3),
    "top-k 2 and epsilon": Sampling(top_k=2, epsilon=0.1, max_tokens=3),
}


class ChoiceTree(Tree):
    """The choices after PROMPT instead of all sequences; every distribution is over what may follow."""

    def __init__(self, policy: Any, choices: Choices, temperature: float = 1.0) -> None:
        self.choices = choices
        super().__init__(policy, max(map(len, choices.tokens)), end=None, temperature=temperature)

    def _grow(self, prefix: Tokens) -> None:
        self.sequences = list(self.choices.tokens)
        self.states = sorted({one[:t] for one in self.sequences for t in range(len(one))})

    def following(self, state: Tokens) -> list[int]:
        """The tokens behind a beginning, read off the sequences."""
        return sorted({one[len(state)] for one in self.sequences if one[: len(state)] == state and one != state})

    def distributions(self, policy: Any = None) -> Distributions:
        return {s: self._over(self.following(s), whole) for s, whole in super().distributions(policy).items()}

    @staticmethod
    def _over(tokens: list[int], logprobs_V: Tensor) -> Tensor:
        index = torch.tensor(tokens)
        inner = logprobs_V[index] - logprobs_V[index].logsumexp(0)
        return torch.full_like(logprobs_V, -math.inf).index_put((index,), inner)

    def episodes(
        self, rewards: Sequence[float | Unscored], group: int = 0, distributions: Distributions | None = None
    ) -> list[Episode]:
        made = super().episodes(rewards, group, distributions)
        return [replace(one, turns=(replace(one.turns[0], choices=self.choices),)) for one in made]


def choice_tree(seed: int = 0, temperature: float = 1.0) -> ChoiceTree:
    """Over a table of 6 tokens with normal random logits, most of whose probability lies off the choices."""
    policy = Table(6, capacity=16)
    tree = ChoiceTree(policy, CHOICES, temperature)
    for state in tree.states:
        policy.row(PROMPT + state)
    set_weights(policy, random_weights(policy, seed, 2.0))
    return tree


def slow_distribution(logits: Sequence[float], allowed: Sequence[int], sampling: Sampling) -> list[float]:
    """The next token's probabilities in plain Python: those of the allowed tokens alone, and 0 elsewhere."""
    assert isinstance(sampling.temperature, float)
    assert isinstance(sampling.epsilon, float)
    if sampling.temperature == 0.0:
        best = max(allowed, key=lambda token: (logits[token], -token))
        weights = {token: float(token == best) for token in allowed}
    else:
        weights = {token: math.exp(logits[token] / sampling.temperature) for token in allowed}
        kept = sorted(allowed, key=lambda token: -weights[token])[: sampling.top_k or None]
        weights = {token: weights[token] * (token in kept) for token in allowed}
    total, epsilon = sum(weights.values()), sampling.epsilon
    probs = [0.0] * len(logits)
    for token in allowed:
        probs[token] = (1 - epsilon) * weights[token] / total + epsilon / len(allowed)
    return probs


def check_choices() -> Iterator[Gap]:
    """choices: the distribution over what may follow alone; it sums to 1."""
    tree = choice_tree()
    for name, sampling in SAMPLINGS.items():
        gaps = []
        for state in tree.states:
            logits_V, allowed = tree.policy.weight[tree.policy.contexts[PROMPT + state]], tree.following(state)
            got_V = logprobs_of(only(logits_V.detach().unsqueeze(0), [tuple(allowed)]), sampling).exp()[0]
            slow = slow_distribution(logits_V.tolist(), allowed, sampling)
            gaps += [
                abs(got_V.sum().item() - 1.0),
                float((got_V - torch.tensor(slow, dtype=torch.float64)).abs().max()),
            ]
        yield Gap(max(gaps), 1e-12, name)


def check_choices_sampled() -> Iterator[Gap]:
    """choices: the sampler draws whole phrases from the exact distribution (chi-square, in standard deviations)."""
    tree = choice_tree()
    for name, sampling in SAMPLINGS.items():
        exact = {
            phrase: math.prod(
                slow_distribution(
                    tree.policy.weight[tree.policy.contexts[PROMPT + phrase[:t]]].tolist(),
                    tree.following(phrase[:t]),
                    sampling,
                )[phrase[t]]
                for t in range(len(phrase))
            )
            for phrase in tree.sequences
        }
        sampler, rng = LocalSampler(tree.policy, frozenset({0}), batch=DRAWS), np.random.default_rng(1)
        drawn = sampler.sample([PROMPT] * DRAWS, sampling, [rng] * DRAWS, [CHOICES] * DRAWS)
        wrong = sum(abs(sum(one.logprobs or ()) - math.log(exact[one.tokens])) > EXACT for one in drawn)
        z = chi_square_z(Counter(one.tokens for one in drawn), exact, DRAWS)
        yield Gap(math.inf if wrong else max(z, 0.0), 3.7, name)


def check_choices_gradient() -> Iterator[Gap]:
    """choices: grad J in expectation over the choices, with a KL to the equally restricted reference."""
    rewards = [1.0, -0.5, 2.0, 0.3, -1.0, 0.7]
    for temperature in (1.0, 0.7):
        tree = choice_tree(temperature=temperature)
        sampling = Sampling(temperature=temperature, max_tokens=3)
        plain = REINFORCE.Config(optimizer=SGD(lr=1.0), kl=KL(), baseline_decay=None).build(tree.policy, sampling, 4096)
        yield _gap(tree, plain, rewards, 1, tree.true_gradient(rewards), f"REINFORCE, temperature {temperature:g}")
        rloo = RLOO.Config(optimizer=SGD(lr=1.0), kl=KL()).build(tree.policy, sampling, 4096)
        yield _gap(tree, rloo, rewards, 2, tree.true_gradient(rewards), f"RLOO, temperature {temperature:g}")
    tree, weight = choice_tree(), 0.4
    start = random_weights(tree.policy, 5, 2.0)
    config = REINFORCE.Config(optimizer=SGD(lr=1.0), kl=KL(weight=weight), baseline_decay=None)
    algorithm = built_at(tree, start, lambda: config.build(tree.policy, Sampling(max_tokens=3), 4096))
    own = tree.probabilities(tree.distributions())
    reference = _probabilities_at(tree, start)
    divergence = (own * (own.log() - reference.log())).sum()
    value = (own * torch.tensor(rewards, dtype=torch.float64)).sum() - weight * divergence
    yield _gap(tree, algorithm, rewards, 1, tree.gradient(value), "REINFORCE with KL")


def check_choices_scored() -> Gap:
    """choices: a transformer scores what it sampled as it did then (largest gap of a log-prob)."""
    tree = ChoiceTree(tiny_transformer(), CHOICES)
    distributions = tree.distributions()
    exact = dict(zip(tree.sequences, (one.sum().item() for one in tree.logprobs(distributions)), strict=True))
    rngs = [np.random.default_rng(seed) for seed in range(40)]
    sampler = LocalSampler(tree.policy, frozenset({0}))
    drawn = sampler.sample([PROMPT] * 40, Sampling(max_tokens=3), rngs, [CHOICES] * 40)
    return Gap(max(abs(sum(one.logprobs or ()) - exact[one.tokens]) for one in drawn), 1e-5)


def _gap(tree: Tree, algorithm: Any, rewards: list[float], size: int, true: Tensor, case: str) -> Gap:
    return Gap(relative(expected_ascent(tree, algorithm, rewards, size), true), EXACT, case)


def _probabilities_at(tree: ChoiceTree, weights: Tensor) -> Tensor:
    """The probability of every choice under these weights."""
    own = torch.cat([one.detach().flatten() for one in tree.policy.parameters()]).clone()
    set_weights(tree.policy, weights)
    found = tree.probabilities(tree.distributions()).detach()
    set_weights(tree.policy, own)
    return found
