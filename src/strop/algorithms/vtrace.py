"""V-trace: an actor-critic that learns from replayed episodes of older policies.

Espeholt et al. 2018 (IMPALA, 1802.01561, eq. 1 and sec. 4.2). With rho = min(ratio_cap, pi / mu), c = min(trace_cap, pi
/ mu), mu the acting policy (its log-probs are recorded in the episode):

    v_t = V_t + rho_t delta_t + discount * c_t (v_next - V_next),   delta_t = r_t + discount * V_next - V_t
    A_t = rho_t (r_t + discount * v_next - V_t)
    loss = mean over actions of  - A_t log pi(a_t | s_t) + critic.weight * (V_t - v_t)^2 / 2 - entropy H(pi(. | s_t))

rho, v and A carry no gradient. Without the ratio, replay pulls the policy and the critic towards the old policies.

Differs from the paper: one learner, and AdamW in place of RMSprop; a factor 1/2 before the square.
Degenerates: on fresh episodes with caps at 1 it is A2C with n_step none. The fixed point of a capped V-trace is the
value of a policy between mu and pi, not of pi.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.aggregation import scored_actions
from strop.functional.bounds import check_not_negative, check_share
from strop.functional.corrections import off_policy_log_ratio
from strop.functional.objectives import policy_gradient
from strop.functional.values import vtrace
from strop.learners.actor_critic import BOTH, ActorCritic, ActorCriticConfig, Critic, Estimate
from strop.memory import Replay
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Mean, Metrics, Policy, Sampling, Want, check_fields


def vtrace_estimate(
    batch: Batch,
    rewards_BT: Tensor,
    value_BT: Tensor,
    logprobs_BT: Tensor,
    discount: float,
    ratio_cap: float,
    trace_cap: float,
) -> Estimate:
    """V-trace's value targets and advantages; the ratio is already in them."""
    ratio_BT = off_policy_log_ratio(batch, logprobs_BT).exp()
    target_BT, advantage_BT = vtrace(
        rewards_BT, value_BT, batch.next_BT, ratio_BT, batch.action_BT, discount, ratio_cap, trace_cap
    )
    return Estimate(advantage_BT, target_BT, _ratio_metrics(batch, ratio_BT, ratio_cap))


class VTrace:
    """One gradient step per batch of replayed picks; needs a policy with a value head."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of VTrace.

        optimizer  AdamW or SGD, with the learning rate
        discount   discount factor per decision; 1 is undiscounted
        ratio_cap  upper bound of the ratio in the temporal-difference error (the paper's rho-bar)
        trace_cap  upper bound of the ratio in the trace to earlier decisions (the paper's c-bar)
        critic     the critic: weight of its loss, value clip, and whether it is a network of its own
        entropy    weight of the entropy bonus
        """

        memory: ClassVar[type] = Replay.Config
        heads: ClassVar[frozenset[Want]] = BOTH
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

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> ActorCritic:
            return ActorCritic(
                "V-trace",
                ActorCriticConfig(optimizer=self.optimizer, critic=self.critic, entropy=self.entropy),
                policy,
                sampling,
                micro_tokens,
                seed,
                estimate=partial(
                    vtrace_estimate, discount=self.discount, ratio_cap=self.ratio_cap, trace_cap=self.trace_cap
                ),
                loss=policy_gradient,
                replays=True,
            )


def _ratio_metrics(batch: Batch, ratio_BT: Tensor, cap: float) -> Metrics:
    """How off-policy the batch is: the mean ratio, and the share of ratios above the cap."""
    ratio_N = ratio_BT[scored_actions(batch)]
    return {
        "policy/ratio": Mean(ratio_N.sum().item(), len(ratio_N)),
        "policy/ratio_capped": Mean(int((ratio_N > cap).sum()), len(ratio_N)),
    }
