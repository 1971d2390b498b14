"""The share of words in short sentences, counted by hand."""

import pytest
from one_turn import wrote

from strop.rewards import ShortSentences
from strop.types import Task

TASK = Task("t", "")


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("...", 0.0),
        ("He sat. She ran away.", 1.0),
        ("He sat. She ran far away from him.", 2 / 8),
        ("He sat. She ran far away", 1.0),  # the last one is not finished, and short so far
        ("床前明月光，疑是地上霜。", 0.0),
        ("床前。明月光照。", 1.0),
    ],
)
def test_with_four_words(text, share):
    assert ShortSentences(words=4)(TASK, wrote(TASK, text)) == pytest.approx(share)


def test_a_couplet_of_five_characters_a_line_has_ten_words():
    text = "床前明月光，疑是地上霜。無邊落木蕭蕭下，不盡長江滾滾來。"
    assert ShortSentences(words=10)(TASK, wrote(TASK, text)) == pytest.approx(10 / 24)


def test_a_sentence_has_a_word():
    with pytest.raises(ValueError, match="at least 1 word"):
        ShortSentences(words=0)
