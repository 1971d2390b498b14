"""DQN: deep Q-learning on whatever reads a token prefix; a language model's logits are its action values.

Mnih et al. 2015; van Hasselt et al. 2016 (1509.06461) eq. 4; Wang et al. 2016 (1511.06581) eq. 9; n-step as in Hessel
et al. 2018 (1710.02298). With Q- a copy of the policy that trails behind, for every decision t of the batch:

    y_t = sum_{k < n} discount^k r_{t+k} + discount^n v(s_{t+n}),   v(s) = max_a Q-(s, a)
    double:  v(s) = Q-(s, argmax_a Q(s, a))                         the policy chooses, the copy judges
    dueling: Q(s, a) = V(s) + A(s, a) - mean_b A(s, b)              V from the value head, A from the logits
    loss = mean_t w_t huber(y_t - Q(s_t, a_t))

y is a number, without gradient, and only rewards where the episode terminated. n shrinks where the pick ends: its value
is then read at the decision behind it, and discount^n counts the rewards that there really were. With prioritised
replay w is the weight of the pick; its priority is the largest |y - Q| in it. Act with sampling.temperature=0 and an
epsilon: both read the same logits, and what dueling adds to them is the same for every action.

Differs from the paper: none of the rewards is clipped; the copy moves by `target_share` every `target_every` updates
(1 copies it as the paper does, less is Polyak averaging). n > 1 is not corrected for being off-policy, as in Rainbow.
The defaults are for shorter runs than CleanRL's of classic control: a copy every 100 updates (500), 64 turns a draw
(128), and learning from the first turn on (after 10,000).
Degenerates: on a table, with one decision a batch, SGD, huber=None and target_every=1, it is tabular Q-learning at
rate lr.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import largest_per_pick, scored_actions, token_mean
from strop.functional.bounds import check_at_least, check_positive, check_positive_share, check_share
from strop.functional.distributions import gather
from strop.functional.errors import huber
from strop.functional.windows import window
from strop.learners.values import error_metrics, whole
from strop.memory import Replay
from strop.optimizer import SGD, AdamW, trail
from strop.types import Batch, Heads, Metrics, Policy, Sampling, State, Update, Want, check_fields


def duel(advantage_NV: Tensor, value_N: Tensor) -> Tensor:
    """Q = V + A - mean A: a constant added to A changes nothing."""
    return value_N.unsqueeze(-1) + advantage_NV - advantage_NV.mean(dim=-1, keepdim=True)


class DQN:
    """One gradient step a draw towards targets of a copy that trails behind."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer     AdamW or SGD, with the learning rate
        discount      what a reward counts for one decision earlier; 1 counts all alike
        n_step        decisions (tokens) until a target reads the copy
        double        the policy chooses the best action and the copy says what it is worth
        dueling       Q is V plus an advantage; it needs policy.value_head=true
        huber         the largest slope of an error; none squares every error
        target_every  updates between two moves of the copy towards the policy
        target_share  how far the copy moves; 1 makes it equal
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Replay.Config
        off_policy: ClassVar[bool] = True
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=2.5e-4))
        discount: float = 0.99
        n_step: int = 1
        double: bool = True
        dueling: bool = False
        huber: float | None = 1.0
        target_every: int = 100
        target_share: float = 1.0

        def __post_init__(self) -> None:
            check_fields(self)
            check_share("algorithm.discount", self.discount)
            check_at_least("algorithm.n_step", self.n_step, 1)
            check_positive("algorithm.huber", self.huber, none="takes the square of every error")
            check_at_least("algorithm.target_every", self.target_every, 1)
            check_positive_share("algorithm.target_share", self.target_share, hint="1 copies")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> DQN:
            return DQN(self, policy, micro_tokens)

    def __init__(self, config: DQN.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.target = policy.twin()
        self.optimizer = config.optimizer.build(policy.parameters())
        self.want: frozenset[Want] = frozenset({"q", "value"}) if config.dueling else frozenset({"q"})

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        target_BT, error_BT = self.targets(batch), torch.zeros_like(batch.rewards_BT)
        metrics = self.optimizer.step(batch, self._terms(batch, target_BT, error_BT))
        if self.optimizer.num_steps % self.config.target_every == 0:
            trail(self.target, self.policy, self.config.target_share)
        return Update(metrics, {"td_error": error_BT}, largest_per_pick(error_BT.abs(), batch))

    def targets(self, batch: Batch) -> Tensor:
        """y [B, T] of every action, in float64; what stands in other slots is no target."""
        value_BT = whole(batch, self.micro_tokens, self._value)
        return window(batch.rewards_BT, batch, self.config.discount, self.config.n_step).bootstrapped(value_BT)

    def _value(self, micro: Batch) -> Tensor:
        """v [B, T] at every decision: the copy's value of the action that the policy (or the copy) takes for best."""

        def best(heads: Heads) -> dict[str, Tensor]:
            return {"best": self._q(heads).argmax(dim=-1)}

        chosen_BT = (self.policy if self.config.double else self.target).heads(micro, best, self.want)["best"]
        chosen_N = chosen_BT[micro.decision_BT]

        def judged(heads: Heads) -> dict[str, Tensor]:
            q_NV = self._q(heads)
            return {"value": gather(q_NV, chosen_N[heads.first : heads.first + len(q_NV)])}

        return self.target.heads(micro, judged, self.want)["value"]

    def _terms(self, batch: Batch, target_BT: Tensor, error_BT: Tensor) -> Iterator[tuple[Tensor, Metrics]]:
        """The loss of each micro-batch; writes the errors of the scored actions down."""
        slot_BT = torch.arange(error_BT.numel()).view_as(error_BT)
        for micro, target_bt, weight_bt, slot_bt in batch.split(
            self.micro_tokens, "row", target_BT, token_mean(batch), slot_BT
        ):
            q_bt = self.policy.heads(micro, self._taken, self.want)["q"]
            loss = (weight_bt * huber(target_bt - q_bt, self.config.huber)).sum()
            scored_bt = scored_actions(micro)
            error_bt = torch.where(scored_bt, target_bt - q_bt.detach(), 0.0)
            error_BT.view(-1)[slot_bt.flatten()] = error_bt.flatten()
            yield loss, error_metrics(error_bt, q_bt.detach(), micro)

    def _taken(self, heads: Heads) -> dict[str, Tensor]:
        return {"q": gather(self._q(heads), heads.tokens_N)}

    def _q(self, heads: Heads) -> Tensor:
        assert heads.q_NV is not None
        if not self.config.dueling:
            return heads.q_NV
        assert heads.value_N is not None
        return duel(heads.q_NV, heads.value_N)

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict(), "target": self.target.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.target.load_state_dict(state["target"])
