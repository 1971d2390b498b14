"""How near is the text to the reference, character by character? By sacrebleu (`pip install "strop[translate]"`)."""

from __future__ import annotations

from dataclasses import dataclass

from strop.functional.bounds import check_at_least
from strop.rewards._answer import answer_of
from strop.rewards._sacrebleu import check_installed, chrf
from strop.types import Episode, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ChrF:
    """The chrF of the text against `task.answer`, 0 to 1 (Popović 2015, "chrF: character n-gram F-score").

        F = (1 + beta^2) P R / (beta^2 P + R)

    P is the share of the text's character n-grams that are in the reference, R the share of the reference's that are in
    the text, each a mean over n = 1 to `order` (and over words up to `words`: chrF++ has 2). Spaces count nothing. It
    needs no words, so it suits Chinese; and a text that is nearly right scores nearly 1, so that answers differ.

    Cheated by: length, since beta = 2 weighs R more than P: many answers at once beat an honest one in other words; and
    by copying what both languages share: names, numbers, placeholders.
    """

    order: int = 6
    words: int = 0
    beta: int = 2

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("ChrF.order", self.order, 1)
        check_at_least("ChrF.words", self.words, 0)
        check_at_least("ChrF.beta", self.beta, 1)
        check_installed("ChrF")

    def __call__(self, task: Task, episode: Episode) -> float:
        reference = answer_of(task, "ChrF")
        score = chrf(self.order, self.words, self.beta).sentence_score(episode.text, [reference]).score
        return min(1.0, float(score) / 100.0)
