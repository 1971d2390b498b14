"""KTO: learning from single answers that are labelled good or bad, without pairs.

Ethayarajh et al. 2024 (2402.01306) eq. 8, with l = log pi(y) - log ref(y) summed over the answer:

    loss = desirable   * [1 - sigmoid(beta * (l - z0))]     where the return is above `threshold`
           undesirable * [1 - sigmoid(beta * (z0 - l))]     where it is not
    z0   = max(0, mean of l over answers behind another prompt than their own), without gradient

averaged over the labelled answers. z0 estimates the KL to the reference. It is the reference point of prospect theory
(Kahneman & Tversky): an answer gains only if its log-ratio rises above that of unrelated answers.

Differs from the paper: for z0, an answer follows the prompt of the next group by number (the paper: of the next row),
so the order of a batch and duplicates in it change nothing.
Degenerates: with a single prompt in the batch there is no other one, and z0 is 0. Far from z0 the gradient vanishes on
both sides, which makes KTO robust to wrong labels. Where the numbers n of good and m of bad answers differ, choose the
weights so that desirable * n / (undesirable * m) lies between 1 and 4/3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from strop.functional.aggregation import num_actions_E, sum_per_pick
from strop.functional.bounds import check_finite, check_not_negative, check_positive
from strop.functional.distributions import PLAIN
from strop.functional.preferences import mismatched, present
from strop.learners.logprobs import read_actions
from strop.learners.preference import PreferenceConfig
from strop.learners.supervised import Supervised
from strop.types import Batch, Last, Mean, Metrics, Policy, Sampling, Term


def kto_loss(ratio_E: Tensor, desirable_E: Tensor, baseline: float, beta: float) -> Tensor:
    """[E]: 1 - sigmoid(beta * (l - z0)) of a desirable answer, 1 - sigmoid(beta * (z0 - l)) of an undesirable one."""
    sign_E = torch.ones_like(ratio_E).masked_fill(~desirable_E, -1.0)
    return torch.sigmoid(-beta * sign_E * (ratio_E - baseline))


class KTO:
    """One gradient step per batch of labelled answers."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of KTO.

        beta         weight of the KL to the policy at the start: larger keeps it closer
        desirable    weight of the good answers
        undesirable  weight of the bad answers
        threshold    an answer is good if its return is above this
        """

        beta: float = 0.1
        desirable: float = 1.0
        undesirable: float = 1.0
        threshold: float = 0.5

        def __post_init__(self) -> None:
            PreferenceConfig.__post_init__(self)
            check_positive("algorithm.beta", self.beta)
            check_not_negative("algorithm.desirable", self.desirable)
            check_not_negative("algorithm.undesirable", self.undesirable)
            check_finite("algorithm.threshold", self.threshold)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Supervised:
            terms = partial(_terms, reference=policy.reference(), config=self)
            return Supervised(self.optimizer, policy, micro_tokens, terms)


def _terms(policy: Policy, batch: Batch, micro_tokens: int, reference: Policy, config: KTO.Config) -> Iterator[Term]:
    """The loss of the labelled answers of each micro-batch."""
    ratio = partial(_ratio, policy, reference)
    labelled_E = (batch.weight_E > 0) & (num_actions_E(batch) > 0)
    baseline = _baseline(ratio, batch, labelled_E, micro_tokens)
    desirable_E = batch.return_E > config.threshold
    good, bad = config.desirable * batch.weight_E, config.undesirable * batch.weight_E
    weight_E = torch.where(desirable_E, good, bad) / labelled_E.sum().clamp(min=1)
    for micro, _ in batch.split(micro_tokens, "episode"):
        here_E = present(micro) & labelled_E
        ratio_E = ratio(micro)
        loss_E = kto_loss(ratio_E, desirable_E, baseline, config.beta)
        loss = (weight_E.to(loss_E.dtype) * loss_E)[here_E].sum()
        metrics = _metrics(ratio_E.detach().double(), here_E & desirable_E, here_E & ~desirable_E)
        yield Term(loss, metrics | {"preference/baseline": Last(baseline)})


@torch.no_grad()
def _baseline(ratio: Callable[[Batch], Tensor], batch: Batch, labelled_E: Tensor, micro_tokens: int) -> float:
    """z0: the mean log-ratio of answers behind other prompts, at least 0; 0 where there is no other prompt."""
    other = mismatched(batch)
    if other is None or not bool(labelled_E.any()):
        return 0.0
    total = 0.0
    for micro, _ in other.split(micro_tokens, "row"):
        total += ratio(micro).double()[labelled_E].sum().item()
    return max(0.0, total / int(labelled_E.sum()))


def _ratio(policy: Policy, reference: Policy, micro: Batch) -> Tensor:
    """log pi(y) - log ref(y) [E] of the answers in a micro-batch; 0 for the others."""
    with torch.no_grad():
        reference_BT = read_actions(reference, micro, PLAIN)["logprobs"]
    return sum_per_pick(read_actions(policy, micro, PLAIN)["logprobs"] - reference_BT, micro)


def _metrics(ratio_E: Tensor, good_E: Tensor, bad_E: Tensor) -> Metrics:
    """The mean log-ratio of both kinds: the first should rise, the second fall."""
    return {
        "preference/desirable_ratio": Mean(ratio_E[good_E].sum().item(), int(good_E.sum())),
        "preference/undesirable_ratio": Mean(ratio_E[bad_E].sum().item(), int(bad_E.sum())),
    }
