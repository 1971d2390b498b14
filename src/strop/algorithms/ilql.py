"""ILQL: implicit language Q-learning; the best policy that the data supports, learnt from the data alone.

Snell et al. 2022 (2206.11871), after IQL (Kostrikov et al. 2021, 2110.06169) eq. 5-6. With two Q networks, their target
copies Q1-, Q2-, and V on the first of them; for every decision t of the data:

    L_V = |level - 1(q < V(s_t))| (q - V(s_t))^2,    q = min(Q1-(s_t, a_t), Q2-(s_t, a_t))
    L_Q = sum_i (r_t + discount V(s_{t+1}) - Q_i(s_t, a_t))^2
    L_C = sum_i [ logsumexp_b Q_i(s_t, b) - Q_i(s_t, a_t) ]
    loss = mean_t [ L_V + L_Q + conservative * L_C ]

V is the expectile of Q under the data's actions: level 0.5 is the value of the data's policy, 1 tends to the best
action in the data, and actions outside the data are never evaluated. V(s_{t+1}) and q have no gradient; the next
decision skips environment tokens, and V is 0 after termination. Act through `policies.Steered`, which multiplies the
data's distribution by exp(strength * Q); the policy needs a value head.

Differs from the paper: V and Q1 share a body, Q2 has its own (the paper: three heads on one body), and only Q1 acts.
The second network starts as the first plus noise of `jitter` times each tensor's std, or both would stay equal; on a
table of equal numbers they do, and the min has no effect.
Degenerates: level 0.5 without `conservative` is policy evaluation of the data (TD(0) on a SARSA-like average).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.bounds import check_not_negative
from strop.functional.distributions import gather
from strop.functional.errors import expectile
from strop.functional.returns import next_value
from strop.learners.heads import VALUE, decided, read_batch, state_value
from strop.learners.values import ValueBased, ValueConfig, error_metrics
from strop.types import Batch, Heads, Metrics, Policy, Sampling, Want

Q: frozenset[Want] = frozenset({"q"})


class ILQL:
    """Two networks of action values, the first one with V, and a target copy of each."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(ValueConfig):
        """Options of ILQL.

        level         of the expectile: 0.5 is the value of the data's policy, near 1 that of its best action
        conservative  weight of L_C (CQL), which keeps Q low for actions outside the data
        jitter        initial noise of the second network, relative to each tensor's std
        """

        heads: ClassVar[frozenset[Want]] = Q | VALUE
        target_share: float = 0.005
        level: float = 0.7
        conservative: float = 0.01
        jitter: float = 0.01

        def __post_init__(self) -> None:
            ValueConfig.__post_init__(self)
            if not 0.0 < self.level < 1.0:
                raise ValueError(f"algorithm.level={self.level}: an expectile lies between 0 and 1; 0.5 is the mean.")
            check_not_negative("algorithm.conservative", self.conservative)
            check_not_negative("algorithm.jitter", self.jitter)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> ValueBased:
            return ValueBased(self, ILQL(self, policy, micro_tokens), micro_tokens)

    def __init__(self, config: ILQL.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.second = policy.twin()
        add_noise(self.second, config.jitter)
        self.networks = (policy, self.second)
        self.copies = (policy.twin(), self.second.twin())

    def opinions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """r + discount * V of the next decision, and min(Q1-, Q2-) of the actions."""
        value_BT = read_batch(
            batch, self.micro_tokens, lambda micro: self.policy.heads(micro, state_value, VALUE)["value"]
        )
        target_BT = batch.rewards_BT + self.config.discount * next_value(value_BT, batch.next_BT)
        first_BT, second_BT = (read_batch(batch, self.micro_tokens, partial(q_of_action, copy)) for copy in self.copies)
        return target_BT, torch.minimum(first_BT, second_BT)

    def loss(self, micro: Batch, target_bt: Tensor, floor_bt: Tensor) -> tuple[Tensor, Tensor, Metrics]:
        """L_V + L_Q + conservative * L_C, and the errors of the first network."""
        first = decided(self.policy, micro, read_q, self.config.heads)
        second = decided(self.second, micro, read_q, Q)
        loss_bt = expectile(floor_bt - first["value"], self.config.level)
        for read in (first, second):
            loss_bt = loss_bt + (target_bt - read["q"]).square()
            loss_bt = loss_bt + self.config.conservative * (read["logsumexp"] - read["q"])
        q_bt = first["q"].detach()
        return loss_bt, target_bt - q_bt, error_metrics(target_bt - q_bt, q_bt, micro)


def read_q(heads: Heads) -> dict[str, Tensor]:
    """`q` of the action, `logsumexp` over all actions, and `value` if it was asked for."""
    assert heads.q_NV is not None
    value = {} if heads.value_N is None else {"value": heads.value_N}
    return {"q": gather(heads.q_NV, heads.tokens_N), "logsumexp": heads.q_NV.logsumexp(dim=-1), **value}


def q_of_action(network: Policy, micro: Batch) -> Tensor:
    """Q(s, a) [B, T] of the actions."""
    return decided(network, micro, read_q, Q)["q"]


@torch.no_grad()
def add_noise(policy: Policy, share: float) -> None:
    """Add normal noise of `share` times its std to every tensor; the same noise every time."""
    generator = torch.Generator().manual_seed(0)
    for parameter in policy.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.add_(share * parameter.std(correction=0) * noise.to(parameter.device))
