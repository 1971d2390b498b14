"""The clipped objectives as losses of one micro-batch, with what is worth logging about them.

Each is called as `(micro, logprobs_BT, old_BT, advantage_BT, weight_BT) -> (loss, metrics)`; only `logprobs_BT` has a
gradient. The weights decide the mean (`functional/aggregation.py`).
"""

from __future__ import annotations

from torch import Tensor

from strop.functional.aggregation import num_actions_E, scored_actions, spread
from strop.functional.ratios import clip_active, clipped_loss, log_ratio, sequence_log_ratio
from strop.types import Batch, Mean, Metrics


def score_objective(
    micro: Batch, logprobs_BT: Tensor, old_BT: Tensor, advantage_BT: Tensor, weight_BT: Tensor
) -> tuple[Tensor, Metrics]:
    """-sum w A log pi, the score-function loss without a ratio (REINFORCE, A2C; V-trace has its ratio in A)."""
    return -(weight_BT * advantage_BT * logprobs_BT).sum(), {}


def token_objective(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    low: float,
    high: float,
) -> tuple[Tensor, Metrics]:
    """sum w max(-rho A, -clip(rho) A) with one ratio a token (PPO, GRPO, Dr. GRPO)."""
    ratio_BT = log_ratio(logprobs_BT, old_BT, micro.action_BT).exp()
    loss = (weight_BT * clipped_loss(ratio_BT, advantage_BT, low, high)).sum()
    return loss, _clip_metrics(micro, ratio_BT, advantage_BT, low, high)


def sequence_objective(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    low: float,
    high: float,
) -> tuple[Tensor, Metrics]:
    """The same with one ratio a sequence, exp(sum_t log pi - log pi_old); needs whole episodes.

    The sequence's term counts once: each of its L actions carries 1/L of it, under the weights of `sequence_sum`.
    """
    ratio_BT = sequence_log_ratio(log_ratio(logprobs_BT, old_BT, micro.action_BT), micro).exp()
    share_BT = spread(1.0 / num_actions_E(micro).clamp(min=1), micro).to(weight_BT.dtype)
    loss = (weight_BT * share_BT * clipped_loss(ratio_BT, advantage_BT, low, high)).sum()
    return loss, _clip_metrics(micro, ratio_BT, advantage_BT, low, high)


def _clip_metrics(micro: Batch, ratio_BT: Tensor, advantage_BT: Tensor, low: float, high: float) -> Metrics:
    """The share of scored tokens whose gradient the clip removes, and the mean ratio."""
    mask_BT, ratio_BT = scored_actions(micro), ratio_BT.detach().double()
    num_tokens = int(mask_BT.sum())
    active = int((clip_active(ratio_BT, advantage_BT, low, high) & mask_BT).sum())
    return {
        "policy/clip_active": Mean(active, num_tokens),
        "policy/ratio": Mean(ratio_BT[mask_BT].sum().item(), num_tokens),
    }
