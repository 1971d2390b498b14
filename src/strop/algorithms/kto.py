"""KTO: learning from single answers that are labelled good or bad, without pairs.

Ethayarajh et al. 2024 (2402.01306) eq. 8, with l = log pi(y) - log ref(y) summed over the answer:

    loss = desirable   * [1 - sigmoid(beta * (l - z0))]     where the return is above `threshold`
           undesirable * [1 - sigmoid(beta * (z0 - l))]     where it is not
    z0   = max(0, mean of l over answers behind another prompt than their own), without gradient

and the mean over the labelled answers. z0 estimates the KL to the reference, the point from which a gain or a loss is
felt (Kahneman & Tversky): an answer is only good if it is more likely than what the policy now says anyway.

Differs from the paper: an answer is put behind the prompt of the next group of the batch by its number (the paper:
the next row), so the order of a batch and its copies change nothing.
Degenerates: a batch of a single prompt has no other one, and z0 is 0. Far from z0 both sides saturate: what is
hopeless or already learnt teaches nothing, which forgives wrong labels. Where n good and m bad answers are uneven,
choose the weights so that desirable * n / (undesirable * m) lies between 1 and 4/3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import num_actions_E, sum_per_pick
from strop.functional.bounds import check_finite, check_not_negative, check_positive
from strop.functional.distributions import PLAIN
from strop.functional.preferences import mismatched, present
from strop.learners.policy_gradient import score
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Last, Mean, Metrics, Policy, Sampling, State, Update, check_fields


def kto_loss(ratio_E: Tensor, desirable_E: Tensor, baseline: float, beta: float) -> Tensor:
    """[E]: 1 - sigmoid(beta * (l - z0)) of a desirable answer, 1 - sigmoid(beta * (z0 - l)) of another."""
    sign_E = torch.ones_like(ratio_E).masked_fill(~desirable_E, -1.0)
    return torch.sigmoid(-beta * sign_E * (ratio_E - baseline))


class KTO:
    """One gradient step a draw of labelled answers."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer    AdamW or SGD, with the learning rate
        beta         weight of the KL to the start: the larger, the closer the policy stays
        desirable    weight of the good answers
        undesirable  weight of the bad answers
        threshold    an answer is good if its return is above
        """

        reads: ClassVar[str] = "preferences"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        beta: float = 0.1
        desirable: float = 1.0
        undesirable: float = 1.0
        threshold: float = 0.5

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.beta", self.beta)
            check_not_negative("algorithm.desirable", self.desirable)
            check_not_negative("algorithm.undesirable", self.undesirable)
            check_finite("algorithm.threshold", self.threshold)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> KTO:
            return KTO(self, policy, micro_tokens)

    def __init__(self, config: KTO.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.reference = policy.reference()
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        labelled_E = (batch.weight_E > 0) & (num_actions_E(batch) > 0)
        baseline = self._baseline(batch, labelled_E)
        metrics = self.optimizer.step(batch, self._terms(batch, labelled_E, baseline))
        return Update(metrics | {"preference/baseline": Last(baseline)})

    @torch.no_grad()
    def _baseline(self, batch: Batch, labelled_E: Tensor) -> float:
        """z0: the mean log-ratio of answers behind other prompts, at least 0; 0 where there is no other prompt."""
        other = mismatched(batch)
        if other is None or not bool(labelled_E.any()):
            return 0.0
        total = 0.0
        for (micro,) in other.split(self.micro_tokens, "row"):
            total += self._ratio(micro).double()[labelled_E].sum().item()
        return max(0.0, total / int(labelled_E.sum()))

    def _terms(self, batch: Batch, labelled_E: Tensor, baseline: float) -> Iterator[tuple[Tensor, Metrics]]:
        desirable_E = batch.return_E > self.config.threshold
        good, bad = self.config.desirable * batch.weight_E, self.config.undesirable * batch.weight_E
        weight_E = torch.where(desirable_E, good, bad) / labelled_E.sum().clamp(min=1)
        for (micro,) in batch.split(self.micro_tokens, "episode"):
            here_E = present(micro) & labelled_E
            ratio_E = self._ratio(micro)
            loss_E = kto_loss(ratio_E, desirable_E, baseline, self.config.beta)
            loss = (weight_E.to(loss_E.dtype) * loss_E)[here_E].sum()
            yield loss, _metrics(ratio_E.detach().double(), here_E & desirable_E, here_E & ~desirable_E)

    def _ratio(self, micro: Batch) -> Tensor:
        """log pi(y) - log ref(y) [E] of the answers in a micro-batch; 0 for those that are not."""
        with torch.no_grad():
            reference_BT = score(self.reference, micro, PLAIN)["logprobs"]
        return sum_per_pick(score(self.policy, micro, PLAIN)["logprobs"] - reference_BT, micro)

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


def _metrics(ratio_E: Tensor, good_E: Tensor, bad_E: Tensor) -> Metrics:
    """The mean log-ratio of both kinds: the first should rise, the second fall."""
    return {
        "preference/desirable_ratio": Mean(ratio_E[good_E].sum().item(), int(good_E.sum())),
        "preference/undesirable_ratio": Mean(ratio_E[bad_E].sum().item(), int(bad_E.sum())),
    }
