"""Path consistency learning: soft Q-learning whose actions come with their log-probs; on any data, its own or not.

Nachum et al. 2017 (1702.08892) eq. 14-16 (PCL) and sec. 5.1 (Unified PCL); for language models Guo et al. 2021
(2106.07704). At the optimum of reward minus beta KL(pi || ref) this residual is 0 on every path, whoever walked it:

    C_t = - V(s_t) + sum_{k < n} discount^k [ r_{t+k} - beta log pi(a_{t+k}) / ref(a_{t+k}) ] + discount^n V-(s_{t+n})
    loss = mean_t C_t^2 / 2

V- is 0 past a termination and else read off a copy of the policy that trails behind, without gradient; n shrinks where
the pick ends, and `n_step` none goes to its end. The log-probs are those of temperature 1, whatever the run samples
with; ref is the policy at the start of the run.

With `unified` the logits are soft action values: Q(s, a) = beta (logit(a | s) - log ref(a | s)), V(s) = beta
logsumexp_b logit(b | s), pi = softmax(logits) = ref exp((Q - V) / beta). Then n = 1 is soft Q-learning, C = r +
discount V-(s') - Q(s, a). Without it V is the policy's value head, and pi and V are learnt side by side.

Differs from the paper: the entropy is relative to ref (a uniform ref is the paper's, up to beta ln |V| a step), and the
end of a path is read off a copy instead of sharing its gradient.
Degenerates: with discount 1, n_step none and a reward at the end, C is the residual of a whole answer,
r - V(s_0) - beta log pi(y) / ref(y), which is what DPO and A*-PO regress.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import largest_per_pick, scored_actions, token_mean
from strop.functional.bounds import check_at_least, check_positive, check_positive_share, check_share
from strop.functional.distributions import PLAIN, gather, logprobs_of
from strop.functional.windows import window
from strop.learners.values import whole
from strop.memory import Replay
from strop.optimizer import SGD, AdamW, trail
from strop.types import Batch, Heads, Max, Mean, Metrics, Policy, Sampling, State, Update, Want, check_fields


class PathConsistency:
    """One gradient step a draw on the squared residual of every path that begins at a decision of the batch."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer     AdamW or SGD, with the learning rate
        beta          weight of the KL to the start: the larger, the closer the policy stays
        discount      what a reward counts for one decision earlier; 1 counts all alike
        n_step        decisions of a path; none goes to the end of the pick
        unified       reads V off the logits and needs no value head
        target_share  how far the copy moves towards the policy at every update
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Replay.Config
        off_policy: ClassVar[bool] = True
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-4))
        beta: float = 0.1
        discount: float = 1.0
        n_step: int | None = None
        unified: bool = True
        target_share: float = 0.01

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.beta", self.beta, hint="DQN is the method without entropy")
            check_share("algorithm.discount", self.discount)
            check_at_least("algorithm.n_step", self.n_step, 1, none="goes to the end")
            check_positive_share("algorithm.target_share", self.target_share, hint="1 copies")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> PathConsistency:
            return PathConsistency(self, policy, micro_tokens)

    def __init__(self, config: PathConsistency.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.start, self.target = policy.reference(), policy.twin()
        self.optimizer = config.optimizer.build(policy.parameters())
        self.want: frozenset[Want] = frozenset({"logits"}) if config.unified else frozenset({"logits", "value"})

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        start_BT = whole(batch, self.micro_tokens, lambda micro: self.start.heads(micro, log_prob)["logprobs"])
        end_BT = whole(batch, self.micro_tokens, lambda micro: self._read(self.target, micro)["value"])
        residual_BT = torch.zeros_like(batch.rewards_BT)
        metrics = self.optimizer.step(batch, self._terms(batch, start_BT, end_BT, residual_BT))
        trail(self.target, self.policy, self.config.target_share)
        return Update(metrics, {"residual": residual_BT}, largest_per_pick(residual_BT.abs(), batch))

    def _terms(
        self, batch: Batch, start_BT: Tensor, end_BT: Tensor, residual_BT: Tensor
    ) -> Iterator[tuple[Tensor, Metrics]]:
        """The loss of each micro-batch of whole episodes; writes the residuals of the scored actions down."""
        slot_BT = torch.arange(residual_BT.numel()).view_as(residual_BT)
        opinions = (start_BT, end_BT, token_mean(batch), slot_BT)
        for micro, start_bt, end_bt, weight_bt, slot_bt in batch.split(self.micro_tokens, "episode", *opinions):
            residual_bt = self._residual(micro, start_bt, end_bt)
            scored_bt = scored_actions(micro)
            written_bt = torch.where(scored_bt, residual_bt.detach(), 0.0)
            residual_BT.view(-1)[slot_bt.flatten()] = written_bt.flatten()
            size_N = written_bt[scored_bt].abs()
            metrics: Metrics = {"path/residual_mean": Mean(size_N.sum().item(), len(size_N))}
            if len(size_N):
                metrics["path/residual_max"] = Max(size_N.max().item())
            yield (weight_bt * residual_bt.square() / 2).sum(), metrics

    def _residual(self, micro: Batch, start_BT: Tensor, end_BT: Tensor) -> Tensor:
        """C [B, T] of the path that begins at each action; what stands in other slots is no residual."""
        read = self._read(self.policy, micro)
        term_BT = micro.rewards_BT - self.config.beta * (read["logprobs"] - start_BT)
        path = window(term_BT, micro, self.config.discount, self.config.n_step)
        return path.bootstrapped(end_BT) - read["value"]

    def _read(self, policy: Policy, micro: Batch) -> dict[str, Tensor]:
        """`logprobs` of what was done and `value` of where it was done, [B, T]."""

        def read(heads: Heads) -> dict[str, Tensor]:
            assert heads.logits_NV is not None
            value_N = self.config.beta * heads.logits_NV.logsumexp(dim=-1) if self.config.unified else heads.value_N
            assert value_N is not None
            return {"value": value_N, **log_prob(heads)}

        return policy.heads(micro, read, self.want)

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict(), "target": self.target.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.target.load_state_dict(state["target"])


def log_prob(heads: Heads) -> dict[str, Tensor]:
    """log pi(a | s) at temperature 1."""
    assert heads.logits_NV is not None
    return {"logprobs": gather(logprobs_of(heads.logits_NV, PLAIN), heads.tokens_N)}
