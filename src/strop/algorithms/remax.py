"""ReMax: REINFORCE with the greedy answer's reward as the baseline.

Li et al. 2023 (2310.10505) algorithm 1:

    A_i = R_i - r(greedy answer to the same prompt),     R_i = r_i - kl.weight * sum_t k1_it
    loss = -(1/B) sum_i A_i sum_t log pi(y_it)

The engine plays one more episode of every task, greedily (`Config.extras`). It is the baseline and has no loss. It is
independent of the samples, so the estimate is unbiased for any group size, 1 included.

Differs from the paper: nothing at group_size 1; more samples of a task share one greedy answer. A reward that compares
the members of a group sees the greedy answer alone, so its baseline is meaningless.
Degenerates: a group whose greedy episode is Unscored has no baseline and teaches nothing. Where the policy is nearly
deterministic, samples equal the greedy answer and every advantage is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import sequence_sum, spread, sum_per_pick
from strop.functional.objectives import policy_gradient
from strop.learners.policy_gradient import PolicyGradient, PolicyGradientConfig
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Mean, Metrics, Policy, Sampling, Source

GREEDY = tuple(Source).index(Source.GREEDY)


def greedy_baseline(return_E: Tensor, group_E: Tensor, is_greedy_E: Tensor) -> Tensor:
    """Each group's greedy return [E], for every member; NaN where it is Unscored. Every group has one greedy member."""
    _, member_E = torch.unique(group_E, return_inverse=True)
    baseline_G = return_E.new_full((int(member_E.max()) + 1,), torch.nan)
    baseline_G[member_E[is_greedy_E]] = return_E[is_greedy_E]
    return baseline_G[member_E]


def without_greedy(batch: Batch) -> tuple[Batch, Metrics]:
    """Leave the greedy episodes out of the loss, and groups whose baseline is Unscored; log the mean baseline."""
    is_greedy_E = batch.source_E == GREEDY
    _require_greedy(batch.group_E, is_greedy_E)
    baseline_E = greedy_baseline(batch.return_E, batch.group_E, is_greedy_E)
    learned = replace(batch, weight_E=batch.weight_E.masked_fill(is_greedy_E | baseline_E.isnan(), 0.0))
    scored_E = baseline_E[is_greedy_E & ~baseline_E.isnan()]
    return learned, {"policy/baseline": Mean(scored_E.sum().item(), len(scored_E))}


def above_greedy(batch: Batch, penalty_BT: Tensor) -> Tensor:
    """[B, T]: the return minus its KL penalty, minus the greedy return."""
    baseline_E = greedy_baseline(batch.return_E, batch.group_E, batch.source_E == GREEDY)
    advantage_E = batch.return_E - sum_per_pick(penalty_BT, batch) - baseline_E
    return spread(advantage_E.masked_fill(batch.weight_E == 0, 0.0), batch)


class ReMax:
    """One gradient step per batch, on returns minus the greedy return."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PolicyGradientConfig):
        """The options of every policy-gradient method."""

        extras: ClassVar[Extras] = Extras(greedy=True)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            return PolicyGradient(
                "ReMax",
                self,
                policy,
                sampling,
                micro_tokens,
                advantage=above_greedy,
                weight=sequence_sum,
                loss=policy_gradient,
                prepare=without_greedy,
            )


def _require_greedy(group_E: Tensor, is_greedy_E: Tensor) -> None:
    """Refuse groups without a greedy episode."""
    missing = set(group_E.tolist()) - set(group_E[is_greedy_E].tolist())
    if missing:
        raise ValueError(
            f"ReMax needs a greedy episode in every group; {len(missing)} have none (group {min(missing)} for one). "
            "strop.train plays them by itself; with your own engine, pass extras=strop.types.Extras(greedy=True)."
        )
