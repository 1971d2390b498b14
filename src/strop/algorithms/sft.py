"""SFT: supervised fine-tuning, maximum likelihood on demonstrations.

    loss = - sum_it log pi(y_it) / (number of completion tokens of the whole batch)

The end-of-text token that the codec appends is a target too, so the model learns to stop; with end=false none is
appended, for answers that are one choice or decision and end by themselves. Prompt tokens are not targets. Log-probs
are those of temperature 1, whatever the run samples with.

Differs from common code: the denominator counts the tokens of the whole batch before it is split, so gradient
accumulation changes nothing (no mean of means).
Degenerates: on the model's own samples the expected gradient is about 0, and exactly 0 where all answers have the same
length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from strop.functional.aggregation import scored_actions, token_mean
from strop.functional.distributions import PLAIN
from strop.learners.logprobs import read_actions
from strop.learners.supervised import Supervised
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import AlgorithmConfig, Batch, Mean, Policy, Sampling, Term, check_fields


def sft_loss(logprobs_BT: Tensor, weight_BT: Tensor) -> Tensor:
    """-sum w log pi under the weights of `token_mean`."""
    return -(weight_BT * logprobs_BT).sum()


class SFT:
    """One gradient step per batch of demonstrations."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """Options of SFT.

        optimizer  AdamW or SGD, with the learning rate
        end        appends the token that ends a text to every given answer, as a target; false for answers that are one
                   choice or decision
        """

        reads: ClassVar[str] = "demonstrations"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=2e-5))
        end: bool = True

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Supervised:
            return Supervised(self.optimizer, policy, micro_tokens, _terms)


def _terms(policy: Policy, batch: Batch, micro_tokens: int) -> Iterator[Term]:
    """The loss of each micro-batch, and the negative log-likelihood and the entropy a token."""
    for micro, _, weight_bt in batch.split(micro_tokens, "row", token_mean(batch)):
        read = read_actions(policy, micro, PLAIN)
        mask_bt = scored_actions(micro)
        num_tokens = int(mask_bt.sum())
        nll = -read["logprobs"].detach().double()[mask_bt].sum().item()
        entropy = read["entropy"].double()[mask_bt].sum().item()
        loss = sft_loss(read["logprobs"], weight_bt.to(read["logprobs"].dtype))
        yield Term(loss, {"policy/nll": Mean(nll, num_tokens), "policy/entropy": Mean(entropy, num_tokens)})
