"""SimPO: preferences by the mean log-prob a token, the very number that decoding ranks by, without a reference.

Meng, Xia & Chen 2024 (2405.14734) eq. 6, with |y| the answer's tokens:

    loss = -log sigmoid(beta * [log pi(w) / |w| - log pi(l) / |l|] - gamma)

gamma is the margin asked for, AFTER beta (some code writes gamma / beta inside the bracket: the paper's recipes give
that ratio, .3 to .6; here it is beta * ratio, 1.0 for 2.0 * .5).

Differs from the paper: nothing.
Degenerates: without a reference nothing holds the policy back, so it forgets what the pairs do not show: few epochs
and a small rate. Equal lengths and gamma 0 make it DPO with a uniform reference and beta / |y|.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_not_negative, check_positive
from strop.learners.preference import PairScorer, Side
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Metrics, Policy, Sampling, State, Update, check_fields


def simpo_loss(chosen_mean_P: Tensor, rejected_mean_P: Tensor, beta: float, gamma: float) -> Tensor:
    """[P]: of both answers' mean log-probs a token."""
    return -logsigmoid(beta * (chosen_mean_P - rejected_mean_P) - gamma)


class SimPO:
    """One gradient step a draw of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        beta       scales the difference of mean log-probs
        gamma      the margin that is asked for
        """

        reads: ClassVar[str] = "preferences"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))
        beta: float = 2.0
        gamma: float = 1.0

        def __post_init__(self) -> None:
            check_fields(self)
            check_positive("algorithm.beta", self.beta)
            check_not_negative("algorithm.gamma", self.gamma)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> SimPO:
            return SimPO(self, policy, micro_tokens)

    def __init__(self, config: SimPO.Config, policy: Policy, micro_tokens: int) -> None:
        self.config = config
        self.scorer = PairScorer(policy, Sampling(), micro_tokens, "SimPO", has_reference=False)
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        return Update(self.scorer.learn(self.optimizer, batch, self._loss))

    def compare(self, batch: Batch) -> Metrics:
        """How the policy as it stands compares these pairs."""
        return self.scorer.compare(batch, self._loss)

    def _loss(self, chosen: Side, rejected: Side) -> tuple[Tensor, Tensor]:
        loss_P = simpo_loss(chosen.mean_P, rejected.mean_P, self.config.beta, self.config.gamma)
        return loss_P, self.config.beta * (chosen.mean_P - rejected.mean_P)

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
