"""DPO: direct preference optimisation, reinforcement learning with a KL penalty as a classification of pairs.

Rafailov et al. 2023 (2305.18290) eq. 7, for a chosen answer w and a rejected one l to the same prompt:

    h    = beta * [(log pi(w) - log ref(w)) - (log pi(l) - log ref(l))]        log-probs summed over the answer
    loss = -log sigmoid(h)

beta * (log pi - log ref) is the reward that the policy stands for: where the labels follow a Bradley-Terry model of r,
the loss is smallest at pi* = ref * exp(r / beta) / Z, the optimum of r - beta * KL.

`smoothing` e is the share of labels believed to be flipped: -(1 - e) log sigmoid(h) - e log sigmoid(-h), conservative
DPO (Mitchell 2023), which stops at sigmoid(h) = 1 - e. Robust DPO is another formula, and a file of its own.

Differs from the paper: groups of more than two answers give all their strictly ordered pairs, and each prompt counts
once. Data is scored at temperature 1 whatever the run samples with.
Degenerates: labels that never contradict each other push h to infinity, and nothing but the rate stops it (IPO, or
smoothing); the loss sees the difference alone, so both log-probs may fall (watch preference/chosen_logprob).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from strop.functional.bounds import check_below, check_positive
from strop.functional.preferences import smoothed_sigmoid_loss
from strop.learners.preference import PairScorer, Side
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Metrics, Policy, Sampling, State, Update, check_fields


def dpo_loss(chosen_ratio_P: Tensor, rejected_ratio_P: Tensor, beta: float, smoothing: float = 0.0) -> Tensor:
    """[P]: -log sigmoid(beta * difference of log pi(y) - log ref(y))."""
    return smoothed_sigmoid_loss(beta * (chosen_ratio_P - rejected_ratio_P), smoothing)


class DPO:
    """One gradient step a draw of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        beta       weight of the KL to the start: the larger, the closer the policy stays
        smoothing  share of the labels that is believed to be flipped
        """

        reads: ClassVar[str] = "preferences"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        beta: float = 0.1
        smoothing: float = 0.0

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.beta", self.beta)
            check_below("algorithm.smoothing", self.smoothing, 0.5, hint="fewer than half of the labels are flipped")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> DPO:
            return DPO(self, policy, micro_tokens)

    def __init__(self, config: DPO.Config, policy: Policy, micro_tokens: int) -> None:
        self.config = config
        self.scorer = PairScorer(policy, Sampling(), micro_tokens, "DPO", has_reference=True)
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        return Update(self.scorer.learn(self.optimizer, batch, self._loss))

    def compare(self, batch: Batch) -> Metrics:
        """How the policy as it stands compares these pairs."""
        return self.scorer.compare(batch, self._loss)

    def _loss(self, chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        loss_P = dpo_loss(chosen.ratio_P, rejected.ratio_P, self.config.beta, self.config.smoothing)
        return loss_P, self.config.beta * (chosen.ratio_P - rejected.ratio_P)

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
