"""DAPO: decoupled clip and dynamic sampling policy optimisation.

Yu et al. 2025 (2503.14476) eq. 8-13. Four changes to GRPO:

    clip-higher         max(-rho_it A_i, -clip(rho_it, 1 - clip_low, 1 + clip_high) A_i): rare tokens may grow more
    token mean          over all tokens of the batch, so a long answer counts by its length
    dynamic sampling    groups whose returns are all equal are dropped, and the engine plays more tasks until
                        `prompts_per_step` groups are left (`Config.extras`)
    overlong answers    soft penalty in the return (`overlong_tokens` is the paper's L_cache); answers that are cut
                        at `max_tokens` have no loss (`mask_truncated`)

Answers without loss are left out of the denominator too. Whether a group has signal depends on its returns before the
penalty; a cut answer still counts in its group's mean and std. There is no KL, as in the paper; clip-higher keeps the
entropy up.

Differs from the paper: the engine plays only as many further tasks as are missing, so no group with signal is wasted.
The penalty counts an episode's tokens over all its turns, and is off by default (the paper: 4096 of 20480 tokens).
Degenerates: when nearly all tasks are always or never solved, `oversampling` times the step's tasks do not give enough
groups, and the run stops with a message. Kept groups are selected by their returns; with one group per batch, that
divides the expected gradient by the share of kept groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Self

from torch import Tensor

from strop.functional.advantages import group_normalised, has_signal
from strop.functional.aggregation import num_actions_E, spread, token_mean
from strop.functional.bounds import check_at_least, check_not_negative
from strop.functional.corrections import Correction
from strop.functional.lengths import soft_overlong
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.learners.policy_gradient import PolicyGradient, RatioConfig
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Extras, Last, Mean, Metrics, Policy, Sampling, check_fields


def returns_differ(returns: Sequence[float]) -> bool:
    """Whether a group's scored returns differ; `has_signal` is the same for tensors."""
    return len(set(returns)) > 1


def with_signal(batch: Batch, mask_truncated: bool) -> tuple[Batch, Metrics]:
    """Leave groups of equal returns out of the loss, and with `mask_truncated` answers that were cut."""
    signal_E = has_signal(batch.return_E, batch.group_E)
    kept_E = signal_E & ~batch.cut_E if mask_truncated else signal_E
    num_groups, num_accepted = len(set(batch.group_E.tolist())), len(set(batch.group_E[signal_E].tolist()))
    return replace(batch, weight_E=batch.weight_E.masked_fill(~kept_E, 0.0)), {
        "dapo/rejected_groups": Last(num_groups - num_accepted),
        "dapo/truncated": Mean(int(batch.cut_E.sum()), len(batch.cut_E)),
    }


def penalised_for_length(batch: Batch, penalty_BT: Tensor, max_tokens: int, overlong_tokens: int) -> Tensor:
    """[B, T]: the group-normalised return minus the overlong penalty; 0 for answers without loss. There is no KL."""
    penalty_E = soft_overlong(num_actions_E(batch), max_tokens, overlong_tokens)
    advantage_E = group_normalised(batch.return_E + penalty_E, batch.group_E)
    return spread(advantage_E.masked_fill(batch.weight_E == 0, 0.0), batch)


class DAPO:
    """`epochs` gradient steps per batch on the group-normalised advantages of groups with signal."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of DAPO.

        optimizer        AdamW or SGD, with the learning rate
        clip_low         lower end of the clip range of a token's ratio: 1 - clip_low
        clip_high        upper end of the clip range of a token's ratio: 1 + clip_high
        epochs           optimiser steps on the same batch
        overlong_tokens  length of the soft penalty zone before max_tokens; 0 is off
        mask_truncated   leave answers that were cut at max_tokens out of the loss
        oversampling     play at most this many times the step's tasks to find groups with signal
        correction       importance weights for samples of another policy; none is off
        """

        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        clip_low: float = 0.2
        clip_high: float = 0.28
        epochs: int = 1
        overlong_tokens: int = 0
        mask_truncated: bool = True
        oversampling: int = 10
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_clip(self.clip_low, self.clip_high)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_not_negative("algorithm.overlong_tokens", self.overlong_tokens, hint="0 turns the penalty off")
            check_at_least("algorithm.oversampling", self.oversampling, 1)

        @property
        def extras(self) -> Extras:
            """Play more tasks until enough groups have signal."""
            return Extras(accepts=returns_differ, oversampling=self.oversampling, least=2)

        def corrected(self) -> Self:
            return replace(self, correction=self.correction or Correction())

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> PolicyGradient:
            if self.overlong_tokens > sampling.max_tokens:
                raise ValueError(
                    f"algorithm.overlong_tokens={self.overlong_tokens} is more than "
                    f"sampling.max_tokens={sampling.max_tokens}: the penalty starts that many tokens before the limit."
                )
            return PolicyGradient(
                "DAPO",
                RatioConfig(optimizer=self.optimizer, epochs=self.epochs, correction=self.correction),
                policy,
                sampling,
                micro_tokens,
                advantage=partial(
                    penalised_for_length, max_tokens=sampling.max_tokens, overlong_tokens=self.overlong_tokens
                ),
                weight=token_mean,
                loss=partial(token_objective, low=self.clip_low, high=self.clip_high),
                prepare=partial(with_signal, mask_truncated=self.mask_truncated),
            )
