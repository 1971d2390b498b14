"""Rejection sampling: supervised fine-tuning on the best of what the policy samples (RAFT, ReST, best-of-n training).

Dong et al. 2023 (RAFT, 2304.06767) keep the best of each group; Gulcehre et al. 2023 (ReST, 2308.08998) keep what
reaches a threshold. Of each group, `best` answers with the largest returns stay, ties at the border included; where
`threshold` is set, only returns above it. On what stays:

    loss = - sum_it log pi(y_it) / (number of tokens that stay in the whole batch)

Differs from the paper: the samples are scored under the distribution they were drawn from, temperature included; one
step a batch, and not a data set that is filtered first and trained on for epochs.
Degenerates: it is the policy gradient of the reward "was kept" without a baseline, so it never pushes a bad answer
down. A group whose returns are all equal stays whole and its expected gradient is about 0: only noise. It sharpens what
the policy already does and loses variety (watch policy/entropy).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import token_mean
from strop.functional.bounds import check_at_least, check_finite
from strop.functional.divergences import KL
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Mean, Metrics, Policy, Sampling, State, Update, check_fields


def kept(return_E: Tensor, group_E: Tensor, best: int, threshold: float | None) -> Tensor:
    """bool [E]: scored, with fewer than `best` of its group paid more, and above the threshold where there is one."""
    better_EE = (return_E > return_E.unsqueeze(1)) & (group_E == group_E.unsqueeze(1))  # [e, f]: f is paid more
    kept_E = ~return_E.isnan() & (better_EE.sum(dim=1) < best)
    return kept_E if threshold is None else kept_E & (return_E > threshold)


def _loss(
    micro: Batch, logprobs_BT: Tensor, old_BT: Tensor, advantage_BT: Tensor, weight_BT: Tensor
) -> tuple[Tensor, Metrics]:
    return -(weight_BT * logprobs_BT).sum(), {}


class RejectionSampling:
    """One gradient step a batch, on the answers that are kept."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        best       answers of each group that are learnt from
        threshold  they are, if their return is above; none takes them whatever it is
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-5))
        best: int = 1
        threshold: float | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_at_least("algorithm.best", self.best, 1)
            check_finite("algorithm.threshold", self.threshold, none="keeps the best whatever they are")

        @property
        def extras(self) -> Extras:
            """Without a threshold, a group that is no larger than `best` is kept whole whatever it is paid."""
            return Extras(least=self.best + 1 if self.threshold is None else 1)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> RejectionSampling:
            return RejectionSampling(self, policy, sampling, micro_tokens)

    def __init__(self, config: RejectionSampling.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, KL(), micro_tokens, "rejection sampling")
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        own_BT = self.scorer.reference_logprobs(batch)
        kept_E = kept(batch.return_E, batch.group_E, self.config.best, self.config.threshold)
        chosen = replace(batch, weight_E=torch.where(kept_E, batch.weight_E, 0.0))
        weight_BT = token_mean(chosen)
        metrics = self.scorer.learn(self.optimizer, batch, torch.ones_like(own_BT), weight_BT, own_BT, _loss)
        share = Mean(int((chosen.weight_E > 0).sum()), int((batch.weight_E > 0).sum()))
        return Update(metrics | {"policy/kept": share}, per_token={"weight": weight_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
