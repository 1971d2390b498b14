"""SFT: supervised fine-tuning, the maximum-likelihood start of everything else.

    loss = - sum_it log pi(y_it) / (number of completion tokens of the whole batch)

The end-of-text token that the codec appends is a target like any other, so the model learns to stop; prompt tokens
are not. Log-probs are taken at temperature 1 whatever the run samples with.

Differs from common code: the denominator counts the tokens of the whole batch before it is split, so gradient
accumulation changes nothing (no mean of means).
Degenerates: on data that the model samples itself it is rejection sampling without rejection: a mean gradient near 0,
exactly 0 where all answers are equally long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from strop.functional.aggregation import scored_actions, token_mean
from strop.functional.distributions import PLAIN
from strop.learners.policy_gradient import score
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import Batch, Mean, Metrics, Policy, Sampling, State, Update, check_fields


def sft_loss(logprobs_BT: Tensor, weight_BT: Tensor) -> Tensor:
    """-sum w log pi under the weights of `token_mean`."""
    return -(weight_BT * logprobs_BT).sum()


class SFT:
    """One gradient step a draw of demonstrations."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config:
        """Its fields.

        optimizer  AdamW or SGD, with the learning rate
        """

        reads: ClassVar[str] = "demonstrations"
        memory: ClassVar[type] = Dataset.Config
        optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=2e-5))

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int) -> SFT:
            return SFT(self, policy, micro_tokens)

    def __init__(self, config: SFT.Config, policy: Policy, micro_tokens: int) -> None:
        self.config, self.policy, self.micro_tokens = config, policy, micro_tokens
        self.optimizer = config.optimizer.build(policy.parameters())

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        return Update(self.optimizer.step(batch, self._terms(batch)))

    def _terms(self, batch: Batch) -> Iterator[tuple[Tensor, Metrics]]:
        for micro, weight_BT in batch.split(self.micro_tokens, "row", token_mean(batch)):
            scores = score(self.policy, micro, PLAIN)
            mask_BT = scored_actions(micro)
            num_tokens = int(mask_BT.sum())
            nll = -scores["logprobs"].detach().double()[mask_BT].sum().item()
            entropy = scores["entropy"].double()[mask_BT].sum().item()
            loss = sft_loss(scores["logprobs"], weight_BT.to(scores["logprobs"].dtype))
            yield loss, {"policy/nll": Mean(nll, num_tokens), "policy/entropy": Mean(entropy, num_tokens)}

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
