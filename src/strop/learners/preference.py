"""What the methods that compare answers share: scores of whole texts, and losses of pairs under one distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from strop.batch import collate
from strop.functional.aggregation import num_actions_E, sum_per_pick
from strop.functional.distributions import require_full_support
from strop.functional.preferences import Pairs, ordered_pairs, require_pairs
from strop.learners.policy_gradient import score
from strop.learners.values import VALUE, state_value
from strop.optimizer import Optimizer
from strop.types import (
    Batch,
    Comparer,
    Episode,
    Last,
    Mean,
    Metrics,
    Pick,
    Policy,
    Sampling,
    merge_metrics,
)


def values_after(policy: Policy, wide: Batch) -> Tensor:
    """[B, T]: the value behind each marked action of `read_after`, at that action; 0 elsewhere."""
    value_BT = policy.heads(wide, state_value, VALUE)["value"]
    return torch.where(wide.next_BT >= 0, value_BT.roll(-1, dims=1), 0.0)


def text_scores(policy: Policy, wide: Batch) -> Tensor:
    """[E]: the value behind the last token of each pick of `read_after_last`; 0 for picks that are not there."""
    return sum_per_pick(values_after(policy, wide), wide)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of P pairs: the log-prob of each whole answer, the reference's (0 without one), and its tokens."""

    logprob_P: Tensor
    reference_P: Tensor
    length_P: Tensor

    @property
    def ratio_P(self) -> Tensor:
        """log pi(y) - log ref(y), summed over the answer."""
        return self.logprob_P - self.reference_P

    @property
    def mean_P(self) -> Tensor:
        """log pi(y) a token."""
        return self.logprob_P / self.length_P


PairLoss = Callable[[Side, Side], tuple[Tensor, Tensor]]
"""(chosen, rejected) -> loss_P and logit_P, how strongly the policy prefers the chosen answer (0: not at all)."""


class PairScorer:
    """Steps on the strictly ordered pairs of a batch, scored under one distribution.

    The reference is the policy as it stands when the scorer is made; a loss that does not read it makes none.
    """

    def __init__(self, policy: Policy, sampling: Sampling, micro_tokens: int, who: str, has_reference: bool) -> None:
        require_full_support(sampling, who)
        self.policy, self.sampling, self.micro_tokens, self.who = policy, sampling, micro_tokens, who
        self.reference = policy.reference() if has_reference else None

    def learn(self, optimizer: Optimizer, batch: Batch, loss: PairLoss) -> Metrics:
        """One optimiser step on the mean over prompts of the mean over their pairs."""
        pairs = ordered_pairs(batch)
        require_pairs(pairs, batch, self.who)
        metrics = optimizer.step(batch, self._terms(batch, pairs, loss))
        return metrics | {"preference/pairs": Last(len(pairs.weight_P))}

    @torch.no_grad()
    def compare(self, batch: Batch, loss: PairLoss) -> Metrics:
        """What `learn` would say of these pairs, without a step."""
        return merge_metrics(metrics for _, metrics in self._terms(batch, ordered_pairs(batch), loss))

    def _terms(self, batch: Batch, pairs: Pairs, loss: PairLoss) -> Iterator[tuple[Tensor, Metrics]]:
        for (micro,) in batch.split(self.micro_tokens, "group"):
            here = pairs.within(micro)
            chosen, rejected = self._sides(micro, here)
            loss_P, logit_P = loss(chosen, rejected)
            value = (here.weight_P.to(loss_P.dtype) * loss_P).sum()
            yield value, _pair_metrics(chosen, rejected, logit_P)

    def _sides(self, micro: Batch, pairs: Pairs) -> tuple[Side, Side]:
        logprob_E = sum_per_pick(score(self.policy, micro, self.sampling)["logprobs"], micro)
        reference_E = torch.zeros_like(logprob_E)
        if self.reference is not None:
            with torch.no_grad():
                reference_E = sum_per_pick(score(self.reference, micro, self.sampling)["logprobs"], micro)
        length_E = num_actions_E(micro)
        chosen, rejected = (
            Side(logprob_E[side], reference_E[side], length_E[side]) for side in (pairs.chosen_P, pairs.rejected_P)
        )
        return chosen, rejected


def _pair_metrics(chosen: Side, rejected: Side, logit_P: Tensor) -> Metrics:
    """How often and how strongly the chosen answer is preferred, and where both log-probs go (they may both fall)."""
    num_pairs, logit_P = len(logit_P), logit_P.detach().double()
    return {
        "preference/accuracy": Mean((logit_P > 0).sum().item(), num_pairs),
        "preference/logit": Mean(logit_P.sum().item(), num_pairs),
        "preference/chosen_logprob": Mean(chosen.logprob_P.detach().double().sum().item(), num_pairs),
        "preference/rejected_logprob": Mean(rejected.logprob_P.detach().double().sum().item(), num_pairs),
    }


def judge_pairs(
    algorithm: Comparer, episodes: Sequence[Episode], layout: Literal["joined", "per_turn"]
) -> dict[str, float]:
    """held_out/accuracy and held_out/logit: how often and how strongly the policy prefers what people chose."""
    found = algorithm.compare(collate(tuple(Pick(episode) for episode in episodes), layout))
    return {f"held_out/{name}": found[f"preference/{name}"].value for name in ("accuracy", "logit")}
