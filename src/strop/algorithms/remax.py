"""ReMax: REINFORCE with the greedy answer's reward as the baseline.

Li et al. 2023 (2310.10505) algorithm 1:

    A_i = R_i - r(greedy answer to the same prompt),     R_i = r_i - kl.weight * sum_t k1_it
    loss = -(1/B) sum_i A_i sum_t log pi(y_it)

The engine plays one more episode of every task, greedily (`Config.extras`). It gives the baseline and has no loss. It
never saw the sample it is taken off, so the estimate is unbiased for any group size, 1 included.

Differs from the paper: nothing at group_size 1; more samples of a task share one greedy answer. A reward that compares
a group's members sees the greedy answer alone, so it gives no baseline that means anything.
Degenerates: a group whose greedy episode is Unscored has no baseline and teaches nothing. Where the policy is nearly
deterministic, samples equal the greedy answer and every advantage is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import sequence_sum, spread, sum_per_pick
from strop.functional.bounds import check_not_negative
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import policy_gradient
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Mean, Policy, Sampling, Source, State, Update, check_fields

GREEDY = tuple(Source).index(Source.GREEDY)


def greedy_baseline(return_E: Tensor, group_E: Tensor, is_greedy_E: Tensor) -> Tensor:
    """Each group's greedy return [E], for every member; NaN where it is Unscored. Every group has one greedy member."""
    _, member_E = torch.unique(group_E, return_inverse=True)
    baseline_G = return_E.new_full((int(member_E.max()) + 1,), torch.nan)
    baseline_G[member_E[is_greedy_E]] = return_E[is_greedy_E]
    return baseline_G[member_E]


class ReMax:
    """One gradient step a batch, on returns minus the greedy return."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer   AdamW or SGD, with the learning rate
        kl          the pull towards the policy at the start: weight, placement and estimator
        entropy     weight of the distribution's entropy, which is taken off the loss
        correction  how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(greedy=True)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=KL)
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> ReMax:
            return ReMax(self, policy, sampling, micro_tokens)

    def __init__(self, config: ReMax.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "ReMax", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        is_greedy_E = batch.source_E == GREEDY
        baseline_E = greedy_baseline(batch.return_E, batch.group_E, is_greedy_E)
        learned = replace(batch, weight_E=batch.weight_E.masked_fill(is_greedy_E | baseline_E.isnan(), 0.0))
        reference_BT = self.scorer.reference_logprobs(batch)
        _require_greedy(batch.group_E, is_greedy_E)
        penalty_E = sum_per_pick(self.scorer.kl_reward(learned, reference_BT), learned)
        advantage_E = (batch.return_E - penalty_E - baseline_E).masked_fill(learned.weight_E == 0, 0.0)
        advantage_BT = spread(advantage_E, batch)
        metrics = self.scorer.learn(
            self.optimizer, learned, advantage_BT, sequence_sum(learned), reference_BT, policy_gradient
        )
        scored_E = baseline_E[is_greedy_E & ~baseline_E.isnan()]
        baseline = Mean(scored_E.sum().item(), len(scored_E))
        return Update(metrics | {"policy/baseline": baseline}, per_token={"advantage": advantage_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


def _require_greedy(group_E: Tensor, is_greedy_E: Tensor) -> None:
    """Refuse groups without a baseline: nothing that follows could be right."""
    missing = set(group_E.tolist()) - set(group_E[is_greedy_E].tolist())
    if missing:
        raise ValueError(
            f"ReMax needs a greedy episode in every group; {len(missing)} have none (group {min(missing)} for one). "
            "strop.train plays them by itself; with your own engine, pass extras=strop.types.Extras(greedy=True)."
        )
