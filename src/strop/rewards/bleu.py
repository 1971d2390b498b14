"""How many word n-grams of the text are in the reference? By sacrebleu (`pip install "strop[translate]"`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from strop.rewards._answer import answer_of
from strop.rewards._sacrebleu import bleu, check_installed
from strop.types import Episode, Task, check_fields

Words = Literal["zh", "13a", "char", "intl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceBleu:
    """The BLEU of one text against `task.answer`, 0 to 1 (Papineni et al. 2002), to watch; not for training.

    BLEU is defined on a corpus: it multiplies the precisions of n-grams, n = 1 to 4, of all its texts together, and a
    mean over single texts is another number. One text often has no 4-gram right, so a missing match counts as half,
    then a quarter and so on (exponential smoothing: method 3 of Chen and Cherry 2014, sacrebleu's "exp"), and n ends at
    the length of a text that has fewer words (sacrebleu's effective order).

    tokenize  what a word is: zh takes each Chinese character, 13a splits at spaces and signs, char takes characters

    Cheated by: pieces of the reference in another order, which beat an honest answer in other words; it sees no
    meaning.
    """

    tokenize: Words = "zh"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.tokenize not in get_args(Words):
            raise ValueError(f"SentenceBleu.tokenize={self.tokenize!r}: it is one of {', '.join(get_args(Words))}.")
        check_installed("SentenceBleu")

    def __call__(self, task: Task, episode: Episode) -> float:
        reference = answer_of(task, "SentenceBleu")
        return min(1.0, float(bleu(self.tokenize).sentence_score(episode.text, [reference]).score) / 100.0)
