"""Counting: maximum likelihood of an n-gram model, without a gradient.

    c(hw) <- c(hw) + 1    for every token w of a demonstration, with the order - 1 tokens h before it

The end-of-text token that the codec appends is counted too. Prompt tokens stand in contexts and are not counted. What
probabilities the counts give is the policy's smoothing. With add-k and k near 0 they are c(hw) / c(h): the optimum of
SFT on a neural n-gram whose input is the context as a one-hot vector, which is a row of free logits for each context.
SFT walks there; counting arrives in one pass.

The metrics are the number of different n-grams so far, and which share of the batch's tokens brought a new one. There
is no loss among them: under smoothing it would cost more than the counting.

Differs from the textbook: nothing. What is before a document never stands in a context (`functional.ngrams`).
Degenerates: a second pass over the same data counts everything twice. That leaves c(hw) / c(h) as it is, but smoothing
takes it for twice as much data, in which nothing is rare, and falls back too seldom. So count each text once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from strop.functional.aggregation import scored_actions
from strop.memory import Dataset
from strop.types import AlgorithmConfig, Batch, Last, Mean, Policy, Sampling, State, Update, check_fields


@runtime_checkable
class Counted(Protocol):
    """A policy that learns by counting."""

    def count(self, tokens_BT: Tensor, counted_BT: Tensor) -> int:
        """Count the marked tokens after what stands before them in their rows; how many n-grams are new."""

    @property
    def num_ngrams(self) -> int:
        """How many different n-grams were counted."""


class Counting:
    """Counts the scored actions of a batch into the policy."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(AlgorithmConfig):
        """It has no options: the order and the smoothing are the policy's."""

        reads: ClassVar[str] = "demonstrations"
        memory: ClassVar[type] = Dataset.Config

        def __post_init__(self) -> None:
            check_fields(self)

        def build(self, policy: Policy, sampling: Sampling, micro_tokens: int, seed: int = 0) -> Counting:
            return Counting(policy)

    def __init__(self, policy: Policy) -> None:
        if not isinstance(policy, Counted):
            raise ValueError(
                f"Counting fills an n-gram model, and this policy is a {type(policy).__name__}, which learns by "
                "gradients: set policy=strop.policies.NGram.Config(...), or algorithm=strop.algorithms.SFT.Config()."
            )
        self.lock, self.counted = policy.lock, policy

    def update(self, batch: Batch) -> Update:
        """Count the batch. Raises ValueError for a pick that weighs neither 0 nor 1."""
        if odd := set(batch.weight_E.tolist()) - {0.0, 1.0}:
            raise ValueError(f"an episode weighs {odd.pop():g}: Counting counts it or not. Leave memory out.")
        counted_BT = scored_actions(batch)
        with self.lock.changing():
            num_new = self.counted.count(batch.tokens_BT, counted_BT)
        return Update(
            {
                "counting/ngrams": Last(self.counted.num_ngrams),
                "counting/new": Mean(num_new, int(counted_BT.sum())),
            }
        )

    def state_dict(self) -> State:
        """The policy has it all."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to restore."""
