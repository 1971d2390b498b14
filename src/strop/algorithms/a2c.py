"""A2C: advantage actor-critic, one step per batch.

Mnih et al. 2016 (1602.01783, algorithm S3, synchronous):

    A_t = r_t + discount * r_{t+1} + .. + discount^n V(s_{t+n}) - V(s_t)
    loss = mean over actions of  - A_t log pi(a_t | s_t) + critic.weight * (V(s_t) - R_t)^2 / 2 - entropy H(pi(. | s_t))

with R_t = A_t + V(s_t), and A and R without gradient. The value after termination is 0; a TRUNCATED episode bootstraps
from the state that would have followed. `n_step` none sums rewards to the end of the episode.

Differs from the paper: episodes are whole (the paper cuts every n steps, so A sees fewer rewards near a cut); AdamW in
place of RMSprop; a factor 1/2 before the square, so critic.weight 1 is the paper's 0.5.
Degenerates: with V = 0 and n_step none it is REINFORCE without a baseline, divided by the mean length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from strop.functional.bounds import check_at_least
from strop.functional.objectives import policy_gradient
from strop.functional.returns import returns_to_go
from strop.functional.values import n_step_advantage, td_errors
from strop.learners.actor_critic import ActorCritic, ActorCriticConfig, Estimate
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Policy, Sampling


def n_step_estimate(
    batch: Batch, rewards_BT: Tensor, value_BT: Tensor, logprobs_BT: Tensor, discount: float, n_step: int | None
) -> Estimate:
    """A of the next `n_step` rewards, and R = A + V."""
    delta_BT = td_errors(rewards_BT, value_BT, batch.next_BT, batch.action_BT, discount)
    if n_step is None:
        advantage_BT = returns_to_go(delta_BT, batch.next_BT, discount)
    else:
        advantage_BT = n_step_advantage(delta_BT, batch.next_BT, discount, n_step)
    return Estimate(advantage_BT, value_BT + advantage_BT)


class A2C:
    """One gradient step per batch on n-step advantages; needs a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(ActorCriticConfig):
        """Options of A2C.

        n_step  rewards in a target before it bootstraps; none sums to the end of the episode
        """

        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=7e-4, max_grad_norm=0.5))
        entropy: float = 0.01
        n_step: int | None = 5

        def __post_init__(self) -> None:
            ActorCriticConfig.__post_init__(self)
            check_at_least("algorithm.n_step", self.n_step, 1, none="looks to the end")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> ActorCritic:
            return ActorCritic(
                "A2C",
                self,
                policy,
                sampling,
                micro_tokens,
                seed,
                estimate=partial(n_step_estimate, discount=self.discount, n_step=self.n_step),
                loss=policy_gradient,
                reads_old=False,
            )
