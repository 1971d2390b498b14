"""The gate: a new version is promoted only if people are shown to prefer it, and no guarded skill may have fallen.

Preference and skills are judged by paired intervals that hold at every moment at once (`strop.functional.betting`), so
a gate may be looked at after every comparison, and the first time that it opens counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from strop.functional.betting import anytime_change, anytime_limits
from strop.intervals import Interval
from strop.types import decimals
from strop.words import plural

WIN, TIE, LOSS = 1.0, 0.5, 0.0
"""What a comparison is worth to the new version."""
FEWEST = 50
"""Comparisons that a gate needs."""
MARGIN = 0.05
"""By how much a guarded skill may fall."""
ALPHA = 0.05

Scores: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Of the same items, before and after, each from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a gate stays shut: too few comparisons, people prefer the version that serves, they are not shown to prefer
    the new one, or this skill may have fallen by more than the margin."""

    kind: Literal["few", "worse", "unclear", "skill"]
    skill: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to promote, and why.

    preference  the mean outcome of the comparisons with its limits: above .5 the new version is preferred
    skills      the change of each guarded skill with its limits
    """

    promote: bool
    why: str
    comparisons: int
    preference: Interval
    skills: Mapping[str, Interval] = field(default_factory=dict)

    def shows_worse(self, margin: float = MARGIN) -> bool:
        """Whether it is shown that people like it less, or that a skill fell by more than the margin."""
        return self.preference.high < TIE or any(change.high < -margin for change in self.skills.values())

    def reasons(self, fewest: int = FEWEST, margin: float = MARGIN) -> list[Reason]:
        """Why these numbers do not open a gate that takes so many comparisons and lets skills fall by so much."""
        return [*_against(self.preference, self.comparisons, fewest), *_fallen(self.skills, margin)]


def decide(
    outcomes: Sequence[float],
    skills: Mapping[str, Scores] | None = None,
    *,
    fewest: int = FEWEST,
    margin: float = MARGIN,
    alpha: float = ALPHA,
) -> Verdict:
    """The verdict on a new version.

    outcomes  of each comparison with the version that serves: 1 for a win, .5 for a tie, 0 for a loss
    skills    the scores of each guarded skill, before and after
    fewest    comparisons that are needed
    margin    by how much a skill may fall
    alpha     limits are wrong with this probability at most, however often one looks: half of it on each side, so a
              version that is no better, or that lost more than the margin of a skill, is promoted with probability
              alpha/2 at most
    """
    if wrong := sorted({outcome for outcome in outcomes if outcome not in (WIN, TIE, LOSS)}):
        raise ValueError(f"outcomes hold {wrong}: each is 1 for a win, 0.5 for a tie or 0 for a loss.")
    mean = sum(outcomes) / len(outcomes) if outcomes else TIE
    preference = Interval(mean, *anytime_limits(outcomes, alpha))
    changes = {name: _change(before, after, alpha) for name, (before, after) in (skills or {}).items()}
    found = Verdict(False, "", len(outcomes), preference, changes)
    reasons = found.reasons(fewest, margin)
    items = {name: len(before) for name, (before, _) in (skills or {}).items()}
    why = _refusal([_in_words(one, found, items, fewest, margin) for one in reasons]) if reasons else _praise(found)
    return replace(found, promote=not reasons, why=why)


def _change(before: Sequence[float], after: Sequence[float], alpha: float) -> Interval:
    low, high = anytime_change(before, after, alpha)
    mean = (sum(after) - sum(before)) / len(after) if after else 0.0
    return Interval(mean, low, high)


def _against(preference: Interval, n: int, fewest: int) -> list[Reason]:
    """Why the comparisons do not open the gate."""
    if n < fewest:
        return [Reason("few")]
    if preference.low > TIE:
        return []
    return [Reason("worse" if preference.high < TIE else "unclear")]


def _fallen(changes: Mapping[str, Interval], margin: float) -> list[Reason]:
    """The skills that may have fallen by more than the margin."""
    return [Reason("skill", name) for name, change in changes.items() if not change.low > -margin]


def _in_words(reason: Reason, found: Verdict, items: Mapping[str, int], fewest: int, margin: float) -> str:
    counted = f"it is preferred in {found.preference} of {found.comparisons} comparisons, a tie as half"
    match reason.kind:
        case "few":
            return f"there are {plural(found.comparisons, 'comparison')}, and it takes {fewest}"
        case "worse":
            return f"{counted}: people prefer the version that serves"
        case "unclear":
            return f"{counted}: the lower limit is not above .5"
        case "skill":
            name = reason.skill
            return (
                f"the skill {name} changed by {found.skills[name]:+} on {plural(items[name], 'item')}: it may have "
                f"fallen by more than {decimals(margin, 2)}"
            )


def _refusal(reasons: Sequence[str]) -> str:
    return f"Not promoted: {'; '.join(reasons)}."


def _praise(found: Verdict) -> str:
    guarded = ", ".join(f"{name} {change:+}" for name, change in found.skills.items()) or "none is guarded"
    return (
        f"Promoted: preferred in {found.preference} of {found.comparisons} comparisons, a tie as half; "
        f"skills: {guarded}."
    )
