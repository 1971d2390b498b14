"""The objectives that several algorithms share, as losses of one micro-batch, with their metrics.

Each is called as `(micro, logprobs_BT, old_BT, advantage_BT, weight_BT) -> (loss, metrics)`; only `logprobs_BT` has a
gradient. The weights make it a mean (`functional/aggregation.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from strop.functional.aggregation import num_actions_E, scored_actions, spread
from strop.functional.ratios import clip_active, clipped_loss, log_ratio, sequence_log_ratio
from strop.types import Batch, Mean, Metrics


def policy_gradient(
    micro: Batch, logprobs_BT: Tensor, old_BT: Tensor, advantage_BT: Tensor, weight_BT: Tensor
) -> tuple[Tensor, Metrics]:
    """-sum w A log pi, without any ratio (REINFORCE, A2C). No gradient flows through `advantage_BT`.

    An action of weight 0 adds 0, even where log pi = -inf.
    """
    signal_BT = weight_BT * advantage_BT
    return -torch.where(signal_BT != 0, signal_BT * logprobs_BT, 0.0).sum(), {}


def token_objective(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    low: float,
    high: float,
    dual: float | None = None,
) -> tuple[Tensor, Metrics]:
    """sum w max(-rho A, -clip(rho) A) with one ratio a token (PPO, GRPO, Dr. GRPO, DAPO)."""
    ratio_BT = log_ratio(logprobs_BT, old_BT, micro.action_BT).exp()
    loss = (weight_BT * clipped_loss(ratio_BT, advantage_BT, low, high, dual)).sum()
    return loss, clip_metrics(micro, ratio_BT, advantage_BT, low, high, dual)


def sequence_objective(
    micro: Batch,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantage_BT: Tensor,
    weight_BT: Tensor,
    low: float,
    high: float,
) -> tuple[Tensor, Metrics]:
    """The clipped objective with one ratio a sequence, exp(sum_t log pi - log pi_old); needs whole episodes.

    Each of the L actions of a sequence carries 1/L of its term, so that it counts once under `sequence_sum` weights.
    """
    ratio_BT = sequence_log_ratio(log_ratio(logprobs_BT, old_BT, micro.action_BT), micro).exp()
    share_BT = spread(1.0 / num_actions_E(micro).to(weight_BT.dtype), micro)  # 1 / int64 would be float32
    loss = (weight_BT * share_BT * clipped_loss(ratio_BT, advantage_BT, low, high)).sum()
    return loss, clip_metrics(micro, ratio_BT, advantage_BT, low, high)


def clip_metrics(
    micro: Batch, ratio_BT: Tensor, advantage_BT: Tensor, low: float, high: float, dual: float | None = None
) -> Metrics:
    """The share of scored tokens whose gradient the clip removes, and the mean ratio."""
    active_BT = clip_active(ratio_BT.detach(), advantage_BT, low, high, dual)
    return ratio_metrics(micro, ratio_BT) | {"policy/clip_active": mean_over_tokens(micro, active_BT)}


def ratio_metrics(micro: Batch, ratio_BT: Tensor) -> Metrics:
    """The mean ratio of the scored tokens."""
    return {"policy/ratio": mean_over_tokens(micro, ratio_BT)}


def mean_over_tokens(micro: Batch, value_BT: Tensor) -> Mean:
    """The mean of a number or a flag over the scored tokens."""
    mask_BT = scored_actions(micro)
    return Mean(value_BT.detach().double()[mask_BT].sum().item(), int(mask_BT.sum()))
