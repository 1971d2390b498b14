"""Advantages and value targets from a critic.

`value_BT` holds V at every decision slot: before the token of each action, and at the extra slot that ends a truncated
row. All functions follow the chain `next_BT`, which skips environment tokens and bootstraps 0 after termination.
Advantages are 0 off the actions. Nothing here carries a gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from strop.functional.returns import next_value, returns_to_go


def td_errors(rewards_BT: Tensor, value_BT: Tensor, next_BT: Tensor, action_BT: Tensor, discount: float) -> Tensor:
    """delta_t = r_t + discount * V(next) - V(t) on the actions (Sutton & Barto 2018, eq. 6.5)."""
    error_BT = rewards_BT + discount * next_value(value_BT, next_BT) - value_BT
    return torch.where(action_BT, error_BT, 0.0)


def gae(delta_BT: Tensor, next_BT: Tensor, discount: float, trace: float) -> Tensor:
    """A_t = delta_t + discount * trace * A_next: generalised advantage estimation (1506.02438, eq. 16).

    `trace` is the paper's lambda: 0 gives delta, 1 the return to go minus V.
    """
    return returns_to_go(delta_BT, next_BT, discount * trace)


def n_step_advantage(delta_BT: Tensor, next_BT: Tensor, discount: float, n: int) -> Tensor:
    """sum_{k < n} discount^k delta_{t+k}, which is r_t + .. + discount^n V(t+n) - V(t) (1602.01783, alg. S3)."""
    delta_N = torch.cat([delta_BT.flatten(), delta_BT.new_zeros(1)])  # the extra slot is the end: 0
    end = len(delta_N) - 1
    next_N = torch.cat([next_BT.flatten(), next_BT.new_tensor([end])])
    next_N = torch.where(next_N < 0, end, next_N)
    total_N, at_N = torch.zeros_like(delta_N), torch.arange(end + 1, device=delta_BT.device)
    for k in range(n):
        total_N = total_N + discount**k * delta_N[at_N]
        at_N = next_N[at_N]
    return total_N[:end].view_as(delta_BT)


def vtrace(
    rewards_BT: Tensor,
    value_BT: Tensor,
    next_BT: Tensor,
    ratio_BT: Tensor,
    action_BT: Tensor,
    discount: float,
    ratio_cap: float = 1.0,
    trace_cap: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """(value targets, policy advantages) for data of another policy mu: V-trace (1802.01561, eq. 1).

        v_t = V_t + rho_t delta_t + discount * c_t (v_next - V_next)      A_t = rho_t (r_t + discount * v_next - V_t)

    with rho = min(ratio_cap, pi / mu) and c = min(trace_cap, pi / mu). Where nothing is capped and pi = mu, v_t is the
    return to go. On slots without an action the target is V itself.
    """
    delta_BT = td_errors(rewards_BT, value_BT, next_BT, action_BT, discount)
    rho_BT, trace_BT = ratio_BT.clamp(max=ratio_cap), ratio_BT.clamp(max=trace_cap)
    correction_BT = returns_to_go(rho_BT * delta_BT, next_BT, discount * trace_BT)
    target_BT = value_BT + correction_BT  # 0 off the actions, as the errors are
    ahead_BT = rewards_BT + discount * next_value(target_BT, next_BT) - value_BT
    return target_BT, torch.where(action_BT, rho_BT * ahead_BT, 0.0)


def value_loss(value_BT: Tensor, return_BT: Tensor, old_BT: Tensor, clip: float | None) -> Tensor:
    """(V - R)^2 / 2 per slot; with `clip`, the larger of it and the same of V clipped around the old V (PPO)."""
    error_BT = (value_BT - return_BT).square()
    if clip is not None:
        held_BT = old_BT + (value_BT - old_BT).clamp(-clip, clip)
        error_BT = torch.maximum(error_BT, (held_BT - return_BT).square())
    return 0.5 * error_BT


def explained_variance(value_N: Tensor, return_N: Tensor) -> float:
    """1 - Var(R - V) / Var(R): 1 for a perfect critic, 0 for the constant mean; NaN where undefined."""
    if len(return_N) < 2 or (spread := return_N.var(correction=0)) == 0:
        return float("nan")
    return float(1.0 - (return_N - value_N).var(correction=0) / spread)
