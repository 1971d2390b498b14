"""Reward model: a score of a whole text, learnt from which of two answers people prefer.

Bradley & Terry 1952; Ouyang et al. 2022 (2203.02155) eq. 1; the margin is Llama 2's (2307.09288, eq. 2), the centring
penalty that of Eisenstein et al. 2023 (2312.09244). With r = the policy's value AFTER the last token of the answer:

    loss = -log sigmoid(r(w) - r(l) - margin * (return(w) - return(l))) + centring * (r(w) + r(l))^2

The value head gives a value before each token; the score is read in one more slot, behind the answer's last token (its
end token where it has one), exactly where a truncated episode is bootstrapped. Padding and what the environment said
afterwards are not in it. `strop.TrainedScore` makes a reward of the trained run.

Differs from the paper: returns are 1 and 0 for data, so the margin is `margin` itself; where returns are graded, it
grows with their difference. Each prompt counts once, however many pairs its answers make.
Degenerates: the likelihood sees differences alone, so each prompt's scores are free up to a constant: `centring` fixes
it. Labels that never contradict each other drive the scores apart without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_not_negative
from strop.functional.preferences import Pairs, ordered_pairs, require_pairs
from strop.functional.reading import read_after_last
from strop.learners.preference import text_scores
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Last, Mean, Metrics, Policy, Sampling, State, Update, check_fields, merge_metrics


def bradley_terry_loss(
    chosen_P: Tensor, rejected_P: Tensor, margin_P: Tensor | float = 0.0, centring: float = 0.0
) -> Tensor:
    """[P]: of both answers' scores."""
    return -logsigmoid(chosen_P - rejected_P - margin_P) + centring * (chosen_P + rejected_P).square()


class RewardModel:
    """One gradient step a draw of pairs, on a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        margin     what is asked of a pair for each unit by which its returns differ
        centring   pulls the scores to mean 0
        """

        reads: ClassVar[str] = "preferences"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-4))
        margin: float = 0.0
        centring: float = 0.01

        def __post_init__(self) -> None:
            check_fields(self)
            check_not_negative("algorithm.margin", self.margin)
            check_not_negative("algorithm.centring", self.centring)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> RewardModel:
            return RewardModel(self, policy, micro_tokens)

    def __init__(self, config: RewardModel.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        pairs = ordered_pairs(batch)
        require_pairs(pairs, batch, "a reward model")
        metrics = self.optimizer.step(batch, self._terms(batch, pairs))
        return Update(metrics | {"preference/pairs": Last(len(pairs.weight_P))})

    @torch.no_grad()
    def compare(self, batch: Batch) -> Metrics:
        """How the policy as it stands compares these pairs."""
        return merge_metrics(metrics for _, metrics in self._terms(batch, ordered_pairs(batch)))

    def _terms(self, batch: Batch, pairs: Pairs) -> Iterator[tuple[Tensor, Metrics]]:
        for (micro,) in read_after_last(batch).split(self.micro_tokens, "group"):
            here = pairs.within(micro)
            score_E = text_scores(self.policy, micro)
            chosen_P, rejected_P = score_E[here.chosen_P], score_E[here.rejected_P]
            difference_P = batch.return_E[here.chosen_P] - batch.return_E[here.rejected_P]
            margin_P = self.config.margin * difference_P.to(score_E.dtype)
            loss_P = bradley_terry_loss(chosen_P, rejected_P, margin_P, self.config.centring)
            yield (here.weight_P.to(loss_P.dtype) * loss_P).sum(), _metrics(chosen_P.detach(), rejected_P.detach())

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


def _metrics(chosen_P: Tensor, rejected_P: Tensor) -> Metrics:
    """How often and by how much the chosen answer is scored higher, and the level of all scores."""
    num_pairs, chosen_P, rejected_P = len(chosen_P), chosen_P.double(), rejected_P.double()
    return {
        "preference/accuracy": Mean((chosen_P > rejected_P).sum().item(), num_pairs),
        "preference/logit": Mean((chosen_P - rejected_P).sum().item(), num_pairs),
        "preference/score": Mean((chosen_P + rejected_P).sum().item(), 2 * num_pairs),
    }
