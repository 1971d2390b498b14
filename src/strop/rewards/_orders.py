"""Two answers in both orders: which are compared, and what a judge said of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

from strop.rewards._reply import object_in

Place: TypeAlias = Literal["A", "B", "tie"]
"""The better of two answers, by where it stands; A stands first."""
PLACES: tuple[Place, ...] = ("A", "B", "tie")


@dataclass(frozen=True, slots=True)
class Orders:
    """What a judge said of two answers: `first` with the one shown first, `swapped` with the other."""

    first: Place
    swapped: Place

    @property
    def score(self) -> float:
        """Of the first answer: 1 better and 0 worse in both orders, else 1/2: a judge that contradicts itself ties."""
        return {("A", "B"): 1.0, ("B", "A"): 0.0}.get((self.first, self.swapped), 0.5)


def pairs_of(number: int, rounds: int | None) -> list[tuple[int, int]]:
    """Which answers are compared: every two, or in each round neighbours on a ring, one step further apart."""
    if rounds is None or 2 * rounds >= number - 1:
        return list(combinations(range(number), 2))
    return [(i, (i + step) % number) for step in range(1, rounds + 1) for i in range(number)]


def place_of(reply: str) -> Place:
    """The verdict of a reply. Raises ValueError if there is none."""
    better = object_in(reply).get("better")
    for place in PLACES:
        if better == place:
            return place
    raise ValueError('its "better" is neither A, B nor tie')
