"""Every completion of a text problem with its probability, and exact values of every prefix.

A completion ends at a stop token or at `sampling.max_tokens`, and then gets reward(completion). So a text problem is a
tree: state = the tokens so far, action = the next one. Values come by backward induction from the leaves:

    Q(prefix, v) = reward(prefix v) where the completion is over, V(prefix v) elsewhere
    V*(prefix)   = max_v Q(prefix, v)                    `optimal_values`
    V^pi(prefix) = sum_v pi(v | prefix) Q(prefix, v)     `mean_values`

Degenerates: the number of completions is about V^max_tokens; more than `limit` of them are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from strop.choices import require_choices
from strop.functional.distributions import logprobs_of
from strop.functional.restriction import only
from strop.planning.mdp import FiniteMDP
from strop.types import Choices, Policy, Sampling, Tokens

Reward = Callable[[Tokens], float]
Fold = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True, slots=True)
class SequenceTree:
    """Every completion that a policy can write after one prompt, shorter prefixes first.

    distributions  log-probabilities [V] (float64, nats) of the next token at every unfinished prefix, starting with ()
    sequences      log-probability of every finished completion; those of probability 0 are left out
    """

    distributions: Mapping[Tokens, Tensor]
    sequences: Mapping[Tokens, float]

    @property
    def logprobs_Y(self) -> Tensor:
        """Log-probabilities of the completions, in their order."""
        return torch.tensor(list(self.sequences.values()), dtype=torch.float64)

    def rewards_Y(self, reward: Reward) -> Tensor:
        """Rewards of the completions, in their order."""
        return torch.tensor([reward(sequence) for sequence in self.sequences], dtype=torch.float64)


@torch.no_grad()
def enumerate_sequences(
    policy: Policy,
    prompt: Tokens,
    sampling: Sampling,
    stop: frozenset[int],
    limit: int = 100_000,
    choices: Choices | None = None,
) -> SequenceTree:
    """Grow the tree level by level, all prefixes of a level in one batch; with `choices` only along these."""
    require_choices(sampling, [choices])
    distributions: dict[Tokens, Tensor] = {}
    sequences: dict[Tokens, float] = {}
    level: list[tuple[Tokens, float]] = [((), 0.0)]
    logits_BV, state = policy.prefill([prompt])
    while True:
        allowed = [None if choices is None else choices.after(prefix) for prefix, _ in level]
        logprobs_BV = logprobs_of(only(logits_BV.cpu().double(), allowed), sampling)
        distributions.update((prefix, logprobs_BV[b]) for b, (prefix, _) in enumerate(level))
        owners: list[int] = []
        longer: list[tuple[Tokens, float]] = []
        for b, token in (logprobs_BV > -math.inf).nonzero().tolist():
            prefix, logprob = level[b]
            grown, total = (*prefix, token), logprob + float(logprobs_BV[b, token])
            is_over = grown[-1] in stop if choices is None else not choices.after(grown)
            if is_over or len(grown) == sampling.max_tokens:
                sequences[grown] = total
            else:
                owners.append(b)
                longer.append((grown, total))
        if len(sequences) + len(longer) > limit:
            raise ValueError(
                f"there are more than limit={limit} completions of {sampling.max_tokens} tokens: enumerate a smaller "
                "vocabulary or a shorter completion, or raise limit."
            )
        if not longer:
            return SequenceTree(distributions, sequences)
        tokens_B = torch.tensor([prefix[-1] for prefix, _ in longer])
        logits_BV, state = policy.decode(policy.keep(state, owners), tokens_B)
        level = longer


@dataclass(frozen=True, slots=True)
class PrefixValues:
    """V and Q [V] of every unfinished prefix; Q is -inf at a token of probability 0."""

    value: Mapping[Tokens, float]
    q: Mapping[Tokens, Tensor]


def induct(tree: SequenceTree, reward: Reward, fold: Fold) -> PrefixValues:
    """Backward induction: V(prefix) = fold(log-distribution [V], Q [V])."""
    value: dict[Tokens, float] = {}
    q: dict[Tokens, Tensor] = {}
    for prefix in reversed(list(tree.distributions)):
        logprobs_V = tree.distributions[prefix]
        q_V = torch.full_like(logprobs_V, -math.inf)
        for token in range(len(q_V)):
            grown = (*prefix, token)
            if grown in value:
                q_V[token] = value[grown]
            elif grown in tree.sequences:
                q_V[token] = reward(grown)
        q[prefix], value[prefix] = q_V, fold(logprobs_V, q_V)
    return PrefixValues(value, q)


def optimal_values(tree: SequenceTree, reward: Reward) -> PrefixValues:
    """Q* and V*: the best reward that can still be reached."""
    return induct(tree, reward, lambda logprobs_V, q_V: float(q_V.max()))


def mean_values(tree: SequenceTree, reward: Reward) -> PrefixValues:
    """Q^pi and V^pi: the policy's mean reward."""
    return induct(
        tree,
        reward,
        lambda logprobs_V, q_V: float(torch.where(logprobs_V > -math.inf, logprobs_V.exp() * q_V, 0.0).sum()),
    )


def text_mdp(tree: SequenceTree, reward: Reward) -> tuple[FiniteMDP, Sequence[Tokens]]:
    """The text problem as a FiniteMDP: one state for each returned prefix, in that order, and a last terminal state."""
    if any(bool((distribution == -math.inf).any()) for distribution in tree.distributions.values()):
        raise ValueError(
            "a FiniteMDP allows every action in every state, so no token may have probability 0: enumerate "
            "without top_p, top_k and temperature 0."
        )
    prefixes = list(tree.distributions)
    index = {prefix: s for s, prefix in enumerate(prefixes)}
    end, vocabulary = len(prefixes), len(tree.distributions[()])
    P, R = np.zeros((end + 1, vocabulary, end + 1)), np.zeros((end + 1, vocabulary))
    for prefix, s in index.items():
        for token in range(vocabulary):
            grown = (*prefix, token)
            P[s, token, index.get(grown, end)] = 1.0
            R[s, token] = 0.0 if grown in index else reward(grown)
    state_S = np.arange(end + 1)
    return FiniteMDP(P, R, start=state_S == 0, terminal=state_S == end), prefixes
