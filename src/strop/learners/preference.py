"""The learner of the preference methods, from pairs of a chosen and a rejected answer: DPO and its kin, reward models.

A method is the loss of a pair: of the log-probs of both answers (`LogprobLoss`), or of their scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from strop.batch import collate
from strop.functional.aggregation import num_actions_E, sum_per_pick
from strop.functional.distributions import PLAIN
from strop.functional.preferences import Pairs, ordered_pairs, require_pairs
from strop.learners.logprobs import read_actions
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.types import (
    AlgorithmConfig,
    Batch,
    Comparer,
    Episode,
    Last,
    Mean,
    Metrics,
    Pick,
    Policy,
    Sampling,
    State,
    Term,
    Update,
    check_fields,
    merge_metrics,
)

PairLoss = Callable[[Policy, Batch, Pairs], tuple[Tensor, Metrics]]
"""(policy, micro-batch, its pairs) -> loss_P and metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceConfig(AlgorithmConfig):
    """Options of every method that learns from preference data.

    optimizer  AdamW or SGD, with the learning rate
    """

    reads: ClassVar[str] = "preferences"
    memory: ClassVar[type] = Dataset.Config
    optimizer: AdamW | SGD = field(default_factory=lambda: AdamW(lr=1e-6))

    def __post_init__(self) -> None:
        check_fields(self)


@final
class Preference:
    """One optimiser step per batch, on the mean over prompts of the mean over their strictly ordered pairs.

    `widen` adds the value slots that the loss needs to the whole batch, before it is split into micro-batches.
    """

    def __init__(
        self,
        name: str,
        optimizer: AdamW | SGD,
        policy: Policy,
        micro_tokens: int,
        loss: PairLoss,
        widen: Callable[[Batch], Batch] = lambda batch: batch,
    ) -> None:
        self.name, self.policy, self.micro_tokens = name, policy, micro_tokens
        self.loss, self.widen = loss, widen
        self.optimizer = optimizer.build(policy.parameters(), policy.lock)

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        pairs = ordered_pairs(batch)
        require_pairs(pairs, batch, self.name)
        update = self.optimizer.step(batch, self._terms(batch, pairs))
        return Update(update.metrics | {"preference/pairs": Last(len(pairs.weight_P))})

    @torch.no_grad()
    def compare(self, batch: Batch) -> Metrics:
        """The metrics of `update` on these pairs, without a step."""
        return merge_metrics(term.metrics for term in self._terms(batch, ordered_pairs(batch)))

    def _terms(self, batch: Batch, pairs: Pairs) -> Iterator[Term]:
        for micro, _ in self.widen(batch).split(self.micro_tokens, "group"):
            here = pairs.within(micro)
            loss_P, metrics = self.loss(self.policy, micro, here)
            yield Term((here.weight_P.to(loss_P.dtype) * loss_P).sum(), metrics)

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


@dataclass(frozen=True, slots=True)
class Answers:
    """One answer of each of P pairs: the log-prob of the whole answer, the reference's (0 without one), its length."""

    logprob_P: Tensor
    reference_P: Tensor
    length_P: Tensor

    @property
    def ratio_P(self) -> Tensor:
        """log pi(y) - log ref(y), summed over the answer."""
        return self.logprob_P - self.reference_P

    @property
    def mean_P(self) -> Tensor:
        """log pi(y) per token."""
        return self.logprob_P / self.length_P


@dataclass(frozen=True, slots=True)
class LogprobLoss:
    """A loss of the log-probs of both answers of a pair, under the distribution of `sampling`.

    `loss` maps (chosen, rejected) to loss_P and logit_P, which says how strongly the policy prefers the chosen answer
    (0: not at all). `reference` is None for losses that do not need one.
    """

    loss: Callable[[Answers, Answers], tuple[Tensor, Tensor]]
    reference: Policy | None = None
    sampling: Sampling = PLAIN

    def __call__(self, policy: Policy, micro: Batch, pairs: Pairs) -> tuple[Tensor, Metrics]:
        logprob_E, length_E = self._logprobs(policy, micro), num_actions_E(micro)
        reference_E = torch.zeros_like(logprob_E)
        if self.reference is not None:
            with torch.no_grad():
                reference_E = self._logprobs(self.reference, micro)
        chosen, rejected = (
            Answers(logprob_E[side_P], reference_E[side_P], length_E[side_P])
            for side_P in (pairs.chosen_P, pairs.rejected_P)
        )
        loss_P, logit_P = self.loss(chosen, rejected)
        return loss_P, preference_metrics(logit_P) | _likelihoods(chosen, rejected)

    def _logprobs(self, policy: Policy, micro: Batch) -> Tensor:
        return sum_per_pick(read_actions(policy, micro, self.sampling)["logprobs"], micro)


def preference_metrics(logit_P: Tensor) -> Metrics:
    """How often and how strongly the chosen answer is preferred."""
    logit_P = logit_P.detach().double()
    return {
        "preference/accuracy": Mean((logit_P > 0).sum().item(), len(logit_P)),
        "preference/logit": Mean(logit_P.sum().item(), len(logit_P)),
    }


def _likelihoods(chosen: Answers, rejected: Answers) -> Metrics:
    """The mean log-probs of both answers: both may fall."""
    return {
        f"preference/{name}_logprob": Mean(side.logprob_P.detach().double().sum().item(), len(side.logprob_P))
        for name, side in (("chosen", chosen), ("rejected", rejected))
    }


def judge_pairs(
    algorithm: Comparer, episodes: Sequence[Episode], layout: Literal["joined", "per_turn"]
) -> dict[str, float]:
    """held_out/accuracy and held_out/logit: how often and how strongly the policy prefers the chosen answers."""
    found = algorithm.compare(collate(tuple(Pick(episode) for episode in episodes), layout))
    return {f"held_out/{name}": found[f"preference/{name}"].value for name in ("accuracy", "logit")}
