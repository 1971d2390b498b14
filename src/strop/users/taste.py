"""What a person likes about the manner of an answer, whatever it says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from strop.types import check_fields
from strop.users.phrases import Phrases, num_words
from strop.users.problems import PRAISE


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """Likes and dislikes, in units of worth; the default is someone who minds nothing.

    courtesy    lost by an answer without a polite word
    brevity     lost by an answer of more than `most_words`
    most_words  that they read gladly
    praise      gained by praise of themselves
    """

    courtesy: float = 0.0
    brevity: float = 0.0
    most_words: int = 8
    praise: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not all(math.isfinite(weight) for weight in (self.courtesy, self.brevity, self.praise)):
            raise ValueError(f"{self}: its weights are finite numbers.")
        if self.most_words < 1:
            raise ValueError(f"Taste.most_words={self.most_words}: it is at least 1.")

    def of(self, text: str, phrases: Phrases) -> float:
        """What the manner of a text is worth."""
        is_long, is_curt = num_words(text) > self.most_words, not phrases.is_courteous(text)
        is_praise = phrases.move_of(text) == PRAISE
        return self.praise * is_praise - self.brevity * is_long - self.courtesy * is_curt

    @property
    def wants_courtesy(self) -> bool:
        """Whether polite words, which make an answer longer, are worth their words."""
        return self.courtesy > self.brevity
