"""How what a person thinks becomes a thumb or a comparison: with mistakes at a known rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.types import check_fields
from strop.users.person import Verdict

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """A hand that shows what its person thinks.

    wrong      the share of thumbs and comparisons that come out as the opposite; 1 is someone hostile
    sharpness  of comparisons: what differs in worth by d is told apart with probability 1 / (1 + exp(-sharpness * d)),
               before mistakes (Bradley and Terry 1952)
    same       differences in worth below it are not seen
    """

    wrong: float = 0.1
    sharpness: float = 3.0
    same: float = 0.25

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 <= self.wrong <= 1.0:
            raise ValueError(f"Hand.wrong={self.wrong}: it is a share, from 0 to 1.")
        for name in ("sharpness", "same"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"Hand.{name}={getattr(self, name)}: it is a number from 0.")

    def thumb(self, worth: float, rng: np.random.Generator) -> bool:
        """Up for what is worth more than 0, but for mistakes."""
        return (worth > 0.0) != (rng.random() < self.wrong)

    def chance(self, first: float, second: float) -> float:
        """The probability that the first is said to be better, where the two are told apart."""
        # tanh does not overflow
        seen = 0.5 + 0.5 * math.tanh(0.5 * self.sharpness * (first - second))
        return (1.0 - self.wrong) * seen + self.wrong * (1.0 - seen)

    def comparison(self, first: float, second: float, rng: np.random.Generator) -> Verdict:
        """Which of two worths is the better one: the first is A. Equal ones are both bad if neither is above 0."""
        drawn = rng.random()  # always one die, so that what follows does not depend on the answers
        if first == second or abs(first - second) < self.same:
            return "same" if max(first, second) > 0.0 else "both bad"
        return "A" if drawn < self.chance(first, second) else "B"
