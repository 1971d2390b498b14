"""PPO: proximal policy optimisation with a critic.

Schulman et al. 2017 (1707.06347, eq. 7 and 9) on advantages of 1506.02438 (eq. 16); for language models Ziegler et al.
2019 (1909.08593), Ouyang et al. 2022. Per action, averaged over the actions of a mini-batch:

    max(-rho A, -clip(rho, 1 - clip, 1 + clip) A) + critic.weight * value loss - entropy H(pi(. | s))
    value loss = (V - R)^2 / 2, or with `critic.clip` the larger of it and the same of V clipped around its old value
    A_t = delta_t + discount * trace * A_next,   delta_t = r_t - kl.weight * KL_t + discount * V(next) - V(t)
    R_t = A_t + V(t), before the advantages are whitened

rho = pi / pi_old; pi_old is the learner before the first step on the batch. `dual_clip` is an upper bound of rho where
A < 0 (Ye et al. 2019, 1912.09729, eq. 3).

Differs from the paper: no value clip by default; the advantages of the batch are whitened, not of each mini-batch; a
TRUNCATED episode bootstraps V of the state that would have followed, where common code treats it as terminated. The
value loss contains the factor 1/2: critic.weight 1 is the paper's c1 = 0.5.
Degenerates: epochs 1, minibatches 1: rho is 1, nothing clips, and it is A2C with whitened advantages. With trace 1 the
critic is only a baseline; with trace 0 its errors bias the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from strop.functional.advantages import whitened
from strop.functional.aggregation import scored_actions
from strop.functional.bounds import check_at_least, check_share
from strop.functional.divergences import KL, KLController
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.functional.values import gae, td_errors
from strop.learners.actor_critic import ActorCritic, ActorCriticConfig, Critic, Estimate
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Last, Metrics, Policy, Sampling


class PPO:
    """`epochs` passes over each batch in `minibatches` parts; needs a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(ActorCriticConfig):
        """Options of PPO. An epoch is a pass in `minibatches` steps.

        kl_controller  adapts kl.weight to reach a given KL; none keeps the weight
        clip           clip range of a token's ratio: 1 - clip to 1 + clip
        dual_clip      upper bound of the ratio where A < 0; none is off
        trace          GAE's lambda: 0 trusts the critic, 1 the returns
        epochs         passes over the same batch
        minibatches    optimiser steps in a pass
        """

        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=3e-6))
        kl: KL = field(default_factory=lambda: KL(weight=0.05))
        critic: Critic = field(default_factory=lambda: Critic(weight=0.1))
        kl_controller: KLController | None = None
        clip: float = 0.2
        dual_clip: float | None = None
        trace: float = 0.95
        epochs: int = 4
        minibatches: int = 1

        def __post_init__(self) -> None:
            ActorCriticConfig.__post_init__(self)
            check_clip(self.clip, self.clip, self.dual_clip)
            check_share("algorithm.trace", self.trace)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_at_least("algorithm.minibatches", self.minibatches, 1)
            if self.kl_controller is not None and self.kl.weight == 0.0:
                raise ValueError(
                    "algorithm.kl_controller scales kl.weight, which is 0: set algorithm.kl.weight above 0."
                )

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> ActorCritic:
            return ActorCritic(
                "PPO",
                self,
                policy,
                sampling,
                micro_tokens,
                seed,
                estimate=self._estimate,
                loss=partial(token_objective, low=self.clip, high=self.clip, dual=self.dual_clip),
                epochs=self.epochs,
                minibatches=self.minibatches,
                kl_controller=self.kl_controller,
            )

        def _estimate(self, batch: Batch, rewards_BT: Tensor, value_BT: Tensor, logprobs_BT: Tensor) -> Estimate:
            """GAE; the critic's target R = A + V uses the advantages before whitening."""
            delta_BT = td_errors(rewards_BT, value_BT, batch.next_BT, batch.action_BT, self.discount)
            advantage_BT = gae(delta_BT, batch.next_BT, self.discount, self.trace)
            kept: Metrics = {"policy/kl_weight": Last(self.kl.weight)} if self.kl_controller is None else {}
            return Estimate(whitened(advantage_BT, scored_actions(batch)), value_BT + advantage_BT, kept)
