"""Agents of customer service by rules: one that does its best, and one that slips.

They read the messages of people, and nothing that is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

from strop.baselines._nearest import nearest
from strop.types import Observation, Task, check_fields
from strop.users.phrases import Language, Phrases, check_language, one_of, part_of, phrases_of
from strop.users.problems import AREAS, MOVES


@dataclass(frozen=True, slots=True)
class FlowChart:
    """Does its best by a flow chart, made of the manual and of the words of earlier customers.

    It tells the area by the words that people of training use, asks that area's question, tells the cause by the words
    of their answers, and says the fix; then it goes through the area's fixes. It is polite to people who are.
    """

    language: Language = "en"

    def __post_init__(self) -> None:
        check_fields(self)
        check_language(self.language)

    def __call__(self, task: Task, seen: Observation) -> str:
        phrases, first = phrases_of(self.language), _first_message(task)
        return phrases.said(_next_move(phrases, first, seen), phrases.is_courteous(first))


@dataclass(frozen=True, slots=True)
class Apprentice:
    """An agent who follows the same flow chart, with slips: some of the moves are any, and the manner is by mood.

    slips  the share of moves that are drawn at random
    """

    language: Language = "en"
    slips: float = 0.3

    def __post_init__(self) -> None:
        check_fields(self)
        check_language(self.language)
        if not 0.0 <= self.slips <= 1.0:
            raise ValueError(f"Apprentice.slips={self.slips}: it is a share, from 0 to 1.")

    def __call__(self, task: Task, seen: Observation) -> str:
        phrases, is_polite = phrases_of(self.language), bool(seen.rng.random() < 0.5)
        if seen.rng.random() < self.slips:
            return phrases.said(one_of(seen.rng, MOVES), is_polite)
        return phrases.said(_next_move(phrases, _first_message(task), seen), is_polite)


def _next_move(phrases: Phrases, first: str, seen: Observation) -> str:
    """What the flow chart says."""
    area = nearest(first, {name: _told_of(phrases, name) for name in AREAS})
    fixes = AREAS[area].fixes
    if seen.turn == 0:
        return AREAS[area].question
    if seen.turn == 1:
        answers = phrases.answers[area]
        return fixes[nearest(seen.text, {cause: part_of(answers[cause], "train") for cause in fixes})]
    return list(fixes.values())[seen.turn % len(fixes)]


def _told_of(phrases: Phrases, area: str) -> list[str]:
    """What people of training tell of an area."""
    return [*part_of(phrases.subjects[area], "train"), *part_of(phrases.troubles[area], "train")]


def _first_message(task: Task) -> str:
    return task.prompt if isinstance(task.prompt, str) else task.prompt[-1]["content"]
