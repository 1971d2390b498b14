"""What a lexicon says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from strop.types import Observation, Task, check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Vader:
    """Whether an English text is positive or negative by VADER (Hutto and Gilbert 2014), a lexicon with rules.

    positive, negative  what it says; a text whose compound score is 0 is positive

    It learns nothing. The sentences of films, products, news and tweets that its authors validated it on are in its
    source archive: on those it cannot be judged. Needs vaderSentiment: pip install "strop[sentiment]".
    """

    positive: str = "positive"
    negative: str = "negative"

    def __post_init__(self) -> None:
        check_fields(self)
        if find_spec("vaderSentiment") is None:
            raise ModuleNotFoundError('Vader needs the package vaderSentiment: pip install "strop[sentiment]"')

    def __call__(self, task: Task, seen: Observation) -> str:
        return self.positive if _analyser().polarity_scores(seen.text)["compound"] >= 0.0 else self.negative


@cache
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
