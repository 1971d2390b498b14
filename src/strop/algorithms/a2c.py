"""A2C: advantage actor-critic, one step a batch.

Mnih et al. 2016 (1602.01783, algorithm S3, synchronous):

    A_t = r_t + discount * r_{t+1} + .. + discount^n V(s_{t+n}) - V(s_t)
    loss = mean over actions of  - A_t log pi(a_t | s_t) + critic.weight * (V(s_t) - R_t)^2 / 2 - entropy H(pi(. | s_t))

with R_t = A_t + V(s_t), and A and R without gradient. A terminated episode is worth 0 past its end; a TRUNCATED one
bootstraps from the state that would have followed. `n_step` none looks to the end of the episode.

Differs from the paper: the episodes of a step are whole (the paper cuts every n steps, which bounds how far A looks by
where the cut falls); AdamW in place of RMSprop; a half in front of the square, so critic.weight 1 is the paper's 0.5.
Degenerates: with V = 0 and n_step none it is REINFORCE without a baseline, divided by the mean length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from strop.functional.aggregation import token_mean
from strop.functional.bounds import check_at_least, check_not_negative, check_share
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.objectives import policy_gradient
from strop.functional.returns import returns_to_go
from strop.functional.values import n_step_advantage, td_errors
from strop.learners.actor_critic import ActorCritic, Critic, Opinions, critic_metrics
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Policy, Sampling, State, Update, check_fields, merge_metrics


class A2C:
    """One gradient step a batch on n-step advantages; needs a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer   AdamW or SGD, with the learning rate
        kl          the pull towards the policy at the start: weight, placement and estimator
        discount    what a reward counts for one decision earlier; 1 counts all alike
        n_step      actions until a target reads the critic; none looks to the end of the episode
        critic      how values are learnt: weight, value clip, and whether by a network of their own
        entropy     weight of the distribution's entropy, which is taken off the loss
        correction  how samples of another policy are weighed; none trusts them; it weighs the critic's loss too
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=7e-4, max_grad_norm=0.5))
        kl: KL = field(default_factory=KL)
        discount: float = 1.0
        n_step: int | None = 5
        critic: Critic = field(default_factory=Critic)
        entropy: float = 0.01
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_share("algorithm.discount", self.discount)
            check_at_least("algorithm.n_step", self.n_step, 1, none="looks to the end")
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> A2C:
            return A2C(self, policy, sampling, micro_tokens)

    def __init__(self, config: A2C.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.actor_critic = ActorCritic(
            policy, sampling, config.kl, micro_tokens, config.critic, "A2C", config.correction
        )
        self.optimizer = config.optimizer.build(self.actor_critic.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        config, scorer = self.config, self.actor_critic.scorer
        reference_BT = scorer.reference_logprobs(batch)
        rewards_BT = batch.rewards_BT - scorer.kl_reward(batch, reference_BT)
        value_BT = self.actor_critic.values(batch)
        delta_BT = td_errors(rewards_BT, value_BT, batch.next_BT, batch.action_BT, config.discount)
        if config.n_step is None:
            advantage_BT = returns_to_go(delta_BT, batch.next_BT, config.discount)
        else:
            advantage_BT = n_step_advantage(delta_BT, batch.next_BT, config.discount, config.n_step)
        # the loss takes no ratio: without a correction nobody reads the old log-probs
        old_BT = torch.zeros_like(value_BT) if config.correction is None else scorer.whole(batch)
        factor_BT, corrected = scorer.correct(batch, old_BT)
        opinions = Opinions(
            advantage_BT=advantage_BT,
            weight_BT=token_mean(batch) * factor_BT,
            old_BT=old_BT,
            value_BT=value_BT,
            target_BT=value_BT + advantage_BT,
        )
        terms = self.actor_critic.terms(batch, opinions, policy_gradient, config.entropy, True)
        metrics = [scorer.kl_metrics(batch, reference_BT), corrected, critic_metrics(batch, opinions)]
        metrics.append(self.optimizer.step(batch, terms))
        return Update(merge_metrics(metrics), per_token={"advantage": advantage_BT, "value": value_BT})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict(), **self.actor_critic.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.actor_critic.load_state_dict(state)
