"""Kinds of people: how they write, what they like, how long they wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strop.users.taste import Taste

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """A kind of people.

    share     of all people
    taste     likes and dislikes; those that are above 1 outweigh that a question is to the point
    patience  how many answers they wait for, with the probability of each number
    """

    share: float
    taste: Taste
    patience: Mapping[int, float]

    def draw_patience(self, rng: np.random.Generator) -> int:
        """A number of answers."""
        return list(self.patience)[int(rng.choice(len(self.patience), p=list(self.patience.values())))]


USUAL = {3: 0.1, 4: 0.3, 5: 0.4, 6: 0.2}
TEMPERS: Mapping[str, Temper] = {
    "plain": Temper(share=0.4, taste=Taste(), patience=USUAL),
    "formal": Temper(share=0.25, taste=Taste(courtesy=1.5), patience=USUAL),
    "hurried": Temper(share=0.25, taste=Taste(brevity=1.5), patience={2: 0.2, 3: 0.5, 4: 0.3}),
    "vain": Temper(share=0.1, taste=Taste(praise=2.0), patience=USUAL),
}


def draw_temper(rng: np.random.Generator) -> str:
    """The name of a kind, by the shares."""
    names = list(TEMPERS)
    return names[int(rng.choice(len(names), p=[TEMPERS[name].share for name in names]))]
