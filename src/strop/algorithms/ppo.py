"""PPO: proximal policy optimisation with a critic.

Schulman et al. 2017 (1707.06347, eq. 7 and 9) on advantages of 1506.02438 (eq. 16); for language models Ziegler et al.
2019 (1909.08593), Ouyang et al. 2022. Per action, averaged over the actions of a mini-batch:

    max(-rho A, -clip(rho, 1 - clip, 1 + clip) A) + critic.weight * value loss - entropy H(pi(. | s))
    value loss = (V - R)^2 / 2, or with `critic.clip` the larger of it and that of V held near its old value
    A_t = delta_t + discount * trace * A_next,   delta_t = r_t - kl.weight * KL_t + discount * V(next) - V(t)
    R_t = A_t + V(t), before the advantages are whitened

rho = pi / pi_old; pi_old are the learner's own log-probs when the batch came in. `dual_clip` is the most that rho
counts for where A < 0 (Ye et al. 2019, 1912.09729, eq. 3).

Differs from the paper: no value clip by default; the advantages of the batch are whitened, not of each mini-batch; a
TRUNCATED episode bootstraps V of what would have followed, where common code takes it for an end. The half of the value
loss stands inside it: critic.weight 1 is the paper's c1 = 0.5.
Degenerates: epochs 1, minibatches 1: rho is 1, nothing clips, and it is A2C with whitened advantages. With trace 1 the
critic is a baseline only; with trace 0 its errors are the gradient's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.advantages import whitened
from strop.functional.aggregation import scored_actions, token_mean
from strop.functional.bounds import check_at_least, check_not_negative, check_share
from strop.functional.corrections import Correction
from strop.functional.divergences import KL, KLController
from strop.functional.objectives import token_objective
from strop.functional.ratios import check_clip
from strop.functional.values import gae, td_errors
from strop.learners.actor_critic import ActorCritic, Critic, Opinions, critic_metrics
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.streams import stream
from strop.types import Batch, Last, Metrics, Policy, Sampling, State, Update, check_fields, merge_metrics


class PPO:
    """`epochs` passes over each batch in `minibatches` parts; needs a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields. An epoch is a pass in `minibatches` steps.

        optimizer      AdamW or SGD, with the learning rate
        kl             the pull towards the policy at the start: weight, placement and estimator
        kl_controller  steers kl.weight towards a KL; none keeps the weight
        clip           a token's ratio counts within 1 - clip and 1 + clip
        dual_clip      the most that a ratio counts for where A < 0; none sets no bound
        critic         how values are learnt: weight, value clip, and whether by a network of their own
        entropy        weight of the distribution's entropy, which is taken off the loss
        discount       what a reward counts for one decision earlier; 1 counts all alike
        trace          GAE's lambda: 0 trusts the critic, 1 the returns
        epochs         passes over the same batch
        minibatches    optimiser steps in a pass
        correction     how samples of another policy are weighed; none trusts them; it weighs the critic's loss too
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=3e-6))
        kl: KL = field(default_factory=lambda: KL(weight=0.05))
        kl_controller: KLController | None = None
        clip: float = 0.2
        dual_clip: float | None = None
        critic: Critic = field(default_factory=lambda: Critic(weight=0.1))
        entropy: float = 0.0
        discount: float = 1.0
        trace: float = 0.95
        epochs: int = 4
        minibatches: int = 1
        correction: Correction | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_clip(self.clip, self.clip, self.dual_clip)
            check_not_negative("algorithm.entropy", self.entropy)
            check_share("algorithm.discount", self.discount)
            check_share("algorithm.trace", self.trace)
            check_at_least("algorithm.epochs", self.epochs, 1)
            check_at_least("algorithm.minibatches", self.minibatches, 1)
            if self.kl_controller is not None and self.kl.weight == 0.0:
                raise ValueError(
                    "algorithm.kl_controller scales kl.weight, which is 0: set algorithm.kl.weight above 0."
                )

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> PPO:
            return PPO(self, policy, sampling, micro_tokens)

    def __init__(self, config: PPO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.actor_critic = ActorCritic(
            policy, sampling, config.kl, micro_tokens, config.critic, "PPO", config.correction
        )
        self.optimizer = config.optimizer.build(self.actor_critic.parameters())
        self.loss = partial(token_objective, low=config.clip, high=config.clip, dual=config.dual_clip)
        self.kl_weight = config.kl.weight
        self.num_updates = 0

    def update(self, batch: Batch) -> Update:
        """The optimiser steps of one batch; raises NonFinite before a step whose loss or gradient is not finite."""
        scorer = self.actor_critic.scorer
        self.actor_critic.use_kl_weight(self.kl_weight)
        reference_BT = scorer.reference_logprobs(batch)
        opinions, corrected = self._opinions(batch, batch.rewards_BT - scorer.kl_reward(batch, reference_BT))
        kl = scorer.kl_metrics(batch, reference_BT)
        weight: Metrics = {"policy/kl_weight": Last(self.kl_weight)}
        metrics = [kl, corrected, critic_metrics(batch, opinions), weight]
        for i, rows in enumerate(self._minibatches(batch)):
            metrics.append(self._step(batch, opinions, rows, has_acted=i == 0))
        if self.config.kl_controller is not None:
            self.kl_weight = self.config.kl_controller.after(
                self.kl_weight, kl["policy/kl"].value, int((batch.weight_E > 0).sum())
            )
        self.num_updates += 1
        opinion = {"advantage": opinions.advantage_BT, "value": opinions.value_BT}
        return Update(merge_metrics(metrics), per_token=opinion)

    def _opinions(self, batch: Batch, rewards_BT: Tensor) -> tuple[Opinions, Metrics]:
        """Of the whole batch, and what is worth logging of its correction, whose factors are the weights."""
        config, scorer = self.config, self.actor_critic.scorer
        value_BT = self.actor_critic.values(batch)
        delta_BT = td_errors(rewards_BT, value_BT, batch.next_BT, batch.action_BT, config.discount)
        advantage_BT = gae(delta_BT, batch.next_BT, config.discount, config.trace)
        target_BT = value_BT + advantage_BT  # before whitening: the critic learns returns, not their ranks
        advantage_BT = whitened(advantage_BT, scored_actions(batch))
        old_BT = scorer.whole(batch)
        factor_BT, corrected = scorer.correct(batch, old_BT)
        return Opinions(advantage_BT, factor_BT, old_BT, value_BT, target_BT), corrected

    def _minibatches(self, batch: Batch) -> Iterator[list[int]]:
        """Row numbers of each optimiser step: whole episodes, dealt out anew in each epoch."""
        owner_B = batch.episode_B.tolist()
        num_episodes, parts = len(batch.group_E), self.config.minibatches
        for epoch in range(self.config.epochs):
            dice = stream(0, "minibatches", self.num_updates, epoch)
            part_E = (dice.permutation(num_episodes) % parts).tolist() if parts > 1 else [0] * num_episodes
            for part in range(parts):
                rows = [b for b, e in enumerate(owner_B) if part_E[e] == part]
                if rows:
                    yield rows

    def _step(self, batch: Batch, opinions: Opinions, rows: list[int], has_acted: bool) -> Metrics:
        config, some, own = self.config, batch.rows(rows), opinions.rows(rows)
        if not bool(scored_actions(some).any()):
            return {}
        own = replace(own, weight_BT=token_mean(some) * own.weight_BT)
        terms = self.actor_critic.terms(some, own, self.loss, config.entropy, has_acted)
        return self.optimizer.step(batch, terms)

    def state_dict(self) -> State:
        own = {"kl_weight": self.kl_weight, "num_updates": self.num_updates}
        return {"optimizer": self.optimizer.state_dict(), **own, **self.actor_critic.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.kl_weight, self.num_updates = state["kl_weight"], state["num_updates"]
        self.actor_critic.load_state_dict(state)
