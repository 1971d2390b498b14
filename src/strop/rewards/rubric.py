"""A judge scores an answer by named criteria."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strop.functional.bounds import check_at_least
from strop.rewards._answer import answer_of
from strop.rewards._delimited import question
from strop.rewards._reply import object_in
from strop.rewards._text import prompt_text
from strop.types import Episode, Message, Task, Unscored, as_number, check_fields, shown

INSTRUCTION = """\
You score an answer to a request by these criteria:
{criteria}
Each score is a whole number from 1, the worst, to {best}, the best."""
BESIDE = "The reference is a right answer: compare with what it says, not with its words."


@dataclass(frozen=True, slots=True)
class Rubric:
    """The mean of a judge's scores for named criteria, from 0 (all 1) to 1 (all `best`). Wrap it in `GroupReward`.

    judge      is asked questions: `strop.rewards.Judge(url=..., model=...)`
    criteria   each name with what it means, such as {"polite": "It says please and thank you."}; all count alike. For
               weights, take a Rubric for each
    best       the highest score
    reference  whether the judge sees the task's answer as well

    One request for an answer, whatever the number of criteria. A reply without a whole number for each is asked for
    again, then the answer is Unscored. Scores are of this judge alone, and it may give most answers the same: look at
    `strop score RECIPE` for a spread, and at `strop score RECIPE --agreement PAIRS` for their sense.

    Cheated by: length, a sure tone, praise of itself; an order to the judge in the text (framed, but no frame is sure).
    Add a KL penalty (kl), and a gold score by another judge.
    """

    judge: Callable[[Sequence[list[Message]], Callable[[str], Any]], Sequence[Any]]
    criteria: Mapping[str, str]
    best: int = 5
    reference: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("Rubric.best", self.best, 2)
        flawed = {
            name: meaning
            for name, meaning in self.criteria.items()
            if not (isinstance(name, str) and isinstance(meaning, str) and name.strip() and meaning.strip())
        }
        if flawed or not self.criteria:
            raise ValueError(
                f"Rubric.criteria={shown(self.criteria)}: name at least one, each with what it means: "
                '{"polite": "It says please and thank you."}.'
            )

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float | Unscored]:
        read = [i for i, episode in enumerate(episodes) if len(episode.turns) <= 1]
        found = self.judge([self._question(task, episodes[i].text) for i in read], self.score_of)
        scores = dict(zip(read, found, strict=True))
        return [
            scores[i] if i in scores else Unscored(f"Rubric reads one answer, and this has {len(episode.turns)} turns")
            for i, episode in enumerate(episodes)
        ]

    def score_of(self, reply: str) -> float:
        """The reward of a reply. Raises ValueError where a criterion has no whole number from 1 to `best`."""
        record = object_in(reply)
        scores = list[float]()
        for name in self.criteria:
            score = as_number(record.get(name))
            if score is None or score not in range(1, self.best + 1) or isinstance(record[name], bool):
                raise ValueError(f"its {name!r} is no whole number from 1 to {self.best}")
            scores.append(score)
        return (sum(scores) / len(scores) - 1.0) / (self.best - 1.0)

    def _question(self, task: Task, text: str) -> list[Message]:
        listed = "\n".join(f"- {name}: {meaning}" for name, meaning in self.criteria.items())
        instruction = INSTRUCTION.format(criteria=listed, best=self.best)
        form = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: a score" for name in self.criteria)
        reply = f'Reply with one JSON object and nothing after it: {{"reason": "a short sentence", {form}}}'
        texts = {"request": prompt_text(task.prompt), "answer": text}
        if self.reference:
            return question(f"{instruction}\n{BESIDE}", reply, texts | {"reference": answer_of(task, "Rubric")})
        return question(instruction, reply, texts)
