"""ORPO: supervised fine-tuning that also pushes the rejected answer's odds down, without a reference.

Hong, Lee & Thorne 2024 (2403.07691) eq. 3-7, where p(y) = exp of the MEAN log-prob a token of the answer:

    odds(y) = p(y) / (1 - p(y))
    loss    = -log p(w) - weight * log sigmoid(log odds(w) - log odds(l))

Differs from the paper: nothing. (Common code averages the first term over all tokens of a micro-batch; here each
chosen answer counts once, as eq. 6 says, so that accumulation changes nothing.) log(1 - p) is computed without loss of
digits, and a p that rounds to 1 is taken as the largest number below it.
Degenerates: `weight` 0 is SFT on the chosen answers, each counted once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_not_negative
from strop.functional.preferences import log_odds
from strop.learners.preference import PairScorer, Side
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Metrics, Policy, Sampling, State, Update, check_fields


def orpo_loss(chosen_mean_P: Tensor, rejected_mean_P: Tensor, weight: float) -> Tensor:
    """[P]: of both answers' mean log-probs a token."""
    return -chosen_mean_P - weight * logsigmoid(log_odds(chosen_mean_P) - log_odds(rejected_mean_P))


class ORPO:
    """One gradient step a draw of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        weight     multiplies the odds-ratio term (the paper's lambda)
        """

        reads: ClassVar[str] = "preferences"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=8e-6))
        weight: float = 0.1

        def __post_init__(self) -> None:
            check_fields(self)
            check_not_negative("algorithm.weight", self.weight, hint="0 is SFT")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> ORPO:
            return ORPO(self, policy, micro_tokens)

    def __init__(self, config: ORPO.Config, policy: Policy, micro_tokens: int) -> None:
        self.config = config
        self.scorer = PairScorer(policy, Sampling(), micro_tokens, "ORPO", has_reference=False)
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        return Update(self.scorer.learn(self.optimizer, batch, self._loss))

    def compare(self, batch: Batch) -> Metrics:
        """How the policy as it stands compares these pairs."""
        return self.scorer.compare(batch, self._loss)

    def _loss(self, chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        logit_P = log_odds(chosen.mean_P) - log_odds(rejected.mean_P)
        return orpo_loss(chosen.mean_P, rejected.mean_P, self.config.weight), logit_P

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
