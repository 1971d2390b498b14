"""Monte Carlo tree search for decoding: simulate continuations, then write the most visited token.

PUCT (Silver et al. 2017, AlphaZero), on a language model with a critic (Liu et al. 2023, PPO-MCTS, 2309.15028). A
simulation walks from the root by

    argmax_v  Q(s, v) + exploration * p(v | s) * sqrt(N(s)) / (1 + N(s, v))

to a prefix that is not in the tree, expands it with one forward pass of the policy, and backs up G = leaf(prefix), or
the reward of a finished completion: Q(s, v) is the mean of the G backed up through it. N(s) includes the visit that
expanded s, so that the first choice follows the policy and not the smallest id. Q is scaled to [0, 1] by the smallest
and largest G seen. The Q of a token not yet tried is the value of s itself. With `kl_weight`, every token also costs
kl_weight * ln(p / reference), and G includes the costs from that token on.

`leaf(prefix)` comes from `critic_values` or `rollout_values`. `max_weight` mixes the largest G seen into the mean: at 1
Q converges to Q* on text, whose transitions are deterministic (with exploration, and leaf values that are never too
high), and a search guided by rollouts converges faster.

Differs from the papers: prefixes are read one by one without a shared cache; no Dirichlet noise.
Degenerates: exploration 0 never tries a second token whose value looks lower. The mean forgets early bad results
slowly: where the policy rarely writes the best completion, it can take thousands of simulations until the most visited
token is the best one, even with exact leaf values. With max_weight 1 a leaf value that is too high is never corrected.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from strop.batch import collate
from strop.choices import require_choices
from strop.functional.bounds import check_at_least, check_not_negative, check_share
from strop.functional.distributions import is_truncated, logprobs_of
from strop.learners.heads import VALUE, state_value
from strop.planning.enumeration import Reward
from strop.planning.mdp import Floats, Ints
from strop.policies.demands import require_values
from strop.types import (
    Batch,
    Completion,
    End,
    Episode,
    Heads,
    Pick,
    Policy,
    Sampler,
    Sampling,
    Task,
    Tokens,
    Turn,
    check_fields,
    completions_of,
)

Leaf = Callable[[Tokens], float]


@dataclass(frozen=True, slots=True)
class Problem:
    """A text problem: completions of `prompt` until a token of `stop` or `sampling.max_tokens`, and their `reward`."""

    prompt: Tokens
    sampling: Sampling
    stop: frozenset[int]
    reward: Reward

    def __post_init__(self) -> None:
        require_choices(self.sampling, ())

    def is_over(self, tokens: Tokens) -> bool:
        """Whether these tokens are a finished completion."""
        return len(tokens) == self.sampling.max_tokens or (bool(tokens) and tokens[-1] in self.stop)


@dataclass(slots=True)
class Node:
    """An unfinished prefix: the policy's distribution, and of each token the KL cost and the backed-up values."""

    prior_V: Floats
    cost_V: Floats
    value: float
    visits_V: Ints
    total_V: Floats
    largest_V: Floats

    def q_V(self, max_weight: float) -> Floats:
        """Q of each token; the node's own value for tokens never tried."""
        mean_V = self.total_V / np.maximum(self.visits_V, 1)
        mixed_V = mean_V if max_weight == 0.0 else (1.0 - max_weight) * mean_V + max_weight * self.largest_V
        return np.where(self.visits_V > 0, mixed_V, self.value)


class TreeSearch:
    """A growing tree, keyed by the completion's tokens; later searches reuse it."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Options of TreeSearch.

        exploration      PUCT's constant: larger explores rarely visited tokens more
        num_simulations  simulations before each token is written
        max_weight       a token's Q: 0 is the mean of the backed-up values, 1 the maximum
        kl_weight        weight of the KL to the reference policy; 0 is off
        """

        exploration: float = 1.0
        num_simulations: int = 50
        max_weight: float = 0.0
        kl_weight: float = 0.0

        def __post_init__(self) -> None:
            check_fields(self)
            check_at_least("num_simulations", self.num_simulations, 1)
            check_share("max_weight", self.max_weight, hint="0 is the mean, 1 the maximum")
            check_not_negative("exploration", self.exploration)
            check_not_negative("kl_weight", self.kl_weight)

    def __init__(
        self, config: TreeSearch.Config, policy: Policy, problem: Problem, leaf: Leaf, reference: Policy | None = None
    ) -> None:
        if config.kl_weight > 0.0:
            _check_kl(config.kl_weight, problem.sampling, reference)
        self.config, self.policy, self.problem, self.leaf, self.reference = config, policy, problem, leaf, reference
        self.nodes: dict[Tokens, Node] = {}
        self._lowest, self._highest = math.inf, -math.inf

    def decode(self) -> Tokens:
        """A whole completion, the most visited token each time (ties: the larger Q, then the smaller id)."""
        tokens: Tokens = ()
        while not self.problem.is_over(tokens):
            root = self.search(tokens)
            most_V = np.where(root.visits_V == root.visits_V.max(), root.q_V(self.config.max_weight), -math.inf)
            tokens = (*tokens, int(most_V.argmax()))
        return tokens

    def search(self, root: Tokens = ()) -> Node:
        """Run the simulations from an unfinished prefix, and return its node."""
        if self.problem.is_over(root):
            raise ValueError(f"the completion {root} is over: there is nothing to search for.")
        if root not in self.nodes:
            self._expand(root)
        for _ in range(self.config.num_simulations):
            self._simulate(root)
        return self.nodes[root]

    def _simulate(self, root: Tokens) -> None:
        tokens, path = root, []
        while tokens in self.nodes:
            token = self._choose(self.nodes[tokens])
            path.append((self.nodes[tokens], token))
            tokens = (*tokens, token)
        gain = self.problem.reward(tokens) if self.problem.is_over(tokens) else self._expand(tokens)
        for node, token in reversed(path):
            gain -= float(node.cost_V[token])
            node.visits_V[token] += 1
            node.total_V[token] += gain
            node.largest_V[token] = max(node.largest_V[token], gain)
            self._lowest, self._highest = min(self._lowest, gain), max(self._highest, gain)

    def _choose(self, node: Node) -> int:
        width = self._highest - self._lowest
        q_V = node.q_V(self.config.max_weight)
        scaled_V = ((q_V - self._lowest) / width).clip(0.0, 1.0) if width > 0.0 else np.zeros_like(q_V)
        bonus_V = node.prior_V * math.sqrt(1 + node.visits_V.sum()) / (1 + node.visits_V)
        score_V = scaled_V + self.config.exploration * bonus_V
        return int(np.where(node.prior_V > 0.0, score_V, -math.inf).argmax())

    def _expand(self, tokens: Tokens) -> float:
        """Add a prefix to the tree; returns its value."""
        logprobs_V = self._logprobs_of(self.policy, tokens)
        cost_V = np.zeros_like(logprobs_V)
        if self.reference is not None and self.config.kl_weight > 0.0:
            cost_V = self.config.kl_weight * (logprobs_V - self._logprobs_of(self.reference, tokens))
        value, size = self.leaf(tokens), len(logprobs_V)
        self.nodes[tokens] = Node(
            prior_V=np.exp(logprobs_V),
            cost_V=cost_V,
            value=value,
            visits_V=np.zeros(size, dtype=np.int64),
            total_V=np.zeros(size),
            largest_V=np.full(size, -math.inf),
        )
        return value

    @torch.no_grad()
    def _logprobs_of(self, policy: Policy, tokens: Tokens) -> Floats:
        found: list[Tensor] = []

        def collect(heads: Heads) -> dict[str, Tensor]:
            assert heads.logits_NV is not None
            found.append(heads.logits_NV[-1:])
            return {}

        policy.heads(_to_decide(policy, self.problem.prompt, tokens), collect)
        logprobs_V: Floats = logprobs_of(found[-1].cpu().double(), self.problem.sampling)[0].numpy()
        return logprobs_V


def _check_kl(kl_weight: float, sampling: Sampling, reference: Policy | None) -> None:
    if reference is None:
        raise ValueError(f"kl_weight={kl_weight} needs a reference policy: pass reference=policy.reference().")
    if is_truncated(sampling) or sampling.temperature == 0.0:
        raise ValueError(
            f"kl_weight={kl_weight} with top_p={sampling.top_p}, top_k={sampling.top_k}, "
            f"temperature={sampling.temperature}: a token that only the reference rules out costs infinitely much. "
            "Set top_p=1.0, top_k=0 and a temperature above 0."
        )


def critic_values(critic: Policy, problem: Problem) -> Leaf:
    """Leaf values from a critic: V of the prefix, from a policy with a value head, or a separate critic.

    V must be that of the problem's reward without discount; with `kl_weight`, minus the KL cost, as in PPO's critic.
    """
    require_values(critic)

    @torch.no_grad()
    def value(tokens: Tokens) -> float:
        batch = _to_decide(critic, problem.prompt, tokens)
        value_BT = critic.heads(batch, state_value, VALUE)["value"]
        return float(value_BT[batch.action_BT][-1])

    return value


def _to_decide(policy: Policy, prompt: Tokens, tokens: Tokens) -> Batch:
    """A batch of one row, whose last decision is the one after these tokens; its own token is a dummy.

    They stand as actions: an encoder-decoder reads the prompt with one half and them with the other.
    """
    turn = Turn(prompt, Completion((*tokens, 0), None, "length"), "")
    episode = Episode(id="prefix", task=Task("prefix", ""), group=0, turns=(turn,), final=(), end=End.TERMINATED)
    return collate((Pick(episode),), policy.layout)


def rollout_values(sampler: Sampler, problem: Problem, rng: np.random.Generator, num_rollouts: int = 1) -> Leaf:
    """Leaf values without a critic: the mean reward of sampled completions of the prefix.

    The sampler reads prompt and prefix as one prompt; an encoder-decoder would take the prefix for a part of its
    source, so give it `critic_values`.
    """

    def value(tokens: Tokens) -> float:
        left = replace(problem.sampling, max_tokens=problem.sampling.max_tokens - len(tokens))
        prompts = [(*problem.prompt, *tokens)] * num_rollouts
        endings = completions_of(sampler.sample(prompts, left, [rng] * num_rollouts))
        return math.fsum(problem.reward((*tokens, *ending.tokens)) for ending in endings) / num_rollouts

    return value
