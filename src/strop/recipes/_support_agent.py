"""Agents of customer service by rules: one that does its best, and one that errs and leaves a log.

They read the messages of people and nothing that is hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from strop.environments.support import Support
from strop.streams import stream
from strop.types import Baseline, Observation, Task, check_fields
from strop.users.phrases import WORD, Language, Phrases, check_language, one_of, part_of, phrases_of
from strop.users.problems import AREAS, MOVES


@dataclass(frozen=True, slots=True)
class Scripted:
    """A baseline that does its best: a flow chart, made of the manual and of the words of earlier customers.

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


def logged(task: Task, agent: Baseline, seed: int) -> Task:
    """The task with the conversation that an agent had, as `strop.data.played` reads it. Thumbs are not in it."""
    rng, env, turns = stream(seed, f"support/log/{task.id}"), None, list[dict[str, Any]]()
    env = Support(task, rng)
    said, end = _first_message(task), None
    env.start()
    while end is None:
        text = agent(task, Observation(said, (), len(turns), rng))
        step = env.step(text)
        said, end = str(step.text), step.end
        turns.append({"text": text, "reply": said})
    return replace(task, data={"played": turns, "end": str(end)})


def nearest(text: str, texts: Mapping[str, Sequence[str]]) -> str:
    """The name whose texts share most with this one: a shared word counts by how few of the names have it.

    The first of equals; so the first name where nothing is shared.
    """
    words = {name: {word for one in some for word in _words(one)} for name, some in texts.items()}
    num_names = {word: sum(word in some for some in words.values()) for word in set().union(*words.values())}
    shared = {name: sum(1.0 / num_names[word] for word in _words(text) & some) for name, some in words.items()}
    return max(shared, key=lambda name: shared[name])


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


def _words(text: str) -> set[str]:
    return set(WORD.findall(text.casefold()))


def _first_message(task: Task) -> str:
    return task.prompt if isinstance(task.prompt, str) else task.prompt[-1]["content"]
