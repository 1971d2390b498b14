"""The effective weight w of a token in grad = w * A * grad log pi, as a function of its ratio."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from strop.algorithms import ppo
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.rloo import RLOO
from strop.policies.table import Table
from strop.types import Batch, Metrics, Sampling
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.policy_gradient import build
from strop.verify.tree import table_tree

Objective = Callable[[Batch, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Metrics]]
RATIOS = (0.25, 0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 2.0, 3.5, 5.0)
PPO = {
    1.0: (0.25, 0.5, 0.79, 0.81, 1.0, 1.19, 0.0, 0.0, 0.0, 0.0),
    -1.0: (0.0, 0.0, 0.0, 0.81, 1.0, 1.19, 1.21, 2.0, 3.5, 5.0),
}
"""w for each sign of the advantage, at a clip of .2: derived by hand from max(-rho A, -clip(rho) A)."""


def effective_weights(loss: Objective, ratios: Sequence[float], advantage: float) -> list[float]:
    """w of each ratio, by autograd: one answer of one token each, whose old log-prob is -ln(ratio) away."""
    batch = batch_of(*(episode(turn((1,), (2,)), id=str(i)) for i in range(len(ratios))))
    logprobs_BT = torch.where(batch.action_BT, -1.0, 0.0).double().requires_grad_()
    shift_B1 = torch.tensor([[math.log(ratio)] for ratio in ratios], dtype=torch.float64)
    old_BT = torch.where(batch.action_BT, -1.0 - shift_B1, 0.0)
    ones_BT = batch.action_BT.double()
    value, _ = loss(batch, logprobs_BT, old_BT, advantage * ones_BT, ones_BT)
    (gradient_BT,) = torch.autograd.grad(value, logprobs_BT)
    weights: list[float] = (-gradient_BT[batch.action_BT] / advantage).tolist()
    return weights


def against(loss: Objective, table: Mapping[float, Sequence[float]], tolerance: float = 1e-12) -> Iterator[Gap]:
    """The largest error of the effective weights against a table, for each sign of the advantage."""
    for advantage, expected in table.items():
        got = effective_weights(loss, RATIOS, advantage)
        worst = max(abs(a - b) for a, b in zip(got, expected, strict=True))
        yield Gap(worst, tolerance, f"A = {advantage:+g}")


def check_grpo_clip() -> Iterator[Gap]:
    """GRPO: the effective weights of the PPO clip, ratios .25 to 5."""
    yield from against(build(GRPO, table_tree(3, 2)).loss, PPO)


def check_ppo_clip() -> Iterator[Gap]:
    """PPO: the effective weights of its clip, with a dual clip of 3, ratios .25 to 5."""
    policy = Table(3, capacity=4, value_head=True)
    closed = PPO | {-1.0: (*PPO[-1.0][:-2], 0.0, 0.0)}
    yield from against(ppo.PPO.Config(dual_clip=3.0).build(policy, Sampling(), 4096).loss, closed)


def check_dr_grpo_clip() -> Iterator[Gap]:
    """Dr. GRPO: the effective weights of the PPO clip, ratios .25 to 5."""
    yield from against(build(DrGRPO, table_tree(3, 2)).loss, PPO)


def check_rloo_clip() -> Iterator[Gap]:
    """RLOO: the effective weights of the PPO clip, ratios .25 to 5."""
    yield from against(build(RLOO, table_tree(3, 2)).loss, PPO)
