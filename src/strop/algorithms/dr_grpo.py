"""Dr. GRPO: GRPO without its two biases.

Liu et al. 2025 ("Understanding R1-Zero-like training", 2503.20783) sec. 3:

    A_i = r_i - mean(r)                                             no division by std
    loss = 1/(B * L_max) sum_i sum_t max(-rho_it A_i, -clip(rho_it, 1 - clip, 1 + clip) A_i)     no 1/L_i

L_max is a constant of the config, never the width of a batch, so padding and batch size do not change the step.

Differs from the paper: nothing with KL off; KL in the reward enters the return before the mean is taken off.
Degenerates: the expected gradient is (G - 1)/G of the true one over L_max, since a sample is part of its own mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from strop.functional.advantages import group_mean
from strop.functional.aggregation import constant, spread, sum_per_pick
from strop.functional.bounds import check_at_least, check_not_negative
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import Scorer
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Policy, Sampling, State, Update, check_fields


class DrGRPO:
    """`epochs` gradient steps a batch on centred returns with a constant denominator."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer   AdamW or SGD, with the learning rate
        kl          the pull towards the policy at the start: weight, placement and estimator
        clip        a token's ratio counts within 1 - clip and 1 + clip
        dual_clip   the most that a ratio counts for where A < 0; none sets no bound
        epochs      optimiser steps on the same batch
        max_tokens  what every loss is divided by (L_max); none takes it from the sampling
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
        max_tokens: int | None = None
        entropy: float = 0.0
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_clip(self.clip, self.clip, self.dual_clip)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_at_least("algorithm.max_tokens", self.max_tokens, 1, none="takes that of the sampling")
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> DrGRPO:
            return DrGRPO(self, policy, sampling, micro_tokens)

    def __init__(self, config: DrGRPO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.max_tokens = sampling.max_tokens if config.max_tokens is None else config.max_tokens
        self.scorer = Scorer(policy, sampling, config.kl, micro_tokens, "Dr. GRPO", config.entropy, config.correction)
        self.optimizer = config.optimizer.build(policy.parameters())
        self.loss = partial(token_objective, low=config.clip, high=config.clip, dual=config.dual_clip)

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        reference_BT = self.scorer.reference_logprobs(batch)
        penalty_E = sum_per_pick(self.scorer.kl_reward(batch, reference_BT), batch)
        advantage_BT = spread(group_mean(batch.return_E - penalty_E, batch.group_E), batch)
        metrics = self.scorer.learn(
            self.optimizer,
            batch,
            advantage_BT,
            constant(batch, self.max_tokens),
            reference_BT,
            self.loss,
            epochs=self.config.epochs,
        )
        return Update(metrics, per_token={"advantage": advantage_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
