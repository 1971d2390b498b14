"""ShortSentences: the share of words that stand in short sentences."""

from __future__ import annotations

import pytest
from one_turn import wrote

from strop.rewards import ShortSentences
from strop.types import Task


def scored(text: str, words: int) -> float:
    task = Task("1", "red")
    return ShortSentences(words=words)(task, wrote(task, text))


@pytest.mark.parametrize(
    ("text", "words", "share"),
    [
        ("He ran. The old king went to the wood.", 2, 2 / 8),
        ("He ran. The old king went to the wood.", 6, 1.0),
        ("He ran. The old king went to the wood", 1, 0.0),
        ("白日依山盡，黃河入海流。欲窮千里目，更上一層樓上樓。", 10, 10 / 22),
        ("...", 3, 0.0),
        ("", 3, 0.0),
    ],
)
def test_it_is_the_share_of_words_in_sentences_that_are_short_enough(text: str, words: int, share: float) -> None:
    assert scored(text, words) == pytest.approx(share)


def test_a_sentence_has_a_word() -> None:
    with pytest.raises(ValueError, match=r"ShortSentences\(words=0\): a sentence has at least 1 word"):
        ShortSentences(words=0)
