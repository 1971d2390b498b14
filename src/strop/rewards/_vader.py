"""The VADER lexicon (Hutto and Gilbert 2014), loaded at its first use."""

from __future__ import annotations

from functools import cache
from typing import Any


def compound(text: str) -> float:
    """VADER's score of a text: -1 (bad) to 1 (good)."""
    return float(_analyser().polarity_scores(text)["compound"])


def valence(word: str) -> float:
    """VADER's value of one word: -4 to 4, 0 for a neutral word."""
    return float(_analyser().lexicon.get(word, 0.0))


@cache
def _analyser() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
