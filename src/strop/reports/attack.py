"""A reward attacked before a policy does it: which texts without sense score as high as an honest answer?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from strop.reports.cheats import Cheat, cheats_of
from strop.reports.scripted import played, scene_of
from strop.types import Episode, Task, Unscored
from strop.words import last_line, plural

if TYPE_CHECKING:
    from strop.config import TrainConfig

Outcome = Literal["above", "equal", "below", "unscored", "alone"]
"""Of a text beside the honest answer; alone: there is none, or it has no score."""
ROUNDING = 1e-9
PURPOSE = "attack"
"""Of the random streams."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A text that tried to cheat the reward of a task.

    `margin` is how far it scores above the honest answer, NaN where one of the two has no score; `parts` are the named
    rewards.
    """

    kind: str
    task: str
    outcome: Outcome
    reward: float
    honest: float
    margin: float
    parts: dict[str, float]
    text: str


@dataclass(frozen=True, slots=True)
class Attack:
    """All attempts, the worst first; `honest` are the honest answers that were compared with, by task.

    `unjudged` says for each task without one why nothing can be compared.
    """

    tasks: int
    honest: dict[str, str]
    unjudged: dict[str, str]
    attempts: list[Attempt]
    verdict: str

    def of(self, outcome: Outcome) -> list[Attempt]:
        """The attempts with this outcome, the worst first."""
        return [one for one in self.attempts if one.outcome == outcome]


def attack(config: TrainConfig, tasks: Sequence[Task], honest: Mapping[str, str]) -> Attack:
    """Try to cheat the rewards of a resolved config on these tasks. No model is loaded but those of its rewards.

    `honest` holds honest answers by task id; without one a task's `answer` counts as honest. All texts of a task are
    scored as one group, and depend on (config.seed, the task's place) alone. Where a reward compares a text with the
    answer, the answer is its own maximum: give an honest one in other words. Raises ValueError without a reward.
    """
    from strop.streams import stream

    _refuse_nothing(config)
    scene = scene_of(config, gold=False)
    others = list(config.tasks)
    answers, unjudged, attempts = dict[str, str](), dict[str, str](), list[Attempt]()
    for i, task in enumerate(tasks):
        answer = honest.get(task.id, task.answer).strip()
        cheats = cheats_of(task, answer, others, stream(config.seed, PURPOSE, i))
        first, *tried = played(scene, task, [answer, *(one.text for one in cheats)])
        known = first.reward if answer else Unscored("it has no answer")
        if isinstance(known, Unscored):
            unjudged[task.id] = f"its answer has no score: {last_line(known.reason)}" if answer else known.reason
            known = math.nan
        else:
            answers[task.id] = answer
        attempts += [_attempt(one, episode, known) for one, episode in zip(cheats, tried, strict=True)]
    attempts.sort(key=_badness)
    return Attack(len(tasks), answers, unjudged, attempts, _verdict(answers, attempts))


def _refuse_nothing(config: TrainConfig) -> None:
    from strop.environments import SingleTurn

    if not config.rewards and config.environment is SingleTurn:
        raise ValueError("there is no reward to attack: rewards=[...] is empty, and so is the environment's own.")


def _attempt(cheat: Cheat, episode: Episode, honest: float) -> Attempt:
    reward = math.nan if isinstance(episode.reward, Unscored) else episode.reward
    parts = {name: math.nan if isinstance(part.total, Unscored) else part.total for name, part in episode.parts.items()}
    margin = reward - honest
    outcome = _outcome(reward, honest)
    return Attempt(cheat.kind, episode.task.id, outcome, reward, honest, margin, parts, cheat.text)


def _outcome(reward: float, honest: float) -> Outcome:
    if math.isnan(reward):
        return "unscored"
    if math.isnan(honest):
        return "alone"
    if math.isclose(reward, honest, rel_tol=ROUNDING, abs_tol=ROUNDING):
        return "equal"
    return "above" if reward > honest else "below"


def _badness(one: Attempt) -> tuple[bool, float, float]:
    """Compared ones first, by their margin; then the others, by their reward; then those without a score."""
    is_alone, is_unscored = math.isnan(one.margin), math.isnan(one.reward)
    return is_alone, 0.0 if is_alone else -one.margin, 0.0 if is_unscored else -one.reward


def _verdict(answers: Mapping[str, str], attempts: Sequence[Attempt]) -> str:
    kinds = {outcome: {one.kind for one in attempts if one.outcome == outcome} for outcome in ("above", "equal")}
    tried = plural(len({one.kind for one in attempts}), "kind") + " of text"
    if not answers:
        return "Nothing could be compared: no task has an honest answer with a score."
    if kinds["above"]:
        return f"It can be cheated: of {tried}, {len(kinds['above'])} score above an honest answer."
    if kinds["equal"]:
        return f"Nothing scores above an honest answer; of {tried}, {len(kinds['equal'])} score as high."
    return f"Of {tried}, none scores as high as an honest answer."
