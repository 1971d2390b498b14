"""ILQL: implicit language Q-learning; the best policy that the data supports, learnt from the data alone.

Snell et al. 2022 (2206.11871), after IQL (Kostrikov et al. 2021, 2110.06169) eq. 5-6. With two Q networks, their
copies Q1-, Q2- that trail behind, and V beside the first of them; for every decision t that the data holds:

    L_V = |level - 1(q < V(s_t))| (q - V(s_t))^2,    q = min(Q1-(s_t, a_t), Q2-(s_t, a_t))
    L_Q = sum_i (r_t + discount V(s_{t+1}) - Q_i(s_t, a_t))^2
    L_C = sum_i [ logsumexp_b Q_i(s_t, b) - Q_i(s_t, a_t) ]
    loss = mean_t [ L_V + L_Q + conservative * L_C ]

V is the expectile of Q under the data's actions: level 0.5 is the data's own value, 1 tends to the best action that the
data holds, and no action outside of it is ever asked for. V(s_{t+1}) and q are numbers without gradient; the next
decision skips the environment's tokens, and V is 0 past a termination. Act through `policies.Steered`, which multiplies
the data's distribution by exp(strength * Q); the policy needs a value head.

Differs from the paper: V and Q1 share a body, Q2 has its own (the paper: three heads on one body), and Q1 alone steers.
The second network starts as the first plus noise of `jitter` times each tensor's spread, or both would stay equal; on a
table of equal numbers they do, and the min then changes nothing.
Degenerates: level 0.5 without `conservative` is policy evaluation of the data (TD(0) on a SARSA-like average).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import largest_per_pick, scored_actions, token_mean
from strop.functional.bounds import check_not_negative, check_positive_share, check_share
from strop.functional.distributions import gather
from strop.functional.errors import expectile
from strop.functional.returns import next_value
from strop.learners.values import VALUE, error_metrics, state_value, whole
from strop.memory import Replay
from strop.optimizer import SGD, AdamW, trail
from strop.types import Batch, Heads, Metrics, Policy, Sampling, State, Update, Want, check_fields

Q: frozenset[Want] = frozenset({"q"})


def read_q(heads: Heads) -> dict[str, Tensor]:
    """`q` of what was done, `lse` over what could have been, and `value` where it was asked for."""
    assert heads.q_NV is not None
    value = {} if heads.value_N is None else {"value": heads.value_N}
    return {"q": gather(heads.q_NV, heads.tokens_N), "lse": heads.q_NV.logsumexp(dim=-1), **value}


class ILQL:
    """One gradient step a draw on Q, V and the conservative term together."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer     AdamW or SGD, with the learning rate
        discount      what a reward counts for one decision earlier; 1 counts all alike
        level         of the expectile: 0.5 is the data's own value, near 1 its best action
        conservative  weight of L_C (CQL), which keeps Q low where the data is silent
        target_share  how far the copies move towards the networks at every update
        jitter        noise on the second network's start, in spreads of each tensor
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Replay.Config
        off_policy: ClassVar[bool] = True
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-4))
        discount: float = 0.99
        level: float = 0.7
        conservative: float = 0.01
        target_share: float = 0.005
        jitter: float = 0.01

        def __post_init__(self) -> None:
            check_fields(self)
            check_share("algorithm.discount", self.discount)
            if not 0.0 < self.level < 1.0:
                raise ValueError(f"algorithm.level={self.level}: an expectile lies between 0 and 1; 0.5 is the mean.")
            check_not_negative("algorithm.conservative", self.conservative)
            check_positive_share("algorithm.target_share", self.target_share, hint="1 copies")
            check_not_negative("algorithm.jitter", self.jitter)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> ILQL:
            return ILQL(self, policy, micro_tokens)

    def __init__(self, config: ILQL.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.second = policy.twin()
        add_noise(self.second, config.jitter)
        self.targets = (policy.twin(), self.second.twin())
        self.optimizer = config.optimizer.build([*policy.parameters(), *self.second.parameters()])

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        floor_BT = torch.minimum(
            whole(batch, self.micro_tokens, lambda micro: taken(self.targets[0], micro)),
            whole(batch, self.micro_tokens, lambda micro: taken(self.targets[1], micro)),
        )
        value_BT = whole(batch, self.micro_tokens, lambda micro: self.policy.heads(micro, state_value, VALUE)["value"])
        target_BT = batch.rewards_BT + self.config.discount * next_value(value_BT, batch.next_BT)
        error_BT = torch.zeros_like(target_BT)
        metrics = self.optimizer.step(batch, self._terms(batch, target_BT, floor_BT, error_BT))
        trail(self.targets[0], self.policy, self.config.target_share)
        trail(self.targets[1], self.second, self.config.target_share)
        return Update(metrics, {"td_error": error_BT}, largest_per_pick(error_BT.abs(), batch))

    def _terms(
        self, batch: Batch, target_BT: Tensor, floor_BT: Tensor, error_BT: Tensor
    ) -> Iterator[tuple[Tensor, Metrics]]:
        """The loss of each micro-batch; writes the errors of the first network down."""
        slot_BT = torch.arange(error_BT.numel()).view_as(error_BT)
        opinions = (target_BT, floor_BT, token_mean(batch), slot_BT)
        for micro, target_bt, floor_bt, weight_bt, slot_bt in batch.split(self.micro_tokens, "row", *opinions):
            first = self.policy.heads(micro, read_q, Q | VALUE)
            second = self.second.heads(micro, read_q, Q)
            loss_bt = expectile(floor_bt - first["value"], self.config.level)
            for read in (first, second):
                loss_bt = loss_bt + (target_bt - read["q"]).square()
                loss_bt = loss_bt + self.config.conservative * (read["lse"] - read["q"])
            q_bt = first["q"].detach()
            error_bt = torch.where(scored_actions(micro), target_bt - q_bt, 0.0)
            error_BT.view(-1)[slot_bt.flatten()] = error_bt.flatten()
            yield (weight_bt * loss_bt).sum(), error_metrics(error_bt, q_bt, micro)

    def state_dict(self) -> State:
        first, second = (target.state_dict() for target in self.targets)
        return {
            "optimizer": self.optimizer.state_dict(),
            "second": self.second.state_dict(),
            "first_target": first,
            "second_target": second,
        }

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.second.load_state_dict(state["second"])
        for target, name in zip(self.targets, ("first_target", "second_target"), strict=True):
            target.load_state_dict(state[name])


def taken(policy: Policy, micro: Batch) -> Tensor:
    """Q(s, a) [B, T] of what was done."""
    return policy.heads(micro, read_q, Q)["q"]


@torch.no_grad()
def add_noise(policy: Policy, share: float) -> None:
    """Move every tensor by normal noise of `share` times its own spread; the same noise every time."""
    generator = torch.Generator().manual_seed(0)
    for parameter in policy.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.add_(share * parameter.std(correction=0) * noise)
