"""The score that the maker of a puzzle gives to an answer, which stands in a free text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from strop.rewards._final import final_answer
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True)
class Reasoned:
    """What `score(answer, task.data)` gives to the answer of a text, from 0 to 1.

    The answer is what stands between the last <answer> and </answer>; else the last line, without "The answer is" in
    front and a full stop behind. `strop.data.reason.score_answer` scores by reasoning-gym.

    Cheated by: what cheats that score. Some of reasoning-gym's give a part of 1 for an answer among other words.
    """

    score: Callable[[str, Mapping[str, Any]], float]

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, task: Task, episode: Episode) -> float:
        answer = final_answer(episode.turns[-1].text) if episode.turns else ""
        return min(max(float(self.score(answer, task.data)), 0.0), 1.0) if answer else 0.0
