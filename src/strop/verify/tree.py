"""A language model small enough to enumerate: all its sequences, their exact probabilities, and exact expectations.

No number here comes from the code under test: distributions are read off the table's rows, or off a plain
forward pass of the transformer without padding, cache or chunks; gradients of expectations come from autograd over the
enumeration.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor

from strop.batch import collate
from strop.policies.adapters import LoRA
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.policies.transformer import Transformer
from strop.types import Episode, Pick, Policy, Tokens, Unscored
from strop.verify.episodes import episode, turn

PROMPT = (1,)
Distributions = dict[Tokens, Tensor]


class Tree:
    """Every sequence of `policy` after PROMPT: ended by the token `end`, or cut after `horizon` tokens."""

    def __init__(self, policy: Any, horizon: int, end: int | None = 0, temperature: float = 1.0) -> None:
        self.policy, self.horizon, self.end, self.temperature = policy, horizon, end, temperature
        self.states: list[Tokens] = []
        self.sequences: list[Tokens] = []
        self._grow(())

    def _grow(self, prefix: Tokens) -> None:
        if len(prefix) == self.horizon or (prefix and prefix[-1] == self.end):
            self.sequences.append(prefix)
            return
        self.states.append(prefix)
        for token in range(self.policy.vocabulary):
            self._grow((*prefix, token))

    # ------------------------------------------------------------ the distribution, with gradient

    def distributions(self, policy: Any = None) -> Distributions:
        """log pi(. | state) of every state, under the tree's temperature."""
        policy = self.policy if policy is None else policy
        return {s: torch.log_softmax(_logits(policy, PROMPT + s) / self.temperature, -1) for s in self.states}

    def logprobs(self, distributions: Distributions) -> list[Tensor]:
        """Per-token log-probs of every sequence."""
        return [torch.stack([distributions[y[:t]][y[t]] for t in range(len(y))]) for y in self.sequences]

    def probabilities(self, distributions: Distributions) -> Tensor:
        """The probability of every sequence; they sum to 1."""
        return torch.stack([logprobs.sum() for logprobs in self.logprobs(distributions)]).exp()

    def visits(self, distributions: Distributions) -> dict[Tokens, Tensor]:
        """The probability of visiting each state."""
        return {
            s: torch.stack([*(distributions[s[:t]][s[t]] for t in range(len(s))), torch.zeros(())]).sum().exp()
            for s in self.states
        }

    # ------------------------------------------------------------ episodes

    def episodes(
        self, rewards: Sequence[float | Unscored], group: int = 0, distributions: Distributions | None = None
    ) -> list[Episode]:
        """One episode a sequence, with the exact log-probs of the distribution that it is drawn from."""
        logprobs = self.logprobs(self.distributions() if distributions is None else distributions)
        return [
            episode(turn(PROMPT, y, logprob.tolist()), reward=reward, group=group, id=str(y))
            for y, logprob, reward in zip(self.sequences, logprobs, rewards, strict=True)
        ]

    def tuples(self, size: int) -> Iterator[tuple[float, tuple[int, ...]]]:
        """(probability, members) of every unordered group of `size` sequences; the order of a group does not matter."""
        probs = self.probabilities(self.distributions()).tolist()
        for members in combinations_with_replacement(range(len(probs)), size):
            orders = math.factorial(size) // math.prod(math.factorial(n) for n in Counter(members).values())
            yield orders * math.prod(probs[i] for i in members), members

    # ------------------------------------------------------------ gradients, as one vector

    def gradient(self, value: Tensor) -> Tensor:
        """d value / d parameters."""
        parameters = self.policy.parameters()
        got = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
        return torch.cat(
            [(g if g is not None else torch.zeros_like(p)).flatten() for g, p in zip(got, parameters, strict=True)]
        )

    def true_gradient(self, rewards: Sequence[float]) -> Tensor:
        """The gradient of J = sum_y pi(y) r(y)."""
        return self.gradient(
            (self.probabilities(self.distributions()) * torch.tensor(rewards, dtype=torch.float64)).sum()
        )

    def score(self) -> list[Tensor]:
        """grad log pi(y) of every sequence."""
        return [self.gradient(logprobs.sum()) for logprobs in self.logprobs(self.distributions())]


def table_tree(
    vocabulary: int, horizon: int, seed: int = 0, end: int | None = 0, scale: float = 1.0, temperature: float = 1.0
) -> Tree:
    """A Tree over a Table with normal random logits."""
    policy = Table(vocabulary, capacity=sum(vocabulary**h for h in range(horizon)) + 1)
    tree = Tree(policy, horizon, end, temperature)
    for state in tree.states:
        policy.row(PROMPT + state)
    set_weights(policy, random_weights(policy, seed, scale))
    return tree


@torch.no_grad()
def tiny_transformer(lora: LoRA | None = None, seed: int = 0) -> Transformer:
    """Two layers over 7 tokens, far from uniform, so that a wrong position or mask is visible."""
    built, _ = Scratch(words=[str(i) for i in range(7)], has_end=False, width=16, num_heads=2, context=32).build(
        seed, "float32"
    )
    for parameter in built.parameters():
        if parameter.dim() > 1:
            parameter.mul_(15.0)
    return Transformer.of(built.model, lora, seed, "float32")


def random_weights(policy: Policy, seed: int, scale: float = 1.0) -> Tensor:
    """Normal random parameters, as one vector."""
    size = sum(p.numel() for p in policy.parameters())
    return scale * torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@torch.no_grad()
def set_weights(policy: Policy, vector: Tensor) -> None:
    """Write a vector into the parameters."""
    first = 0
    for parameter in policy.parameters():
        parameter.copy_(vector[first : first + parameter.numel()].view_as(parameter))
        first += parameter.numel()


def ascent(tree: Tree, algorithm: Any, picks: Sequence[Pick]) -> Tensor:
    """The change of the parameters by one update under SGD(lr=1): minus the gradient. The policy is restored."""
    before = flat(tree.policy.parameters())
    algorithm.update(collate(tuple(picks), tree.policy.layout))
    moved = flat(tree.policy.parameters()) - before
    set_weights(tree.policy, before)
    return moved


def expected_ascent(tree: Tree, algorithm: Any, rewards: Sequence[float | Unscored], group_size: int) -> Tensor:
    """The exact expectation of `ascent` over every group that the policy can sample."""
    episodes = tree.episodes(rewards)
    total = torch.zeros_like(flat(tree.policy.parameters()))
    for probability, members in tree.tuples(group_size):
        total += probability * ascent(tree, algorithm, [Pick(episodes[i]) for i in members])
    return total


def flat(parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """All parameters as one vector, detached."""
    return torch.cat([parameter.detach().flatten() for parameter in parameters]).clone()


def relative(got: Tensor, expected: Tensor) -> float:
    """|got - expected| / |expected|."""
    return float((got - expected).norm() / expected.norm())


def cosine(a: Tensor, b: Tensor) -> float:
    """The cosine of two gradients."""
    return float(a @ b / (a.norm() * b.norm()))


def built_at(tree: Tree, reference: Tensor, build: Callable[[], Any]) -> Any:
    """An algorithm whose KL reference has these weights, and not the policy's."""
    own = flat(tree.policy.parameters())
    set_weights(tree.policy, reference)
    algorithm = build()
    set_weights(tree.policy, own)
    return algorithm


def _logits(policy: Any, prefix: Tokens) -> Tensor:
    if isinstance(policy, Table):
        return policy.weight[policy.contexts[prefix]]
    logits: Tensor = policy.model(input_ids=torch.tensor([prefix]), use_cache=False).logits[0, -1]
    return logits
