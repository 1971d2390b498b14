"""Reward model: a score of a whole text, learnt from pairs of a chosen and a rejected answer.

Bradley & Terry 1952; Ouyang et al. 2022 (2203.02155) eq. 1; the margin is Llama 2's (2307.09288, eq. 2), the centring
penalty that of Eisenstein et al. 2023 (2312.09244). With r = the policy's value AFTER the last token of the answer:

    loss = -log sigmoid(r(w) - r(l) - margin * (return(w) - return(l))) + centring * (r(w) + r(l))^2

The value head gives a value before each token; the score is the value in one extra slot, behind the answer's last token
(its end token, if it has one). It depends on neither padding nor later environment text. `strop.TrainedScore` turns the
trained run into a reward.

Differs from the paper: returns are 1 and 0 for data, so the margin is `margin` itself; graded returns scale it by their
difference. Each prompt counts once, however many pairs its answers make.
Degenerates: the likelihood depends on differences only, so each prompt's scores are determined up to a constant, which
`centring` fixes. Labels that never contradict each other drive the scores apart without bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_not_negative
from strop.functional.preferences import Pairs
from strop.functional.value_slots import add_last_value_slots
from strop.learners.heads import VALUE, text_scores
from strop.learners.preference import Preference, PreferenceConfig, preference_metrics
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Mean, Metrics, Policy, Sampling, Want


def bradley_terry_loss(
    chosen_P: Tensor, rejected_P: Tensor, margin_P: Tensor | float = 0.0, centring: float = 0.0
) -> Tensor:
    """The loss [P] of both answers' scores."""
    return -logsigmoid(chosen_P - rejected_P - margin_P) + centring * (chosen_P + rejected_P).square()


class RewardModel:
    """One gradient step per batch of pairs, on a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of RewardModel.

        margin    required score difference of a pair, per unit of difference in return
        centring  weight of the penalty that pulls the scores to mean 0
        """

        heads: ClassVar[frozenset[Want]] = VALUE
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-4))
        margin: float = 0.0
        centring: float = 0.01

        def __post_init__(self) -> None:
            PreferenceConfig.__post_init__(self)
            check_not_negative("algorithm.margin", self.margin)
            check_not_negative("algorithm.centring", self.centring)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Preference:
            loss = partial(_score_loss, margin=self.margin, centring=self.centring)
            return Preference("a reward model", self.optimizer, policy, micro_tokens, loss, add_last_value_slots)


def _score_loss(policy: Policy, micro: Batch, pairs: Pairs, margin: float, centring: float) -> tuple[Tensor, Metrics]:
    """The loss [P] of the pairs' scores, and its metrics."""
    score_E = text_scores(policy, micro)
    chosen_P, rejected_P = score_E[pairs.chosen_P], score_E[pairs.rejected_P]
    difference_P = micro.return_E[pairs.chosen_P] - micro.return_E[pairs.rejected_P]
    loss_P = bradley_terry_loss(chosen_P, rejected_P, margin * difference_P.to(score_E.dtype), centring)
    chosen_P, rejected_P = chosen_P.detach().double(), rejected_P.detach().double()
    level = Mean((chosen_P + rejected_P).sum().item(), 2 * len(chosen_P))
    return loss_P, preference_metrics(chosen_P - rejected_P) | {"preference/score": level}
