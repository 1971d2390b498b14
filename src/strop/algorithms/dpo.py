"""DPO: direct preference optimisation, KL-regularised reinforcement learning as classification of pairs.

Rafailov et al. 2023 (2305.18290) eq. 7, for a chosen answer w and a rejected one l to the same prompt:

    h    = beta * [(log pi(w) - log ref(w)) - (log pi(l) - log ref(l))]        log-probs summed over the answer
    loss = -log sigmoid(h)

beta * (log pi - log ref) is the implicit reward of the policy: where the labels follow a Bradley-Terry model of r, the
loss is smallest at pi* = ref * exp(r / beta) / Z, the optimum of r - beta * KL.

`smoothing` e is the share of labels believed to be flipped: -(1 - e) log sigmoid(h) - e log sigmoid(-h), conservative
DPO (Mitchell 2023), which stops at sigmoid(h) = 1 - e. Robust DPO is another formula, in its own file.

Differs from the paper: groups of more than two answers give all their strictly ordered pairs, and each prompt counts
once. Log-probs are those of temperature 1, whatever the run samples with.
Degenerates: labels that never contradict each other push h to infinity (IPO and smoothing prevent it). The loss depends
on the difference only, so both log-probs may fall (watch preference/chosen_logprob).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from strop.functional.bounds import check_below, check_positive
from strop.functional.preferences import smoothed_sigmoid_loss
from strop.learners.preference import Answers, LogprobLoss, Preference, PreferenceConfig
from strop.types import Policy, Sampling


def dpo_loss(chosen: Answers, rejected: Answers, beta: float, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """-log sigmoid(h), and h [P]."""
    logit_P = beta * (chosen.ratio_P - rejected.ratio_P)
    return smoothed_sigmoid_loss(logit_P, smoothing), logit_P


class DPO:
    """One gradient step per batch of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of DPO.

        beta       weight of the KL to the policy at the start: larger keeps it closer
        smoothing  assumed share of flipped labels
        """

        beta: float = 0.1
        smoothing: float = 0.0

        def __post_init__(self) -> None:
            PreferenceConfig.__post_init__(self)
            check_positive("algorithm.beta", self.beta)
            check_below("algorithm.smoothing", self.smoothing, 0.5, hint="fewer than half of the labels are flipped")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Preference:
            loss = LogprobLoss(partial(dpo_loss, beta=self.beta, smoothing=self.smoothing), policy.reference())
            return Preference("DPO", self.optimizer, policy, micro_tokens, loss)
