"""DQN: deep Q-learning on any policy; a language model's logits are its action values.

Mnih et al. 2015; van Hasselt et al. 2016 (1509.06461) eq. 4; Wang et al. 2016 (1511.06581) eq. 9; n-step as in Hessel
et al. 2018 (1710.02298). With a target network Q-, for every decision t of the batch:

    y_t = sum_{k < n} discount^k r_{t+k} + discount^n v(s_{t+n}),   v(s) = max_a Q-(s, a)
    double:  v(s) = Q-(s, argmax_a Q(s, a))                         the policy chooses, the copy evaluates
    dueling: Q(s, a) = V(s) + A(s, a) - mean_b A(s, b)              V from the value head, A from the logits
    loss = mean_t w_t huber(y_t - Q(s_t, a_t))

y has no gradient, and no bootstrap where the episode terminated. Where the pick ends sooner n is smaller: v is read at
the decision after it, and discount^n has the actual number of rewards. With prioritised replay w is the weight of the
pick; its priority is the largest |y - Q| in it. Act with sampling.temperature=0 and an epsilon: acting reads the same
logits, and dueling adds the same number to all of them.

Differs from the paper: rewards are not clipped; the copy moves by `target_share` every `target_every` updates (1 copies
it as the paper does, less is Polyak averaging). n > 1 is not corrected for being off-policy, as in Rainbow. The
defaults are for shorter runs than CleanRL's of classic control: a copy every 100 updates (500), 64 turns a draw (128),
and learning from the first turn on (after 10,000).
Degenerates: on a table, with one decision a batch, SGD, huber=None and target_every=1, it is tabular Q-learning at
rate lr.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from strop.functional.bounds import check_at_least, check_positive
from strop.functional.distributions import gather
from strop.functional.errors import huber
from strop.functional.windows import window
from strop.learners.heads import decided, read_batch
from strop.learners.values import ValueBased, ValueConfig, error_metrics
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Heads, Metrics, Policy, Sampling, Want


def duel(advantage_NV: Tensor, value_N: Tensor) -> Tensor:
    """Q = V + A - mean A over the actions that are allowed: a constant added to A changes nothing."""
    forbidden_NV = advantage_NV == -torch.inf
    total_N1 = advantage_NV.masked_fill(forbidden_NV, 0.0).sum(dim=-1, keepdim=True)
    return value_N.unsqueeze(-1) + advantage_NV - total_N1 / (~forbidden_NV).sum(dim=-1, keepdim=True)


class DQN:
    """The action values of a policy, with targets from a copy of it."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(ValueConfig):
        """Options of DQN.

        n_step        rewards (one per token) in a target before it bootstraps
        double        double Q-learning: the policy chooses the best action, the target network evaluates it
        dueling       Q is V plus an advantage; needs policy.value_head=true
        huber         threshold of the Huber loss; none takes the squared error
        target_every  updates between two moves of the target network
        """

        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=2.5e-4))
        target_share: float = 1.0
        n_step: int = 1
        double: bool = True
        dueling: bool = False
        huber: float | None = 1.0
        target_every: int = 100

        def __post_init__(self) -> None:
            ValueConfig.__post_init__(self)
            check_at_least("algorithm.n_step", self.n_step, 1)
            check_positive("algorithm.huber", self.huber, none="takes the square of every error")
            check_at_least("algorithm.target_every", self.target_every, 1)

        @property
        def heads(self) -> frozenset[Want]:
            """The value head too if dueling."""
            return frozenset({"q", "value"}) if self.dueling else frozenset({"q"})

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> ValueBased:
            return ValueBased(self, DQN(self, policy, micro_tokens), micro_tokens, self.target_every)

    def __init__(self, config: DQN.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.copy = policy.twin()
        self.networks, self.copies = (policy,), (self.copy,)

    def opinions(self, batch: Batch) -> tuple[Tensor]:
        """y [B, T] of every action, in float64; other slots are meaningless."""
        value_BT = read_batch(batch, self.micro_tokens, self._best_value)
        ahead = window(batch.rewards_BT, batch, self.config.discount, self.config.n_step)
        return (ahead.bootstrapped(value_BT),)

    def loss(self, micro: Batch, target_bt: Tensor) -> tuple[Tensor, Tensor, Metrics]:
        """huber(y - Q(s, a)), y - Q(s, a), and metrics."""
        q_bt = decided(self.policy, micro, self._q_of_action, self.config.heads)["q"]
        error_bt = target_bt - q_bt
        metrics = error_metrics(error_bt.detach(), q_bt.detach(), micro)
        return huber(error_bt, self.config.huber), error_bt, metrics

    def _best_value(self, micro: Batch) -> Tensor:
        """v [B, T] at every decision: the copy's value of the best action according to the policy (or the copy)."""

        def best(heads: Heads) -> dict[str, Tensor]:
            return {"best": self._q(heads).argmax(dim=-1)}

        chooser = self.policy if self.config.double else self.copy
        best_N = decided(chooser, micro, best, self.config.heads)["best"][micro.decision_BT]

        def evaluated(heads: Heads) -> dict[str, Tensor]:
            q_NV = self._q(heads)
            chunk_N = best_N[heads.first : heads.first + len(q_NV)].to(q_NV.device)
            return {"value": gather(q_NV, chunk_N)}

        return decided(self.copy, micro, evaluated, self.config.heads)["value"]

    def _q_of_action(self, heads: Heads) -> dict[str, Tensor]:
        return {"q": gather(self._q(heads), heads.tokens_N)}

    def _q(self, heads: Heads) -> Tensor:
        assert heads.q_NV is not None
        if not self.config.dueling:
            return heads.q_NV
        assert heads.value_N is not None
        return duel(heads.q_NV, heads.value_N)
