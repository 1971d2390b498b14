"""Rejection sampling: supervised fine-tuning on the best of what the policy samples (RAFT, ReST, best-of-n training).

Dong et al. 2023 (RAFT, 2304.06767) keep the best of each group; Gulcehre et al. 2023 (ReST, 2308.08998) keep what
reaches a threshold. Of each group, the `best` answers with the largest returns are kept, ties included; if `threshold`
is set, only returns above it. On the kept answers:

    loss = - sum_it log pi(y_it) / (number of kept tokens in the whole batch)

Differs from the paper: the samples are scored under the distribution they were drawn from, temperature included; one
step per batch, instead of epochs on a filtered data set.
Degenerates: it is the policy gradient of the reward "was kept" without a baseline, so it never pushes a bad answer
down. A group of equal returns is kept whole, and its expected gradient is about 0: only noise. It sharpens what the
policy already does and loses diversity (watch policy/entropy).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import spread, token_mean
from strop.functional.bounds import check_at_least, check_finite
from strop.functional.objectives import policy_gradient
from strop.learners.policy_gradient import PolicyGradient, PolicyGradientConfig
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Extras, Mean, Metrics, Policy, Sampling, check_fields


def kept(return_E: Tensor, group_E: Tensor, best: int, threshold: float | None) -> Tensor:
    """bool [E]: scored, with fewer than `best` better ones in its group, and above the threshold if there is one."""
    better_EE = (return_E > return_E.unsqueeze(1)) & (group_E == group_E.unsqueeze(1))  # [e, f]: f is better
    kept_E = ~return_E.isnan() & (better_EE.sum(dim=1) < best)
    return kept_E if threshold is None else kept_E & (return_E > threshold)


class RejectionSampling:
    """One gradient step per batch, on the answers that are kept."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of RejectionSampling.

        optimizer  AdamW or SGD, with the learning rate
        best       number of answers of each group to keep
        threshold  keep only answers with a return above this; none keeps any return
        """

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
            """Without a threshold, a group of `best` or fewer would be kept whole whatever its returns are."""
            return Extras(least=self.best + 1 if self.threshold is None else 1)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            def chosen(batch: Batch) -> Tensor:
                return kept(batch.return_E, batch.group_E, self.best, self.threshold)

            def advantage(batch: Batch, penalty_BT: Tensor) -> Tensor:
                return spread(chosen(batch).double(), batch)

            def weight(batch: Batch) -> Tensor:
                return token_mean(replace(batch, weight_E=torch.where(chosen(batch), batch.weight_E, 0.0)))

            def logged(batch: Batch) -> tuple[Batch, Metrics]:
                scored_E = batch.weight_E > 0
                return batch, {"policy/kept": Mean(int((chosen(batch) & scored_E).sum()), int(scored_E.sum()))}

            return PolicyGradient(
                "rejection sampling",
                PolicyGradientConfig(optimizer=self.optimizer),
                policy,
                sampling,
                micro_tokens,
                advantage=advantage,
                weight=weight,
                loss=policy_gradient,
                prepare=logged,
            )
