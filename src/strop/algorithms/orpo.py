"""ORPO: supervised fine-tuning that also pushes the rejected answer's odds down, without a reference.

Hong, Lee & Thorne 2024 (2403.07691) eq. 3-7, where p(y) = exp of the MEAN log-prob a token of the answer:

    odds(y) = p(y) / (1 - p(y))
    loss    = -log p(w) - weight * log sigmoid(log odds(w) - log odds(l))

Differs from the paper: nothing. (Common code averages the first term over all tokens of a micro-batch; here each chosen
answer counts once, as eq. 6 says, so that accumulation changes nothing.) log(1 - p) is computed without loss of digits,
and a p that rounds to 1 counts as the largest number below 1.
Degenerates: `weight` 0 is SFT on the chosen answers, each counted once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from torch import Tensor
from torch.nn.functional import logsigmoid

from strop.functional.bounds import check_not_negative
from strop.functional.preferences import log_odds
from strop.learners.preference import Answers, LogprobLoss, Preference, PreferenceConfig
from strop.optimizer import SGD, AdamW
from strop.types import Policy, Sampling


def orpo_loss(chosen: Answers, rejected: Answers, weight: float) -> tuple[Tensor, Tensor]:
    """The loss, and the log of the odds ratio [P]."""
    logit_P = log_odds(chosen.mean_P) - log_odds(rejected.mean_P)
    return -chosen.mean_P - weight * logsigmoid(logit_P), logit_P


class ORPO:
    """One gradient step per batch of pairs."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(PreferenceConfig):
        """Options of ORPO.

        weight  multiplies the odds-ratio term (the paper's lambda)
        """

        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=8e-6))
        weight: float = 0.1

        def __post_init__(self) -> None:
            PreferenceConfig.__post_init__(self)
            check_not_negative("algorithm.weight", self.weight, hint="0 is SFT")

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Preference:
            loss = LogprobLoss(partial(orpo_loss, weight=self.weight))
            return Preference("ORPO", self.optimizer, policy, micro_tokens, loss)
