"""Online DPO: DPO on pairs that the policy itself samples and a reward orders.

Guo et al. 2024 (2402.04792): sample answers to a prompt, let a judge order them, and take one DPO step on them,

    loss = -log sigmoid(beta * [(log pi(w) - log ref(w)) - (log pi(l) - log ref(l))])

where the better-paid answer is chosen. The pairs come from the policy as it is now, so they do not run out as those of
a fixed data set do. Ties make no pair: a judge that cannot tell teaches nothing.

Differs from the paper: all strictly ordered pairs of a group of `group_size` answers count (the paper samples two).
The log-probs are those of the distribution that was sampled from, temperature included, for the policy and the
reference alike.
Degenerates: a group whose returns are all equal gives exactly 0; only the order of rewards counts, not their size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from strop.functional.bounds import check_positive
from strop.functional.preferences import smoothed_sigmoid_loss
from strop.learners.policy_gradient import require_on_policy
from strop.learners.preference import PairScorer, Side
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Extras, Policy, Sampling, State, Update, check_fields


class OnlineDPO:
    """One gradient step a batch of groups."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        beta       weight of the KL to the start: the larger, the closer the policy stays
        """

        reads: ClassVar[str] = "tasks"
        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=5e-7))
        beta: float = 0.1

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.beta", self.beta)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> OnlineDPO:
            return OnlineDPO(self, policy, sampling, micro_tokens)

    def __init__(self, config: OnlineDPO.Config, policy: Policy, sampling: Sampling, micro_tokens: int) -> None:
        self.config = config
        self.scorer = PairScorer(policy, sampling, micro_tokens, "online DPO", has_reference=True)
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        require_on_policy(batch, "online DPO")
        return Update(self.scorer.learn(self.optimizer, batch, self._loss))

    def _loss(self, chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit_P = self.config.beta * (chosen.ratio_P - rejected.ratio_P)
        return smoothed_sigmoid_loss(logit_P), logit_P

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
