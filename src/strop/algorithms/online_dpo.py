"""Online DPO: DPO on pairs that the policy itself samples and a reward orders.

Guo et al. 2024 (2402.04792): sample answers to a prompt, let a judge order them, and take one DPO step on them,

    loss = -log sigmoid(beta * [(log pi(w) - log ref(w)) - (log pi(l) - log ref(l))])

where the answer with the larger reward is chosen. The pairs come from the current policy, so new ones keep coming, as
they do not from a fixed data set. Ties make no pair.

Differs from the paper: all strictly ordered pairs of a group of `group_size` answers count (the paper samples two). The
log-probs are those of the sampling distribution, temperature included, for the policy and the reference alike.
Degenerates: a group whose returns are all equal gives exactly 0; only the order of rewards counts, not their size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from torch import Tensor

from strop.functional.bounds import check_positive
from strop.functional.distributions import require_full_support
from strop.functional.preferences import smoothed_sigmoid_loss
from strop.learners.logprobs import require_on_policy
from strop.learners.preference import Answers, LogprobLoss, Preference
from strop.memory import Fresh
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Extras, Policy, Sampling, State, Update, check_fields


def online_dpo_loss(chosen: Answers, rejected: Answers, beta: float) -> tuple[Tensor, Tensor]:
    """DPO's loss, and its logit [P]."""
    logit_P = beta * (chosen.ratio_P - rejected.ratio_P)
    return smoothed_sigmoid_loss(logit_P), logit_P


class OnlineDPO:
    """One gradient step per batch of groups; answers that the policy did not sample are refused."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of OnlineDPO.

        optimizer  AdamW or SGD, with the learning rate
        beta       weight of the KL to the policy at the start: larger keeps it closer
        """

        memory: ClassVar[type] = Fresh.Config
        extras: ClassVar[Extras] = Extras(least=2)
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=5e-7))
        beta: float = 0.1

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.beta", self.beta)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> OnlineDPO:
            require_full_support(sampling, "online DPO")
            loss = LogprobLoss(partial(online_dpo_loss, beta=self.beta), policy.reference(), sampling)
            return OnlineDPO(Preference("online DPO", self.optimizer, policy, micro_tokens, loss))

    def __init__(self, pairs: Preference) -> None:
        self.pairs = pairs

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        require_on_policy(batch, "online DPO")
        return self.pairs.update(batch)

    def state_dict(self) -> State:
        return self.pairs.state_dict()

    def load_state_dict(self, state: State) -> None:
        self.pairs.load_state_dict(state)
