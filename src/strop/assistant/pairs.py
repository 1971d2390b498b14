"""Which two answers people are asked to compare next: where their judgement matters most.

1. Answers of a version that waits and of the one that serves decide whether it is promoted. Those that fewest people
   have compared come first, and then the oldest: an order that never looks at what was said, since a gate whose
   comparisons are chosen by their outcomes would err more often than it says.
2. Answers that people do not agree on, or that the judge's reward model hardly tells apart; the most doubtful first.
3. Others; those of which nobody has compared any come first, and of them the answers to what is seldom asked.

A pair is compared by two people, so that their agreement is known; by up to five where they do not agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from strop.assistant.gate import LOSS, TIE, WIN

Reason: TypeAlias = Literal["versions", "doubtful", "other"]
REASONS: tuple[Reason, ...] = get_args(Reason)
Duel: TypeAlias = "tuple[int, int] | None"
"""The version that waits and the one that serves; None if none waits."""

FEWEST_PEOPLE, MOST_PEOPLE = 2, 5
"""Who compare a pair: so many, and at most so many where they do not agree."""
UNSURE = 0.5
"""From this doubt on a reward model hardly tells two answers apart: it prefers one in 25 to 75 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two answers to the same messages, and what is known of them.

    a, b       their inferences
    versions   that gave them
    seldom     how far the question is from what else is asked: 0 near all, 1 near none
    preferred  the probability by a reward model that a is better; None if none has read them
    choices    what each person said who compared them: the inference of the better one, "same", or "both bad"
    """

    number: int
    a: str
    b: str
    versions: frozenset[int | None]
    seldom: float
    preferred: float | None = None
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcomes(self) -> list[float]:
        """What people said, as outcomes for a."""
        return [{self.a: WIN, self.b: LOSS}.get(choice, TIE) for choice in self.choices.values()]

    @property
    def doubt(self) -> float:
        """How far from settled it is: 0 if all say the same, 1 if a is better as often as b.

        Of people where two or more compared it, else of the reward model, else 0.
        """
        if len(self.outcomes) >= FEWEST_PEOPLE:
            return 1.0 - abs(2.0 * sum(self.outcomes) / len(self.outcomes) - 1.0) if self.is_contested else 0.0
        return 0.0 if self.preferred is None else 1.0 - abs(2.0 * self.preferred - 1.0)

    @property
    def is_contested(self) -> bool:
        """Whether people do not agree. "Same" and "both bad" are one outcome."""
        return len(set(self.outcomes)) > 1


def reason_of(pair: Pair, duel: Duel) -> Reason | None:
    """Why a pair is to be compared; None if it has been often enough."""
    people = len(pair.choices)
    if duel is not None and pair.versions == set(duel):
        return "versions" if people < FEWEST_PEOPLE else None
    if people >= FEWEST_PEOPLE:
        return "doubtful" if pair.is_contested and people < MOST_PEOPLE else None
    return "doubtful" if pair.doubt >= UNSURE else "other"


def in_order(pairs: Iterable[Pair], duel: Duel) -> list[Pair]:
    """The pairs that are to be compared, the one that matters most first."""
    found = [(reason, pair) for pair in pairs if (reason := reason_of(pair, duel)) is not None]
    return [pair for _, pair in sorted(found, key=lambda one: _place(*one))]


def _place(reason: Reason, pair: Pair) -> tuple[float, ...]:
    people = len(pair.choices)
    match reason:
        case "versions":
            return 0, people, pair.number
        case "doubtful":
            return 1, -pair.doubt, people, pair.number
        case "other":
            return 2, people, -pair.seldom, pair.number
