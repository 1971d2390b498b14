"""The learner of single demonstrations or labelled texts: SFT, KTO and process reward models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

from strop.optimizer import SGD, AdamW
from strop.types import Batch, Policy, State, Term, Update

Terms = Callable[[Policy, Batch, int], Iterable[Term]]
"""(policy, batch, micro_tokens) -> the loss terms of the micro-batches, weighted over the whole batch."""


@final
class Supervised:
    """One optimiser step per batch, on the loss terms of an algorithm."""

    def __init__(self, optimizer: AdamW | SGD, policy: Policy, micro_tokens: int, terms: Terms) -> None:
        self.policy, self.micro_tokens, self.terms = policy, micro_tokens, terms
        self.optimizer = optimizer.build(policy.parameters(), policy.lock)

    def update(self, batch: Batch) -> Update:
        """One optimiser step; raises NonFinite before it if the loss or the gradient is not finite."""
        return self.optimizer.step(batch, self.terms(self.policy, batch, self.micro_tokens))

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
