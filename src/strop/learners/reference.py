"""The reference policy of the KL penalty: a frozen copy of the policy at the start of the run."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from strop.functional.aggregation import num_scored, scored_actions
from strop.functional.divergences import KL, estimate
from strop.functional.ratios import log_ratio
from strop.learners.heads import read_batch
from strop.learners.logprobs import Read, full_logprobs, logprobs_of_batch, read_actions
from strop.types import Batch, Mean, Metrics, Policy, Sampling


class Reference:
    """KL to a frozen policy, in the reward or in the loss. With kl.weight 0 there is no reference policy.

    `given` replaces the policy at the start by another one, such as a teacher.
    """

    def __init__(
        self, kl: KL, policy: Policy, sampling: Sampling, micro_tokens: int, given: Policy | None = None
    ) -> None:
        self.kl, self.learner, self.sampling, self.micro_tokens = kl, policy, sampling, micro_tokens
        self.policy = given or (policy.reference() if kl.weight else None)

    @property
    def is_in_loss(self) -> bool:
        """Whether the KL is added to the loss of each token."""
        return self.policy is not None and self.kl.placement == "loss"

    def set_weight(self, weight: float) -> None:
        """Set the weight of the KL for the next updates."""
        self.kl = replace(self.kl, weight=weight)

    def logprobs(self, batch: Batch) -> Tensor:
        """The reference's log-probs [B, T]; without a reference the sampler's, so that the KL is 0."""
        if self.policy is None:
            return batch.logprobs_BT
        return logprobs_of_batch(self.policy, batch, self.sampling, self.micro_tokens)

    def penalty(self, batch: Batch, reference_BT: Tensor) -> Tensor:
        """weight * estimate [B, T], to subtract from each action's reward; 0 where KL is off or in the loss.

        The estimators use the log-probs that the sampler recorded: those of the distribution that acted.
        """
        if self.policy is None or self.kl.placement != "reward":
            return torch.zeros_like(reference_BT)
        if self.kl.estimator == "full":
            exact_BT = read_batch(batch, self.micro_tokens, self._exact, keep="row")
            return self.kl.weight * torch.where(batch.action_BT, exact_BT, 0.0)
        return self.kl.weight * estimate(_log_ratio(batch, reference_BT), self.kl.estimator)

    def full_logprobs(self, micro: Batch) -> Tensor | None:
        """The reference's log-probs [N, V] of the whole vocabulary, if the loss has the exact KL."""
        if self.policy is None or not (self.is_in_loss and self.kl.estimator == "full"):
            return None
        return full_logprobs(self.policy, micro, self.sampling)

    def loss(self, micro: Batch, read: Read, old_BT: Tensor, reference_BT: Tensor) -> Tensor:
        """weight * estimate [B, T] with gradient, to add to each token's loss; 0 where KL is off or in the reward."""
        logprobs_BT = read["logprobs"]
        if not self.is_in_loss:
            return torch.zeros_like(logprobs_BT)
        if self.kl.estimator == "full":
            return self.kl.weight * read["kl"]
        to_reference_BT = log_ratio(logprobs_BT, reference_BT.to(logprobs_BT.dtype), micro.action_BT)
        if self.kl.estimator == "k3_ratio":
            ratio_BT = log_ratio(logprobs_BT, old_BT, micro.action_BT).exp()
            return self.kl.weight * ratio_BT * estimate(to_reference_BT, "k3")
        return self.kl.weight * estimate(to_reference_BT, self.kl.estimator)

    def metrics(self, batch: Batch, reference_BT: Tensor) -> Metrics:
        """KL to the reference in nats per sequence (k1), the mean over scored episodes; none without a reference."""
        if self.policy is None:
            return {}
        return {"policy/kl": Mean(_log_ratio(batch, reference_BT).sum().item(), num_scored(batch))}

    def _exact(self, micro: Batch) -> Tensor:
        """The exact KL [B, T] of a micro-batch's decisions."""
        assert self.policy is not None
        reference_NV = full_logprobs(self.policy, micro, self.sampling)
        return read_actions(self.learner, micro, self.sampling, reference_NV)["kl"]


def _log_ratio(batch: Batch, reference_BT: Tensor) -> Tensor:
    """log mu - log ref [B, T] of the sampled tokens, 0 off the scored actions (Unscored ones may lack log-probs)."""
    return torch.where(scored_actions(batch), batch.logprobs_BT - reference_BT, 0.0)
