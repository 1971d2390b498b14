"""IPO: identity preference optimisation, which stops at a finite margin where DPO runs away.

Azar et al. 2023 (2310.12036) eq. 17, with d = (log pi - log ref)(w) - (log pi - log ref)(l), summed over the answers:

    loss = (d - 1 / (2 tau))^2

Over all labelled pairs of two answers of a distribution mu it is smallest at pi = ref * exp(p(y beats mu) / tau) / Z:
the probability of winning stands where DPO has a reward, so a label that is certain needs no infinite margin.

Differs from common code: the paper sums log-probs over the answer, and so does this file. TRL divides each log-ratio by
the answer's length (the authors agreed to it later), so that the same tau asks for a margin L times as large: to come
near it on answers of L tokens, take tau / L.
Degenerates: a single pair ends at d = 1 / (2 tau), whatever the label's certainty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from strop.functional.bounds import check_positive
from strop.learners.preference import PairScorer, Side
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Metrics, Policy, Sampling, State, Update, check_fields


def ipo_loss(chosen_ratio_P: Tensor, rejected_ratio_P: Tensor, tau: float) -> Tensor:
    """[P]: the squared distance of the log-ratios' difference from 1 / (2 tau)."""
    return (chosen_ratio_P - rejected_ratio_P - 1.0 / (2.0 * tau)).square()


class IPO:
    """One gradient step a draw of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        tau        weight of the KL to the start: the larger, the closer the policy stays
        """

        reads: ClassVar[str] = "preferences"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        tau: float = 0.1

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.tau", self.tau)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> IPO:
            return IPO(self, policy, micro_tokens)

    def __init__(self, config: IPO.Config, policy: Policy, micro_tokens: int) -> None:
        self.config = config
        self.scorer = PairScorer(policy, Sampling(), micro_tokens, "IPO", has_reference=True)
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        return Update(self.scorer.learn(self.optimizer, batch, self._loss))

    def compare(self, batch: Batch) -> Metrics:
        """How the policy as it stands compares these pairs."""
        return self.scorer.compare(batch, self._loss)

    def _loss(self, chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        return ipo_loss(chosen.ratio_P, rejected.ratio_P, self.config.tau), chosen.ratio_P - rejected.ratio_P

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
