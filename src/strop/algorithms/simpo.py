"""SimPO: preference optimisation of the mean log-prob per token, without a reference.

Meng, Xia & Chen 2024 (2405.14734) eq. 6, with |y| the answer's tokens:

    loss = -log sigmoid(beta * [log pi(w) / |w| - log pi(l) / |l|] - gamma)

gamma is the required margin, AFTER beta (some code writes gamma / beta inside the bracket: the paper's recipes give
that ratio, .3 to .6; here it is beta * ratio, 1.0 for 2.0 * .5).

Differs from the paper: nothing.
Degenerates: without a reference nothing keeps the policy near its start, so it forgets what the pairs do not cover: use
few epochs and a small learning rate. Equal lengths and gamma 0 make it DPO with a uniform reference and beta / |y|.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_not_negative, check_positive
from strop.learners.preference import Answers, LogprobLoss, Preference, PreferenceConfig
from strop.types import Policy, Sampling


def simpo_loss(chosen: Answers, rejected: Answers, beta: float, gamma: float) -> tuple[Tensor, Tensor]:
    """The loss, and the logit before the margin is subtracted [P]."""
    logit_P = beta * (chosen.mean_P - rejected.mean_P)
    return -logsigmoid(logit_P - gamma), logit_P


class SimPO:
    """One gradient step per batch of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of SimPO.

        beta   scales the difference of mean log-probs
        gamma  required margin
        """

        beta: float = 2.0
        gamma: float = 1.0

        def __post_init__(self) -> None:
            PreferenceConfig.__post_init__(self)
            check_positive("algorithm.beta", self.beta)
            check_not_negative("algorithm.gamma", self.gamma)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Preference:
            loss = LogprobLoss(partial(simpo_loss, beta=self.beta, gamma=self.gamma))
            return Preference("SimPO", self.optimizer, policy, micro_tokens, loss)
