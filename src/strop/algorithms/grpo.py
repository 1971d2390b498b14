"""GRPO: group-relative policy optimisation.

Shao et al. 2024 (DeepSeekMath, 2402.03300) eq. 3-4:

    A_i = (r_i - mean(r)) / (std(r) + 1e-4) over the G answers to one prompt
    loss = 1/B sum_i 1/L_i sum_t max(-rho_it A_i, -clip(rho_it, 1 - clip, 1 + clip) A_i) + kl.weight * KL_it

with rho_it = pi / pi_old of the token, the Bessel-corrected std, and the KL term where `kl.placement` is "loss".

Differs from the paper: KL is off by default (the paper: weight 0.04, k3 in the loss, which is the forward KL; see
`functional/divergences.py`). KL in the reward is taken off AFTER the group is normalised, or its weight would change
from prompt to prompt with 1 / std.
Degenerates: a group whose rewards are all equal gives exactly 0. Dividing by std weighs nearly-solved and
nearly-hopeless prompts up, and 1/L_i favours long wrong answers: Dr. GRPO takes both out, and RLOO is the unbiased one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from strop.functional.advantages import penalised
from strop.functional.aggregation import sequence_mean, spread, sum_per_pick
from strop.functional.bounds import check_at_least, check_not_negative
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Policy, Sampling, State, Update, check_fields


class GRPO:
    """`epochs` gradient steps a batch on group-normalised advantages."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer   AdamW or SGD, with the learning rate
        kl          the pull towards the policy at the start: weight, placement and estimator
        clip        a token's ratio counts within 1 - clip and 1 + clip
        dual_clip   the most that a ratio counts for where A < 0; none sets no bound
        epochs      optimiser steps on the same batch (the paper's mu)
        entropy     weight of the distribution's entropy, which is taken off the loss
        correction  how samples of another policy are weighed; none trusts them
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        kl: KL = field(default_factory=KL)
        clip: float = 0.2
        dual_clip: float | None = None
        epochs: int = 1
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_clip(self.clip, self.clip, self.dual_clip)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> GRPO:
            return GRPO(self, policy, sampling, micro_tokens)

    def __init__(self, config: GRPO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "GRPO", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())
        self.loss = partial(token_objective, low=config.clip, high=config.clip, dual=config.dual_clip)

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        reference_BT = self.scorer.reference_logprobs(batch)
        penalty_E = sum_per_pick(self.scorer.kl_reward(batch, reference_BT), batch)
        advantage_BT = spread(penalised(batch.return_E, penalty_E, batch.group_E), batch)
        metrics = self.scorer.learn(
            self.optimizer,
            batch,
            advantage_BT,
            sequence_mean(batch),
            reference_BT,
            self.loss,
            epochs=self.config.epochs,
        )
        return Update(metrics, per_token={"advantage": advantage_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
