"""Logits and values for every pair of last tokens: for the slow references, and as a policy that reads in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from strop.policies._heads import LOGITS, scatter
from strop.types import Batch, Heads, Reduce, Sampling, State, Tokens, Want, WeightsLock

VOCABULARY, CHUNK = 4, 5
CONTEXTS: list[Tokens] = [one for length in (1, 2) for one in product(range(VOCABULARY), repeat=length)]


def place(prefix: Tokens) -> int:
    """The row of a prefix."""
    return CONTEXTS.index(prefix[-2:])


class Numbers:
    """A row of VOCABULARY numbers and one value for each of CONTEXTS, as leaf tensors with gradients."""

    def __init__(self, weight: Tensor, value: Tensor) -> None:
        self.weight, self.value = (number.detach().clone().requires_grad_() for number in (weight, value))

    @staticmethod
    def random(seed: int, scale: float = 1.0) -> Numbers:
        """Normal random numbers."""
        generator = torch.Generator().manual_seed(seed)
        both = torch.randn(len(CONTEXTS), VOCABULARY + 1, generator=generator, dtype=torch.float64) * scale
        return Numbers(both[:, :-1], both[:, -1])

    def copy(self) -> Numbers:
        """An independent copy."""
        return Numbers(self.weight, self.value)

    def rows(self, prefixes: Sequence[Tokens]) -> Tensor:
        """The rows [T, V]."""
        return self.weight[[place(prefix) for prefix in prefixes]]

    def values(self, prefixes: Sequence[Tokens]) -> Tensor:
        """The values [T]; 0 for the empty prefix, which means an end."""
        found = [self.value[place(one)] if one else torch.zeros_like(self.value[0]) for one in prefixes]
        return torch.stack(found) if found else self.value[:0]

    def distributions(self, prefixes: Sequence[Tokens], sampling: Sampling) -> Tensor:
        """Probabilities [T, V] by their definition: exp(z / T) over the sum, mixed with the uniform distribution."""
        temperature, epsilon = sampling.temperature, sampling.epsilon
        assert isinstance(temperature, float)
        assert isinstance(epsilon, float)
        power = torch.exp(self.rows(prefixes) / temperature)
        shares = power / power.sum(dim=1, keepdim=True)
        return (1 - epsilon) * shares + epsilon / VOCABULARY

    def policy(self, has_values: bool = False) -> Chunked:
        """A policy with these numbers."""
        return Chunked(self.weight, self.value if has_values else None)


START, REFERENCE = Numbers.random(seed=1), Numbers.random(seed=2)
"""The policy before the first update, and the KL reference."""


class Chunked:
    """A policy of `Numbers` that calls `reduce` on CHUNK decisions at a time, as a large model does."""

    layout: Literal["joined", "per_turn"] = "joined"
    vocabulary = VOCABULARY
    context: int | None = None

    def __init__(self, weight: Tensor, value: Tensor | None) -> None:
        self.lock = WeightsLock()
        self.weight = Parameter(weight.detach().clone())
        self.value = None if value is None else Parameter(value.detach().clone())
        self.has_values = value is not None

    def heads(self, batch: Batch, reduce: Reduce, want: frozenset[Want] = LOGITS) -> dict[str, Tensor]:
        """Chunk by chunk; 0 off the decisions."""
        found = batch.decision_BT.nonzero().tolist()
        out: dict[str, list[Tensor]] = {}
        for first in range(0, max(len(found), 1), CHUNK):  # a row without a decision is a chunk too
            for name, number_N in reduce(self._chunk(batch, found[first : first + CHUNK], first, want)).items():
                out.setdefault(name, []).append(number_N)
        return {name: scatter(torch.cat(chunks), batch.decision_BT) for name, chunks in out.items()}

    def _chunk(self, batch: Batch, found: list[list[int]], first: int, want: frozenset[Want]) -> Heads:
        rows = [place(tuple(batch.tokens_BT[b, :t].tolist())) for b, t in found]
        return Heads(
            tokens_N=torch.tensor([batch.tokens_BT[b, t] for b, t in found], dtype=torch.long).to(self.weight.device),
            first=first,
            logits_NV=self.weight[rows] if "logits" in want else None,
            value_N=self.value[rows] if self.value is not None and "value" in want else None,
            q_NV=self.weight[rows] if "q" in want else None,
        )

    def reference(self) -> Chunked:
        """A frozen copy."""
        copy = self.twin()
        for parameter in copy.parameters():
            parameter.requires_grad_(False)
        return copy

    def twin(self) -> Chunked:
        """A trainable copy."""
        return Chunked(self.weight, self.value)

    def parameters(self) -> list[Parameter]:
        """The rows, then the values."""
        return [self.weight] if self.value is None else [self.weight, self.value]

    def prefill(self, prompts: Sequence[Tokens]) -> tuple[Tensor, Any]:
        """Look the prompts up."""
        return self.weight.detach()[[place(prompt) for prompt in prompts]], list(prompts)

    def decode(self, state: Any, tokens_B: Tensor) -> tuple[Tensor, Any]:
        """Append a token to each and look it up."""
        return self.prefill([(*prefix, token) for prefix, token in zip(state, tokens_B.tolist(), strict=True)])

    def keep(self, state: Any, rows: Sequence[int]) -> Any:
        """The state of these rows."""
        return [state[row] for row in rows]

    def join(self, states: Sequence[Any]) -> Any:
        """The rows of all states."""
        return [row for state in states for row in state]

    def state_dict(self) -> State:
        return {str(i): parameter.detach().clone() for i, parameter in enumerate(self.parameters())}

    def load_state_dict(self, state: State) -> None:
        with torch.no_grad():
            for i, parameter in enumerate(self.parameters()):
                parameter.copy_(state[str(i)])
