"""Process reward model: a score of every step of a text, learnt from labels of steps.

Uesato et al. 2022 (2211.14275), Lightman et al. 2023 (2305.20050). With v_t = the policy's value BEHIND token t:

    loss = - sum_t log sigmoid(sign(r_t) v_t) / (number of labelled steps of the whole batch)

over the tokens t with a reward r_t other than 0: the ends of labelled steps, good where r_t > 0 and bad where r_t < 0.
Labels come from data with {"prompt", "steps", "labels"}, or from a reward that returns PerTurn or PerToken.

Differs from the paper: a neutral step (a label of 0) is left out of the loss; the papers differ in where they count it.
Degenerates: with one label, at the end of the text, it is an outcome reward model (a classifier of right and wrong).
Where all labels are good the scores grow without bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.aggregation import scored_actions
from strop.functional.value_slots import add_value_slots
from strop.learners.heads import VALUE, values_after
from strop.learners.preference import PreferenceConfig
from strop.learners.supervised import Supervised
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Mean, Policy, Sampling, Term, Want


def step_loss(value_N: Tensor, is_good_N: Tensor) -> Tensor:
    """[N]: cross-entropy of a step's label under sigmoid(value)."""
    return -logsigmoid(torch.where(is_good_N, value_N, -value_N))


class ProcessRewardModel:
    """One gradient step per batch of labelled steps, on a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of ProcessRewardModel: the optimiser."""

        heads: ClassVar[frozenset[Want]] = VALUE
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-4))

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Supervised:
            return Supervised(self.optimizer, policy, micro_tokens, _terms)


def _terms(policy: Policy, batch: Batch, micro_tokens: int) -> Iterator[Term]:
    """The loss of the labelled steps of each micro-batch, and the accuracy."""
    wide = add_value_slots(batch, scored_actions(batch) & (batch.rewards_BT != 0.0))
    num_steps = (wide.next_BT >= 0).sum()
    weight_BT = wide.weight_B.unsqueeze(1).expand_as(wide.rewards_BT) / num_steps
    for micro, _, weight_bt in wide.split(micro_tokens, "row", weight_BT):
        labelled_bt = micro.next_BT >= 0
        value_N = values_after(policy, micro)[labelled_bt]
        is_good_N = micro.rewards_BT[labelled_bt] > 0.0
        loss = (weight_bt[labelled_bt].to(value_N.dtype) * step_loss(value_N, is_good_N)).sum()
        num_right = int(((value_N > 0) == is_good_N).sum())
        yield Term(loss, {"preference/accuracy": Mean(num_right, len(value_N))})
