"""The distribution that tokens are drawn from, as a record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from strop.types.fields import check_fields, shown

MOST_TOKENS = 1_000_000


@runtime_checkable
class Schedule(Protocol):
    """A number that depends on the step."""

    def __call__(self, step: int) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The distribution of the next token: `functional.distributions` makes it from logits, for sampler and loss alike.

    temperature  divides the logits; 0 takes the largest (ties: the smallest id)
    epsilon      mixes in the uniform distribution: (1 - epsilon) * distribution + epsilon / V
    top_p        keeps the most likely tokens up to this total probability; 1 is off, and policy-gradient algorithms
                 need it off
    top_k        keeps this many most likely tokens; 0 is off, and policy-gradient algorithms need it off
    max_tokens   most tokens of one completion
    choices      the texts of which an action is one, or the name of the field of each task's data that lists them: all
                 other tokens have probability 0, in sampling and in loss. None by default: every text is allowed
    """

    temperature: float | Schedule = 1.0
    epsilon: float | Schedule = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 64
    choices: Sequence[str] | str = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if not isinstance(self.choices, str):
            object.__setattr__(self, "choices", tuple(self.choices))
        if not self.max_tokens >= 1:
            raise ValueError(f"sampling.max_tokens={self.max_tokens}: at least 1 token is needed.")
        if self.max_tokens > MOST_TOKENS:
            raise ValueError(f"sampling.max_tokens={self.max_tokens}: it is at most {MOST_TOKENS:,}.")
        if len(self.choices) == 1 and not isinstance(self.choices, str):
            raise ValueError(f"sampling.choices={shown(self.choices)}: a choice needs at least two texts.")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"sampling.top_p={self.top_p}: it lies in (0, 1]; 1 turns it off.")
        if not self.top_k >= 0:
            raise ValueError(f"sampling.top_k={self.top_k}: it is 0 (off) or a number of tokens.")
        if not callable(self.temperature) and not 0.0 <= self.temperature < math.inf:
            raise ValueError(f"sampling.temperature={self.temperature}: it is 0 (greedy) or above.")
        if not callable(self.epsilon) and not 0.0 <= self.epsilon <= 1.0:
            raise ValueError(f"sampling.epsilon={self.epsilon}: it is a probability.")

    @property
    def is_scheduled(self) -> bool:
        """Whether it depends on the step."""
        return callable(self.temperature) or callable(self.epsilon)

    def at(self, step: int) -> Sampling:
        """The distribution at a step: schedules become numbers."""
        temperature = self.temperature(step) if callable(self.temperature) else self.temperature
        epsilon = self.epsilon(step) if callable(self.epsilon) else self.epsilon
        return replace(self, temperature=temperature, epsilon=epsilon)
