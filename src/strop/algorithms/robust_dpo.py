"""Robust DPO: DPO whose loss is unbiased though a known share of the labels is flipped.

Chowdhury, Kini & Natarajan 2024 (2403.00409), with h = beta * [(log pi - log ref)(w) - (log pi - log ref)(l)] of DPO:

    loss = [-(1 - flipped) log sigmoid(h) + flipped log sigmoid(-h)] / (1 - 2 flipped)

If each label is wrong with probability `flipped`, the expectation over labels is exactly DPO's loss on clean ones, so
the minimiser is the clean one. (Conservative DPO adds the second term instead of taking it off: it fits the noise.)

Differs from the paper: nothing; groups of more than two answers give all their strictly ordered pairs.
Degenerates: `flipped` 0 is DPO; near 1/2 the division makes the variance infinite. A single pair's loss has no lower
bound (h to plus infinity is paid for by the flipped pairs only on average), so a pair seen many times is pushed without
end: keep the epochs few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_below, check_positive
from strop.learners.preference import PairScorer, Side
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Metrics, Policy, Sampling, State, Update, check_fields


def robust_dpo_loss(logit_P: Tensor, flipped: float) -> Tensor:
    """[P]: the unbiased loss of the logit h."""
    return (-(1.0 - flipped) * logsigmoid(logit_P) + flipped * logsigmoid(-logit_P)) / (1.0 - 2.0 * flipped)


class RobustDPO:
    """One gradient step a draw of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        beta       weight of the KL to the start: the larger, the closer the policy stays
        flipped    probability that a label is wrong
        """

        reads: ClassVar[str] = "preferences"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        beta: float = 0.1
        flipped: float = 0.1

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.beta", self.beta)
            check_below("algorithm.flipped", self.flipped, 0.5, hint="fewer than half of the labels are flipped")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> RobustDPO:
            return RobustDPO(self, policy, micro_tokens)

    def __init__(self, config: RobustDPO.Config, policy: Policy, micro_tokens: int) -> None:
        self.config = config
        self.scorer = PairScorer(policy, Sampling(), micro_tokens, "robust DPO", has_reference=True)
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        return Update(self.scorer.learn(self.optimizer, batch, self._loss))

    def compare(self, batch: Batch) -> Metrics:
        """How the policy as it stands compares these pairs."""
        return self.scorer.compare(batch, self._loss)

    def _loss(self, chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit_P = self.config.beta * (chosen.ratio_P - rejected.ratio_P)
        return robust_dpo_loss(logit_P, self.config.flipped), logit_P

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
