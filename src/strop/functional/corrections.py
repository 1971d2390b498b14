"""Off-policy correction, for tokens that were sampled by mu and not by the learner pi_old.

The sampler may be stale, or use other kernels or other weights. With rho_t = pi_old / mu of a token (the learner's
probability before the update over the one that the sampler recorded), each token's loss is multiplied by

    level   token      w_t = rho_t            biased: corrects the token, not the distribution of its state
            sequence   w_t = prod of rho      over the episode: unbiased for a final reward; large variance
    kind    truncate   min(w, cap)            TIS; unbiased while nothing is truncated
            mask       w in [floor, cap], else 0    MIS; at token level IcePop
            drop_negative   0 where A < 0 and the mean of -log rho over the sequence is above max_drift, else 1

The last one is the off-policy sequence mask of DeepSeek-V3.2 (2512.02556, eq. 9): bad answers that the learner would
hardly give any more teach little and can do harm. The other answers keep weight 1, so the off-policy bias stays. In
the paper rho follows the policy through the epochs; here it is computed once, before the first.

With several epochs the clipped ratio stays pi / pi_old, so nothing is counted twice (the decoupled form). Denominators
stay: masking a token shrinks the step. Degenerates: where the learner itself samples, every weight is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from strop.functional.aggregation import num_actions_E, scored_actions, spread, sum_per_pick
from strop.functional.bounds import check_at_least, check_not_negative, check_share
from strop.functional.ratios import log_ratio, mean_log_ratio
from strop.types import Batch, Last, Mean, Metrics, check_fields

Level = Literal["token", "sequence"]
Kind = Literal["truncate", "mask", "drop_negative"]
LEVELS = ("token", "sequence")
KINDS = ("truncate", "mask", "drop_negative")
CAP = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Importance weights for samples of another policy. All episodes of one step have the same policy version; a replay
    memory mixes versions, and has its own `max_staleness`.

    level          one weight per token, or one per sequence
    kind           beyond the bounds: truncate the weight, mask the token, or (drop_negative) leave out a sequence of
                   negative advantage that drifted too far
    cap            largest weight; with kinds "truncate" and "mask"
    floor          smallest weight; with kind "mask" only
    max_drift      largest mean of log(sampler / learner) over a sequence, in nats per token; with kind "drop_negative"
                   only
    max_staleness  leave out samples more than this many versions behind the newest of the batch; none keeps all
    """

    level: Level = "token"
    kind: Kind = "truncate"
    cap: float = CAP
    floor: float = 0.0
    max_drift: float | None = None
    max_staleness: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.level not in LEVELS:
            raise ValueError(f"correction.level={self.level!r}: allowed are {', '.join(LEVELS)}.")
        if self.kind not in KINDS:
            raise ValueError(f"correction.kind={self.kind!r}: allowed are {', '.join(KINDS)}.")
        check_at_least("correction.cap", self.cap, 1, hint="1 is the weight of an on-policy sample")
        check_share("correction.floor", self.floor)
        check_not_negative("correction.max_drift", self.max_drift, none="is for the other kinds")
        check_at_least("correction.max_staleness", self.max_staleness, 0, none="keeps all")
        self._refuse_what_has_no_effect()

    def _refuse_what_has_no_effect(self) -> None:
        if self.floor > 0.0 and self.kind != "mask":
            raise ValueError("correction.floor acts with kind='mask' only: the other kinds have no least weight.")
        if self.kind != "drop_negative":
            if self.max_drift is not None:
                raise ValueError("correction.max_drift acts with kind='drop_negative' only: cap bounds the others.")
            return
        if self.level != "sequence":
            raise ValueError(
                "correction.kind='drop_negative' leaves whole sequences out: set correction.level=sequence."
            )
        if self.max_drift is None:
            raise ValueError("correction.kind='drop_negative' needs a correction.max_drift, such as 0.5 nats a token.")
        if self.cap != CAP:
            raise ValueError("correction.cap has no effect with kind='drop_negative': what stays has the weight 1.")

    @property
    def is_local(self) -> bool:
        """Whether a token's weight depends on that token's log-probs alone."""
        return self.level == "token" and self.max_staleness is None


def truncated(ratio: Tensor, cap: float) -> Tensor:
    """min(w, cap)."""
    return ratio.clamp(max=cap)


def masked(ratio: Tensor, floor: float, cap: float) -> Tensor:
    """w inside [floor, cap], 0 outside."""
    return torch.where((ratio >= floor) & (ratio <= cap), ratio, 0.0)


def undrifted(log_ratio_BT: Tensor, advantage_BT: Tensor, max_drift: float, batch: Batch) -> Tensor:
    """1 on the actions; 0 on those of negative advantage in a sequence whose mean log mu - log pi_old is larger."""
    drift_BT = -mean_log_ratio(log_ratio_BT, batch)
    return (batch.action_BT & ~((advantage_BT < 0) & (drift_BT > max_drift))).to(log_ratio_BT.dtype)


def correction_weight(correction: Correction, log_ratio_BT: Tensor, advantage_BT: Tensor, batch: Batch) -> Tensor:
    """The factor [B, T] on each action's loss. `log_ratio_BT` is log pi_old - log mu, 0 off the actions.
    `batch` may be a part of the whole one only where the correction `is_local`."""
    recent_B1 = is_recent(batch, correction.max_staleness).unsqueeze(1)
    if correction.max_drift is not None:
        return recent_B1 * undrifted(log_ratio_BT, advantage_BT, correction.max_drift, batch)
    if correction.level == "token":
        ratio_BT = torch.where(batch.action_BT, log_ratio_BT.exp(), 0.0)
    else:
        ratio_BT = spread(sum_per_pick(log_ratio_BT, batch).exp(), batch)
    if correction.kind == "truncate":
        return recent_B1 * truncated(ratio_BT, correction.cap)
    return recent_B1 * masked(ratio_BT, correction.floor, correction.cap)


def off_policy_log_ratio(batch: Batch, old_BT: Tensor) -> Tensor:
    """log pi_old - log mu [B, T] of the scored actions, 0 elsewhere."""
    return log_ratio(old_BT, batch.logprobs_BT, scored_actions(batch))


def correct(
    correction: Correction | None, batch: Batch, old_BT: Tensor, advantage_BT: Tensor
) -> tuple[Tensor, Metrics]:
    """The factor [B, T] on each action's loss, and its metrics; without a correction ones and no metrics."""
    if correction is None:
        return torch.ones_like(old_BT), {}
    log_ratio_BT = off_policy_log_ratio(batch, old_BT)
    factor_BT = correction_weight(correction, log_ratio_BT, advantage_BT, batch)
    return factor_BT, correction_metrics(correction, log_ratio_BT, factor_BT, batch)


def is_recent(batch: Batch, max_staleness: int | None) -> Tensor:
    """bool [B]: rows whose policy is at most `max_staleness` versions behind the newest of the batch."""
    if max_staleness is None:
        return torch.ones_like(batch.version_B, dtype=torch.bool)
    return batch.version_B >= batch.version_B.max() - max_staleness


def effective_sample_size(log_ratio_N: Tensor) -> float:
    """(sum w)^2 / (N sum w^2) in (0, 1]: the effective share of the samples (Kong 1992); NaN without samples."""
    if not len(log_ratio_N):
        return math.nan
    log_share = 2.0 * log_ratio_N.logsumexp(0) - (2.0 * log_ratio_N).logsumexp(0)
    return log_share.exp().item() / len(log_ratio_N)


def correction_metrics(correction: Correction, log_ratio_BT: Tensor, weight_BT: Tensor, batch: Batch) -> Metrics:
    """The effective sample size of the unclipped ratios (per token or per sequence), and the mean weight of a token."""
    mask_BT = scored_actions(batch)
    if correction.level == "token":
        log_ratio_N = log_ratio_BT[mask_BT]
    else:
        log_ratio_N = sum_per_pick(log_ratio_BT, batch)[(batch.weight_E > 0) & (num_actions_E(batch) > 0)]
    return {
        "correction/ess": Last(effective_sample_size(log_ratio_N)),
        "correction/weight": Mean(weight_BT[mask_BT].sum().item(), int(mask_BT.sum())),
    }
