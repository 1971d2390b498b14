"""KL to the reference, as a metric, in the reward, and in the loss: three different things.

With l = log pi(y) - log ref(y) on samples of pi (Schulman 2020, "Approximating KL divergence"):

    k1 = l                 unbiased value;  as a loss its expected gradient is exactly 0, so it is refused there
    k2 = l^2 / 2           biased value;    as a loss the token-local reverse KL
    k3 = exp(-l) - 1 + l   unbiased value;  as a loss the FORWARD KL of each token (what GRPO's paper optimises)
    k3_ratio = rho * k3    rho = pi / pi_old: on samples of pi_old the same expected gradient as k2 (DeepSeek-V3.2)
    full = sum_v pi log(pi / ref)   the exact token-local reverse KL, from the whole distribution

Only k1 in the reward gives the gradient of the sequence KL (Tang & Munos 2025, 2506.09477). An estimator c in the
reward favours states and tokens of small c; the gradient of c itself is missing: k3 gives grad KL minus the token-local
forward KL, `full` grad KL minus the token-local reverse KL, which is exactly 0 for answers of one token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from strop.functional.bounds import check_at_least, check_not_negative, check_positive
from strop.types import check_fields

Estimator = Literal["k1", "k2", "k3", "k3_ratio", "full"]
Placement = Literal["reward", "loss"]
ESTIMATORS = ("k1", "k2", "k3", "k3_ratio", "full")
PLACEMENTS = ("reward", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class KL:
    """A KL penalty to the reference, which is the policy at the start of the run.

    weight     of the KL; 0 is off, and keeps no reference in memory
    placement  subtract it from the reward, or add it to the loss
    estimator  from the sampled token (k1, k2, k3, k3_ratio), or over the whole vocabulary (full)
    """

    weight: float = 0.0
    placement: Placement = "reward"
    estimator: Estimator = "k1"

    def __post_init__(self) -> None:
        check_fields(self)
        check_not_negative("kl.weight", self.weight, hint="0 is off")
        if self.placement not in PLACEMENTS:
            raise ValueError(f"kl.placement={self.placement!r}: allowed are {', '.join(PLACEMENTS)}.")
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"kl.estimator={self.estimator!r}: allowed are {', '.join(ESTIMATORS)}.")
        if self.placement == "loss" and self.estimator == "k1":
            raise ValueError(
                "kl.placement='loss' with kl.estimator='k1' has no effect: its expected gradient is exactly 0. Use "
                "placement='reward' with k1 (the gradient of the sequence KL), or 'loss' with k2, k3_ratio or full."
            )
        if self.placement == "reward" and self.estimator == "k3_ratio":
            raise ValueError("kl.estimator='k3_ratio' is a loss: in the reward use k1, the unbiased one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class KLController:
    """Adapts kl.weight to reach a KL of `target` nats per sequence (Ziegler et al. 2019, 1909.08593, sec. 2.2).

    After a batch of n episodes: weight *= 1 + clip(KL / target - 1, -0.2, 0.2) * n / horizon.

    target   KL to aim for, in nats per sequence
    horizon  episodes over which the weight may change by at most a fifth
    """

    target: float = 6.0
    horizon: int = 10_000

    def __post_init__(self) -> None:
        check_fields(self)
        check_positive("kl_controller.target", self.target)
        check_at_least("kl_controller.horizon", self.horizon, 1)

    def after(self, weight: float, kl: float, num_episodes: int) -> float:
        """The new weight after a batch with a KL of `kl` nats per sequence."""
        error = min(max(kl / self.target - 1.0, -0.2), 0.2)
        return weight * (1.0 + error * num_episodes / self.horizon)


def estimate(log_ratio_BT: Tensor, estimator: Estimator) -> Tensor:
    """k1, k2 or k3 of log pi - log ref, per token. Differentiable; for its gradient see the module docstring."""
    if estimator == "k1":
        return log_ratio_BT
    if estimator == "k2":
        return 0.5 * log_ratio_BT.square()
    if estimator == "k3":
        return torch.exp(-log_ratio_BT) - 1.0 + log_ratio_BT
    raise ValueError(
        f"estimator={estimator!r} needs more than the log-ratio: the old distribution, or the whole one (full_kl)."
    )


def full_kl(logprobs_NV: Tensor, reference_logprobs_NV: Tensor) -> Tensor:
    """sum_v pi log(pi / ref) [N]: the exact reverse KL of each decision.

    A token of probability 0 adds 0, and 0 to the gradient.
    """
    probs_NV = logprobs_NV.exp()
    is_out_NV = probs_NV == 0
    log_ratio_NV = logprobs_NV.masked_fill(is_out_NV, 0.0) - reference_logprobs_NV.masked_fill(is_out_NV, 0.0)
    return (probs_NV * log_ratio_NV).sum(dim=-1)
