"""V-trace: an actor-critic that learns from replayed episodes, which older policies drew.

Espeholt et al. 2018 (IMPALA, 1802.01561, eq. 1 and sec. 4.2). With rho = min(ratio_cap, pi / mu), c = min(trace_cap,
pi / mu), mu the distribution that acted (its log-probs stand in the episode):

    v_t = V_t + rho_t delta_t + discount * c_t (v_next - V_next),   delta_t = r_t + discount * V_next - V_t
    A_t = rho_t (r_t + discount * v_next - V_t)
    loss = mean over actions of  - A_t log pi(a_t | s_t) + critic.weight * (V_t - v_t)^2 / 2 - entropy H(pi(. | s_t))

rho, v and A carry no gradient. Without the ratio, replay pulls the policy and the critic towards the old
policies (the documents' actor-critic with replay is wrong there).

Differs from the paper: one learner, and AdamW in place of RMSprop; a half in front of the square.
Degenerates: on fresh episodes with caps at 1 it is A2C with n_step none. The fixed point of a capped V-trace is the
value of a policy between mu and pi, not of pi.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from strop.functional.aggregation import scored_actions, token_mean
from strop.functional.bounds import check_not_negative, check_share
from strop.functional.divergences import KL
from strop.functional.objectives import policy_gradient
from strop.functional.ratios import log_ratio
from strop.functional.values import vtrace
from strop.learners.actor_critic import ActorCritic, Critic, Opinions, critic_metrics
from strop.memory import Replay
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Mean, Metrics, Policy, Sampling, Source, State, Update, check_fields, merge_metrics

DATA = tuple(Source).index(Source.DATA)


class VTrace:
    """One gradient step a draw of replayed picks; needs a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        discount   what a reward counts for one decision earlier; 1 counts all alike
        ratio_cap  most that a ratio counts for in the target (the paper's rho-bar)
        trace_cap  most that a ratio counts for in what is passed back (the paper's c-bar)
        critic     how values are learnt: weight, value clip, and whether by a network of their own
        entropy    weight of the distribution's entropy, which is taken off the loss
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Replay.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=7e-4, max_grad_norm=0.5))
        discount: float = 1.0
        ratio_cap: float = 1.0
        trace_cap: float = 1.0
        critic: Critic = field(default_factory=Critic)
        entropy: float = 0.01

        def __post_init__(self) -> None:
            check_fields(self)
            check_share("algorithm.discount", self.discount)
            if not 0.0 < self.trace_cap <= self.ratio_cap:
                raise ValueError(
                    f"algorithm.trace_cap={self.trace_cap}, ratio_cap={self.ratio_cap}: V-trace converges where "
                    "0 < trace_cap <= ratio_cap."
                )
            check_not_negative("algorithm.entropy", self.entropy)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> VTrace:
            return VTrace(self, policy, sampling, micro_tokens)

    def __init__(self, config: VTrace.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.actor_critic = ActorCritic(policy, sampling, KL(), micro_tokens, config.critic, "V-trace")
        self.optimizer = config.optimizer.build(self.actor_critic.parameters())
        self.num_updates = 0

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        config, scorer = self.config, self.actor_critic.scorer
        acted_BT = scorer.reference_logprobs(batch)  # without a KL: the log-probs of the distribution that acted
        ratio_BT = log_ratio(scorer.whole(batch), acted_BT, scored_actions(batch)).exp()
        value_BT = self.actor_critic.values(batch)
        target_BT, advantage_BT = vtrace(
            batch.rewards_BT,
            value_BT,
            batch.next_BT,
            ratio_BT,
            batch.action_BT,
            config.discount,
            config.ratio_cap,
            config.trace_cap,
        )
        no_ratio_BT = torch.zeros_like(value_BT)  # it stands in the advantage
        opinions = Opinions(advantage_BT, token_mean(batch), no_ratio_BT, value_BT, target_BT)
        # Only the very first draw is sure to come from the weights of now, and only if it was played here.
        is_own = self.num_updates == 0 and not bool((batch.source_E == DATA).any())
        terms = self.actor_critic.terms(batch, opinions, policy_gradient, config.entropy, is_own)
        metrics = [critic_metrics(batch, opinions), _ratio_metrics(batch, ratio_BT, config.ratio_cap)]
        metrics.append(self.optimizer.step(batch, terms))
        self.num_updates += 1
        return Update(merge_metrics(metrics), per_token={"advantage": advantage_BT, "value": value_BT})

    def state_dict(self) -> State:
        own = {"optimizer": self.optimizer.state_dict(), "num_updates": self.num_updates}
        return own | self.actor_critic.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_updates = state["num_updates"]
        self.actor_critic.load_state_dict(state)


def _ratio_metrics(batch: Batch, ratio_BT: Tensor, cap: float) -> Metrics:
    """How far the replayed distribution lies from the policy: the mean ratio, and the share that the cap cuts."""
    ratio_N = ratio_BT[scored_actions(batch)]
    return {
        "policy/ratio": Mean(ratio_N.sum().item(), len(ratio_N)),
        "policy/ratio_capped": Mean(int((ratio_N > cap).sum()), len(ratio_N)),
    }
