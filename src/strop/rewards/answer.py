"""A short answer to a question, where "I don't know" is allowed: better than a wrong answer, worse than a right one.

Right answers are `task.answer` and the texts of `task.data["accepted"]`. The first line of the text counts. It is right
if it is one of them and nothing else, or a sentence that ends in "is" and one of them ("The capital is Lima."). Case,
accents, marks, an article in front and commas in thousands are free; a text that lists several answers is wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from strop.rewards._verdict import accepted_of, first_line, plain, verdict_of
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """+1 for a right answer, 0 for "I don't know", -1 for a wrong one.

    With these numbers it pays to answer what is right more often than not: from a probability of
    (unknown - wrong) / (right - wrong), which is 1/2.

    right    for an answer that is right
    unknown  for a text that begins with "I don't know", whatever follows
    wrong    for every other text, the empty one included

    Cheated by: "I don't know" to everything, which is worth 0; guessing, where few answers are possible; a part of the
    question where that is the answer ("Guatemala City").
    """

    right: float = 1.0
    unknown: float = 0.0
    wrong: float = -1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not (math.inf > self.right > self.unknown >= self.wrong > -math.inf):
            raise ValueError(
                f"Answered(right={self.right}, unknown={self.unknown}, wrong={self.wrong}): they are finite, a right "
                'answer is worth more than "I don\'t know", and that no less than a wrong one.'
            )

    def __call__(self, task: Task, episode: Episode) -> float:
        return float(getattr(self, verdict_of(task, episode.text, "Answered")))


def right_answer(task: Task, episode: Episode) -> float:
    """1 if the answer is right, else 0: its mean is the share of all questions that are answered right.

    Cheated by: guessing, which costs nothing here.
    """
    return float(verdict_of(task, episode.text, "right_answer") == "right")


def gave_answer(task: Task, episode: Episode) -> float:
    """1 unless the text begins with "I don't know": its mean is the coverage. `right_answer` / it is the accuracy.

    Cheated by: any text; it is there to be reported.
    """
    return float(verdict_of(task, episode.text, "gave_answer") != "unknown")


def token_f1(task: Task, episode: Episode) -> float:
    """The F1 of the words of the first line with those of the nearest accepted answer, 0 to 1.

    Rajpurkar et al. 2016 (1606.05250), with accents free too. Cheated by: a span that is a little too long; parts of
    names that several answers share.
    """
    said = Counter(plain(first_line(episode.text)).split())
    return max(_f1(said, Counter(plain(one).split())) for one in accepted_of(task, "token_f1"))


def _f1(said: Counter[str], wanted: Counter[str]) -> float:
    """Twice the common words over all words of both."""
    return 2.0 * (said & wanted).total() / (said.total() + wanted.total())
